"""Filters on the way in: a high-pass against offset, drift and rumble, and a resampler."""

from __future__ import annotations

import cmath
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import HOP, SAMPLE_RATE, frames

CORNER_HZ: Final = 20.0
"""Half of the power passes here: below every voice, and below the third of the spectrogram's
bins."""
ORDER: Final = 4
_NOTHING: Final = 1e-10
"""Less than this (-200 dB) is silence: what the filter rings on after sound has ended."""


class _Section:
    """Two zeros at 0 Hz and a pair of conjugate poles.

    The recursion u[n] = p u[n - 1] + x[n] of one complex pole p is a cumulative sum over a
    block, u[k] = p^k (u[0] + sum of x[i] / p^i), and the imaginary part of p u / Im p is the
    response of the pair.
    """

    def __init__(self, pole: complex) -> None:
        self._pole = pole
        self._powers = pole ** np.arange(1, HOP + 1)
        # High frequencies pass as they are.
        self._gain = abs(1.0 + pole) ** 2 / 4.0
        self._u = 0j
        self._last = (0.0, 0.0)

    def settle(self, offset: float) -> None:
        """Be as if this offset had always been there."""
        self._u = offset / (1.0 - self._pole)
        response = offset / abs(1.0 - self._pole) ** 2
        self._last = (response, response)

    def filtered(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        """The next (160,) samples."""
        u = self._powers * (self._u + (block / self._powers).cumsum())
        self._u = complex(u[-1])
        response = np.concatenate((self._last, (self._pole * u).imag / self._pole.imag))
        self._last = (float(response[-2]), float(response[-1]))
        if abs(self._u) < _NOTHING**2:
            # Numbers that are all but 0 take the processor a hundred times as long.
            self._u, self._last = 0j, (0.0, 0.0)
        # `np.diff(response, 2)` takes longer to begin than to compute.
        steps = response[1:] - response[:-1]
        return np.asarray(self._gain * (steps[1:] - steps[:-1]))


def _poles() -> list[complex]:
    """Of a Butterworth high pass by the bilinear transform, those above the real axis."""
    warped = 2.0 * SAMPLE_RATE * math.tan(math.pi * CORNER_HZ / SAMPLE_RATE)
    angles = [math.pi * (ORDER + 1 + 2 * k) / (2 * ORDER) for k in range(ORDER // 2)]
    analogue = [warped * cmath.exp(1j * angle) for angle in angles]
    return [(2 * SAMPLE_RATE + pole) / (2 * SAMPLE_RATE - pole) for pole in analogue]


_POLES: Final = _poles()


class HighPass:
    """A Butterworth high pass for a 16 kHz stream.

    It works in blocks of 10 ms counted from the start of the stream, as columns of the
    spectrogram need them anyway: so the cuts between pushes leave no trace.  (SciPy's `sosfilt`
    does the same; importing scipy.signal takes 22 MB and half a second.)
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._kept: NDArray[np.float32] = np.zeros(0, np.float32)
        self._sections = [_Section(pole) for pole in _POLES]
        self._begins = True

    @property
    def pending(self) -> int:
        """Samples held back because their block is not full yet."""
        return len(self._kept)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Output of the blocks that these samples complete.

        Args:
            samples: (n,) 16 kHz mono.

        Returns:
            (m,), m a multiple of 160.
        """
        joined = np.concatenate((self._kept, samples))
        whole = len(joined) // HOP * HOP
        self._kept = joined[whole:]
        blocks = joined[:whole].astype(np.float64).reshape(-1, HOP)
        for number, block in enumerate(blocks):
            blocks[number] = self._filtered(block)
        blocks[np.abs(blocks) < _NOTHING] = 0.0
        return np.asarray(blocks.reshape(-1), np.float32)

    def drain(self) -> NDArray[np.float32]:
        """(m,) output of what is kept, m less than 160, at the end of a stream."""
        kept = len(self._kept)
        return self.push(np.zeros(HOP - kept, np.float32))[:kept] if kept else self._kept

    def _filtered(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._begins:
            # Else an offset would begin with a bang; behind the first section none is left.
            self._sections[0].settle(float(block.mean()))
            self._begins = False
        for section in self._sections:
            block = section.filtered(block)
        return block


# From any sample rate to 16 kHz, with little delay.
#
# soxr's streams hold back 20 to 120 ms at these rates (it works in blocks for throughput), so
# a short filter bank of our own is used: polyphase windowed sinc, Kaiser window (Oppenheim
# and Schafer, Discrete-Time Signal Processing, 3rd ed., sections 4.6 and 7.5.3).

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
