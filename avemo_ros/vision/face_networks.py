"""The networks of MediaPipe that find faces in an image, their points and their movements.

BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047), the face mesh (Kartynnik et al. 2019,
arXiv:1907.06724), and blendshapes: how a face moves, as 52 scores named as in ARKit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.onnx_session import open_shipped
from avemo_ros.vision.image import back, cut, halved, similarity


@dataclass(frozen=True, slots=True)
class _BlazeFaceFile:
    """What differs between the two networks; values of MediaPipe's own graphs."""

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]
    """Cells along each side of a grid over the image, and anchors in each cell."""


_BLAZEFACE: Final = {
    "short": _BlazeFaceFile("blazeface-short.onnx", 128, ((16, 2), (8, 6))),
    "full": _BlazeFaceFile("blazeface-full.onnx", 192, ((48, 1),)),
}
_SAME_FACE: Final = 0.3
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
        network = _BLAZEFACE[reach]
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
        same = _overlaps(places[0], places) > _SAME_FACE
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


RIGHT_EYE: Final = (33, 133)
"""Outer and inner corner of the person's right eye, which is on the image's left."""
LEFT_EYE: Final = (263, 362)
"""Outer and inner corner of the person's left eye."""
UPPER_LIP: Final = 13
"""Middle of the upper lip's inner edge."""
LOWER_LIP: Final = 14
"""Middle of the lower lip's inner edge."""

PRESENCE: Final = 0.5
"""Least score of the mesh network for 'there is a face in this square' (MediaPipe's value)."""

_MESH_FILES: Final = {"plain": "facemesh-468.onnx", "attention": "facemesh-478.onnx"}
_MARGIN: Final = 1.5  # the square over the face's own size (MediaPipe's value)


@dataclass(frozen=True, slots=True)
class Region:
    """A turned square of the image in which a face is looked for [pixels, rad]."""

    x: float
    """Centre."""
    y: float
    side: float
    angle: float
    """Clockwise in the image; zero for an upright face."""

    @classmethod
    def of_landmarks(cls, points: NDArray[np.floating[Any]]) -> Region:
        """From the mesh (468, 2 or more, pixels) of the image before."""
        right, left = points[RIGHT_EYE[0], :2], points[LEFT_EYE[0], :2]
        return cls._around(points[:, :2], right, left)

    @classmethod
    def of_keypoints(
        cls, corners: NDArray[np.floating[Any]], eyes: NDArray[np.floating[Any]]
    ) -> Region:
        """From a detection: corners of its box (2, 2), right and left eye (2, 2) [pixels]."""
        x, y = corners.mean(axis=0)
        width, height = corners[1] - corners[0]
        angle = math.atan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0])
        return cls(float(x), float(y), _MARGIN * float(max(width, height)), angle)

    @classmethod
    def _around(
        cls,
        points: NDArray[np.floating[Any]],
        right: NDArray[np.floating[Any]],
        left: NDArray[np.floating[Any]],
    ) -> Region:
        """The smallest square, turned with the eyes, that holds the points, and a margin."""
        angle = math.atan2(left[1] - right[1], left[0] - right[0])
        cos, sin = math.cos(angle), math.sin(angle)
        upright = points @ np.array([[cos, -sin], [sin, cos]])
        # By columns: NumPy is slow to reduce over rows of two.
        columns = np.ascontiguousarray(upright.T)
        low, high = columns.min(axis=1), columns.max(axis=1)
        middle = (low + high) / 2
        x, y = cos * middle[0] - sin * middle[1], sin * middle[0] + cos * middle[1]
        return cls(float(x), float(y), _MARGIN * float((high - low).max()), angle)


