"""Plays a bag on its topics, with /clock, loops and a choice of topics."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from pydantic import Field
from rclpy.node import Node

from avemo_ros.bag.folder import Bag
from avemo_ros.bag.storage import Channel, OfferedQos, RawMessage, read_offered_qos
from avemo_ros.errors import BagError, ConfigError
from avemo_ros.nodes import qos
from avemo_ros.nodes.base_node import run
from avemo_ros.nodes.playback import Player, PlayerSettings, prefetch
from avemo_ros.nodes.serialized_stamps import StampShifter, message_class
from avemo_ros.settings import Settings
from avemo_ros.timing import to_ns, to_s

_OURS: Final = "avemo_ros/msg/"
_NAMELESS: Final = "_NODE_NAME_UNKNOWN_"
"""Name of a publisher that is so new that its node is not known yet."""
_OVERLAY: Final = ("sensor_msgs/msg/Image", "emotion_overlay")
_CLOCK_TOPIC: Final = "/clock"
_AHEAD: Final = 32
"""Messages that are read ahead."""
_LATCHED_S: Final = 0.2
"""Pause after latched messages, before those that need them."""
_DEPTH: Final = 10
"""Messages kept for a slow subscriber, at least."""
_MAX_DEPTH: Final = 200
_MEET_S: Final = 0.5
"""Nodes on one network have found each other after this time."""
_LOOK_S: Final = 1.0
"""How often to look for nodes that publish the same topics."""


def is_result(topic: str, kind: str) -> bool:
    """Whether this is what nodes of this package make of images and sound."""
    return kind.startswith(_OURS) or (kind, topic.rsplit("/", 1)[-1]) == _OVERLAY


class LiveDuplicates:
    """Finds recorded results that a running node publishes, too."""

    def __init__(self, node: Node, topics: Collection[str]) -> None:
        """Set up.

        Args:
            node: that would play them; what it publishes itself does not count.
            topics: of results, after remapping.
        """
        self._node = node
        self._left = set(topics)
        self._unreported: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Whether any of the topics is still played."""
        return bool(self._left)

    def found(self) -> set[str]:
        """Topics that somebody else has come to publish since the last call."""
        live = {topic: self._publisher(topic) for topic in self._left}
        new = {topic: name for topic, name in live.items() if name}
        self._left -= set(new)
        self._unreported.update(new)
        return set(new)

    def take_text(self) -> str:
        """A sentence about what was found since the last call; mostly empty."""
        if not self._unreported:
            return ""
        topics = ", ".join(sorted(self._unreported))
        names = ", ".join(sorted(set(self._unreported.values())))
        self._unreported = {}
        return (
            f"not playing recorded results that {names} publishes live: {topics} (to play "
            "them anyway, list all topics to play with --topics or play_topics:=)"
        )

    def _publisher(self, topic: str) -> str:
        """Name of another node that publishes it; empty if there is none."""
        ours = (self._node.get_name(), self._node.get_namespace())
        for info in self._node.get_publishers_info_by_topic(topic):
            if info.node_name == _NAMELESS:
                return "a running node"
            if (info.node_name, info.node_namespace) != ours:
                return f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        return ""


class BagPlayerSettings(Settings):
    """Parameters of the player of bags."""

    bag: str = Field("", description="Bag to play: its folder, or one of its files.")
    play_topics: str = Field(
        "",
        description=(
            "Play only these topics, separated by spaces or commas. Empty: all, except "
            "results that a running node publishes itself."
        ),
    )
    play_rate: float = Field(
        1.0, ge=0.01, le=100.0, description="Playback speed as a multiple of real time."
    )
    play_start_s: float = Field(0.0, ge=0.0, le=1e6, description="Skip the first seconds [s].")
    play_clock: bool = Field(
        True,
        description=(
            "Publish the recorded time on /clock; the other nodes then need use_sim_time. "
            "Without /clock, set their max_input_age_s to 0, because the stamps stay as "
            "recorded."
        ),
    )
    play_subscribers: int = Field(
        1,
        ge=1,
        le=100,
        description=(
            "Start when one topic has this many subscribers, or after wait_for_subscribers_s."
        ),
    )


