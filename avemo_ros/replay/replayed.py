"""The result of a replay: every estimate of a recording, and the labels to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from avemo_ros.annotations.segments import Segment
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.vision.face import Box


@dataclass(frozen=True, slots=True)
class SeenFaces:
    """The faces found in one image, without what they look like."""

    stamp_ns: int
    """Sensor time of the image [ns]."""
    faces: tuple[tuple[str, Box], ...]
    """Id and place of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """All estimates of a recording, and how they came about."""

    steps: tuple[EmotionStep, ...]
    """Oldest first in message time; stamps are sensor time."""
    start_ns: int
    """Stamp of the first input that was used [ns]."""
    end_ns: int
    """Stamp of the last input that was used [ns]."""
    source: str
    """What the steps rest on: 'raw' images and audio, recorded 'features' (of a mixture of
    both, too), or recorded 'states'."""
    model_id: str
    """Name of the model; of recorded states the one that they name."""
    frames: tuple[SeenFaces, ...]
    """Of every image that was looked at; empty for recorded states."""
    counters: Mapping[str, float]
    """What was used and what was left out, by name; the same in every run."""
    stages_ms: Mapping[str, tuple[float, ...]]
    """Newest durations of every stage [ms]; measured, so another in every run."""
    seconds: float
    """How long the replay took, loading the networks included [s]; measured."""
    latencies_s: tuple[float, ...] = ()
    """How late each recorded state says that it came [s]; empty for what was computed."""
    problems: tuple[str, ...] = ()
    """What of the recording is missing, unreadable or odd, in sentences."""
    first_ns: int = 0
    """Sensor time of the bag's first message, used or not [ns]; 0: as `start_ns`.  That is its
    time of recording, unless stamps are of another clock: then moved by as much."""
    precision: str = ""
    """Arithmetic of the networks, as chosen; "" for recorded states."""

    @property
    def zero_ns(self) -> int:
        """What labels and pages count from [ns]: the bag's first message, used or not."""
        return self.first_ns or self.start_ns


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedRecording:
    """Estimates and labels of one recording."""

    name: str
    """Tells it from the others of the evaluation."""
    replayed: Replayed
    segments: tuple[Segment, ...]
    """Of all annotators; those of one annotator and person do not overlap."""
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a person's name in the labels the ids that the stream gave."""
