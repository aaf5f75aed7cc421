"""All processing in one process: images and audio in, emotion states out.

What one stage finds is handed to the next in memory; the topics between them are published
only for those who subscribe.
"""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from pydantic import Field

from avemo_ros.model.predictor import Predictor
from avemo_ros.nodes import face_tracker, speech_buffer
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.emotion import EmotionOutputStage
from avemo_ros.nodes.face_tracker import ImageInputSettings, ImageInputStage, face_stage
from avemo_ros.nodes.human_faces import HumanFacesStage
from avemo_ros.nodes.ros4hri import Ros4HriSettings
from avemo_ros.nodes.speech_buffer import AudioInputSettings, AudioInputStage
from avemo_ros.settings import Settings


class FeatureSettings(Settings):
    """What leaves the process."""

    publish_features: bool = Field(
        True,
        description=(
            "Publish face_tracks, with small images of faces, and spectrogram, from which "
            "speech can be reconstructed, while somebody subscribes; false: only states leave "
            "this node."
        ),
    )


class EmotionStack(ManagedNode):
    """`image_raw`, `audio` and `audio_info` to `emotion_states` and `emotion_state`, with what
    follows from them."""

    live_groups = ("emotion", "engagement", "steady")
    senses = "serves"

    def __init__(self) -> None:
        groups = dict.fromkeys((*face_tracker.GROUPS, *speech_buffer.GROUPS))
        super().__init__(
            "emotion_stack",
            [ImageInputSettings, AudioInputSettings, Ros4HriSettings, FeatureSettings],
            [*groups, "emotion", "engagement", "identity", "steady", "model"],
        )
        self._images: ImageInputStage | HumanFacesStage | None = None
        self._audio: AudioInputStage | None = None
        self._states: EmotionOutputStage | None = None

    def prepare(self) -> None:
        """Load all networks."""
        config = self.config()
        predictor = Predictor(config.model)
        self._states = states = EmotionOutputStage(self, config, predictor)
        publishes = self.read(FeatureSettings).publish_features
        self._audio = AudioInputStage(self, config, states.push_speech, publishes=publishes)
        self._images = face_stage(self, config, states.push_tracks, publishes=publishes)
        states.shown = self._images.show
        states.shed = self._images.shed
        states.forgot = self._images.forget

    def open(self) -> None:
        """Make the topics, the last stage first so that nothing is lost."""
        assert self._images is not None
        assert self._audio is not None
        assert self._states is not None
        self._states.open()
        self._audio.open()
        self._images.open()

    def close(self) -> None:
        """Remove the topics."""
        for stage in (self._images, self._audio, self._states):
            if stage is not None:
                stage.close()

    def wipe(self) -> None:
        """Forget everyone."""
        for stage in (self._images, self._audio, self._states):
            if stage is not None:
                stage.wipe()

    def release(self) -> None:
        """Let all networks go."""
        if self._images is not None:
            self._images.release()
        if self._states is not None:
            self._states.release()
        self._images = self._audio = self._states = None

    def settings_changed(self) -> None:
        """Start anew what has other settings."""
        if self._states is not None:
            self._states.use(self.config())

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._images is not None
        assert self._audio is not None
        assert self._states is not None
        self._images.adapt()
        self._audio.adapt()
        return [self._images.status(), self._audio.status(), self._states.status()]


def main() -> int:
    """Run the node."""
    return run(EmotionStack)


if __name__ == "__main__":
    raise SystemExit(main())
