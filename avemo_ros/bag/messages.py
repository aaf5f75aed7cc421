"""Message types that bags of this package hold: what rosbags knows, ours, and sound."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from avemo_ros.errors import BagError

AUDIO_DATA: Final = "audio_common_msgs/msg/AudioDataStamped"
AUDIO_INFO: Final = "audio_common_msgs/msg/AudioInfo"
COMPRESSED_IMAGE: Final = "sensor_msgs/msg/CompressedImage"
EMOTION_STATES: Final = "avemo_ros/msg/EmotionStateArray"
FACE_TRACKS: Final = "avemo_ros/msg/FaceTrackArray"
IMAGE: Final = "sensor_msgs/msg/Image"
SPECTROGRAM: Final = "avemo_ros/msg/SpectrogramChunk"

_OURS: Final = (
    "NormalizedBox",
    "FaceTrack",
    "FaceTrackArray",
    "SpectrogramChunk",
    "EmotionState",
    "EmotionStateArray",
    "EmotionEvent",
    "DialogReply",
)
_NAMELESS: Final = ("foxy", "galactic", "humble")
"""Distros whose bags do not say of which distro they are."""
_SOUND: Final = {
    "audio_common_msgs/msg/AudioData": "uint8[] data",
    AUDIO_DATA: "std_msgs/Header header\naudio_common_msgs/AudioData audio",
    AUDIO_INFO: (
        "uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\n"
        "string coding_format"
    ),
}
"""audio_common_msgs as ros-drivers released it for Jazzy; it need not be installed."""


def definitions_dir() -> Path:
    """Folder of our .msg files.

    The first of these that holds them: beside the package (a checkout), `share/avemo_ros/msg`
    of the prefix it is installed under (ROS 2 overlay or pip).  Neither ROS nor ament is asked.

    Raises:
        BagError: there is none.
    """
    package = Path(__file__).resolve().parent.parent
    places = [package.parent / "msg"]
    places += [parent / "share" / "avemo_ros" / "msg" for parent in package.parents]
    for place in places:
        if all((place / f"{name}.msg").is_file() for name in _OURS):
            return place
    raise BagError(
        f"the definitions of our messages were not found (looked for msg/*.msg beside {package}"
        " and in share/avemo_ros of its prefix); reinstall the package"
    )


def typestore() -> Typestore:
    """A new store of the message types of Jazzy, of audio_common_msgs and of this package.

    Raises:
        BagError: our definitions are not installed.
    """
    folder = definitions_dir()
    found = {}
    for name in _OURS:
        text = (folder / f"{name}.msg").read_text(encoding="utf-8")
        found.update(get_types_from_msg(text, f"avemo_ros/msg/{name}"))
    for name, text in _SOUND.items():
        found.update(get_types_from_msg(text, name))
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(found)
    return store


def differs_in(distro: str, kind: str) -> bool:
    """Whether a message type, or one that it holds, is another in a distro than in Jazzy.

    Types that no distro brings (ours, those of audio_common) do not differ by distro.

    Args:
        distro: its name, as bags give it; one that is not known differs.  Bags of distros
            before Iron give none: "" stands for any of them.
        kind: as 'sensor_msgs/msg/Image'.
    """
    if not distro:
        return any(differs_in(name, kind) for name in _NAMELESS)
    try:
        there = get_typestore(Stores[f"ROS2_{distro.upper()}"]).fielddefs
    except KeyError:
        return True
    here = get_typestore(Stores.ROS2_JAZZY).fielddefs
    if kind not in here and kind not in there:
        return False
    if kind not in here or kind not in there or here[kind] != there[kind]:
        return True
    return any(differs_in(distro, inner) for inner in _held_by(here[kind]))


def _held_by(definition: object) -> set[str]:
    """Names of message types in a definition of rosbags, however deep it nests them."""
    if isinstance(definition, str):
        return {definition} if "/msg/" in definition else set()
    if isinstance(definition, (tuple, list)):
        return {name for part in definition for name in _held_by(part)}
    return set()
