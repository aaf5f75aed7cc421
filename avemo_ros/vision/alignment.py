"""Faces cut out upright, and the pose of a head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.face import HeadPose
from avemo_ros.vision.face_networks import LEFT_EYE, LOWER_LIP, RIGHT_EYE, UPPER_LIP
from avemo_ros.vision.image import cut, similarity

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


def align(
    image: NDArray[np.uint8], eyes: Eyes, side: int, *, grey: bool = True
) -> NDArray[np.uint8]:
    """The face as a square, the eyes level and at their fixed place.

    Args:
        image: (H, W, 3) BGR.
        eyes: in pixels of the image.
        side: of the crop [pixels].
        grey: as the face network sees it; False: in colour.

    Returns:
        (side, side) grey, or (side, side, 3) BGR.
    """
    scale = EYE_DISTANCE * side / max(eyes.distance, 1.0)
    target = side * np.array([0.5, EYE_HEIGHT], np.float64)
    middle = np.array([eyes.x, eyes.y], np.float64)
    matrix = similarity(scale, eyes.roll, middle, target)
    return cut(image, matrix, side, grey=grey)


def mouth_opening(points: NDArray[np.floating[Any]], eyes: Eyes) -> float:
    """Gap between the inner lips over the distance of the eyes, both in space: 0 and up.

    Args:
        points: (468, 3) mesh [pixels].
        eyes: of the same mesh.
    """
    gap = float(np.linalg.norm(points[LOWER_LIP] - points[UPPER_LIP]))
    return gap / max(eyes.distance, 1.0)


# Where the head looks, from the mesh.

# Points of MediaPipe's canonical face model [cm] (face_geometry, Apache-2.0) that keep their
# place on the skull whatever the expression: corners of the eyes, bridge, tip and wings of the
# nose, brow, temples.  Here x is to the image's right, y down and z away from the camera.
_SKULL: Final[dict[int, tuple[float, float, float]]] = {
    33: (-4.445859, -2.663991, -3.173422),
    133: (-1.856432, -2.585245, -3.757904),
    263: (4.445859, -2.663991, -3.173422),
    362: (1.856432, -2.585245, -3.757904),
    168: (0.0, -3.271027, -5.236015),
    6: (0.0, -2.473255, -5.788627),
    1: (0.0, 1.126865, -7.475604),
    98: (-1.405627, 1.714196, -5.241087),
    327: (1.405627, 1.714196, -5.241087),
    10: (0.0, -8.261778, -4.481535),
    21: (-7.087960, -5.434801, -0.099620),
    251: (7.087960, -5.434801, -0.099620),
    127: (-7.743095, -2.364999, 2.005167),
    356: (7.743095, -2.364999, 2.005167),
}
_INDICES: Final = np.array(list(_SKULL))
# The canonical head against which people who look into the camera have no pitch: FER2013's
# training faces (3,136 with a yaw below 20 degrees, see above) have a median pitch of
# -0.085 against the model as it is.
_NOD: Final = -0.085
_COS, _SIN = math.cos(_NOD), math.sin(_NOD)
_MODEL: Final = np.array(list(_SKULL.values())) @ np.array(
    [[1.0, 0.0, 0.0], [0.0, _COS, -_SIN], [0.0, _SIN, _COS]]
)

# Distance of the eyes' centres over what the tip of the nose stands out of their plane.
_EYES_TO_NOSE: Final = 6.302 / 4.010


def canonical_head() -> dict[int, tuple[float, float, float]]:
    """The skull's points of a head that looks into the camera [cm], by their mesh index."""
    return dict(zip(_SKULL, map(tuple, _MODEL.tolist()), strict=True))


def head_rotation(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The rotation (3, 3) from the canonical head, looking into the camera, to this one.

    Least squares over the skull's points (Kabsch 1976), as if the face was seen from afar: for
    a face far from the middle of a wide-angle image the angles are those against the ray
    through it only roughly.

    Args:
        points: (468, 3) mesh [pixels], z on x's scale.
    """
    seen = points[_INDICES].astype(np.float64)
    left, _, right = np.linalg.svd(
        (seen - seen.mean(axis=0)).T @ (_MODEL - _MODEL.mean(axis=0))
    )
    handed = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    return np.asarray(left @ handed @ right, np.float64)


def head_pose(points: NDArray[np.floating[Any]]) -> HeadPose:
    """Yaw, pitch and roll (applied to the head in the order roll, pitch, yaw) [rad].

    Args:
        points: (468, 3) mesh [pixels], z on x's scale.
    """
    return pose_of(head_rotation(points))


def pose_of(turn: NDArray[np.float64]) -> HeadPose:
    """Yaw, pitch and roll [rad] of a rotation (3, 3): the inverse of `rotation_of`."""
    forward = -turn[:, 2]  # from the head through the nose; the camera is at negative z
    yaw = math.atan2(forward[0], -forward[2])
    pitch = math.atan2(-forward[1], math.hypot(forward[0], forward[2]))
    # What is left after turning the nose back into the camera is a turn in the image.
    level = _about_x(pitch).T @ _about_y(yaw).T @ turn
    roll = math.atan2(level[1, 0], level[0, 0])
    return HeadPose(yaw=yaw, pitch=pitch, roll=roll)


def rough_pose(eyes: NDArray[np.floating[Any]], nose: NDArray[np.floating[Any]]) -> HeadPose:
    """Yaw and roll from a detector's keypoints, for a face without a mesh; pitch is left at 0.

    The tip of the nose stands out of the eyes' plane, so turning moves it along their line: by
    sin(yaw) times what stands out, while the eyes keep cos(yaw) of their distance.

    Args:
        eyes: the person's right and left (2, 2) [pixels].
        nose: its tip (2,) [pixels].
    """
    line = eyes[1] - eyes[0]
    roll = math.atan2(line[1], line[0])
    axis = np.array([math.cos(roll), math.sin(roll)])
    aside = float((nose - eyes.mean(axis=0)) @ axis)
    yaw = math.atan2(_EYES_TO_NOSE * aside, float(line @ axis))
    return HeadPose(yaw=yaw, pitch=0.0, roll=roll)


def rotation_of(pose: HeadPose) -> NDArray[np.float64]:
    """The rotation (3, 3) of a pose: the inverse of what `head_pose` reads off."""
    cos, sin = math.cos(pose.roll), math.sin(pose.roll)
    in_image = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(_about_y(pose.yaw) @ _about_x(pose.pitch) @ in_image, np.float64)


def _about_y(yaw: float) -> NDArray[np.float64]:
    """Takes the direction into the camera (-z) to the image's right for a positive angle."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])


def _about_x(pitch: float) -> NDArray[np.float64]:
    """Takes the direction into the camera (-z) up (-y) for a positive angle."""
    cos, sin = math.cos(pitch), math.sin(pitch)
    return np.array([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]])
