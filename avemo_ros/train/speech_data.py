"""Spectrograms of utterances, and what rooms and microphones may do to them.

All degradation acts on the spectrogram: powers of speech and noise add up, a room's echo is a
decay along time, a microphone is a gain for each bin, a voice of another length of vocal tract
is a stretch along frequency.  That is cheap enough to be new for every batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from avemo_ros.audio.chunk import BINS, SAMPLE_RATE
from avemo_ros.audio.spectrogram import FLOOR_DB, LogSpectrogram
from avemo_ros.model.preprocess import MAX_COLUMNS, MIN_COLUMNS
from avemo_ros.train.corpora import Utterance

_ACTIVE_DB: Final = 35.0
"""Columns this far below the loudest still belong to the speech [dB]."""
_NEPERS: Final = math.log(10) / 10
"""exp(dB x this) is the power."""
_EDGE: Final = 20
"""A crop may reach this far beyond the speech [columns]."""


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """An utterance's log spectrogram."""

    power_db: Tensor
    """(T, 200) float16, dB of a full-scale sine."""
    first: int
    """First column of speech."""
    last: int
    """Column after the last of speech."""


def load_spectrograms(
    utterances: Sequence[Utterance], cache: Path | None = None
) -> list[Spectrogram]:
    """Spectrograms of utterances, read from `cache` where that has the same files."""
    paths = [str(item.path) for item in utterances]
    if cache is not None and cache.exists():
        stored = torch.load(cache, weights_only=True)
        if stored["paths"] == paths:
            parts = torch.split(stored["power_db"], stored["columns"])
            return [_spectrogram(part) for part in parts]
    made = [
        torch.from_numpy(log_spectrogram(item.path)).half()
        for item in tqdm(utterances, desc="spectrograms", mininterval=10)
    ]
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        columns = [len(part) for part in made]
        torch.save({"paths": paths, "columns": columns, "power_db": torch.cat(made)}, cache)
    return [_spectrogram(part) for part in made]


def log_spectrogram(path: Path) -> NDArray[np.float32]:
    """(T, 200) dB of a sound file, T at most 1000; short sound is filled up with silence."""
    power_db = LogSpectrogram().push(read_sound(path))[:MAX_COLUMNS]
    lacking = max(0, MIN_COLUMNS - len(power_db))
    return np.pad(power_db, ((0, lacking), (0, 0)), constant_values=FLOOR_DB)


