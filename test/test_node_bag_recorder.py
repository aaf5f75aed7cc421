"""bag_recorder: topics into a bag, as they come."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clip_bags
import pytest
from clip_bags import Piece

from avemo_ros.bag.folder import Bag
from avemo_ros.bag.from_clips import START_NS
from avemo_ros.bag.partial_bag import PartialBag
from avemo_ros.bag.reader import BagImage, MarkRecord, Recording
from avemo_ros.bag.storage import read_offered_qos
from avemo_ros.bag.topics import TopicKind
from avemo_ros.errors import BagError
from avemo_ros.timing import NS_PER_S

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
bag_recorder = pytest.importorskip("avemo_ros.nodes.bag_recorder")
recorded_topics = pytest.importorskip("avemo_ros.nodes.recorded_topics")
start_graph = ros.start_graph
recording = ros.recording
pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]

Start = Callable[..., Any]


def counts(bag: Path) -> dict[str, int]:
    return {channel.topic: channel.count for channel in Bag(bag).channels}


def written(graph: Any) -> int:
    """Messages that the recorder has written, by its newest diagnostics."""
    return int(graph.figure("bag_recorder: bag", "written"))


def ended(node: Any) -> None:
    assert node.trigger_deactivate() == ros.SUCCESS


def test_a_played_bag_is_recorded_message_by_message(
    start_graph: Start, tmp_path: Path
) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 1.5, 0.0, 0.0)], every=3)
    graph = start_graph(
        f"bag:={bag}", f"record_out:={tmp_path / 'again'}", "record_compressed:=true",
        "at_end:=idle", "use_sim_time:=true",
    )  # fmt: skip
    recorder = graph.add(ros.BagRecorder)
    player = graph.add(ros.BagPlayer, start=False)
    assert player.start()
    assert graph.spin(lambda: graph.said("the bag has ended"), 90.0)
    wanted = {topic: counts(bag)[topic] for topic in ("/image_raw/compressed", "/audio")}
    assert graph.spin(
        lambda: (
            wanted
            == {
                topic: int(graph.figure(f"bag_recorder: {topic}", "received"))
                for topic in wanted
            }
        ),
        20.0,
    )
    ended(recorder)
    first, again = Bag(bag), Bag(tmp_path / "again")
    for topic in ("/image_raw/compressed", "/audio"):
        ones, others = (
            [bytes(raw.data) for raw in one.messages(one.channels) if raw.key[0] == topic]
            for one in (first, again)
        )
        assert ones == others, topic
    # By the clock of the bag, not of the wall.
    assert again.start_ns >= START_NS
    assert again.end_ns < START_NS + 60 * NS_PER_S
    assert read_offered_qos(tmp_path / "again")["/audio_info"].latched


def test_features_are_recorded_without_images_or_sound(
    start_graph: Start, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    graph = start_graph(f"record_out:={out}", "record_content:=features", *ros.QUICK)
    recorder = graph.add(ros.BagRecorder)
    assert graph.spin(lambda: graph.said("no images and no audio", "personal data"))
    graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    feed.wait_for_sound_to_be_heard()
    topics = ("face_tracks", "spectrogram", "emotion_states")
    found = (f"/{topic} has appeared" for topic in topics)
    assert all(graph.spin(lambda words=words: graph.said(words), 30.0) for words in found)
    heard = graph.collect(ros.EmotionStateArray, "emotion_states")
    for _ in range(5):
        feed.play(3.0, voice=True)
        if heard:
            break
    ended(recorder)
    with Recording(out) as made:
        assert made.kinds == {TopicKind.TRACKS, TopicKind.SPECTROGRAM, TopicKind.STATES}
        tracks = [item for _, item in made.items(frozenset({TopicKind.TRACKS}))]
    assert any(one.faces for one in tracks)
    assert set(counts(out)) == {"/face_tracks", "/spectrogram", "/emotion_states"}


def test_raw_images_and_sound_are_recorded_and_it_says_so(
    start_graph: Start, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    graph, node, feed = recording(start_graph, out, "record_storage:=sqlite3")
    assert graph.said("raw images and audio", "personal data")
    feed.wait_for_images_to_be_heard()
    feed.wait_for_sound_to_be_heard()
    feed.play(1.0, voice=True)
    assert graph.spin(lambda: written(graph) > 40, 20.0)
    assert graph.said("/audio has appeared; recording it from now on")
    assert not graph.said("/emotion_states has appeared")
    assert (tmp_path / "out.partial").is_dir()
    assert not out.exists()
    ended(node)
    assert {"/image_raw", "/audio", "/audio_info"} <= set(counts(out))
    assert not (tmp_path / "out.partial").exists()


def test_images_are_packed_as_jpeg_and_marks_go_along(
    start_graph: Start, tmp_path: Path
) -> None:
    """`avemo bag record` asks for JPEG; `avemo bag mark` needs a recorder that listens."""
    out = tmp_path / "out"
    graph, node, feed = recording(start_graph, out, "record_jpeg_quality:=90")
    assert graph.said("GB are free", "h of JPEG (this recording)")
    feed.wait_for_images_to_be_heard()
    image = feed.image(7)
    feed.images.publish(image)
    mark = subprocess.Popen(
        [sys.executable, "-m", "avemo_ros.cli.main", "bag", "mark", "phase:", "talk"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert graph.spin(lambda: mark.poll() is not None, 90.0)
    assert "marked 'phase: talk'" in mark.communicate()[1]
    assert mark.returncode == 0
    assert graph.spin(lambda: written(graph) >= 2, 20.0)
    ended(node)
    assert counts(out) == {"/image_raw/compressed": 1, "/study_mark": 1}
    with Recording(out) as made:
        items = [item for _, item in made.items(made.kinds)]
    (marked,) = [item for item in items if isinstance(item, MarkRecord)]
    (seen,) = [item for item in items if isinstance(item, BagImage)]
    assert marked.text == "phase: talk"
    stamp = image.header.stamp
    assert seen.stamp_ns == stamp.sec * NS_PER_S + stamp.nanosec
    assert seen.image.shape[:2] == (image.height, image.width)


def test_what_waits_for_a_slow_disk_is_bounded_and_what_is_left_out_is_counted(
    start_graph: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, free = PartialBag.write, threading.Event()

    def slow(draft: PartialBag, *args: Any) -> None:
        free.wait()
        write(draft, *args)

    monkeypatch.setattr(PartialBag, "write", slow)
    out = tmp_path / "out"
    graph, node, feed = recording(start_graph, out, "record_queue_mb:=4.0")
    try:
        feed.wait_for_images_to_be_heard()
        for number in range(20):
            feed.images.publish(feed.image(number))
            graph.spin_for(0.02)
        assert graph.spin(lambda: int(graph.figure("bag_recorder: bag", "dropped")) > 0, 30.0)
        assert graph.health["bag_recorder: bag"].level == ros.DiagnosticStatus.WARN
        assert int(graph.figure("bag_recorder: bag", "queue")) <= 4
    finally:
        free.set()
    ended(node)
    assert graph.spin(lambda: graph.said("were not recorded: the disk is too slow"))
    assert 0 < counts(out)["/image_raw"] <= 6


def test_a_disk_that_fails_ends_the_recording_and_keeps_what_it_has(
    start_graph: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = PartialBag.write

    def full(draft: PartialBag, *args: Any) -> None:
        if draft.count >= 5:
            raise BagError("cannot write: No space left on device")
        write(draft, *args)

    monkeypatch.setattr(PartialBag, "write", full)
    graph, node, feed = recording(start_graph, tmp_path / "out")
    over: list[bool] = []
    node.finished = lambda: over.append(True)
    feed.wait_for_images_to_be_heard()
    for number in range(10):
        feed.images.publish(feed.image(number))
        graph.spin_for(0.02)
    assert graph.spin(lambda: over, 30.0)
    assert graph.said("No space left on device", "recording stopped")
    ended(node)
    assert not (tmp_path / "out").exists()
    assert counts(tmp_path / "out.partial") == {"/image_raw": 5}
    assert node.failed


def test_a_bag_that_is_there_is_never_replaced(start_graph: Start, tmp_path: Path) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [Piece(0.0, 0.2, 0.0, 0.0)])
    before = counts(bag)
    graph = start_graph(f"record_out:={bag}")
    node = graph.add(ros.BagRecorder, start=False)
    assert not node.start()
    assert graph.spin(lambda: graph.said("cannot activate", "already exists"))
    assert not graph.said("records")
    assert counts(bag) == before


def test_what_is_no_name_of_a_topic_is_said_before_anything_is_made(
    start_graph: Start, tmp_path: Path
) -> None:
    graph = start_graph(f"record_out:={tmp_path / 'out'}", "record_topics:='/nods /a:b'")
    node = graph.add(ros.BagRecorder, start=False)
    assert not node.start()
    assert graph.spin(lambda: graph.said("cannot configure", "'record_topics' is '/a:b'"))
    assert list(tmp_path.iterdir()) == []


def test_without_messages_there_is_no_bag(start_graph: Start, tmp_path: Path) -> None:
    graph, node, _ = recording(start_graph, tmp_path / "out")
    graph.spin_for(0.3)
    ended(node)
    assert graph.spin(lambda: graph.said("nothing arrived, so no bag was written"))
    assert node.failed
    assert list(tmp_path.iterdir()) == []


def test_the_first_message_of_who_begins_with_the_first_subscriber_is_recorded(
    start_graph: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever publishes is looked for too late, as on a busy machine.
    monkeypatch.setattr(bag_recorder, "_LOOK_S", 1000.0)
    out = tmp_path / "out"
    graph, node, feed = recording(start_graph, out)
    assert graph.spin(feed.images.get_subscription_count)
    for number in range(3):
        feed.images.publish(feed.image(number))
    assert graph.spin(lambda: written(graph) == 3)
    ended(node)
    assert counts(out) == {"/image_raw": 3}
    assert read_offered_qos(out)["/image_raw"].reliable


def test_of_who_offers_best_effort_all_is_recorded_that_comes_and_so_it_is_noted(
    start_graph: Start, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    graph = start_graph(f"record_out:={out}")
    node = graph.add(ros.BagRecorder)
    driver = ros.QoSProfile(depth=5, reliability=ros.ReliabilityPolicy.BEST_EFFORT)
    feed = ros.Feed(graph, qos=driver)
    feed.wait_for_images_to_be_heard()
    # Over best effort large images may get lost; that any comes is enough here.
    number = itertools.count()
    assert graph.spin(
        lambda: feed.images.publish(feed.image(next(number))) or written(graph) > 3
    )
    ended(node)
    assert not read_offered_qos(out)["/image_raw"].reliable


OTHER_TYPE = """
import rclpy, time
from audio_common_msgs.msg import AudioData
rclpy.init()
node = rclpy.create_node("old_microphone")
out = node.create_publisher(AudioData, "audio", 10)
while True:
    out.publish(AudioData(data=[1, 2]))
    time.sleep(0.05)
