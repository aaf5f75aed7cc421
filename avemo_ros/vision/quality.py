"""How well a face can be read: the least of what its size, sharpness, light, pose and what
hides it allow.

Every term rises in a straight line from 0 to 1 between the two values given here.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.vision.cover import Cover, at_side
from avemo_ros.vision.face import HeadPose

SIZE: Final = (8.0, 20.0)
"""Distance of the eyes [pixels].  The training images have 18 (0.38 of 48): from there on the
network gets all it knows; at 8 a mouth is a few pixels wide."""

SHARPNESS: Final = (math.log(0.003), math.log(0.03))
"""Logarithm of the Laplacian's variance over the image's own, at 48 pixels.  FER2013's
images have 0.7 in the median; blurred with sigma 1, 2, 3 pixels of 48 they have 0.06, 0.01,
0.004: from sigma 3 on eyes and mouth are blots."""

CONTRAST: Final = (6.0, 18.0)
"""Standard deviation of the crop's grey values, of 255: too dark, too bright and fog alike.
99 % of FER2013's images have more than 26."""

YAW: Final = (math.radians(65.0), math.radians(25.0))
"""Turn to the side: at 65 degrees the far half of the face is hidden."""

PITCH: Final = (math.radians(50.0), math.radians(20.0))
"""Turn up or down: at 50 degrees the brows or the mouth are hidden."""

ROLL: Final = (math.radians(80.0), math.radians(60.0))
"""Turn in the image: the crop is turned upright, but detector and mesh learned from heads that
are, and of faces on their side they find one in ten."""

COVER: Final = (1.0, 0.0)
"""Log-odds that the mouth or the eyes are hidden."""
MOUTH_HIDDEN: Final = 0.7
"""Log-odds from which the mouth counts as not seen: what moves is the mesh's guess."""


def face_quality(
    crop: NDArray[np.uint8], eye_distance: float, pose: HeadPose, cover: Cover
) -> float:
    """The least of the terms, 0 to 1.

    Args:
        crop: (side, side) grey, aligned.
        eye_distance: in the image that the crop was cut from, turn taken out [pixels].
        pose: of the head.
        cover: of the crop.
    """
    turned = (
        _ramp(abs(pose.yaw), YAW),
        _ramp(abs(pose.pitch), PITCH),
        _ramp(abs(pose.roll), ROLL),
    )
    seen = _ramp(cover.face, COVER)
    return min(_ramp(eye_distance, SIZE), *_image_terms(crop), *turned, seen)


def _image_terms(crop: NDArray[np.uint8]) -> tuple[float, float]:
    """Sharpness and contrast at a size of its own, so that `crop_size` changes neither."""
    small = at_side(crop)
    edges = cv2.Laplacian(small, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)
    spread = float(small.std())
    sharpness = float(edges.var()) / max(spread * spread, 1.0)
    return _ramp(math.log(max(sharpness, 1e-9)), SHARPNESS), _ramp(spread, CONTRAST)


def _ramp(value: float, ends: tuple[float, float]) -> float:
    """0 at the first end, 1 at the second, straight between."""
    low, high = ends
    return min(max((value - low) / (high - low), 0.0), 1.0)
