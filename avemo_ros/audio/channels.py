"""From the channels of a source to one: constant offsets, choice of a channel, mix."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_MEMORY_S: Final = 0.5
_LEAST: Final = 1e-3
"""A smaller offset (-60 dB of full scale) is none."""


class OffsetMeter:
    """Knows the mean of each channel over the last half second.

    Silence of zeros in sound that has an offset would begin and end with a bang, which no high
    pass takes away.
    """

    def __init__(self) -> None:
        self._recent: NDArray[np.float32] = np.zeros((0, 1), np.float32)

    @property
    def value(self) -> NDArray[np.float32]:
        """(channels,), full scale -1 to 1; exactly 0 where there is hardly any; (1,) before any
        sound."""
        if len(self._recent) == 0:
            return np.zeros(1, np.float32)
        mean = self._recent.mean(axis=0, dtype=np.float64)
        # What is no number, or beyond full scale, is no offset either.
        real = (np.abs(mean) >= _LEAST) & (np.abs(mean) <= 1.0)
        return np.where(real, mean, 0.0).astype(np.float32)

    def add(self, samples: NDArray[np.float32], rate: int) -> None:
        """Take the next (n, channels) samples; another channel count starts anew."""
        if samples.ndim != 2:
            return  # refused elsewhere
        before = self._recent
        if before.shape[1] != samples.shape[1]:
            before = before[:0, :1].repeat(samples.shape[1], axis=1)
        self._recent = np.concatenate((before, samples))[-round(_MEMORY_S * rate) :]


_SLICES_PER_S: Final = 50
_MEANS: Final = 10
"""Of a slice, for the correlation of low frequencies."""
_LEAST_SLICES: Final = 15
"""Before so many slices the few means of independent channels may correlate by chance."""
_MEMORY: Final = 0.96
"""Share of the correlation that is kept from slice to slice: half a second."""
_OPPOSED: Final = -0.5
"""A channel whose correlation with the sum of the others is below this is turned around."""


class Mixer:
    """Turns a stream of (n, channels) into one channel.

    Channels of opposite polarity (a wrongly wired cable or adapter) would cancel in the mean;
    their polarity is found from the correlation of the last half second and turned around.  The
    correlation is that of the differences from sample to sample: an offset or hum that the
    channels share says nothing about their polarity.  Where noise hides it, the correlation of
    the differences of means over 2 ms, around 125 Hz, still tells.

    Polarity is judged in slices of 20 ms counted from the start of the stream and holds from
    the next slice on, so how the sound is cut into blocks leaves no trace.
    """

    def __init__(self, rate: int, channels: int, channel: int = -1) -> None:
        """Start a stream.

        Args:
            rate: samples per second [Hz].
            channels: at least 1.
            channel: the one that is taken, less than `channels`; -1: the mean of all.
        """
        self._one = 0 if channels == 1 else channel
        self._slice = rate // _SLICES_PER_S
        self._parts: list[NDArray[np.float32]] = []
        self._filled = 0
        self._polarity = np.ones(channels, np.float32)
        self._products = np.zeros((2, channels, channels))
        self._judged = 0

    @property
    def polarity(self) -> NDArray[np.float32]:
        """(channels,), 1 or -1: what each channel is multiplied by."""
        return self._polarity.copy()

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix the next samples.

        Args:
            samples: (n, channels).

        Returns:
            (n,).
        """
        if self._one >= 0:
            return samples[:, self._one]
        mixed = np.empty(len(samples), np.float32)
        at = 0
        while at < len(samples):
            part = samples[at : at + self._slice - self._filled]
            mixed[at : at + len(part)] = (part * self._polarity).mean(axis=1)
            at += len(part)
            self._parts.append(part)
            self._filled += len(part)
            if self._filled == self._slice:
                self._judge(np.concatenate(self._parts))
                self._parts, self._filled = [], 0
        # Blocks may be views of buffers that are written to again.
        self._parts = [part.copy() for part in self._parts]
        return mixed

    def _judge(self, samples: NDArray[np.float32]) -> None:
        self._judged += 1
        exact = samples.astype(np.float64)
        length = self._slice // _MEANS
        means = exact[: _MEANS * length].reshape(_MEANS, length, -1).mean(axis=1)
        # At 125 Hz microphones half a metre apart are still in phase.
        for number, steps in enumerate((np.diff(exact, axis=0), means[2:] - means[:-2])):
            self._products[number] = _MEMORY * self._products[number] + steps.T @ steps
        for _ in self._polarity:
            correlation, slow = (self._correlation(one) for one in self._products)
            if self._judged >= _LEAST_SLICES:
                correlation = np.minimum(correlation, slow)
            # Of two that are opposed, the first keeps its polarity.
            worst = len(correlation) - 1 - int(np.argmin(correlation[::-1]))
            if correlation[worst] >= _OPPOSED:
                return
            self._polarity[worst] *= -1.0

    def _correlation(self, products: NDArray[np.float64]) -> NDArray[np.float64]:
        """(channels,), of each channel with the sum of the others."""
        signed = products * np.outer(self._polarity, self._polarity)
        own = np.diag(signed)
        with_others = signed.sum(axis=1) - own
        others = signed.sum() - own - 2.0 * with_others  # the power of their sum
        scale = np.sqrt(np.maximum(own * others, 0.0))
        return np.divide(with_others, scale, out=np.zeros_like(own), where=scale > 0.0)
