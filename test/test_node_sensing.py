"""The switch that stops sensing and wipes what is known of people: over real DDS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
Bool = pytest.importorskip("std_msgs.msg").Bool
String = pytest.importorskip("std_msgs.msg").String
services = pytest.importorskip("std_srvs.srv")
messages = pytest.importorskip("avemo_ros.msg")
own = pytest.importorskip("avemo_ros.srv")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
LONG_S = 60.0
LATCHED = ros.QoSProfile(
    depth=1,
    reliability=ros.ReliabilityPolicy.RELIABLE,
    durability=ros.DurabilityPolicy.TRANSIENT_LOCAL,
)
WORDS = "catherine" + " money"
OUTPUTS = ("emotion_state", "emotion_states", "steady_states", "emotion_events", "face_tracks")


def turn(graph: Any, *, on: bool) -> Any:
    return graph.call(services.SetBool, "set_sensing", services.SetBool.Request(data=on))


@pytest.fixture
def watched(ros_domain: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The nodes in a process of their own, which can say what it holds; home and log are
    `tmp_path`."""
    parameters = (*ros.QUICK, ros.PATIENT, "identity.mode:=visit")
    words = [word for given in parameters for word in ("-p", given)]
    process = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).with_name("watched_nodes.py")),
            "--ros-args",
            *words,
        ],
        stdin=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "ROS_DOMAIN_ID": str(ros_domain),
            **dict.fromkeys(("HOME", "TMPDIR", "ROS_HOME"), str(tmp_path)),
        },
    )
    yield process
    process.kill()
    process.wait()


def test_switched_off_nothing_of_anybody_is_left(
    start_graph: Start, watched: subprocess.Popen[str]
) -> None:
    """Every object that can keep a face, a voice or a word is looked for, before, during and
    after."""
    graph = start_graph("autostart:=false")
    feed = ros.Feed(graph)
    said = graph.probe.create_publisher(String, "speech_text", 10)
    replies = graph.collect(messages.DialogReply, "dialog_reply")
    states = graph.collect(messages.EmotionStateArray, "emotion_states")
    told = graph.collect(Bool, "sensing", LATCHED)

    def held() -> dict[str, int]:
        request = services.Trigger.Request()
        answer: dict[str, int] = json.loads(
            graph.call(services.Trigger, "what_is_held", request).message
        )
        return answer

    def live() -> bool:
        people = [one for message in states[-3:] for one in message.states]
        return any(one.person_id and one.probabilities for one in people)

    before = held()
    assert graph.spin(lambda: told and told[-1].data, LONG_S)
    feed.wait_for_images_to_be_heard()
    feed.wait_for_sound_to_be_heard()
    assert feed.play_until(live, 4.0, voice=True)
    assert graph.spin(said.get_subscription_count, LONG_S)
    said.publish(String(data=f"I have lost {WORDS}"))
    assert graph.spin(lambda: replies, LONG_S)
    during = held()
    kept = {kind for kind, count in during.items() if count > before.get(kind, 0)}
    wanted = {"FaceHistory", "FaceSample", "EmotionEstimate", "_Past", "image", "words"}
    wanted |= {"what a face looks like", "_KnownPerson", "_Look", "_SeenFace"}
    assert wanted - kept == set()

    answer = turn(graph, on=False)
    assert answer.success
    assert "forgotten" in answer.message
    assert graph.spin(lambda: not told[-1].data, LONG_S)
    # The dialog follows the topic.
    assert graph.spin(lambda: not graph.probe.count_publishers("dialog_reply"), LONG_S)
    after = held()
    assert {kind: n for kind, n in after.items() if n > before.get(kind, 0)} == {}
    # And what comes now is not even taken.
    for topic in OUTPUTS:
        assert graph.probe.count_publishers(topic) == 0, topic
    assert graph.spin(lambda: not feed.images.get_subscription_count(), LONG_S)
    assert graph.spin(lambda: not feed.sound.get_subscription_count(), LONG_S)
    # Who comes later hears that it is off, and nothing of who was there.
    late = graph.collect(Bool, "sensing", LATCHED)
    latched = graph.collect(messages.EmotionState, "emotion_state", LATCHED)
    assert graph.spin(lambda: late == [Bool(data=False)], LONG_S)
    assert latched == []

    states.clear()
    assert turn(graph, on=True).success
    feed.wait_for_images_to_be_heard()
    assert feed.play_until(live, 4.0)


