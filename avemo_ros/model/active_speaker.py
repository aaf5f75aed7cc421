"""Does this mouth make this sound?  A small network, and who of several speaks.

Active speaker detection by synchrony, as in Chung and Zisserman 2016, "Out of time: automated
lip sync in the wild", for a mouth of which only the opening is known.  A filter over the
opening and a network over the sound give six values each, 15 times a second.  Their
correlation over the last 2.4 s, with three weights of the past, tells a mouth that makes this
sound from one that moves to other words.  How much it moves, and whether it moves more while
speech is heard, tells it from one that rests.

`tools/speaker_scenes.py` trains the weights.  NumPy is all it needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from avemo_ros.audio.spectrogram import BINS, HOP_NS

RATE_HZ: Final = 15.0
"""Frames a second, whatever the camera gives."""
FRAMES: Final = 36
"""Of the window (2.4 s)."""
AROUND: Final = 3
"""Frames of the mouth before and after the window that the filter needs."""
FLOOR_S: Final = 5.5
"""The noise floor is that of the last seconds [s]."""

WEIGHTS: Final = "active_speaker.safetensors"

_EDGES_HZ: Final = np.array(
    [80, 200, 300, 400, 520, 650, 800, 980, 1180, 1420, 1700, 2030, 2420, 2880, 3400, 3980]
)
_EDGES: Final = _EDGES_HZ * BINS // 4000
BANDS: Final = len(_EDGES) - 1
"""Bands of the sound, 80 to 3980 Hz."""
_OFFSETS: Final = np.arange(-15, 6, 3)
"""Columns of the sound around a frame that the network hears."""
NOW: Final = 5
"""Which of them is the frame's own."""
INPUTS: Final = (BANDS + 1) * len(_OFFSETS)
"""Values of the sound a frame: bands and the probability of speech, column by column."""
_FLOOR_SHARE: Final = 15
"""The noise floor is that percentile."""
QUIETEST_DB: Final = -70.0
"""Quieter noise is none: the floor of digital silence would lie far below all speech [dB]."""
_DB: Final = 20.0
_MOUTH: Final = 0.08
"""Unit of the opening [distances of the eyes]."""
_BLUR_S: Final = 1 / RATE_HZ
_AHEAD_NS: Final = 20_000_000
"""A column's window of 40 ms is centred so long before its end [ns]."""

Array = NDArray[np.float32]


def bands(power_db: NDArray[np.floating[Any]]) -> Array:
    """(columns, 200) dB to the means of the bands (columns, BANDS), at least QUIETEST_DB."""
    sums = np.add.reduceat(power_db[:, : _EDGES[-1]], _EDGES[:-1], axis=1)
    return np.asarray(np.maximum(sums / np.diff(_EDGES), QUIETEST_DB), np.float32)


def noise_floor(levels: Array) -> Array:
    """(BANDS,) dB of what is not speech, of (columns, BANDS), at least one column."""
    return np.asarray(np.percentile(levels, _FLOOR_SHARE, axis=0), np.float32)


