"""A rosbag2 recording as the core's types, without ROS.

recording = Recording("session")
for log_ns, item in recording.items(recording.kinds): ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from avemo_ros.audio.chunk import RobotSpeech
from avemo_ros.bag import content
from avemo_ros.bag.decoder import Decoder
from avemo_ros.bag.folder import Bag
from avemo_ros.bag.item import BagPicture, Item, LabelRecord, StatesRecord
from avemo_ros.bag.rhythm import Restarts
from avemo_ros.bag.sound import SoundFormat, announced_format
from avemo_ros.bag.sound_stream import SoundStream
from avemo_ros.bag.topics import KIND_OF, Kind, Topics, choose_all
from avemo_ros.bag.written import set_back
from avemo_ros.errors import AudioFormatError, BagError

_BESIDE_SOUND: Final = ("audio_info", "robot_speaking")


class Recording:
    """What a bag holds for us.

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
        self._said: dict[tuple[str, str], str] = {}
        self._restarts = Restarts()
        self._given = topics.sound_format
        try:
            self._channels = choose_all(topics, self._bag.channels)
            self._decoder = Decoder(self._bag.channels)
            self._leave_out_unknown()
            self._first_format = self._find_format()
            self._leave_out_sound()
            self.kinds = frozenset(KIND_OF[name] for name in self._channels if name in KIND_OF)
            """What it holds that can be used."""
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
    def topic_of(self) -> Mapping[Kind, str]:
        """The topics that are used."""
        return {
            KIND_OF[name]: channel.topic
            for name, channel in self._channels.items()
            if name in KIND_OF
        }

    @property
    def beside_sound(self) -> Mapping[str, str]:
        """What else is used, by topic: 'audio info' and 'robot speaking'."""
        return {
            self._channels[name].topic: name.replace("_", " ")
            for name in _BESIDE_SOUND
            if name in self._channels
        }

    @property
    def problems(self) -> list[str]:
        """What is missing, unreadable or odd; complete after iterating."""
        left_out = [
            f"{topic}: {count} message(s) {self._said[topic, kind]}"
            for (topic, kind), count in sorted(self._left_out.items())
        ]
        turned = [set_back(self.turned_back)] if self.turned_back else []
        return [
            *self._notes,
            *self._bag.problems,
            *turned,
            *self._restarts.sentences(),
            *left_out,
        ]

    def items(self, kinds: frozenset[Kind]) -> Iterator[tuple[int, Item]]:
        """What was recorded, with the times of recording [ns] and by them.

        Images come as `BagPicture` and are decoded when looked at; sound as `AudioBlock`;
        `RobotSpeech` says where the robot began or ended to speak; face tracks come as
        `FrameTracks`, spectrograms as `SpectrogramChunk`, states as `StatesRecord`, labels as
        `LabelRecord`.  Messages that cannot be read are left out and counted among the
        problems.
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
        sound = SoundStream(self._first_format, self._no_stamp)
        for raw in self._bag.messages([self._channels[name] for name in names.values()]):
            name = names[raw.key]
            channel = self._channels[name]
            try:
                message = self._decoder.decode(channel, raw.data)
                item = self._item(name, channel.topic, message, raw.log_ns, sound)
            except AudioFormatError as error:
                self._note(channel.topic, error.kind, f"left out: {error}")
            except AttributeError as error:
                text = f"left out: {channel.type} of this bag is another ({error})"
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
        self, name: str, topic: str, message: Any, log_ns: int, sound: SoundStream
    ) -> Item | None:
        """The message as an item; None where it only says something of others."""
        if name == "image":
            stamp_ns = self._stamp(topic, message, log_ns)
            return BagPicture(stamp_ns, topic, lambda: content.picture(message))
        if name == "audio":
            return sound.block(topic, message, log_ns)
        if name == "audio_info":
            sound.form = announced_format(message)
        elif name == "robot_speaking":
            return RobotSpeech(bool(message.data))
        elif name == "face_tracks":
            tracks = content.tracks(message)
            return replace(tracks, stamp_ns=self._stamp(topic, message, log_ns))
        elif name == "spectrogram":
            chunk = content.chunk(message)
            return replace(chunk, stamp_ns=self._stamp(topic, message, log_ns))
        elif name == "states":
            stamp_ns = self._stamp(topic, message, log_ns)
            if foreign := content.foreign_classes(message):
                names = ", ".join(repr(name) for name in foreign)
                text = f"with classes that are none of ours ({names}): without a distribution"
                self._note(topic, "classes", text)
            return StatesRecord(
                stamp_ns, content.estimates(message), content.latencies_s(message)
            )
        elif name == "labels":
            return LabelRecord(log_ns, str(message.data))
        return None

    def _stamp(self, topic: str, message: Any, log_ns: int) -> int:
        stamp_ns = content.stamp_ns(message.header.stamp)
        if stamp_ns > 0:
            return stamp_ns
        self._no_stamp(topic)
        return log_ns

    def _no_stamp(self, topic: str) -> None:
        text = "without a stamp; the time of recording is used instead"
        self._note(topic, "stamp", text)

    def _note(self, topic: str, kind: str, text: str) -> None:
        """Count what is wrong or odd; of a kind the first text is kept."""
        self._left_out[topic, kind] += 1
        self._said.setdefault((topic, kind), text)

    # --- what can be used

    def _leave_out_unknown(self) -> None:
        for name, channel in list(self._channels.items()):
            try:
                self._decoder.prepare(channel)
            except BagError as error:
                self._notes.append(str(error))
                del self._channels[name]

    def _find_format(self) -> SoundFormat | None:
        """The first that is announced: what was recorded before it is of the same source."""
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
                f"{channel.topic}: the sound cannot be read: no audio_info was recorded beside "
                "it (say what it is with --sound-format, e.g. 16000,1,S16LE)"
            )
            del self._channels["audio"]
            return
        try:
            self._first_format.check()
        except AudioFormatError as error:
            self._notes.append(f"{channel.topic}: the sound cannot be read: {error}")
            del self._channels["audio"]


def _useless(bag: Bag, notes: list[str]) -> str:
    if not any(channel.count for channel in bag.channels):
        return f"bag '{bag.path}' holds no messages" + "".join(f"; {p}" for p in bag.problems)
    there = ", ".join(f"{channel.topic} ({channel.type})" for channel in bag.channels)
    why = "".join(f"; {note}" for note in notes)
    return f"bag '{bag.path}' holds nothing that can be used{why}; its topics: {there}"
