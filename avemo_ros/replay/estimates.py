"""From the features of a recording to all that a model says of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.bag.recording import Kind
from avemo_ros.clock import to_s
from avemo_ros.config import PipelineConfig
from avemo_ros.model.predictor import Predictor
from avemo_ros.replay.ahead import looked_ahead
from avemo_ros.replay.feature import RECORDED, Feature, Findings
from avemo_ros.replay.hearing import Hearing
from avemo_ros.replay.run import Replayed, SeenFaces
from avemo_ros.replay.silence import Silence
from avemo_ros.state.estimate import Hop
from avemo_ros.state.estimator import EmotionEstimator
from avemo_ros.stopwatch import WHOLE, Stopwatch
from avemo_ros.vision.face import FrameTracks


class FeatureSource(Protocol):
    """Where features come from: this process (`Features`) or another (`HelperProcess`)."""

    findings: Findings

    def __iter__(self) -> Iterator[tuple[int, Feature | AudioBlock]]:
        """Times of recording [ns] with features and blocks of sound."""


class Estimates:
    """The networks and the estimator, for one recording.

    Args:
        config: of the core.
        start_ns: time of recording that counts as 0 [ns].
        report: called with the seconds of message time that are done.

    Raises:
        WeightsError: the configured model is missing or damaged.
        ConfigError: the configured device is not there.
    """

    def __init__(
        self, config: PipelineConfig, start_ns: int, report: Callable[[float], None]
    ) -> None:
        self._config = config
        self._start_ns = start_ns
        self._report = report
        self._stopwatch = Stopwatch(WHOLE)
        self._predictor = Predictor(config.model)
        self._estimator = EmotionEstimator(config.emotion, self._predictor, self._stopwatch)
        self._silence = Silence(config.emotion, self._estimator)
        self._frames: list[SeenFaces] = []

    def of(self, source: FeatureSource, kinds: frozenset[Kind], began: float) -> Replayed:
        """Everything that is said of these features."""
        hops: list[Hop] = []
        stamps: list[int] = []
        hearing = Hearing(source, self._config.audio)
        for log_ns, feature, embeddings in looked_ahead(
            hearing, self._config.emotion, self._predictor, self._stopwatch
        ):
            hops += self._silence.until(log_ns)
            if isinstance(feature, FrameTracks):
                reached_ns = feature.stamp_ns
                faces = tuple((face.face_id, face.box) for face in feature.faces)
                self._frames.append(SeenFaces(reached_ns, faces))
                hops += self._estimator.push_tracks(feature, embeddings)
            else:
                reached_ns = feature.end_ns
                hops += self._estimator.push_speech(feature)
            self._silence.heard(reached_ns, log_ns)
            stamps += [feature.stamp_ns, reached_ns]
            self._report(to_s(log_ns - self._start_ns))
        hops += self._estimator.flush()
        hearing.tell(source.findings)
        return self._replayed(hops, stamps, source, kinds, began)

    def _replayed(
        self,
        hops: list[Hop],
        stamps: list[int],
        source: FeatureSource,
        kinds: frozenset[Kind],
        began: float,
    ) -> Replayed:
        found = source.findings
        counters = self._estimator.counters
        counted = Counter(found.counters)
        counted.update(
            hops=len(hops),
            skipped_hops=counters.skipped_hops,
            resets=counters.resets,
            late_frames=counters.late_frames,
            late_chunks=counters.late_chunks,
        )
        return Replayed(
            hops=tuple(hops),
            start_ns=min(stamps, default=self._start_ns),
            end_ns=max(stamps, default=self._start_ns),
            source="features" if kinds & RECORDED else "raw",
            model_id=self._predictor.model_id,
            frames=tuple(self._frames),
            counters={name: float(counted[name]) for name in sorted(counted)},
            stages_ms={**found.stages_ms, **self._stopwatch.stages_ms()},
            seconds=time.perf_counter() - began,
            problems=tuple(found.problems),
            first_ns=self._start_ns,
            precision=self._predictor.precision,
        )
