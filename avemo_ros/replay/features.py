"""From recorded messages to face tracks by the live nodes' rules; sound passes as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from avemo_ros.audio.chunk import AudioBlock, SpectrogramChunk
from avemo_ros.bag.recording import BagPicture, Kind, Recording
from avemo_ros.clock import to_ns
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ImageError
from avemo_ros.replay.feature import Feature, Findings
from avemo_ros.source.stamps import MAX_AGE_S, is_far
from avemo_ros.stopwatch import WHOLE, Stopwatch
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import FrameTracks
from avemo_ros.vision.gate import Admission, PictureGate

_USUAL_NS: Final = to_ns(MAX_AGE_S)


class Features:
    """The features of a recording, to be iterated once.

    Args:
        recording: to read.
        kinds: what of it to use, of RAW and RECORDED.
        config: of the core.
        max_input_age_s: input whose stamp is further from its time of recording is left out
            [s]; 0 takes any.
    """

    def __init__(
        self,
        recording: Recording,
        kinds: frozenset[Kind],
        config: PipelineConfig,
        max_input_age_s: float = MAX_AGE_S,
    ) -> None:
        self._max_age_s = max_input_age_s
        self._recording = recording
        self._kinds = kinds
        self._stopwatch = Stopwatch(WHOLE)
        self._gate = PictureGate(config.vision.max_rate_hz)
        self._vision = FaceAnalyzer(config.vision) if Kind.PICTURES in kinds else None
        self._counters: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self.findings = Findings()
        """Complete when the iteration has ended."""

    def __iter__(self) -> Iterator[tuple[int, Feature | AudioBlock]]:
        """Times of recording [ns] with features and blocks of sound, in the order of
        recording."""
        try:
            max_age_ns = to_ns(self._max_age_s)
            for log_ns, item in self._recording.items(self._kinds):
                if is_far(item.stamp_ns, log_ns, max_age_ns):
                    self._counters["far_stamps"] += 1
                    continue
                if is_far(item.stamp_ns, log_ns, _USUAL_NS):
                    self._counters["far_stamps_used"] += 1
                if isinstance(item, BagPicture):
                    tracks = self._seen(item)
                    if tracks is not None:
                        yield log_ns, tracks
                elif isinstance(item, AudioBlock):
                    yield log_ns, item
                elif isinstance(item, FrameTracks):
                    self._counters["frames"] += 1
                    yield log_ns, item
                elif isinstance(item, SpectrogramChunk):
                    self._counters["chunks"] += 1
                    yield log_ns, item
            self._finish()
        finally:
            if self._vision is not None:
                self._vision.close()

    def _seen(self, item: BagPicture) -> FrameTracks | None:
        """The faces of a picture; None when it is left out."""
        assert self._vision is not None
        admission = self._gate.judge(item.stamp_ns)
        if admission is Admission.TOO_OFTEN:
            self._counters["frames_left_out"] += 1
            return None
        if admission is Admission.LATE:
            self._counters["late_pictures"] += 1
            return None
        try:
            with self._stopwatch.measure("decode"):
                picture = item.image
            if admission is Admission.LOOK_ANEW:
                self._vision.reset()
            self._gate.looked(item.stamp_ns)
            with self._stopwatch.measure("vision"):
                tracks = self._vision.process(item.stamp_ns, picture)
        except ImageError as error:
            self._refuse(error)
            return None
        self._counters["frames"] += 1
        return tracks

    def _refuse(self, error: ImageError) -> None:
        self._counters["pictures_refused"] += 1
        self._refused[f"left out: {error}"] += 1

    def _finish(self) -> None:
        found = self.findings
        found.counters = self._counters
        found.problems = list(self._recording.problems)
        found.problems += [f"{_inputs(count)} {text}" for text, count in self._refused.items()]
        if far := self._counters["far_stamps"]:
            found.problems.append(
                f"{_inputs(far)} left out: stamped more than {self._max_age_s:g} s away from "
                "the time of recording, as the live nodes leave them out unless "
                "max_input_age_s is 0"
            )
        if far := self._counters["far_stamps_used"]:
            found.problems.append(
                f"{_inputs(far)} used though stamped more than {MAX_AGE_S:g} s away from the "
                "time of recording: labels are held against the stamps"
            )
        found.stages_ms = self._stopwatch.stages_ms()


def _inputs(count: int) -> str:
    return "1 input" if count == 1 else f"{count} inputs"