def heard_columns(
    times_ns: NDArray[np.int64], start_ns: int, columns: int
) -> NDArray[np.int64]:
    """(n, 7), the columns that are heard at some times; the first or last one where there is
    none.

    Args:
        times_ns: (n,) [ns].
        start_ns: when the first column's window ends [ns].
        columns: how many there are, at least 1.
    """
    nearest = (times_ns + _AHEAD_NS - start_ns + HOP_NS // 2) // HOP_NS
    return np.asarray(np.clip(nearest[:, None] + _OFFSETS, 0, columns - 1), np.int64)


def sound_inputs(levels: Array, floor: Array, speech: Array) -> Array:
    """What the network hears.

    Args:
        levels: (..., 7, BANDS) [dB] of columns as `heard_columns` names them.
        floor: (BANDS,) [dB], or of more axes.
        speech: (..., 7), probability.

    Returns:
        (..., INPUTS)
    """
    above = np.clip((levels - floor) / np.float32(_DB), -0.5, 2.0)
    both = np.concatenate((above, speech[..., None]), axis=-1)
    return np.asarray(both.reshape(*both.shape[:-2], INPUTS), np.float32)


def mouth_frames(
    openings: NDArray[np.floating[Any]],
    stamps_ns: NDArray[np.int64],
    times_ns: NDArray[np.int64],
) -> Array:
    """The opening of a mouth at even times: linear between the images, and the mean over 67 ms
    to both sides, so that the camera's rate hardly matters.

    Args:
        openings: (n,), no NaN, n at least 1.
        stamps_ns: (n,), ascending [ns].
        times_ns: (m,) [ns].
    """
    around = np.linspace(-_BLUR_S, _BLUR_S, 5)
    places = (times_ns - stamps_ns[0])[:, None] / 1e9 + around
    known = (stamps_ns - stamps_ns[0]) / 1e9
    return np.asarray(np.interp(places, known, openings).mean(axis=1), np.float32)


class ActiveSpeakerNetwork:
    """The network with its weights; see the module."""

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        self._weights = {name: np.asarray(one, np.float32) for name, one in weights.items()}
        age_s = np.arange(FRAMES - 1, -1, -1, dtype=np.float32) / np.float32(RATE_HZ)
        past = np.exp(-age_s / self._weights["past_s"][:, None])
        self._past = np.asarray(past / past.sum(axis=1, keepdims=True), np.float32)

    @property
    def unseen(self) -> float:
        """Log-odds that somebody unseen speaks."""
        return float(self._weights["unseen"].item())

    @property
    def hidden(self) -> float:
        """Log-odds of a face whose mouth cannot be seen."""
        return float(self._weights["hidden"].item())

    @property
    def overlap(self) -> float:
        """What each further speaker costs at the same time, in log-odds."""
        return float(self._weights["overlap"].item())

    def hear(self, inputs: Array) -> Array:
        """(..., INPUTS) as `sound_inputs` makes them to the sound's six values (..., 6)."""
        w = self._weights
        hidden = np.maximum(inputs @ w["hear1.weight"].T + w["hear1.bias"], 0)
        return np.asarray(hidden @ w["hear2.weight"].T + w["hear2.bias"], np.float32)

    def match(self, heard: Array, speech: Array, mouths: Array) -> Array:
        """Log-odds that mouths make the sound.

        Args:
            heard: (n, FRAMES, 6), or n of 1, of `hear`.
            speech: (n, FRAMES), or n of 1, probability.
            mouths: (n, FRAMES + 2 AROUND) opening [distances of the eyes], n or 1.

        Returns:
            (n,)
        """
        w, past = self._weights, self._past
        moved = (mouths - mouths.mean(axis=1, keepdims=True)) / np.float32(_MOUTH)
        seen = moved[:, np.arange(FRAMES)[:, None] + np.arange(2 * AROUND + 1)]
        shape = seen @ w["watch.weight"].T + w["watch.bias"]
        sound = heard - heard.mean(axis=1, keepdims=True)
        shape = shape - shape.mean(axis=1, keepdims=True)
        power = (past @ sound**2 + _SMALL) * (past @ shape**2 + _SMALL)
        synchrony = (past @ (sound * shape)) / np.sqrt(power)
        steps = np.abs(np.diff(moved, axis=1)[:, AROUND - 1 : AROUND - 1 + FRAMES])
        spoken = speech @ past.T
        motion = np.log(steps @ past.T + _LEAST) + 2
        speaking = np.log((steps * speech) @ past.T / (spoken + _LEAST) + _LEAST) + 2
        more = speech - speech.mean(axis=1, keepdims=True)
        opened = (moved[:, AROUND : AROUND + FRAMES] * more) @ past.T
        count = max(len(heard), len(mouths))
        parts = (synchrony.reshape(len(synchrony), -1), motion, speaking, opened, spoken)
        values = np.concatenate(
            [np.broadcast_to(p, (count, p.shape[1])) for p in parts], axis=1
        )
        deep = np.tanh(values @ w["judge1.weight"].T + w["judge1.bias"])
        return np.asarray((deep @ w["judge2.weight"].T + w["judge2.bias"])[:, 0], np.float32)

    def shares(self, odds: Sequence[float]) -> tuple[list[float], float]:
        """How likely each of some faces speaks, given that somebody does.

        Every set of faces may speak, or somebody unseen: a set's weight is the product of its
        faces' odds, and `overlap` for each face beyond the first.

        Args:
            odds: log-odds of each face, by `match` or `hidden`.

        Returns:
            Probability of each face, which may sum to more than 1; and of somebody unseen.
        """
        values = np.asarray(odds, np.float64)
        total = float(self.evidence(values))
        costly = np.exp(values - self.overlap)
        unseen = math.exp(self.unseen - total)
        # What all sets of at least one face have, and the empty set would have beside them.
        seen = 1 - unseen + math.exp(self.overlap - total)
        return (seen * costly / (1 + costly)).tolist(), unseen

    def evidence(self, odds: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Logarithm of the weight of all that may be, for log-odds (..., faces): (...)."""
        every = np.logaddexp(0, np.asarray(odds, np.float64) - self.overlap).sum(axis=-1)
        some = np.exp(self.overlap) * np.expm1(every)
        return np.asarray(np.log(np.exp(self.unseen) + some), np.float64)


_SMALL: Final = np.float32(0.02)
_LEAST: Final = np.float32(0.05)


@cache
def active_speaker_network() -> ActiveSpeakerNetwork:
    """The network with the package's weights."""
    return ActiveSpeakerNetwork(load((files(__package__) / WEIGHTS).read_bytes()))
