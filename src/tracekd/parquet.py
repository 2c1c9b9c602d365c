"""Parquet files of one schema made into one, their pages as they are.

Compression is most of the work of writing a table. So parts are compressed apart, on all cores, and
then put together; no library does that. A file is a mark, pages, metadata in Thrift's compact
protocol, the length of the metadata, and the mark again
(https://parquet.apache.org/docs/file-format/). The metadata tells where pages begin in bytes from
the start of the file: that is all that changes when pages move.
"""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

_MARK = b"PAR1"
#: Thrift's types (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 3, 4, 5, 6, 8, 9, 12
#: Fields of the metadata, as in parquet.thrift.
_ROWS, _GROUPS = 3, 4
_GROUP_COLUMNS, _GROUP_OFFSET, _GROUP_NUMBER = 1, 5, 7
_COLUMN_METADATA = 3
#: Places in the file: of the metadata's copy and of two indexes; of pages, indexes and filters.
_COLUMN_OFFSETS, _PAGE_OFFSETS = (2, 4, 6), (9, 10, 11, 14)

#: A field's number -> its type and value; a list is the type and values of its items.
_Struct = dict[int, tuple[int, Any]]


def joined(files: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of one Parquet file with all rows, the last ones from its metadata on.

    Args:
        files: whole Parquet files of one schema, at least one.
    """
    yield _MARK
    size, rows = len(_MARK), 0
    groups: list[_Struct] = []
    metadata: _Struct = {}
    for raw in files:
        end = len(raw) - len(_MARK) - 4
        start = end - int.from_bytes(raw[end : end + 4], "little")
        metadata = _read_struct(BytesIO(raw[start:end]))
        for group in metadata[_GROUPS][1][1]:
            _move(group, size - len(_MARK))
            _set(group, _GROUP_NUMBER, len(groups))
            groups.append(group)
        rows += metadata[_ROWS][1]
        size += start - len(_MARK)
        yield raw[len(_MARK) : start]
    _set(metadata, _ROWS, rows)
    _set(metadata, _GROUPS, (_STRUCT, groups))
    footer = _struct_bytes(metadata)
    yield footer + len(footer).to_bytes(4, "little") + _MARK


def _move(group: _Struct, distance: int) -> None:
    _add(group, (_GROUP_OFFSET,), distance)
    for column in group[_GROUP_COLUMNS][1][1]:
        _add(column, _COLUMN_OFFSETS, distance)
        _add(column[_COLUMN_METADATA][1], _PAGE_OFFSETS, distance)


def _add(struct: _Struct, fields: Iterable[int], distance: int) -> None:
    for field in fields:
        if field in struct:
            _set(struct, field, struct[field][1] + distance)


def _set(struct: _Struct, field: int, value: Any) -> None:
    if field in struct:
        struct[field] = (struct[field][0], value)


def _read_struct(source: BytesIO) -> _Struct:
    fields: _Struct = {}
    number = 0
    while head := source.read(1)[0]:
        kind = head & 0xF
        number = number + (head >> 4) if head >> 4 else _unsigned(source, signed=True)
        fields[number] = (kind, kind == _TRUE if kind <= _FALSE else _read(source, kind))
    return fields


def _read(source: BytesIO, kind: int) -> Any:
    if kind in (_I16, _I32, _I64):
        return _unsigned(source, signed=True)
    if kind == _BINARY:
        return source.read(_unsigned(source))
    if kind == _LIST:
        head = source.read(1)[0]
        count = head >> 4 if head >> 4 < 0xF else _unsigned(source)
        return head & 0xF, [_read(source, head & 0xF) for _ in range(count)]
    if kind == _STRUCT:
        return _read_struct(source)
    if kind <= _BYTE:
        return source.read(1)[0]
    raise NotImplementedError(f"Parquet metadata with a field of Thrift's type {kind}")


def _unsigned(source: BytesIO, *, signed: bool = False) -> int:
    value = shift = 0
    while (byte := source.read(1)[0]) & 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
    value |= byte << shift
    return value >> 1 ^ -(value & 1) if signed else value


def _struct_bytes(fields: _Struct) -> bytes:
    parts = []
    before = 0
    for number, (kind, value) in fields.items():
        near = 0 < number - before <= 0xF
        parts.append(bytes([(number - before) << 4 | kind]) if near else bytes([kind]))
        if not near:
            parts.append(_varint(number, signed=True))
        if kind > _FALSE:
            parts.append(_bytes(kind, value))
        before = number
    return b"".join(parts) + b"\0"


def _bytes(kind: int, value: Any) -> bytes:
    if kind in (_I16, _I32, _I64):
        return _varint(value, signed=True)
    if kind == _BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == _LIST:
        of, items = value
        few = len(items) < 0xF
        head = bytes([len(items) << 4 | of]) if few else bytes([0xF0 | of]) + _varint(len(items))
        return head + b"".join(_bytes(of, item) for item in items)
    if kind == _STRUCT:
        return _struct_bytes(value)
    return bytes([value])


def _varint(value: int, *, signed: bool = False) -> bytes:
    left = value << 1 ^ value >> 63 if signed else value
    made = bytearray()
    while left > 0x7F:
        made.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*made, left])