class BagPlayer(Player):
    """Publishes the messages of a bag by their time of recording.

    Stamps stay as they were recorded; with every loop they, and /clock, are later by its
    length, so that no time ever goes back.  All topics are offered reliable, which suits every
    subscriber; those that were latched are latched.  Recorded results that a running node
    publishes, too, are left out unless they are named: who subscribes could not tell whose
    they are.
    """

    what = "bag"

    def __init__(self) -> None:
        super().__init__("bag_player", [BagPlayerSettings])
        self._bag: Bag | None = None
        self._channels: dict[tuple[str, str], Channel] = {}
        self._offers: dict[str, OfferedQos] = {}
        self._outs: dict[tuple[str, str], Any] = {}
        self._stamps: dict[tuple[str, str], StampShifter] = {}
        self._loops = 0
        self._reported: set[str] = set()
        self._live: LiveDuplicates | None = None
        self._looked_s = 0.0

    @property
    def _given(self) -> BagPlayerSettings:
        return self.read(BagPlayerSettings)

    def prepare(self) -> None:
        """Look at the bag."""
        path = self._given.bag
        if not path:
            raise ConfigError("bag", path, "path of a bag")
        self._bag = bag = Bag(path)
        length_s = to_s(bag.end_ns - bag.start_ns)
        if self._given.play_start_s > length_s:
            raise ConfigError(
                "play_start_s",
                self._given.play_start_s,
                f"0 to {length_s:.1f}, its length",
            )
        self._offers = read_offered_qos(bag.path)
        self._channels = {channel.key: channel for channel in self._wanted(bag)}
        self._stamps = {
            channel.key: StampShifter(message_class(channel.type))
            for channel in self._channels.values()
        }
        if not self._channels:
            raise BagError(f"nothing of {path} can be played")
        names = ", ".join(sorted(channel.topic for channel in self._channels.values()))
        self.get_logger().info(f"{path}: {length_s:.1f} s of {names}")
        self._reported = set()
        self._say_problems()

    def open(self) -> None:
        """Make the topics and play."""
        for key, channel in self._channels.items():
            offer = self._offers.get(channel.topic, OfferedQos())
            depth = offer.depth if offer.latched else max(offer.depth, _DEPTH)
            self._outs[key] = self.create_publisher(
                message_class(channel.type),
                channel.topic,
                qos.result(min(max(depth, 1), _MAX_DEPTH), latched=offer.latched),
            )
        named = bool(self._given.play_topics)
        results = {
            self.resolve_topic_name(channel.topic)
            for channel in self._channels.values()
            if not named and is_result(channel.topic, channel.type)
        }
        self._live = LiveDuplicates(self, results)
        self.begin(
            clock=self._given.play_clock,
            rate=self._given.play_rate,
        )

    def close(self) -> None:
        """Stop and remove the topics."""
        super().close()
        for out in self._outs.values():
            self.destroy_publisher(out)
        self._outs = {}

    def release(self) -> None:
        """Let the bag go."""
        if self._bag is not None:
            self._bag.close()
            self._bag = None

    def figures(self) -> dict[str, object]:
        """For /diagnostics."""
        return {"bag": self._given.bag, "loops": self._loops}

    def play(self) -> None:
        """Play the bag, if wanted again and again."""
        assert self._bag is not None
        start_ns = self._bag.start_ns + to_ns(self._given.play_start_s)
        self.playback_clock.start(start_ns)
        self.wait_for_subscribers(self._listening)
        if self._live and not self.read(PlayerSettings).wait_for_subscribers_s:
            self.playback_clock.stand(_MEET_S)
        self._leave_live_out()
        self._say_left_out()
        self._say_latched(start_ns)
        self.playback_clock.start(start_ns)
        self._loops = 0
        before = self.sent.count
        later_ns = self._play_once(start_ns, 0)
        self._say_problems()
        if self.sent.count == before and not self.stopping.is_set():
            raise BagError(f"{self._given.bag} contains no message that can be played")
        while self.read(PlayerSettings).loop and later_ns and not self.stopping.is_set():
            self._loops += 1
            later_ns += self._play_once(start_ns, later_ns)

    def _wanted(self, bag: Bag) -> Iterator[Channel]:
        """The channels that are to be played and can be; the others are named in the log.

        Raises:
            ConfigError: a topic is wanted that the bag has not got.
        """
        there = {channel.topic for channel in bag.channels}
        # In a bag all names are whole.
        topics = {
            f"/{name.lstrip('/')}" for name in self._given.play_topics.replace(",", " ").split()
        }
        for missing in sorted(topics - there):
            raise ConfigError("play_topics", missing, ", ".join(sorted(there)))
        for channel in bag.channels:
            if topics and channel.topic not in topics:
                continue
            if channel.topic == _CLOCK_TOPIC and self._given.play_clock:
                continue
            if channel.serialization != "cdr":
                self._leave_out(
                    channel, f"its messages are serialised as {channel.serialization}, not CDR"
                )
            elif message_class(channel.type) is None:
                self._leave_out(channel, f"the type {channel.type} is not installed here")
            else:
                yield channel

    def _say_problems(self) -> None:
        """What is wrong with the bag, as far as it has been met and not been said."""
        assert self._bag is not None
        for problem in self._bag.problems:
            if problem not in self._reported:
                self._reported.add(problem)
                self.get_logger().warning(f"{self._given.bag}: {problem}")

    def _leave_out(self, channel: Channel, reason: str) -> None:
        self.get_logger().warning(f"{channel.topic} is not played: {reason}")

    def _leave_live_out(self) -> None:
        """Play no more what somebody else publishes, and end its topic.

        Raises:
            BagError: then nothing is left.
        """
        self._looked_s = time.monotonic()
        live = self._live.found() if self._live else set()
        for key in [one for one in self._outs if self.resolve_topic_name(one[0]) in live]:
            self.destroy_publisher(self._outs.pop(key))
        if self._live is not None and live and not self._outs:
            raise BagError(f"nothing is left to play: {self._live.take_text()}")

    def _say_left_out(self) -> None:
        words = self._live.take_text() if self._live is not None else ""
        if words:
            self.get_logger().warning(words)

    def _listening(self) -> int:
        self._leave_live_out()
        counts = [int(out.get_subscription_count()) for out in self._outs.values()]
        return sum(counts) if max(counts) >= self._given.play_subscribers else 0

    def _play_once(self, start_ns: int, later_ns: int) -> int:
        """Play the bag from `start_ns` on, all of it so much later; returns how long it was."""
        period_ns = last_ns = 0
        newest: dict[tuple[str, str], int] = {}
        for raw in prefetch(lambda: self._messages(start_ns), _AHEAD, self.stopping):
            if self.wait_until(max(raw.log_ns, start_ns) + later_ns) is None:
                break
            if self._live and time.monotonic() - self._looked_s > _LOOK_S:
                self._leave_live_out()
                self._say_left_out()
            if raw.key in self._outs:
                message = self._stamps[raw.key].shift(bytes(raw.data), later_ns)
                self._outs[raw.key].publish(message)
                self.sent.add()
            period_ns = raw.log_ns - newest.get(raw.key, raw.log_ns)
            newest[raw.key] = last_ns = raw.log_ns
        # The next loop begins one period of its last topic after the end of this.
        return max(0, last_ns - start_ns + period_ns)

    def _messages(self, start_ns: int) -> Iterator[RawMessage]:
        assert self._bag is not None
        for raw in self._bag.messages(list(self._channels.values())):
            if raw.log_ns >= start_ns:
                yield raw

    def _say_latched(self, start_ns: int) -> None:
        """Publish what was known of latched topics at the start, or was said next.

        Topics overtake each other: sound that came before its format could not be read.
        """
        assert self._bag is not None
        latched = [
            channel
            for key, channel in self._channels.items()
            if key in self._outs and self._offers.get(channel.topic, OfferedQos()).latched
        ]
        known: dict[tuple[str, str], RawMessage] = {}
        for raw in self._bag.messages(latched):
            if raw.log_ns <= start_ns or raw.key not in known:
                known[raw.key] = raw
            if raw.log_ns > start_ns and len(known) == len(latched):
                break
        for raw in known.values():
            self._outs[raw.key].publish(bytes(raw.data))
        if known:
            self.playback_clock.stand(_LATCHED_S)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node, with the command line's ROS arguments unless others are given."""
    return run(BagPlayer, args)


if __name__ == "__main__":
    raise SystemExit(main())
