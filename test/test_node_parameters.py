"""Parameters of the nodes: described, ranged, checked, and all in the parameter file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
OF_RCLPY = ("use_sim_time", "start_type_description_service")


def own_names(node: Any) -> list[str]:
    return [name for name in node.list_parameters([], 0).names if name not in OF_RCLPY]


@pytest.mark.parametrize("make", ros.NODES, ids=lambda make: make.__name__)
def test_every_parameter_is_described_and_in_the_parameter_file(
    start_graph: Start, repository: Path, make: Any
) -> None:
    node = start_graph(patient=False).add(make, start=False)
    content = ros.yaml.safe_load((repository / "config" / "emotion.yaml").read_text())
    tree = content["/**"]["ros__parameters"]
    names = own_names(node)
    assert "autostart" in names
    for name in names:
        descriptor = node.describe_parameter(name)
        assert descriptor.description.endswith("."), name
        explained = tree
        for part in name.split("."):
            explained = explained[part]
        value = node.get_parameter(name).value
        assert explained == value, name
        assert type(explained) is type(value), name
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert descriptor.floating_point_range or descriptor.integer_range, name


def test_the_parameter_file_can_be_given_to_every_node(
    start_graph: Start, repository: Path
) -> None:
    graph = start_graph(file=repository / "config" / "emotion.yaml")
    for make in ros.NODES:
        graph.add(make, start=False)
    assert not graph.lines


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("emotion.hop_s:=5.0", ("'emotion.hop_s'", "5.0", "0.03 to 2.0")),
        ("emotion.hop_s:=1", ("'emotion.hop_s'", "1", "a number", "decimal point")),
        ("image_transport:=theora", ("'image_transport'", "theora", "raw | compressed")),
        ("model.device:=tpu", ("'model.device'", "tpu", "cpu | cuda | tensorrt | auto")),
    ],
)
def test_a_parameter_that_is_not_allowed_is_refused_by_name(
    start_graph: Start, given: str, words: tuple[str, ...]
) -> None:
    graph = start_graph(given)
    with pytest.raises(ros.ConfigError) as caught:
        graph.add(ros.EmotionStack, start=False)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_settings_that_do_not_go_together_fail_configuring(start_graph: Start) -> None:
    graph = start_graph("emotion.window_s:=1.0", "emotion.warm_up_s:=2.0")
    node = graph.add(ros.Emotion, start=False)
    assert not node.start()
    assert graph.spin(lambda: graph.said("cannot configure", "emotion.warm_up_s"))


def test_given_settings_that_there_are_not_are_warned_of_with_the_closest_name(
    start_graph: Start,
) -> None:
    graph = start_graph(
        "emotion.hopp_s:=0.2", "vision.max_faces:=2", "model.zzzzzz:=1", "other.hop_s:=1.0"
    )
    graph.add(ros.Emotion, start=False)
    assert graph.spin(lambda: len(graph.said("has no effect")) >= 2)
    graph.spin_for(0.2)
    (hop,) = graph.said("unknown parameter 'emotion.hopp_s'")
    assert "did you mean 'emotion.hop_s'?" in hop
    assert len(graph.said("unknown parameter 'model.zzzzzz'")) == 1
    assert not graph.said("max_faces")
    assert not graph.said("other")


def test_what_is_read_at_configuring_cannot_change_afterwards(start_graph: Start) -> None:
    graph = start_graph(words=["-r", "__ns:=/eyes"])
    node = graph.add(ros.FaceTracker)
    refused = graph.set(node, "vision.max_faces", 2)
    assert not refused.successful
    command = "`ros2 lifecycle set /eyes/face_tracker"
    assert f"{command} deactivate`, then {command} cleanup`" in refused.reason
    assert "allowed:" not in refused.reason
    node.trigger_deactivate()
    refused = graph.set(node, "vision.max_faces", 2)
    assert f"{command} cleanup`" in refused.reason
    assert "deactivate" not in refused.reason
    node.trigger_cleanup()
    assert graph.set(node, "vision.max_faces", 2).successful
    assert node.start()


def test_a_bad_change_while_running_is_refused_with_a_reason(start_graph: Start) -> None:
    graph = start_graph()
    node = graph.add(ros.Emotion)
    refused = graph.set(node, "emotion.warm_up_s", 9.0)
    assert not refused.successful
    assert "emotion.window_s" in refused.reason
    assert not graph.set(node, "autostart", False).successful


def test_topics_are_relative_and_follow_the_namespace(start_graph: Start) -> None:
    graph = start_graph(words=["-r", "__ns:=/head", "-r", "image_raw:=eyes"])
    node = graph.add(ros.EmotionStack)
    names = {
        name
        for name, _ in node.get_subscriber_names_and_types_by_node(node.get_name(), "/head")
    }
    assert names >= {"/head/eyes", "/head/audio", "/head/audio_info"}
    names = {
        name for name, _ in node.get_publisher_names_and_types_by_node(node.get_name(), "/head")
    }
    assert names >= {"/head/emotion_state", "/head/emotion_states", "/diagnostics"}
