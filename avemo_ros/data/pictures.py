"""Single pictures of faces: files, and rows of FER2013's table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.table import read_table
from avemo_ros.errors import DataError, ImageError
from avemo_ros.vision.picture import decode_compressed

_SIGNATURES: Final = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG": "png",
    b"BM": "bmp",
    b"P5": "pgm",
    b"P6": "ppm",
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
}
_STRICT: Final = ("jpeg", "png", "webp")
"""Formats of which damage can be told."""
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
        ImageError: it is no picture, or a damaged one.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    kind = _format(content[:16])
    if kind in _STRICT:
        try:
            return decode_compressed(content, kind)
        except ImageError as error:
            raise ImageError(f"'{path}': {error}", kind=error.kind) from error
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if kind else None
    if image is None:
        raise ImageError(f"'{path}' is no picture that can be read", kind="corrupt")
    return np.asarray(image, np.uint8)


def _format(head: bytes) -> str:
    """Which kind of picture file begins with these bytes; '' for none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((name for mark, name in _SIGNATURES.items() if head.startswith(mark)), "")


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
