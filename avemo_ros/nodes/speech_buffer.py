"""Sound in, spectrogram chunks with speech probability out.

The stage is that of `emotion_stack` too; only spectrogram chunks leave it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from pydantic import Field
from std_msgs.msg import Bool

from avemo_ros.audio.pcm import FORMAT_NAMES, MAX_CHANNELS, MAX_RATE, MIN_RATE, decode_pcm
from avemo_ros.audio.spectrogram import AudioBlock, SpectrogramChunk
from avemo_ros.bag import message_content
from avemo_ros.bag.message_content import AudioFormat, announced_format, own_format, samples_of
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.errors import AudioFormatError, ConfigError
from avemo_ros.msg import SpectrogramChunk as SpectrogramChunkMessage
from avemo_ros.nodes import convert, diagnostics, qos
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.convert import AUDIO_INSTEAD, AUDIO_KINDS, audio_types
from avemo_ros.nodes.diagnostics import StampAdvice, StampReporter, ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.settings import OneOf, Settings


class AudioInputSettings(Settings):
    """Parameters of the stage of sound."""

    audio_type: Annotated[str, OneOf(AUDIO_KINDS)] = Field(
        "stamped",
        description=(
            "Type of the topic audio: 'stamped' is audio_common_msgs/AudioDataStamped (or "
            "AudioStamped if audio_common 4.x of mgonzs13 is installed), 'bare' is AudioData "
            "(or Audio) without stamps, which is stamped on arrival, 'naoqi' is "
            "naoqi_bridge_msgs/AudioBuffer of Pepper and NAO."
        ),
    )
    audio_rate: int = Field(
        0,
        ge=0,
        le=384_000,
        description=(
            "Samples per second of a source that publishes no audio_info [Hz]; 0: wait for "
            "audio_info."
        ),
    )
    audio_channels: int = Field(
        1, ge=1, le=64, description="Channels of a source that publishes no audio_info."
    )
    audio_sample_format: str = Field(
        "S16LE",
        description=(
            "Sample format of a source that publishes no audio_info, e.g. S16LE, S32LE, F32LE."
        ),
    )
    audio_reliability: Annotated[str, OneOf(qos.RELIABILITIES)] = Field(
        "auto",
        description=(
            "QoS of the audio subscriptions: 'best_effort' (SensorDataQoS), 'reliable', or "
            "'auto': best effort, and reliable as soon as every publisher offers it."
        ),
    )


GROUPS: Final = ("audio", "max_input_age_s", "audio_stamps")
"""Settings of the engine that the stage follows."""


def given_format(node: ManagedNode) -> AudioFormat | None:
    """The format that the parameters say; None: that of audio_info is waited for.

    Raises:
        ConfigError: it is none that can be read.
    """
    rate = int(node.read(AudioInputSettings).audio_rate)
    if rate == 0:
        return None
    form = AudioFormat(
        rate,
        int(node.read(AudioInputSettings).audio_channels),
        str(node.read(AudioInputSettings).audio_sample_format),
    )
    try:
        form.check()
        decode_pcm(b"", form.sample_format, form.channels)
    except AudioFormatError as error:
        name, value, allowed = {
            "rate": (
                "audio_rate",
                form.rate,
                f"0 (wait for audio_info), {MIN_RATE} to {MAX_RATE}",
            ),
            "channels": ("audio_channels", form.channels, f"1 to {MAX_CHANNELS}"),
            "format": ("audio_sample_format", form.sample_format, FORMAT_NAMES),
        }[error.kind]
        raise ConfigError(name, value, allowed) from error
    return form


_WAITING_S: Final = 2.0
"""Sound that may wait; lost sound costs more than late sound."""
_GUESS_S: Final = 0.02
"""Length of a block whose format is not known yet."""
_PATIENCE_S: Final = 1.0
"""Sound may come this long before its format without a word."""
_QUIET_S: Final = 2.0
_STEREO: Final = 2
_DEAD_S: Final = 5.0
_DEAD: Final = (
    "all samples are the same, as if the microphone were muted or missing; check its switch, "
    "the mixer (alsamixer, F4) and the driver's device"
)


@dataclass(frozen=True, slots=True)
class _AudioMessage:
    """A sound message that waits."""

    message: Any
    arrival_ns: int
    form: AudioFormat | None
    """The source's format when it came; None if not known, or the message says its own."""


