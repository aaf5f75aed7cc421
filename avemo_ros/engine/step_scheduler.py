"""When a step is due: images drive it, or sound, or the clock."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from avemo_ros.config import EmotionConfig
from avemo_ros.timing import APART_NS, JUMP_NS, MOST_PATIENCE_NS, Interval, RateLimiter, to_ns

_SPAN_NS: Final = to_ns(5.0)
"""Usual ages of both streams at their arrival are taken from this long."""
_USUAL: Final = 0.9
"""Quantile of them that is reckoned with, so that one late item decides nothing."""
_GRID_NS: Final = to_ns(0.05)
"""The voice's window moves in steps of this, so that it holds still while delays jitter."""
_UNDER_WAY_NS: Final = to_ns(0.5)
"""What comes so long after a jump was not under way when it was made."""
_OTHER_CLOCK_NS: Final = to_ns(6.0)
"""Input that is stamped so far before the last step of a silence is of another clock."""


class Stream(Enum):
    """Where input comes from."""

    IMAGES = "images"
    AUDIO = "sound"


class Order(Enum):
    """How input follows what its stream brought before."""

    NEXT = "next"
    LATE = "late"
    """Not after the input before it, or left over from before a jump: to be left out."""
    JUMP_BACK = "jump back"
    """Time started anew: so must all that rests on it."""


class Step(NamedTuple):
    """A moment at which everyone is estimated."""

    stamp_ns: int
    """Of the window's end [ns]."""
    sound_end_ns: int
    """Where the voice's window ends [ns]; no later than the stamp."""


