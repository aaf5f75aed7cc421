"""Single pictures of faces: files, and rows of FER2013's table."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.table import read_table
from avemo_ros.errors import DataError, ImageError
from avemo_ros.vision.compressed_image import check_size, decode, kind_of

_PLAIN: Final = {b"BM": "bmp", b"P5": "pgm", b"P6": "ppm"}
"""Uncompressed formats by their first bytes; read from files only, by code of OpenCV's own."""
_PNM: Final = re.compile(
    rb"P[56](?:\s+(?:#[^\n]*\n\s*)*)(\d{1,9})\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s"
)
_HEADER: Final = 1024
"""Bytes within which the size of an uncompressed picture stands."""
_TABLE_SIDE: Final = 48
"""Side of FER2013's pictures."""


def is_picture(path: Path) -> bool:
    """A picture file, by its first bytes, whatever it is called.

    Raises:
        DataError: the file is empty.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise DataError(f"'{path}' is empty")
    return bool(_format(head))


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(height, width, 3) BGR of a picture file.

    Raises:
        ImageError: it is no picture, a damaged one, or larger than allowed.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    try:
        if kind_of(content[:16]):
            return decode(content, "picture")
        return _plain(content)
    except ImageError as error:
        raise ImageError(f"'{path}': {error}", kind=error.kind) from error


def _plain(content: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) BGR of an uncompressed picture.

    Raises:
        ImageError: it is no picture, a damaged one, or larger than allowed.
    """
    wrong = ImageError("no picture that can be read", kind="corrupt")
    if not _format(content[:16]):
        raise wrong
    width, height = _plain_size(content[:_HEADER])
    check_size(height, width, "picture")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise wrong from error
    if image is None or image.shape[:2] != (height, width):
        raise wrong
    return np.asarray(image, np.uint8)


def _plain_size(head: bytes) -> tuple[int, int]:
    """Width and height by the header of an uncompressed picture; 0 where there is none."""
    if head.startswith(b"BM"):
        if len(head) < 26:
            return 0, 0
        (size,) = struct.unpack_from("<I", head, 14)
        width, height = struct.unpack_from("<HH" if size == 12 else "<ii", head, 18)
        return width, abs(height)
    found = _PNM.match(head)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _format(head: bytes) -> str:
    """Which kind of picture file begins with these bytes; '' for none."""
    plain = (name for mark, name in _PLAIN.items() if head.startswith(mark))
    return kind_of(head) or next(plain, "")


def aligned_face(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(side, side) grey of a picture that is an aligned face as it stands.

    Args:
        image: (H, W, 3) BGR or (H, W) grey.

    Raises:
        ImageError: the picture is not square.
    """
    height, width = image.shape[:2]
    if height != width:
        raise ImageError(
            f"a picture of {width}x{height} pixels is no aligned face; allowed: a square, or "
            "preparation with detection",
            kind="size",
        )
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def table_pictures(
    path: Path, rows: Collection[int]
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """Pictures of FER2013's table.

    Args:
        path: the table.
        rows: which, as the loader counts them (`Item.row`).

    Yields:
        Row and (48, 48) grey picture, or what is wrong with it.

    Raises:
        DataError: the table cannot be read or has no such column.
    """
    left = set(rows)
    for row, (_, values) in enumerate(read_table(path, ("pixels",))):
        if row in left:
            left.discard(row)
            yield row, _pixels(values["pixels"])
    for row in sorted(left):
        yield row, "the table has no such row"


def _pixels(text: str) -> NDArray[np.uint8] | str:
    size = _TABLE_SIDE * _TABLE_SIDE
    try:
        values = np.array(text.split(), np.int64)
    except (ValueError, OverflowError):
        return "its pixels are not all numbers"
    if len(values) != size:
        return f"it has {len(values)} pixels; allowed: {size}"
    if values.min() < 0 or values.max() > 255:
        return f"its pixels reach from {values.min()} to {values.max()}; allowed: 0 to 255"
    return values.astype(np.uint8).reshape(_TABLE_SIDE, _TABLE_SIDE)
