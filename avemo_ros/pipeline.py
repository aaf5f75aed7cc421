"""The whole core: pictures and sound in, everyone's emotion out.  Knows nothing of ROS.

    pipeline = Pipeline(PipelineConfig())
    hops = pipeline.push_frame(stamp_ns, image)
    hops += pipeline.push_audio(block)

A camera, a file and a bag differ only in what calls these two.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.audio.speech import SpeechBuffer
from avemo_ros.config import PipelineConfig
from avemo_ros.model.predictor import Predictor
from avemo_ros.state.estimate import Hop
from avemo_ros.state.estimator import EmotionEstimator
from avemo_ros.stopwatch import Stopwatch
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import FrameTracks
from avemo_ros.vision.gate import Admission, PictureGate
from avemo_ros.vision.picture import as_bgr


class Pipeline:
    """Vision, audio, model and state in one object; not for several threads at once."""

    def __init__(self, config: PipelineConfig, predictor: Predictor | None = None) -> None:
        """Load the model unless one is given.

        Raises:
            WeightsError: the configured weights are missing, damaged or of another model.
        """
        self._stopwatch = Stopwatch()
        self._predictor = predictor if predictor is not None else Predictor(config.model)
        self._gate = PictureGate(config.vision.max_rate_hz)
        self._vision = FaceAnalyzer(config.vision)
        self._audio = SpeechBuffer(config.audio)
        self._estimator = EmotionEstimator(config.emotion, self._predictor, self._stopwatch)
        self.tracks: FrameTracks | None = None
        """The faces of the newest picture that was looked at."""

    @property
    def model_id(self) -> str:
        """Name of the model that the estimates come from."""
        return self._predictor.model_id

    @property
    def timings(self) -> Mapping[str, tuple[float, ...]]:
        """The newest durations of every stage [ms]."""
        return self._stopwatch.stages_ms()

    def push_frame(self, stamp_ns: int, image: NDArray[np.uint8]) -> list[Hop]:
        """Take one picture; it is looked at when `vision.max_rate_hz` leaves it a turn.

        Args:
            stamp_ns: sensor time [ns], rising; one that goes back by more than a second
                starts the stream anew, other pictures that are not newer are left out.
            image: (height, width, 3) BGR.

        Returns:
            The estimates that have become due, oldest first.

        Raises:
            ImageError: the picture has another shape or type.
        """
        admission = self._gate.judge(stamp_ns)
        if admission is Admission.LATE:
            return []
        if admission is Admission.TOO_OFTEN:
            return self._estimator.pass_pictures(stamp_ns)
        picture = as_bgr(image)
        if admission is Admission.LOOK_ANEW:
            self._vision.reset()
        self._gate.looked(stamp_ns)
        with self._stopwatch.measure("vision"):
            self.tracks = self._vision.process(stamp_ns, picture)
        return self._estimator.push_tracks(self.tracks)

    def push_audio(self, block: AudioBlock) -> list[Hop]:
        """Take one block of sound of any rate and channel count.

        Returns:
            The estimates that have become due, oldest first.

        Raises:
            AudioFormatError: the rate, shape or type cannot be used.
        """
        with self._stopwatch.measure("audio"):
            chunks = self._audio.push(block)
        return [hop for chunk in chunks for hop in self._estimator.push_speech(chunk)]

    def flush(self) -> list[Hop]:
        """The estimates that still wait for input, at the end of a file."""
        chunks = self._audio.flush()
        hops = [hop for chunk in chunks for hop in self._estimator.push_speech(chunk)]
        return hops + self._estimator.flush()

    def reset(self) -> None:
        """Forget everything seen and heard."""
        self._gate.reset()
        self._vision.reset()
        self._audio.reset()
        self._estimator.reset()
        self.tracks = None

    def close(self) -> None:
        """Give back what the detectors hold."""
        self._vision.close()
