"""Sound comes in here and goes no further: what leaves is spectrogram chunks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Bool

from avemo_ros.audio.chunk import AudioBlock, SpectrogramChunk
from avemo_ros.bag import message_content
from avemo_ros.bag.message_content import AudioFormat, announced_format, own_format, samples_of
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio import AudioStage
from avemo_ros.errors import AudioFormatError
from avemo_ros.msg import SpectrogramChunk as SpectrogramChunkMessage
from avemo_ros.nodes import convert, health, qos
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.nodes.sound_settings import SoundSettings, given_format, message_types
from avemo_ros.nodes.stamps import Advice, StampReporter
from avemo_ros.nodes.trouble import Trouble
from avemo_ros.nodes.worker import Worker

_WAITING_S: Final = 2.0
"""Sound that may wait; lost sound costs more than late sound."""
_GUESS_S: Final = 0.02
"""Length of a block whose format is not known yet."""
_PATIENCE_S: Final = 1.0
"""Sound may come this long before its format without a word."""
_QUIET_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Heard:
    """A sound message that waits."""

    message: Any
    arrival_ns: int
    form: AudioFormat | None
    """The source's format when it came; None if not known, or the message says its own."""


class SoundStage:
    """An `AudioStage` behind a thread of its own."""

    def __init__(
        self,
        node: ManagedNode,
        config: PipelineConfig,
        passed_on: Callable[[SpectrogramChunk, str, int], None] | None = None,
    ) -> None:
        """Set up.

        Args:
            node: whose topics these are.
            config: of the core.
            passed_on: called on the thread with the chunks, the microphone's frame id and when
                the sound came [ns].

        Raises:
            ConfigError: the parameters do not fit the installed audio_common_msgs.
            WeightsError: the speech detector is not installed.
        """
        self._node = node
        self._passed_on = passed_on
        self._trouble = Trouble(node.get_logger(), "audio")
        self._reporter = StampReporter.of(node, self._trouble)
        self._audio = AudioStage(
            config.audio, config.input, self._reporter, advice=Advice.of(node).take
        )
        self._given = given_format(node)
        self._types = message_types(node.read(SoundSettings).audio_type)
        self._received = health.Meter()
        self._processed = health.Meter()
        self._dropped_before = 0
        self._unread_since = 0.0
        self._format = self._given
        self._worker: Worker[_Heard] | None = None
        self._inlets: list[qos.Inlet] = []
        self._chunks_out: Any = None

    def open(self) -> None:
        """Make the topics and begin."""
        node = self._node
        self._audio.reset()
        self._unread_since = 0.0
        self._format = self._given
        self._chunks_out = node.create_publisher(
            SpectrogramChunkMessage,
            "spectrogram",
            qos.result(50),
            event_callbacks=qos.says_mismatch(node, "spectrogram"),
        )
        self._worker = Worker(
            "audio", self._work, self._failed, limit=_WAITING_S, weigh=self._length_s
        )
        self._worker.start()
        audio, info = self._types
        reliability = node.read(SoundSettings).audio_reliability
        self._inlets = [
            qos.Inlet(
                node,
                audio,
                "audio",
                self._take,
                depth=100,
                reliability=reliability,
                parameter="audio_reliability",
            ),
            qos.Inlet(
                node,
                Bool,
                "robot_speaking",
                self._take_speaking,
                depth=10,
                # Fits every publisher from the start: a word that is lost while the
                # subscription is exchanged would leave the node deaf.
                reliability="best_effort",
                latched=True,
            ),
        ]
        if info is not None:
            self._inlets.append(
                qos.Inlet(
                    node,
                    info,
                    "audio_info",
                    self._take_format,
                    depth=10,
                    reliability=reliability,
                    parameter="audio_reliability",
                    latched=True,
                )
            )

    def close(self) -> None:
        """Stop and remove the topics; may be called twice."""
        for inlet in self._inlets:
            inlet.close()
        self._inlets = []
        if self._worker is not None:
            self._worker.stop()
            self._dropped_before += self._worker.dropped
            self._worker = None
        if self._chunks_out is not None:
            self._node.destroy_publisher(self._chunks_out)
            self._chunks_out = None

    def adapt(self) -> None:
        """To be called from time to time: follows the publishers' QoS."""
        for inlet in self._inlets:
            inlet.adapt()
        mute = self._audio.mute
        if mute.speaking and not self._node.count_publishers("robot_speaking"):
            # Who died while it spoke cannot say any more that it has ended.
            mute.tell(self._node.now_ns(), speaking=False)

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        counters = self._audio.counters
        inlet = self._inlets[0] if self._inlets else None
        values: dict[str, object] = {
            "topic": inlet.name if inlet else "",
            "publishers": inlet.publishers if inlet else 0,
            "format": self._format or "not known yet",
            "rate_hz": f"{self._processed.rate_hz:.1f}",
            "received": self._received.count,
            "processed": self._processed.count,
            "dropped": self._dropped_before
            + (self._worker.dropped if self._worker is not None else 0),
            "lost_in_transport": inlet.lost if inlet else 0,
            "rejected": self._trouble.count,
            "gaps": counters.gaps,
            "lost_s": f"{counters.lost_s:.2f}",
            "restarts": counters.restarts,
            "last_restart": counters.last_restart,
            "speed": f"{counters.speed:.2f}",
            "left_out_s": f"{counters.left_out_s:.2f}",
            "sanitised_samples": counters.sanitised,
            "muted_s": f"{self._audio.mute.muted_s:.2f}",
            "queue": len(self._worker) if self._worker is not None else 0,
            "last_error": self._trouble.last,
            **health.stages(self._audio.stopwatch.stages_ms()),
        }
        if self._trouble.present:
            return health.status("audio", health.ERROR, self._trouble.last, values)
        if self._received.quiet_s > _QUIET_S:
            message = f"no sound on {values['topic']}"
            return health.status("audio", health.STALE, message, values)
        if counters.speed != 1.0:
            return health.status("audio", health.ERROR, counters.last_restart, values)
        if self._audio.mute.speaking:
            message = "sound comes, but is silenced: the robot itself speaks"
            return health.status("audio", health.OK, message, values)
        return health.status("audio", health.OK, "sound comes", values)

    def _take(self, message: Any) -> None:
        """The callback: no work here."""
        self._received.add()
        worker = self._worker
        if worker is not None:
            worker.put(_Heard(message, self._node.now_ns(), self._format))

    def _take_format(self, message: Any) -> None:
        """The callback of audio_info.

        Its format is that of the sound which comes after it.  It goes into the queue with every
        message of sound and not as an item of its own, which could be dropped.
        """
        self._set_format(announced_format(message))

    def _take_speaking(self, message: Bool) -> None:
        """The callback of robot_speaking."""
        self._audio.mute.tell(self._node.now_ns(), speaking=message.data)

    def _length_s(self, heard: _Heard) -> float:
        message, form = heard.message, heard.form
        data = getattr(getattr(message, "audio", message), "data", None)
        if form is None or data is None or not form.rate or not form.channels:
            return _GUESS_S
        # Two bytes a sample are near enough for the length of a queue.
        return len(data) / (2.0 * form.rate * form.channels)

    def _work(self, heard: _Heard) -> None:
        message = heard.message
        self._reporter.arrived(heard.arrival_ns)
        block = self._block(message, heard.form)
        if block is None:
            return
        chunks = self._audio.push(block, heard.arrival_ns)
        self._processed.add()
        frame_id = message.header.frame_id if hasattr(message, "header") else ""
        for chunk in chunks:
            if self._passed_on is not None:
                self._passed_on(chunk, frame_id, heard.arrival_ns)
            if self._chunks_out is not None and self._chunks_out.get_subscription_count():
                self._chunks_out.publish(convert.chunk_message(chunk, frame_id))

    def _set_format(self, form: AudioFormat) -> None:
        if form == self._format:
            return
        self._format = form
        self._node.get_logger().info(f"audio: the source says {form}")

    def _block(self, message: Any, known: AudioFormat | None) -> AudioBlock | None:
        """The decoded sound of a message; None when it has to be left out."""
        form = known
        own = own_format(message)
        if own is not None:
            self._set_format(own)
            form = own
        if form is None:
            self._say_no_format()
            return None
        header = getattr(message, "header", None)
        stamp_ns = -1 if header is None else message_content.stamp_ns(header.stamp)
        return AudioBlock(stamp_ns, form.rate, samples_of(message, form))

    def _say_no_format(self) -> None:
        now = time.monotonic()
        self._unread_since = self._unread_since or now
        if now - self._unread_since > _PATIENCE_S:
            self._trouble.once(
                "no format",
                "nothing has come on audio_info yet, so the sound cannot be read; waiting for "
                "it (for a source without, set audio_rate, audio_channels and "
                "audio_sample_format)",
            )

    def _failed(self, error: Exception) -> None:
        if isinstance(error, AudioFormatError):
            self._trouble.report(error.kind, f"{error}; left out")
        else:
            self._trouble.report(
                type(error).__name__, f"unexpected {type(error).__name__}: {error}"
            )
