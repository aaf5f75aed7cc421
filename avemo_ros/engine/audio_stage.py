"""From sound to spectrogram chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from avemo_ros.audio.front_end import SpeechCounters
from avemo_ros.audio.robot_speech import RobotSpeechMask
from avemo_ros.audio.spectrogram import AudioBlock, SpectrogramChunk
from avemo_ros.audio.speech import SpeechBuffer
from avemo_ros.config import AudioConfig, InputConfig
from avemo_ros.errors import AudioFormatError
from avemo_ros.timing import NS_PER_S, Reporter, StampFilter, Stopwatch, to_ns

_OTHER_CLOCK_NS: Final = to_ns(5.0)
"""Stamps that are so far from their arrival are of another clock."""


class AudioGate:
    """Which blocks of one stream are heard, and with which stamp; silent where the robot spoke.

    Args:
        inputs: which stamps are believed.
        reporter: who hears of troubles.
        advice: see `StampFilter`.
    """

    def __init__(
        self,
        inputs: InputConfig,
        reporter: Reporter,
        advice: Callable[[float], str] | None = None,
    ) -> None:
        self._reporter = reporter
        self._stamps = StampFilter(
            "sound",
            "audio_stamps",
            inputs.max_input_age_s,
            inputs.audio_stamps,
            reporter,
            ordered=False,
            advice=advice,
        )
        self._by_arrival = inputs.audio_stamps == "arrival"
        self.mute = RobotSpeechMask()
        """Notified when the robot speaks; may be called on another thread."""

    @property
    def refused(self) -> int:
        """Blocks left out for their stamps."""
        return self._stamps.refused

    def admit(self, block: AudioBlock, arrival_ns: int = 0) -> AudioBlock | None:
        """The next block as it is heard; None where it is left out.

        Args:
            block: of a positive rate; see `AudioStage.push`.
            arrival_ns: when its last sample was there [ns]; 0: not known.
        """
        lasts_ns = len(block.samples) * NS_PER_S // block.rate
        if arrival_ns > 0 and (self._by_arrival or block.stamp_ns <= 0):
            if block.stamp_ns == 0 and not self._by_arrival:
                self._reporter.once(
                    "no stamp", "header.stamp is zero; using the time of arrival instead"
                )
            # Jitter is left in: `SampleClock` tells it from losses.
            stamp_ns = arrival_ns - lasts_ns
        else:
            admission = self._stamps.admit(block.stamp_ns, arrival_ns)
            if not admission.usable:
                return None
            stamp_ns = admission.stamp_ns
            if arrival_ns > 0:
                # A driver that stamps a block when it is full means its end.
                stamp_ns = max(stamp_ns - lasts_ns, min(stamp_ns, arrival_ns - lasts_ns))
        age_ns = arrival_ns - stamp_ns
        # Messages that the robot speaks are timed by the clock of the arrivals.
        apart_ns = age_ns if arrival_ns > 0 and abs(age_ns) > _OTHER_CLOCK_NS else 0
        heard = self.mute.mask(replace(block, stamp_ns=stamp_ns + apart_ns))
        return replace(heard, stamp_ns=stamp_ns)

    def reset(self) -> None:
        """Forget the stream, and that the robot spoke."""
        self._stamps.reset()
        self.mute.reset()


class AudioStage:
    """Hears one stream of sound.

    Blocks are admitted by their stamps and silenced while the robot itself speaks
    (`AudioGate`), and turned into spectrogram columns with the probability of speech.  What
    cannot be used is reported and left out.

    Args:
        config: of the sound analysis.
        inputs: which stamps are believed.
        reporter: who hears of troubles.
        advice: see `StampFilter`.
        stopwatch: measures the stage "audio".

    Raises:
        WeightsError: the speech detector is not installed.
    """

    def __init__(
        self,
        config: AudioConfig,
        inputs: InputConfig,
        reporter: Reporter,
        *,
        advice: Callable[[float], str] | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._reporter = reporter
        self._gate = AudioGate(inputs, reporter, advice)
        self._buffer = SpeechBuffer(config)
        self.stopwatch = stopwatch if stopwatch is not None else Stopwatch()
        self._restarts = 0
        self.refused = 0
        """Blocks left out because the sound, not its stamp, cannot be used."""

    @property
    def mute(self) -> RobotSpeechMask:
        """Notified when the robot speaks; may be called on another thread."""
        return self._gate.mute

    @property
    def counters(self) -> SpeechCounters:
        """What happened to the sound."""
        return self._buffer.counters

    @property
    def refused_stamps(self) -> int:
        """Blocks left out for their stamps."""
        return self._gate.refused

    def push(self, block: AudioBlock, arrival_ns: int = 0) -> list[SpectrogramChunk]:
        """Take the next block.

        Args:
            block: its stamp is that of its first sample; 0: its driver does not stamp; below
                0: its kind has no stamps.
            arrival_ns: when its last sample was there [ns]; 0: not known.

        Returns:
            The spectrogram columns that it completes: none, one chunk or two.
        """
        if block.rate <= 0:
            return self._refuse(
                AudioFormatError(f"sample rate is {block.rate} Hz", kind="rate")
            )
        heard = self._gate.admit(block, arrival_ns)
        if heard is None:
            return []
        before = self.counters.sanitised
        try:
            with self.stopwatch.measure("audio"):
                chunks = self._buffer.push(heard)
        except AudioFormatError as error:
            return self._refuse(error)
        self._say_restart()
        if replaced := self.counters.sanitised - before:
            self._reporter.report(
                "numbers",
                f"{replaced} of {block.samples.size} samples are NaN, infinite or far beyond "
                "full scale; replaced by silence",
            )
        else:
            self._reporter.good()
        return chunks

    def flush(self) -> list[SpectrogramChunk]:
        """The columns that wait for their chunk to be full, at the end of a recording."""
        return self._buffer.flush()

    def reset(self) -> None:
        """Forget the stream, and that the robot spoke."""
        self._gate.reset()
        self._buffer.reset()

    def _refuse(self, error: AudioFormatError) -> list[SpectrogramChunk]:
        self.refused += 1
        self._reporter.report(error.kind, f"{error}; left out")
        return []

    def _say_restart(self) -> None:
        counters = self.counters
        if counters.restarts != self._restarts:
            self._restarts = counters.restarts
            self._reporter.note("restart", f"restarted: {counters.last_restart}")
