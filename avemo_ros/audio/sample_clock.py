"""The time of each sample: the count of samples, held against the stamps of the blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avemo_ros.clock import NS_PER_S, to_s

_SLACK_NS: Final = 1_000_000
"""Stamps within 1 ms of the count are taken to agree: they may be rounded to milliseconds, and
columns of a steady source then lie exactly 10 ms apart."""
_TRACK_NS: Final = 10 * NS_PER_S
"""Time constant with which the clock follows the stamps: 100 ppm of drift stays 1 ms off,
while the jitter of single stamps is averaged away."""
_MAX_SLEW: Final = 0.01
_MAX_STEP_NS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Admission:
    """What to do before a block of sound is used."""

    missing: int = 0
    """Samples of silence to put in, at the source's rate."""
    restart: str = ""
    """Why the stream has to start anew; empty: it goes on."""


class SampleClock:
    """Sample time of one uninterrupted stream.

    Time goes on by the count of samples, so that jitter of the stamps does not reach the
    result.  Slow drift of the source's clock against the stamps is followed, too slowly to
    matter from one column to the next.  A stamp of 0 or less within a stream means "not
    known": the count goes on.
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
        self._count = 0
        self._offset_ns = 0.0

    @property
    def origin_ns(self) -> int:
        """Sensor time of sample 0, by what is known of the source's clock now [ns]."""
        return self._start_ns + round(self._offset_ns)

    @property
    def expected_ns(self) -> int:
        """The stamp the next block should have [ns]."""
        elapsed = (2 * self._count * NS_PER_S + self._rate) // (2 * self._rate)
        return self.origin_ns + elapsed

    def admit(self, stamp_ns: int, samples: int) -> Admission:
        """Look at a block that is about to be used, and count it unless it starts a new stream.

        Args:
            stamp_ns: sensor time of its first sample [ns]; 0 or less is not known.
            samples: its samples per channel.
        """
        if stamp_ns <= 0:
            self._count += samples
            return Admission()
        ahead = stamp_ns - self.expected_ns
        if ahead < -self._tolerance_ns:
            return Admission(
                restart=f"stamps went back by {to_s(-ahead):.3f} s (sound is repeated, a "
                "recording started over, or two sources share the topic)"
            )
        if ahead <= self._tolerance_ns:
            self._track(ahead, samples)
            self._count += samples
            return Admission()
        if ahead > self._max_gap_ns:
            return Admission(
                restart=f"{to_s(ahead):.3f} s of sound are missing, more than "
                f"audio.max_gap_s ({to_s(self._max_gap_ns):g} s)"
            )
        missing = round(ahead * self._rate / NS_PER_S)
        self._count += missing + samples
        return Admission(missing=missing)

    def _track(self, ahead: int, samples: int) -> None:
        if abs(ahead) <= _SLACK_NS:
            return
        beyond = ahead - _SLACK_NS if ahead > 0 else ahead + _SLACK_NS
        length = samples * NS_PER_S / self._rate
        most = min(_MAX_SLEW * length, _MAX_STEP_NS)
        step = beyond * min(1.0, length / _TRACK_NS)
        self._offset_ns += min(max(step, -most), most)
