"""Sensor time: how often something is due, which stamps are believed, how fast a stream comes.

Times are whole nanoseconds, as in ROS, so that equal times compare equal.  All but `Stopwatch`,
on which no result depends, is a function of stamps and arrival times alone, so that a live
stream and its recording are treated alike.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Final, NamedTuple, Protocol

NS_PER_S: Final = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds, rounded to the nearest."""
    return round(seconds * NS_PER_S)


def to_s(nanoseconds: int) -> float:
    """Nanoseconds as seconds (exact to about a microsecond for today's dates)."""
    return nanoseconds / NS_PER_S


_EXACT: Final = 1_000_000
"""Rates are counted in millionths of a hertz, so that periods are whole numbers."""
_EARLY: Final = 0.25
"""Stamps jitter: what comes this share of a period before its slot is in it already."""

JUMP_NS: Final = to_ns(1.0)
"""Stamps that go back by more mean that time started anew, less means out of order."""
APART_NS: Final = to_ns(2.5)
"""Streams that are further apart never meet in one window: nobody waits for the later one,
however steadily it is late."""
MOST_PATIENCE_NS: Final = to_ns(5.0)
"""Nothing waits longer for a slow stream: its input has stopped, and its faces have gone."""
_AHEAD_NS: Final = to_ns(0.1)
"""An input may claim to be later than its arrival, or than is usual, by no more than this."""
_MOST_AHEAD_NS: Final = to_ns(0.5)
"""No stream may be this far ahead of the clock, however steadily: its states would be of the
future."""
_CONFIRMING: Final = 3
"""So many inputs in a row have to agree on a new time: one outlier changes nothing."""
_LASTING_NS: Final = to_ns(0.04)
"""Those that confirm a clock come over at least so long."""
_AGREE_NS: Final = to_ns(0.25)
_AGES: Final = 15
"""Newest ages from which the usual one is taken."""
_STUCK: Final = 30
"""So many stamps in a row that do not rise are a driver that does not stamp."""
_INTERVALS: Final = 9
_PATIENCE: Final = 2.5
"""A stream is late when nothing came for so many of its usual intervals."""


class RateLimiter:
    """At most one item in each period, by stamps alone.

    Periods lie on a grid of absolute time.  So two that see the same stream decide alike even
    where one of them began later or missed some of it: a live node, and its replay.

    Args:
        rate_hz: items a second.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate = round(rate_hz * _EXACT)
        self._last: int | None = None

    def is_due(self, stamp_ns: int) -> bool:
        """Whether this stamp [ns] is in another period than the last one that was taken."""
        return self._period(stamp_ns) != self._last

    def take(self, stamp_ns: int) -> None:
        """The period of this stamp [ns] has its item."""
        self._last = self._period(stamp_ns)

    def reset(self) -> None:
        """Whatever comes next is due."""
        self._last = None

    def _period(self, stamp_ns: int) -> int:
        return (stamp_ns * self._rate + int(_EARLY * _EXACT * NS_PER_S)) // (_EXACT * NS_PER_S)


class Interval:
    """The usual time between the items of a stream: a median, so that no outlier decides it."""

    def __init__(self) -> None:
        self._stamps: deque[int] = deque(maxlen=_INTERVALS + 1)
        self._usual_ns = 0

    def add(self, stamp_ns: int) -> None:
        """The next item; one that is not later than the last starts anew."""
        if self._stamps and stamp_ns <= self._stamps[-1]:
            self._stamps.clear()
        self._stamps.append(stamp_ns)
        steps = [after - before for before, after in itertools.pairwise(self._stamps)]
        # Two in a row are a slower stream, one is a hole.
        recent_ns = min(steps[-2:], default=0) if len(steps) > 1 else 0
        self._usual_ns = max(int(statistics.median(steps)), recent_ns) if steps else 0

    @property
    def usual_ns(self) -> int:
        """The usual time between two items [ns]; 0 before the second."""
        return self._usual_ns

    def patience_ns(self, least_ns: int, most_ns: int) -> int:
        """How long to wait for the next item [ns]: `least_ns`, or two and a half intervals of a
        slow stream, but no longer than `most_ns`."""
        return max(least_ns, min(round(_PATIENCE * self._usual_ns), most_ns))

    def reset(self) -> None:
        """Forget the stream."""
        self._stamps.clear()
        self._usual_ns = 0


class Reporter(Protocol):
    """Who hears of troubles with an input: a node's log, or the findings of a replay."""

    def report(self, kind: str, text: str) -> None:
        """An item cannot be used; troubles of one `kind` belong together."""

    def once(self, kind: str, text: str) -> None:
        """Something is odd but usable."""

    def note(self, kind: str, text: str) -> None:
        """Something happened and is over."""

    def good(self) -> None:
        """An item was good."""


