"""Counts and times as people read them."""

from __future__ import annotations

from typing import Final

_MINUTE_S: Final = 60.0


def counted(count: int, noun: str, nouns: str = "") -> str:
    """'1 bag', '3 bags'."""
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


def lasting(seconds: float) -> str:
    """'8.3 s', '12.5 min'."""
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else f"{seconds / _MINUTE_S:.1f} min"
