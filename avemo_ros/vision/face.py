"""What the vision side knows of the faces in one image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LANDMARKS: Final = 468
"""Points of MediaPipe's face mesh."""
BLENDSHAPE_COUNT: Final = 52
"""Scores of facial movements."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box in the image, normalised: the image spans 0 to 1 both ways.

    A face at the rim may reach outside, so values below 0 or above 1 are possible.
    """

    x: float
    """Left edge."""
    y: float
    """Upper edge."""
    width: float
    height: float

    @property
    def area(self) -> float:
        """Share of the image's area, 0 to 1."""
        return max(self.width, 0.0) * max(self.height, 0.0)


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Rotation of the head against the camera [rad]; zero looks into the camera."""

    yaw: float
    """Positive: the person's face turns to the right side of the image."""
    pitch: float
    """Positive: up."""
    roll: float
    """Positive: clockwise in the image."""


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """One followed face in one image."""

    face_id: str
    """Short, starts with a letter, never given twice in a stream; says nothing of who it is."""
    box: Box
    confidence: float
    """Detector score, 0 to 1."""
    landmarks: NDArray[np.float32] | None
    """(468, 3): x and y normalised to the image, z on x's scale; None without a mesh."""
    pose: HeadPose | None
    quality: float
    """How well the face can be read, 0 to 1: the least of size, sharpness, pose and cover
    terms."""
    mouth_opening: float
    """Gap between the inner lips over the distance of the eyes, 0 and up; NaN: no mesh, or
    something hides the mouth."""
    crop: NDArray[np.uint8]
    """(side, side) grey, aligned by the eyes: what the face network sees."""
    looks_at_robot: float = math.nan
    """How much the head is turned to the camera, 0 to 1; NaN: not known."""
    distance: float = math.nan
    """From the camera [m]; NaN: not known."""
    blendshapes: NDArray[np.float32] | None = None
    """(52,) 0 to 1, in the order of `vision.face_networks.BLENDSHAPES`; None: not computed."""
    person_id: str = ""
    """Who it is, where another node said so (ROS4HRI); empty: not told."""
    appearance: NDArray[np.float32] | None = None
    """(192,) embedding of who this is (`vision.face_embedding`), of length 1; None: not
    computed in this image, or in doubt.  It is in no message."""


@dataclass(frozen=True, slots=True)
class FrameTracks:
    """The faces found in one image; none is a result too."""

    stamp_ns: int
    """Sensor time of the image [ns]."""
    width: int
    """Of the image [pixels]."""
    height: int
    faces: tuple[FaceTrack, ...]
    """Only faces found in this very image; a face that is missed for a moment is absent and
    comes back with its id."""
