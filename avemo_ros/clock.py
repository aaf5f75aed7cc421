"""Sensor time: whole nanoseconds, as in ROS, so that equal times compare equal."""

from __future__ import annotations

from typing import Final

NS_PER_S: Final = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds, rounded to the nearest."""
    return round(seconds * NS_PER_S)


def to_s(nanoseconds: int) -> float:
    """Nanoseconds as seconds (exact to about a microsecond for today's dates)."""
    return nanoseconds / NS_PER_S
