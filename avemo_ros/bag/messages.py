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
