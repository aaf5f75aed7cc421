"""Images and meshes of faces for the vision tests."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.alignment import canonical_head, rotation_of
from avemo_ros.vision.face import LANDMARKS, HeadPose
from avemo_ros.vision.face_networks import LOWER_LIP, UPPER_LIP

SAMPLE = Path(__file__).parent / "data" / "sample.mp4"


@lru_cache(maxsize=1)
def sample_images() -> tuple[NDArray[np.uint8], ...]:
    """The first 75 images (2.5 s) of the sample clip, (480, 640, 3) BGR: one face."""
    clip = cv2.VideoCapture(str(SAMPLE))
    images = []
    for _ in range(75):
        read, image = clip.read()
        assert read, f"cannot read {SAMPLE}"
        image.flags.writeable = False
        images.append(image)
    clip.release()
    return tuple(images)


def side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two sample images cut to their faces, in one image (400, 640, 3)."""
    return np.ascontiguousarray(np.hstack([left[:400, 160:480], right[:400, 160:480]]))


def made_mesh(
    pose: HeadPose, *, scale: float = 10.0, mouth: float = 0.0
) -> NDArray[np.float32]:
    """A mesh (468, 3) of a rigid head in a pose, `scale` pixels per cm, around (320, 240).

    Only the points of the skull and of the inner lips are set; the mouth opens by `mouth` cm.
    """
    points = np.zeros((LANDMARKS, 3))
    for index, place in canonical_head().items():
        points[index] = place
    points[UPPER_LIP] = (0.0, 3.9, -5.3)
    points[LOWER_LIP] = (0.0, 3.9 + mouth, -5.3)
    turned = scale * points @ rotation_of(pose).T
    return (turned + np.array([320.0, 240.0, 0.0])).astype(np.float32)


def degrees(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> HeadPose:
    """A pose by degrees."""
    return HeadPose(math.radians(yaw), math.radians(pitch), math.radians(roll))
