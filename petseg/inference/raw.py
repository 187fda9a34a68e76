"""Camera raw files, told by their contents: most of them are TIFFs whose first picture is a mere thumbnail."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

#: First bytes of raw files that are no plain TIFFs: Olympus, Panasonic, Fujifilm, Minolta, Sigma.
HEADS: Final = {
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"IIU\0": "RW2",
    b"FUJIFILMCCD-RAW": "RAF",
    b"\0MRM": "MRW",
    b"FOVb": "X3F",
}

#: Tags of a TIFF (TIFF 6.0; DNG specification 1.7).
SUBFILE: Final = 254  # bit 0: a smaller copy of another picture in the file
PHOTOMETRIC: Final = 262  # meaning of the pixels
MAKE: Final = 271
SUB_IFDS: Final = 330  # further pictures
DNG_VERSION: Final = 50706

SENSOR: Final = (32803, 34892)  # values of PHOTOMETRIC: one colour per pixel, as a sensor has it; linear raw

#: Endings of raw files that are TIFFs, by the maker's name.
ENDINGS: Final = {b"NIKON": "NEF", b"SONY": "ARW", b"PENTAX": "PEF", b"SAMSUNG": "SRW"}

#: At most so many pictures of a file are looked at, so that a damaged file cannot keep one busy.
MOST: Final = 32

#: Type, number of values, and four bytes: the values themselves or where they stand.
Entry = tuple[int, int, bytes]


def raw_kind(data: bytes) -> str | None:
    """The usual ending of a camera raw file, for instance "NEF", or "raw"; None where it is none."""
    for head, ending in HEADS.items():
        if data.startswith(head):
            return ending
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    if data[8:10] == b"CR":
        return "CR2"
    pictures = list(_pictures(data))
    if not pictures:
        return None
    if DNG_VERSION in pictures[0]:
        return "DNG"
    order = _order(data)
    thumbnail_first = _number(order, pictures[0].get(SUBFILE)) & 1 and SUB_IFDS in pictures[0]
    if thumbnail_first or any(_number(order, tags.get(PHOTOMETRIC)) in SENSOR for tags in pictures):
        _, length, offset = pictures[0].get(MAKE, (0, 0, b"\0\0\0\0"))
        start = struct.unpack(order + "I", offset)[0]
        maker = data[start : start + length].upper()
        return next((ending for name, ending in ENDINGS.items() if maker.startswith(name)), "raw")
    return None


def _order(data: bytes) -> str:
    """Byte order of a TIFF, as `struct` writes it."""
    return "<" if data[:2] == b"II" else ">"


def _pictures(data: bytes) -> Iterator[dict[int, Entry]]:
    """The tags of each picture in a TIFF, those of its sub-directories included; ends where the file is damaged."""
    order = _order(data)
    offsets = [_unpacked(data, order + "I", 4)]
    seen: set[int] = set()
    while offsets and len(seen) < MOST:
        offset = offsets.pop(0)
        if not offset or offset in seen:
            continue
        seen.add(offset)
        count = _unpacked(data, order + "H", offset) or 0
        tags: dict[int, Entry] = {}
        for start in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
            tag, kind, length, value = struct.unpack_from(order + "HHI4s", data, start)
            tags[tag] = (kind, length, value)
        offsets.append(_unpacked(data, order + "I", offset + 2 + 12 * count))
        offsets += _sub_offsets(data, order, tags)
        yield tags


def _sub_offsets(data: bytes, order: str, tags: dict[int, Entry]) -> list[int | None]:
    _, length, value = tags.get(SUB_IFDS, (0, 0, b""))
    if not length:
        return []
    first = struct.unpack(order + "I", value)[0]
    if length == 1:
        return [first]
    return [_unpacked(data, order + "I", first + 4 * index) for index in range(min(length, MOST))]


def _unpacked(data: bytes, layout: str, offset: int) -> int | None:
    """A number of the file; None where the file ends before it."""
    try:
        return int(struct.unpack_from(layout, data, offset)[0])
    except struct.error:
        return None


def _number(order: str, entry: Entry | None) -> int:
    """The first value of an entry of short or long integers; 0 where there is none."""
    if entry is None:
        return 0
    kind, _, value = entry
    return int(struct.unpack(order + "H", value[:2])[0] if kind == 3 else struct.unpack(order + "I", value)[0])
