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
    text = ended(launched(launch_file, f"file:={clip}", "use_sim_time:=true", "required:=true"))
    assert "the file has ended" in text
    assert "process[media_player-2] was required" in text
    assert "Traceback" not in text


def read_until(process: subprocess.Popen[str], *words: str) -> str:
    """What is printed until all words have come, in this order."""
    left, lines = list(words), []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        while left and left[0] in line:
            del left[0]
        if not left:
            break
    assert not left, "".join(lines)
    return "".join(lines)


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_the_others_go_on_after_the_file(launch_file: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    ros.write_clip(clip, seconds=0.5)
    process = launched(launch_file, f"file:={clip}")
    try:
        # The stack says that nothing comes any more: it still runs.
        text = read_until(process, "process has finished cleanly", "no images on /image_raw")
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert "Traceback" not in text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
def test_a_node_that_ends_is_started_again_if_wanted(launch_file: Path, tmp_path: Path) -> None:
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("/**:\n  ros__parameters:\n    model.weights: /none.safetensors\n")
    process = launched(launch_file, f"params_file:={parameters}", "respawn:=true")
    try:
        read_until(process, "cannot configure", "process has died", "cannot configure")
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert "was required" not in text


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("image_topic:=/x",), ("no argument 'image_topic'", "did you mean 'image'")),
        (("camera:=front",), ("argument 'camera' is 'front'",)),
        (("params_file:=/none.yaml",), ("'params_file' is '/none.yaml'", "a file that exists")),
        (("file:=a.mp4", "camera:=0"), ("'file' ('a.mp4') and 'camera' ('0')",)),
        (("robot:=usbcam",), ("'robot' is 'usbcam'", "did you mean 'usb_cam'")),
        (("cameras:=a,b", "image:=/x"), ("'image' is '/x'", "namespace of each")),
    ],
)
def test_arguments_that_cannot_be_meant_start_nothing(
    launch_file: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    text = ended(launched(launch_file, *arguments))
    assert all(word in text for word in words), text
    assert "process started" not in text


BRINGUP = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource


def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("params_file", default_value={parameters!r}),
        DeclareLaunchArgument("camera", default_value={camera!r}),
        DeclareLaunchArgument("loop", default_value="10"),
        DeclareLaunchArgument("image_topic", default_value="of this file"),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource({file!r}),
            launch_arguments=[("image", "/front"), ("requred", "true")],
        ),
    ])
"""


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("camera", ["front", ""])
def test_what_a_robots_own_launch_file_hands_down_is_named(
    launch_file: Path, tmp_path: Path, camera: str
) -> None:
    parameters = tmp_path / "nav2.yaml"
    parameters.write_text("controller_server:\n  ros__parameters: {hz: 20.0}\n")
    bringup = tmp_path / "bringup.launch.py"
    text = BRINGUP.format(parameters=str(parameters), camera=camera, file=str(launch_file))
    bringup.write_text(text)
    process = launched(bringup)
    try:
        if camera:
            words = ("argument 'camera' is 'front'", "includes this one")
            text = ended(process)
        else:
            words = (
                "argument 'loop' is '10'",
                "launch argument 'requred' has no effect here (did you mean 'required'?)",
                f"'{parameters}' is for '/controller_server' and changes nothing",
                ": active",
            )
            text = read_until(process, *words)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert all(word in text for word in words)
    assert "image_topic" not in text


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
def test_a_required_stack_that_cannot_start_ends_the_launch(
    launch_file: Path, tmp_path: Path
) -> None:
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(
        "/**:\n  ros__parameters:\n    model:\n      weights: /none.safetensors\n"
    )
    text = ended(launched(launch_file, f"params_file:={parameters}", "required:=true"))
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


def subscribed(graph: Any, wanted: dict[str, int]) -> bool | dict[str, int]:
    """Whether the topics have so many subscribers; else how many they have."""

    def now() -> dict[str, int]:
        return {name: graph.probe.count_subscribers(name) for name in wanted}

    return graph.spin(lambda: now() == wanted, 60.0) or now()


@pytest.mark.timeout(400)
def test_profiles_rename_topics_and_set_parameters(
    start_graph: Start, launch_file: Path, tmp_path: Path
) -> None:
    graph = start_graph()
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**:\n  ros__parameters: {emotion.hop_s: 0.5}\n")
    process = launched(
        launch_file, "robot:=usb_cam", "mic:=respeaker", f"params_file:={mine}",
        "image_rate_hz:=7",
    )  # fmt: skip
    try:
        topics = {"/camera1/image_raw": 1, "/audio_stamped": 1, "/audio_info": 1}
        joined = subscribed(graph, topics)
        names = ["audio.channel", "emotion.hop_s", "vision.max_rate_hz"]
        request = GetParameters.Request(names=names)
        values = graph.call(GetParameters, "/emotion_stack/get_parameters", request).values
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert joined is True, (joined, text)
    assert values[0].integer_value == 0
    assert [value.double_value for value in values[1:]] == [0.5, 7.0]
    assert "Traceback" not in text


@pytest.mark.timeout(400)
def test_each_of_several_cameras_has_a_stack_and_all_hear_the_same(
    start_graph: Start, launch_file: Path
) -> None:
    graph = start_graph()
    process = launched(launch_file, "cameras:=left,right", "namespace:=head", "image:=color")
    try:
        topics = {
            "/head/left/color": 1, "/head/right/color": 1, "/head/audio": 2,
            "/head/audio_info": 2, "/head/robot_speaking": 2,
        }  # fmt: skip
        joined = subscribed(graph, topics)
        outputs = {
            name: graph.probe.count_publishers(f"/head/{name}/emotion_state")
            for name in ("left", "right")
        }
    finally:
        process.send_signal(signal.SIGINT)
        text = ended(process)
    assert joined is True, (joined, text)
    assert outputs == {"left": 1, "right": 1}
    assert "Traceback" not in text
