r"""The words of many texts at once, as hashes: no object is made for a word.

A word is a run of letters, digits and underscores (`\w`) in lower case. The texts' UTF-8 is changed
in place, each character into one of as many bytes, and words are found between the spaces.
"""

import hashlib
import string
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
_Bytes = NDArray[np.uint8]
_Codes = NDArray[np.uint32]
_Places = NDArray[np.int64]

_SPACE = 0x20
#: Bytes at each end of a word that are hashed; of words longer than both all are.
_END = 8
_PAD = b" " * (_END + 1)
_KEPT = np.array([(1 << 8 * size) - 1 for size in range(_END + 1)], dtype=np.uint64)
_HEAD, _TAIL, _SIZE, _MIX = (
    np.uint64(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") | 1)
    for name in (b"head", b"tail", b"size", b"mix")
)
#: In the table of replacements: no character of as many bytes is the lower case of this one.
_NONE = 0
#: Its lower case depends on where in a word it stands.
_SIGMA = 0x3A3
_BEYOND_ASCII = np.uint64(0x8080808080808080)
#: Lead bytes of characters of two and of three bytes, and the first one that is neither.
_LEADS = (0xC0, 0xE0, 0xF0)


def utf8(texts: pl.Series) -> list[bytes]:
    """Return texts as `word_hashes` takes them."""
    encoded: list[bytes] = texts.cast(pl.Binary).to_list()
    return encoded


def word_hashes(texts: Sequence[bytes]) -> tuple[Hashes, _Places]:
    """Return the hash of each word, text by text, and how many words each text has.

    Equal words have equal hashes on every machine; two of a million different words have equal ones
    with a probability of 3e-8.

    Args:
        texts: in UTF-8; a thousand or so, whose words stay in the processor's cache, go fastest.
    """
    raw, ends, odd = _spaced(texts)
    if len(odd):
        texts = list(texts)
        for number in np.unique(np.searchsorted(ends, odd)).tolist():
            texts[number] = _lowered(texts[number])
        raw, ends, _ = _spaced(texts)  # what is left as it was is in lower case
    inside = raw != _SPACE
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    edges += 1
    counts = np.diff(np.searchsorted(edges[::2], ends), prepend=0)
    return _hashes(raw, edges[::2], edges[1::2]), counts


def _lowered(text: bytes) -> bytes:
    words = pl.Series([text.decode()]).str.to_lowercase().str.replace_all(r"\W+", " ")
    lowered: str = words.item()
    return lowered.encode()


def _hashes(raw: _Bytes, starts: _Places, ends: _Places) -> Hashes:
    eights: Any = np.ndarray((len(raw) - 7,), dtype="<u8", buffer=raw.data, strides=(1,))
    sizes = ends - starts
    found: Hashes = eights[starts]
    found &= _KEPT.take(sizes, mode="clip")
    found *= _HEAD
    spare = sizes.view(np.uint64) * _SIZE
    found += spare
    long = np.flatnonzero(sizes > _END)
    found[long] += eights[ends[long] - _END] * _TAIL
    for place in long[sizes[long] > 2 * _END].tolist():
        word = raw[starts[place] : ends[place]].tobytes()
        found[place] = int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "big")
    found ^= np.right_shift(found, np.uint64(32), out=spare)
    found *= _MIX
    found ^= np.right_shift(found, np.uint64(29), out=spare)
    return found


def _spaced(texts: Sequence[bytes]) -> tuple[_Bytes, _Places, _Places]:
    """Return the bytes of all texts, words between spaces.

    Returns:
        The bytes; where each text ends; and where characters stand that could not be replaced by
        their lower case.
    """
    joined = bytearray(b" ").join([_PAD, *texts, _PAD])
    raw = np.frombuffer(joined.translate(_ASCII), dtype=np.uint8)
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    ends = len(_PAD) + np.cumsum(sizes + 1)
    leads = _leads(raw)
    widths = np.searchsorted(_LEADS, raw[leads], side="right") + 1
    odd = [_replace(raw, leads[widths == width], width) for width in (2, 3)]
    return raw, ends, np.concatenate([*odd, leads[widths > 3]])


def _leads(raw: _Bytes) -> _Places:
    """Return where a character begins that is not ASCII and that may not stay as it is."""
    # Few are: of eight bytes at a time it is asked first whether any is not ASCII.
    eights = raw[: len(raw) // 8 * 8].view("<u8") & _BEYOND_ASCII
    whole = (np.flatnonzero(eights)[:, np.newaxis] * 8 + np.arange(8)).ravel()
    places = np.concatenate([whole, np.arange(len(eights) * 8, len(raw))])
    leads = places[raw[places] >= _LEADS[0]]
    # Most of them in Western text are small letters: U+00E0 to U+00FF, but for a sign of division.
    first, second = raw[leads], raw[leads + 1]
    stay = (first == 0xC3) & (second >= 0xA0) & (second != 0xB7)
    left: _Places = leads[~stay]
    return left


def _replace(raw: _Bytes, places: _Places, size: int) -> _Places:
    """Change the characters of `size` bytes at these places; return where that cannot be done."""
    codes = (raw[places] & (0x1F if size == 2 else 0x0F)).astype(np.int64)
    for step in range(1, size):
        codes = (codes << 6) | (raw[places + step] & 0x3F)
    wanted = _replacements()[codes]
    changed = np.flatnonzero((wanted != codes) & (wanted != _NONE))
    new, at = wanted[changed], places[changed]
    space = new == _SPACE
    for step in range(size - 1, -1, -1):
        byte = new & 0x3F | 0x80 if step else new | _LEADS[size - 2]
        raw[at + step] = np.where(space, _SPACE, byte).astype(np.uint8)
        new = new >> np.uint32(6)
    left: _Places = places[wanted == _NONE]
    return left


@cache
def _replacements() -> _Codes:
    """Return for each code below 2**16 that of its lower case, or a space's if no word has it."""
    codes = np.array([*range(0x80, 0xD800), *range(0xE000, 1 << 16)], dtype=np.uint32)
    characters = pl.Series([chr(code) for code in codes.tolist()])
    lower = characters.str.to_lowercase()
    fits = (lower.str.len_chars() == 1) & (lower.str.len_bytes() == characters.str.len_bytes())
    new = np.array([ord(text[0]) for text in lower.to_list()], dtype=np.uint32)
    new[~fits.to_numpy() | (codes == _SIGMA)] = _NONE
    new[~lower.str.contains(r"\w").to_numpy()] = _SPACE
    table = np.full(1 << 16, _NONE, dtype=np.uint32)
    table[codes] = new
    return table


def _ascii() -> bytes:
    words = set((string.ascii_letters + string.digits + "_").encode())
    kept = bytes(byte if byte in words or byte >= 0x80 else _SPACE for byte in range(256))
    return kept.lower()


_ASCII = _ascii()
