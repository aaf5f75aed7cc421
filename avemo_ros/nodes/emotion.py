"""Face tracks and spectrogram chunks in, emotion states out."""

from __future__ import annotations

from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.audio.chunk import HOP_NS
from avemo_ros.model.predictor import Predictor
from avemo_ros.msg import FaceTrackArray, SpectrogramChunk
from avemo_ros.nodes import convert, qos
from avemo_ros.nodes.shell import MAX_INPUT_AGE, ManagedNode, run
from avemo_ros.nodes.stamps import StampCheck
from avemo_ros.nodes.state_stage import StateStage
from avemo_ros.nodes.trouble import Trouble


class Emotion(ManagedNode):
    """`face_tracks` and `spectrogram` to `emotion_states` and `emotion_state`, with what
    follows from them."""

    live_groups = ("emotion", "steady")

    def __init__(self) -> None:
        super().__init__("emotion", [MAX_INPUT_AGE], ["emotion", "steady", "model"])
        self._states: StateStage | None = None
        self._inputs: list[qos.Inlet] = []
        self._tracks_trouble = Trouble(self.get_logger(), "face_tracks")
        self._speech_trouble = Trouble(self.get_logger(), "spectrogram")

    def prepare(self) -> None:
        """Load the model."""
        config = self.config()
        self._states = StateStage(self, config, Predictor(config.model))

    def open(self) -> None:
        """Make the topics."""
        assert self._states is not None
        self._states.open()
        max_age_s = self.value(MAX_INPUT_AGE)
        self._tracks_stamps = StampCheck.of(self, self._tracks_trouble, max_age_s)
        self._speech_stamps = StampCheck.of(self, self._speech_trouble, max_age_s)
        # A lost chunk would be lost speech: reliable, unless a publisher offers less.
        self._inputs = [
            qos.Inlet(self, FaceTrackArray, "face_tracks", self._take_tracks, depth=10),
            qos.Inlet(self, SpectrogramChunk, "spectrogram", self._take_speech, depth=100),
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
        given_ns = convert.to_ns(message.header.stamp)
        stamp_ns = self._tracks_stamps.admit(given_ns, self.now_ns())
        if stamp_ns is None:
            return
        try:
            tracks = replace(convert.tracks(message), stamp_ns=stamp_ns)
        except ValueError as error:
            self._tracks_trouble.report("malformed", f"malformed: {error}; left out")
            return
        self._tracks_trouble.good()
        self._states.push_tracks(tracks, message.header.frame_id)

    def _take_speech(self, message: SpectrogramChunk) -> None:
        if self._states is None:
            return
        given_ns = convert.to_ns(message.header.stamp)
        stamp_ns = self._speech_stamps.admit(given_ns, self.now_ns())
        if stamp_ns is None:
            return
        try:
            chunk = convert.chunk(message)
        except ValueError as error:
            self._speech_trouble.report("malformed", f"malformed: {error}; left out")
            return
        if stamp_ns != given_ns:
            # The time of arrival is that of the newest column, the stamp that of the first.
            first_ns = stamp_ns - (len(chunk.speech) - 1) * HOP_NS
            chunk = replace(chunk, stamp_ns=first_ns)
        self._speech_trouble.good()
        self._states.push_speech(chunk, message.header.frame_id)


def main() -> int:
    """Run the node."""
    return run(Emotion)


if __name__ == "__main__":
    raise SystemExit(main())
