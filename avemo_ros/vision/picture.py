"""Images as they come in: checked, and brought to 8-bit BGR by one path for every source."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.errors import ImageError
from avemo_ros.vision import compressed

Picture = NDArray[np.uint8]

# Bytes per pixel and the OpenCV conversion to BGR (None: it is BGR already).  ROS names a Bayer
# pattern by its first row, OpenCV by the second row from the second column.
_ENCODINGS: Final[dict[str, tuple[int, int | None]]] = {
    "bgr8": (3, None),
    "8UC3": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "8UC4": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, cv2.COLOR_GRAY2BGR),
    "mono16": (2, cv2.COLOR_GRAY2BGR),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2BGR),
    "bgr16": (6, None),
    "rgb16": (6, cv2.COLOR_RGB2BGR),
    "bgra16": (8, cv2.COLOR_BGRA2BGR),
    "rgba16": (8, cv2.COLOR_RGBA2BGR),
    "bayer_rggb16": (2, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr16": (2, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg16": (2, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg16": (2, cv2.COLOR_BayerGB2BGR),
}
_PAIRED: Final = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")

ENCODINGS: Final[tuple[str, ...]] = tuple(_ENCODINGS)
"""Raw image encodings that can be read, as in sensor_msgs/Image."""

COMPRESSIONS: Final[tuple[str, ...]] = ("jpeg", "png", "webp")
"""Compressed formats that can be read, told by their first bytes."""

_SHOWN: Final = 60
"""Characters of a text from outside that go into a message."""


def as_bgr(image: NDArray[Any]) -> Picture:
    """Check an image that is an array already.

    Args:
        image: (H, W, 3) BGR or (H, W) grey, uint8.

    Returns:
        (H, W, 3) uint8 BGR; the very array where it is that already.

    Raises:
        ImageError: it is not an array, of another type or shape, or has no pixels.
    """
    allowed = "a uint8 array (H, W, 3) BGR or (H, W) grey with at least one pixel"
    if not isinstance(image, np.ndarray):
        raise ImageError(f"image is a {type(image).__name__}; allowed: {allowed}", kind="type")
    grey = image.ndim == 2
    shaped = grey or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not shaped or image.size == 0:
        raise ImageError(
            f"image has type {image.dtype} and shape {image.shape}; allowed: {allowed}",
            kind="type",
        )
    if grey:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return image


def to_bgr(
    data: Any,
    height: int,
    width: int,
    step: int,
    encoding: str,
    *,
    is_bigendian: bool = False,
) -> Picture:
    """A raw image, laid out as in sensor_msgs/Image, as 8-bit BGR.

    Args:
        data: the rows, anything with the buffer protocol (bytes, array('B'), ndarray).
        height: rows [pixels].
        width: columns [pixels].
        step: length of a row with its padding [bytes].
        encoding: one of ENCODINGS.
        is_bigendian: byte order of 16-bit pixels, which lose their lower 8 bits here.

    Returns:
        (height, width, 3) uint8.  Without conversion (bgr8) this is a view of `data`, not a
        copy, and read-only where `data` is.

    Raises:
        ImageError: the encoding is missing or unknown, a size is zero or beyond the limits, a
            row does not fit into `step`, or there are fewer bytes than step * height.
    """
    if encoding not in _ENCODINGS:
        shown = f"'{encoding[:_SHOWN]}'" if encoding else "missing"
        raise ImageError(
            f"image encoding is {shown} (size {width}x{height}, step {step}); "
            f"allowed: {', '.join(ENCODINGS)}",
            kind="encoding",
        )
    depth, code = _ENCODINGS[encoding]
    # A bag's reader may give NumPy's integers, whose products overflow.
    height, width, step = int(height), int(width), int(step)
    what = f"image with encoding '{encoding}', size {width}x{height}, step {step}"
    compressed.check_size(height, width, what)
    if encoding in _PAIRED and width % 2:
        raise ImageError(
            f"{what} has an odd width; allowed: an even width for this encoding", kind="size"
        )
    if encoding.startswith("bayer") and min(width, height) < 2:
        raise ImageError(
            f"{what} is too small; allowed: at least 2x2 for this encoding", kind="size"
        )
    if step < width * depth:
        raise ImageError(
            f"{what} has rows that do not fit; allowed: a step of at least {width * depth}",
            kind="step",
        )
    try:
        raw = np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ImageError(f"{what} has unusable data: {error}", kind="data") from error
    if raw.size < step * height:
        raise ImageError(
            f"{what} is truncated: it has {raw.size} bytes; "
            f"allowed: at least step * height = {step * height}",
            kind="truncated",
        )
    rows = raw[: step * height].reshape(height, step)[:, : width * depth]
    if encoding.endswith("16"):
        # Of two bytes the high one is the 8-bit image.
        rows = np.ascontiguousarray(rows[:, 0 if is_bigendian else 1 :: 2])
        depth //= 2
    pixels = rows.reshape(height, width, depth) if depth > 1 else rows
    if code is None:
        return pixels
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), np.uint8)


def decode_compressed(data: Any, encoding: str) -> Picture:
    """A compressed image, as in sensor_msgs/CompressedImage, as 8-bit BGR.

    What it is, its first bytes say and not the message's `format`, which drivers fill with
    anything ('jpeg', 'mjpeg', 'rgb8; jpeg compressed bgr8', nothing).

    Args:
        data: the file's bytes, anything with the buffer protocol.
        encoding: the message's `format`.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: it holds depths and no image ('compressedDepth'); or it is none of
            COMPRESSIONS, larger than allowed, ends early or is damaged.  (A JPEG has no
            checksum: damage after which its codes happen to fall into step again, or that
            follows stray bytes before a marker, cannot be told.)
    """
    what = f"compressed image with format '{encoding[:_SHOWN]}'"
    if "compresseddepth" in encoding.lower():
        raise ImageError(
            f"{what} holds depths; allowed: images as {', '.join(COMPRESSIONS)}",
            kind="format",
        )
    content = bytes(data)
    what += f" and {len(content)} bytes"
    if not content:
        raise ImageError(f"{what} is empty", kind="truncated")
    return compressed.decode(content, what)
