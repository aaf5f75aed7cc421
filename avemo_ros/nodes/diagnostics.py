"""Diagnostics of a node: entries of /diagnostics, and log lines that do not flood.

Also advice for stamps that are far from the node's clock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node

OK: Final = DiagnosticStatus.OK
WARN: Final = DiagnosticStatus.WARN
ERROR: Final = DiagnosticStatus.ERROR
STALE: Final = DiagnosticStatus.STALE

_RATE_SPAN_S: Final = 5.0


class Meter:
    """Counts events and knows their rate of the last five seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._times: deque[float] = deque()
        self.count = 0

    def add(self) -> None:
        """One more event, now."""
        now = self._now()
        self.count += 1
        self._times.append(now)
        while now - self._times[0] > _RATE_SPAN_S:
            self._times.popleft()

    @property
    def quiet_s(self) -> float:
        """Time since the last event [s]; infinite if there was none."""
        return self._now() - self._times[-1] if self._times else float("inf")

    @property
    def rate_hz(self) -> float:
        """Events per second; 0 when they stopped or there were fewer than two."""
        times = list(self._times)
        if len(times) < 2 or self._now() - times[-1] > _RATE_SPAN_S:
            return 0.0
        span = times[-1] - times[0]
        return (len(times) - 1) / span if span > 0 else 0.0


class Samples:
    """The newest values of something, for its percentiles."""

    def __init__(self, kept: int = 300) -> None:
        self._values: deque[float] = deque(maxlen=kept)

    def add(self, value: float) -> None:
        """One more value."""
        self._values.append(value)

    def values(self) -> tuple[float, ...]:
        """What is kept, oldest first."""
        return tuple(self._values)


def percentiles(name: str, values: Sequence[float]) -> dict[str, str]:
    """`{name}_p50` and `{name}_p95`; empty without values."""
    if not values:
        return {}
    p50, p95 = np.percentile(values, (50, 95))
    return {f"{name}_p50": f"{p50:.1f}", f"{name}_p95": f"{p95:.1f}"}


def stages(durations_ms: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Percentiles of every stage, as `stage_ms.{stage}_p50` and so on."""
    written: dict[str, str] = {}
    for stage, values in durations_ms.items():
        written.update(percentiles(f"stage_ms.{stage}", values))
    return written


def status(
    name: str, level: bytes, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    """One entry of a DiagnosticArray."""
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def worst(levels: Iterable[bytes]) -> bytes:
    """The most serious of several levels; OK of none."""
    return max(levels, default=OK)


_REPEAT_S: Final = 30.0
"""A trouble that lasts is logged again after this time."""
_FRESH_S: Final = 3.0
"""A trouble counts as present for this long after its last sign."""
_LINES: Final = 10
"""Different kinds that are logged within the time of a repeat; which kinds there are may depend
on what comes from outside."""
_MOST_ONCE: Final = 1000
"""Kinds that are logged once, of one input."""


class ThrottledLog:
    """Log lines and last error of one input; for several threads.

    An image stream of 30 Hz with a wrong encoding gives one line, then one every 30 s with
    the count, and one line when images are good again.  However kinds and good items follow
    one another, no kind is logged more often, and all of them together give few lines.
    """

    def __init__(
        self, logger: Any, what: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Set up.

        Args:
            logger: of the node.
            what: the input's name, which begins every line, e.g. "images".
            now: seconds of a steady clock.
        """
        self._logger = logger
        self._what = what
        self._now = now
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}
        self._open: set[str] = set()
        self._logged_once: set[str] = set()
        self._since = 0
        self.count = 0
        """Bad items since the start."""
        self.last = ""
        """The newest trouble, empty if there never was one."""
        self._last_s = -_FRESH_S

    @property
    def present(self) -> bool:
        """Something was wrong within the last seconds."""
        return self._now() - self._last_s < _FRESH_S

    def report(self, kind: str, text: str) -> None:
        """Something is wrong with this item of input.

        Args:
            kind: troubles of one kind share a line; another kind has a line of its own.  One
                of a few words, never a text that changes from item to item.
            text: what is wrong, and what to do about it.
        """
        with self._lock:
            now = self._now()
            self.count += 1
            self._since += 1
            self.last = text
            self._last_s = now
            if not self._may_say(kind, now):
                return
            again = "" if self._since == 1 else f" ({self._since} of them so far)"
            self._open.add(kind)
        self._logger.error(f"{self._what}: {text}{again}")  # noqa: G004  rclpy takes no arguments

    def good(self) -> None:
        """This item of input was good."""
        if not self._since:
            return
        with self._lock:
            bad, self._since = self._since, 0
            reported = bool(self._open)
            self._open.clear()
        if reported:
            self._logger.info(f"{self._what}: working again after {bad} failures")  # noqa: G004

    def note(self, kind: str, text: str) -> None:
        """Warn of something that is over already; of one kind at most every 30 s."""
        with self._lock:
            now = self._now()
            if not self._may_say(kind, now):
                return
        self._logger.warning(f"{self._what}: {text}")  # noqa: G004

    def once(self, kind: str, text: str) -> None:
        """Warn of something that is usable all the same; every kind is logged once."""
        with self._lock:
            if kind in self._logged_once or len(self._logged_once) >= _MOST_ONCE:
                return
            self._logged_once.add(kind)
        self._logger.warning(f"{self._what}: {text}")  # noqa: G004

    def _may_say(self, kind: str, now: float) -> bool:
        """Whether a line of this kind is due; it counts as logged then."""
        self._logged = {one: at for one, at in self._logged.items() if now - at < _REPEAT_S}
        if kind in self._logged or len(self._logged) >= _LINES:
            return False
        self._logged[kind] = now
        return True


