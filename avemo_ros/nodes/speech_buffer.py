"""Sound in, spectrogram chunks with speech probability out."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.nodes import audio_input
from avemo_ros.nodes.audio_input import AudioInputSettings, AudioInputStage
from avemo_ros.nodes.base_node import ManagedNode, run


class SpeechBufferNode(ManagedNode):
    """`audio` and `audio_info` to `spectrogram`."""

    def __init__(self) -> None:
        super().__init__("speech_buffer", [AudioInputSettings], audio_input.GROUPS)
        self._audio: AudioInputStage | None = None

    def prepare(self) -> None:
        """Load the speech detector."""
        self._audio = AudioInputStage(self, self.config())

    def open(self) -> None:
        """Make the topics."""
        assert self._audio is not None
        self._audio.open()

    def close(self) -> None:
        """Remove the topics."""
        if self._audio is not None:
            self._audio.close()

    def release(self) -> None:
        """Free the speech detector."""
        self._audio = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._audio is not None
        self._audio.adapt()
        return [self._audio.status()]


def main() -> int:
    """Run the node."""
    return run(SpeechBufferNode)


if __name__ == "__main__":
    raise SystemExit(main())
