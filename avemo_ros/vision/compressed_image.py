"""Compressed images that come from outside: JPEG, PNG and WebP, and nothing else.

What an image is, its own first bytes say.  How large it wants to become is read from its header
first, and the decoders see nothing but the image itself: they know many more formats,
animations and attachments than a camera sends, and whoever may publish could reach them all.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from avemo_ros.errors import ImageError
from avemo_ros.untrusted import (
    MAX_PIXELS,
    MAX_PNG_CHUNKS,
    MAX_RESTARTS,
    MAX_ROW_BYTES,
    MAX_SCANNED,
    MAX_SCANS,
    MAX_STRAY,
    PIXELS_PER_JPEG_BYTE,
)

_JPEG: Final = b"\xff\xd8\xff"
_START_OF_SCAN: Final = b"\xff\xda"
_END_OF_IMAGE: Final = b"\xff\xd9"
_PROGRESSIVE: Final = (b"\xff\xc2", b"\xff\xca")
_RESTART: Final = re.compile(rb"\xff+([\xd0-\xd7])")
_AFTER_SCAN: Final = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_JFIF: Final = re.compile(rb"(\xff\xe0..JFIF\x00)..", re.DOTALL)
_ATTACHED: Final = (*range(0xE1, 0xEE), 0xEF, 0xFE)
"""Markers of segments that say nothing of the pixels."""
_EMPTY: Final = (0x00, 0x01, *range(0xD0, 0xD9))
"""Markers that no segment follows."""
_ONE_SCAN: Final = (0xC0, 0xC1)
"""Starts of frames in which every code comes once."""
_STRAY: Final = re.compile(r"(\d+) extraneous bytes before marker")

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PNG_LAYOUTS: Final = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    3: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
"""Channels and allowed depths [bits] by colour type."""
_ADAM7: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
"""First column and row, and distance of columns and rows, of every pass of interlacing."""
_PIECE: Final = 1 << 20
_KEPT_ROWS: Final = 1 << 24
"""Bytes of rows that are kept to be handed on: of larger images they would take much memory."""

_FORMATS: Final = "JPEG, PNG and WebP"


def kind_of(head: bytes) -> str:
    """'jpeg', 'png' or 'webp' by the first bytes (12 are enough); '' for anything else."""
    if head.startswith(_JPEG[:2]):
        return "jpeg"
    if head.startswith(_PNG):
        return "png"
    return "webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def decode(content: bytes, what: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR of a compressed image, not turned by what it says of the camera.

    Args:
        content: all of its bytes.
        what: how error messages call it.

    Raises:
        ImageError: it is of another format, ends early, is damaged, or asks for more than the
            limits allow; of the last, nothing was allocated yet.
    """
    readers = {"jpeg": _jpeg, "png": _png, "webp": _webp}
    kind = kind_of(content[:12])
    if not kind:
        raise ImageError(
            f"{what} begins with {content[:8].hex(' ')}, which is not a supported image; "
            f"allowed: {_FORMATS}",
            kind="format",
        )
    try:
        return readers[kind](content, what)
    except (cv2.error, ValueError, zlib.error, struct.error, MemoryError) as error:
        raise ImageError(f"{what} cannot be decoded: {error}", kind="corrupt") from error


def check_size(height: int, width: int, what: str) -> None:
    """Make sure that an image may be as large as it wants to be [pixels].

    Raises:
        ImageError: it has no pixels, or too many.
    """
    if height < 1 or width < 1:
        raise ImageError(
            f"{what} has no pixels; allowed: width and height of at least 1", kind="size"
        )
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{what} asks for {width}x{height} pixels; "
            f"allowed: {MAX_PIXELS / 1e6:g} megapixels",
            kind="size",
        )


# --- JPEG