_NEW_S: Final = 60.0
"""Stamps that are off again after this time may be so for another reason."""
_KEPT: Final = "_avemo_stamp_advice"
_LOOP_GRACE_S: Final = 0.5
_CLOCK_GRACE_S: Final = 2.0
"""Messages may overtake the first one on /clock."""
_OFF: Final = ("age", "future", "outlier")
"""Kinds of troubles with stamps, see `timing.StampFilter`."""


class StampAdvice:
    """What to do about stamps that are off: said once, however many inputs a node has."""

    def __init__(
        self,
        simulated: Callable[[], bool] = lambda: False,
        clocks: Callable[[], int] = lambda: 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up.

        Args:
            simulated: whether the node goes by /clock.
            clocks: how many publish /clock.
            now: seconds of a steady clock.
        """
        self._simulated = simulated
        self._clocks = clocks
        self._now = now
        self._last_s: float | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, node: Node) -> StampAdvice:
        """The one of this node, which keeps it."""
        if not hasattr(node, _KEPT):
            clock, count = node.get_clock(), node.count_publishers
            advice = cls(lambda: clock.ros_time_is_active, lambda: count("/clock"))
            setattr(node, _KEPT, advice)
        return cast(StampAdvice, getattr(node, _KEPT))

    def take(self, age_s: float) -> str:
        """What to do, to follow the complaint; empty if it has been said.

        Args:
            age_s: how far the stamps are behind the node's clock [s].
        """
        now_s = self._now()
        # Inputs are looked at on threads of their own.
        with self._lock:
            last_s, self._last_s = self._last_s, now_s
        if last_s is not None and now_s - last_s < _NEW_S:
            return ""
        return f"; {self._words(age_s)}"

    def _words(self, age_s: float) -> str:
        if self._simulated():
            return (
                "this node takes its time from /clock (use_sim_time), so play only one "
                "recording, without camera and microphone; if it comes from a simulation, "
                "play its own /clock (`avemo bag play --no-clock`)"
            )
        if self._clocks():
            return (
                "a recording is played with /clock, so start this node with use_sim_time:=true"
            )
        synchronise = "if another machine stamps, synchronise both clocks"
        if age_s < 0:
            return synchronise
        return (
            "to play a recording, publish /clock with it (`avemo bag play`, or `ros2 bag "
            "play --clock`) and start this node with use_sim_time:=true; " + synchronise
        )


class StampReporter:
    """Passes troubles of one input on to the log, and those with stamps only if they last.

    When a bag starts over, its messages and /clock do not do so in the same instant: in
    simulated time stamps may be off for half a second without a word.

    Args:
        trouble: the log of the input.
        simulated: the node goes by /clock.
        now: seconds of a steady clock.
    """

    def __init__(
        self,
        trouble: ThrottledLog,
        *,
        simulated: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trouble = trouble
        self._grace_s = _LOOP_GRACE_S if simulated else 0.0
        self._now = now
        self._off_since_s: float | None = None
        self._timeless_since_s: float | None = None

    @classmethod
    def of(cls, node: Node, trouble: ThrottledLog) -> StampReporter:
        """For an input of a node."""
        return cls(trouble, simulated=node.get_clock().ros_time_is_active)

    def arrived(self, now_ns: int) -> None:
        """An input came at `now_ns` of the node's clock; 0: simulated time has not begun."""
        if now_ns > 0:
            return
        now_s = self._now()
        if self._timeless_since_s is None:
            self._timeless_since_s = now_s
        if now_s - self._timeless_since_s >= _CLOCK_GRACE_S:
            self.once(
                "no clock",
                "use_sim_time is true, but nothing has arrived on /clock, so the age of "
                "input cannot be checked (play the recording with /clock, or set "
                "use_sim_time to false)",
            )

    def report(self, kind: str, text: str) -> None:
        """An item cannot be used."""
        if kind in _OFF:
            now_s = self._now()
            if self._off_since_s is None:
                self._off_since_s = now_s
            if now_s - self._off_since_s < self._grace_s:
                return
        self._trouble.report(kind, text)

    def once(self, kind: str, text: str) -> None:
        """Something is odd but usable."""
        self._trouble.once(kind, text)

    def note(self, kind: str, text: str) -> None:
        """Something happened and is over."""
        self._trouble.note(kind, text)

    def good(self) -> None:
        """An item was good."""
        self._off_since_s = None
        self._trouble.good()
