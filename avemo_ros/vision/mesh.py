"""The points of a face: MediaPipe's mesh (Kartynnik et al. 2019, arXiv:1907.06724)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.onnx_session import open_shipped
from avemo_ros.vision.image import back, cut, similarity

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

_FILES: Final = {"plain": "facemesh-468.onnx", "attention": "facemesh-478.onnx"}
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
        self._session: Any = open_shipped(_FILES[kind])
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
