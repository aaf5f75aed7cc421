"""Images as they come in, checked and brought to 8-bit BGR; squares cut out of them."""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.errors import ImageError
from avemo_ros.vision import compressed_image

BgrImage = NDArray[np.uint8]

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
    "16UC1": (2, cv2.COLOR_GRAY2BGR),
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
    # A plane of brightness, then one of pairs of colour.
    "nv12": (1, cv2.COLOR_YUV2BGR_NV12),
    "nv21": (1, cv2.COLOR_YUV2BGR_NV21),
    "nv24": (1, cv2.COLOR_YUV2BGR_NV12),
}
_PAIRED: Final = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")
_PLANAR: Final = {"nv12": 0.5, "nv21": 0.5, "nv24": 2}
"""Bytes of the plane of colour for each one of the plane of brightness."""
_WIDE: Final = ("mono16", "16UC1", "bgr16", "rgb16", "bgra16", "rgba16")
_DEPTHS: Final = (10, 12, 14, 16)
"""Bits that cameras have where a pixel takes 16."""
TURNS: Final = {
    0: None,
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
"""Degrees by which an image can be turned clockwise, and OpenCV's code for it."""

ENCODINGS: Final[tuple[str, ...]] = tuple(_ENCODINGS)
"""Raw image encodings that can be read, as in sensor_msgs/Image."""

COMPRESSIONS: Final[tuple[str, ...]] = ("jpeg", "png", "webp")
"""Compressed formats that can be read, told by their first bytes."""

_SHOWN: Final = 60
"""Characters of a text from outside that go into a message."""


def as_bgr(image: NDArray[Any]) -> BgrImage:
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
) -> BgrImage:
    """A raw image, laid out as in sensor_msgs/Image, as 8-bit BGR.

    Args:
        data: the rows, anything with the buffer protocol (bytes, array('B'), ndarray).
        height: rows [pixels].
        width: columns [pixels].
        step: length of a row with its padding [bytes].
        encoding: one of ENCODINGS.
        is_bigendian: byte order of 16-bit pixels.  Of these, the upper 8 bits are kept: of
            16 bits, or of 10, 12 or 14 if no pixel of the image has more.

    Returns:
        (height, width, 3) uint8.  Without conversion (bgr8) this is a view of `data`, not a
        copy, and read-only where `data` is.

    Raises:
        ImageError: the encoding is missing or unknown, a size is zero or beyond the limits, a
            row does not fit into `step`, or there are fewer bytes than step * height (and those
            of the colours of nv12, nv21, nv24).
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
    compressed_image.check_size(height, width, what)
    if encoding in _PAIRED and width % 2:
        raise ImageError(
            f"{what} has an odd width; allowed: an even width for this encoding", kind="size"
        )
    if encoding in _PLANAR and (width % 2 or height % 2):
        raise ImageError(
            f"{what} has an odd size; allowed: even width and height for this encoding",
            kind="size",
        )
    if encoding.startswith("bayer") and min(width, height) < 2:
        raise ImageError(
            f"{what} is too small; allowed: at least 2x2 for this encoding", kind="size"
        )
    if step < width * depth:
        raise ImageError(
            f"{what} has rows that do not match; allowed: a step of at least {width * depth}",
            kind="step",
        )
    try:
        raw = np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ImageError(f"{what} has unusable data: {error}", kind="data") from error
    planes = 1 + _PLANAR.get(encoding, 0)
    needed = round(step * height * planes)
    formula = "step * height" + (f" * {planes:g}" if planes > 1 else "")
    if raw.size < needed:
        raise ImageError(
            f"{what} is truncated: it has {raw.size} bytes; "
            f"allowed: at least {formula} = {needed}",
            kind="truncated",
        )
    rows = raw[: step * height].reshape(height, step)[:, : width * depth]
    if planes > 1:
        # Sizes are even, so there are half as many rows, or all of twice the length.
        colours = raw[step * height : needed].reshape(-1, step if planes < 2 else 2 * step)
        return _of_planes(rows, colours, code)
    if encoding in _WIDE or encoding.endswith("16"):
        rows = _upper_bits(rows, ">u2" if is_bigendian else "<u2", with_alpha=depth == 8)
        depth //= 2
    pixels = rows.reshape(height, width, depth) if depth > 1 else rows
    if code is None:
        return pixels
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), np.uint8)


def _upper_bits(rows: NDArray[np.uint8], order: str, *, with_alpha: bool) -> NDArray[np.uint8]:
    """The 8-bit image in rows of 16-bit values."""
    wide = np.ascontiguousarray(rows).view(order)
    seen = wide.reshape(len(wide), -1, 4)[:, :, :3] if with_alpha else wide
    most = int(seen.max()).bit_length()
    shift = next(bits for bits in _DEPTHS if most <= bits) - 8
    return np.asarray(np.minimum(wide >> shift, 255), np.uint8)


def _of_planes(
    luma: NDArray[np.uint8], colours: NDArray[np.uint8], code: int | None
) -> BgrImage:
    """nv12, nv21 and nv24 as BGR."""
    height, width = luma.shape
    if len(colours) == height:
        # Of nv24 OpenCV knows nothing; faces do not need colour at every pixel.
        pairs = colours[:, : 2 * width].reshape(height, width, 2)[::2, ::2]
    else:
        pairs = colours[:, :width].reshape(height // 2, width // 2, 2)
    assert code is not None
    planes = np.ascontiguousarray(luma), np.ascontiguousarray(pairs)
    return np.asarray(cv2.cvtColorTwoPlane(*planes, code), np.uint8)


def turned(image: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """An image turned clockwise by one of TURNS; for 0 it is the same array."""
    code = TURNS[degrees]
    return image if code is None else np.asarray(cv2.rotate(image, code), np.uint8)


def decode_compressed(data: Any, encoding: str) -> BgrImage:
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
            checksum: damage after which its codes happen to fall into step again cannot be
            recognised.)  What changes no pixel, as stray bytes before markers, is no damage.
    """
    what = f"compressed image with format '{encoding[:_SHOWN]}'"
    if "compresseddepth" in encoding.lower():
        raise ImageError(
            f"{what} is a depth image; allowed: images as {', '.join(COMPRESSIONS)}",
            kind="format",
        )
    content = bytes(data)
    what += f" and {len(content)} bytes"
    if not content:
        raise ImageError(f"{what} is empty", kind="truncated")
    return compressed_image.decode(content, what)


