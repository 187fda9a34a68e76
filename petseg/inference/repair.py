"""Files that every viewer shows and Pillow refuses or misreads: JPEGs that end early, odd PNGs and TIFFs."""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Final, cast

from PIL import Image, ImageChops
from PIL.ExifTags import Base as Tag
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

#: Markers of a JPEG (ITU-T T.81, table B.1): frames with Huffman coding, start of a scan, end of the image.
FRAMES, START_OF_SCAN, END_OF_IMAGE = (0xC0, 0xC1, 0xC2), 0xDA, b"\xff\xd9"

#: The marker after a scan's data: neither a stuffed 0xFF nor one of the eight restart markers.
NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

#: A JPEG may lack this many rows at its end (two rows of its largest blocks), but at most an eighth of all.
MISSING_ROWS: Final = 32

#: Chunks of a PNG with its pixels; others that a photo needs (`..TL`, `fdAT`: of animations).
PIXEL_CHUNKS: Final = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
OTHER_CHUNKS: Final = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")

#: Text chunks in which programs store the orientation. Pillow refuses texts and profiles of more than a megabyte.
ORIENTATION_TEXTS: Final = (b"XML:com.adobe.xmp", b"Raw profile type exif")
LONGEST_TEXT, LONGEST_PROFILE = 2**20, 2**24

#: Values of PhotometricInterpretation of a sensor's pixels: one colour per pixel, and linear (DNG 1.7).
SENSOR: Final = (32803, 34892)


def completed_jpeg(data: bytes) -> Image.Image | None:
    """The decoded image of a JPEG that ends early, if next to nothing is missing; else None.

    Only refinements of a progressive JPEG may be missing, or the last few rows of its last scan. Such rows are less
    sharp, or grey.
    """
    missing: set[tuple[int, int]] = set()  # (component, frequency) that no finished scan has given
    scan: set[tuple[int, int]] = set()  # those that the last scan gives
    for marker, content in _segments(data):
        if marker in FRAMES:
            missing = {(component, k) for component in content[6::3] for k in range(64)}
        elif marker == START_OF_SCAN:
            *_, first, last, _ = content
            scan = {(component, k) for component in content[1 : 1 + 2 * content[0] : 2] for k in range(first, last + 1)}
        elif marker == 0:
            missing, scan = missing - scan, set()
    if missing - scan:
        return None
    whole = _decoded_jpeg(data)
    if whole is None or not missing:
        return whole
    shorter = _decoded_jpeg(data[:-64])  # differs in the last rows that the file contains
    changed = ImageChops.difference(whole, shorter).convert("L").getbbox() if shorter else None
    return whole if changed and whole.height - changed[3] <= min(MISSING_ROWS, whole.height // 8) else None


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment of a JPEG, and 0 after a finished scan; ends at the first incomplete one."""
    position = 2
    while position + 4 <= len(data):
        start, marker, length = struct.unpack_from(">BBH", data, position)
        content = data[position + 4 : position + 2 + length]
        if start != 0xFF or len(content) != length - 2:
            return
        yield marker, content
        position += 2 + length
        if marker == START_OF_SCAN:
            following = NEXT_MARKER.search(data, position)
            if following is None:
                return
            yield 0, b""
            position = following.start()


def _decoded_jpeg(data: bytes) -> Image.Image | None:
    with suppress(Exception):
        image = JpegImageFile(BytesIO(data + END_OF_IMAGE))  # with an end, libjpeg fills what is missing
        image.load()
        return image
    return None


def open_png(data: bytes) -> Image.Image:
    """Opens a PNG without the chunks whose size or checksum Pillow refuses, and which a photo does not need."""
    chunks, profile, position = [data[:8]], None, 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        chunk = data[position : position + 12 + length]
        position += 12 + length
        if kind in PIXEL_CHUNKS:  # their checksums take long, and Pillow judges the pixels
            chunks.append(chunk)
        elif chunk[-4:] != zlib.crc32(chunk[4:-4]).to_bytes(4, "big"):
            continue
        elif kind == b"iCCP":
            profile = _inflated(chunk, LONGEST_PROFILE)
        elif kind in OTHER_CHUNKS or _has_orientation(kind, chunk):
            chunks.append(chunk)
    image = PngImageFile(BytesIO(b"".join(chunks)))
    if profile:
        image.info["icc_profile"] = profile
    _scale_transparency(image, depth=data[24])
    return image


def _has_orientation(kind: bytes, chunk: bytes) -> bool:
    """Whether a text chunk may contain the orientation and is short enough for Pillow."""
    keyword, _, text = chunk[8:-4].partition(b"\0")
    if keyword not in ORIENTATION_TEXTS:
        return False
    if kind == b"zTXt":
        return _inflated(chunk, LONGEST_TEXT) is not None
    return kind == b"tEXt" or (kind == b"iTXt" and text[:1] == b"\0")  # not compressed: the XMP specification's advice


def _inflated(chunk: bytes, longest: int) -> bytes | None:
    """The compressed content after a chunk's keyword; None if it is too long or damaged."""
    inflater = zlib.decompressobj()
    with suppress(zlib.error):
        content = inflater.decompress(chunk[8:-4].partition(b"\0")[2][1:], longest)
        return content if inflater.eof else None
    return None


def _scale_transparency(image: Image.Image, depth: int) -> None:
    """Scales the transparent colour as Pillow scales the pixels: from `depth` bits to 8."""
    transparent = image.info.get("transparency")
    if image.mode == "L" and depth in (2, 4) and isinstance(transparent, int):
        image.info["transparency"] = transparent * 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16 and transparent:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def open_tiff(data: bytes) -> Image.Image | None:
    """Opens a TIFF; None for a camera raw file, of which Pillow would show a thumbnail.

    Raises:
        ValueError: the file stores its channels in a way that Pillow misreads.
    """
    if _is_raw(data):
        return None
    image = TiffImageFile(BytesIO(data))
    tags = image.tag_v2
    if tags.get(Tag.PlanarConfiguration) == 2:  # each channel is stored as a separate plane
        if image.mode in ("LA", "LAB"):
            raise ValueError("the file stores each channel on its own")
        if tags.get(Tag.Compression, 1) == 1 and tags[Tag.BitsPerSample][0] == 16:  # Pillow reads 8 bits of each value
            byte_order = "B" if data.startswith(b"MM") else "L"
            for index, tile in enumerate(image.tile):
                channel, *rest = cast("tuple[str, ...]", tile.args)
                image.tile[index] = tile._replace(args=(f"{channel};16{byte_order}", *rest))
    return image


def _is_raw(data: bytes) -> bool:
    """Whether a TIFF contains the pixels of a sensor, or begins with a thumbnail of another picture in it."""
    header = data[: 16 if data[2] == 43 else 8]  # 43: BigTIFF
    directories: list[ImageFileDirectory_v2] = []
    file, offsets = BytesIO(data), [ImageFileDirectory_v2(header).next]
    while offsets and len(directories) < 32:  # a damaged file may point to itself
        file.seek(offsets.pop(0))
        directories.append(ImageFileDirectory_v2(header))
        directories[-1].load(file)
        offsets += [offset for offset in (directories[-1].next, *directories[-1].get(Tag.SubIFDs, ())) if offset]
    first = directories[0]
    return (
        Tag.DNGVersion in first
        or (first.get(Tag.NewSubfileType) == 1 and Tag.SubIFDs in first)
        or any(tags.get(Tag.PhotometricInterpretation) in SENSOR for tags in directories)
    )
