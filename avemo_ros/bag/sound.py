"""Sound messages of either audio_common_msgs, decoded and stamped.

It serves the message objects of rclpy and those of rosbags, so that live and replayed sound
are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.pcm import (
    PORTAUDIO_FIELDS,
    check_coding,
    check_stream,
    decode_pcm,
    decode_portaudio,
)
from avemo_ros.clock import NS_PER_S


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How the bytes of a message are to be read."""

    rate: int
    channels: int
    sample_format: str
    coding_format: str = ""

    def check(self) -> None:
        """Make sure that it can be read.

        Raises:
            AudioFormatError: it is compressed, or rate or channels are impossible.
        """
        check_coding(self.coding_format)
        check_stream(self.rate, self.channels)

    def __str__(self) -> str:
        coding = f" {self.coding_format}" if self.coding_format else ""
        return f"{self.rate} Hz, {self.channels} channel(s), {self.sample_format}{coding}"


def announced_format(info: Any) -> SoundFormat:
    """What an AudioInfo of ros-drivers says of the sound beside it."""
    return SoundFormat(
        int(info.sample_rate), int(info.channels), info.sample_format, info.coding_format
    )


def own_format(message: Any) -> SoundFormat | None:
    """What a message says of its own sound, as those of audio_common 4.x do; else None."""
    inner = getattr(message, "audio", message)
    if not hasattr(inner, "audio_data"):
        return None
    info = inner.info
    return SoundFormat(int(info.rate), int(info.channels), f"PortAudio {int(info.format)}")


def samples_of(message: Any, form: SoundFormat) -> NDArray[np.float32]:
    """The sound of a message.

    Args:
        message: AudioData or AudioDataStamped, or AudioStamped of audio_common 4.x.
        form: how to read it; of AudioStamped its own.

    Returns:
        (n, channels), full scale is -1 to 1.

    Raises:
        AudioFormatError: the format cannot be read, or the data do not fit to it.
    """
    form.check()
    inner = getattr(message, "audio", message)
    if hasattr(inner, "audio_data"):
        kind = int(inner.info.format)
        field = PORTAUDIO_FIELDS.get(kind, "uint8_data")
        return decode_portaudio(getattr(inner.audio_data, field), kind, form.channels)
    return decode_pcm(inner.data, form.sample_format, form.channels)


def length_ns(samples: NDArray[np.float32], form: SoundFormat) -> int:
    """How long the sound is [ns]."""
    return len(samples) * NS_PER_S // form.rate