class FaceMesh:
    """Fits a mesh to one face at a time, without memory of earlier images; for any thread.

    Args:
        kind: 'plain' of 468 points, or 'attention' (Grishchenko et al. 2020, arXiv:2006.10962)
            of 478 with the irises, which takes four times as long.

    Raises:
        WeightsError: the network's file is missing or damaged.
    """

    def __init__(self, kind: str = "plain") -> None:
        self._session: Any = open_shipped(_MESH_FILES[kind])
        self._side = int(self._session.get_inputs()[0].shape[1])

    def fit(
        self, image: NDArray[np.uint8], region: Region
    ) -> tuple[NDArray[np.float32], float] | None:
        """The mesh of the face in a region (about 2 ms).

        Args:
            image: (H, W, 3) BGR.
            region: from a detection or from the landmarks of the image before.

        Returns:
            (468 or 478, 3) points in pixels, z on x's scale and growing away from the camera,
            and the network's score for a face being there; None where that is below PRESENCE.
        """
        if not math.isfinite(region.side) or region.side < 4:
            return None
        scale = self._side / region.side
        matrix = similarity(
            scale, region.angle, np.array([region.x, region.y]), np.full(2, self._side / 2)
        )
        square = cv2.cvtColor(cut(image, matrix, self._side), cv2.COLOR_BGR2RGB)
        raw, logit = self._session.run(("points", "presence"), {"image": square[None]})
        presence = 1 / (1 + math.exp(-logit.item()))
        if presence < PRESENCE:
            return None
        points = raw.astype(np.float64).reshape(-1, 3)
        points[:, :2] = (points[:, :2] - matrix[:, 2]) @ back(matrix).T
        points[:, 2] /= scale
        return points.astype(np.float32), presence

    def close(self) -> None:
        """Free the network."""
        self._session = None


_SIDES: Final = ("Left", "Right")
BLENDSHAPES: Final[tuple[str, ...]] = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp"),
    *(f"browOuterUp{side}" for side in _SIDES),
    "cheekPuff",
    *(
        f"{name}{side}"
        for name in ("cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn")
        for side in _SIDES
    ),
    *(
        f"{name}{side}"
        for name in ("eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
        for side in _SIDES
    ),
    *("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose"),
    *(f"{name}{side}" for name in ("mouthDimple", "mouthFrown") for side in _SIDES),
    *("mouthFunnel", "mouthLeft"),
    *(f"{name}{side}" for name in ("mouthLowerDown", "mouthPress") for side in _SIDES),
    *("mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper"),
    *("mouthShrugLower", "mouthShrugUpper"),
    *(
        f"{name}{side}"
        for name in ("mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer")
        for side in _SIDES
    ),
)
"""Names of the scores in their order; left and right are the person's."""

# Of the 478 points those that the network takes.
_BLENDSHAPE_POINTS: Final = (
    *(0, 1, *range(4, 9), 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, *range(52, 56), 58, 61, 63),
    *(
        65,
        66,
        67,
        70,
        78,
        80,
        81,
        82,
        84,
        87,
        88,
        91,
        93,
        95,
        103,
        105,
        107,
        109,
        127,
        132,
        133,
    ),
    *(
        136,
        144,
        145,
        146,
        148,
        149,
        150,
        *range(152, 156),
        *range(157, 164),
        168,
        172,
        173,
        176,
    ),
    *(178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276),
    *(
        *range(282, 286),
        288,
        291,
        293,
        295,
        296,
        297,
        300,
        308,
        *range(310, 313),
        314,
        317,
        318,
    ),
    *(321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, *range(377, 383)),
    *(*range(384, 391), 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478)),
)


class BlendshapeReader:
    """Scores of one face at a time, without memory of earlier images; for any thread.

    Raises:
        WeightsError: a network's file is missing or damaged.
    """

    def __init__(self) -> None:
        self._mesh = FaceMesh("attention")
        self._session: Any = open_shipped("face-blendshapes.onnx")

    def read(
        self, image: NDArray[np.uint8], points: NDArray[np.floating[Any]]
    ) -> NDArray[np.float32] | None:
        """The scores of a face (about 7 ms).

        Args:
            image: (H, W, 3) BGR.
            points: (468 or more, 2 or more) of its mesh in this image [pixels].

        Returns:
            (52,) 0 to 1, in the order of BLENDSHAPES; None where no face is seen there.
        """
        fitted = self._mesh.fit(image, Region.of_landmarks(points))
        if fitted is None:
            return None
        chosen = np.ascontiguousarray(fitted[0][_BLENDSHAPE_POINTS, :2])
        (scores,) = self._session.run(("blendshapes",), {"points": chosen[None]})
        return np.asarray(np.clip(scores, 0, 1), np.float32).reshape(-1)

    def close(self) -> None:
        """Free the networks; doing so twice is harmless."""
        self._mesh.close()
        self._session = None
