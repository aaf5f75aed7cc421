"""People's emotion from a camera and a microphone.

ros2 launch avemo_ros emotion.launch.py image:=/head/image_raw audio:=/audio_stamped
ros2 launch avemo_ros emotion.launch.py camera:=0 microphone:=default
ros2 launch avemo_ros emotion.launch.py file:=clip.mp4
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

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
    ("file", "", "media file to play on these topics; at its end everything stops"),
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
    topics = [
        ("image_raw", given["image"]),
        ("image_raw/compressed", f"{given['image']}/compressed"),
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
            parameters=[given["params_file"], typed],
            remappings=topics,
            ros_arguments=["--log-level", given["log_level"]],
            on_exit=Shutdown(reason=f"{executable} has ended"),
        )

    sim_time = is_true(given, "use_sim_time")
    compressed = given["image_transport"] == "compressed"
    images: dict[str, bool | str] = {"use_sim_time": sim_time}
    if given["image_transport"]:
        images["image_transport"] = given["image_transport"]
    if is_true(given, "composed"):
        nodes = [node("emotion_stack", **images)]
    else:
        nodes = [
            node("face_tracker", **images),
            node("speech_buffer", use_sim_time=sim_time),
            node("emotion", use_sim_time=sim_time),
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
                use_sim_time=sim_time,
            )
        )
    if given["microphone"]:
        device = "" if given["microphone"] == "default" else given["microphone"]
        nodes.append(node("microphone", microphone_device=device, use_sim_time=sim_time))
    # Raw images through shared memory, unless the user has a profile; the file says why.
    profile = PathJoinSubstitution([FindPackageShare("avemo_ros"), "config", "fastdds.xml"])
    buffers = SetEnvironmentVariable(
        _PROFILE, EnvironmentVariable(_PROFILE, default_value=profile)
    )
    return [GroupAction([buffers, PushRosNamespace(given["namespace"]), *nodes])]


def is_true(given: dict[str, str], name: str) -> bool:
    """Whether an argument is true.

    Raises:
        ValueError: it is neither true nor false.
    """
    text = given[name].lower()
    if text not in ("true", "false"):
        raise ValueError(f"argument '{name}' is '{given[name]}'; allowed: true | false")
    return text == "true"


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            OpaqueFunction(function=start),
        ]
    )
