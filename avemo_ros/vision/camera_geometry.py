"""How far a face is from the camera, and how much it is turned to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.alignment import Eyes, rotation_of
from avemo_ros.vision.face import FaceTrack, FrameTracks, HeadPose

EYES_APART_M: Final = 0.063
"""Distance of the pupils of adults [m]: a mean of about 63 mm, most between 50 and 75 mm; of
children from 40 mm on (Dodgson 2004, "Variation and extrema of human interpupillary
distance", Proc. SPIE 5291).  Whose eyes are 10 % further apart seems to be 10 % nearer."""

FACING: Final = math.radians(10.0)
"""A head turned by no more than this looks at the robot: 1."""
AVERTED: Final = math.radians(40.0)
"""A head turned by this or more does not: 0.  People turn the head about two thirds of the way
to what they look at, and the eyes the rest (Stiefelhagen and Zhu 2002, "Head orientation and
gaze direction in meetings", CHI): at 40 degrees the eyes would have to turn far back."""


_SELLION: Final = 168
"""Point of the mesh between the eyes, where the nose begins."""
_HEAD_AXES: Final = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
"""Columns: the axes of a head that looks into the camera, in the optical frame."""


class HeadFrame(NamedTuple):
    """A head in the optical frame of the camera: x right, y down, z ahead (REP-103)."""

    position: NDArray[np.float64]
    """(3,) of the sellion, between the eyes [m]."""
    rotation: NDArray[np.float64]
    """(3, 3) from the axes of the head: x out of the face, y to the person's left, z up
    (REP-155)."""


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """A camera without distortion, for images of one size [pixels]."""

    width: int
    height: int
    focal_x: float
    focal_y: float
    centre_x: float
    """Where the axis meets the image; continuous, 0 is the left edge."""
    centre_y: float

    @classmethod
    def of_view(cls, width: int, height: int, angle: float) -> PinholeCamera:
        """From the horizontal angle of view [rad], between 0 and pi; its pixels are squares."""
        focal = width / 2 / math.tan(angle / 2)
        return cls(width, height, focal, focal, width / 2, height / 2)

    def scaled_to(self, width: int, height: int) -> PinholeCamera | None:
        """For images of another size; None where they show another part of the scene."""
        across, down = width / self.width, height / self.height
        if abs(across / down - 1.0) > 0.02:
            return None
        return PinholeCamera(
            width,
            height,
            self.focal_x * across,
            self.focal_y * down,
            self.centre_x * across,
            self.centre_y * down,
        )

    def turned(self, degrees: int) -> PinholeCamera:
        """For images that were turned clockwise by 0, 90, 180 or 270 degrees."""
        camera = self
        for _ in range(degrees // 90):
            camera = PinholeCamera(
                camera.height,
                camera.width,
                camera.focal_y,
                camera.focal_x,
                camera.height - camera.centre_y,
                camera.centre_x,
            )
        return camera

    def ray(self, x: float, y: float) -> NDArray[np.float64]:
        """(3,) the direction of what is seen at a point [pixels], of length 1; z ahead."""
        ahead = np.array(
            [(x - self.centre_x) / self.focal_x, (y - self.centre_y) / self.focal_y, 1.0]
        )
        return np.asarray(ahead / np.linalg.norm(ahead), np.float64)


def distance_m(eyes: Eyes, camera: PinholeCamera) -> float:
    """From the camera to the middle between the eyes [m], 0 and up.

    Under the angle between the rays to both eyes EYES_APART_M is seen, square to the line of
    sight: the turn of the head is taken out of `eyes`.
    """
    half = eyes.distance / 2
    aside, down = half * math.cos(eyes.roll), half * math.sin(eyes.roll)
    right = camera.ray(eyes.x - aside, eyes.y - down)
    left = camera.ray(eyes.x + aside, eyes.y + down)
    angle = math.atan2(float(np.linalg.norm(np.cross(right, left))), float(right @ left))
    return EYES_APART_M / 2 / max(math.tan(angle / 2), 1e-6)


def looks_at_camera(pose: HeadPose | None, rough: HeadPose) -> float:
    """How much a head is turned to the camera, 0 to 1; NaN where that is not known.

    By the angle between where the face points and the camera, from yaw and pitch:
    cos(angle) = cos(yaw) cos(pitch).  It is 1 up to FACING and falls in a straight line to 0
    at AVERTED.  Where the eyes look is not seen.

    Args:
        pose: of the mesh; None without one.
        rough: of the detector's keypoints, which tell no pitch: enough to say 0.
    """
    if pose is not None:
        angle = math.acos(math.cos(pose.yaw) * math.cos(pose.pitch))
        return min(max((AVERTED - angle) / (AVERTED - FACING), 0.0), 1.0)
    return 0.0 if abs(rough.yaw) >= AVERTED else math.nan


def head_frames(
    tracks: FrameTracks, camera: PinholeCamera, turned: int = 0
) -> dict[str, HeadFrame]:
    """Frames of the heads in one image, by face id; a face without mesh or distance has none.

    Args:
        tracks: the faces.
        camera: of the image as it is in `tracks`, which may be turned.
        turned: by how much it was turned clockwise after the camera took it [degrees].
    """
    found = {}
    back = _about_z(-math.radians(turned))
    for face in tracks.faces:
        frame = _head_frame(face, tracks, camera)
        if frame is not None:
            found[face.face_id] = HeadFrame(back @ frame.position, back @ frame.rotation)
    return found


def _head_frame(
    face: FaceTrack, tracks: FrameTracks, camera: PinholeCamera
) -> HeadFrame | None:
    if face.landmarks is None or face.pose is None or math.isnan(face.distance):
        return None
    x, y = face.landmarks[_SELLION, :2] * (tracks.width, tracks.height)
    ray = camera.ray(float(x), float(y))
    # The pose is against this ray: a head at the rim that looks into the camera has none.
    aside = np.cross((0.0, 0.0, 1.0), ray)
    angle = math.atan2(float(np.linalg.norm(aside)), float(ray[2]))
    turn, _ = cv2.Rodrigues(aside / max(float(np.linalg.norm(aside)), 1e-12) * angle)
    return HeadFrame(ray * face.distance, turn @ rotation_of(face.pose) @ _HEAD_AXES)


def _about_z(angle: float) -> NDArray[np.float64]:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
