"""bag_player: a bag on its topics, with /clock, loops and a start offset."""

from __future__ import annotations

import itertools
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clip_bags
import pytest
from clip_bags import Piece

from avemo_ros.bag.folder import Bag
from avemo_ros.bag.from_clips import START_NS
from avemo_ros.bag.partial_bag import PartialBag
from avemo_ros.timing import NS_PER_S

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
serialized_stamps = pytest.importorskip("avemo_ros.nodes.serialized_stamps")
bag_player = pytest.importorskip("avemo_ros.nodes.bag_player")
serialization = pytest.importorskip("rclpy.serialization")
definitions = pytest.importorskip("avemo_ros.bag.messages")
start_graph = ros.start_graph
pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]

Start = Callable[..., Any]
IMAGES = "/image_raw/compressed"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.5 s of the sample clip, ten images a second."""
    path = tmp_path_factory.mktemp("player") / "bag"
    return clip_bags.cut_bag(path, [Piece(0.0, 1.5, 0.0, 0.0)], every=3)


def playing(start_graph: Start, bag: Path, *parameters: str) -> tuple[Any, Any]:
    graph = start_graph(f"bag:={bag}", "at_end:=idle", *parameters)
    return graph, graph.add(ros.BagPlayer, start=False)


def stamps(messages: list[Any]) -> list[int]:
    return [ros.to_ns(message.header.stamp) for message in messages]


def recorded(bag: Path, topic: str) -> list[bytes]:
    opened = Bag(bag)
    channels = [channel for channel in opened.channels if channel.topic == topic]
    return [bytes(raw.data) for raw in opened.messages(channels)]


def test_every_message_comes_as_it_was_recorded(start_graph: Start, bag: Path) -> None:
    graph, node = playing(start_graph, bag)
    heard: list[bytes] = []
    graph.probe.create_subscription(ros.CompressedImage, IMAGES, heard.append, 50, raw=True)
    sound = graph.collect(ros.AudioDataStamped, "/audio", 200)
    assert node.start()
    assert graph.spin(lambda: graph.said("the bag has ended"), 60.0)
    assert graph.spin(lambda: len(heard) == 15 and len(sound) == 75, 20.0)
    assert [bytes(message) for message in heard] == recorded(bag, IMAGES)
    steps = {after - before for before, after in itertools.pairwise(stamps(sound))}
    assert steps == {NS_PER_S // 50}


def test_the_clock_tells_the_time_of_recording_and_never_goes_back(
    start_graph: Start, bag: Path
) -> None:
    graph, node = playing(start_graph, bag, "loop:=true")
    clocks = graph.collect(ros.Clock, "/clock", 1000)
    images = graph.collect(ros.CompressedImage, IMAGES)
    assert node.start()
    assert graph.spin(lambda: len(images) > 20, 60.0)
    told = [ros.to_ns(clock.clock) for clock in clocks]
    assert told[0] == START_NS
    assert told == sorted(told)
    assert told[-1] > START_NS + 1.5 * NS_PER_S


def test_with_every_loop_stamps_are_later_by_the_length(start_graph: Start, bag: Path) -> None:
    graph, node = playing(start_graph, bag, "loop:=true")
    images = graph.collect(ros.CompressedImage, IMAGES)
    sound = graph.collect(ros.AudioDataStamped, "/audio", 500)
    assert node.start()
    assert graph.spin(lambda: len(images) > 35 and len(sound) > 160, 60.0)
    for messages, count in ((images, 15), (sound, 75)):
        first = stamps(messages)[:count]
        second = stamps(messages)[count : 2 * count]
        later = {after - before for before, after in zip(first, second, strict=True)}
        assert len(later) == 1
        assert stamps(messages) == sorted(set(stamps(messages)))
    assert int(graph.figure("bag_player: player", "loops")) >= 1


def test_what_was_latched_is_known_before_sound_comes_and_to_who_subscribes_later(
    start_graph: Start, bag: Path
) -> None:
    graph, node = playing(start_graph, bag, "play_start_s:=0.5")
    order: list[str] = []
    graph.probe.create_subscription(
        ros.AudioDataStamped, "/audio", lambda _: order.append("sound"), 200
    )
    graph.probe.create_subscription(
        ros.AudioInfo, "/audio_info", lambda _: order.append("form"), 5
    )
    images = graph.collect(ros.CompressedImage, IMAGES)
    assert node.start()
    assert graph.spin(lambda: graph.said("the bag has ended"), 60.0)
    # The log may be read before the last messages are taken.
    assert graph.spin(lambda: len(images) == 10, 20.0)
    assert order[0] == "form"
    assert stamps(images)[0] >= START_NS + NS_PER_S // 2
    latched = ros.QoSProfile(depth=1, durability=ros.DurabilityPolicy.TRANSIENT_LOCAL)
    late = graph.collect(ros.AudioInfo, "/audio_info", latched)
    assert graph.spin(lambda: late)
    assert (late[0].sample_rate, late[0].channels) == ros.sample_format()


def test_a_rate_makes_it_so_much_faster(start_graph: Start, bag: Path) -> None:
    graph, node = playing(start_graph, bag, "play_rate:=0.25", f"play_topics:={IMAGES}")
    clocks = graph.collect(ros.Clock, "/clock", 1000)
    images = graph.collect(ros.CompressedImage, IMAGES)
    assert node.start()
    assert graph.spin(lambda: images, 60.0)
    began, told = graph.now_ns(), ros.to_ns(clocks[-1].clock)
    assert graph.spin(lambda: len(images) >= 10, 60.0)
    # However slow the machine, the recording cannot have gone faster than asked for.
    passed = ros.to_ns(clocks[-1].clock) - told
    assert passed <= 0.25 * (graph.now_ns() - began) + NS_PER_S / 10


def test_only_the_topics_that_are_named_are_played(start_graph: Start, bag: Path) -> None:
    _, node = playing(start_graph, bag, "play_topics:='/audio, audio_info'")
    assert node.start()
    names = {name for name, _ in node.get_publisher_names_and_types_by_node("bag_player", "/")}
    assert {"/audio", "/audio_info", "/clock"} <= names
    assert IMAGES not in names


def test_it_waits_for_somebody_who_listens(start_graph: Start, bag: Path) -> None:
    graph, node = playing(start_graph, bag)
    assert node.start()
    graph.spin_for(1.5)
    images = graph.collect(ros.CompressedImage, IMAGES)
    assert graph.spin(lambda: len(images) == 15, 60.0)


def test_types_that_are_not_installed_are_said_and_left_out(
    start_graph: Start, bag: Path, tmp_path: Path
) -> None:
    strange = tmp_path / "strange"
    with PartialBag(strange) as draft:
        draft.add_topic("/sound", "audio_common_msgs/msg/AudioData")
        draft.add_topic(
            "/strange",
            "nobody_msgs/msg/Thing",
            definition="uint8 x",
            digest="RIHS01_" + 64 * "0",
        )
        data = struct.pack("<BBxxI", 0, 1, 0)
        draft.write("/sound", data, START_NS)
        draft.write("/strange", data, START_NS + 1)
    graph, node = playing(start_graph, strange, "wait_for_subscribers_s:=0.0")
    assert node.start()
    assert graph.spin(
        lambda: graph.said(
            "/strange is not played", "nobody_msgs/msg/Thing is not installed here"
        )
    )
    assert graph.spin(lambda: graph.said("the bag has ended"), 30.0)


def test_what_turns_out_to_be_wrong_while_it_is_played_is_said(
    start_graph: Start, bag: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bag, damaged)
    graph, node = playing(start_graph, damaged, "wait_for_subscribers_s:=60.0")
    assert node.start()
    (file,) = damaged.glob("*.mcap")
    os.truncate(file, file.stat().st_size // 2)
    graph.collect(ros.CompressedImage, IMAGES)
    assert graph.spin(lambda: graph.said("the bag has ended"), 90.0)
    assert graph.said(str(damaged), "the bag changed while it was read")


def test_a_bag_without_a_message_is_not_played(start_graph: Start, tmp_path: Path) -> None:
    graph, node = playing(
        start_graph,
        results_bag(tmp_path / "bag", STATES, seconds=0.0),
        "wait_for_subscribers_s:=0.0",
    )
    assert node.start()
    assert graph.spin(lambda: graph.said("contains no message that can be played"))
    assert graph.spin(lambda: node.failed)
    assert not graph.said("the bag has ended")


STATES = ("/emotion_states", "avemo_ros/msg/EmotionStateArray")
OVERLAY = ("/emotion_overlay", "sensor_msgs/msg/Image")


def results_bag(path: Path, *topics: tuple[str, str], seconds: float = 1.0) -> Path:
    """A bag with an empty message of each topic every tenth of a second."""
    with PartialBag(path) as draft:
        for name, kind in topics:
            definition, digest = definitions.definition_of(kind)
            draft.add_topic(name, kind, definition=definition, digest=digest)
        for number in range(round(10 * seconds)):
            for name, kind in topics:
                empty = serialization.serialize_message(serialized_stamps.message_class(kind)())
                draft.write(name, bytes(empty), START_NS + number * NS_PER_S // 10)
    return path


def test_results_that_a_node_publishes_live_are_left_out_and_inputs_are_played(
    start_graph: Start, tmp_path: Path
) -> None:
    sound = ("/audio", "audio_common_msgs/msg/AudioDataStamped")
    graph, node = playing(start_graph, results_bag(tmp_path / "bag", STATES, OVERLAY, sound))
    # As the live nodes have them; another source of sound is the user's own matter.
    for kind, topic in (
        (ros.EmotionStateArray, "/emotion_states"),
        (ros.Image, "/emotion_overlay"),
        (ros.AudioDataStamped, "/audio"),
    ):
        graph.probe.create_publisher(kind, topic, 10)
    states = graph.collect(ros.EmotionStateArray, "/emotion_states")
    heard = graph.collect(ros.AudioDataStamped, "/audio")
    assert node.start()
    assert graph.spin(lambda: graph.said("the bag has ended"), 60.0)
    assert graph.spin(lambda: len(heard) == 10, 20.0)
    assert states == []
    (line,) = graph.said("not playing recorded results")
    assert "/probe publishes live: /emotion_overlay, /emotion_states (" in line
    assert "--topics" in line


def test_a_node_whose_name_is_not_known_yet_is_not_named(
    start_graph: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = start_graph()
    graph.probe.create_publisher(ros.EmotionStateArray, "/emotion_states", 10)
    player = ros.BagPlayer()
    try:
        infos: list[Any] = []
        assert graph.spin(
            lambda: (
                infos.extend(player.get_publishers_info_by_topic("/emotion_states")) or infos
            )
        )
        # As the middleware calls it until the node has told its name.
        infos[0].node_name, infos[0].node_namespace = (
            "_NODE_NAME_UNKNOWN_",
            "_NODE_NAMESPACE_UNKNOWN_",
        )
        monkeypatch.setattr(player, "get_publishers_info_by_topic", lambda _: infos[:1])
        live = bag_player.LiveDuplicates(player, ["/emotion_states"])
        assert live.found() == {"/emotion_states"}
        assert "a running node publishes live: /emotion_states (" in live.take_text()
    finally:
        player.end()


def test_results_are_played_where_nobody_publishes_them_or_they_are_named(
    start_graph: Start, tmp_path: Path
) -> None:
    bag = results_bag(tmp_path / "bag", STATES)
    graph, node = playing(start_graph, bag)
    states = graph.collect(ros.EmotionStateArray, "/emotion_states")
    assert node.start()
    assert graph.spin(lambda: graph.said("the bag has ended"), 60.0)
    assert graph.spin(lambda: len(states) == 10, 20.0)

    graph.probe.create_publisher(ros.EmotionStateArray, "/emotion_states", 10)
    assert node.trigger_deactivate() == ros.SUCCESS
    assert graph.set(node, "play_topics", "/emotion_states").successful is False
    assert node.trigger_cleanup() == ros.SUCCESS
    assert graph.set(node, "play_topics", "/emotion_states").successful
    assert node.start()
    assert graph.spin(lambda: len(states) == 20, 60.0)
    assert not graph.said("left out")


def test_results_end_as_soon_as_a_node_publishes_them(
    start_graph: Start, tmp_path: Path
) -> None:
    graph, node = playing(
        start_graph, results_bag(tmp_path / "bag", STATES, OVERLAY), "loop:=true"
    )
    states = graph.collect(ros.EmotionStateArray, "/emotion_states")
    overlays = graph.collect(ros.Image, "/emotion_overlay")
    assert node.start()
    assert graph.spin(lambda: states and overlays, 60.0)
    graph.probe.create_publisher(ros.EmotionStateArray, "/emotion_states", 10)
    assert graph.spin(
        lambda: graph.said("not playing", "/probe publishes live: /emotion_states ("), 30.0
    )
    graph.spin_for(0.3)
    before = len(states), len(overlays)
    assert graph.spin(lambda: len(overlays) > before[1] + 5, 30.0)
    assert len(states) == before[0]


def test_where_nothing_else_is_in_the_bag_it_fails_and_says_why(
    start_graph: Start, tmp_path: Path
) -> None:
    graph, node = playing(start_graph, results_bag(tmp_path / "bag", STATES))
    graph.probe.create_publisher(ros.EmotionStateArray, "/emotion_states", 10)
    assert node.start()
    assert graph.spin(lambda: graph.said("nothing is left to play", "/probe", "--topics"))
    assert graph.spin(lambda: node.failed)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (("bag:=''",), ("'bag'", "path of a bag")),
        (("bag:=/none",), ("/none", "does not exist")),
        (("play_topics:=/nix",), ("'play_topics'", "/nix", IMAGES)),
        (("play_start_s:=99.0",), ("'play_start_s'", "99.0", "its length")),
    ],
)
def test_what_cannot_be_played_fails_configuring_and_says_why(
    start_graph: Start, bag: Path, parameters: tuple[str, ...], words: tuple[str, ...]
) -> None:
    graph, node = playing(start_graph, bag, *parameters)
    assert not node.start()
    assert graph.spin(lambda: graph.said("cannot configure", *words))


def test_every_time_within_a_message_is_moved_and_no_time_stays_none() -> None:
    shift = serialized_stamps.StampShifter(ros.EmotionStateArray).shift
    message = ros.EmotionStateArray(states=[ros.EmotionState(), ros.EmotionState()])
    message.header.stamp.sec = 7
    message.states[0].header.stamp.sec = 7
    message.states[1].window_start.nanosec = 999_999_999
    moved = serialization.deserialize_message(
        shift(bytes(serialization.serialize_message(message)), NS_PER_S + 1),
        ros.EmotionStateArray,
    )
    assert ros.to_ns(moved.header.stamp) == 8 * NS_PER_S + 1
    assert ros.to_ns(moved.states[0].header.stamp) == 8 * NS_PER_S + 1
    assert ros.to_ns(moved.states[0].window_start) == 0
    assert ros.to_ns(moved.states[1].window_start) == 2 * NS_PER_S
