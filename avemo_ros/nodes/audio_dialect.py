"""Types of messages with sound, by what is installed.

Two packages are called audio_common_msgs, and a workspace holds one of them.  That of
ros-drivers has AudioDataStamped, AudioData and AudioInfo; that of mgonzs13 (audio_common 4.x)
AudioStamped and Audio, which say their own format.
"""

from __future__ import annotations

import array
import os
from importlib import import_module
from typing import Any, Final

from avemo_ros.errors import ConfigError

KINDS: Final = ("stamped", "bare", "naoqi")
"""Values of the parameter `audio_type`."""
INSTEAD: Final = {
    "audio_common_msgs/msg/AudioData": "set audio_type to 'bare'",
    "audio_common_msgs/msg/Audio": "set audio_type to 'bare'",
    "audio_common_msgs/msg/AudioDataStamped": "set audio_type to 'stamped'",
    "audio_common_msgs/msg/AudioStamped": "set audio_type to 'stamped'",
    "naoqi_bridge_msgs/msg/AudioBuffer": "set audio_type to 'naoqi'",
}
"""Types of sound, and what to set for them."""
_PACKAGES: Final = {"naoqi": "naoqi_bridge_msgs"}
_INT16: Final = 8
"""PortAudio's number for 16-bit samples."""


def message_types(kind: str) -> tuple[Any, Any]:
    """Types of audio and audio_info (None: not needed) by what is installed.

    Args:
        kind: one of `KINDS`.

    Raises:
        ConfigError: the package is not installed, or has no such type.
    """
    package = _PACKAGES.get(kind, "audio_common_msgs")
    try:
        import_module(f"{package}.msg")
        installed: Any = import_module(package).msg
    except ImportError as error:
        debian = f"ros-{os.environ.get('ROS_DISTRO', 'jazzy')}-{package.replace('_', '-')}"
        allowed = f"with {package}, which is not installed; sudo apt install {debian}"
        raise ConfigError("audio_type", kind, allowed) from error
    if kind == "naoqi":
        return installed.AudioBuffer, None
    if hasattr(installed, "AudioDataStamped"):
        audio = installed.AudioDataStamped if kind == "stamped" else installed.AudioData
        return audio, installed.AudioInfo
    of_4x = getattr(installed, "AudioStamped" if kind == "stamped" else "Audio", None)
    if of_4x is None:
        allowed = "with an audio_common_msgs of ros-drivers, or of audio_common 4.x"
        raise ConfigError("audio_type", kind, allowed)
    return of_4x, None


def fill(message: Any, data: array.array[int], rate: int, channels: int) -> None:
    """Put 16-bit sound into a stamped message of either package.

    Args:
        message: AudioDataStamped or AudioStamped.
        data: interleaved samples as bytes, an `array.array('B')`.
        rate: samples per second and channel [Hz].
        channels: how many there are.
    """
    inner = message.audio
    if not hasattr(inner, "audio_data"):
        inner.data = data
        return
    samples = array.array("h", data.tobytes())
    inner.audio_data.int16_data = samples
    inner.info.format, inner.info.rate = _INT16, rate
    inner.info.channels, inner.info.chunk = channels, len(samples) // channels
