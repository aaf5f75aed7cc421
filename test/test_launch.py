"""launch/emotion.launch.py, where `launch` is installed (it is part of a ROS installation)."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
pytest.importorskip("launch_ros", reason="launch is not on PyPI: it needs a ROS installation")
GetParameters = pytest.importorskip("rcl_interfaces.srv").GetParameters
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Start = Callable[..., Any]

LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [word.split(":=", 1) for word in sys.argv[2:]]
service = LaunchService()
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments))
sys.exit(service.run())
"""


@pytest.fixture
def launch_file(repository: Path) -> Path:
    return repository / "launch" / "emotion.launch.py"


OUTPUTS = ("emotion_states", "emotion_state", "emotion_overlay", "face_tracks", "spectrogram")


def launched(file: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(file), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    """What was printed until the end."""
    try:
        return process.communicate(timeout=240)[0]
    finally:
        process.kill()


def test_every_argument_is_described(launch_file: Path) -> None:
    spec = importlib.util.spec_from_file_location("emotion_launch", launch_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    declared = {
        action.name: action.description
        for action in module.generate_launch_description().get_launch_arguments()
    }
    assert set(declared) == {name for name, _, _ in module.ARGUMENTS}
    assert all(len(text) > 5 for text in declared.values())


@pytest.mark.parametrize(
    ("composed", "nodes"),
    [
        ("true", {"emotion_stack"}),
        ("false", {"face_tracker", "speech_buffer", "emotion"}),
    ],
)
@pytest.mark.timeout(400)
def test_a_file_becomes_states_on_the_topics_of_the_namespace(
    start_graph: Start, launch_file: Path, composed: str, nodes: set[str]
) -> None:
    graph = start_graph()
    states = graph.collect(ros.EmotionState, "/head/feeling")
    drawn = graph.collect(ros.Image, "/head/drawn")
    process = launched(
        launch_file, f"file:={ros.SAMPLE}", f"composed:={composed}", "namespace:=head",
        "image:=eyes", "loop:=true", "log_level:=warn", "emotion_state:=feeling",
        "emotion_states:=feelings", "face_tracks:=/faces", "spectrogram:=sounds",
        "emotion_overlay:=drawn",
    )  # fmt: skip
    try:
        claimed = graph.spin(
            lambda: any(state.status == ros.EmotionState.NO_VOICE for state in states), 60.0
        )
        found = {
            name
            for name, space in graph.probe.get_node_names_and_namespaces()
            if space == "/head"
        }
        shown = graph.spin(lambda: drawn, 30.0)
        # What was renamed, with how many publish and how many of the nodes take it.
        split = composed == "false"
        wanted = {
            "/head/eyes": (1, 1),
            "/head/feelings": (1, int(split)),
            "/faces": (1, int(split)),
            "/head/sounds": (1, int(split)),
        }

        def ends() -> dict[str, tuple[int, int]]:
            probe = graph.probe
            return {
                name: (probe.count_publishers(name), probe.count_subscribers(name))
                for name in wanted
            }

        joined = graph.spin(lambda: ends() == wanted, 20.0) or ends()
        names = {name for name, _ in graph.probe.get_topic_names_and_types()}
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert claimed, text
    assert found == nodes | {"media_player"}
    assert shown, text
    assert joined is True, joined
    assert not names & {f"/head/{name}" for name in (*OUTPUTS, "image_raw")}
    assert "Traceback" not in text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_everything_ends_with_the_file(launch_file: Path, tmp_path: Path) -> None:
    clip = tmp_path / "a clip.mp4"
    ros.write_clip(clip, seconds=0.5)
    text = ended(launched(launch_file, f"file:={clip}", "use_sim_time:=true"))
    assert "the file has ended" in text
    assert "process[media_player-2] was required" in text
    assert "Traceback" not in text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_devices_that_are_not_there_are_waited_for(launch_file: Path) -> None:
    process = launched(launch_file, "camera:=99", "microphone:='no such microphone'")
    lines: list[str] = []
    wanted = {"/dev/video99", "microphone: "}
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.append(line)
            wanted = {word for word in wanted if word not in line}
            if not wanted:
                break
    finally:
        process.send_signal(signal.SIGINT)
        text = "".join(lines) + ended(process)
    assert text.count("trying again") >= 2
    assert "Traceback" not in text


@pytest.mark.usefixtures("ros_domain")
def test_an_argument_that_is_not_allowed_is_refused_by_name(launch_file: Path) -> None:
    text = ended(launched(launch_file, "composed:=maybe"))
    assert "argument 'composed' is 'maybe'; allowed: true | false" in text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_a_stack_that_cannot_start_ends_the_launch(launch_file: Path, tmp_path: Path) -> None:
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(
        "/**:\n  ros__parameters:\n    model:\n      weights: /none.safetensors\n"
    )
    text = ended(launched(launch_file, f"params_file:={parameters}"))
    assert "cannot configure" in text
    assert "/none.safetensors" in text
    assert "process[emotion_stack-1] was required" in text


@pytest.mark.timeout(400)
def test_simulated_time_reaches_every_node_that_stamps(
    start_graph: Start, launch_file: Path
) -> None:
    graph = start_graph()
    process = launched(
        launch_file, "camera:=99", "microphone:='no such microphone'", "use_sim_time:=true"
    )
    try:
        given = {
            name: graph.call(
                GetParameters,
                f"/{name}/get_parameters",
                GetParameters.Request(names=["use_sim_time"]),
            )
            .values[0]
            .bool_value
            for name in ("emotion_stack", "camera", "microphone")
        }
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert given == {"emotion_stack": True, "camera": True, "microphone": True}
    assert "Traceback" not in text