class _RecentAges:
    """How old a stream's input was at its arrival, over the last seconds.

    They are kept in order as well: to sort all of them for each input took a third of the
    engine's time without the networks.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int]] = deque()
        self._ordered: list[int] = []

    def add(self, stamp_ns: int, age_ns: int) -> None:
        """Take the next, and forget those that are too long ago."""
        self._recent.append((stamp_ns, age_ns))
        insort(self._ordered, age_ns)
        while self._recent[0][0] < stamp_ns - _SPAN_NS:
            _, gone_ns = self._recent.popleft()
            del self._ordered[bisect_left(self._ordered, gone_ns)]

    def quantile(self, share: float) -> int:
        """The age that this share of them does not exceed, between neighbours if need be
        [ns]."""
        place = share * (len(self._ordered) - 1)
        below = int(place)
        low_ns = self._ordered[below]
        high_ns = self._ordered[min(below + 1, len(self._ordered) - 1)]
        return round(low_ns + (high_ns - low_ns) * (place - below))


class StepScheduler:
    """Decides, by stamps alone, when estimates are made and which sound they rest on.

    A step is due at an image that was looked at, at most once in `hop_s`.  Its voice window
    ends `audio_lag_s` earlier, so that it need not wait for its own sound.  Sound that is
    later than that is waited for, up to `max_wait_s`; where it is later than both as a rule,
    the window ends by so much earlier.  Sound drives steps while no image comes: while it is
    ahead of the images by more than is usual and `max_wait_s`.

    The first step is one period after the first input.  Stamps of steps rise, also over pauses
    of a stream, until `clear`.
    """

    def __init__(self, config: EmotionConfig) -> None:
        self._rate_hz = 1.0 / config.hop_s
        self._lag_ns = to_ns(config.audio_lag_s)
        self._wait_ns = to_ns(config.max_wait_s)
        self._stale_ns = to_ns(config.stale_after_s)
        self._before_jump_ns: int | None = None
        self._jumped_ns = 0
        self.clear()

    def clear(self) -> None:
        """Forget the time, but not that it jumped back."""
        self._limiter = RateLimiter(self._rate_hz)
        self._reached: dict[Stream, int] = {}
        self._intervals = {stream: Interval() for stream in Stream}
        self._ages = {one: _RecentAges() for one in Stream}
        self._usual_ages: dict[Stream, tuple[int, int]] = {}
        self._waiting: deque[int] = deque()
        self._last_ns: int | None = None
        self._by_clock = False
        self.first_ns: int | None = None
        """Sensor time of the first input [ns]; None before it."""

    def reached(self, stream: Stream) -> int | None:
        """Sensor time up to which a stream has come [ns]; None before its first input."""
        return self._reached.get(stream)

    @property
    def newest_ns(self) -> int | None:
        """Sensor time that the faster stream has reached [ns]; None before any input."""
        return max(self._reached.values(), default=None)

    @property
    def image_interval(self) -> Interval:
        """How fast images that are looked at come."""
        return self._intervals[Stream.IMAGES]

    @property
    def lag_ns(self) -> int:
        """By how much the voice's window ends before the step [ns]."""
        behind_ns = self._usual(Stream.AUDIO)[1] - self._usual(Stream.IMAGES)[0]
        if behind_ns <= self._lag_ns + self._wait_ns:
            return self._lag_ns
        return min(-(-behind_ns // _GRID_NS) * _GRID_NS, APART_NS)

    def order(self, stream: Stream, stamp_ns: int, arrival_ns: int = 0) -> Order:
        """How input that reaches to `stamp_ns` [ns] follows; to be asked before `take`."""
        before = self._reached.get(stream)
        if before is None:
            return Order.LATE if self._left_over(stamp_ns, arrival_ns) else Order.NEXT
        if stamp_ns < before - JUMP_NS:
            self._before_jump_ns, self._jumped_ns = self.newest_ns, arrival_ns
            return Order.JUMP_BACK
        return Order.NEXT if stamp_ns > before else Order.LATE

    def _left_over(self, stamp_ns: int, arrival_ns: int) -> bool:
        """Whether input is from before the jump that the other stream has already made."""
        newest = self.newest_ns
        if self._before_jump_ns is None or newest is None:
            return False
        if arrival_ns > 0 and arrival_ns - self._jumped_ns > _UNDER_WAY_NS:
            return False
        near_old = abs(stamp_ns - self._before_jump_ns) <= APART_NS
        return near_old and stamp_ns - newest > JUMP_NS

    def take(
        self, stream: Stream, stamp_ns: int, arrival_ns: int = 0, *, drives: bool = True
    ) -> None:
        """A stream has come to `stamp_ns` [ns].

        Args:
            stream: which.
            stamp_ns: later than what the stream had reached.
            arrival_ns: when that came [ns]; 0: not known.
            drives: False: no step is wanted at this image, because the system has fallen
                behind.
        """
        self._reached[stream] = stamp_ns
        self._intervals[stream].add(stamp_ns)
        if self.first_ns is None:
            self.first_ns = stamp_ns
            # Of the period in which input begins there is hardly anything to say yet.
            self._limiter.take(stamp_ns)
        if arrival_ns > 0:
            self._note_age(stream, stamp_ns, arrival_ns)
        if stream is Stream.IMAGES:
            if drives:
                self._ask(stamp_ns)
        elif self._no_image_comes(stamp_ns):
            self._ask(stamp_ns)

    def due(self, now_ns: int | None = None, *, all_input: bool = False) -> Iterator[Step]:
        """Steps that have become due, oldest first, each given once.

        Args:
            now_ns: present sensor time [ns]; None: the newest input's.
            all_input: no more is to come, so nothing is waited for.
        """
        newest_ns = self.newest_ns
        if newest_ns is None:
            return
        time_ns = max(newest_ns, now_ns or newest_ns)
        while self._waiting:
            stamp_ns = self._waiting[0]
            end_ns = stamp_ns - self.lag_ns
            sound_ns = self._reached.get(Stream.AUDIO)
            waits = (
                sound_ns is not None
                and sound_ns < end_ns
                and newest_ns - sound_ns < self._stale_ns
                and time_ns - stamp_ns < self._wait_ns
            )
            if waits and not all_input:
                return
            self._waiting.popleft()
            self._last_ns, self._by_clock = stamp_ns, False
            yield Step(stamp_ns, end_ns)

    def stale_step(self, now_ns: int) -> int | None:
        """Stamp of the step that says that all input has stopped [ns]; None if it has not, or
        if it was just said.

        Args:
            now_ns: present sensor time [ns].
        """
        newest_ns = self.newest_ns
        if newest_ns is None or now_ns - newest_ns <= self.stale_ns:
            return None
        return self.reserve(now_ns)

    def reserve(self, stamp_ns: int) -> int | None:
        """`stamp_ns` [ns] if a step may be made there at once: it is later than the last one,
        by `emotion.hop_s` at least; else None."""
        late = self._last_ns is not None and stamp_ns <= self._last_ns
        if late or not self._limiter.is_due(stamp_ns):
            return None
        self._limiter.take(stamp_ns)
        self._last_ns = stamp_ns
        self._by_clock = True
        return stamp_ns

    @property
    def stale_ns(self) -> int:
        """Time without input after which it has stopped [ns]."""
        if not self._reached:
            return self._stale_ns
        newest = max(self._reached, key=lambda stream: self._reached[stream])
        return self._intervals[newest].patience_ns(self._stale_ns, MOST_PATIENCE_NS)

    def _ask(self, stamp_ns: int) -> None:
        newest_ns = self._waiting[-1] if self._waiting else self._last_ns
        if newest_ns is not None and stamp_ns <= newest_ns:
            if not self._by_clock or stamp_ns > newest_ns - _OTHER_CLOCK_NS:
                return
            # The steps of the silence went by a clock that is not the sensor's.
            self._limiter.reset()
        if self._limiter.is_due(stamp_ns):
            self._limiter.take(stamp_ns)
            self._waiting.append(stamp_ns)

    def _usual(self, stream: Stream) -> tuple[int, int]:
        """Median and high quantile of a stream's ages at their arrival [ns]."""
        return self._usual_ages.get(stream, (0, 0))

    def _note_age(self, stream: Stream, stamp_ns: int, arrival_ns: int) -> None:
        ages = self._ages[stream]
        ages.add(stamp_ns, arrival_ns - stamp_ns)
        self._usual_ages[stream] = (ages.quantile(0.5), ages.quantile(_USUAL))

    def _no_image_comes(self, sound_ns: int) -> bool:
        image_ns = self._reached.get(Stream.IMAGES)
        if image_ns is None:
            return True
        late_ns = self._usual(Stream.IMAGES)[1] - self._usual(Stream.AUDIO)[0]
        lead_ns = min(max(late_ns, 0), APART_NS)
        return sound_ns - image_ns > lead_ns + self._wait_ns
