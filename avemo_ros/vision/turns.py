"""A rate kept by stamps alone: who comes first in each turn has it."""

from __future__ import annotations

from typing import Final

from avemo_ros.clock import NS_PER_S

_EXACT: Final = 1_000_000
"""Rates are counted in millionths of a hertz, so that turns are whole numbers."""
_EARLY: Final = 0.25
"""Stamps jitter: what comes this share of a period before a turn has it already."""


class Turns:
    """One turn a period, at most.

    Turns lie on a grid of absolute time.  So two that see the same stream decide alike even
    where one of them began later or missed some of it: a live node, and its replay.

    Args:
        rate_hz: turns a second.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate = round(rate_hz * _EXACT)
        self._last: int | None = None

    def is_due(self, stamp_ns: int) -> bool:
        """Whether this stamp [ns] is in another turn than what was taken last."""
        return self._turn(stamp_ns) != self._last

    def take(self, stamp_ns: int) -> None:
        """The turn of this stamp [ns] is taken."""
        self._last = self._turn(stamp_ns)

    def reset(self) -> None:
        """Whatever comes next has its turn."""
        self._last = None

    def _turn(self, stamp_ns: int) -> int:
        return (stamp_ns * self._rate + int(_EARLY * _EXACT * NS_PER_S)) // (_EXACT * NS_PER_S)
