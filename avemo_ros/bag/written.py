"""The order in which messages were written, by which a clock that was set back is seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.clock import to_ns

TURN_NS: Final = to_ns(1.0)
"""Recorders write what they get; the times of neighbours differ by less, unless the clock was
set back."""


@dataclass(frozen=True, slots=True)
class Written:
    """Times of recording of messages that lie one behind the other."""

    first_ns: int
    """Of the one that was written first [ns]; others may be earlier."""
    last_ns: int
    """Of the one that was written last [ns]."""
    turned_back: int = 0
    """Times that one is more than a second earlier than the one before."""


def written(times_ns: Sequence[int] | NDArray[np.int64]) -> Written | None:
    """By the times of messages as they were written [ns]; None without messages."""
    if not len(times_ns):
        return None
    steps = np.diff(np.asarray(times_ns, np.int64))
    turns = int(np.count_nonzero(steps < -TURN_NS))
    return Written(int(times_ns[0]), int(times_ns[-1]), turns)


def chained(parts: Iterable[Written | None]) -> Written | None:
    """Parts that follow each other as one.

    Args:
        parts: None where nothing is known; then nothing is counted there.
    """
    first: Written | None = None
    before: Written | None = None
    newest: Written | None = None
    turns = 0
    for part in parts:
        if part is not None:
            turns += part.turned_back
            turns += before is not None and before.last_ns - part.first_ns > TURN_NS
            first, newest = first or part, part
        before = part
    if first is None or newest is None:
        return None
    return Written(first.first_ns, newest.last_ns, turns)


def set_back(count: int) -> str:
    """How it is said that the recorder's clock was set back."""
    return (
        f"the recorder's clock was set back {count} time(s) by more than a second; messages "
        "are taken by their times"
    )
