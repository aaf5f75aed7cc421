"""What comes out of a recording besides the core's own types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.vision.face import FrameTracks


@dataclass(frozen=True, slots=True, eq=False)
class BagPicture:
    """A picture that is decoded only when somebody looks at it."""

    stamp_ns: int
    """Sensor time [ns]."""
    topic: str
    _decode: Callable[[], NDArray[np.uint8]] = field(repr=False)

    @property
    def image(self) -> NDArray[np.uint8]:
        """(height, width, 3) BGR, decoded at each access; may be read-only.

        Raises:
            ImageError: encoding, size or data cannot be used.
        """
        return self._decode()


@dataclass(frozen=True, slots=True)
class StatesRecord:
    """A recorded EmotionStateArray, or an EmotionState by itself."""

    stamp_ns: int
    """Sensor time of the windows' end [ns]."""
    estimates: tuple[EmotionEstimate, ...]
    latencies_s: tuple[float, ...] = ()
    """From the windows' end to publication, of those that say so [s]."""


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """A message of a labels topic."""

    stamp_ns: int
    """When it was recorded [ns]."""
    text: str


Item: TypeAlias = (
    BagPicture
    | AudioBlock
    | RobotSpeech
    | FrameTracks
    | SpectrogramChunk
    | StatesRecord
    | LabelRecord
)
