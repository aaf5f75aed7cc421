"""Holds the stamps of an input against the node's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from rclpy.node import Node

from avemo_ros.clock import to_ns, to_s
from avemo_ros.nodes.trouble import Trouble
from avemo_ros.source.stamps import is_far

_LOOP_GRACE_S: Final = 0.5
_CLOCK_GRACE_S: Final = 2.0
"""Messages may overtake the first one on /clock."""
_NEW_S: Final = 60.0
"""Stamps that are off again after this time may be so for another reason."""
_HOUR_S: Final = 3600.0
_DAY_S: Final = 24 * _HOUR_S
_ANY: Final = "accept any stamps with max_input_age_s:=0"


class Advice:
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
    def of(cls, node: Node) -> Advice:
        """The one of this node."""
        if node not in _ADVICES:
            clock, count = node.get_clock(), node.count_publishers
            _ADVICES[node] = cls(lambda: clock.ros_time_is_active, lambda: count("/clock"))
        return _ADVICES[node]

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
        return f"; {self._words(age_s)}, or {_ANY}"

    def _words(self, age_s: float) -> str:
        if self._simulated():
            return (
                "this node goes by /clock (use_sim_time), so play one recording alone, without "
                "camera and microphone"
            )
        if self._clocks():
            return (
                "a recording is played with /clock, so start this node with use_sim_time:=true"
            )
        synchronise = "if another machine stamps, synchronise the clocks of both"
        if age_s < 0:
            return synchronise
        return (
            "if a recording is played, let it publish /clock (`avemo bag play` does, `ros2 bag "
            "play` with --clock) and start this node with use_sim_time:=true; " + synchronise
        )


_ADVICES: WeakKeyDictionary[Node, Advice] = WeakKeyDictionary()


class StampCheck:
    """Decides which stamps can be used.

    Input that was taken long before it arrives says nothing about now, so it is left out and
    the states say STALE_INPUT, unless `max_age_s` is 0.  A stamp of zero means that the driver
    does not fill it in; the time of arrival stands in for it.
    """

    def __init__(
        self,
        trouble: Trouble,
        max_age_s: float,
        grace_s: float = 0.0,
        advice: Advice | None = None,
    ) -> None:
        """Set up.

        Args:
            trouble: of the input.
            max_age_s: stamps may be this far from the node's clock, either way [s]; 0 accepts
                any.
            grace_s: this long they are left out without a word [s].
            advice: shared by the inputs of a node.
        """
        self._trouble = trouble
        self._max_ns = to_ns(max_age_s)
        self._grace_s = grace_s
        self._advice = Advice() if advice is None else advice
        self._far_since: float | None = None
        self._timeless_since: float | None = None

    @classmethod
    def of(cls, node: Node, trouble: Trouble, max_age_s: float) -> StampCheck:
        """For an input of a node.

        When a bag starts over, its messages and /clock do not do so in the same instant.
        """
        simulated = node.get_clock().ros_time_is_active
        grace_s = _LOOP_GRACE_S if simulated else 0.0
        return cls(trouble, max_age_s, grace_s, Advice.of(node))

    def admit(self, stamp_ns: int, now_ns: int) -> int | None:
        """The stamp to use for an input, or None when it must be left out.

        Args:
            stamp_ns: of the message; 0 if its driver does not stamp.
            now_ns: the node's clock when the message came; 0 when it is simulated and /clock
                has not come yet.
        """
        if now_ns <= 0:
            self._say_no_clock()
            return stamp_ns
        if stamp_ns <= 0:
            self._trouble.once(
                "no stamp", "header.stamp is zero; the time of arrival is used instead"
            )
            return now_ns
        if not is_far(stamp_ns, now_ns, self._max_ns):
            self._far_since = None
            return stamp_ns
        age_ns = now_ns - stamp_ns
        now_s = time.monotonic()
        self._far_since = self._far_since or now_s
        if now_s - self._far_since >= self._grace_s:
            side = "behind" if age_ns > 0 else "ahead of"
            self._trouble.report(
                "age",
                f"stamps are {_span(to_s(abs(age_ns)))} {side} this node's clock, so they are "
                f"left out{self._advice.take(to_s(age_ns))}",
            )
        return None

    def _say_no_clock(self) -> None:
        now_s = time.monotonic()
        self._timeless_since = self._timeless_since or now_s
        if now_s - self._timeless_since >= _CLOCK_GRACE_S:
            self._trouble.once(
                "no clock",
                "use_sim_time is true, but nothing has come on /clock: ages cannot be checked "
                "(let the recording publish /clock, or set use_sim_time to false)",
            )


def _span(seconds: float) -> str:
    """A time in a unit in which it can be grasped."""
    if seconds < _HOUR_S:
        return f"{seconds:.1f} s"
    if seconds < _DAY_S:
        return f"{seconds / _HOUR_S:.1f} hours"
    return f"{seconds / _DAY_S:.0f} days"