_SQUARE: Final = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


def similarity(
    scale: float, angle: float, point: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The matrix (2, 3) that scales, turns back by `angle` [rad] and moves `point` to `target`.

    Positions are continuous: an image of width w spans 0 to w, the middle of its first pixel
    is at 0.5.
    """
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([turn, target - turn @ point])


def back(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse (2, 2) of a similarity's turn and scale.

    By hand: LAPACK may wake its threads for it, which takes longer than cutting the square.
    """
    (cos, sin), scale = matrix[0, :2], float(np.square(matrix[0, :2]).sum())
    return np.array([[cos, -sin], [sin, cos]]) / scale


def cut(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], side: int, *, grey: bool = False
) -> NDArray[np.uint8]:
    """The square that `matrix` brings from the image.

    Where the square reaches over the rim the rim's pixels are repeated.  An image that has to
    shrink is averaged over areas first: plain interpolation would skip pixels, and the crop
    would flicker with every small motion.

    Args:
        image: (H, W, 3) BGR.
        matrix: (2, 3) similarity from the image's continuous positions to the square's.
        side: of the square [pixels].
        grey: give a grey square, fully averaged; cheaper than greying the whole image.

    Returns:
        (side, side) grey, or (side, side, 3) BGR.
    """
    height, width = image.shape[:2]
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    # Only the part under the square is touched, with a margin for what is averaged.
    source = (_SQUARE * side - matrix[:, 2]) @ back(matrix).T
    margin = math.ceil(2 / scale) + 2
    (low_x, low_y), (high_x, high_y) = source.min(axis=0), source.max(axis=0)
    left, right = _span(low_x - margin, high_x + margin, width)
    top, bottom = _span(low_y - margin, high_y + margin, height)
    part = image[top:bottom, left:right]
    if grey:
        part = np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), np.uint8)
    part = halved(part, scale)
    stretch = np.array([(right - left) / part.shape[1], (bottom - top) / part.shape[0]])
    # Halving leaves up to one more factor of two.
    finer = 2 if grey and scale * stretch.min() < 1 else 1
    linear = finer * matrix[:, :2] * stretch
    origin = matrix[:, :2] @ np.array([left, top]) + matrix[:, 2]
    # OpenCV counts from the middle of the first pixel.
    shift = finer * origin + linear @ np.array([0.5, 0.5]) - 0.5
    result = cv2.warpAffine(
        part,
        np.column_stack([linear, shift]),
        (finer * side, finer * side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if finer > 1:
        result = cv2.resize(result, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(result, np.uint8)


def halved(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The image halved as long as it stays at least `scale` times its size.

    Averaging two by two pixels is several times faster than averaging over any other area.
    """
    while scale <= 0.5 and min(image.shape[:2]) >= 2:
        height, width = image.shape[:2]
        image = np.asarray(
            cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8
        )
        scale *= 2
    return image


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """The part of 0..size within low..high; at least one pixel, the nearest."""
    start = min(max(math.floor(low), 0), size - 1)
    return start, max(min(math.ceil(high), size), start + 1)
