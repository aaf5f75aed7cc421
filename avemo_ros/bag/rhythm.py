"""How regularly the messages of a topic come: gaps, order, jumps of its clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from avemo_ros.clock import NS_PER_S, to_ns

JUMP_NS: Final = to_ns(1.0)
"""Stamps that go back by more mean that time started anew, less means out of order; as the
live nodes take it."""
_GAP_NS: Final = to_ns(0.5)
"""Shorter pauses are jitter; a window of seconds does not feel them."""
_SOUND_GAP_NS: Final = to_ns(0.05)
"""Sound that is missing for longer is lost, as `audio.gap_tolerance_s` has it."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Of one topic."""

    count: int
    rate_hz: float
    """Messages per second from the first to the last; 0 of fewer than two."""
    longest_gap_s: float
    """Between two messages, by time of recording [s]."""
    gaps: int = 0
    """Pauses that are far longer than usual here; of sound: places where some is missing."""
    lost_s: float = 0.0
    """What is missing there [s]."""
    late: int = 0
    """Messages whose stamp is not later than the one before: the live nodes leave them out."""
    restarts: int = 0
    """Times the stamps went back by more than a second."""
    jumps: int = 0
    """Times stamps and times of recording moved against each other by more than a second: one
    of two clocks was set, or a busy machine held messages up."""
    leaps: int = 0
    """Of the jumps those at which the stamps leapt, on or back: their clock was set."""
    delay_s: float | None = None
    """Median from stamp to recording [s]; of sound from its last sample.  None without
    stamps."""


def rhythm(
    log_ns: Sequence[int],
    stamps_ns: Sequence[int] | None = None,
    lengths_ns: Sequence[int] | None = None,
) -> Rhythm:
    """Look at the times of a topic's messages.

    Args:
        log_ns: times of recording, rising [ns].
        stamps_ns: header stamps [ns]; None where there are none.
        lengths_ns: of sound, how long each block is [ns].
    """
    log = np.asarray(log_ns, np.int64)
    steps = np.diff(log)
    span = int(log[-1] - log[0]) if len(log) else 0
    rate = (len(log) - 1) * NS_PER_S / span if span else 0.0
    longest = float(steps.max(initial=0)) / NS_PER_S
    if stamps_ns is None or len(log) == 0:
        return Rhythm(len(log), rate, longest)
    stamps = np.asarray(stamps_ns, np.int64)
    lengths = np.zeros_like(stamps) if lengths_ns is None else np.asarray(lengths_ns, np.int64)
    ahead = np.diff(stamps)
    delays = log - stamps - lengths
    jumps = np.abs(np.diff(delays)) > JUMP_NS
    usual = float(np.median(ahead)) if len(ahead) else 0.0
    if lengths_ns is None:
        missing = ahead - usual
        gap = ahead > max(_GAP_NS, 3.0 * usual)
    else:
        missing = ahead - lengths[:-1]
        gap = missing > _SOUND_GAP_NS
    return Rhythm(
        count=len(log),
        rate_hz=rate,
        longest_gap_s=longest,
        gaps=int(np.count_nonzero(gap)),
        lost_s=float(np.sum(missing[gap])) / NS_PER_S,
        late=int(np.count_nonzero((ahead <= 0) & (ahead > -JUMP_NS))),
        restarts=int(np.count_nonzero(ahead <= -JUMP_NS)),
        jumps=int(np.count_nonzero(jumps)),
        leaps=int(np.count_nonzero(jumps & (np.abs(ahead - usual) > JUMP_NS))),
        delay_s=float(np.median(delays)) / NS_PER_S,
    )


def starts_anew(count: int) -> str:
    """How it is said of stamps that they went back."""
    return f"time starts anew {count} time(s) (stamps go back by more than a second)"


class Restarts:
    """Counts by topic, message by message, how often stamps go back."""

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}
        self._counts: Counter[str] = Counter()

    def forget(self, topics: Iterable[str]) -> None:
        """Of these topics: they are read once more."""
        for topic in topics:
            self._last_ns.pop(topic, None)
            self._counts.pop(topic, None)

    def follow(self, topic: str, stamp_ns: int) -> None:
        """The stamp of the topic's next message [ns]."""
        before_ns = self._last_ns.get(topic)
        if before_ns is not None and stamp_ns - before_ns <= -JUMP_NS:
            self._counts[topic] += 1
        self._last_ns[topic] = stamp_ns

    def sentences(self) -> list[str]:
        """Of each topic whose stamps went back, how often they did."""
        return [
            f"{topic}: {starts_anew(count)}" for topic, count in sorted(self._counts.items())
        ]
