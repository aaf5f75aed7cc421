"""Holds the stamps of an input against the node's clock."""

from __future__ import annotations

import time
from typing import Final

from rclpy.node import Node

from avemo_ros.clock import to_ns, to_s
from avemo_ros.nodes.trouble import Trouble
from avemo_ros.source.stamps import is_far

_LOOP_GRACE_S: Final = 0.5


class StampCheck:
    """Decides which stamps can be used.

    Input that was taken long before it arrives says nothing about now, so it is left out and
    the states say STALE_INPUT, unless `max_age_s` is 0.  A stamp of zero means that the driver
    does not fill it in; the time of arrival stands in for it.
    """

    def __init__(self, trouble: Trouble, max_age_s: float, grace_s: float = 0.0) -> None:
        """Set up.

        Args:
            trouble: of the input.
            max_age_s: stamps may be this far from the node's clock, either way [s]; 0 accepts
                any.
            grace_s: this long they are left out without a word [s].
        """
        self._trouble = trouble
        self._max_ns = to_ns(max_age_s)
        self._grace_s = grace_s
        self._far_since: float | None = None

    @classmethod
    def of(cls, node: Node, trouble: Trouble, max_age_s: float) -> StampCheck:
        """For an input of a node.

        When a bag starts over, its messages and /clock do not do so in the same instant.
        """
        simulated = node.get_clock().ros_time_is_active
        return cls(trouble, max_age_s, _LOOP_GRACE_S if simulated else 0.0)

    def admit(self, stamp_ns: int, now_ns: int) -> int | None:
        """The stamp to use for an input, or None when it must be left out.

        Args:
            stamp_ns: of the message; 0 if its driver does not stamp.
            now_ns: the node's clock when the message came; 0 when it is simulated and /clock
                has not come yet.
        """
        if now_ns <= 0:
            self._trouble.once(
                "no clock",
                "use_sim_time is true, but nothing has come on /clock: ages cannot be checked "
                "(play bags with --clock, or set use_sim_time to false)",
            )
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
                f"stamps are {to_s(abs(age_ns)):.1f} s {side} this node's clock, so they are "
                "left out; for a bag set use_sim_time and play it with --clock, for two "
                "machines synchronise their clocks, or accept any with max_input_age_s:=0",
            )
        return None