class AudioInputStage:
    """An `AudioStage` behind a thread of its own."""

    def __init__(
        self,
        node: ManagedNode,
        config: PipelineConfig,
        passed_on: Callable[[SpectrogramChunk, str, int], None] | None = None,
        *,
        publishes: bool = True,
    ) -> None:
        """Set up.

        Args:
            node: whose topics these are.
            config: of the engine.
            passed_on: called on the thread with the chunks, the microphone's frame id and when
                the sound came [ns].
            publishes: the chunks, too, if somebody subscribes.

        Raises:
            ConfigError: the parameters do not fit the installed audio_common_msgs.
            WeightsError: the speech detector is not installed.
        """
        self._node = node
        self._passed_on = passed_on
        self._publishes = publishes
        self._trouble = ThrottledLog(node.get_logger(), "audio")
        self._reporter = StampReporter.of(node, self._trouble)
        self._audio = AudioStage(
            config.audio, config.input, self._reporter, advice=StampAdvice.of(node).take
        )
        self._mixes = config.audio.channel < 0
        self._powers: NDArray[np.float64] = np.zeros(0)
        """(channels,), of the last second or so."""
        self._given = given_format(node)
        self._check_channel(config.audio.channel)
        self._types = audio_types(node.read(AudioInputSettings).audio_type)
        self._dead_s = 0.0
        """How long all samples have been alike [s]."""
        self._received = diagnostics.Meter()
        self._processed = diagnostics.Meter()
        self._dropped_before = 0
        self._unread_since = 0.0
        self._format = self._given
        self._worker: Worker[_AudioMessage] | None = None
        self._inlets: list[qos.AdaptiveSubscription] = []
        self._chunks_out: Any = None

    def _check_channel(self, channel: int) -> None:
        given, settings = self._given, self._node.read(AudioInputSettings)
        if given is not None and channel >= given.channels:
            allowed = f"-1 to {given.channels - 1} (audio_channels is {given.channels})"
            raise ConfigError("audio.channel", channel, allowed)
        for name in ("audio_channels", "audio_sample_format"):
            value = getattr(settings, name)
            if given is None and value != AudioInputSettings.model_fields[name].default:
                self._trouble.once(
                    name,
                    f"{name} is {value!r}, which has no effect while audio_rate is 0; set "
                    "audio_rate too if the source publishes no audio_info",
                )

    def open(self) -> None:
        """Make the topics and begin."""
        node = self._node
        self.wipe()
        if self._publishes:
            self._chunks_out = node.create_publisher(
                SpectrogramChunkMessage,
                "spectrogram",
                qos.result(50),
                event_callbacks=qos.mismatch_warnings(node, "spectrogram"),
            )
        self._worker = Worker(
            "audio", self._work, self._failed, limit=_WAITING_S, weigh=self._length_s
        )
        self._worker.start()
        audio, info = self._types
        reliability = node.read(AudioInputSettings).audio_reliability
        self._inlets = [
            qos.AdaptiveSubscription(
                node,
                audio,
                "audio",
                self._take,
                depth=100,
                reliability=reliability,
                parameter="audio_reliability",
            ),
            qos.AdaptiveSubscription(
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
                qos.AdaptiveSubscription(
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

    def wipe(self) -> None:
        """Forget all sound; after `close`."""
        self._audio.reset()
        self._powers = np.zeros(0)
        self._unread_since = 0.0
        self._format = self._given

    def adapt(self) -> None:
        """To be called from time to time: follows the publishers' QoS."""
        for inlet in self._inlets:
            inlet.adapt()
        mute = self._audio.mute
        if mute.speaking and not self._node.count_publishers("robot_speaking"):
            # Who died while it spoke cannot say any more that it has ended.
            mute.set_speaking(self._node.now_ns(), speaking=False)

    def status(self) -> DiagnosticStatus:
        """For /diagnostics."""
        counters = self._audio.counters
        inlet = self._inlets[0] if self._inlets else None
        values: dict[str, object] = {
            "topic": inlet.name if inlet else "",
            "publishers": inlet.publishers if inlet else 0,
            "format": self._format or "not known yet",
            "arrival_hz": f"{self._received.rate_hz:.1f}",
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
            "channel_levels_dbfs": " ".join(
                f"{10 * np.log10(max(power, 1e-12)):.0f}" for power in self._powers
            ),
            "muted_s": f"{self._audio.mute.muted_s:.2f}",
            "queue": len(self._worker) if self._worker is not None else 0,
            "last_error": self._trouble.last,
            **diagnostics.stages(self._audio.stopwatch.stages_ms()),
        }
        if self._trouble.present:
            return diagnostics.status("audio", diagnostics.ERROR, self._trouble.last, values)
        if self._received.quiet_s > _QUIET_S:
            why = f": {inlet.why_silent(AUDIO_INSTEAD)}" if inlet is not None else ""
            message = f"no audio on {values['topic']}{why}"
            return diagnostics.status("audio", diagnostics.STALE, message, values)
        if rivals := inlet.find_rivals() if inlet is not None else "":
            self._trouble.once("rivals", rivals)
            return diagnostics.status("audio", diagnostics.WARN, rivals, values)
        if counters.speed != 1.0:
            return diagnostics.status("audio", diagnostics.ERROR, counters.last_restart, values)
        if self._dead_s > _DEAD_S:
            self._trouble.once("dead", _DEAD)
            return diagnostics.status("audio", diagnostics.WARN, _DEAD, values)
        if self._audio.mute.speaking:
            message = "audio arrives, but is ignored while the robot speaks"
            return diagnostics.status("audio", diagnostics.OK, message, values)
        return diagnostics.status("audio", diagnostics.OK, "audio arrives", values)

    def _take(self, message: Any) -> None:
        """The callback: no work here."""
        self._received.add()
        worker = self._worker
        if worker is not None:
            worker.put(_AudioMessage(message, self._node.now_ns(), self._format))

    def _take_format(self, message: Any) -> None:
        """The callback of audio_info.

        Its format is that of the sound which comes after it.  It goes into the queue with every
        message of sound and not as an item of its own, which could be dropped.
        """
        self._set_format(announced_format(message))

    def _take_speaking(self, message: Bool) -> None:
        """The callback of robot_speaking."""
        self._audio.mute.set_speaking(self._node.now_ns(), speaking=message.data)

    def _length_s(self, heard: _AudioMessage) -> float:
        message, form = heard.message, heard.form
        data = getattr(getattr(message, "audio", message), "data", None)
        if form is None or data is None or not form.rate or not form.channels:
            return _GUESS_S
        # Two bytes a sample are near enough for the length of a queue.
        return len(data) / (2.0 * form.rate * form.channels)

    def _work(self, heard: _AudioMessage) -> None:
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
        self._node.get_logger().info(f"audio: the source sends {form}")
        given = self._given
        if given is not None and (given.rate, given.channels, given.sample_format) != (
            form.rate,
            form.channels,
            form.sample_format,
        ):
            self._trouble.once(
                "formats",
                f"audio_rate, audio_channels and audio_sample_format say {given}, but the "
                f"source says {form}, which counts; remove these parameters, or correct the "
                "source",
            )
        if form.channels > _STEREO and self._mixes:
            self._trouble.once(
                "channels",
                f"its {form.channels} channels are mixed; if one of them has the loudspeaker's "
                "signal, the robot's voice counts as a person's.  Set audio.channel to the one "
                "to use (on a ReSpeaker, 0 is processed and 5 the loudspeaker); "
                "channel_levels_dbfs in /diagnostics shows how loud each one is",
            )

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
        samples = samples_of(message, form)
        self._measure(samples, form.rate)
        return AudioBlock(stamp_ns, form.rate, samples)

    def _measure(self, samples: NDArray[np.float32], rate: int) -> None:
        """How loud each channel is, for who has to choose one."""
        if not len(samples):
            return
        power = np.square(np.nan_to_num(samples).clip(-1.0, 1.0), dtype=np.float64).mean(axis=0)
        self._dead_s = 0.0 if np.ptp(samples) > 0 else self._dead_s + len(samples) / rate
        if len(power) != len(self._powers):
            self._powers = power
        self._powers = self._powers + (power - self._powers) * min(1.0, len(samples) / rate)

    def _say_no_format(self) -> None:
        now = time.monotonic()
        self._unread_since = self._unread_since or now
        if now - self._unread_since > _PATIENCE_S:
            self._trouble.once(
                "no format",
                "waiting for a message on audio_info; without it the audio cannot be read "
                "(if the source publishes none, set audio_rate, audio_channels and "
                "audio_sample_format)",
            )

    def _failed(self, error: Exception) -> None:
        if isinstance(error, AudioFormatError):
            self._trouble.report(error.kind, f"{error}; left out")
        else:
            self._trouble.report(
                type(error).__name__, f"unexpected {type(error).__name__}: {error}"
            )


class SpeechBufferNode(ManagedNode):
    """`audio` and `audio_info` to `spectrogram`."""

    senses = "follows"

    def __init__(self) -> None:
        super().__init__("speech_buffer", [AudioInputSettings], GROUPS)
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

    def wipe(self) -> None:
        """Forget all sound."""
        if self._audio is not None:
            self._audio.wipe()

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
