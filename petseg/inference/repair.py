"""Files that every viewer shows and Pillow refuses: JPEGs that end early, PNGs with odd extra chunks."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from PIL import Image, ImageChops

#: Markers of a JPEG (ITU-T T.81, table B.1); ours for the end of a scan's data, which has none.
PROGRESSIVE, START_OF_SCAN, END_OF_IMAGE, END_OF_SCAN = 0xC2, 0xDA, 0xD9, -1
FRAMES: Final = (0xC0, 0xC1, PROGRESSIVE)

#: The next marker after a scan's data: not a stuffed 0xFF, nor one of the eight restart markers.
MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

#: A JPEG may lack so many rows at its end (two rows of its largest blocks), but no more than an eighth of all.
ROWS: Final = 32

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
#: Chunks that hold a PNG's pixels.
NEEDED: Final = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
#: How text chunks begin in which programs keep the orientation, and their longest text; Pillow refuses longer ones.
ORIENTATION_TEXTS: Final = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
LONGEST_TEXT: Final = 2**20
#: The longest colour profile, in bytes; those of printers have some megabytes.
LONGEST_PROFILE: Final = 2**24


def complete_jpeg(data: bytes, opened: Callable[[bytes], Image.Image]) -> Image.Image | None:
    """The photo of a JPEG file that ends early, where next to nothing is missing.

    That is so where only refinements of a progressive JPEG are missing, or the last few rows of its last scan; such
    rows are grey, or less sharp.

    Args:
        data: the file's bytes.
        opened: makes an image of bytes, its pixels not yet decoded.

    Returns:
        The image, decoded; None where more is missing.
    """
    missing, last_scan = _missing_values(data)
    if missing - last_scan:
        return None
    whole = _decoded(data, opened)
    if whole is None or not missing:
        return whole
    # the last bytes of the file change the last rows that are there
    shorter = _decoded(data[:-64], opened)
    changed = ImageChops.difference(whole, shorter).convert("L").getbbox() if shorter else None
    rows = changed[3] if changed else 0
    return whole if whole.height - rows <= min(ROWS, whole.height // 8) else None


def _decoded(data: bytes, opened: Callable[[bytes], Image.Image]) -> Image.Image | None:
    """The image of a JPEG with an end marker added, so that libjpeg fills what is missing; None where it cannot."""
    with suppress(Exception):
        image = opened(data + bytes([0xFF, END_OF_IMAGE]))
        image.load()
        return image
    return None


def _missing_values(data: bytes) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Which (component, frequency) of a JPEG no finished scan has given, and which the unfinished last one gives."""
    missing: set[tuple[int, int]] = set()
    scan: set[tuple[int, int]] = set()
    for marker, content in _segments(data):
        if marker in FRAMES:
            missing = {(component, k) for component in content[6::3] for k in range(64)}
        elif marker == START_OF_SCAN:
            count = content[0]
            first, last, precision = content[-3:]
            # a scan whose upper half byte of precision is not 0 refines what another one has given
            scan = {(c, k) for c in content[1 : 1 + 2 * count : 2] for k in range(first, last + 1) if precision < 16}
        elif marker == END_OF_SCAN:
            missing, scan = missing - scan, set()
    return missing, scan


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment of a JPEG; ends where the file does, or where it is damaged."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != END_OF_IMAGE:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        content = data[position + 4 : position + 2 + length]
        if len(content) < (6 if marker in (*FRAMES, START_OF_SCAN) else length - 2):
            return
        yield marker, content
        position += 2 + length
        if marker == START_OF_SCAN:
            following = MARKER.search(data, position)
            if following is None:
                return
            yield END_OF_SCAN, b""
            position = following.start()


class PlainPng(NamedTuple):
    """A PNG reduced to its first picture.

    Attributes:
        data: the file's bytes.
        profile: its colour profile.
        animated: whether there were more pictures.
    """

    data: bytes
    profile: bytes | None
    animated: bool


def plain_png(data: bytes) -> PlainPng:
    """A PNG without the chunks that a photo does not need, whose size or checksum Pillow may refuse.

    Damage to the pixels stays as it is.
    """
    head, profile, animated = [PNG_SIGNATURE], None, False
    pixels: list[bytes] = []
    depth, color = data[24:25], data[25:26]  # of the first chunk, IHDR
    for kind, content, chunk, valid in _chunks(data):
        if kind == b"tRNS" and valid:
            head.append(_transparency(content, depth, color))
        elif kind in NEEDED:
            (pixels if kind in (b"IDAT", b"IEND") else head).append(chunk)
        elif kind == b"acTL":
            animated = int.from_bytes(content[:4], "big") > 1
        elif kind == b"iCCP" and valid:
            profile = _inflated(content.partition(b"\0")[2][1:], LONGEST_PROFILE)
        elif valid and (kind == b"eXIf" or _tells_orientation(kind, content)):
            head.append(chunk)
    return PlainPng(b"".join(head + pixels), profile, animated)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes, bool]]:
    """Name, content, all bytes of each chunk of a PNG, and whether its checksum is right; the last may be cut off.

    Checksums of the pixels' chunks are not looked at: they are many bytes, and Pillow judges the pixels.
    """
    position = len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        content = data[position + 8 : end - 4]
        valid = kind in NEEDED or data[end - 4 : end] == zlib.crc32(kind + content).to_bytes(4, "big")
        yield kind, content, data[position:end], valid
        position = end


def _transparency(content: bytes, depth: bytes, color: bytes) -> bytes:
    """A chunk tRNS with the one see-through value in 8 bits per channel, as Pillow decodes the pixels.

    16-bit grey stays: it is compared in all its bits.
    """
    bits = depth[0] if depth else 8
    if color in (b"\0", b"\2") and (bits in (2, 4) or (bits == 16 and color == b"\2")):
        given = struct.unpack(f">{len(content) // 2}H", content[: len(content) // 2 * 2])
        values = [value >> 8 if bits == 16 else value * 255 // (2**bits - 1) for value in given]
        content = struct.pack(f">{len(values)}H", *values)
    checksum = zlib.crc32(b"tRNS" + content)
    return struct.pack(">I", len(content)) + b"tRNS" + content + struct.pack(">I", checksum)


def _tells_orientation(kind: bytes, content: bytes) -> bool:
    """Whether a text chunk may hold the orientation and is short enough for Pillow."""
    if not content.startswith(ORIENTATION_TEXTS):
        return False
    if kind == b"zTXt":
        return _inflated(content.partition(b"\0")[2][1:], LONGEST_TEXT) is not None
    # a compressed iTXt is left out: XMP is to be readable for everybody and is not compressed
    return kind == b"tEXt" or (kind == b"iTXt" and content.partition(b"\0")[2][:1] == b"\0")


def _inflated(data: bytes, longest: int) -> bytes | None:
    """What zlib compressed; None where it is longer than allowed or damaged."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(data, longest)
    except zlib.error:
        return None
    return content if inflater.eof else None
