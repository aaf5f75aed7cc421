"""From blocks of any source to one stream of 16 kHz mono, the same way live and in training.

Checked, in the order of its time with losses filled, one channel, resampled and freed of what
is no sound.  The live path, evaluation and the preparation of training data all use it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.filters import HighPass, Resampler
from avemo_ros.audio.pcm import Mixer, OffsetMeter, check_stream, sanitise
from avemo_ros.audio.sample_clock import ClockDecision, RateMeter, SampleClock
from avemo_ros.audio.spectrogram import SAMPLE_RATE, AudioBlock
from avemo_ros.config import AudioConfig
from avemo_ros.errors import AudioFormatError
from avemo_ros.timing import NS_PER_S, to_ns


@dataclass(slots=True)
class SpeechCounters:
    """What happened to the sound since the front end was made."""

    gaps: int = 0
    """Losses that were filled with silence."""
    lost_ns: int = 0
    """Their total length [ns]."""
    restarts: int = 0
    """Times the stream started anew."""
    sanitised: int = 0
    """Samples that were NaN, infinite or absurd and became silence."""
    last_restart: str = ""
    """Why it last started anew, as a sentence for the log."""
    speed: float = 1.0
    """How many times as fast as its rate says the sound comes now; 1 where that is right or not
    known yet.  Sound of another speed is left out."""
    left_out_ns: int = 0
    """Total length of what was left out, by the rate that the source says [ns]."""

    @property
    def lost_s(self) -> float:
        """Total length of the gaps [s]."""
        return self.lost_ns * 1e-9

    @property
    def left_out_s(self) -> float:
        """Total length of what was left out, by the rate that the source says [s]."""
        return self.left_out_ns * 1e-9


@dataclass(frozen=True, slots=True)
class MonoPiece:
    """Some sound of a stream, following the piece before it."""

    samples: NDArray[np.float32]
    """(n,) 16 kHz mono, full scale -1 to 1; n may be 0."""
    origin_ns: int
    """Sensor time of the stream's first sample, by the newest reading of its clock [ns]."""
    begins: bool
    """A new stream begins with it."""
    gap: bool
    """Sound was lost before it, or the stream started anew."""


