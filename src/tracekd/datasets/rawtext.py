"""Raw text, read strictly: damage is an error that names the line.

A byte order mark at the start of a file is skipped.
"""

from json.encoder import encode_basestring_ascii
from pathlib import Path

from tracekd.errors import TracekdError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
AGAIN = "the file is damaged or was cut; fetch it again"


def text_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, without their ends (LF or CRLF).

    Raises:
        TracekdError: if a line is not UTF-8 or has a carriage return in its midst, or if the last
            one has no line end: in a format without closing marks that is the only sign of a cut
            file.
    """
    raw = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    if raw and not raw.endswith(b"\n"):
        line = raw.count(b"\n") + 1
        raise TracekdError(
            f"{path}:{line}: the last line has no line end: {AGAIN} "
            "(or add the line end, if the line is whole)"
        )
    lines = raw.split(b"\n")[:-1]
    return [_text_line(line, path, number) for number, line in enumerate(lines, 1)]


def _text_line(line: bytes, path: Path, number: int) -> str:
    text = utf8(line, path, number).rstrip("\r")
    if "\r" in text:
        raise TracekdError(
            f"{path}:{number}: a carriage return inside the line; convert the line ends of the "
            "file to LF"
        )
    return text


def utf8(raw: bytes, path: Path, first_line: int) -> str:
    """Return the text of bytes that begin on the line `first_line` of the file.

    Raises:
        TracekdError: if they are not UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + raw.count(b"\n", 0, error.start)
        raise TracekdError(
            f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8; fetch the file again or "
            "convert it to UTF-8"
        ) from error


def shown(key: str) -> str:
    """Return a key as it can be shown: short, one line, and no half of a surrogate pair."""
    return encode_basestring_ascii(key)[1:-1][:60] or '""'
