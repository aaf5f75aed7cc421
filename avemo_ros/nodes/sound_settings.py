"""Which sound comes in: parameters of the stage of sound and what follows from them."""

from __future__ import annotations

from typing import Any, Final

from avemo_ros.audio.pcm import FORMAT_NAMES, MAX_CHANNELS, MAX_RATE, MIN_RATE, decode_pcm
from avemo_ros.bag.sound import SoundFormat
from avemo_ros.errors import AudioFormatError, ConfigError
from avemo_ros.nodes import qos
from avemo_ros.nodes.parameters import Parameter
from avemo_ros.nodes.shell import ManagedNode

KIND: Final = Parameter(
    "audio_type",
    "stamped",
    "Type of the topic audio: 'stamped' is audio_common_msgs/AudioDataStamped (or AudioStamped "
    "where audio_common 4.x of mgonzs13 is installed), 'bare' is AudioData without stamps, "
    "which is stamped on arrival.",
    choices=("stamped", "bare"),
)
RATE: Final = Parameter(
    "audio_rate",
    0,
    "Samples per second of a source that publishes no audio_info [Hz]; 0: wait for audio_info.",
    low=0,
    high=384_000,
)
CHANNELS: Final = Parameter(
    "audio_channels",
    1,
    "Channels of a source that publishes no audio_info.",
    low=1,
    high=64,
)
SAMPLE_FORMAT: Final = Parameter(
    "audio_sample_format",
    "S16LE",
    "Sample format of a source that publishes no audio_info, e.g. S16LE, S32LE, F32LE.",
)
RELIABILITY: Final = Parameter(
    "audio_reliability",
    "auto",
    "QoS of the sound subscriptions: 'best_effort' (SensorDataQoS), 'reliable', or 'auto': "
    "best effort, and reliable once every publisher offers it.",
    choices=qos.RELIABILITIES,
)
PARAMETERS: Final = (KIND, RATE, CHANNELS, SAMPLE_FORMAT, RELIABILITY)
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
        KIND.name,
        kind,
        "'stamped' with the audio_common_msgs that is installed (audio_common 4.x), whose "
        "AudioData does not say its format",
    )


def given_format(node: ManagedNode) -> SoundFormat | None:
    """The format that the parameters say; None: that of audio_info is waited for.

    Raises:
        ConfigError: it is none that can be read.
    """
    rate = int(node.value(RATE))
    if rate == 0:
        return None
    form = SoundFormat(rate, int(node.value(CHANNELS)), str(node.value(SAMPLE_FORMAT)))
    try:
        form.check()
        decode_pcm(b"", form.sample_format, form.channels)
    except AudioFormatError as error:
        name, value, allowed = {
            "rate": (
                RATE.name,
                form.rate,
                f"0 (wait for audio_info), {MIN_RATE} to {MAX_RATE}",
            ),
            "channels": (CHANNELS.name, form.channels, f"1 to {MAX_CHANNELS}"),
            "format": (SAMPLE_FORMAT.name, form.sample_format, FORMAT_NAMES),
        }[error.kind]
        raise ConfigError(name, value, allowed) from error
    return form
