"""bag_recorder: what it says of people, of silence and of stamps."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avemo_ros.timing import NS_PER_S

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
serialized_stamps = pytest.importorskip("avemo_ros.nodes.serialized_stamps")
recorded_topics = pytest.importorskip("avemo_ros.nodes.recorded_topics")
start_graph = ros.start_graph
recording = ros.recording
pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]

Start = Callable[..., Any]


def written(graph: Any) -> int:
    """Messages that the recorder has written, by its newest diagnostics."""
    return int(graph.figure("bag_recorder: bag", "written"))


def ended(node: Any) -> None:
    assert node.trigger_deactivate() == ros.SUCCESS


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (("record_topics:=/image_raw/compressed",), "raw images of people; these are pers"),
        (("record_topics:='/audio,/image_raw'",), "raw images and audio of people; these"),
        (("record_topics:=/faces",), "/faces, which may contain personal data"),
        (
            ("record_topics:=/emotion_states",),
            "/emotion_states, which may contain personal data",
        ),
        (("record_states:=true",), "no images, audio or features of people, only"),
    ],
)
def test_what_further_topics_hold_of_people_is_not_denied(
    start_graph: Start, tmp_path: Path, parameters: tuple[str, ...], said: str
) -> None:
    states = () if "states" in parameters[0] else ("record_states:=false",)
    graph = start_graph(
        f"record_out:={tmp_path / 'out'}", "record_content:=nothing", *states, *parameters
    )
    graph.add(ros.BagRecorder)
    assert graph.said(f"records {said}")
    assert bool(graph.said("no images, audio")) == ("record_topics" not in parameters[0])


def test_what_a_topic_holds_is_said_as_soon_as_its_type_is_known(
    start_graph: Start, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    graph = start_graph(
        f"record_out:={out}", "record_content:=nothing", "record_topics:='/eye /nods'"
    )
    node = graph.add(ros.BagRecorder)
    assert graph.said("records /eye, /nods, which may contain personal data")
    eye = graph.probe.create_publisher(ros.Image, "/eye", 5)
    assert graph.spin(
        lambda: graph.said("records raw images of people; these are personal data; /nods may")
    )
    assert graph.spin(eye.get_subscription_count)
    ended(node)


@pytest.mark.parametrize(
    ("kinds", "further", "said"),
    [
        ({"/a": "avemo_ros/msg/FaceTrackArray"}, (), "no images and no audio, but"),
        (
            {"/a": "avemo_ros/msg/FaceTrackArray", "/b": ""},
            ("/b",),
            "features of people: small",
        ),
        (
            {"/a": "avemo_ros/msg/SpectrogramChunk", "/b": "sensor_msgs/msg/Image"},
            ("/b",),
            "raw images of people, and features of them: spectrograms",
        ),
        ({"/audio": "robot_msgs/msg/Sound"}, (), "/audio, which may contain personal data"),
        ({"/b": "std_msgs/msg/Bool"}, (), "no images, audio or features"),
        ({"/b": "std_msgs/msg/Bool"}, ("/b",), "/b, which may contain personal data"),
    ],
)
def test_words_of_privacy_follow_the_types(
    kinds: dict[str, str], further: tuple[str, ...], said: str
) -> None:
    words = recorded_topics.personal_data_text(kinds, further)
    assert words.startswith(said)
    if any(kind.endswith(("Array", "Chunk", "Image")) for kind in kinds.values()):
        assert "personal data" in words


def test_it_says_which_topics_do_not_come(
    start_graph: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_topics, "_FAIR_S", 0.5)
    graph, _, _ = recording(start_graph, tmp_path / "out", "record_topics:=/nods")
    # Somebody publishes the sound's format, who may have said it once for all.
    for topic in ("/image_raw", "/audio", "/emotion_states", "/nods"):
        assert graph.spin(lambda topic=topic: graph.said(f"nothing arrives on {topic}"), 30.0)
    assert not graph.said("nothing arrives on /robot_speaking")
    assert not graph.said("nothing arrives on /audio_info")


def silence(comes: Any, began_s: float, now_s: float | None, *came_s: float) -> str:
    """What diagnostics say of a topic that nobody publishes any more, if they complain."""
    topic = recorded_topics.RecordedTopic("/topic", recorded_topics.TopicRequest(comes))
    for one in came_s:
        topic.came(one)
    entry = topic.status(began_s, now_s)
    return str(entry.message) if entry.level == ros.DiagnosticStatus.STALE else ""


def test_a_topic_that_starts_late_has_a_fair_chance() -> None:
    steadily = recorded_topics.Cadence.CONTINUOUS
    assert not silence(steadily, 100.0, 109.0)
    assert "nothing arrives on /topic, so" in silence(steadily, 100.0, 111.0)
    assert not silence(steadily, 100.0, None)
    assert not silence(steadily, 100.0, 121.0, 119.5)
    assert "any more" in silence(steadily, 100.0, 122.0, 119.5)


def test_what_comes_at_times_may_be_silent_once_it_is_published() -> None:
    comes = recorded_topics.Cadence
    assert "nothing arrives" in silence(comes.OCCASIONAL, 100.0, 111.0)
    assert not silence(comes.OCCASIONAL, 100.0, 200.0, 105.0)
    assert not silence(comes.OPTIONAL, 100.0, 200.0)


@pytest.mark.parametrize(
    ("recorded", "published", "said"),
    [
        ("true", False, "/image_raw exists: remove --compressed"),
        ("false", True, "/image_raw/compressed exists: add --compressed"),
    ],
)
def test_images_that_come_in_the_other_form_are_pointed_out(
    start_graph: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recorded: str,
    said: str,
    *,
    published: bool,
) -> None:
    monkeypatch.setattr(recorded_topics, "_FAIR_S", 0.5)
    graph = start_graph(f"record_out:={tmp_path / 'out'}", f"record_compressed:={recorded}")
    node = graph.add(ros.BagRecorder)
    feed = ros.Feed(graph, compressed=published)
    assert graph.spin(lambda: graph.said("nothing arrives on /image_raw", said), 30.0)
    feed.wait_for_sound_to_be_heard()
    feed.say_format()
    assert graph.spin(lambda: written(graph) > 0)
    ended(node)
    assert graph.spin(
        lambda: graph.said("nothing arrived on /image_raw", "missing from the bag", said)
    )


def test_stamps_that_are_far_from_the_clock_are_warned_of_once_a_topic(
    start_graph: Start, tmp_path: Path
) -> None:
    graph, node, feed = recording(start_graph, tmp_path / "out")
    feed.wait_for_images_to_be_heard()
    feed.images.publish(feed.image(0))
    assert graph.spin(lambda: written(graph) == 1)
    assert not graph.said("stamps are")
    for number in (1, 2):
        late = graph.now_ns() - 60 * NS_PER_S
        feed.images.publish(feed.image(number, late))
    assert graph.spin(lambda: written(graph) == 3)
    told = graph.said("/image_raw: stamps are 60.", "behind", "will ignore", "--use-sim-time")
    assert len(told) == 1
    ended(node)


def complaints(*ages_s: float, simulated: bool = False, kind: str = "Image") -> list[str]:
    """What is said of messages that come a second apart, stamped so long before."""
    now_s = itertools.count()
    message = serialized_stamps.message_class(f"sensor_msgs/msg/{kind}")
    watch = serialized_stamps.StampWatch(
        f"sensor_msgs/msg/{kind}", message, simulated=simulated, now=lambda: next(now_s)
    )
    said = []
    for age_s in ages_s:
        stamp_ns = round((100.0 - age_s) * NS_PER_S)
        data = b"\0\1\0\0" + struct.pack("<iI", *divmod(stamp_ns, NS_PER_S)) + bytes(8)
        said.append(watch.complaint(data, 100 * NS_PER_S))
    return said


def test_a_stamp_is_far_beyond_five_seconds_either_way_and_zero_is_none() -> None:
    assert complaints(0.0, 4.9, -4.9, 100.0) == ["", "", "", ""]
    assert "5.1 s behind" in complaints(5.1)[0]
    assert "7.0 s ahead of" in complaints(-7.0)[0]
    assert complaints(9.0, 9.0)[1] == ""
    # What evaluation does not read may be stamped as it likes.
    assert complaints(50.0, kind="Imu") == [""]


def test_where_a_played_bag_starts_over_stamps_may_be_off_for_a_moment() -> None:
    assert complaints(-30.0, -30.0, 0.0, -30.0, simulated=True) == [""] * 4
    lasting = complaints(-30.0, -30.0, -30.0, -30.0, simulated=True)
    assert [bool(one) for one in lasting] == [False, False, True, False]
    assert "play only one recording" in lasting[2]
