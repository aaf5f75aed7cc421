"""Reads a rosbag2 recording as the package's types, without ROS.

with Recording("session") as recording:
    for log_ns, item in recording.items(recording.kinds): ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.bag import message_content
from avemo_ros.bag.folder import Bag
from avemo_ros.bag.message_content import (
    AudioFormat,
    announced_format,
    length_ns,
    own_format,
    samples_of,
)
from avemo_ros.bag.messages import Decoder
from avemo_ros.bag.storage import clock_set_back_text
from avemo_ros.bag.timing_statistics import Restarts
from avemo_ros.bag.topics import KIND_OF, TopicKind, Topics, choose_all, engine_inputs
from avemo_ros.errors import AudioFormatError, BagError
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.timing import NS_PER_S
from avemo_ros.vision.face import FrameTracks

_BESIDE_SOUND: Final = ("audio_info", "robot_speaking")
_FPS: Final = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class BagImage:
    """An image that is decoded only when it is accessed."""

    stamp_ns: int
    """Sensor time [ns]."""
    topic: str
    _decode: Callable[[], NDArray[np.uint8]] = field(repr=False)

    @property
    def image(self) -> NDArray[np.uint8]:
        """(height, width, 3) BGR, decoded at each access; may be read-only.

        Raises:
            ImageError: encoding, size or data cannot be used.
        """
        return self._decode()


@dataclass(frozen=True, slots=True)
class StatesRecord:
    """A recorded EmotionStateArray, or an EmotionState by itself."""

    stamp_ns: int
    """Sensor time of the windows' end [ns]."""
    estimates: tuple[EmotionEstimate, ...]
    latencies_s: tuple[float, ...] = ()
    """From the windows' end to publication, of the states that have it [s]."""


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """A message of a labels topic."""

    stamp_ns: int
    """When it was recorded [ns]."""
    text: str


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """A message of a topic of study marks."""

    stamp_ns: int
    """When it was recorded [ns]."""
    text: str


Item: TypeAlias = (
    BagImage
    | AudioBlock
    | RobotSpeech
    | FrameTracks
    | SpectrogramChunk
    | StatesRecord
    | LabelRecord
    | MarkRecord
)
MediaItem: TypeAlias = BagImage | AudioBlock | RobotSpeech | FrameTracks | SpectrogramChunk
"""What the engine takes."""


class AudioDecoder:
    """Decodes audio messages as the live node does; arrival is the time of recording.

    Args:
        form: of what comes first, where messages do not say their own.
        no_stamp: told the topic of each message without a stamp.
    """

    def __init__(self, form: AudioFormat | None, no_stamp: Callable[[str], None]) -> None:
        self.form = form
        self._no_stamp = no_stamp

    def block(self, topic: str, message: Any, log_ns: int) -> AudioBlock:
        """The sound of a message.

        Raises:
            AudioFormatError: the format cannot be read, or the data do not fit to it.
        """
        form = own_format(message) or self.form
        if form is None:
            raise AudioFormatError("its format is unknown")
        samples = samples_of(message, form)
        stamp_ns = 0
        if hasattr(message, "header"):
            stamp_ns = message_content.stamp_ns(message.header.stamp)
            if stamp_ns <= 0:
                self._no_stamp(topic)
        if stamp_ns <= 0:
            stamp_ns = log_ns - length_ns(samples, form)
        return AudioBlock(stamp_ns, form.rate, samples)


