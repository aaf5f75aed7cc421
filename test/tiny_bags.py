"""Tiny recordings, written with rosbags into a test's folder."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from numpy.typing import NDArray
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.store import Typestore

from avemo_ros.audio.spectrogram import BINS
from avemo_ros.bag.messages import typestore
from avemo_ros.labels import EMOTIONS

START = 1_700_000_000 * 10**9
"""Time of the first message [ns]."""
MS = 10**6
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
AUDIO = "audio_common_msgs/msg/AudioDataStamped"
BARE = "audio_common_msgs/msg/AudioData"
INFO = "audio_common_msgs/msg/AudioInfo"
OTHER_AUDIO = "audio_common_msgs/msg/AudioStamped"
TRACKS = "avemo_ros/msg/FaceTrackArray"
CHUNK = "avemo_ros/msg/SpectrogramChunk"
STATES = "avemo_ros/msg/EmotionStateArray"
BOOL = "std_msgs/msg/Bool"
STRING = "std_msgs/msg/String"

OTHER_SOUND = {
    OTHER_AUDIO: "std_msgs/Header header\naudio_common_msgs/Audio audio",
    "audio_common_msgs/msg/Audio": (
        "audio_common_msgs/AudioData audio_data\naudio_common_msgs/AudioInfo info"
    ),
    BARE: (
        "float32[] float32_data\nint32[] int32_data\nint16[] int16_data\nint8[] int8_data\n"
        "uint8[] uint8_data"
    ),
    INFO: "int32 format\nint32 channels\nint32 rate\nint32 chunk",
}
"""audio_common 4.x."""


class Row(NamedTuple):
    """A message to be recorded."""

    topic: str
    type: str
    log_ns: int
    message: Any


def other_store() -> Typestore:
    """Types where audio_common 4.x is installed."""
    store = Typestore()
    types = {
        name: fields
        for name, fields in typestore().fielddefs.items()
        if not name.startswith("audio_common_msgs/")
    }
    for name, text in OTHER_SOUND.items():
        types.update(get_types_from_msg(text, name))
    store.register(types)
    return store


STORE = typestore()
OTHER_STORE = other_store()


def new(kind: str, *fields: Any, store: Typestore = STORE) -> Any:
    """A message of a type."""
    return store.types[kind](*fields)


def header(stamp_ns: int, frame: str = "sensor", store: Typestore = STORE) -> Any:
    stamp = new("builtin_interfaces/msg/Time", stamp_ns // 10**9, stamp_ns % 10**9, store=store)
    return new("std_msgs/msg/Header", stamp, frame, store=store)


def image(number: int, height: int = 8, width: int = 12) -> NDArray[np.uint8]:
    """An image that tells its number."""
    noise = np.random.default_rng(number)
    return noise.integers(0, 256, (height, width, 3), np.uint8)


def image_row(
    number: int, log_ns: int, stamp_ns: int | None = None, topic: str = "/image_raw"
) -> Row:
    pixels = image(number)
    message = new(
        IMAGE,
        header(log_ns if stamp_ns is None else stamp_ns),
        pixels.shape[0],
        pixels.shape[1],
        "bgr8",
        0,
        3 * pixels.shape[1],
        pixels.reshape(-1),
    )
    return Row(topic, IMAGE, log_ns, message)


def pcm(samples: int, number: int = 0) -> NDArray[np.int16]:
    noise = np.random.default_rng(1000 + number)
    return noise.integers(-8000, 8000, samples, np.int16)


def sound(number: int, log_ns: int, stamp_ns: int | None = None, topic: str = "/audio") -> Row:
    """20 ms at 16 kHz."""
    data = new(BARE, pcm(320, number).view(np.uint8))
    message = new(AUDIO, header(log_ns - 20 * MS if stamp_ns is None else stamp_ns), data)
    return Row(topic, AUDIO, log_ns, message)


def bare_sound(number: int, log_ns: int, topic: str = "/audio") -> Row:
    return Row(topic, BARE, log_ns, new(BARE, pcm(320, number).view(np.uint8)))


def other_sound(number: int, log_ns: int, topic: str = "/audio") -> Row:
    """As `sound`, of audio_common 4.x."""
    none = {"f": np.zeros(0, np.float32), "i": np.zeros(0, np.int32)}
    data = OTHER_STORE.types[BARE](
        none["f"], none["i"], pcm(320, number), np.zeros(0, np.int8), np.zeros(0, np.uint8)
    )
    info = OTHER_STORE.types[INFO](8, 1, 16_000, 320)
    audio = OTHER_STORE.types["audio_common_msgs/msg/Audio"](data, info)
    message = OTHER_STORE.types[OTHER_AUDIO](header(log_ns - 20 * MS, store=OTHER_STORE), audio)
    return Row(topic, OTHER_AUDIO, log_ns, message)


def info(log_ns: int, rate: int = 16_000, coding: str = "WAVE") -> Row:
    return Row("/audio_info", INFO, log_ns, new(INFO, 1, rate, "S16LE", 0, coding))


def speaking(log_ns: int, value: bool) -> Row:
    return Row("/robot_speaking", BOOL, log_ns, new(BOOL, value))


def text(words: str, log_ns: int, topic: str = "/labels") -> Row:
    return Row(topic, STRING, log_ns, new(STRING, words))


def tracks(
    log_ns: int, face_id: str = "f0001", opening: float = 0.25, x: float = 0.25, side: int = 16
) -> Row:
    """One face; `side` of its crop [pixels]."""
    noise = np.random.default_rng(log_ns % 2**32)
    box = new("avemo_ros/msg/NormalizedBox", x, 0.25, 0.25, 0.5)
    face = new(
        "avemo_ros/msg/FaceTrack",
        face_id,
        box,
        0.9,
        noise.random(468 * 3, np.float32),
        0.1,
        -0.2,
        0.0,
        0.8,
        opening,
        np.zeros(0, np.float32),
        np.nan,
        np.nan,
        side,
        noise.integers(0, 256, side * side, np.uint8),
    )
    message = new(TRACKS, header(log_ns), 640, 480, [face])
    return Row("/face_tracks", TRACKS, log_ns, message)


def chunk(
    log_ns: int, columns: int = 10, level: float = -20.0, speech: float = 0.9, gap: bool = False
) -> Row:
    """The first column's window ends with `log_ns`."""
    noise = np.random.default_rng(log_ns % 2**32)
    message = new(
        CHUNK,
        header(log_ns),
        0.01,
        BINS,
        4000.0,
        (-60 + 30 * noise.random((columns, BINS), np.float32)).reshape(-1),
        np.full(columns, speech, np.float32),
        np.full(columns, level, np.float32),
        gap,
    )
    return Row("/spectrogram", CHUNK, log_ns, message)


