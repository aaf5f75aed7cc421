"""A microphone's sound as a topic."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from pydantic import Field

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.capture import AudioPublisher, AudioPublisherSettings, Capture
from avemo_ros.settings import Settings
from avemo_ros.source.microphone_device import Microphone


class MicrophoneSettings(Settings):
    """Parameters of the microphone."""

    microphone_device: str = Field(
        "", description="Number of the audio input or a part of its name; empty: the default."
    )
    microphone_rate: int = Field(
        0,
        ge=0,
        le=384_000,
        description=(
            "Requested samples per second [Hz]; 0: 16000, or another rate that the device "
            "supports."
        ),
    )
    microphone_channels: int = Field(
        0, ge=0, le=64, description="Requested channels; 0: one, or as many as the device has."
    )
    block_s: float = Field(
        0.02,
        ge=0.005,
        le=0.5,
        description=(
            "Length of the audio in a message [s]; lower means less delay and more messages."
        ),
    )


class MicrophoneNode(ManagedNode):
    """Publishes `audio`, stamped with the time of capture, and `audio_info`."""

    senses = "follows"

    def __init__(self) -> None:
        super().__init__("microphone", [MicrophoneSettings, AudioPublisherSettings])
        self._microphone: Microphone | None = None
        self._capture: Capture[AudioBlock] | None = None
        self._audio: AudioPublisher | None = None

    def open(self) -> None:
        """Make the topics and capture."""
        given = self.read(MicrophoneSettings)
        self._microphone = Microphone(
            given.microphone_device,
            given.microphone_rate,
            given.microphone_channels,
            given.block_s,
            self.now_ns,
        )
        self._audio = AudioPublisher(self)
        self._capture = Capture(self, "microphone", self._microphone, self._deliver)
        self._capture.start()

    def close(self) -> None:
        """Stop and remove the topics."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None
        if self._audio is not None:
            self._audio.close()
            self._audio = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        assert self._capture is not None
        assert self._microphone is not None
        entry = self._capture.status()
        entry.values = [
            *entry.values,
            KeyValue(key="device", value=self._microphone.name),
            KeyValue(key="rate", value=str(self._microphone.rate)),
            KeyValue(key="channels", value=str(self._microphone.channels)),
            KeyValue(key="overflows", value=str(self._microphone.overflows)),
            KeyValue(key="dropped", value=str(self._microphone.dropped)),
        ]
        return [entry]

    def _deliver(self, block: AudioBlock) -> None:
        if self._audio is not None:
            self._audio.publish(block, block.stamp_ns)


def main() -> int:
    """Run the node."""
    return run(MicrophoneNode)


if __name__ == "__main__":
    raise SystemExit(main())
