"""People's emotion from a camera and a microphone.

ros2 launch avemo_ros emotion.launch.py image:=/head/image_raw audio:=/audio_stamped
ros2 launch avemo_ros emotion.launch.py camera:=0 microphone:=default
ros2 launch avemo_ros emotion.launch.py file:=clip.mp4 required:=true
"""

import sys

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.logging import get_logger
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from avemo_ros.nodes import launch_arguments
from avemo_ros.nodes.launch_arguments import is_true

CONFIG = PathJoinSubstitution([FindPackageShare("avemo_ros"), "config", "emotion.yaml"])

TOPICS = (
    "audio_info",
    "emotion_events",
    "emotion_overlay",
    "emotion_state",
    "emotion_states",
    "face_tracks",
    "robot_speaking",
    "spectrogram",
    "steady_states",
)
"""Arguments that rename the topic of their name."""

ARGUMENTS = (
    ("image", "image_raw", "topic of the images; compressed images are on <image>/compressed"),
    ("image_transport", "", "raw or compressed; empty: as in params_file"),
    ("camera_info", "", "topic of the camera's calibration; empty: camera_info beside <image>"),
    ("audio", "audio", "topic of the audio; audio_stamped for the audio_capture node of Jazzy"),
    ("audio_info", "audio_info", "topic of the audio format"),
    ("emotion_states", "emotion_states", "topic of the states of all people"),
    ("emotion_state", "emotion_state", "topic of the state of the attended person"),
    ("emotion_events", "emotion_events", "topic of changes of the steady emotions"),
    ("steady_states", "steady_states", "topic of the steady states of all people"),
    (
        "emotion_overlay",
        "emotion_overlay",
        "topic of the images with boxes and labels drawn in",
    ),
    ("face_tracks", "face_tracks", "topic of the faces found"),
    ("spectrogram", "spectrogram", "topic of the spectrogram and the speech probability"),
    (
        "robot_speaking",
        "robot_speaking",
        "topic that is true while the robot speaks, so that its own voice is ignored",
    ),
    (
        "faces",
        "",
        "own: find faces in the images; ros4hri: take those of another node on the topics of "
        "ROS4HRI; empty: as in params_file",
    ),
    (
        "ros4hri",
        "",
        "true: also publish faces, expressions and voices on the topics of ROS4HRI; empty: as "
        "in params_file",
    ),
    ("file", "", "media file to play on these topics"),
    ("loop", "false", "true: play the file repeatedly"),
    (
        "camera",
        "",
        "camera to open: number, path or URL; empty: another node publishes the images",
    ),
    (
        "microphone",
        "",
        "microphone to open: default, its number or a part of its name; empty: another node "
        "publishes the audio",
    ),
    (
        "composed",
        "true",
        "true: run everything in one process (emotion_stack); false: run face_tracker, "
        "speech_buffer and emotion each in their own process",
    ),
    (
        "respawn",
        "false",
        "true: start a node again, after two seconds, that has ended (but no played file)",
    ),
    (
        "required",
        "false",
        "true: end everything as soon as one node ends, for a demo or at the end of a file",
    ),
    (
        "sensing",
        "",
        "false: sense nobody until the service set_sensing turns it on; empty: as in "
        "params_file",
    ),
    ("params_file", CONFIG, "parameter file for all nodes"),
    ("namespace", "", "namespace of all nodes and relative topics"),
    ("log_level", "info", "log level: debug, info, warn or error"),
    (
        "use_sim_time",
        "false",
        "true: take the time from /clock, which a played file then publishes; camera and "
        "microphone use it for their stamps, too",
    ),
)


_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"


def start(context: LaunchContext) -> list[GroupAction]:
    """The nodes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    warnings = launch_arguments.check_inputs(given)
    sim_time, composed = is_true(given, "use_sim_time"), is_true(given, "composed")
    around = context.launch_configurations.get("ros_namespace", "")
    space = launch_arguments.namespace(given["namespace"], around)
    started = [
        *(("emotion_stack",) if composed else ("face_tracker", "speech_buffer", "emotion")),
        *(("media_player",) if given["file"] else ()),
        *(name for name in ("camera", "microphone") if given[name]),
    ]
    # Files that include this one start further nodes, with the same parameter file.
    served = launch_arguments.full_names(
        (*started, "dialog", "bag_player", "bag_recorder"), around, space
    )
    params_file, useless = launch_arguments.parameter_path(given, served)
    for text in (*warnings, *filter(None, [useless])):
        get_logger("emotion.launch.py").warning(text)
    topics = [
        ("image_raw", given["image"]),
        ("image_raw/compressed", f"{given['image']}/compressed"),
        *((("camera_info", given["camera_info"]),) if given["camera_info"] else ()),
        ("audio", given["audio"]),
        # Of all nodes: what one publishes another one takes where they are not composed.
        *((name, given[name]) for name in TOPICS),
    ]

    def node(executable: str, **parameters: bool | str) -> Node:
        # With its type named, the text "0" of a device does not become a number.
        typed = {
            name: ParameterValue(value, value_type=type(value))
            for name, value in parameters.items()
        }
        return Node(
            package="avemo_ros",
            executable=executable,
            name=executable,
            output="screen",
            parameters=[params_file, typed],
            remappings=topics,
            ros_arguments=["--log-level", given["log_level"]],
            respawn=is_true(given, "respawn") and executable != "media_player",
            respawn_delay=2.0,
            on_exit=[Shutdown(reason=f"{executable} has ended")]
            if is_true(given, "required")
            else None,
        )

    compressed = given["image_transport"] == "compressed"
    common: dict[str, bool | str] = {"use_sim_time": sim_time}
    if given["sensing"]:
        common["sensing"] = is_true(given, "sensing")
    people = dict(common)
    if given["ros4hri"]:
        people["ros4hri"] = is_true(given, "ros4hri")
    if given["faces"]:
        people["faces"] = given["faces"]
    images = dict(people)
    if given["image_transport"]:
        images["image_transport"] = given["image_transport"]
    if composed:
        nodes = [node("emotion_stack", **images)]
    else:
        nodes = [
            node("face_tracker", **images),
            node("speech_buffer", **common),
            node("emotion", **people),
        ]
    if given["file"]:
        loop = is_true(given, "loop")
        nodes.append(
            node(
                "media_player",
                file=given["file"],
                loop=loop,
                clock=sim_time,
                compressed=compressed,
            )
        )
    if given["camera"]:
        nodes.append(
            node(
                "camera",
                camera_device=given["camera"],
                compressed=compressed,
                **common,
            )
        )
    if given["microphone"]:
        device = "" if given["microphone"] == "default" else given["microphone"]
        nodes.append(node("microphone", microphone_device=device, **common))
    # Raw images through shared memory, unless the user has a profile; the file says why.
    profile = PathJoinSubstitution([FindPackageShare("avemo_ros"), "config", "fastdds.xml"])
    buffers = SetEnvironmentVariable(
        _PROFILE, EnvironmentVariable(_PROFILE, default_value=profile)
    )
    return [GroupAction([buffers, PushRosNamespace(space), *nodes])]


def check(context: LaunchContext) -> None:  # noqa: ARG001  as launch calls it
    """Refuse misspelt arguments."""
    launch_arguments.check_names(__file__, {name for name, _, _ in ARGUMENTS}, sys.argv)


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            OpaqueFunction(function=check),
            OpaqueFunction(function=start),
        ]
    )