class Verdict(Enum):
    """What to do with an input by its stamp."""

    USE = "use"
    RESTART = "restart"
    """Time started anew: forget what rests on the old time, then use it."""
    REFUSE = "refuse"
    """Its stamp cannot be right; it was reported."""
    LATE = "late"
    """It is not newer than the one before."""


class Admission(NamedTuple):
    """A verdict, and the sensor time to use [ns]."""

    verdict: Verdict
    stamp_ns: int

    @property
    def usable(self) -> bool:
        """The input is to be used."""
        return self.verdict in (Verdict.USE, Verdict.RESTART)


class StampFilter:
    """Decides which stamps of a stream are believed, and what stands in for those that are not.

    - A stamp of zero, or `source` "arrival": the time of arrival stands in.
    - A stamp that is older than `max_age_s` on arrival is refused.
    - A stamp that is further in the future than is usual for the stream, or that goes back by
      more than a second, is refused until three in a row agree: one outlier changes nothing,
      a clock that was set is followed.
    - A stamp that is not newer than the last one is late; not asked for sound (`ordered`),
      whose blocks are put in order by the count of samples.

    Args:
        what: the items, in the plural, for messages, e.g. "images".
        parameter: that makes `source` "arrival", for advice in messages.
        max_age_s: see above [s]; 0 accepts any age.
        source: "header" or "arrival".
        reporter: who hears of troubles.
        ordered: stamps have to rise.
        advice: what to do about stamps that are off by so much [s, positive: old]; "" for
            nothing to add.
    """

    def __init__(
        self,
        what: str,
        parameter: str,
        max_age_s: float,
        source: str,
        reporter: Reporter,
        *,
        ordered: bool = True,
        advice: Callable[[float], str] | None = None,
    ) -> None:
        self._what = what
        self._parameter = parameter
        self._max_age_ns = to_ns(max_age_s)
        self._by_arrival = source == "arrival"
        self._reporter = reporter
        self._ordered = ordered
        self._advice = advice if advice is not None else lambda _: ""
        self.late = 0
        """Inputs that were not newer than the one before."""
        self.refused = 0
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the counters go on."""
        self._newest_ns: int | None = None
        self._ages: deque[int] = deque(maxlen=_AGES)
        self._suspects: list[tuple[int, int]] = []
        self._stuck = 0

    @property
    def usual_age_ns(self) -> int | None:
        """Usual time from stamp to arrival [ns]; None before the first input."""
        return int(statistics.median(self._ages)) if self._ages else None

    def admit(self, stamp_ns: int, arrival_ns: int) -> Admission:
        """What to do with the next input.

        Args:
            stamp_ns: of its header [ns]; 0 or less: its driver does not stamp.
            arrival_ns: when it came, on the receiver's clock [ns]; 0: not known, as while
                simulated time has not begun.
        """
        if arrival_ns > 0 and (self._by_arrival or stamp_ns <= 0):
            if not self._by_arrival:
                self._reporter.once(
                    "no stamp", "header.stamp is zero; using the time of arrival instead"
                )
            stamp_ns = arrival_ns
        age_ns = arrival_ns - stamp_ns if arrival_ns > 0 else None
        if age_ns is not None and self._max_age_ns > 0:
            if age_ns > self._max_age_ns:
                return self._refuse(stamp_ns, "age", self._off(age_ns, "behind"))
            if age_ns < -_MOST_AHEAD_NS:
                return self._refuse(stamp_ns, "future", self._off(-age_ns, "ahead of"))
        back = self._newest_ns is not None and stamp_ns < self._newest_ns - JUMP_NS
        if back or self._is_ahead(age_ns):
            if not self._confirmed(stamp_ns, arrival_ns):
                side = "back" if back else "ahead"
                return self._refuse(
                    stamp_ns,
                    "outlier",
                    f"a stamp jumps {side}; left out unless the following ones agree with it",
                )
            self._ages.clear()
            self._newest_ns = None
            return self._use(stamp_ns, age_ns, Verdict.RESTART if back else Verdict.USE)
        if self._ordered and self._newest_ns is not None and stamp_ns <= self._newest_ns:
            return self._leave_out_late(stamp_ns)
        return self._use(stamp_ns, age_ns, Verdict.USE)

    def _use(self, stamp_ns: int, age_ns: int | None, verdict: Verdict) -> Admission:
        self._suspects.clear()
        self._stuck = 0
        self._newest_ns = max(stamp_ns, self._newest_ns or stamp_ns)
        if age_ns is not None:
            self._ages.append(age_ns)
        return Admission(verdict, stamp_ns)

    def _is_ahead(self, age_ns: int | None) -> bool:
        if age_ns is None:
            return False
        usual_ns = self.usual_age_ns
        if self._max_age_ns == 0:
            # Any clock will do, but it has to be one clock.
            return usual_ns is not None and age_ns < usual_ns - JUMP_NS
        return age_ns < min(usual_ns or 0, 0) - _AHEAD_NS

    def _confirmed(self, stamp_ns: int, arrival_ns: int) -> bool:
        """Whether the last few suspects and this one are of one clock."""
        if self._suspects:
            last_stamp_ns, last_arrival_ns = self._suspects[-1]
            passed_ns = stamp_ns - last_stamp_ns
            expected_ns = arrival_ns - last_arrival_ns if arrival_ns > 0 else passed_ns
            if passed_ns < 0 or abs(passed_ns - expected_ns) > _AGREE_NS:
                self._suspects.clear()
        self._suspects.append((stamp_ns, arrival_ns))
        # A few that come at once, as what was sent again, may be wrong together.
        lasted_ns = arrival_ns - self._suspects[0][1] if arrival_ns > 0 else _LASTING_NS
        return len(self._suspects) >= _CONFIRMING and lasted_ns >= _LASTING_NS

    def _leave_out_late(self, stamp_ns: int) -> Admission:
        self.late += 1
        self._stuck += 1
        if self._stuck >= _STUCK:
            self._reporter.once(
                "stuck",
                f"stamps of {self._what} do not rise; if the driver does not stamp, set "
                f"{self._parameter}:=arrival",
            )
        else:
            self._reporter.once(
                "order",
                "stamps do not always rise; input that is not newer than the last is left out",
            )
        return Admission(Verdict.LATE, stamp_ns)

    def _refuse(self, stamp_ns: int, kind: str, text: str) -> Admission:
        self.refused += 1
        self._reporter.report(kind, text)
        return Admission(Verdict.REFUSE, stamp_ns)

    def _off(self, by_ns: int, side: str) -> str:
        by_s = to_s(by_ns)
        advice = self._advice(by_s if side == "behind" else -by_s)
        return (
            f"stamps are {span(by_s)} {side} the clock, so the input is left out{advice}; "
            f"{self._parameter}:=arrival uses the time of arrival, max_input_age_s:=0 accepts "
            "any stamp"
        )


def mean_step_s(*runs: Sequence[int]) -> float:
    """How much time one of a run of stamps stands for [s].

    The mean, since steps that follow images on a grid are unequal (67 and 133 ms at 15 images a
    second). Pauses, longer than 2.5 usual steps, and time that starts over are left out.

    Args:
        runs: stamps [ns], each run of a stream or recording of its own.

    Returns:
        The mean step [s]; 0.1 where there is none.
    """
    pairs = (pair for run in runs for pair in itertools.pairwise(run))
    steps = [after - before for before, after in pairs if after > before]
    if not steps:
        return 0.1
    longest = _PATIENCE * statistics.median(steps)
    return to_s(round(statistics.mean(step for step in steps if step <= longest)))


def span(seconds: float) -> str:
    """A time in a unit in which it can be grasped."""
    if seconds < 3600.0:
        return f"{seconds:.1f} s"
    if seconds < 24 * 3600.0:
        return f"{seconds / 3600.0:.1f} hours"
    return f"{seconds / (24 * 3600.0):.0f} days"


LIVE: Final = 300
"""Durations that tell how a running system does now."""
WHOLE: Final = 36_000
"""Durations that hold all of most recordings: of 40 minutes of images."""


class Stopwatch:
    """Keeps the newest durations of every named stage.

    Args:
        kept: how many of each.
    """

    def __init__(self, kept: int = LIVE) -> None:
        self._kept = kept
        self._stages: dict[str, deque[float]] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            kept = self._stages.setdefault(stage, deque(maxlen=self._kept))
            kept.append(1e3 * (time.perf_counter() - start))

    def stages_ms(self) -> dict[str, tuple[float, ...]]:
        """The newest durations of every stage [ms]."""
        return {stage: tuple(kept) for stage, kept in list(self._stages.items())}
