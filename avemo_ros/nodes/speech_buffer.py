"""Sound in, spectrogram chunks with speech probability out."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.nodes import sound_settings
from avemo_ros.nodes.shell import ManagedNode, run
from avemo_ros.nodes.sound_settings import SoundSettings
from avemo_ros.nodes.sound_stage import SoundStage


class SpeechBufferNode(ManagedNode):
    """`audio` and `audio_info` to `spectrogram`."""

    def __init__(self) -> None:
        super().__init__("speech_buffer", [SoundSettings], sound_settings.GROUPS)
        self._sound: SoundStage | None = None

    def prepare(self) -> None:
        """Load the speech detector."""
        self._sound = SoundStage(self, self.config())

    def open(self) -> None:
        """Make the topics."""
        assert self._sound is not None
        self._sound.open()

    def close(self) -> None:
        """Remove the topics."""
        if self._sound is not None:
            self._sound.close()

    def release(self) -> None:
        """Free the speech detector."""
        self._sound = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._sound is not None
        self._sound.adapt()
        return [self._sound.status()]


def main() -> int:
    """Run the node."""
    return run(SpeechBufferNode)


if __name__ == "__main__":
    raise SystemExit(main())
