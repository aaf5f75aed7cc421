"""Parameters and parameter files that would change nothing: what is said about them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
parameter_file = pytest.importorskip("avemo_ros.nodes.parameter_file")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


def test_the_nodes_are_those_that_there_are(repository: Path) -> None:
    scripts = {path.stem for path in (repository / "avemo_ros" / "nodes").glob("*.py")}
    assert set(parameter_file.NODES) <= scripts
    assert len(parameter_file.NODES) == len(ros.NODES)


@pytest.mark.parametrize(
    ("receiver", "node", "meant"),
    [
        ("/**", "/emotion_stack", True),
        ("/**", "/head/emotion_stack", True),
        ("/*", "/emotion_stack", True),
        ("/*", "/head/emotion_stack", False),
        ("/emotion_stack", "/emotion_stack", True),
        ("/emotion_stack", "/head/emotion_stack", False),
        ("/head/emotion_stack", "/head/emotion_stack", True),
        ("/*/emotion_stack", "/head/emotion_stack", True),
        ("/**/emotion_stack", "/head/left/emotion_stack", True),
        ("/**/emotion_stack", "/emotion_stack", True),
        ("/**/emotion_stack", "/emotion", False),
        ("/emotion", "/emotion_stack", False),
    ],
)
def test_names_reach_the_nodes_that_rcl_gives_them_to(
    start_graph: Start, tmp_path: Path, receiver: str, node: str, meant: bool
) -> None:
    assert parameter_file.is_for(receiver, node) is meant
    # What rcl itself does.
    file = tmp_path / "parameters.yaml"
    file.write_text(f"{receiver}:\n  ros__parameters:\n    vision.max_faces: 2\n")
    space, _, name = node.rpartition("/")
    words = ["-r", f"__ns:={space or '/'}", "-r", f"__node:={name}"]
    graph = start_graph(file=file, words=words)
    made = graph.add(ros.FaceTracker, start=False)
    assert (made.get_parameter("vision.max_faces").value == 2) is meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("avemo_ros:\n  ros__parameters: {speak: true}", ("for '/avemo_ros'", "write '/**:'")),
        ("emotion_stak:\n  ros__parameters: {a: 1}", ("did you mean 'emotion_stack'",)),
        ("emotion_stack:\n  ros__parameters: {a: 1}", ("write '/**/emotion_stack:'",)),
        ("head:\n  other:\n    ros__parameters: {a: 1}", ("for '/head/other'",)),
        ("emotion_stack:\n  speak: true", ("no 'ros__parameters:'",)),
        ("", ("no 'ros__parameters:'",)),
    ],
)
def test_a_file_for_nobody_is_named_with_the_near_miss(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    said = parameter_file.useless(file, ["/head/emotion_stack"])
    assert str(file) in said
    assert all(word in said for word in words), said


def test_a_file_with_one_part_for_us_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "robot.yaml"
    file.write_text(
        "nav: {ros__parameters: {a: 1}}\nhead: {emotion_stack: {ros__parameters: {a: 1}}}\n"
    )
    assert not parameter_file.useless(file, ["/head/camera", "/head/emotion_stack"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("image_transprot", "image_transport"),
        ("max_input_age", "max_input_age_s"),
        ("audio_chanels", "audio_channels"),
        ("rotate", "image_rotate"),
        ("hop_s", "emotion.hop_s"),
        ("max_faces", "vision.max_faces"),
        ("emotoin.hop_s", "emotion.hop_s"),
        ("emotion.hopp_s", "emotion.hop_s"),
        ("endpoint.modle", "endpoint.model"),
        ("camera_with", "camera_width"),
        ("qqqqqqqqqq", ""),
    ],
)
def test_a_name_that_no_node_has_is_named_with_the_nearest(
    start_graph: Start, given: str, meant: str
) -> None:
    graph = start_graph(f"{given}:=1")
    graph.add(ros.FaceTracker, start=False)
    assert graph.spin(lambda: graph.said(f"unknown parameter '{given}' has no effect"))
    (line,) = graph.said(f"unknown parameter '{given}'")
    assert (f"did you mean '{meant}'?" in line) if meant else ("did you mean" not in line)


def test_parameters_of_other_nodes_and_programs_are_fine(start_graph: Start) -> None:
    graph = start_graph(
        "camera_width:=320", "emotion.hop_s:=0.2", "speak:=true", "use_sim_time:=false",
        "controller.max_speed:=1.0", "qos_overrides./tf.publisher.depth:=5",
    )  # fmt: skip
    graph.add(ros.FaceTracker, start=False)
    graph.spin_for(0.3)
    assert not graph.said("no effect")


def started(*words: str) -> str:
    """What a node says that ends at once, for it is not started by itself and gets a signal."""
    node = (sys.executable, "-m", "avemo_ros.nodes.camera")
    process = subprocess.Popen(
        [*node, "--ros-args", *words, "-p", "autostart:=false"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.terminate()
    return process.communicate(timeout=60)[0]


@pytest.mark.usefixtures("ros_domain")
def test_a_node_warns_of_what_its_command_line_sets_in_vain(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("avemo_ros:\n  ros__parameters: {camera_width: 320}\n")
    others = tmp_path / "others.yaml"
    others.write_text("emotion_stack:\n  ros__parameters: {speak: false}\n")
    text = started(
        "--params-file", str(mine), "--params-file", str(others), "-p", "vision.max_faces:=2"
    )
    assert f"parameter file '{mine}' is for '/avemo_ros'" in text
    assert str(others) not in text
    assert "parameter 'vision.max_faces' has no effect on camera" in text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("Error opening YAML file",)),
        ("emotion_stack:\n  a: 1\n", ("before ros__parameters at line 2",)),
        ("/**:\n  ros__parameters:\n\tcamera_width: 1\n", ("line 2",)),
        ("/**:\n  ros__parameters: {camera_device: 0}\n", ("'camera_device' is 0", "('0')")),
    ],
    ids=["missing", "no ros__parameters", "a tab", "a number for text"],
)
def test_a_file_that_cannot_be_used_ends_the_node_with_its_name(
    tmp_path: Path, content: str | None, words: tuple[str, ...]
) -> None:
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_text(content)
    text = started("--params-file", str(file))
    assert "avemo_ros: " in text
    assert all(word in text for word in words), text
    assert "Traceback" not in text
    assert ".c:" not in text.partition("avemo_ros: ")[2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            ("audio_rate:=16000", "audio_channels:=2", "audio.channel:=2"),
            ("'audio.channel' is 2", "-1 to 1", "audio_channels is 2"),
        ),
    ],
)
def test_sound_settings_that_contradict_each_other_are_refused(
    start_graph: Start, given: tuple[str, ...], words: tuple[str, ...]
) -> None:
    graph = start_graph(*given)
    assert not graph.add(ros.SpeechBufferNode, start=False).start()
    assert graph.spin(lambda: graph.said("cannot configure", *words))


def test_a_form_of_sound_without_its_rate_is_warned_of(start_graph: Start) -> None:
    graph = start_graph("audio_channels:=6")
    graph.add(ros.SpeechBufferNode)
    assert graph.spin(lambda: graph.said("audio_channels is 6", "audio_rate is 0"))


def test_a_source_that_says_another_form_than_the_parameters_is_warned_of(
    start_graph: Start,
) -> None:
    graph = start_graph("audio_rate:=16000", "audio_channels:=2")
    graph.add(ros.SpeechBufferNode)
    feed = ros.Feed(graph)
    feed.wait_for_sound_to_be_heard()
    feed.say_format(sample_rate=48_000, channels=1)
    words = ("16000 Hz, 2 channel(s)", "48000 Hz, 1 channel(s)", "which counts")
    assert graph.spin(lambda: graph.said("audio_rate, audio_channels", *words))


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ([], "/image_raw/compressed"),
        (["-r", "image_raw:=/head/eye"], "/head/eye/compressed"),
        (["-r", "image_raw:=eye", "-r", "__ns:=/head"], "/head/eye/compressed"),
        (["-r", "image_raw/compressed:=/packed"], "/packed"),
        (["-r", "image_raw:=/eye", "-r", "image_raw/compressed:=/packed"], "/packed"),
    ],
)
def test_a_remapped_base_topic_takes_its_compressed_images_with_it(
    start_graph: Start, words: list[str], topic: str
) -> None:
    graph = start_graph("image_transport:=compressed", words=words)
    node = graph.add(ros.FaceTracker)
    assert topic in {subscription.topic_name for subscription in node.subscriptions}
    assert graph.spin(lambda: graph.health)
    assert graph.figure("face_tracker: images", "topic") == topic


def test_cameras_and_recorders_follow_the_base_topic_too(
    start_graph: Start, tmp_path: Path
) -> None:
    graph = start_graph(
        "compressed:=true", f"record_out:={tmp_path / 'bag'}", "record_compressed:=true",
        "camera_device:=/nowhere", words=["-r", "image_raw:=/eye"],
    )  # fmt: skip
    camera = graph.add(ros.CameraNode)
    recorder = graph.add(ros.BagRecorder)
    assert "/eye/compressed" in {out.topic_name for out in camera.publishers}
    assert "/eye/compressed" in {one.topic_name for one in recorder.subscriptions}


def test_compressed_images_that_are_remapped_in_vain_are_named(start_graph: Start) -> None:
    graph = start_graph(words=["-r", "image_raw/compressed:=/packed"])
    graph.add(ros.FaceTracker)
    assert graph.spin(lambda: graph.said("remapped to /packed", "image_transport is 'raw'"))
