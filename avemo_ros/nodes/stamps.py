"""Holds the stamps of an input against the node's clock."""

from __future__ import annotations

from avemo_ros.clock import to_ns, to_s
from avemo_ros.nodes.trouble import Trouble


class StampCheck:
    """Decides which stamps can be used.

    Input that was taken long before it arrives says nothing about now, so it is left out and
    the states say STALE_INPUT, unless `max_age_s` is 0.  A stamp of zero means that the driver
    does not fill it in; the time of arrival stands in for it.
    """

    def __init__(self, trouble: Trouble, max_age_s: float) -> None:
        """Args:
        trouble: of the input.
        max_age_s: stamps may be this far from the node's clock, either way [s]; 0 accepts
            any.
        """
        self._trouble = trouble
        self._max_ns = to_ns(max_age_s)

    def admit(self, stamp_ns: int, now_ns: int) -> int | None:
        """The stamp to use for an input, or None when it must be left out.

        Args:
            stamp_ns: of the message; 0 if its driver does not stamp.
            now_ns: the node's clock; 0 when it is simulated and /clock has not come yet.
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
        age_ns = now_ns - stamp_ns
        if self._max_ns and abs(age_ns) > self._max_ns:
            side = "behind" if age_ns > 0 else "ahead of"
            self._trouble.report(
                "age",
                f"stamps are {to_s(abs(age_ns)):.1f} s {side} this node's clock, so they are "
                "left out; for a bag set use_sim_time and play it with --clock, for two "
                "machines synchronise their clocks, or accept any with max_input_age_s:=0",
            )
            return None
        return stamp_ns
