"""Which pictures of a stream are looked at, by order and rate, before they are decoded."""

from __future__ import annotations

from enum import Enum
from typing import Final

from avemo_ros.clock import to_ns
from avemo_ros.vision.turns import Turns

_JUMP_NS: Final = to_ns(1.0)
"""Stamps that go back by more mean that time started anew, less means out of order."""


class Admission(Enum):
    """What to do with a picture."""

    LOOK = "look"
    LOOK_ANEW = "look anew"
    """Time jumped back: forget the faces, then look."""
    TOO_OFTEN = "too often"
    """Leave it out: another one of its turn was looked at."""
    LATE = "late"
    """Leave it out: it is not newer than the last one."""


class PictureGate:
    """Admits pictures by their stamps; the same for live input and for recordings.

    Args:
        max_rate_hz: at most so many are looked at a second.
    """

    def __init__(self, max_rate_hz: float) -> None:
        self._turns = Turns(max_rate_hz)
        self._newest_ns: int | None = None

    def judge(self, stamp_ns: int) -> Admission:
        """What to do with the picture of this stamp [ns]; changes nothing."""
        newest = self._newest_ns
        if newest is not None and stamp_ns <= newest:
            jumped = stamp_ns < newest - _JUMP_NS
            return Admission.LOOK_ANEW if jumped else Admission.LATE
        return Admission.LOOK if self._turns.is_due(stamp_ns) else Admission.TOO_OFTEN

    def looked(self, stamp_ns: int) -> None:
        """A picture was good and is looked at; what cannot be read takes no turn."""
        self._newest_ns = stamp_ns
        self._turns.take(stamp_ns)

    def reset(self) -> None:
        """Forget the stream."""
        self._newest_ns = None
        self._turns.reset()
