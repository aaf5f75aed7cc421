"""The face crop the network sees: grey, upright, framed by the eyes as in its training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.face import HeadPose
from avemo_ros.vision.image import cut, similarity
from avemo_ros.vision.mesh import LEFT_EYE, LOWER_LIP, RIGHT_EYE, UPPER_LIP

# Measured on FER2013's training images (docs/framing.md): every
# 7th of 28,709, of which 3,820 have a mesh and 3,124 of those look ahead (yaw below 20
# degrees).  There the eyes' middle is at 0.499 +- 0.045 across and 0.380 +- 0.060 down
# (standard deviation over faces; medians 0.501, 0.391), their distance 0.383 +- 0.059
# (median 0.378) of the side.  On PublicTest no other framing tried is better: docs/framing.md.
EYE_DISTANCE: Final = 0.38
"""Distance of the eye centres in the crop [its sides]."""
EYE_HEIGHT: Final = 0.38
"""The eyes' place below the crop's upper edge [its sides]; they are level and centred."""

_BOX_TO_EYES: Final = 0.38
"""Least distance of the eyes for a detector box of side 1; facing the camera it is 0.42."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Where the eyes are and how far apart they would be if the head looked into the camera."""

    x: float
    """Middle between the eye centres [pixels]."""
    y: float
    distance: float
    """Between the eye centres, the turn of the head taken out [pixels]."""
    roll: float
    """Clockwise in the image [rad]."""


def eyes_of_mesh(points: NDArray[np.floating[Any]], pose: HeadPose) -> Eyes:
    """From the mesh (468, 3) [pixels] and the pose it gives.

    An eye's centre is the middle of its corners, which blinking does not move.  The distance
    is the one in space: the distance in the image shrinks as the head turns, and a crop
    scaled by it would blow up a profile.
    """
    right = points[list(RIGHT_EYE)].mean(axis=0)
    left = points[list(LEFT_EYE)].mean(axis=0)
    x, y, _ = ((right + left) / 2).tolist()
    return Eyes(x, y, float(np.linalg.norm(left - right)), pose.roll)


def eyes_of_keypoints(eyes: NDArray[np.floating[Any]], box_side: float) -> Eyes:
    """From a detection: right and left eye (2, 2) and its box's longer side [pixels].

    For faces too far for a mesh.  The box does not shrink when the head turns, so it bounds the
    distance from below.
    """
    across, down = (eyes[1] - eyes[0]).tolist()
    x, y = eyes.mean(axis=0).tolist()
    distance = max(math.hypot(across, down), _BOX_TO_EYES * box_side)
    return Eyes(x, y, distance, math.atan2(down, across))


def align(image: NDArray[np.uint8], eyes: Eyes, side: int) -> NDArray[np.uint8]:
    """The face as a grey square (side, side), the eyes level and at their fixed place.

    Args:
        image: (H, W, 3) BGR.
        eyes: in pixels of the image.
        side: of the crop [pixels].
    """
    scale = EYE_DISTANCE * side / max(eyes.distance, 1.0)
    target = side * np.array([0.5, EYE_HEIGHT], np.float64)
    middle = np.array([eyes.x, eyes.y], np.float64)
    matrix = similarity(scale, eyes.roll, middle, target)
    return cut(image, matrix, side, grey=True)


def mouth_opening(points: NDArray[np.floating[Any]], eyes: Eyes) -> float:
    """Gap between the inner lips over the distance of the eyes, both in space: 0 and up.

    Args:
        points: (468, 3) mesh [pixels].
        eyes: of the same mesh.
    """
    gap = float(np.linalg.norm(points[LOWER_LIP] - points[UPPER_LIP]))
    return gap / max(eyes.distance, 1.0)
