"""Sound as it is delivered: bytes decoded to float32, and from several channels to one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.errors import AudioFormatError

MIN_RATE: Final = 4_000
MAX_RATE: Final = 384_000
MAX_CHANNELS: Final = 64

_SANE_PEAK: Final = 1_000.0
"""Float samples more than 60 dB over full scale are garbage, not loud sound."""

# Name -> (bytes per sample, NumPy type the bytes are read as).  GStreamer's S24LE has three
# bytes, ALSA's S24_LE has four: the underscore tells them apart.
_FORMATS: Final[dict[str, tuple[int, str]]] = {
    "S8": (1, "<i1"),
    "U8": (1, "<u1"),
    "S16LE": (2, "<i2"),
    "S16_LE": (2, "<i2"),
    "S16BE": (2, ">i2"),
    "S16_BE": (2, ">i2"),
    "S24LE": (3, "<s24"),
    "S24_3LE": (3, "<s24"),
    "S24BE": (3, ">s24"),
    "S24_3BE": (3, ">s24"),
    "S24_32LE": (4, "<s24in32"),
    "S24_LE": (4, "<s24in32"),
    "S24_32BE": (4, ">s24in32"),
    "S24_BE": (4, ">s24in32"),
    "S32LE": (4, "<i4"),
    "S32_LE": (4, "<i4"),
    "S32BE": (4, ">i4"),
    "S32_BE": (4, ">i4"),
    "F32LE": (4, "<f4"),
    "FLOAT_LE": (4, "<f4"),
    "F32BE": (4, ">f4"),
    "FLOAT_BE": (4, ">f4"),
    "F64LE": (8, "<f8"),
    "FLOAT64_LE": (8, "<f8"),
    "F64BE": (8, ">f8"),
    "FLOAT64_BE": (8, ">f8"),
}

_SHOWN: Final = ", ".join(
    name for name in _FORMATS if name.endswith("LE") and "_LE" not in name
)
FORMAT_NAMES: Final = f"S8, U8, {_SHOWN} and their BE forms"
"""What `decode_pcm` reads, for people; ALSA's names are read too."""

_RAW_CODINGS: Final = frozenset({"", "wave", "wav", "raw", "pcm"})

PORTAUDIO_FIELDS: Final[dict[int, str]] = {
    1: "float32_data",
    2: "int32_data",
    8: "int16_data",
    16: "int8_data",
    32: "uint8_data",
}
"""PortAudio's sample format number -> the field of `audio_common_msgs/AudioData` (4.x) that
holds the samples."""


def check_coding(coding_format: str) -> None:
    """Make sure that sound is not compressed.

    Args:
        coding_format: `AudioInfo.coding_format`; "", wave, wav, raw and pcm are fine.

    Raises:
        AudioFormatError: anything else, with what to set on the capture node.
    """
    if coding_format.strip().lower() not in _RAW_CODINGS:
        raise AudioFormatError(
            f"coding format {coding_format!r} is compressed and cannot be read; set the "
            "parameter 'format' of the capture node to 'wave' (ros2 run audio_capture "
            "audio_capture_node --ros-args -p format:=wave)",
            kind="coding",
        )


def check_stream(rate: int, channels: int) -> None:
    """Make sure that rate and channel count are possible.

    Raises:
        AudioFormatError: the rate is not 4000 to 384000 Hz or the channels are not 1 to 64.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioFormatError(
            f"sample rate is {rate} Hz; allowed: {MIN_RATE} to {MAX_RATE}", kind="rate"
        )
    _check_channels(channels)


def _check_channels(channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioFormatError(
            f"channel count is {channels}; allowed: 1 to {MAX_CHANNELS}", kind="channels"
        )


def decode_pcm(
    data: bytes | bytearray | memoryview | NDArray[np.uint8], sample_format: str, channels: int
) -> NDArray[np.float32]:
    """Interleaved samples as float32.

    Args:
        data: bytes as they came; an `array.array('B')` of a ROS message does too.
        sample_format: GStreamer's name (S8, U8, S16LE, S24LE, S24_32LE, S32LE, F32LE, F64LE;
            BE for big endian) or ALSA's (S16_LE, S24_3LE, S24_LE, FLOAT_LE, ...); case does
            not matter.
        channels: 1 to 64.

    Returns:
        (n, channels), full scale is -1 to 1.  Float formats may hold NaN and infinities: see
        `sanitise`.

    Raises:
        AudioFormatError: unknown format, impossible channel count, or a byte count that is
            not a whole number of frames.
    """
    name = sample_format.strip().upper()
    if name not in _FORMATS:
        raise AudioFormatError(
            f"sample format {sample_format!r} is not known; allowed: {FORMAT_NAMES}",
            kind="format",
        )
    _check_channels(channels)
    size, kind = _FORMATS[name]
    raw = np.frombuffer(data, np.uint8)
    frame = size * channels
    if len(raw) % frame:
        raise AudioFormatError(
            f"{len(raw)} bytes are not a whole number of frames of {frame} bytes "
            f"({channels} channel(s) of {name}): {len(raw) % frame} byte(s) are left over",
            kind="frames",
        )
    return _to_float(raw, kind).reshape(-1, channels)


def _to_float(raw: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    order, layout = kind[0], kind[1:]
    if layout == "s24":
        # Three bytes go into the upper part of four, so that the sign comes right by itself.
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3) if order == "<" else raw.reshape(-1, 3)[:, ::-1]
        return scale_to_float(wide.reshape(-1).view("<i4"))
    if layout == "s24in32":
        return scale_to_float(raw.view(f"{order}i4").astype(np.int32) << 8)
    return scale_to_float(raw.view(kind))


def scale_to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of any NumPy number type as float32 with full scale -1 to 1.

    Signed integers are divided by their largest power of two, unsigned bytes are centred,
    floats are taken as they are (a float64 too large for float32 becomes infinite).
    """
    kind = samples.dtype
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    full = float(2 ** (8 * kind.itemsize - 1))
    centred = samples.astype(np.float64) - (full if kind.kind == "u" else 0.0)
    return (centred / full).astype(np.float32)


