"""Which sound comes in: parameters of the stage of sound and what follows from them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from avemo_ros.audio.pcm import FORMAT_NAMES, MAX_CHANNELS, MAX_RATE, MIN_RATE, decode_pcm
from avemo_ros.bag.message_content import AudioFormat
from avemo_ros.errors import AudioFormatError, ConfigError
from avemo_ros.nodes import qos
from avemo_ros.nodes.shell import ManagedNode
from avemo_ros.settings import OneOf, Settings


class SoundSettings(Settings):
    """Parameters of the stage of sound."""

    audio_type: Literal["stamped", "bare"] = Field(
        "stamped",
        description=(
            "Type of the topic audio: 'stamped' is audio_common_msgs/AudioDataStamped (or "
            "AudioStamped where audio_common 4.x of mgonzs13 is installed), 'bare' is "
            "AudioData without stamps, which is stamped on arrival."
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
            "QoS of the sound subscriptions: 'best_effort' (SensorDataQoS), 'reliable', or "
            "'auto': best effort, and reliable once every publisher offers it."
        ),
    )


GROUPS: Final = ("audio", "max_input_age_s", "audio_stamps")
"""Settings of the core that the stage follows."""


def message_types(kind: str) -> tuple[Any, Any]:
    """Types of audio and audio_info (None: not needed) by what is installed.

    Raises:
        ConfigError: the installed audio_common_msgs has no such type.
    """
    import audio_common_msgs.msg as installed

    if hasattr(installed, "AudioDataStamped"):
        audio = installed.AudioDataStamped if kind == "stamped" else installed.AudioData
        return audio, installed.AudioInfo
    if kind == "stamped" and hasattr(installed, "AudioStamped"):
        return installed.AudioStamped, None
    raise ConfigError(
        "audio_type",
        kind,
        "'stamped' with the audio_common_msgs that is installed (audio_common 4.x), whose "
        "AudioData does not say its format",
    )


def given_format(node: ManagedNode) -> AudioFormat | None:
    """The format that the parameters say; None: that of audio_info is waited for.

    Raises:
        ConfigError: it is none that can be read.
    """
    rate = int(node.read(SoundSettings).audio_rate)
    if rate == 0:
        return None
    form = AudioFormat(
        rate,
        int(node.read(SoundSettings).audio_channels),
        str(node.read(SoundSettings).audio_sample_format),
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