class AudioFrontEnd:
    """Sample time, gaps, channels, resampling and high pass of one source.

    The result depends on the sound and its stamps, not on how it is cut into blocks.
    """

    def __init__(self, config: AudioConfig) -> None:
        self._config = config
        self._tolerance_ns = to_ns(config.gap_tolerance_s)
        self._max_gap_ns = to_ns(config.max_gap_s)
        self._resampler = Resampler(SAMPLE_RATE)
        self._high_pass = HighPass()
        self._mixer = Mixer(SAMPLE_RATE, 1)
        self._clock: SampleClock | None = None
        self._held: list[tuple[int, NDArray[np.float32]]] = []
        """Stamp [ns] and samples (n, channels) of each block that the clock holds."""
        self._pieces: list[MonoPiece] = []
        self._count = 0
        self._samples = 0
        self.counters = SpeechCounters()
        """Live counters; they go on over `reset`."""
        self.reset()

    @property
    def delay_s(self) -> float:
        """Sound held back by the resampler for the present source [s]."""
        return self._resampler.delay_s

    @property
    def held_s(self) -> float:
        """Sound that is kept until the next blocks tell whether some was lost before it [s]."""
        return sum(len(samples) for _, samples in self._held) / max(1, self._form[0])

    def reset(self) -> None:
        """Forget the stream; the next block starts a new one, with no gap flagged."""
        self._form = (0, 0)
        self._offset = OffsetMeter()
        self._meter = RateMeter(SAMPLE_RATE)
        self._forget()
        self._gap = False
        self._begins = True
        self._pieces = []
        self.counters.speed = 1.0

    def push(self, block: AudioBlock) -> list[MonoPiece]:
        """Take the next sound of the source.

        A loss of up to `max_gap_s` is filled with silence.  A longer one, stamps that jump
        back, another rate or another channel count start the stream anew.  Sound whose stamps
        say that something is wrong is held until that is certain, 0.15 s of sound as a rule.
        Sound that comes at a speed other than its rate says is left out.

        Returns:
            What can be used by now, in order; may be empty.

        Raises:
            AudioFormatError: the rate, the channel count or the array is not usable, or it has
                no channel `audio.channel`; nothing was taken in.
        """
        samples = self._checked(block)
        if len(samples) == 0:
            return []
        form = (block.rate, samples.shape[1])
        samples, replaced = sanitise(samples, lambda: self._silence(form))
        self.counters.sanitised += replaced
        if form != self._form:
            if self._form != (0, 0):
                self._carry_out(self._settled())
                self._end(
                    f"the source changed from {self._form[0]} Hz and {self._form[1]} "
                    f"channel(s) to {form[0]} Hz and {form[1]}"
                )
            self._form = form
            self._meter = RateMeter(block.rate)
        if self._is_at_its_rate(block.stamp_ns, len(samples)):
            self._admit(block.stamp_ns, samples)
        return self._taken()

    def settle(self) -> list[MonoPiece]:
        """What was held, at the end of a recording: no more sound comes that could tell."""
        self._carry_out(self._settled())
        return self._taken()

    def drain(self) -> list[MonoPiece]:
        """All that is left of the stream, as if silence followed; the next block starts a new
        stream, with no gap flagged."""
        self._carry_out(self._settled())
        self._drain()
        pieces = self._taken()
        self.reset()
        return pieces

    def _checked(self, block: AudioBlock) -> NDArray[np.float32]:
        samples = block.samples
        if samples.ndim != 2 or samples.dtype.kind != "f":
            raise AudioFormatError(
                f"samples are {samples.dtype} of shape {samples.shape}; "
                "allowed: float32 of shape (samples, channels)"
            )
        channels, channel = samples.shape[1], self._config.channel
        check_stream(block.rate, channels)
        if channel >= channels:
            raise AudioFormatError(
                f"audio.channel is {channel}, but the source has {channels} channel(s); "
                f"allowed: -1 (all of them) to {channels - 1}",
                kind="channel",
            )
        return samples.astype(np.float32, copy=False)

    def _is_at_its_rate(self, stamp_ns: int, samples: int) -> bool:
        counters, rate = self.counters, self._form[0]
        was = counters.speed
        self._meter.add(stamp_ns, samples)
        counters.speed = self._meter.speed
        if counters.speed == 1.0:
            return True
        if was == 1.0:
            self._end(
                f"audio arrives {counters.speed:.2f} times as fast as its rate of {rate} Hz "
                "says (audio_info or audio_rate is wrong and the rate is about "
                f"{round(rate * counters.speed, -2)} Hz, the channel count is wrong, several "
                "sources share the topic, or its stamps come from a clock with another speed). "
                "It is left out: set audio_rate and audio_channels to what the device sends, "
                "or give each source a topic of its own"
            )
        counters.left_out_ns += samples * NS_PER_S // rate
        return False

    def _admit(self, stamp_ns: int, samples: NDArray[np.float32]) -> None:
        if self._clock is None:
            self._begin(stamp_ns)
        assert self._clock is not None
        admission = self._clock.admit(stamp_ns, len(samples))
        # What is held may be a view of a buffer that the source writes to again.
        self._held.append((stamp_ns, samples.copy() if admission.hold else samples))
        if not admission.hold:
            self._carry_out(admission)

    def _settled(self) -> ClockDecision:
        return ClockDecision() if self._clock is None else self._clock.settle()

    def _carry_out(self, admission: ClockDecision) -> None:
        held, self._held = self._held, []
        if admission.restart:
            self._end(admission.restart)
            self._begin(admission.start_ns)
            # The new clock looks at them again: the first is where it begins.
            for number, (stamp_ns, samples) in enumerate(held):
                self._admit(stamp_ns if number else admission.start_ns, samples)
            return
        if admission.missing:
            self.counters.gaps += 1
            self.counters.lost_ns += round(admission.missing * 1e9 / self._form[0])
            self._gap = True
            silence = self._silence(self._form)
            self._take_in(np.broadcast_to(silence, (admission.missing, self._form[1])))
        for _, samples in held:
            self._offset.add(samples, self._form[0])
            self._take_in(samples)

    def _silence(self, form: tuple[int, int]) -> NDArray[np.float32]:
        """What stands in for sound of this form."""
        return self._offset.value if form == self._form else np.zeros(1, np.float32)

    def _begin(self, stamp_ns: int) -> None:
        rate, channels = self._form
        if rate != self._resampler.rate:
            self._resampler = Resampler(rate)
        self._resampler.reset()
        self._high_pass.reset()
        self._mixer = Mixer(rate, channels, self._config.channel)
        self._clock = SampleClock(rate, stamp_ns, self._tolerance_ns, self._max_gap_ns)
        self._count = 0
        self._samples = 0
        self._begins = True

    def _end(self, reason: str) -> None:
        """The stream ends; the next is another."""
        self._drain()
        self._forget()
        self._gap = True
        self.counters.restarts += 1
        self.counters.last_restart = reason

    def _forget(self) -> None:
        self._clock = None
        self._held = []

    def _take_in(self, samples: NDArray[np.float32]) -> None:
        self._count += len(samples)
        self._emit(self._high_pass.push(self._resampler.push(self._mixer.push(samples))))

    def _drain(self) -> None:
        """What resampler and high pass still hold: silence follows the last sample."""
        if self._clock is None:
            return
        rate = self._form[0]
        wanted = -(-self._count * SAMPLE_RATE // rate)
        tail = np.zeros(math.ceil(self._resampler.delay_s * rate) + 1, np.float32)
        lacking = wanted - self._samples - self._high_pass.pending
        rest = self._resampler.push(tail)[: max(0, lacking)]
        self._emit(self._high_pass.push(rest))
        self._emit(self._high_pass.drain())

    def _emit(self, samples: NDArray[np.float32]) -> None:
        assert self._clock is not None
        self._samples += len(samples)
        self._pieces.append(MonoPiece(samples, self._clock.origin_ns, self._begins, self._gap))
        self._begins = self._gap = False

    def _taken(self) -> list[MonoPiece]:
        pieces, self._pieces = self._pieces, []
        return pieces
