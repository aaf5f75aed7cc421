"""Sound as bytes, decoded to float32: what a ROS message or a capture device delivers."""

from __future__ import annotations

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
