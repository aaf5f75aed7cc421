"""How well a face can be read: the least of what its size, sharpness, light, pose and what
hides it allow.

Whether something hides it: the mesh guesses what it cannot see: a mask looks like a closed
mouth to it, and an upside-down face like an upright one. A network with one small layer looks
at gradients (HOG), brightness and texture of the aligned crop instead. `tools/face_cover.py`
trained it and measures it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from avemo_ros.vision.face import HeadPose

SIDE: Final = 48
CLASSES: Final = ("ordinary", "mouth", "eyes")
"""What the network tells apart: nothing hidden; the mouth hidden or the face upside down; the
eyes hidden."""
WEIGHTS: Final = "face_cover.safetensors"

_HOG: Final = cv2.HOGDescriptor((SIDE, SIDE), (16, 16), (8, 8), (8, 8), 9)


@dataclass(frozen=True, slots=True)
class Cover:
    """Log-odds against an ordinary face: 0 is as likely as not."""

    face: float
    """That mouth or eyes are hidden."""
    mouth: float
    """That the mouth is."""


def cover_of(crop: NDArray[np.uint8]) -> Cover:
    """What hides a face (0.1 ms).

    Args:
        crop: (side, side) grey, aligned.
    """
    network = _network()
    hidden = np.maximum(network["w1"] @ cover_features(crop) + network["b1"], 0.0)
    ordinary, mouth, eyes = (network["w2"] @ hidden + network["b2"]).tolist()
    return Cover(float(np.logaddexp(mouth, eyes)) - ordinary, mouth - ordinary)


def cover_features(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(1080,) of what the network looks at: gradients, relative brightness, texture.

    Args:
        crop: (side, side) grey, aligned.
    """
    small = at_side(crop)
    grey = _areas(small.astype(np.float32), 12)
    edges = np.abs(cv2.Laplacian(small, cv2.CV_32F))
    parts = (
        np.asarray(_HOG.compute(small)).ravel(),
        (grey - grey.mean()) / (grey.std() + 4.0),
        np.log1p(_areas(edges, 6)),
    )
    return np.asarray(np.concatenate(parts), np.float32)


def at_side(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The crop with SIDE pixels a side, so that `crop_size` changes nothing."""
    if crop.shape[0] == SIDE:
        return crop
    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _areas(image: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(count * count,) means of as many squares of an image."""
    return np.asarray(
        cv2.resize(image, (count, count), interpolation=cv2.INTER_AREA), np.float32
    ).ravel()


@cache
def _network() -> dict[str, NDArray[np.float32]]:
    stored = load((files(__package__) / WEIGHTS).read_bytes())
    return {name: values.astype(np.float32) for name, values in stored.items()}


# Every term rises in a straight line from 0 to 1 between the two values given here.

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
