"""What a check of a bag has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from avemo_ros.bag.offset import Offset
from avemo_ros.bag.rhythm import Rhythm
from avemo_ros.bag.topics import Kind
from avemo_ros.clock import to_s

_INPUTS: Final = (
    frozenset({Kind.PICTURES.value, Kind.SOUND.value}),
    frozenset({Kind.TRACKS.value, Kind.SPECTROGRAM.value}),
    frozenset({Kind.STATES.value}),
)
"""What evaluation takes: the first of these that is there."""


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """One topic."""

    topic: str
    type: str
    use: str
    """What it is to us, as in `Kind`, 'audio info' or 'robot speaking'; empty: nothing."""
    definition: str
    """Where the type's definition is from: 'bag', 'package', or 'missing'."""
    rhythm: Rhythm
    begins_s: float | None = None
    """Time of recording of its first message, from the bag's first [s]; None without one."""
    unreadable: str = ""
    """Why its messages cannot be read: their definition, or one that it needs, is missing or
    damaged; empty if they can."""


@dataclass(frozen=True, slots=True)
class Usable:
    """What evaluation can use, each a sentence; the empty ones it cannot."""

    raw: str
    features: str
    states: str
    labels: str


@dataclass(frozen=True, slots=True)
class BagCheck:
    """What was found."""

    path: Path
    storage: str
    compression: str
    distro: str
    files: int
    start_ns: int
    end_ns: int
    cut_off: bool
    topics: tuple[TopicCheck, ...]
    usable: Usable
    offset_by_stamps: Offset
    offset_by_mouth: Offset
    findings: tuple[str, ...] = field(default=())
    """What is wrong or odd, each a sentence."""

    @property
    def duration_s(self) -> float:
        """From the first to the last message [s]."""
        return to_s(self.end_ns - self.start_ns)

    @property
    def first_input_s(self) -> float | None:
        """When the first of what evaluation takes was recorded, in seconds as labels count
        them; None where it can take nothing."""
        for kinds in _INPUTS:
            begins = [
                one.begins_s
                for one in self.topics
                if one.use in kinds and one.begins_s is not None
            ]
            if begins:
                return min(begins)
        return None

    @property
    def clean(self) -> bool:
        """It can be evaluated, and there is nothing to say against it."""
        return not self.findings
