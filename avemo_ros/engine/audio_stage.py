"""From sound to spectrogram chunks; the robot's own speech counts as nobody's emotion."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.front_end import SpeechCounters
from avemo_ros.audio.pcm import OffsetMeter
from avemo_ros.audio.spectrogram import AudioBlock, SpectrogramChunk
from avemo_ros.audio.speech import SpeechBuffer
from avemo_ros.config import AudioConfig, InputConfig
from avemo_ros.errors import AudioFormatError
from avemo_ros.timing import NS_PER_S, Reporter, StampFilter, Stopwatch, to_ns

TAIL_NS: Final = to_ns(0.3)
"""The room still sounds, and the loudspeaker's buffer plays, this long after the robot's last
word."""
LONGEST_NS: Final = to_ns(30.0)
"""A robot that has told nothing more for this long has ended, or died while it spoke: who
speaks for longer tells so again, as the dialog node does every second."""
_KEPT: Final = 64
"""Stretches of speech that are remembered; sound is never that far behind."""


class RobotSpeechMask:
    """Knows when the robot spoke and silences the sound of that time.

    Times and stamps are of one clock.  It may be updated on one thread and asked on another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: deque[tuple[int, int | None]] = deque(maxlen=_KEPT)
        self._offset = OffsetMeter()
        self._silence: NDArray[np.float32] = np.zeros(1, np.float32)
        self._inside = False
        self._message_ns = 0
        self._muted_ns = 0
        self._timeouts = 0

    def reset(self) -> None:
        """Forget when the robot spoke, e.g. as nobody listened to what it told; the counters go
        on."""
        with self._lock:
            self._spans.clear()
            self._inside = False

    @property
    def muted_s(self) -> float:
        """Length of all the sound that was silenced [s]."""
        return self._muted_ns / NS_PER_S

    @property
    def timeouts(self) -> int:
        """Times that the robot spoke, by what it told, and was never heard to end."""
        return self._timeouts

    @property
    def speaking(self) -> bool:
        """The robot speaks, by the last message and the newest time that was seen."""
        with self._lock:
            return bool(self._spans) and self._spans[-1][1] is None

    def set_speaking(self, at_ns: int, *, speaking: bool) -> None:
        """The robot speaks from now on, or has ended; what is repeated changes nothing.

        Args:
            at_ns: now [ns].
            speaking: whether it speaks.
        """
        with self._lock:
            self._time_out(at_ns)
            last = self._spans[-1] if self._spans else None
            if speaking:
                self._begin(last, at_ns)
                self._message_ns = at_ns
            elif last is not None and last[1] is None:
                self._spans[-1] = (last[0], at_ns + TAIL_NS)

    def mask(self, block: AudioBlock) -> AudioBlock:
        """The block, silent where the robot spoke; the very block where it did not.

        It speaks from `tell(speaking=True)` to `tell(speaking=False)`, or for 30 s after the
        last of the former, and 0.3 s longer.
        """
        samples = block.samples
        end_ns = block.stamp_ns + len(samples) * NS_PER_S // block.rate
        with self._lock:
            self._time_out(end_ns)
            spans = tuple(self._spans)
        heard = 0
        for start_ns, stop_ns in spans:
            first = max(0, _index(block, start_ns))
            last = len(samples)
            if stop_ns is not None:
                last = min(last, _index(block, stop_ns))
            if first >= last:
                continue
            if samples is block.samples:
                samples = samples.copy()
            if first or not self._inside or samples.shape[1] != len(self._silence) > 1:
                self._offset.add(block.samples[heard:first], block.rate)
                self._silence = self._offset.value
            samples[first:last] = self._silence
            heard, self._inside = last, last == len(samples)
            self._muted_ns += (last - first) * NS_PER_S // block.rate
        if heard < len(samples):
            self._offset.add(block.samples[heard:], block.rate)
            self._inside = False
        return block if samples is block.samples else replace(block, samples=samples)

    def _time_out(self, now_ns: int) -> None:
        if not self._spans or self._spans[-1][1] is not None:
            return
        over_ns = self._message_ns + LONGEST_NS + TAIL_NS
        if now_ns > over_ns:
            self._spans[-1] = (self._spans[-1][0], over_ns)
            self._timeouts += 1

    def _begin(self, last: tuple[int, int | None] | None, at_ns: int) -> None:
        if last is None or (last[1] is not None and last[1] < at_ns):
            self._spans.append((at_ns, None))
        elif at_ns < last[0]:
            # Time started anew (a bag that loops).
            self._spans.clear()
            self._spans.append((at_ns, None))
        else:
            self._spans[-1] = (last[0], None)


def _index(block: AudioBlock, time_ns: int) -> int:
    """Number of the first sample of a block at or after a time."""
    return -((block.stamp_ns - time_ns) * block.rate // NS_PER_S)


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