class Recording:
    """The messages of a bag that this package uses, as the package's types.

    Items carry the stamps of their headers (sensor time); a stamp of zero is replaced by the
    time of recording, as the live nodes replace it by that of arrival.  Iterating again starts
    anew.

    Args:
        path: a bag's folder, or one file of sqlite3 or MCAP.
        topics: which topic is which, and how sound without audio_info is to be read.

    Raises:
        BagError: nothing of it can be read or used, or topics cannot be told apart.
    """

    def __init__(self, path: str | Path, topics: Topics | None = None) -> None:
        topics = topics or Topics()
        self._bag = Bag(path)
        self._notes: list[str] = []
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._first_problems: dict[tuple[str, str], str] = {}
        self._restarts = Restarts()
        self._given = topics.sound_format
        try:
            self._channels = choose_all(topics, self._bag.channels)
            self._decoder = Decoder(self._bag.channels)
            self._leave_out_unknown()
            self._first_format = self._find_format()
            self._leave_out_sound()
            self.kinds = frozenset(KIND_OF[name] for name in self._channels if name in KIND_OF)
            """The kinds of content that it holds."""
            if not self.kinds:
                raise BagError(_useless(self._bag, self._notes))
        except BaseException:
            self._bag.close()
            raise
        self.path = self._bag.path
        self.start_ns = self._bag.start_ns
        """Time of recording of the first message of any topic [ns]."""
        self.end_ns = self._bag.end_ns
        """Time of recording of the last message [ns]."""

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the files."""
        self._bag.close()

    @property
    def cut_off(self) -> bool:
        """Its end, or a file of it, is missing or damaged."""
        return self._bag.cut_off

    @property
    def turned_back(self) -> int:
        """Times the recorder's clock was set back; complete after iterating."""
        return self._bag.turned_back

    @property
    def topic_of(self) -> Mapping[TopicKind, str]:
        """The topics that are used."""
        return {
            KIND_OF[name]: channel.topic
            for name, channel in self._channels.items()
            if name in KIND_OF
        }

    @property
    def beside_sound(self) -> Mapping[str, str]:
        """Further topics that are used, and what for: 'audio info' or 'robot speaking'."""
        return {
            self._channels[name].topic: name.replace("_", " ")
            for name in _BESIDE_SOUND
            if name in self._channels
        }

    @property
    def problems(self) -> list[str]:
        """What is missing, unreadable or odd; complete after iterating."""
        left_out = [
            f"{topic}: {count} message(s) {self._first_problems[topic, kind]}"
            for (topic, kind), count in sorted(self._left_out.items())
        ]
        turned = [clock_set_back_text(self.turned_back)] if self.turned_back else []
        return [
            *self._notes,
            *self._bag.problems,
            *turned,
            *self._restarts.sentences(),
            *left_out,
        ]

    def items(self, kinds: frozenset[TopicKind]) -> Iterator[tuple[int, Item]]:
        """What was recorded, with the times of recording [ns] and by them.

        Images come as `BagImage` and are decoded when looked at; sound as `AudioBlock`;
        `RobotSpeech` says where the robot began or ended to speak; face tracks come as
        `FrameTracks`, spectrograms as `SpectrogramChunk`, states as `StatesRecord`, labels as
        `LabelRecord`, marks as `MarkRecord`.  Messages that cannot be read are left out and
        counted among the problems.
        """
        fields = {name: KIND_OF[name] in kinds for name in self._channels if name in KIND_OF}
        wanted = {name for name, used in fields.items() if used}
        if "audio" in wanted:
            wanted |= {name for name in _BESIDE_SOUND if name in self._channels}
        names = {self._channels[name].key: name for name in sorted(wanted)}
        topics = {self._channels[name].topic for name in wanted}
        for known in [key for key in self._left_out if key[0] in topics]:
            del self._left_out[known]
        self._restarts.forget(topics)
        sound = AudioDecoder(self._first_format, self._no_stamp)
        for raw in self._bag.messages([self._channels[name] for name in names.values()]):
            name = names[raw.key]
            channel = self._channels[name]
            try:
                message = self._decoder.decode(channel, raw.data)
                item = self._item(name, channel.topic, message, raw.log_ns, sound)
            except AudioFormatError as error:
                self._note(channel.topic, error.kind, f"left out: {error}")
            except AttributeError as error:
                text = f"left out: this bag has another definition of {channel.type} ({error})"
                self._note(channel.topic, "fields", text)
            except (BagError, ValueError) as error:
                self._note(channel.topic, type(error).__name__, f"left out: {error}")
            else:
                if isinstance(item, RobotSpeech):
                    yield raw.log_ns, item
                elif item is not None:
                    self._restarts.follow(channel.topic, item.stamp_ns)
                    yield raw.log_ns, item

    def _item(
        self, name: str, topic: str, message: Any, log_ns: int, sound: AudioDecoder
    ) -> Item | None:
        """The message as an item; None if it only describes others."""
        if name == "image":
            stamp_ns = self._stamp(topic, message, log_ns)
            return BagImage(stamp_ns, topic, lambda: message_content.image(message))
        if name == "audio":
            return sound.block(topic, message, log_ns)
        if name == "audio_info":
            sound.form = announced_format(message)
        elif name == "robot_speaking":
            return RobotSpeech(bool(message.data))
        elif name == "face_tracks":
            tracks = message_content.tracks(message)
            return replace(tracks, stamp_ns=self._stamp(topic, message, log_ns))
        elif name == "spectrogram":
            chunk = message_content.chunk(message)
            return replace(chunk, stamp_ns=self._stamp(topic, message, log_ns))
        elif name == "states":
            stamp_ns = self._stamp(topic, message, log_ns)
            if foreign := message_content.foreign_classes(message):
                names = ", ".join(repr(name) for name in foreign)
                text = f"with unknown classes ({names}): read without a distribution"
                self._note(topic, "classes", text)
            return StatesRecord(
                stamp_ns,
                message_content.estimates(message),
                message_content.latencies_s(message),
            )
        elif name == "labels":
            return LabelRecord(log_ns, str(message.data))
        elif name == "marks":
            return MarkRecord(log_ns, str(message.data))
        return None

    def _stamp(self, topic: str, message: Any, log_ns: int) -> int:
        stamp_ns = message_content.stamp_ns(message.header.stamp)
        if stamp_ns > 0:
            return stamp_ns
        self._no_stamp(topic)
        return log_ns

    def _no_stamp(self, topic: str) -> None:
        text = "without a stamp; using the recording time instead"
        self._note(topic, "stamp", text)

    def _note(self, topic: str, kind: str, text: str) -> None:
        """Count a problem; of each kind the first text is kept."""
        self._left_out[topic, kind] += 1
        self._first_problems.setdefault((topic, kind), text)

    # --- what can be used

    def _leave_out_unknown(self) -> None:
        for name, channel in list(self._channels.items()):
            try:
                self._decoder.prepare(channel)
            except BagError as error:
                self._notes.append(str(error))
                del self._channels[name]

    def _find_format(self) -> AudioFormat | None:
        """The first announced format; it also holds for what was recorded before it."""
        channel = self._channels.get("audio_info")
        if "audio" not in self._channels or channel is None:
            return self._given
        for raw in self._bag.messages([channel]):
            try:
                return announced_format(self._decoder.decode(channel, raw.data))
            except (BagError, AttributeError):
                continue
        return self._given

    def _leave_out_sound(self) -> None:
        channel = self._channels.get("audio")
        if channel is None or channel.type.endswith("/AudioStamped"):
            return
        if self._first_format is None:
            self._notes.append(
                f"{channel.topic}: the audio cannot be read: no audio_info was recorded (give "
                "its format with --sound-format, e.g. 16000,1,S16LE)"
            )
            del self._channels["audio"]
            return
        try:
            self._first_format.check()
        except AudioFormatError as error:
            self._notes.append(f"{channel.topic}: the audio cannot be read: {error}")
            del self._channels["audio"]


