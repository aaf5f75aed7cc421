"""What is asked of an evaluation of bags."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from avemo_ros.bag.topics import Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.replay.thresholds import Threshold


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how."""

    bags: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    """Files and folders; where there are none each bag gets what lies beside it."""
    config: PipelineConfig = field(default_factory=PipelineConfig)
    topics: Topics = field(default_factory=Topics)
    use: str = "auto"
    """What of the bags: one of `run.USES`."""
    workers: int = 0
    """Processes in all, at most one a core; 0: one a core."""
    cache: Path | None = None
    """Folder in which finished replays are kept and found again; None keeps none."""
    thresholds: tuple[Threshold, ...] = ()
    rounds: int = 1000
    """Of the bootstrap."""
