"""The first half of the engine: images become face tracks, all else passes."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from avemo_ros.audio.chunk import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.features import FeatureGate
from avemo_ros.engine.findings import Findings
from avemo_ros.engine.video import VideoStage
from avemo_ros.stopwatch import Stopwatch
from avemo_ros.vision.face import FrameTracks


class ImageItem(Protocol):
    """An image of a file, a recording or a camera."""

    @property
    def stamp_ns(self) -> int:
        """Sensor time [ns]; 0: not known."""
        ...

    @property
    def image(self) -> NDArray[Any]:
        """(H, W, 3) BGR or (H, W) grey, uint8; read only when it is looked at.

        Raises:
            ImageError: it cannot be decoded.
        """
        ...


Feature: TypeAlias = FrameTracks | SpectrogramChunk
Seen: TypeAlias = AudioBlock | RobotSpeech | Feature
"""What is left when all images have become face tracks."""
Item: TypeAlias = ImageItem | Seen
"""What may go in; features where they were recorded as such."""


class Seeing:
    """The first half: images become face tracks, recorded features are admitted, all else
    passes.  Runs in a process of its own where speed counts.

    Args:
        config: of the whole core.
        findings: hears of troubles.
        stopwatch: measures the stages.
    """

    def __init__(
        self, config: PipelineConfig, findings: Findings, stopwatch: Stopwatch | None = None
    ) -> None:
        self._config = config
        self._findings = findings
        self._stopwatch = stopwatch
        self._features = FeatureGate(
            config.input, findings.of("face tracks"), findings.of("spectrogram")
        )
        self._stage: VideoStage | None = None
        self.reached_ns = 0
        """When the newest item came, also if it was left out [ns]."""

    @property
    def stage(self) -> VideoStage:
        """Made when first needed: a recording without images does not load the networks."""
        if self._stage is None:
            self._stage = VideoStage(
                self._config.vision,
                self._config.input,
                self._findings.of("images"),
                stopwatch=self._stopwatch,
            )
        return self._stage

    def counters(self) -> Counter[str]:
        """What happened to images and recorded features."""
        features = self._features
        counted = Counter(
            frames=features.frames,
            chunks=features.chunks,
            late_features=features.late,
            far_stamps=features.refused,
        )
        if (stage := self._stage) is not None:
            counted.update(
                frames=stage.counters.frames,
                frames_left_out=stage.counters.throttled,
                late_pictures=stage.late,
                pictures_refused=stage.counters.refused,
                far_stamps=stage.refused_stamps,
            )
        return counted

    def push(self, arrival_ns: int, item: Item) -> Seen | None:
        """Take the next item of a recording.

        Args:
            arrival_ns: when it came [ns].
            item: what came.

        Returns:
            The faces of an image; recorded features with the stamp to use; sound and the like
            as they are.  None where it is left out.
        """
        self.reached_ns = arrival_ns
        if isinstance(item, FrameTracks):
            return self._features.tracks(item, arrival_ns)
        if isinstance(item, SpectrogramChunk):
            return self._features.chunk(item, arrival_ns)
        if isinstance(item, AudioBlock | RobotSpeech):
            return item
        return self.stage.push(item.stamp_ns, lambda: item.image, arrival_ns)

    def reset(self) -> None:
        """Forget the stream."""
        self._features.reset()
        if self._stage is not None:
            self._stage.reset()

    def close(self) -> None:
        """Free the face networks."""
        if self._stage is not None:
            self._stage.close()
