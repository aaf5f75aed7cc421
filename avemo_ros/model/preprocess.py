"""From features to network input, the same way for training, live input and replay.

Live input is made with NumPy alone; PyTorch is imported by the functions of tensors only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import BINS

if TYPE_CHECKING:
    from torch import Tensor

FACE_SIDE: Final = 48
"""Side of the face image that the network sees [pixels] (that of FER2013)."""
MIN_COLUMNS: Final = 63
"""Shortest spectrogram the speech network can read [columns of 10 ms]."""
MAX_COLUMNS: Final = 1000
"""Longest spectrogram the speech network takes [columns of 10 ms]."""
RANGE_DB: Final = 80.0
"""Depth of the spectrogram below its own loudest point [dB]."""
QUIET_DB: Final = -60.0
"""The loudest point counts as no quieter than this [dB of a full-scale sine], so that near
silence is not blown up to speech."""

_LEAST_CONTRAST: Final = 0.03


def face_array(
    crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], side: int = FACE_SIDE
) -> NDArray[np.float32]:
    """Face crops as the face network takes them.

    Each image is brought to zero mean and unit deviation, so brightness and contrast of the
    camera do not matter.

    Args:
        crops: grey square images, each (s, s) uint8 of any s.
        side: of the images that the network takes [pixels].

    Returns:
        (N, 1, side, side) float32; each image by itself, whatever others come with it.

    Raises:
        ValueError: a crop is not a grey square of bytes.
    """
    fitting = np.empty((len(crops), side, side), np.uint8)
    for index, crop in enumerate(crops):
        if crop.ndim != 2 or crop.shape[0] != crop.shape[1] or crop.dtype != np.uint8:
            raise ValueError(
                f"face crop {index} is {crop.dtype} {crop.shape}; allowed: uint8 (side, side)"
            )
        if crop.shape[0] == 0:
            raise ValueError(f"face crop {index} is empty")
        if crop.shape[0] == side:
            fitting[index] = crop
        else:
            # Area resampling averages when it shrinks, but makes blocks when it enlarges much.
            much = side > max(FACE_SIDE, crop.shape[0])
            way = cv2.INTER_LINEAR if much else cv2.INTER_AREA
            fitting[index] = cv2.resize(crop, (side, side), interpolation=way)
    # Rows, so that a sum does not depend on how many images there are.
    flat = fitting.reshape(len(crops), side * side).astype(np.float32) / np.float32(255.0)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.maximum(np.sqrt(np.square(flat).mean(1, keepdims=True)), _LEAST_CONTRAST)
    return np.asarray(flat.reshape(len(crops), 1, side, side), np.float32)


def face_tensor(
    crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], side: int = FACE_SIDE
) -> Tensor:
    """`face_array` as a tensor."""
    import torch

    return torch.from_numpy(face_array(crops, side))


def standardise(images: Tensor) -> Tensor:
    """Zero mean and unit deviation for each image.

    Args:
        images: (N, 1, H, W) float32, 0 to 1.

    Returns:
        The same shape; a flat image becomes zeros.
    """
    import torch

    variance, mean = torch.var_mean(images, dim=(2, 3), correction=0, keepdim=True)
    return (images - mean) / variance.sqrt().clamp_min(_LEAST_CONTRAST)


def spectrogram_array(power_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """A window of log spectrogram as the speech network takes it.

    Args:
        power_db: (T, 200), dB of a full-scale sine, T from 63 to 1000 columns of 10 ms.

    Returns:
        (1, 1, T, 200) float32; see `relative`.

    Raises:
        ValueError: the shape is another.
    """
    if power_db.ndim != 2 or power_db.shape[1] != BINS:
        raise ValueError(f"spectrogram is {power_db.shape}; allowed: (T, {BINS})")
    if not MIN_COLUMNS <= len(power_db) <= MAX_COLUMNS:
        raise ValueError(
            f"spectrogram has {len(power_db)} columns; allowed: {MIN_COLUMNS} to {MAX_COLUMNS} "
            "(0.63 s to 10 s)"
        )
    values = np.asarray(power_db, np.float32)
    below = np.maximum(values - np.maximum(values.max(), QUIET_DB), -RANGE_DB)
    return np.ascontiguousarray((below + RANGE_DB / 2) / (RANGE_DB / 4))[None, None]


def spectrogram_tensor(power_db: NDArray[np.float32]) -> Tensor:
    """`spectrogram_array` as a tensor."""
    import torch

    return torch.from_numpy(spectrogram_array(power_db))


def relative(power_db: Tensor) -> Tensor:
    """Level-invariant spectrogram: dB below its loudest point, cut at 80, scaled to -2..2.

    Args:
        power_db: (B, 1, T, 200) dB of a full-scale sine.

    Returns:
        The same shape, float32.
    """
    peak = power_db.amax(dim=(1, 2, 3), keepdim=True).clamp_min(QUIET_DB)
    return (power_db - peak).clamp_min(-RANGE_DB).add(RANGE_DB / 2).div(RANGE_DB / 4)