def read_sound(path: Path) -> NDArray[np.float32]:
    """(n,) mono sound of a file at 16 kHz, full scale -1 to 1."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        frames = [
            made for frame in container.decode(audio=0) for made in resampler.resample(frame)
        ]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def _spectrogram(power_db: Tensor) -> Spectrogram:
    loudness = power_db.float().amax(dim=1)
    active = torch.nonzero(loudness > loudness.max() - _ACTIVE_DB).flatten()
    return Spectrogram(power_db, int(active[0]), int(active[-1]) + 1)


def crop(given: Spectrogram, columns: int, chance: torch.Generator) -> Tensor:
    """A random window (columns, 200) float32 around the speech; silence beyond its ends."""
    low, high = sorted((given.first, given.last - columns))
    start = int(torch.randint(low - _EDGE, high + _EDGE + 1, (1,), generator=chance))
    return window(given.power_db, start, columns)


def window(power_db: Tensor, start: int, columns: int) -> Tensor:
    """Columns from `start` (may be negative) as (columns, 200) float32, filled up with
    silence."""
    result = torch.full((columns, BINS), FLOOR_DB)
    first, last = max(start, 0), min(start + columns, len(power_db))
    if last > first:
        result[first - start : last - start] = power_db[first:last].float()
    return result


def degrade(power_db: Tensor, chance: torch.Generator) -> Tensor:
    """Another voice, microphone, room and noise for each window.

    Args:
        power_db: (B, T, 200) dB.
        chance: source of chance.

    Returns:
        (B, T, 200) dB.
    """
    heard = _stretch(power_db, chance) + _microphone(len(power_db), chance)
    power = torch.exp(heard * _NEPERS)
    power = _add_noise(_echo(power, chance), chance)
    return power.clamp_min_(1e-10).log_().div_(_NEPERS)


def mask(features: Tensor, chance: torch.Generator) -> Tensor:
    """SpecAugment (Park et al. 2019): two bands and two spans of each window become its mean.

    Args:
        features: (B, 1, T, 200) network input.
        chance: source of chance.
    """
    fill = features.mean(dim=(2, 3), keepdim=True)
    hidden = torch.zeros(features.shape, dtype=torch.bool)
    for dim, longest in ((3, 24.0), (2, features.shape[2] * 0.15)):
        size = features.shape[dim]
        place = torch.arange(size)
        for _ in range(2):
            length = _uniform(len(features), 0, longest, chance)
            start = torch.rand(len(features), generator=chance) * (size - length)
            hit = (place >= start[:, None]) & (place < (start + length)[:, None])
            hidden |= hit[:, None, None, :] if dim == 3 else hit[:, None, :, None]
    return torch.where(hidden, fill, features)


def _uniform(n: int, low: float, high: float, chance: torch.Generator) -> Tensor:
    return torch.rand(n, generator=chance) * (high - low) + low


def _chosen(n: int, share: float, chance: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=chance) < share).float()


def _stretch(power_db: Tensor, chance: torch.Generator) -> Tensor:
    """Speak faster or slower, with a longer or shorter vocal tract."""
    n, columns, bins = power_db.shape
    time = _uniform(n, 0.87, 1.15, chance)
    frequency = _uniform(n, 0.9, 1.1, chance)
    nothing = torch.zeros(n)
    # Frequency is stretched about 0 Hz, the left edge (-1), time about the middle.
    rows = torch.stack(
        (
            torch.stack((frequency, nothing, frequency - 1), 1),
            torch.stack((nothing, time, nothing), 1),
        ),
        1,
    )
    grid = functional.affine_grid(rows, [n, 1, columns, bins], align_corners=False)
    moved = functional.grid_sample(
        power_db.unsqueeze(1), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return moved.squeeze(1)


def _microphone(n: int, chance: torch.Generator) -> Tensor:
    """(n, 1, 200) gain of each bin [dB]: tilt, a slow ripple, less of the lowest."""
    place = torch.linspace(0, 1, BINS)
    tilt = _uniform(n, -8, 8, chance)[:, None] * (place - 0.5)
    ripple = _uniform(n, 0, 4, chance)[:, None] * torch.cos(
        _uniform(n, 0, 6.28, chance)[:, None]
        + 6.28 * _uniform(n, 0.5, 3, chance)[:, None] * place
    )
    edge = _uniform(n, 1, 12, chance)[:, None]
    low = -12 * torch.exp(-torch.arange(BINS) / edge) * _chosen(n, 0.5, chance)[:, None]
    return (tilt + ripple + low).unsqueeze(1)


def _echo(power: Tensor, chance: torch.Generator) -> Tensor:
    """Every second window is heard in a room: reverberation time 0.15 to 0.9 s."""
    n = len(power)
    decay = 10 ** (-0.06 / _uniform(n, 0.15, 0.9, chance))[:, None]
    share = (_uniform(n, 0.05, 0.5, chance) * _chosen(n, 0.5, chance))[:, None]
    given = power * ((1 - decay) * share).unsqueeze(1)
    tail = torch.zeros(n, BINS)
    tails = []
    for column in given.unbind(1):
        tail = torch.addcmul(column, tail, decay)
        tails.append(tail)
    return power + torch.stack(tails, 1)


def _add_noise(power: Tensor, chance: torch.Generator) -> Tensor:
    """Steady noise of a random colour, 8 to 45 dB below the mean power of the window."""
    n, columns, bins = power.shape
    ratio = _uniform(n, 8, 45, chance) + 100 * (1 - _chosen(n, 0.6, chance))
    place = torch.linspace(0, 1, bins)
    colour = 10 ** (-_uniform(n, -0.5, 3.0, chance)[:, None] * place)
    colour = colour / colour.mean(1, keepdim=True)
    level = power.mean(dim=(1, 2)) * 10 ** (-ratio / 10)
    # The power of Gaussian noise in a bin is exponentially distributed.
    cells = -torch.rand(n, columns, bins, generator=chance).clamp_min_(1e-7).log_()
    return torch.addcmul(power, cells, (level[:, None] * colour)[:, None, :])
