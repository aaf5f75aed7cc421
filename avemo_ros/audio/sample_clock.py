"""When each sample was heard, and whether audio comes at the rate that its source states.

Stamps say when a block was recorded, or only when a driver got round to it.  Single stamps
therefore prove nothing: a block that is late may be followed by others that catch up.  So the
count of samples is believed until the stamps disagree with it lastingly.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.timing import JUMP_NS, NS_PER_S, to_ns, to_s

_SPANS: Final = ((to_ns(3.0), 0.25), (to_ns(8.0), 0.05))
"""A great difference shows within 3 s; a small one (44.1 kHz for 48) takes 8 s to be told from
blocks that come irregularly."""
_LEAST_BURSTS: Final = 6
_STEADY: Final = 0.15
"""Each third of the span is within this share of the whole, else it is not the rate."""
_ALIKE: Final = 0.03
"""Single blocks come at the speed of the whole, within this share: where some are lost, those
between come at their rate."""
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
            if not -JUMP_NS < step_ns < _PAUSE_NS + 3 * length_ns:
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
            # What was reported before holds until the difference is clearly gone.
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


_SLACK_NS: Final = 1_000_000
"""Stamps within 1 ms of the count are taken to agree: they may be rounded to milliseconds, and
columns of a steady source then lie exactly 10 ms apart."""
_TRACK_NS: Final = 10 * NS_PER_S
"""Time constant with which the clock follows the stamps: 100 ppm of drift stays 1 ms off,
while the jitter of single stamps is averaged away."""
_MAX_SLEW: Final = 0.01
_EARLY_SLEW: Final = 0.1
"""Sound cannot be stamped before it was recorded: a count that runs ahead of the stamps is
wrong (the first block was late, say), and is put right faster than it follows drift."""
_MAX_STEP_NS: Final = 2_000_000

_PROOF_NS: Final = to_ns(0.15)
"""Sound that has to come after a loss, all of it as late, before the loss is certain."""
_CATCHES_UP: Final = 0.25
"""A source catches up while its lag shrinks by this share of the sound that it delivers."""
_BURST_NS: Final = to_ns(0.5)
"""Blocks handed over at once may be stamped alike: the last is then early by so much."""
_EARLY_NS: Final = NS_PER_S
"""Sound that is early throughout so much of it has been repeated."""
_MOST_HELD_NS: Final = 2 * NS_PER_S
"""Stamps that agree on nothing for so long are taken as they are."""


@dataclass(frozen=True, slots=True)
class ClockDecision:
    """What to do with a block of sound and with those that were held before it."""

    hold: bool = False
    """Keep the block: the next ones tell whether sound was lost before it."""
    missing: int = 0
    """Samples of silence to put in first, at the source's rate; then comes what was held."""
    restart: str = ""
    """Why the stream has to start anew, with what was held first; empty: it goes on."""
    start_ns: int = 0
    """Where `restart`: sensor time of the new stream's first sample [ns]."""


