"""How fast sound comes: whether its rate is what the source says."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.clock import NS_PER_S, to_ns

_SPANS: Final = ((to_ns(3.0), 0.25), (to_ns(8.0), 0.05))
"""A great difference shows within 3 s; a small one (44.1 kHz for 48) takes 8 s to be told from
blocks that come irregularly."""
_LEAST_BURSTS: Final = 6
_STEADY: Final = 0.15
"""Each third of the span is within this share of the whole, else it is not the rate."""
_ALIKE: Final = 0.03
"""Single blocks come at the speed of the whole, within this share: where some are lost, those
between come at their rate."""
_JUMP_BACK_NS: Final = NS_PER_S
_PAUSE_NS: Final = 2 * NS_PER_S
_TOGETHER: Final = 0.3
"""Blocks whose stamps are closer than this share of their length were handed over at once."""


class RateMeter:
    """Holds the count of samples against the stamps over some seconds.

    It tells a steady ratio, as a wrong rate makes it, from losses (between which sound comes at
    its rate) and from hiccups (after which it is at its rate on the whole).
    """

    def __init__(self, rate: int) -> None:
        """Start to measure.

        Args:
            rate: samples per second by what the source says [Hz].
        """
        self._rate = rate
        self._bursts: deque[tuple[int, int]] = deque()
        """Stamp of each burst of blocks [ns] and the samples before it."""
        self._count = 0
        self._speed = 1.0
        self._judged_ns = 0

    @property
    def speed(self) -> float:
        """How many times as fast as the rate says the sound comes; 1 where that is about right
        or not known yet."""
        return self._speed

    def add(self, stamp_ns: int, samples: int) -> None:
        """Take note of the next block.

        Args:
            stamp_ns: sensor time of its first sample [ns]; 0 or less is not known.
            samples: its samples per channel.
        """
        if stamp_ns <= 0:
            return
        if self._bursts:
            step_ns = stamp_ns - self._bursts[-1][0]
            length_ns = samples * NS_PER_S // self._rate
            if not -_JUMP_BACK_NS < step_ns < _PAUSE_NS + 3 * length_ns:
                self._bursts.clear()
                self._count = 0
            elif step_ns < _TOGETHER * length_ns:
                self._count += samples
                return
        self._bursts.append((stamp_ns, self._count))
        self._count += samples
        while stamp_ns - self._bursts[0][0] > _SPANS[-1][0] + NS_PER_S:
            self._bursts.popleft()
        if abs(stamp_ns - self._judged_ns) > NS_PER_S // 4:
            self._judged_ns = stamp_ns
            self._speed = self._judge()

    def _judge(self) -> float:
        stamps, counts = np.array(self._bursts, np.float64).T
        for span_ns, least in _SPANS:
            first = int(np.searchsorted(stamps, stamps[-1] - span_ns))
            if first == 0 or len(stamps) - first < _LEAST_BURSTS:
                continue
            times_s = (stamps[first:] - stamps[first]) / NS_PER_S
            sound_s = (counts[first:] - counts[first]) / self._rate
            speed = float(sound_s[-1] / times_s[-1])
            # What was told before holds until the difference is clearly gone.
            if abs(speed - 1.0) > (least if self._speed == 1.0 else 0.6 * least) and _is_steady(
                times_s, sound_s, speed
            ):
                return speed
        return 1.0


def _is_steady(
    times_s: NDArray[np.float64], sound_s: NDArray[np.float64], speed: float
) -> bool:
    """Sound comes at this speed throughout, and not at its rate with losses now and then."""
    thirds = np.linspace(0, len(times_s) - 1, 4).round().astype(int)
    parts = np.diff(sound_s[thirds]) / np.diff(times_s[thirds])
    allowed = min(_STEADY * speed, 0.5 * abs(speed - 1.0))
    if np.abs(parts - speed).max() > allowed:
        return False
    usual = float(np.median(np.diff(sound_s) / np.diff(times_s)))
    nearest = abs(math.log(usual))
    # Losses only slow sound down; two sources on one topic, which take turns unevenly, speed it
    # up.
    return abs(math.log(usual / speed)) < (min(nearest, _ALIKE) if speed < 1.0 else nearest)
