"""A microphone's sound as a topic."""

from __future__ import annotations

from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.nodes import outlets
from avemo_ros.nodes.capture import Capture
from avemo_ros.nodes.outlets import SoundOutlet
from avemo_ros.nodes.parameters import Parameter
from avemo_ros.nodes.shell import ManagedNode, run
from avemo_ros.source.microphone import Microphone

DEVICE: Final = Parameter(
    "microphone_device",
    "",
    "Number of the sound input, a part of its name, or '': the default.",
)
RATE: Final = Parameter(
    "microphone_rate",
    0,
    "Wanted samples per second [Hz]; 0: one that the device can do, best 16000.",
    low=0,
    high=384_000,
)
CHANNELS: Final = Parameter(
    "microphone_channels",
    0,
    "Wanted channels; 0: one, or what the device has.",
    low=0,
    high=64,
)
BLOCK: Final = Parameter(
    "block_s",
    0.02,
    "Length of a message's sound [s]; lower is less delay and more messages.",
    low=0.005,
    high=0.5,
)
PARAMETERS: Final = (DEVICE, RATE, CHANNELS, BLOCK, outlets.MICROPHONE_FRAME)


class MicrophoneNode(ManagedNode):
    """Publishes `audio`, stamped with the time of capture, and `audio_info`."""

    def __init__(self) -> None:
        super().__init__("microphone", PARAMETERS)
        self._microphone: Microphone | None = None
        self._capture: Capture[AudioBlock] | None = None
        self._sound: SoundOutlet | None = None

    def open(self) -> None:
        """Make the topics and capture."""
        self._microphone = Microphone(
            self.value(DEVICE),
            self.value(RATE),
            self.value(CHANNELS),
            self.value(BLOCK),
            self.now_ns,
        )
        self._sound = SoundOutlet(self)
        self._capture = Capture(self, "microphone", self._microphone, self._deliver)
        self._capture.start()

    def close(self) -> None:
        """Stop and remove the topics."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None
        if self._sound is not None:
            self._sound.close()
            self._sound = None

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
        if self._sound is not None:
            self._sound.publish(block, block.stamp_ns)


def main() -> int:
    """Run the node."""
    return run(MicrophoneNode)


if __name__ == "__main__":
    raise SystemExit(main())