def test_nothing_of_people_goes_to_disk_or_into_the_network(
    start_graph: Start, watched: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Of what the nodes write there is a log that tells nothing of anybody, and what DDS
    shares on this host; none of their sockets has a way out."""
    graph = start_graph("autostart:=false")
    feed = ros.Feed(graph)
    said = graph.probe.create_publisher(String, "speech_text", 10)
    replies = graph.collect(messages.DialogReply, "dialog_reply")
    states = graph.collect(messages.EmotionStateArray, "emotion_states")
    feed.wait_for_images_to_be_heard()
    assert feed.play_until(lambda: any(one.states for one in states), 3.0, voice=True)
    assert graph.spin(said.get_subscription_count, LONG_S)
    said.publish(String(data=f"I have lost {WORDS}"))
    assert graph.spin(lambda: replies, LONG_S)
    process = psutil.Process(watched.pid)
    written = [Path(one.path) for one in process.open_files() if set(one.mode) & set("wa+")]
    outside = [path for path in written if not path.is_relative_to(tmp_path)]
    assert [path for path in outside if path.parts[:3] != ("/", "dev", "shm")] == []
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left
    for path in left:
        assert path.suffix == ".log", path
        text = path.read_text()
        assert WORDS not in text
        assert "lost" not in text
        assert len(text) < 20_000
    # Only datagrams, of DDS, which is confined to this host by ROS_AUTOMATIC_DISCOVERY_RANGE.
    sockets = process.net_connections("inet")
    assert sockets
    assert {one.type for one in sockets} == {socket.SOCK_DGRAM}
    assert [one for one in sockets if one.raddr] == []


def test_features_leave_the_node_only_if_allowed(start_graph: Start) -> None:
    graph = start_graph("publish_features:=false", *ros.QUICK)
    graph.add(ros.EmotionStack)
    tracks = graph.collect(messages.FaceTrackArray, "face_tracks")
    states = graph.collect(messages.EmotionStateArray, "emotion_states")
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    assert feed.play_until(lambda: any(one.states for one in states), 3.0)
    assert tracks == []
    for topic in ("face_tracks", "spectrogram"):
        assert graph.probe.count_publishers(topic) == 0, topic


def test_it_stays_off_over_the_life_cycle_and_may_be_off_from_the_start(
    start_graph: Start,
) -> None:
    graph = start_graph("sensing:=false", *ros.QUICK)
    node = graph.add(ros.EmotionStack)
    follower = graph.add(ros.SpeechBufferNode)
    assert node.active
    assert not node.is_sensing
    assert graph.said("active, but sensing is off")
    assert graph.spin(
        lambda: any("sensing is off" in one.message for one in graph.health.values())
    )
    assert graph.probe.count_publishers("emotion_states") == 0
    assert turn(graph, on=True).success
    assert graph.spin(lambda: graph.probe.count_publishers("emotion_states") == 1, LONG_S)
    assert graph.spin(lambda: follower.is_sensing, LONG_S)
    assert turn(graph, on=False).success
    assert graph.spin(lambda: not follower.is_sensing, LONG_S)
    for one in (node, follower):
        assert one.trigger_deactivate() == ros.SUCCESS
        assert one.trigger_cleanup() == ros.SUCCESS
        assert one.start()
        assert not one.is_sensing
    graph.spin_for(0.5)
    assert graph.probe.count_publishers("emotion_states") == 0
    assert graph.probe.count_publishers("spectrogram") == 0


def test_deactivated_it_keeps_nothing_either(start_graph: Start) -> None:
    graph = start_graph(*ros.QUICK)
    node = graph.add(ros.EmotionStack)
    states = graph.collect(messages.EmotionStateArray, "emotion_states")
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    assert feed.play_until(lambda: any(one.states for one in states), 3.0)
    people = next(
        value.value
        for entry in node.report()
        for value in entry.values
        if value.key == "people_remembered"
    )
    assert people == "1"
    assert node.trigger_deactivate() == ros.SUCCESS
    values = {value.key: value.value for entry in node.report() for value in entry.values}
    assert values["people_remembered"] == "0"
    assert values["faces"] == "0"


def test_one_person_is_forgotten_by_all(start_graph: Start) -> None:
    graph = start_graph(*ros.QUICK)
    graph.add(ros.EmotionStack)
    states = graph.collect(messages.EmotionStateArray, "emotion_states")
    forgotten = graph.collect(String, "forgotten_person")
    feed = ros.Feed(graph)
    feed.wait_for_images_to_be_heard()
    assert feed.play_until(lambda: any(one.states for one in states), 3.0)
    face = next(one.states[0].face_id for one in states if one.states)

    def forget(person: str) -> Any:
        return graph.call(
            own.ForgetPerson, "forget_person", own.ForgetPerson.Request(person=person)
        )

    for wrong in ("", "f9999"):
        refused = forget(wrong)
        assert not refused.success
        assert wrong in refused.message
    answer = forget(face)
    assert answer.success
    assert face in answer.message
    assert graph.spin(lambda: [one.data for one in forgotten] == [face], LONG_S)
    asked = graph.call(
        own.GetEmotionHistory, "emotion_history", own.GetEmotionHistory.Request(person=face)
    )
    assert not asked.success
    latched = graph.collect(messages.EmotionState, "emotion_state", LATCHED)
    assert graph.spin(lambda: latched, LONG_S)
    assert latched[-1].face_id == ""
