"""Messages of a bag from their bytes, by the definitions that the bag holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError, get_types_from_idl, get_types_from_msg
from rosbags.typesys.store import Typestore

from avemo_ros.bag.messages import typestore
from avemo_ros.bag.storage import Channel
from avemo_ros.errors import BagError

_OTHER_SOUND: Final[Mapping[str, str]] = {
    "audio_common_msgs/msg/AudioStamped": (
        "std_msgs/Header header\naudio_common_msgs/Audio audio"
    ),
    "audio_common_msgs/msg/Audio": (
        "audio_common_msgs/AudioData audio_data\naudio_common_msgs/AudioInfo info"
    ),
    "audio_common_msgs/msg/AudioData": (
        "float32[] float32_data\nint32[] int32_data\nint16[] int16_data\nint8[] int8_data\n"
        "uint8[] uint8_data"
    ),
    "audio_common_msgs/msg/AudioInfo": (
        "int32 format\nint32 channels\nint32 rate\nint32 chunk"
    ),
}
"""audio_common_msgs of audio_common 4.x (mgonzs13), which shares its name with ros-drivers'."""


class Decoder:
    """Makes message objects; their fields are those of the definition.

    The definition stored in the bag comes first.  A bag that holds none, as sqlite3 bags of
    Humble and before, is read by the definitions of Jazzy and of this package.

    Args:
        channels: of the bag: they tell which audio_common_msgs it was recorded with.
    """

    def __init__(self, channels: Collection[Channel]) -> None:
        self._other_sound = any(channel.type in _OTHER_SOUND for channel in channels) and any(
            channel.type == "audio_common_msgs/msg/AudioStamped" for channel in channels
        )
        self._stores: dict[tuple[str, str], Typestore] = {}
        self._known: Typestore | None = None

    def prepare(self, channel: Channel) -> None:
        """Make sure that the channel's messages can be decoded.

        Raises:
            BagError: its definition, or one that it needs, is missing or cannot be read.
        """
        self._store(channel)

    def decode(self, channel: Channel, data: bytes | memoryview) -> Any:
        """The message.

        Raises:
            BagError: the definition is missing, or the bytes are no such message.
        """
        store = self._store(channel)
        try:
            return store.deserialize_cdr(data, channel.type)
        except (SerdeError, TypesysError, KeyError, IndexError, ValueError) as error:
            raise BagError(
                f"their bytes do not fit to the definition of {channel.type}"
            ) from error

    def _store(self, channel: Channel) -> Typestore:
        if channel.key not in self._stores:
            self._stores[channel.key] = self._make(channel)
        return self._stores[channel.key]

    def _make(self, channel: Channel) -> Typestore:
        if channel.serialization != "cdr":
            raise BagError(
                f"messages of {channel.topic} are serialised as {channel.serialization!r}; "
                "allowed: 'cdr'"
            )
        if not channel.definition:
            store = self._known_types(channel)
            if channel.type not in store.fielddefs:
                raise _missing(channel, {channel.type}, "the bag and this package have")
            return store
        return self._stored(channel)

    def _stored(self, channel: Channel) -> Typestore:
        parse = get_types_from_idl if channel.language == "ros2idl" else None
        try:
            types = (
                get_types_from_msg(channel.definition, channel.type)
                if parse is None
                else parse(channel.definition)
            )
        except (TypesysError, ValueError, KeyError) as error:
            raise BagError(
                f"messages of {channel.topic} cannot be read: the definition of "
                f"{channel.type} that the bag holds is damaged ({error})"
            ) from error
        known = self._known_types(channel).fielddefs
        while missing := _named(types) - types.keys():
            # Writers may leave out what every ROS has.
            unknown = missing - known.keys()
            if unknown:
                raise _missing(channel, unknown, "the bag holds")
            types.update((name, known[name]) for name in missing)
        store = Typestore()
        store.register(types)
        return store

    def _known_types(self, channel: Channel) -> Typestore:
        if channel.type.startswith("audio_common_msgs/") and self._other_sound:
            return _with(typestore(), _OTHER_SOUND)
        if self._known is None:
            self._known = typestore()
        return self._known


def _with(store: Typestore, definitions: Mapping[str, str]) -> Typestore:
    """The store with these types in place of its own."""
    fresh = Typestore()
    found = {
        name: fields for name, fields in store.fielddefs.items() if name not in definitions
    }
    for name, text in definitions.items():
        found.update(get_types_from_msg(text, name))
    fresh.register(found)
    return fresh


def _named(types: Typesdict) -> set[str]:
    """Names of all types that fields of these have."""
    found: set[str] = set()
    for _, fields in types.values():
        for _, described in fields:
            if described[0] == Nodetype.NAME:
                found.add(described[1])
            elif described[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE):
                of_items = described[1][0]
                if of_items[0] == Nodetype.NAME:
                    found.add(of_items[1])
    return found


def _missing(channel: Channel, names: Collection[str], where: str) -> BagError:
    return BagError(
        f"messages of {channel.topic} ({channel.type}) cannot be read: {where} no definition "
        f"of {', '.join(sorted(names))}; record it as MCAP or with Jazzy, which store the "
        "definitions in the bag"
    )
