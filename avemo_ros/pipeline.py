"""All stages joined, for one thread to drive: for files, recordings and programs of one's own.

    pipeline = Pipeline(PipelineConfig())
    steps = pipeline.push_frame(stamp_ns, image)
    steps += pipeline.push_audio(block)

or, for a whole recording, `for step in pipeline.run(items): ...`.  A camera, a file and a bag
differ only in what calls it.
"""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import (
    FLOOR_DB,
    AudioBlock,
    RobotSpeech,
    SpectrogramChunk,
    silence,
)
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.emotion_stage import TICK_S, EmotionStage
from avemo_ros.engine.feature_extractor import (
    Extracted,
    Feature,
    FeatureExtractor,
    InputIssues,
    InputItem,
)
from avemo_ros.model.predictor import Predictor
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.timing import JUMP_NS, NS_PER_S, Stopwatch, to_ns
from avemo_ros.vision.face import FrameTracks

_TICK_NS: Final = to_ns(TICK_S)
_AGES: Final = 2000
_AGAIN_NS: Final = to_ns(5.0)
"""Without times of arrival, stamps that go back by more begin a new recording."""
_CONFIRMING: Final = 3
"""Without times of arrival, so many in a row have to agree that time went on by more than a
second: one outlier does not decide it."""
_LONGEST_NS: Final = to_ns(600.0)
"""A longer silence is a clock that was set, or a robot that was left alone: only its beginning
is filled with steps."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    stamp_ns: int
    image: NDArray[Any]


class Pipeline:
    """All three stages, driven by one thread.

    Args:
        config: of the whole engine.
        predictor: the network; None loads the configured one.
        findings: hears of troubles; None: a new one.
        stopwatch: measures the stages.

    Raises:
        WeightsError: the configured weights are missing, damaged or of another model.
        ConfigError: the configured device is not there.
    """

    def __init__(
        self,
        config: PipelineConfig,
        predictor: Predictor | None = None,
        *,
        findings: InputIssues | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._config = config
        self.stopwatch = stopwatch if stopwatch is not None else Stopwatch()
        self.findings = findings if findings is not None else InputIssues()
        self.predictor = predictor if predictor is not None else Predictor(config.model)
        self.extractor = FeatureExtractor(config, self.findings, self.stopwatch)
        self.audio = AudioStage(
            config.audio, config.input, self.findings.of("sound"), stopwatch=self.stopwatch
        )
        self._voice = ThreadPoolExecutor(1, "voice")
        self.emotion = EmotionStage(
            config, self.predictor, self.stopwatch, executor=self._voice
        )
        self._chunks = 0
        self._loudest_dbfs: float | None = None
        self._arrival_ns = 0
        self._leaps = 0
        self._ages: deque[int] = deque(maxlen=_AGES)
        self.start_ns: int | None = None
        self.end_ns: int | None = None
        """Sensor time of the first and the last input that was used [ns]."""
        self._tick_ns: int | None = None
        self.tracks: FrameTracks | None = None
        """The faces of the newest image that was looked at."""

    @property
    def model_id(self) -> str:
        """Name of the model that the estimates come from."""
        return self.predictor.model_id

    @property
    def usual_age_ns(self) -> int:
        """Usual time from stamp to arrival [ns]; far from 0 where stamps are of another
        clock."""
        return int(statistics.median(self._ages)) if self._ages else 0

    def push(self, arrival_ns: int, item: InputItem) -> list[EmotionStep]:
        """Take the next item of a recording, and let the time up to its arrival pass.

        Args:
            arrival_ns: when it came, on one clock for all items [ns].
            item: an image, sound or recorded features.

        Returns:
            The estimates that have become due, oldest first.
        """
        seen = self.extractor.push(arrival_ns, item)
        return (
            self.advance(arrival_ns) if seen is None else self.push_extracted(arrival_ns, seen)
        )

    def push_extracted(self, arrival_ns: int, seen: Extracted) -> list[EmotionStep]:
        """As `push`, for what a `FeatureExtractor` gave, maybe in another process."""
        self._arrival_ns = arrival_ns
        steps = self.advance(arrival_ns)
        if isinstance(seen, RobotSpeech):
            self.audio.mute.set_speaking(arrival_ns, speaking=seen.speaking)
            return steps
        if isinstance(seen, AudioBlock):
            features: Sequence[Feature] = self.audio.push(seen, arrival_ns)
            self._chunks += len(features)
        else:
            features = (seen,)
        for feature in features:
            steps += self._push_feature(arrival_ns, feature)
        return steps

    def _push_feature(self, arrival_ns: int, feature: Feature) -> list[EmotionStep]:
        if isinstance(feature, FrameTracks):
            self.tracks = feature
            reached_ns = feature.stamp_ns
            steps = self.emotion.push_tracks(feature, arrival_ns)
        else:
            reached_ns = feature.end_ns
            self._measure_level(feature)
            steps = self.emotion.push_speech(feature, arrival_ns)
        first_ns = feature.stamp_ns if self.start_ns is None else self.start_ns
        self.start_ns = min(first_ns, feature.stamp_ns)
        self.end_ns = max(self.end_ns or reached_ns, reached_ns)
        self._ages.append(arrival_ns - reached_ns)
        return steps

    def _measure_level(self, chunk: SpectrogramChunk) -> None:
        before = FLOOR_DB if self._loudest_dbfs is None else self._loudest_dbfs
        self._loudest_dbfs = float(chunk.level_dbfs.max(initial=before))

    def push_frame(
        self, stamp_ns: int, image: NDArray[Any], arrival_ns: int | None = None
    ) -> list[EmotionStep]:
        """Take one image, see `push`.

        Args:
            stamp_ns: sensor time [ns].
            image: (H, W, 3) BGR or (H, W) grey, uint8.
            arrival_ns: when it came [ns]; None: as soon as it could.
        """
        came_ns = self._soonest(stamp_ns) if arrival_ns is None else arrival_ns
        return self.push(came_ns, _Frame(stamp_ns, image))

    def push_audio(self, block: AudioBlock, arrival_ns: int | None = None) -> list[EmotionStep]:
        """Take one block of sound, see `push_frame`."""
        lasts_ns = len(block.samples) * NS_PER_S // block.rate if block.rate > 0 else 0
        ended_ns = block.stamp_ns + lasts_ns
        came_ns = self._soonest(ended_ns) if arrival_ns is None else arrival_ns
        return self.push(came_ns, block)

    def _soonest(self, stamp_ns: int) -> int:
        """When something may have come that comes after all that came before [ns]."""
        leaps = self._arrival_ns > 0 and stamp_ns - self._arrival_ns > JUMP_NS
        self._leaps = self._leaps + 1 if leaps else 0
        if leaps and self._leaps < _CONFIRMING:
            return self._arrival_ns
        again = self._arrival_ns - stamp_ns > _AGAIN_NS
        return stamp_ns if again else max(stamp_ns, self._arrival_ns)

    def run(
        self,
        items: Iterable[tuple[int, InputItem]],
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[EmotionStep]:
        """All estimates of a recording, as a live node would have made them, as fast as the
        machine can.

        Args:
            items: times of arrival [ns] and what came, in that order.
            progress: called with the times of arrival that are done [ns].
        """
        for arrival_ns, item in items:
            yield from self.push(arrival_ns, item)
            if progress is not None:
                progress(arrival_ns)
        yield from self.flush()

    def advance(self, now_ns: int) -> list[EmotionStep]:
        """Let time pass up to `now_ns` [ns] on the clock of the arrivals."""
        next_ns = self._tick_ns
        after_ns = (now_ns // _TICK_NS + 1) * _TICK_NS
        if next_ns is None or now_ns < next_ns - JUMP_NS:
            self._tick_ns = after_ns
            return []
        self._tick_ns = max(next_ns, after_ns)
        ticks = range(next_ns, min(now_ns, next_ns + _LONGEST_NS) + 1, _TICK_NS)
        return [step for tick_ns in ticks for step in self.emotion.tick(tick_ns)]

    def flush(self) -> list[EmotionStep]:
        """The estimates that still wait for input, at the end of a recording."""
        steps = []
        for chunk in self.audio.flush():
            self._measure_level(chunk)
            steps += self.emotion.push_speech(chunk)
        floor_dbfs = self._config.audio.level_floor_dbfs
        if self._loudest_dbfs is not None and self._loudest_dbfs < floor_dbfs:
            self.findings.note("sound", "silence", f"no voice: {silence(floor_dbfs)}")
        return steps + self.emotion.flush()

    def forget(self, person: str) -> str:
        """Forget one person, who is not recognised again while in view.

        Args:
            person: person, face or voice id.

        Returns:
            The person, face or voice id of who was forgotten; "" if nobody was known.
        """
        who = self.emotion.forget(person)
        for face_id in who.face_ids:
            self.extractor.stage.forget(face_id)
        return who.key

    def counters(self) -> Counter[str]:
        """What was used and what was left out."""
        emotion, sound = self.emotion.counters, self.audio.counters
        counted = self.extractor.counters()
        counted.update(
            chunks=self._chunks,
            far_stamps=self.audio.refused_stamps,
            hops=emotion.steps,
            resets=emotion.resets,
            late_frames=emotion.late_frames,
            late_chunks=emotion.late_chunks,
            sound_refused=self.audio.refused,
            sound_gaps=sound.gaps,
            sound_restarts=sound.restarts,
        )
        return counted

    def reset(self) -> None:
        """Forget everything seen and heard; the estimates stay in `emotion.memory`."""
        self.extractor.reset()
        self.audio.reset()
        self.emotion.reset()
        self._tick_ns = None
        self._arrival_ns = self._leaps = 0
        self._ages.clear()
        self.start_ns = self.end_ns = self._loudest_dbfs = None
        self.tracks = None

    def close(self) -> None:
        """Free the face networks; doing so twice is harmless."""
        self.extractor.close()
        self._voice.shutdown()
