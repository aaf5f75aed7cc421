"""The life cycle of the nodes, as a lifecycle manager and a user see it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clip_bags
import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]


def change(graph: Any, node: Any, transition: int) -> bool:
    """Ask for a transition as `ros2 lifecycle set` does."""
    request = ros.ChangeState.Request()
    request.transition.id = transition
    done: bool = graph.call(ros.ChangeState, f"{node.get_name()}/change_state", request).success
    return done


def topics(node: Any) -> set[str]:
    name, namespace = node.get_name(), node.get_namespace()
    found = [
        *node.get_publisher_names_and_types_by_node(name, namespace),
        *node.get_subscriber_names_and_types_by_node(name, namespace),
    ]
    shared = ("/diagnostics", "/parameter_events", "/rosout", f"/{name}/transition_event")
    return {topic for topic, _ in found} - set(shared)


def test_topics_appear_on_activation_and_vanish_on_deactivation(start_graph: Start) -> None:
    graph = start_graph("autostart:=false")
    node = graph.add(ros.EmotionStack, start=False)
    assert topics(node) == set()
    assert change(graph, node, ros.Transition.TRANSITION_CONFIGURE)
    assert topics(node) == set()
    assert change(graph, node, ros.Transition.TRANSITION_ACTIVATE)
    assert topics(node) == {
        "/audio", "/audio_info", "/bond", "/camera_info", "/emotion_events", "/emotion_overlay",
        "/emotion_state", "/emotion_states", "/face_tracks", "/forgotten_person",
        "/image_raw", "/robot_speaking", "/sensing", "/spectrogram", "/steady_states",
    }  # fmt: skip
    assert change(graph, node, ros.Transition.TRANSITION_DEACTIVATE)
    assert topics(node) == set()
    assert change(graph, node, ros.Transition.TRANSITION_CLEANUP)


def test_a_node_that_is_activated_again_works_as_before(start_graph: Start) -> None:
    graph = start_graph(*ros.QUICK)
    node = graph.add(ros.EmotionStack)
    feed = ros.Feed(graph)
    states = graph.collect(ros.EmotionState, "emotion_state")
    for _ in range(2):
        feed.wait_for_images_to_be_heard()
        del states[:]
        assert feed.play_until(
            lambda: any(state.status == ros.EmotionState.NO_VOICE for state in states), 2.0
        )
        assert change(graph, node, ros.Transition.TRANSITION_DEACTIVATE)
        graph.spin_for(0.3)
        del states[:]
        graph.spin_for(0.5)
        assert not states
        assert change(graph, node, ros.Transition.TRANSITION_ACTIVATE)


@pytest.mark.parametrize("make", ros.NODES, ids=lambda make: make.__name__)
def test_every_node_goes_through_its_life_cycle_twice(
    start_graph: Start, make: Any, tmp_path: Path
) -> None:
    bag = clip_bags.cut_bag(tmp_path / "bag", [clip_bags.Piece(0.0, 0.5, 0.0, 0.0)])
    graph = start_graph(
        f"file:={ros.SAMPLE}", f"bag:={bag}", f"record_out:={tmp_path / 'out'}",
        "at_end:=idle", "wait_for_subscribers_s:=0.0",
    )  # fmt: skip
    node = graph.add(make, start=False)
    for _ in range(2):
        assert node.start()
        assert node.active
        graph.spin_for(0.2)
        assert node.trigger_deactivate() == ros.SUCCESS
        assert node.trigger_cleanup() == ros.SUCCESS


def executable(node: str, *parameters: str) -> list[str]:
    words = [word for item in parameters for word in ("-p", item)]
    return [sys.executable, "-m", f"avemo_ros.nodes.{node}", "--ros-args", *words]


@pytest.mark.usefixtures("ros_domain")
def test_a_start_that_fails_ends_the_process_with_status_1(tmp_path: Path) -> None:
    command = executable("emotion", f"model.weights:={tmp_path}/none.safetensors")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 1
    assert "cannot configure" in ended.stderr
    assert "none.safetensors" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("ros_domain")
def test_a_parameter_that_is_not_allowed_ends_the_process_with_status_1() -> None:
    command = executable("face_tracker", "vision.max_faces:=99")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 1
    message = "parameter 'vision.max_faces' is 99; allowed: a whole number from 1 to 16"
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_player_and_stack_as_processes_end_cleanly_on_a_signal(
    start_graph: Start, number: signal.Signals
) -> None:
    graph = start_graph()
    states = graph.collect(ros.EmotionState, "emotion_state")
    # On a busy machine the networks take long to load.
    given = (f"file:={ros.SAMPLE}", "wait_for_subscribers_s:=120.0")
    commands = (executable("emotion_stack"), executable("media_player", *given))
    processes = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
        for command in commands
    ]
    try:
        seen = graph.spin(
            lambda: any(state.status == ros.EmotionState.NO_VOICE for state in states), 120.0
        )
        for process in processes:
            process.send_signal(number)
            time.sleep(0.1)
            # Launch and a terminal both send one: the second must not disturb the first.
            process.send_signal(number)
        ends = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert seen
    for process, (_, errors) in zip(processes, ends, strict=True):
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
