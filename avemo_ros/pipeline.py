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


class Pipeline:
    """Vision, audio, model and state in one object; not for several threads at once."""

    def __init__(self, config: PipelineConfig, predictor: Predictor | None = None) -> None:
        """Load the model unless one is given.

        Raises:
            WeightsError: the configured weights are missing, damaged or of another model.
        """
        self._stopwatch = Stopwatch()
        self._predictor = predictor if predictor is not None else Predictor(config.model)
        self._vision = FaceAnalyzer(config.vision)
        self._audio = SpeechBuffer(config.audio)
        self._estimator = EmotionEstimator(config.emotion, self._predictor, self._stopwatch)
        self.tracks: FrameTracks | None = None
        """The faces of the newest picture."""
        self._frame_ns: int | None = None

    @property
    def model_id(self) -> str:
        """Name of the model that the estimates come from."""
        return self._predictor.model_id

    @property
    def timings(self) -> Mapping[str, tuple[float, ...]]:
        """The newest durations of every stage [ms]."""
        return self._stopwatch.stages_ms()

    def push_frame(self, stamp_ns: int, image: NDArray[np.uint8]) -> list[Hop]:
        """Take one picture.

        Args:
            stamp_ns: sensor time [ns], rising; a jump back starts the stream anew.
            image: (height, width, 3) BGR.

        Returns:
            The estimates that have become due, oldest first.

        Raises:
            ImageError: the picture has another shape or type.
        """
        if self._frame_ns is not None and stamp_ns < self._frame_ns:
            self._vision.reset()
        self._frame_ns = stamp_ns
        with self._stopwatch.measure("vision"):
            self.tracks = self._vision.process(stamp_ns, image)
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
        self._vision.reset()
        self._audio.reset()
        self._estimator.reset()
        self.tracks = None
        self._frame_ns = None

    def close(self) -> None:
        """Give back what the detectors hold."""
        self._vision.close()