def decode_portaudio(
    samples: NDArray[Any], sample_format: int, channels: int
) -> NDArray[np.float32]:
    """Samples of mgonzs13/audio_common 4.x, whose messages hold numbers instead of bytes.

    Args:
        samples: the array of the field `PORTAUDIO_FIELDS[sample_format]`, interleaved.
        sample_format: PortAudio's number: 1 float32, 2 int32, 8 int16, 16 int8, 32 uint8.
        channels: 1 to 64.

    Returns:
        (n, channels), full scale is -1 to 1.

    Raises:
        AudioFormatError: unknown format, impossible channel count, or samples missing from
            the last frame.
    """
    if sample_format not in PORTAUDIO_FIELDS:
        allowed = ", ".join(map(str, PORTAUDIO_FIELDS))
        raise AudioFormatError(
            f"PortAudio sample format {sample_format} is not known; allowed: {allowed}",
            kind="format",
        )
    _check_channels(channels)
    kind = np.dtype(PORTAUDIO_FIELDS[sample_format].removesuffix("_data"))
    flat = np.asarray(samples, kind).reshape(-1)
    if len(flat) % channels:
        raise AudioFormatError(
            f"{len(flat)} samples are not a whole number of frames of {channels} channels",
            kind="frames",
        )
    return scale_to_float(flat).reshape(-1, channels)


def sanitise(
    samples: NDArray[np.float32], silence: Callable[[], NDArray[np.float32]] | None = None
) -> tuple[NDArray[np.float32], int]:
    """Replace what is no sound (NaN, infinite, beyond 1000 times full scale) by silence.

    Args:
        samples: (n, channels).
        silence: gives what stands in, one value or one a channel; None: 0.

    Returns:
        The samples (the same array if all were good) and how many were replaced.
    """
    good = np.abs(samples) <= _SANE_PEAK
    if good.all():
        return samples, 0
    instead = np.zeros(1, np.float32) if silence is None else silence()
    return np.where(good, samples, instead), int(good.size - np.count_nonzero(good))


# From the channels of a source to one: constant offsets, choice of a channel, mix.

_MEMORY_S: Final = 0.5
_SUM_S: Final = 0.01
_LEAST: Final = 1e-3
"""A smaller offset (-60 dB of full scale) is none."""


class OffsetMeter:
    """Knows the mean of each channel over the last half second, of which it keeps no sound.

    Silence of zeros in sound that has an offset would begin and end with a bang, which no high
    pass takes away.
    """

    def __init__(self) -> None:
        self._sums: deque[tuple[NDArray[np.float64], int]] = deque()
        """(channels,) sum over 10 ms, and of how many samples."""
        self._part: NDArray[np.float64] = np.zeros(1)
        self._in_part = 0

    @property
    def value(self) -> NDArray[np.float32]:
        """(channels,), full scale -1 to 1; exactly 0 where there is hardly any; (1,) before any
        sound."""
        count = self._in_part + sum(count for _, count in self._sums)
        if count == 0:
            return np.zeros(1, np.float32)
        mean = sum((one for one, _ in self._sums), self._part) / count
        # What is no number, or beyond full scale, is no offset either.
        real = (np.abs(mean) >= _LEAST) & (np.abs(mean) <= 1.0)
        return np.where(real, mean, 0.0).astype(np.float32)

    def add(self, samples: NDArray[np.float32], rate: int) -> None:
        """Take the next (n, channels) samples; another channel count starts anew."""
        if samples.ndim != 2:
            return  # refused elsewhere
        if samples.shape[1] != len(self._part):
            self._sums.clear()
            self._part, self._in_part = np.zeros(samples.shape[1]), 0
        size = max(1, round(_SUM_S * rate))
        while len(samples):
            taken = samples[: max(1, size - self._in_part)]
            samples = samples[len(taken) :]
            # One sample after the other, so that how the sound is cut leaves no trace.
            self._part = np.cumsum(np.vstack((self._part, taken)), axis=0)[-1]
            self._in_part += len(taken)
            if self._in_part >= size:
                self._sums.append((self._part, self._in_part))
                self._part, self._in_part = np.zeros(taken.shape[1]), 0
        most = round(_MEMORY_S * rate) // size
        while len(self._sums) > most:
            self._sums.popleft()


