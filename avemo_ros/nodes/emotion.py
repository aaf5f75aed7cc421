"""Face tracks and spectrogram chunks in, emotion states out."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.bag import message_content
from avemo_ros.engine.feature_extractor import FeatureGate
from avemo_ros.model.predictor import Predictor
from avemo_ros.msg import FaceTrackArray
from avemo_ros.msg import SpectrogramChunk as SpectrogramChunkMessage
from avemo_ros.nodes import qos
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.emotion_output import EmotionOutputStage
from avemo_ros.nodes.stamps import StampAdvice, StampReporter


class Emotion(ManagedNode):
    """`face_tracks` and `spectrogram` to `emotion_states` and `emotion_state`, with what
    follows from them."""

    live_groups = ("emotion", "steady")

    def __init__(self) -> None:
        super().__init__(
            "emotion",
            [],
            ["emotion", "steady", "model", "vision.track_timeout_s", "max_input_age_s"],
        )
        self._states: EmotionOutputStage | None = None
        self._inputs: list[qos.AdaptiveSubscription] = []
        self._tracks_trouble = ThrottledLog(self.get_logger(), "face_tracks")
        self._speech_trouble = ThrottledLog(self.get_logger(), "spectrogram")

    def prepare(self) -> None:
        """Load the model."""
        config = self.config()
        self._states = EmotionOutputStage(self, config, Predictor(config.model))

    def open(self) -> None:
        """Make the topics."""
        assert self._states is not None
        self._states.open()
        self._gate = FeatureGate(
            self.config().input,
            StampReporter.of(self, self._tracks_trouble),
            StampReporter.of(self, self._speech_trouble),
            StampAdvice.of(self).take,
        )
        # A lost chunk would be lost speech: reliable, unless a publisher offers less.
        self._inputs = [
            qos.AdaptiveSubscription(
                self, FaceTrackArray, "face_tracks", self._take_tracks, depth=10
            ),
            qos.AdaptiveSubscription(
                self, SpectrogramChunkMessage, "spectrogram", self._take_speech, depth=100
            ),
        ]

    def close(self) -> None:
        """Remove the topics."""
        for inlet in self._inputs:
            inlet.close()
        self._inputs = []
        if self._states is not None:
            self._states.close()

    def release(self) -> None:
        """Let the model go."""
        if self._states is not None:
            self._states.release()
        self._states = None

    def settings_changed(self) -> None:
        """Start anew what has other settings."""
        if self._states is not None:
            self._states.use(self.config())

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._states is not None
        for inlet in self._inputs:
            inlet.adapt()
        return [self._states.status()]

    def _take_tracks(self, message: FaceTrackArray) -> None:
        if self._states is None:
            return
        arrival_ns = self.now_ns()
        try:
            tracks = self._gate.tracks(message_content.tracks(message), arrival_ns)
        except ValueError as error:
            self._tracks_trouble.report("malformed", f"malformed: {error}; left out")
            return
        if tracks is not None:
            self._tracks_trouble.good()
            self._states.push_tracks(tracks, message.header.frame_id, arrival_ns)

    def _take_speech(self, message: SpectrogramChunkMessage) -> None:
        if self._states is None:
            return
        arrival_ns = self.now_ns()
        try:
            chunk = self._gate.chunk(message_content.chunk(message), arrival_ns)
        except ValueError as error:
            self._speech_trouble.report("malformed", f"malformed: {error}; left out")
            return
        if chunk is not None:
            self._speech_trouble.good()
            self._states.push_speech(chunk, message.header.frame_id, arrival_ns)


def main() -> int:
    """Run the node."""
    return run(Emotion)


if __name__ == "__main__":
    raise SystemExit(main())
