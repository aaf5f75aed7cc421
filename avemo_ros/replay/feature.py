"""What is made of pictures and sound before the networks, and what happened on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from avemo_ros.audio.chunk import SpectrogramChunk
from avemo_ros.bag.recording import Kind
from avemo_ros.vision.face import FrameTracks

Feature: TypeAlias = FrameTracks | SpectrogramChunk

RAW: Final = frozenset({Kind.PICTURES, Kind.SOUND})
RECORDED: Final = frozenset({Kind.TRACKS, Kind.SPECTROGRAM})
"""Features that lie in the bag as such."""


@dataclass(slots=True)
class Findings:
    """What happened on the way; the same in every run but for the durations."""

    counters: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    stages_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)
