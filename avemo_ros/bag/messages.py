"""Message types: their definitions, from the bag, from this machine or from this package."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from avemo_ros.bag.storage import Channel
from avemo_ros.errors import BagError
from avemo_ros.untrusted import MAX_ARRAY, MAX_DEFINITION, MAX_NESTING

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
"""Distros that do not write their name into bags."""
AUDIO_COMMON: Final = {
    "audio_common_msgs/msg/AudioData": "uint8[] data",
    AUDIO_DATA: "std_msgs/Header header\naudio_common_msgs/AudioData audio",
    AUDIO_INFO: (
        "uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\n"
        "string coding_format"
    ),
}
"""audio_common_msgs as ros-drivers released it for Jazzy; it need not be installed."""


AUDIO_COMMON_4: Final[Mapping[str, str]] = {
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
        "the definitions of this package's messages were not found (looked for msg/*.msg "
        f"beside {package} and in share/avemo_ros of its prefix); reinstall the package"
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
    for name, text in AUDIO_COMMON.items():
        found.update(get_types_from_msg(text, name))
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(found)
    return store


def differs_in(distro: str, kind: str) -> bool:
    """Whether a message type, or one within it, differs between a distro and Jazzy.

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


def definition_of(kind: str, prefixes: Sequence[Path] | None = None) -> tuple[str, str]:
    """Definition of a type and of those within it, as rosbag2 stores it, and its hash.

    Installed definitions come first: another package of the same name may be installed.

    Args:
        kind: e.g. 'sensor_msgs/msg/Image'.
        prefixes: of ROS installations; those of AMENT_PREFIX_PATH if None.  Nothing of ROS is
            imported.

    Raises:
        BagError: it is neither installed nor known.
    """
    if prefixes is None:
        given = os.environ.get("AMENT_PREFIX_PATH", "")
        prefixes = [Path(prefix) for prefix in given.split(os.pathsep) if prefix]
    store = get_typestore(Stores.EMPTY)
    found = _installed(kind, prefixes)
    if found:
        store.register(found)
    else:
        store = typestore()
    if kind not in store.types:
        raise BagError(f"unknown type {kind}: source the workspace with its package")
    text, _ = store.generate_msgdef(kind, ros_version=2)
    return text, store.hash_rihs01(kind)


def _installed(kind: str, prefixes: Sequence[Path]) -> dict[str, Any]:
    """The type and those that it is made of; empty if one of them is not installed."""
    found: dict[str, Any] = {}
    wanted = [kind]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        path = next((p for p in _places(name, prefixes) if p.is_file()), None)
        if path is None:
            return {}
        try:
            found.update(get_types_from_msg(path.read_text(encoding="utf-8"), name))
        except (OSError, ValueError, TypesysError):
            return {}
        wanted += [inner for _, field in found[name][1] for inner in _names(field)]
    return found


def _places(kind: str, prefixes: Sequence[Path]) -> Iterator[Path]:
    package, _, name = kind.partition("/msg/")
    for prefix in prefixes:
        yield prefix / "share" / package / "msg" / f"{name}.msg"


def _names(field: Any) -> Iterator[str]:
    """Message types that a field is made of."""
    kind, inside = field
    if kind == Nodetype.NAME:
        yield inside
    elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _names(inside[0])


class Decoder:
    """Makes message objects; their fields are those of the definition.

    The definition stored in the bag comes first.  A bag that holds none, as sqlite3 bags of
    Humble and before, is read by the definitions of Jazzy and of this package.

    Args:
        channels: of the bag: they tell which audio_common_msgs it was recorded with.
    """

    def __init__(self, channels: Collection[Channel]) -> None:
        self._other_sound = any(channel.type in AUDIO_COMMON_4 for channel in channels) and any(
            channel.type == "audio_common_msgs/msg/AudioStamped" for channel in channels
        )
        self._stores: dict[tuple[str, ...], Typestore | BagError] = {}
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
        except _TROUBLES as error:
            raise BagError(f"they do not match the definition of {channel.type}") from error

    def _store(self, channel: Channel) -> Typestore:
        # Many topics of one type are read once.
        key = (channel.type, channel.serialization, channel.language, channel.definition)
        if key not in self._stores:
            try:
                self._stores[key] = self._make(channel)
            except BagError as error:
                self._stores[key] = error
        found = self._stores[key]
        if isinstance(found, BagError):
            raise found
        return found

    def defined_by(self, channel: Channel) -> str:
        """Who defines the type of a channel without a definition: 'package', or 'missing'."""
        known = self._known_types(channel).fielddefs
        return "package" if channel.type in known else "missing"

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
        damaged = (
            f"messages of {channel.topic} cannot be read: the definition of {channel.type} in "
            "the bag is damaged"
        )
        if trouble := _beyond_limits(channel.definition, channel.language):
            raise BagError(f"{damaged} ({trouble})")
        try:
            types = (
                get_types_from_msg(channel.definition, channel.type)
                if parse is None
                else parse(channel.definition)
            )
        except _TROUBLES as error:
            raise BagError(f"{damaged} ({_short(error)})") from error
        if channel.type not in types:
            raise BagError(f"{damaged} (it defines other types)")
        known = self._known_types(channel).fielddefs
        while missing := _named(types) - types.keys():
            # Writers may leave out what every ROS has.
            unknown = missing - known.keys()
            if unknown:
                raise _missing(channel, unknown, "the bag holds")
            types.update((name, known[name]) for name in missing)
        store = Typestore()
        try:
            store.register(types)
            # It makes code of the definition, and may fail at that, too.
            store.get_msgdef(channel.type)
        except _TROUBLES as error:
            raise BagError(f"{damaged} ({_short(error)})") from error
        return store

    def _known_types(self, channel: Channel) -> Typestore:
        if channel.type.startswith("audio_common_msgs/") and self._other_sound:
            return _with(typestore(), AUDIO_COMMON_4)
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


_TROUBLES: Final = (
    SerdeError,
    TypesysError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
    SyntaxError,
    NameError,
    struct.error,
)
"""What rosbags, and the code that it makes of a definition, raise at what makes no sense."""
_LENGTH: Final = re.compile(r"\[\s*(\d+)\s*\]|,\s*(\d+)\s*>")
_QUOTED: Final = 200
_COMMENT: Final = re.compile(r"(#|//).*")
_OPENING: Final = "([{<"
_CLOSING: Final = ")]}>"


def _short(error: Exception) -> str:
    """What an error says; rosbags quotes all of a definition."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def _beyond_limits(definition: str, language: str) -> str:
    """What of a definition is beyond the limits; empty if nothing is.

    Parsing brackets within brackets takes twice the time for each, and arrays of a fixed length
    are written out.
    """
    if len(definition) > MAX_DEFINITION:
        return f"it has more than {MAX_DEFINITION} characters"
    depth = 0
    is_idl = language == "ros2idl"
    for sign in _COMMENT.sub("", definition):
        if sign == "\n" and not is_idl:
            depth = 0
        elif sign in _OPENING and (is_idl or sign != "<"):
            depth += 1
            if depth > MAX_NESTING:
                return f"it has more than {MAX_NESTING} brackets within each other"
        elif sign in _CLOSING:
            depth = max(0, depth - 1)
    for found in _LENGTH.finditer(definition):
        digits = found[1] or found[2]
        if len(digits) > len(str(MAX_ARRAY)) or int(digits) > MAX_ARRAY:
            return f"it has an array of {digits[:20]} items; allowed: {MAX_ARRAY}"
    return ""


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
