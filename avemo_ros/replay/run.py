"""What the model says of a recording: the live path's answer, as fast as the machine can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from avemo_ros.config import PipelineConfig
from avemo_ros.state.estimate import Hop
from avemo_ros.vision.face import Box

if TYPE_CHECKING:
    from avemo_ros.bag.topics import Topics
    from avemo_ros.replay.helper import HelperProcess

USES: Final = ("auto", "raw", "features", "states")
"""What of a recording may be asked for; 'auto' takes the first of the others that is there."""


@dataclass(frozen=True, slots=True)
class SeenFaces:
    """The faces found in one picture, without what they look like."""

    stamp_ns: int
    """Sensor time of the picture [ns]."""
    faces: tuple[tuple[str, Box], ...]
    """Id and place of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """Everything that was said of a recording."""

    hops: tuple[Hop, ...]
    """Oldest first in message time; stamps are sensor time."""
    start_ns: int
    """Stamp of the first input that was used [ns]."""
    end_ns: int
    """Stamp of the last input that was used [ns]."""
    source: str
    """What the hops rest on: 'raw' pictures and sound, recorded 'features' (of a mixture of
    both, too), or recorded 'states'."""
    model_id: str
    """Name of the model; of recorded states the one that they name."""
    frames: tuple[SeenFaces, ...]
    """Of every picture that was looked at; empty for recorded states."""
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


def replay(
    path: Path,
    config: PipelineConfig,
    *,
    topics: Topics | None = None,
    use: str = "auto",
    processes: int = 2,
    progress: Callable[[float], None] | None = None,
    helper: HelperProcess | None = None,
) -> Replayed:
    """Play a recording through the streaming core by message time.

    The result depends on the recording and the configuration alone: not on the number of
    processes, the machine's load or the time of day.

    Args:
        path: of the bag.
        config: of the core, as the live nodes'.
        topics: which topic is which; None finds them by their types.
        use: one of USES.
        processes: 2 turns pictures and sound into features in a process of its own, 1 does all
            in this one.
        progress: called with the seconds of message time that are done.
        helper: the process for the features where it was started already; the caller closes
            it, and `processes` does not count.

    Raises:
        BagError: the bag cannot be read, or holds nothing of what is to be used.
        WeightsError: the configured model is missing or damaged.
        ConfigError: the configured device is not there.
    """
    # Loads NumPy's and the bag's libraries; who only reads results needs none of them.
    from avemo_ros.replay.play import play

    return play(
        path,
        config,
        topics=topics,
        use=use,
        processes=processes,
        progress=progress,
        helper=helper,
    )
