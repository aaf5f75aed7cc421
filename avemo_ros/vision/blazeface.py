"""BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047), MediaPipe's networks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.onnx_session import open_shipped
from avemo_ros.vision.image import halved


@dataclass(frozen=True, slots=True)
class _Network:
    """What differs between the two networks; values of MediaPipe's own graphs."""

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]
    """Cells along each side of a grid over the image, and anchors in each cell."""


_NETWORKS: Final = {
    "short": _Network("blazeface-short.onnx", 128, ((16, 2), (8, 6))),
    "full": _Network("blazeface-full.onnx", 192, ((48, 1),)),
}
_SAME: Final = 0.3
"""Boxes whose intersection over union is larger are of one face (MediaPipe's value)."""
_KEYPOINTS: Final = 6
_LARGEST: Final = 100.0
"""Of a score before its sigmoid."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFaces:
    """n faces in one square, most certain first."""

    boxes: NDArray[np.float64]
    """(n, 4) left, top, width, height; the square spans 0 to 1."""
    keypoints: NDArray[np.float64]
    """(n, 6, 2): right eye, left eye, tip of the nose, mouth, right ear, left ear."""
    scores: NDArray[np.float64]
    """(n,) 0 to 1."""


class BlazeFaceNetwork:
    """Finds the faces in one image, without memory of earlier ones; for any thread.

    Args:
        reach: 'short' for faces within about 2 m (1.5 ms), 'full' for up to about 5 m (4 ms).
        confidence: least score of a face, 0 to 1.

    Raises:
        WeightsError: the network's file is missing or damaged.
    """

    def __init__(self, reach: str, confidence: float) -> None:
        network = _NETWORKS[reach]
        self.side = network.side
        self._anchors = np.concatenate([_anchors(*grid) for grid in network.grids])
        self._least = confidence
        self._session = open_shipped(network.file)

    def find(self, square: NDArray[np.uint8]) -> RawFaces:
        """The faces in a square of the network's size.

        Args:
            square: (side, side, 3) RGB, contiguous.
        """
        rows, raw = self._session.run(("boxes", "scores"), {"image": square[None]})
        certain = 1 / (
            1 + np.exp(-np.clip(raw[0, :, 0], -_LARGEST, _LARGEST, dtype=np.float64))
        )
        # Of equal scores the one that comes first, as MediaPipe has it.
        order = np.argsort(-certain, kind="stable")
        order = order[certain[order] >= self._least]
        values = rows[0, order].astype(np.float64) / self.side
        # Middle, size and keypoints; all but the size are measured from the anchor.
        points = values.reshape(len(order), 2 + _KEYPOINTS, 2)
        points[:, [0, *range(2, 2 + _KEYPOINTS)]] += self._anchors[order, None]
        whole = (points[:, 1] >= 0).all(axis=1)
        return _joined(points[whole], certain[order][whole])


def _anchors(cells: int, each: int) -> NDArray[np.float64]:
    """Middles of the cells of a grid, row by row, each so often: (cells^2 each, 2) x, y."""
    middles = (np.arange(cells) + 0.5) / cells
    grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    return np.repeat(grid, each, axis=0)


def _joined(points: NDArray[np.float64], scores: NDArray[np.float64]) -> RawFaces:
    """One face for all that overlap, their mean weighted by score; the best one's score.

    Args:
        points: (n, 8, 2) middle, size, keypoints, most certain first.
        scores: (n,).
    """
    places = points.copy()
    places[:, 0] -= points[:, 1] / 2
    places[:, 1] += places[:, 0]  # corners now
    found, best = [], []
    while len(places):
        same = _overlaps(places[0], places) > _SAME
        same[0] = True  # also where it has no area
        found.append(np.average(places[same], axis=0, weights=scores[same]))
        best.append(scores[0])
        places, scores = places[~same], scores[~same]
    faces = np.array(found).reshape(-1, 2 + _KEYPOINTS, 2)
    boxes = np.concatenate([faces[:, 0], faces[:, 1] - faces[:, 0]], axis=1)
    return RawFaces(boxes, faces[:, 2:], np.array(best))


def _overlaps(one: NDArray[np.float64], all_: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box with each of several; corners are the first two."""
    low = np.maximum(one[0], all_[:, 0])
    high = np.minimum(one[1], all_[:, 1])
    common = np.clip(high - low, 0, None).prod(axis=1)
    union = (one[1] - one[0]).prod() + (all_[:, 1] - all_[:, 0]).prod(axis=1) - common
    shares = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return np.asarray(shares, np.float64)


def letterbox(
    image: NDArray[np.uint8], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The whole BGR image in a square of `side`, RGB, centred on black.

    Returns:
        (side, side, 3) and, normalised to the square, the image's box in it: left, top,
        width, height.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    across, down = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(halved(image, scale), (across, down), interpolation=cv2.INTER_LINEAR)
    square = np.zeros((side, side, 3), np.uint8)
    left, top = (side - across) // 2, (side - down) // 2
    square[top : top + down, left : left + across] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return square, np.array([left, top, across, down]) / side