def states(
    log_ns: int, label: str = "happy", labels: Sequence[str] = EMOTIONS, first: float = 0.75
) -> Row:
    state = new(
        "avemo_ros/msg/EmotionState",
        header(log_ns),
        new("builtin_interfaces/msg/Time", 0, 0),
        0.01,
        "",
        "f0001",
        "",
        label,
        0.75,
        list(labels),
        np.array([first, 1 - first, *[0] * (len(labels) - 2)], np.float32),
        0.0,
        0.0,
        False,
        3,
        1.0,
        0.0,
        False,
        True,
        new("avemo_ros/msg/NormalizedBox", 0.25, 0.25, 0.5, 0.5),
        "model",
        "",
        np.nan,
        0,
        np.nan,
        np.nan,
    )
    return Row("/emotion_states", STATES, log_ns, new(STATES, header(log_ns), [state]))


def session(seconds: float = 1.0, start_ns: int = START) -> list[Row]:
    """Images at 25 Hz, sound in blocks of 20 ms, and its format; as a recorder gets them."""
    rows = [info(start_ns)]
    rows += [image_row(i, start_ns + i * 40 * MS) for i in range(round(25 * seconds))]
    rows += [sound(i, start_ns + (i + 1) * 20 * MS) for i in range(round(50 * seconds))]
    return sorted(rows, key=lambda row: row.log_ns)


def write(
    path: Path,
    rows: Iterable[Row],
    storage: str = "mcap",
    packed: str = "",
    store: Typestore = STORE,
) -> Path:
    """A bag's folder.

    Args:
        path: of the folder.
        rows: in the order in which they are to be written.
        storage: 'mcap' or 'sqlite3'.
        packed: '', 'file', 'message' or 'storage'.
        store: types of the messages.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = Writer(path, version=9, storage_plugin=plugin)
    if packed:
        writer.set_compression(CompressionMode[packed.upper()], CompressionFormat.ZSTD)
    with writer:
        connections: dict[tuple[str, str], Any] = {}
        for row in rows:
            key = (row.topic, row.type)
            if key not in connections:
                connections[key] = writer.add_connection(*key, typestore=store)
            writer.write(
                connections[key], row.log_ns, store.serialize_cdr(row.message, row.type)
            )
    return path


def write_mcap(
    path: Path,
    rows: Iterable[Row],
    compression: CompressionType = CompressionType.LZ4,
    *,
    chunked: bool = True,
    chunk_size: int = 20_000,
    definitions: bool = True,
    finish: bool = True,
    index: IndexType = IndexType.ALL,
) -> Path:
    """A single MCAP file by the mcap library's own writer, in small chunks."""
    out = io.BytesIO()
    writer = McapWriter(
        out,
        chunk_size=chunk_size,
        compression=compression,
        use_chunking=chunked,
        index_types=index,
    )
    writer.start(profile="ros2")
    channels: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.topic, row.type)
        if key not in channels:
            definition, _ = STORE.generate_msgdef(row.type, ros_version=2)
            schema = writer.register_schema(
                row.type, "ros2msg" if definitions else "", definition.encode() * definitions
            )
            channels[key] = writer.register_channel(row.topic, "cdr", schema)
        data = bytes(STORE.serialize_cdr(row.message, row.type))
        writer.add_message(channels[key], row.log_ns, data, row.log_ns)
    if finish:
        writer.finish()
    path.write_bytes(out.getvalue())
    return path
