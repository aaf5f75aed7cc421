"""The first half of the engine: images become face tracks, recorded features are checked.

What is wrong with the inputs is counted, to be read at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import HOP_NS, AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.config import InputConfig, PipelineConfig
from avemo_ros.engine.video_stage import VideoStage
from avemo_ros.timing import Reporter, StampFilter, Stopwatch
from avemo_ros.vision.face import FrameTracks


class FeatureGate:
    """Admits features by their stamps, as the other stages admit images and sound.

    Args:
        inputs: which stamps are believed.
        tracks: hears of troubles with face tracks.
        spectrogram: hears of troubles with chunks.
        advice: see `StampFilter`.
    """

    def __init__(
        self,
        inputs: InputConfig,
        tracks: Reporter,
        spectrogram: Reporter,
        advice: Callable[[float], str] | None = None,
    ) -> None:
        self._tracks = self._filter("face tracks", "image_stamps", inputs, tracks, advice)
        self._chunks = self._filter("spectrogram", "audio_stamps", inputs, spectrogram, advice)
        self.frames = self.chunks = 0
        """What was admitted."""

    @staticmethod
    def _filter(
        what: str,
        parameter: str,
        inputs: InputConfig,
        reporter: Reporter,
        advice: Callable[[float], str] | None,
    ) -> StampFilter:
        # Who made the features has followed the parameter already: they bear stamps.
        return StampFilter(
            what, parameter, inputs.max_input_age_s, "header", reporter, advice=advice
        )

    @property
    def refused(self) -> int:
        """Features left out for their stamps."""
        return self._tracks.refused + self._chunks.refused

    @property
    def late(self) -> int:
        """Features that were not newer than the ones before."""
        return self._tracks.late + self._chunks.late

    def tracks(self, tracks: FrameTracks, arrival_ns: int) -> FrameTracks | None:
        """The faces of the next image, with the stamp to use; None where they are left out."""
        admission = self._tracks.admit(tracks.stamp_ns, arrival_ns)
        if not admission.usable:
            return None
        self.frames += 1
        return replace(tracks, stamp_ns=admission.stamp_ns)

    def chunk(self, chunk: SpectrogramChunk, arrival_ns: int) -> SpectrogramChunk | None:
        """The next columns, with the stamp to use; None where they are left out."""
        # It is the newest column whose time is that of arrival.
        lasts_ns = max(len(chunk.speech) - 1, 0) * HOP_NS
        end_ns = chunk.stamp_ns + lasts_ns if chunk.stamp_ns > 0 else 0
        admission = self._chunks.admit(end_ns, arrival_ns)
        if not admission.usable:
            return None
        self.chunks += 1
        return replace(chunk, stamp_ns=admission.stamp_ns - lasts_ns)

    def reset(self) -> None:
        """Forget both streams."""
        self._tracks.reset()
        self._chunks.reset()


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
Extracted: TypeAlias = AudioBlock | RobotSpeech | Feature
"""What is left when all images have become face tracks."""
InputItem: TypeAlias = ImageItem | Extracted
"""What may go in; features where they were recorded as such."""


class FeatureExtractor:
    """The first half: images become face tracks, recorded features are admitted, all else
    passes.  Runs in a process of its own where speed counts.

    Args:
        config: of the whole engine.
        findings: hears of troubles.
        stopwatch: measures the stages.
    """

    def __init__(
        self, config: PipelineConfig, findings: InputIssues, stopwatch: Stopwatch | None = None
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
                identity=self._config.identity,
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

    def push(self, arrival_ns: int, item: InputItem) -> Extracted | None:
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


@dataclass(slots=True)
class _LeftOut:
    text: str
    count: int = 0


class InputIssues:
    """What was wrong with the inputs of one recording."""

    def __init__(self) -> None:
        self._left_out: dict[tuple[str, str], _LeftOut] = {}
        self._odd: dict[tuple[str, str], str] = {}

    def of(self, what: str) -> IssueReporter:
        """The reporter of one input, which is named in each sentence."""
        return IssueReporter(self, what)

    def leave_out(self, what: str, kind: str, text: str) -> None:
        """An item was left out; of a kind the first text is kept."""
        self._left_out.setdefault((what, kind), _LeftOut(text)).count += 1

    def note(self, what: str, kind: str, text: str) -> None:
        """Something is odd but usable; of a kind the first text is kept."""
        self._odd.setdefault((what, kind), text)

    def sentences(self) -> list[str]:
        """All of it, in the same order in every run."""
        left_out = [
            f"{what}: {one.count} left out: {one.text.removesuffix('; left out')}"
            for (what, _), one in sorted(self._left_out.items())
        ]
        return left_out + [f"{what}: {text}" for (what, _), text in sorted(self._odd.items())]


class IssueReporter:
    """See `timing.Reporter`."""

    def __init__(self, findings: InputIssues, what: str) -> None:
        self._findings, self._what = findings, what

    def report(self, kind: str, text: str) -> None:
        """An item cannot be used."""
        self._findings.leave_out(self._what, kind, text)

    def once(self, kind: str, text: str) -> None:
        """Something is odd but usable."""
        self._findings.note(self._what, kind, text)

    def note(self, kind: str, text: str) -> None:
        """Something happened and is over."""
        self._findings.note(self._what, kind, text)

    def good(self) -> None:
        """An item was good; nothing to remember."""
