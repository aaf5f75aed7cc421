"""What voices, rooms and microphones do to the spectrogram of speech.

All degradation acts on the spectrogram: powers of speech and noise add up, a room's echo is a
decay along time, a microphone is a gain for each bin, a voice of another length of vocal tract
is a stretch along frequency.  That is cheap enough to be new for every batch.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from avemo_ros.train.config import SpeechAugment

_NEPERS: Final = math.log(10) / 10
"""exp(dB x this) is the power."""
_HOP_S: Final = 0.01
"""Time from one column to the next [s]."""


def degrade(power_db: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """Another voice, microphone, room and noise for each window.

    Args:
        power_db: (B, T, bins) dB.
        chance: source of chance, on the device of `power_db`.
        how: probabilities and strengths.

    Returns:
        (B, T, bins) dB.
    """
    n = len(power_db)
    changed = _chosen(n, how.probability, chance)
    heard = power_db
    if how.stretch > 0.0:
        does = torch.ones_like(changed) if how.stretch_always else changed
        does = does * _chosen(n, how.stretch, chance)
        heard = _stretch(power_db, does, chance, how)
    if how.microphone > 0.0:
        heard = heard + _microphone(heard, chance, how) * changed.view(-1, 1, 1)
    # Only the rows that have it: the exponentials cost more than all else.
    echoing = changed * _chosen(n, how.echo, chance)
    noisy = changed * _chosen(n, how.noise, chance)
    rows = torch.nonzero(echoing + noisy).flatten()
    if len(rows) == 0:
        return heard
    power = torch.exp(heard[rows] * _NEPERS)
    for chosen, change in ((echoing, _echo), (noisy, _add_noise)):
        places = torch.nonzero(chosen[rows]).flatten()
        if len(places):
            power = power.index_copy(0, places, change(power[places], chance, how))
    return heard.index_copy(0, rows, power.clamp_min_(1e-10).log_().div_(_NEPERS))


def mask(features: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """SpecAugment (Park et al. 2019): bands and spans of each window become its mean.

    Args:
        features: (B, 1, T, bins) network input.
        chance: source of chance, on the device of `features`.
        how: number and widths of the masks.
    """
    if how.masks == 0:
        return features
    fill = features.mean(dim=(2, 3), keepdim=True)
    hidden = torch.zeros(features.shape, dtype=torch.bool, device=features.device)
    for dim, longest in ((3, how.mask_bins), (2, features.shape[2] * how.mask_time)):
        size = features.shape[dim]
        place = torch.arange(size, device=features.device)
        for _ in range(how.masks):
            length = _uniform(len(features), 0, min(longest, size), chance)
            start = _uniform(len(features), 0, 1, chance) * (size - length)
            hit = (place >= start[:, None]) & (place < (start + length)[:, None])
            hidden |= hit[:, None, None, :] if dim == 3 else hit[:, None, :, None]
    return torch.where(hidden, fill, features)


def _uniform(n: int, low: float, high: float, chance: torch.Generator) -> Tensor:
    return torch.rand(n, generator=chance, device=chance.device) * (high - low) + low


def _chosen(n: int, share: float, chance: torch.Generator) -> Tensor:
    return (_uniform(n, 0, 1, chance) < share).float()


def _stretch(
    power_db: Tensor, does: Tensor, chance: torch.Generator, how: SpeechAugment
) -> Tensor:
    """Speak faster or slower, with a longer or shorter vocal tract."""
    n, columns, bins = power_db.shape
    time = 1 + (_uniform(n, how.tempo_low, how.tempo_high, chance) - 1) * does
    frequency = 1 + _uniform(n, -how.tract, how.tract, chance) * does
    device = power_db.device
    # Frequency is stretched about 0 Hz, time about the middle.  Each axis by itself: several
    # times faster than sampling a grid.
    half = columns / 2
    to = time[:, None] * (torch.arange(columns, device=device) + 0.5 - half) + half - 0.5
    before, after, share = _between(to, columns)
    first = torch.arange(n, device=device)[:, None] * columns
    flat = power_db.flatten(0, 1)
    early = flat.index_select(0, (before + first).flatten()).view_as(power_db)
    late = flat.index_select(0, (after + first).flatten()).view_as(power_db)
    timed = torch.lerp(early, late, share.unsqueeze(2))
    to = frequency[:, None] * (torch.arange(bins, device=device) + 0.5) - 0.5
    before, after, share = _between(to, bins)
    low = timed.gather(2, before.unsqueeze(1).expand_as(timed))
    high = timed.gather(2, after.unsqueeze(1).expand_as(timed))
    return torch.lerp(low, high, share.unsqueeze(1))


def _between(places: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours of places on an axis of `size`, and the share of the second."""
    places = places.clamp(0, size - 1)
    before = places.floor().long()
    return before, (before + 1).clamp_max(size - 1), places - before


def _microphone(power_db: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """(n, 1, bins) gain of each bin [dB]: tilt, a slow ripple, less of the lowest."""
    n, _, bins = power_db.shape
    place = torch.linspace(0, 1, bins, device=power_db.device)
    tilt = _uniform(n, -how.tilt_db, how.tilt_db, chance)[:, None] * (place - 0.5)
    ripple = _uniform(n, 0, how.ripple_db, chance)[:, None] * torch.cos(
        _uniform(n, 0, 2 * math.pi, chance)[:, None]
        + 2 * math.pi * _uniform(n, 0.5, 3, chance)[:, None] * place
    )
    edge = _uniform(n, 1, 12, chance)[:, None]
    number = torch.arange(bins, device=power_db.device)
    low = -how.low_cut_db * torch.exp(-number / edge)
    low = low * _chosen(n, how.low_cut, chance)[:, None]
    does = _chosen(n, how.microphone, chance)[:, None]
    return ((tilt + ripple + low) * does).unsqueeze(1)


def _echo(power: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """A room: an exponential tail (60 dB in the reverberation time) of part of the power."""
    n, _, bins = power.shape
    longest = max(how.echo_low_s, how.echo_high_s)
    decay = 10 ** (-6 * _HOP_S / _uniform(n, how.echo_low_s, longest, chance))[:, None]
    share = _uniform(n, 0.05, 0.5, chance)[:, None]
    given = power * ((1 - decay) * share).unsqueeze(1)
    tail = torch.zeros(n, bins, device=power.device)
    tails = []
    for column in given.unbind(1):
        tail = torch.addcmul(column, tail, decay)
        tails.append(tail)
    return power + torch.stack(tails, 1)


def _add_noise(power: Tensor, chance: torch.Generator, how: SpeechAugment) -> Tensor:
    """Steady noise of a random colour, some dB below the mean power of the window."""
    n, columns, bins = power.shape
    highest = max(how.noise_low_db, how.noise_high_db)
    ratio = _uniform(n, how.noise_low_db, highest, chance)
    place = torch.linspace(0, 1, bins, device=power.device)
    colour = 10 ** (-_uniform(n, -0.5, 3.0, chance)[:, None] * place)
    colour = colour / colour.mean(1, keepdim=True)
    level = power.mean(dim=(1, 2)) * 10 ** (-ratio / 10)
    # The power of Gaussian noise in a bin is exponentially distributed.
    cells = torch.rand(n, columns, bins, generator=chance, device=power.device)
    cells = -cells.clamp_min_(1e-7).log_()
    return torch.addcmul(power, cells, (level[:, None] * colour)[:, None, :])
