"""When estimates are due: sensor time, as the two streams let it be known."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from avemo_ros.clock import to_ns
from avemo_ros.config import EmotionConfig


class Stream(Enum):
    """Where input comes from."""

    PICTURES = "pictures"
    SOUND = "sound"


class Order(Enum):
    """How input follows what its stream brought before."""

    NEXT = "next"
    LATE = "late"
    """Not after the input before it: to be left out."""
    JUMP_BACK = "jump back"
    """Time started anew: so must all that rests on it."""


class HopSchedule:
    """A grid of hops in sensor time, and how far both streams have come.

    A hop is due when both streams have reached it.  If one lags by more than `max_wait_s` the
    hop does without it; a stream silent for `stale_after_s` is not waited for at all.
    """

    def __init__(self, config: EmotionConfig) -> None:
        self._hop_ns = to_ns(config.hop_s)
        self._wait_ns = to_ns(config.max_wait_s)
        self._stale_ns = to_ns(config.stale_after_s)
        self.skipped = 0
        """Hops left out because time jumped ahead or a live system had fallen behind."""
        self._before_jump_ns: int | None = None
        self.clear()

    def clear(self) -> None:
        """Forget the time, but not that it jumped back."""
        self._reached: dict[Stream, int] = {}
        self._next_ns: int | None = None
        self._idle_since_ns: int | None = None
        self.first_ns: int | None = None
        """Sensor time of the first input [ns]; None before it."""

    def reached(self, stream: Stream) -> int | None:
        """Sensor time up to which a stream has come [ns]; None before its first input."""
        return self._reached.get(stream)

    @property
    def newest_ns(self) -> int | None:
        """Sensor time that the faster stream has reached [ns]; None before any input."""
        return max(self._reached.values(), default=None)

    def order(self, stream: Stream, stamp_ns: int) -> Order:
        """How input that reaches to `stamp_ns` [ns] follows; to be asked before `take`."""
        before = self._reached.get(stream)
        if before is None:
            return Order.LATE if self._left_over(stamp_ns) else Order.NEXT
        if stamp_ns < before - self._stale_ns:
            self._before_jump_ns = self.newest_ns
            return Order.JUMP_BACK
        return Order.NEXT if stamp_ns > before else Order.LATE

    def _left_over(self, stamp_ns: int) -> bool:
        """Whether input is from before the jump that the other stream has already made."""
        newest = self.newest_ns
        if self._before_jump_ns is None or newest is None:
            return False
        near_old = abs(stamp_ns - self._before_jump_ns) <= self._stale_ns + self._wait_ns
        return near_old and stamp_ns - newest > self._stale_ns

    def take(self, stream: Stream, stamp_ns: int) -> None:
        """A stream has come to `stamp_ns` [ns]."""
        self._reached[stream] = stamp_ns
        if self._next_ns is None:
            self.first_ns = stamp_ns
            self._next_ns = (stamp_ns // self._hop_ns + 1) * self._hop_ns

    def due(self, *, all_input: bool = False) -> Iterator[int]:
        """Sensor times of the hops that have become due [ns], oldest first, each given once.

        With `all_input` nothing is waited for: no more is to come.
        """
        newest = self.newest_ns
        if newest is None or self._next_ns is None:
            return
        ready = newest if all_input else self._ready_ns(newest)
        backlog = (ready - self._next_ns) // self._hop_ns
        limit = max(max(self._stale_ns, self._wait_ns) // self._hop_ns, 1)
        if backlog > limit:
            # After a hole in time the states of the hole are of no use to anyone.
            self._skip(backlog - limit)
        while self._next_ns <= ready:
            hop_ns = self._next_ns
            self._next_ns += self._hop_ns
            yield hop_ns

    def _ready_ns(self, newest_ns: int) -> int:
        ready = newest_ns
        for stream in Stream:
            # A stream never seen yet is waited for as long as one that stopped at the start.
            reached = self._reached.get(stream, self.first_ns)
            if reached is not None and newest_ns - reached < self._stale_ns:
                ready = min(ready, max(reached, newest_ns - self._wait_ns))
        return ready

    def silent_hop(self, now_ns: int) -> int | None:
        """The hop at which to say that all input has stopped [ns]; None if it has not, or if
        it was said for this hop."""
        newest = self.newest_ns
        if newest is None:
            if self._idle_since_ns is None or now_ns < self._idle_since_ns:
                self._idle_since_ns = now_ns
            newest = self._idle_since_ns
        due = now_ns // self._hop_ns * self._hop_ns
        if now_ns - newest <= self._stale_ns or (self._next_ns or due) > due:
            return None
        if self._next_ns is not None:
            self._next_ns = due + self._hop_ns
        return due

    def skip_to(self, stamp_ns: int) -> None:
        """Leave out the hops before `stamp_ns` [ns]."""
        if self._next_ns is not None and stamp_ns > self._next_ns:
            self._skip((stamp_ns - self._next_ns) // self._hop_ns)

    def _skip(self, hops: int) -> None:
        assert self._next_ns is not None
        self.skipped += hops
        self._next_ns += hops * self._hop_ns