_SLICES_PER_S: Final = 50
_MEANS: Final = 10
"""Of a slice, for the correlation of low frequencies."""
_LEAST_SLICES: Final = 15
"""Before so many slices the few means of independent channels may correlate by chance."""
_MEMORY: Final = 0.96
"""Share of the correlation that is kept from slice to slice: half a second."""
_OPPOSED: Final = -0.5
"""A channel whose correlation with the sum of the others is below this is turned around."""


class Mixer:
    """Turns a stream of (n, channels) into one channel.

    Channels of opposite polarity (a wrongly wired cable or adapter) would cancel in the mean;
    their polarity is found from the correlation of the last half second and turned around.  The
    correlation is that of the differences from sample to sample: an offset or hum that the
    channels share says nothing about their polarity.  Where noise hides it, the correlation of
    the differences of means over 2 ms, around 125 Hz, still tells.

    Polarity is judged in slices of 20 ms counted from the start of the stream and holds from
    the next slice on, so how the sound is cut into blocks leaves no trace.
    """

    def __init__(self, rate: int, channels: int, channel: int = -1) -> None:
        """Start a stream.

        Args:
            rate: samples per second [Hz].
            channels: at least 1.
            channel: the one that is taken, less than `channels`; -1: the mean of all.
        """
        self._one = 0 if channels == 1 else channel
        self._slice = rate // _SLICES_PER_S
        self._parts: list[NDArray[np.float32]] = []
        self._filled = 0
        self._polarity = np.ones(channels, np.float32)
        self._products = np.zeros((2, channels, channels))
        self._judged = 0

    @property
    def polarity(self) -> NDArray[np.float32]:
        """(channels,), 1 or -1: what each channel is multiplied by."""
        return np.array(self._polarity, np.float32)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix the next samples.

        Args:
            samples: (n, channels).

        Returns:
            (n,).
        """
        if self._one >= 0:
            return samples[:, self._one]
        mixed = np.empty(len(samples), np.float32)
        at = 0
        while at < len(samples):
            part = samples[at : at + self._slice - self._filled]
            mixed[at : at + len(part)] = (part * self._polarity).mean(axis=1)
            at += len(part)
            self._parts.append(part)
            self._filled += len(part)
            if self._filled == self._slice:
                self._judge(np.concatenate(self._parts))
                self._parts, self._filled = [], 0
        # Blocks may be views of buffers that are written to again.
        self._parts = [part.copy() for part in self._parts]
        return mixed

    def _judge(self, samples: NDArray[np.float32]) -> None:
        self._judged += 1
        exact = samples.astype(np.float64)
        length = self._slice // _MEANS
        means = exact[: _MEANS * length].reshape(_MEANS, length, -1).mean(axis=1)
        # At 125 Hz microphones half a metre apart are still in phase.
        for number, steps in enumerate((np.diff(exact, axis=0), means[2:] - means[:-2])):
            self._products[number] = _MEMORY * self._products[number] + steps.T @ steps
        for _ in self._polarity:
            correlation, slow = (self._correlation(one) for one in self._products)
            if self._judged >= _LEAST_SLICES:
                correlation = np.minimum(correlation, slow)
            # Of two that are opposed, the first keeps its polarity.
            worst = len(correlation) - 1 - int(np.argmin(correlation[::-1]))
            if correlation[worst] >= _OPPOSED:
                return
            self._polarity[worst] *= -1.0

    def _correlation(self, products: NDArray[np.float64]) -> NDArray[np.float64]:
        """(channels,), of each channel with the sum of the others."""
        signed = products * np.outer(self._polarity, self._polarity)
        own = np.diag(signed)
        with_others = signed.sum(axis=1) - own
        others = signed.sum() - own - 2.0 * with_others  # the power of their sum
        scale = np.sqrt(np.maximum(own * others, 0.0))
        shares = np.divide(with_others, scale, out=np.zeros_like(own), where=scale > 0.0)
        return np.asarray(shares, np.float64)
