"""Stamps held against the time at which their input came."""

from __future__ import annotations

from typing import Final

MAX_AGE_S: Final = 5.0
"""Input is left out whose stamp is further from the receiver's clock, unless told otherwise:
what was taken long before it arrives says nothing about now."""


def is_far(stamp_ns: int, now_ns: int, max_age_ns: int) -> bool:
    """Whether a stamp is too far from the time of arrival, either way [ns]; 0 allows any."""
    return max_age_ns > 0 and abs(now_ns - stamp_ns) > max_age_ns
