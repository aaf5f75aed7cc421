"""From any sample rate to 16 kHz, with little delay.

soxr's streams hold back 20 to 120 ms at these rates (it works in blocks for throughput), so a
short filter bank of our own is used: polyphase windowed sinc, Kaiser window (Oppenheim and
Schafer, Discrete-Time Signal Processing, 3rd ed., sections 4.6 and 7.5.3).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import SAMPLE_RATE
from avemo_ros.audio.spectrogram import frames

_STOP_DB: Final = 80.0
_EDGE: Final = 0.1
"""Width of the transition band, as a share of the lower one of both rates; it is centred on
that rate's half: flat up to 7.2 kHz, and what aliases falls between 7.2 and 8 kHz."""
_MAX_PHASES: Final = 2048
_GROUP: Final = 320
"""Output samples are computed in groups, which bounds the memory of a large block."""


class Resampler:
    """Turns a mono stream at one rate into 16 kHz.

    Output sample i belongs to the time of input sample i * rate / 16000: the filter's delay is
    taken out, and only makes the output come `delay_s` later.  How the input is cut into
    blocks leaves no trace in the output.
    """

    def __init__(self, rate: int) -> None:
        """Design the filters for one rate.

        Args:
            rate: samples per second of the input, 4000 to 384000 [Hz].
        """
        self.rate = rate
        divisor = math.gcd(rate, SAMPLE_RATE)
        self._up = SAMPLE_RATE // divisor
        self._down = rate // divisor
        self._bank = _filter_bank(rate, self._up)
        self._half = self._bank.shape[1] // 2
        self.reset()

    def reset(self) -> None:
        """Start a new stream: the next input sample is number 0."""
        # Silence before the first sample, so that it can be the centre of a window.
        self._kept: NDArray[np.float32] = np.zeros(self._half - 1, np.float32)
        self._first = 1 - self._half
        self._next = 0

    @property
    def delay_s(self) -> float:
        """How much sound is held back at most [s]."""
        return 0.0 if self.rate == SAMPLE_RATE else self._half / self.rate

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Output that these samples complete.

        Args:
            samples: (n,) mono.

        Returns:
            (m,) at 16 kHz.
        """
        if self.rate == SAMPLE_RATE:
            return samples.astype(np.float32, copy=True)
        self._kept = np.concatenate((self._kept, samples.astype(np.float32, copy=False)))
        taps = self._bank.shape[1]
        if len(self._kept) < taps:
            return np.zeros(0, np.float32)
        # Output m lies between input base and base + 1 and needs the inputs from
        # base - half + 1 to base + half.
        newest = self._first + len(self._kept) - 1
        ready = ((newest - self._half + 1) * self._up - 1) // self._down + 1
        windows = frames(self._kept, taps, 1)
        groups = [
            self._group(windows, start, min(start + _GROUP, ready))
            for start in range(self._next, ready, _GROUP)
        ]
        self._next = max(self._next, ready)
        drop = self._next * self._down // self._up - self._half + 1 - self._first
        if drop > 0:
            self._kept = self._kept[drop:].copy()
            self._first += drop
        return np.concatenate(groups) if groups else np.zeros(0, np.float32)

    def _group(
        self, windows: NDArray[np.float32], start: int, stop: int
    ) -> NDArray[np.float32]:
        shift = 1 - self._half - self._first
        if self._up == 1:
            rows = windows[start * self._down + shift :: self._down][: stop - start]
            return np.asarray(np.einsum("nk,k->n", rows, self._bank[0]), np.float32)
        position = np.arange(start, stop, dtype=np.int64) * self._down
        base, part = position // self._up, position % self._up
        phases = len(self._bank) - 1
        # Rates with no common divisor with 16000 have more phases than the bank; the nearest
        # one is off by 1/4096 of an input sample at most.
        exact = phases == self._up
        phase = part if exact else np.rint(part * phases / self._up).astype(np.int64)
        rows = windows[base + shift]
        return np.asarray(np.einsum("nk,nk->n", rows, self._bank[phase]), np.float32)


def _filter_bank(rate: int, up: int) -> NDArray[np.float32]:
    """One low pass per output position between two input samples: (phases + 1, taps)."""
    lower = min(rate, SAMPLE_RATE)
    # Kaiser's estimate of the length for this stop band and transition width.
    half_s = (_STOP_DB - 7.95) / (2.285 * 2 * math.pi * _EDGE * lower) / 2
    half = math.ceil(half_s * rate)
    phases = min(up, _MAX_PHASES)
    beta = 0.1102 * (_STOP_DB - 8.7)
    offset = np.arange(1 - half, half + 1) - np.arange(phases + 1)[:, None] / phases
    taper = np.i0(beta * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, 1))) / np.i0(beta)
    bank = np.sinc(offset * lower / rate) * taper
    return np.asarray(bank / bank.sum(axis=1, keepdims=True), np.float32)