def _jpeg(content: bytes, what: str) -> NDArray[np.uint8]:
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(content, strict=False)
    except KeyError as error:
        raise ValueError("it has unusual colour sampling") from error
    check_size(height, width, what)
    if height * width > PIXELS_PER_JPEG_BYTE * len(content):
        raise ImageError(
            f"{what} is truncated: it is too short for {width}x{height} pixels",
            kind="truncated",
        )
    # Beside the scans themselves, thumbnails and chance may be counted: never too few.
    scans = content.count(_START_OF_SCAN)
    progressive = any(mark in content for mark in _PROGRESSIVE)
    if scans > MAX_SCANS or (progressive and scans * height * width > MAX_SCANNED):
        allowed = min(MAX_SCANS, MAX_SCANNED // (height * width))
        raise ImageError(
            f"{what} has {scans} scans of {width}x{height} pixels; allowed: {allowed} scans",
            kind="scans",
        )
    # Within a scan 0xFF is never followed by 0xD9, so one after the last start of a scan is
    # the real end; a thumbnail's own end comes before it.
    if content.find(_END_OF_IMAGE, max(content.rfind(_START_OF_SCAN), 2)) < 0:
        return _mended(content, what, _cut(what))
    try:
        # OpenCV fills what is damaged with anything and only says so on stderr.
        return _decoded(content)
    except ValueError as error:
        return _mended(content, what, error)


def _decoded(content: bytes, *, strict: bool = True) -> NDArray[np.uint8]:
    image = simplejpeg.decode_jpeg(content, colorspace="BGR", strict=strict)
    return np.asarray(image, np.uint8)


def _mended(content: bytes, what: str, trouble: Exception) -> NDArray[np.uint8]:
    """The pixels of an image that only looks damaged.

    Cheap cameras leave bytes before markers or forget the end; every decoder shows the same
    pixels.  The library tells its first complaint only, behind which there may be real damage.
    So what stands between the segments of the header is left out, and what follows each
    restart marker, which needs nothing of what is before, is decoded by itself, too.

    Raises:
        ValueError, ImageError: `trouble`, or another one, where codes are missing or wrong.
    """
    header, frame, interval, at = _jpeg_header(content, what)
    if frame[1] not in _ONE_SCAN or header[-1][4] != frame[9]:
        if not _is_harmless(trouble):
            raise trouble
        return _decoded(content, strict=False)
    after = _AFTER_SCAN.search(content, at)
    if after is not None and after[0][-1:] != _END_OF_IMAGE[1:]:
        raise trouble
    codes = content[at : after.start()] if after is not None else content[at:].rstrip(b"\xff")
    for begin, part in _jpeg_parts(header, frame, interval, codes, trouble):
        # What fills a buffer is of one value.  Without it the codes must still be all there: of
        # a transfer that broke off the rest is filled, too.
        unfilled = part[: len(part.rstrip(part[-1:])) + 2]
        if not any(_is_whole(begin + one + _END_OF_IMAGE) for one in (part, unfilled)):
            raise trouble
    restarts = struct.pack(">2sHH", b"\xff\xdd", 4, interval)
    return _decoded(
        b"".join((_JPEG[:2], restarts, *header, codes, _END_OF_IMAGE)), strict=False
    )


def _is_whole(content: bytes) -> bool:
    try:
        _decoded(content)
    except ValueError as error:
        return _is_harmless(error)
    return True


def _is_harmless(complaint: Exception) -> bool:
    """All codes were there before a marker, and a few bytes more."""
    stray = _STRAY.search(str(complaint))
    return stray is not None and int(stray[1]) <= MAX_STRAY


def _jpeg_header(content: bytes, what: str) -> tuple[list[bytes], bytes, int, int]:
    """Its segments without attachments, which of them describes the frame, the restart interval
    (left out of the segments), and where the codes of the first scan begin."""
    segments: list[bytes] = []
    frame, interval, at, mark = b"", 0, 2, 0
    while mark != _START_OF_SCAN[1]:
        at = content.find(b"\xff", at)
        mark = content[at + 1] if 0 < at < len(content) - 4 else -1
        if mark == 0xFF or mark in _EMPTY:
            at += 1 if mark == 0xFF else 2
            continue
        segment = content[at : at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")]
        at += len(segment)
        if mark < 0 or at >= len(content) or len(segment) < 6:
            raise _cut(what)
        if mark == 0xDD:
            interval = int.from_bytes(segment[4:6], "big")
        elif mark not in _ATTACHED:
            segments.append(_JFIF.sub(b"\\1\1\1", segment))
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            frame = segment
    if len(frame) < 13 or len(frame) < 10 + 3 * frame[9]:
        raise _cut(what)
    return segments, frame, interval, at


def _jpeg_parts(
    header: list[bytes], frame: bytes, interval: int, codes: bytes, trouble: Exception
) -> Iterator[tuple[bytes, bytes]]:
    """What follows each restart marker, as an image of its own: its header, and its codes."""
    height, width = struct.unpack_from(">HH", frame, 5)
    factors = frame[11 : 10 + 3 * frame[9] : 3] if frame[9] > 1 else b"\x11"
    down, across = 8 * max(one & 15 for one in factors), 8 * max(one >> 4 for one in factors)
    if not (across and down):
        raise trouble
    columns = -(-width // across)
    total = columns * -(-height // down)
    interval = interval or total
    parts = _RESTART.split(codes)
    numbers = [0xD0 + number % 8 for number in range(-(-total // interval) - 1)]
    if [mark[0] for mark in parts[1::2]] != numbers or len(numbers) > MAX_RESTARTS:
        raise trouble
    for number, part in enumerate(parts[::2]):
        count = min(interval, total - number * interval)
        rows = count // columns if count % columns == 0 else 1
        if count // rows * across > 0xFFFF:
            raise trouble
        size = struct.pack(">HH", rows * down, count // rows * across)
        alone = frame if len(parts) == 1 else frame[:5] + size + frame[9:]
        yield b"".join((_JPEG[:2], *(alone if one is frame else one for one in header))), part


# --- PNG


def _png(content: bytes, what: str) -> NDArray[np.uint8]:
    kept: list[bytes | memoryview] = []
    packed: list[memoryview] = []
    header: tuple[int, ...] = ()
    for name, chunk, body in _png_chunks(content, what):
        if name not in _PNG_KEPT:
            continue
        if (name == b"IHDR") == bool(header):
            raise ValueError("its header is in the wrong place")
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise ValueError("wrong checksum")
        if name == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
            check_size(header[1], header[0], what)
            if (size := _png_bytes(*header)) > MAX_ROW_BYTES:
                raise ImageError(
                    f"{what} asks for {size / 1e6:.0f} MB of pixels; "
                    f"allowed: {MAX_ROW_BYTES / 1e6:.0f} MB",
                    kind="size",
                )
        if name == b"IDAT":
            packed.append(body)
        elif name != b"IEND":
            kept.append(chunk)
    rows = _unpacked(packed, _png_bytes(*header), what)
    # What is unpacked already goes on as it is: libpng need not do it again.
    data = [zlib.compress(rows, 0)] if rows else packed
    kept += [_png_chunk(b"IDAT", part) for part in data]
    alone = b"".join((_PNG, *kept, _png_chunk(b"IEND", b"")))
    return _by_opencv(alone, header[1], header[0], what)


def _png_chunk(name: bytes, body: bytes | memoryview) -> bytes:
    check = zlib.crc32(body, zlib.crc32(name))
    return b"".join((struct.pack(">I", len(body)), name, body, struct.pack(">I", check)))


def _png_chunks(content: bytes, what: str) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Name, whole chunk and body of every chunk up to the end marker."""
    view, at, name = memoryview(content), len(_PNG), b""
    count = 0
    while name != b"IEND":
        count += 1
        if count > MAX_PNG_CHUNKS:
            raise ValueError(f"it has more than {MAX_PNG_CHUNKS} chunks")
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if at + 12 > len(content) or end > len(content):
            raise _cut(what)
        name = content[at + 4 : at + 8]
        yield name, view[at:end], view[at + 8 : end - 4]
        at = end


def _png_bytes(
    width: int,
    height: int,
    depth: int,
    colour: int,
    packing: int,
    filtering: int,
    laced: int,
) -> int:
    """Bytes of the rows of a PNG, with the filter's byte before each."""
    channels, depths = _PNG_LAYOUTS.get(colour, (0, ()))
    if depth not in depths or packing or filtering or laced > 1:
        raise ValueError(f"its header is unknown: {depth} bits, colour type {colour}")
    bits = depth * channels
    passes = _ADAM7 if laced else ((0, 0, 1, 1),)
    sizes = [
        (-(-(width - left) // across), -(-(height - top) // down))
        for left, top, across, down in passes
        if left < width and top < height
    ]
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes)


def _unpacked(packed: list[memoryview], expected: int, what: str) -> bytes:
    """The rows of a PNG; only counted, and returned empty, where they are many.

    libpng unpacks to the very end what it does not need, and 3 MB can hold 3 GB.
    """
    unpack = zlib.decompressobj()
    rows: list[bytes] = []
    found = 0
    # At the end the unpacker may still hold some.
    for body in (*packed, b""):
        waiting: Any = body
        while found <= expected and not unpack.eof:
            piece = unpack.decompress(waiting, _PIECE)
            found += len(piece)
            if expected <= _KEPT_ROWS:
                rows.append(piece)
            waiting = unpack.unconsumed_tail
            if not piece and not waiting:
                break
    if found < expected:
        raise _cut(what)
    if found > expected or not unpack.eof:
        raise ValueError("it contains more data than its size needs")
    return b"".join(rows)


# --- WebP


def _webp(content: bytes, what: str) -> NDArray[np.uint8]:
    end = 8 + int.from_bytes(content[4:8], "little")
    if end > len(content):
        raise _cut(what)
    at = 12
    while at + 8 <= end:
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + length]
        if at + 8 + length > end:
            raise _cut(what)
        if name in (b"ANIM", b"ANMF"):
            raise ImageError(f"{what} is an animation; allowed: a still image", kind="format")
        if name in (b"VP8 ", b"VP8L"):
            width, height = _webp_size(name, body)
            check_size(height, width, what)
            chunk = content[at : at + 8] + body + b"\0" * (length % 2)
            alone = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
            return _by_opencv(alone, height, width, what)
        at += 8 + length + length % 2
    raise _cut(what)


def _webp_size(name: bytes, body: bytes) -> tuple[int, int]:
    """Width and height that the header of a frame names."""
    if name == b"VP8L":
        signature, bits = struct.unpack_from("<BI", body)
        if signature != 0x2F:
            raise ValueError("its frame has no signature")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    tag, code, width, height = struct.unpack_from("<3s3sHH", body)
    if code != b"\x9d\x01\x2a" or tag[0] & 1:
        raise ValueError("its frame is not a key frame")
    return width & 0x3FFF, height & 0x3FFF


# --- both


def _by_opencv(content: bytes, height: int, width: int, what: str) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if image is None or image.shape != (height, width, 3):
        raise ImageError(
            f"{what} cannot be decoded; allowed: a whole file of its format", kind="corrupt"
        )
    return np.asarray(image, np.uint8)


def _cut(what: str) -> ImageError:
    return ImageError(f"{what} is truncated: its end marker is missing", kind="truncated")