"""


def test_a_type_that_is_another_than_is_known_beforehand_is_recorded_all_the_same(
    start_graph: Start, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    graph = start_graph(f"record_out:={out}")
    node = graph.add(ros.BagRecorder)
    other = subprocess.Popen([sys.executable, "-c", OTHER_TYPE])
    try:
        assert graph.spin(lambda: written(graph) > 3, 60.0)
    finally:
        other.kill()
        other.wait()
    ended(node)
    assert {channel.topic: channel.type for channel in Bag(out).channels} == {
        "/audio": "audio_common_msgs/msg/AudioData"
    }


def test_a_folder_that_is_missing_above_is_said_before_anything_is_recorded(
    start_graph: Start, tmp_path: Path
) -> None:
    graph = start_graph(f"record_out:={tmp_path / 'none' / 'out'}")
    node = graph.add(ros.BagRecorder, start=False)
    assert not node.start()
    assert graph.spin(lambda: graph.said("cannot configure", f"there is no folder {tmp_path}"))
    assert list(tmp_path.iterdir()) == []


def test_without_a_clock_it_says_so_in_time_and_blames_no_topic(
    start_graph: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_topics, "_FAIR_S", 0.5)
    monkeypatch.setattr(bag_recorder, "_CLOCK_S", 1000.0)
    out = tmp_path / "out"
    graph, node, feed = recording(start_graph, out, "use_sim_time:=true")
    feed.wait_for_images_to_be_heard()
    feed.images.publish(feed.image())
    assert graph.spin(lambda: int(graph.figure("bag_recorder: /image_raw", "received")) > 0)
    assert not graph.said("/clock")
    monkeypatch.setattr(bag_recorder, "_CLOCK_S", 0.0)
    assert graph.spin(lambda: graph.said("nothing has arrived on /clock"), 30.0)
    assert not graph.said("nothing arrives on")
    ended(node)
    assert graph.spin(lambda: graph.said("nothing arrived on /clock, so no bag was written"))


def test_what_came_before_the_clock_is_told_once_the_clock_is_there(
    start_graph: Start, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    graph, node, feed = recording(start_graph, out, "use_sim_time:=true")
    clock = graph.probe.create_publisher(ros.Clock, "/clock", 10)
    feed.wait_for_images_to_be_heard()
    feed.images.publish(feed.image())
    assert graph.spin(lambda: int(graph.figure("bag_recorder: /image_raw", "received")) > 0)
    told = ros.Clock()
    told.clock.sec = 10
    assert graph.spin(lambda: clock.publish(told) or node.now_ns() > 0)
    feed.images.publish(feed.image())
    assert graph.spin(lambda: graph.said("before the first message on /clock: 1"))
    ended(node)
    assert counts(out) == {"/image_raw": 1}
    assert Bag(out).start_ns == 10 * NS_PER_S


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_a_recording_that_ends_is_whole_and_one_that_is_killed_is_readable(
    start_graph: Start, tmp_path: Path, way: signal.Signals
) -> None:
    out = tmp_path / "out"
    graph = start_graph()
    feed = ros.Feed(graph)
    words = ["-p", f"record_out:={out}", "-p", "record_states:=false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "avemo_ros.nodes.bag_recorder", "--ros-args", *words]
    )
    try:
        assert graph.spin(feed.images.get_subscription_count, 60.0)
        written = "bag_recorder: bag"
        # What came in the last second may still be in the memory of the process.
        assert graph.spin(
            lambda: (
                feed.images.publish(feed.image())
                or (written in graph.health and int(graph.figure(written, "written")) > 60)
            ),
            60.0,
        )
        process.send_signal(way)
        status = process.wait(60)
    finally:
        process.kill()
    if way is signal.SIGINT:
        assert status == 0
        assert counts(out)["/image_raw"] > 60
    else:
        assert not out.exists()
        left = Bag(tmp_path / "out.partial")
        assert left.cut_off
        assert sum(1 for _ in left.messages(left.channels)) >= 10
