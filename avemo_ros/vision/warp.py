"""Cutting a turned square out of an image without aliasing."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

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
