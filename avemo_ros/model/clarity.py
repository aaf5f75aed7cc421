"""How clear a voice is, from its spectrogram alone: what tells speech from speech in noise.

A network that hears noise may be sure of nonsense, so its own certainty does not say when to
trust it.  Noise fills the gaps of speech: between words, between harmonics, above the voice.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

FIGURES: Final = 4


def clarity(relative: Tensor) -> Tensor:
    """Figures of a spectrogram that noise lowers (but for the first, which it raises).

    Args:
        relative: (B, 1, T, F), dB below the loudest point as `preprocess.relative` scales it
            (-2..2 for 80 dB).

    Returns:
        (B, 4): mean level; deviation of the columns' mean levels (pauses); of the bins' mean
        levels (colour); of what remains (harmonics, onsets).  In units of 20 dB.
    """
    level = relative.squeeze(1)
    mean = level.mean((1, 2), keepdim=True)
    columns = level.mean(2, keepdim=True) - mean
    bins = level.mean(1, keepdim=True) - mean
    rest = level - mean - columns - bins
    parts = [mean.flatten(1)] + [_deviation(part) for part in (columns, bins, rest)]
    return torch.cat(parts, 1)


def _deviation(centred: Tensor) -> Tensor:
    # The slope of the root must stay finite for a flat spectrogram.
    return centred.square().mean((1, 2)).clamp_min(1e-8).sqrt().unsqueeze(1)
