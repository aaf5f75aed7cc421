"""Advice for stamps that are far from the node's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, cast

from rclpy.node import Node

from avemo_ros.nodes.diagnostics import ThrottledLog

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