def _useless(bag: Bag, notes: list[str]) -> str:
    if not any(channel.count for channel in bag.channels):
        return f"bag '{bag.path}' contains no messages" + "".join(
            f"; {p}" for p in bag.problems
        )
    there = ", ".join(f"{channel.topic} ({channel.type})" for channel in bag.channels)
    why = "".join(f"; {note}" for note in notes)
    return f"bag '{bag.path}' contains nothing that can be used{why}; its topics: {there}"


class BagMedia:
    """Reads raw images and sound of a bag; of what was not recorded so, its features.

    Iterating gives the times of recording and what came, in that order; both are of the bag's
    clocks.  Seconds, as labels count them, begin at `zero_ns`.

    Args:
        path: a bag's folder, or one file of sqlite3 or MCAP.
        topics: which topic is which; None finds them by their types.

    Raises:
        BagError: nothing of it can be read, or it holds nothing of faces or voices.
    """

    def __init__(self, path: Path, topics: Topics | None = None) -> None:
        self.path = path
        self._recording = recording = Recording(path, topics)
        self._kinds = kinds = engine_inputs(recording.kinds)
        self.has_video = TopicKind.IMAGES in kinds
        self.has_audio = TopicKind.AUDIO in kinds
        self.has_faces = self.has_video or TopicKind.TRACKS in kinds
        """There are images, or features of faces."""
        self.has_voices = self.has_audio or TopicKind.SPECTROGRAM in kinds
        """There is sound, or features of it."""
        if not kinds:
            recording.close()
            raise BagError(f"bag '{path}' contains no images, no audio and no features of them")
        self.zero_ns = recording.start_ns
        """Time of the bag's first message [ns]."""
        self.duration_s = (recording.end_ns - recording.start_ns) / NS_PER_S
        """From its first message to its last [s]."""
        self.fps = _FPS if self.has_video else 0.0
        """Nominal; images carry their own times."""

    def __enter__(self) -> BagMedia:
        return self

    def __exit__(self, *_: object) -> None:
        self._recording.close()

    @property
    def problems(self) -> list[str]:
        """What is missing or unreadable; complete after iterating."""
        return self._recording.problems

    def __iter__(self) -> Iterator[tuple[int, MediaItem]]:
        for log_ns, item in self._recording.items(self._kinds):
            if not isinstance(item, StatesRecord | LabelRecord | MarkRecord):
                yield log_ns, item