class SampleClock:
    """Sample time of one uninterrupted stream.

    Time goes on by the count of samples, so that jitter of the stamps does not reach the
    result.  Slow drift of the source's clock against the stamps is followed, too slowly to
    matter from one column to the next.  A stamp of 0 or less within a stream means "not
    known": the count goes on.

    A block whose stamp is ahead of the count by more than the tolerance is held, and so are
    those after it.  Where the count catches up, the source was only late and nothing is
    missing; where the lag lasts for 0.15 s of sound without shrinking, so much was lost.
    Blocks that are early (handed over faster than they were recorded) are used at once; sound
    that is early for a second was repeated.
    """

    def __init__(self, rate: int, start_ns: int, tolerance_ns: int, max_gap_ns: int) -> None:
        """Start to count.

        Args:
            rate: samples per second of the source [Hz].
            start_ns: stamp of the first sample [ns].
            tolerance_ns: stamps may be this far from the count [ns].
            max_gap_ns: longest loss that is filled with silence [ns].
        """
        self._rate = rate
        self._start_ns = max(0, start_ns)
        self._tolerance_ns = tolerance_ns
        self._max_gap_ns = max_gap_ns
        self._proof_ns = max(_PROOF_NS, tolerance_ns)
        self._count = 0
        self._offset_ns = 0.0
        self._held: list[tuple[int, int, int]] = []
        """Stamp [ns], how far it is ahead of the count [ns] and samples of each held block."""
        self._early_ns = 0
        self._least_early_ns = 0

    @property
    def origin_ns(self) -> int:
        """Sensor time of sample 0, by what is known of the source's clock now [ns]."""
        return self._start_ns + round(self._offset_ns)

    @property
    def expected_ns(self) -> int:
        """The stamp the next block should have [ns]."""
        return self._expected_ns(self._count + sum(samples for *_, samples in self._held))

    def admit(self, stamp_ns: int, samples: int) -> ClockDecision:
        """Look at the next block, and count it unless it is held or starts a new stream.

        Args:
            stamp_ns: sensor time of its first sample [ns]; 0 or less is not known.
            samples: its samples per channel.
        """
        if stamp_ns <= 0:
            if not self._held:
                self._count += samples
                return ClockDecision()
            stamp_ns = self.expected_ns + self._held[-1][1]
        ahead = stamp_ns - self.expected_ns
        if -_BURST_NS <= ahead <= self._tolerance_ns:
            return self._caught_up(ahead, samples)
        lag_ns = self._certain_lag(ahead)
        self._held.append((stamp_ns, ahead, samples))
        return ClockDecision(hold=True) if lag_ns is None else self._settle(lag_ns)

    def settle(self) -> ClockDecision:
        """What becomes of the held blocks when no other comes: their stamps are believed."""
        if not self._held:
            return ClockDecision()
        return self._settle(self._held[-1][1])

    def _expected_ns(self, count: int) -> int:
        elapsed = (2 * count * NS_PER_S + self._rate) // (2 * self._rate)
        return self.origin_ns + elapsed

    def _length_ns(self, samples: int) -> int:
        return samples * NS_PER_S // self._rate

    def _caught_up(self, ahead: int, samples: int) -> ClockDecision:
        """The count is right so far, and what was held was only late."""
        if ahead >= -self._tolerance_ns:
            self._early_ns = 0
        else:
            least = ahead if self._early_ns == 0 else max(ahead, self._least_early_ns)
            self._early_ns += self._length_ns(samples)
            self._least_early_ns = least
            if self._early_ns > _EARLY_NS:
                return self._anew(self._expected_ns(self._count) + least, least)
        self._count += sum(held for *_, held in self._held) + samples
        self._held.clear()
        self._track(ahead, samples)
        return ClockDecision()

    def _certain_lag(self, ahead: int) -> int | None:
        """By how much the stamps are ahead of the count for good [ns]; None: not known yet."""
        alike = [one for one in self._held if abs(one[1] - ahead) <= _BURST_NS]
        heard_ns = self._length_ns(sum(samples for *_, samples in alike))
        held_ns = self._length_ns(sum(samples for *_, samples in self._held))
        if held_ns >= _MOST_HELD_NS:
            return ahead
        if heard_ns < self._proof_ns:
            return None
        lag_ns = min(ahead, *(one[1] for one in alike))
        shrunk_ns = alike[0][1] - lag_ns
        return None if shrunk_ns >= _CATCHES_UP * heard_ns else lag_ns

    def _settle(self, lag_ns: int) -> ClockDecision:
        """The held blocks begin this much after the count [ns]."""
        first_ns, ahead, _ = self._held[0]
        if abs(ahead - lag_ns) <= _SLACK_NS:
            lag_ns = ahead
        else:
            # The first was later than others after it, or an outlier.
            first_ns += lag_ns - ahead
        if not -_BURST_NS <= lag_ns <= self._max_gap_ns:
            return self._anew(first_ns, lag_ns)
        missing = max(0, round(lag_ns * self._rate / NS_PER_S))
        self._count += missing + sum(samples for *_, samples in self._held)
        self._held.clear()
        self._early_ns = 0
        return ClockDecision(missing=missing)

    def _anew(self, start_ns: int, ahead: int) -> ClockDecision:
        if ahead < 0:
            reason = (
                f"stamps went back by {to_s(-ahead):.3f} s (audio is repeated, a recording "
                "started again, or two sources share the topic)"
            )
        else:
            reason = (
                f"{to_s(ahead):.3f} s of audio are missing, more than audio.max_gap_s "
                f"({to_s(self._max_gap_ns):g} s)"
            )
        return ClockDecision(restart=reason, start_ns=max(0, start_ns))

    def _track(self, ahead: int, samples: int) -> None:
        if abs(ahead) <= _SLACK_NS:
            return
        length = samples * NS_PER_S / self._rate
        if ahead < -self._tolerance_ns:
            self._offset_ns -= min(_EARLY_SLEW * length, _MAX_STEP_NS)
            return
        beyond = ahead - _SLACK_NS if ahead > 0 else ahead + _SLACK_NS
        most = min(_MAX_SLEW * length, _MAX_STEP_NS)
        step = beyond * min(1.0, length / _TRACK_NS)
        self._offset_ns += min(max(step, -most), most)
