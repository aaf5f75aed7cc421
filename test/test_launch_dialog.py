"""launch/dialog.launch.py, where `launch` is installed (it is part of a ROS installation)."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
pytest.importorskip("launch_ros", reason="launch is not on PyPI: it needs a ROS installation")
launching = pytest.importorskip("test_launch")
GetParameters = pytest.importorskip("rcl_interfaces.srv").GetParameters
String = pytest.importorskip("std_msgs.msg").String
messages = pytest.importorskip("avemo_ros.msg")
Respond = pytest.importorskip("avemo_ros.srv").Respond
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]
LONG_S = 60.0


@pytest.fixture
def launch_file(repository: Path) -> Path:
    return repository / "launch" / "dialog.launch.py"


def parameters(graph: Any, node: str, *names: str) -> list[Any]:
    """What a node has as values, as text."""
    answer = graph.call(
        GetParameters, f"{node}/get_parameters", GetParameters.Request(names=names)
    )
    return [
        value.string_value if value.type == 4 else value.bool_value for value in answer.values
    ]


def test_every_argument_is_described_and_those_of_the_emotion_stack_are_there_too(
    launch_file: Path,
) -> None:
    from launch import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    source = PythonLaunchDescriptionSource(str(launch_file))
    description = source.get_launch_description(LaunchContext())
    declared = {
        action.name: action.description for action in description.get_launch_arguments()
    }
    assert {"speech_text", "model", "speak"} <= set(declared)
    assert {"file", "camera", "namespace", "robot_speaking", "params_file"} <= set(declared)
    assert all(len(text) > 5 for text in declared.values())


@pytest.mark.timeout(400)
def test_words_are_answered_on_the_topics_of_the_namespace(
    start_graph: Start, launch_file: Path
) -> None:
    graph = start_graph()
    replies = graph.collect(messages.DialogReply, "/head/answers")
    states = graph.collect(messages.EmotionState, "/head/emotion_state")
    words = graph.probe.create_publisher(String, "/head/heard", 10)
    process = launching.launched(
        launch_file, f"file:={ros.SAMPLE}", "loop:=true", "namespace:=head", "log_level:=warn",
        "speech_text:=heard", "dialog_reply:=answers", "respond:=talk", "speak:=true",
        "robot_speaking:=/mouth", "emotion_states:=feelings", "voice:=en-us",
    )  # fmt: skip
    try:
        joined = graph.spin(words.get_subscription_count, LONG_S)
        known = graph.spin(lambda: any(state.probabilities for state in states), LONG_S)
        words.publish(String(data="Well, that is how it went."))
        answered = graph.spin(lambda: replies, LONG_S)
        response = graph.call(Respond, "/head/talk", Respond.Request(text="And now?"))
        probe = graph.probe
        met = graph.spin(
            lambda: all(
                probe.count_publishers(name) == 1 and probe.count_subscribers(name)
                for name in ("/head/feelings", "/mouth")
            ),
            LONG_S,
        )
        voice = parameters(graph, "/head/dialog", "voice", "speak")
    finally:
        process.send_signal(signal.SIGINT)
        text = launching.ended(process)
    assert joined, text
    assert known, text
    assert answered, text
    assert replies[0].utterance == "Well, that is how it went."
    assert response.success
    assert met, text
    assert voice == ["en-us", True]
    assert "Traceback" not in text


@pytest.mark.timeout(400)
def test_arguments_that_are_not_given_leave_the_parameter_file_alone(
    start_graph: Start, launch_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    endpoint: {model: tiny, base_url: 'http://[::1]:9/v1'}\n"
        "    speak: true\n"
    )
    graph = start_graph()
    process = launching.launched(
        launch_file, "camera:=99", f"params_file:={file}", "key_variable:=MY_KEY",
        "use_emotion:=false", "use_sim_time:=true",
    )  # fmt: skip
    try:
        names = ("model", "base_url", "key_variable")
        endpoint = parameters(graph, "dialog", *(f"endpoint.{name}" for name in names))
        rest = parameters(graph, "dialog", "use_emotion", "use_sim_time", "speak")
    finally:
        process.send_signal(signal.SIGINT)
        text = launching.ended(process)
    assert endpoint == ["tiny", "http://[::1]:9/v1", "MY_KEY"], text
    assert rest == [False, True, True], text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_a_required_dialog_that_cannot_start_ends_the_launch(launch_file: Path) -> None:
    words = ("camera:=99", "strategies:=/none.yaml", "required:=true")
    text = launching.ended(launching.launched(launch_file, *words))
    assert "cannot configure" in text
    assert "/none.yaml" in text
    assert "process[dialog" in text


@pytest.mark.usefixtures("ros_domain")
def test_an_argument_that_is_not_allowed_is_refused_by_name(launch_file: Path) -> None:
    text = launching.ended(launching.launched(launch_file, "speak:=loudly"))
    assert "argument 'speak' is 'loudly'; allowed: true | false" in text
