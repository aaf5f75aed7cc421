"""How certain it is that something hides the mouth or the eyes of a face, or that it is no
upright face at all.

The mesh guesses what it cannot see: a mask looks like a closed mouth to it, and an upside-down
face like an upright one.  A network with one small layer looks at gradients (HOG), brightness
and texture of the aligned crop instead.  `tools/face_cover.py` trained it and measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

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
