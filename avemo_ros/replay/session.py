"""A recording that was replayed, with what is true of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from avemo_ros.replay.run import Replayed
from avemo_ros.truth.segment import Segment


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """What was said and what is true of one recording."""

    name: str
    """Tells it from the others of the evaluation."""
    replayed: Replayed
    segments: tuple[Segment, ...]
    """Of all annotators; those of one annotator and person do not overlap."""
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a person's name in the labels the ids that the stream gave."""
