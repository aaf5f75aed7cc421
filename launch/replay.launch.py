"""People's emotion from a bag, as if camera and microphone were there.

ros2 launch avemo_ros replay.launch.py bag:=session
ros2 launch avemo_ros replay.launch.py bag:=session rate:=0.5 record:=states
ros2 launch avemo_ros replay.launch.py bag:=session loop:=true start:=30
"""

from __future__ import annotations

import sys
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from avemo_ros.bag.folder import Bag
from avemo_ros.bag.storage import Channel
from avemo_ros.bag.topics import Topics, choose_all
from avemo_ros.nodes import host, launch_arguments, parameter_file
from avemo_ros.nodes.launch_arguments import is_true, number

SHARE = FindPackageShare("avemo_ros")
CONFIG = PathJoinSubstitution([SHARE, "config", "emotion.yaml"])
INPUTS = ("image", "audio", "audio_info", "robot_speaking", "face_tracks", "spectrogram")

ARGUMENTS = (
    ("bag", None, "bag to play: its folder, or one of its files"),
    ("rate", "1.0", "playback speed as a multiple of real time; the machine has to keep up"),
    ("loop", "false", "true: play repeatedly; stamps and /clock keep rising"),
    ("start", "0.0", "seconds to skip at the beginning"),
    ("image", "", "topic of the images; empty: found by type, as in `avemo bag evaluate`"),
    ("audio", "", "topic of the audio; empty: found by type"),
    ("audio_info", "", "topic of the audio format; empty: found by type"),
    (
        "robot_speaking",
        "",
        "topic that is true while the robot speaks; empty: found by its name",
    ),
    ("face_tracks", "", "topic of recorded faces; empty: found by type"),
    ("spectrogram", "", "topic of recorded spectrograms; empty: found by type"),
    (
        "use",
        "auto",
        "raw: use images and audio of the bag; features: use its faces and spectrograms; "
        "auto: raw if the bag has them",
    ),
    ("record", "", "bag to record the states to; empty: none"),
    (
        "record_content",
        "features",
        "what to record besides the states: raw (images and audio), features (small face "
        "crops, spectrograms) or nothing",
    ),
    ("required", "true", "false: go on until Ctrl-C when the bag or one node has ended"),
    ("params_file", CONFIG, "parameter file for all nodes"),
    ("log_level", "info", "log level: debug, info, warn or error"),
)


def start(context: LaunchContext) -> list[Action]:
    """The nodes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    given["params_file"] = parameter_path(context, given)
    found = inputs_of(given)
    folder = Path(CONFIG.perform(context)).parent
    wanted = host.settings_to_set(folder, context.environment)
    raw = not {"face_tracks", "spectrogram"} & set(found)
    # Where its inputs are recorded again, the recorder listens before the networks are loaded.
    again = given["record"] != "" and (
        given["record_content"] == ("raw" if raw else "features")
    )
    actions: list[Action] = [
        # With buffers for raw images, unless the user has settings; the files say why.
        *(SetEnvironmentVariable(name, value) for name, value in wanted.items()),
        node(
            given,
            "bag_player",
            bag=given["bag"],
            play_topics=" ".join(channel.topic for channel in found.values()),
            play_rate=number(given, "rate"),
            loop=is_true(given, "loop"),
            play_start_s=number(given, "start"),
            play_clock=True,
            at_end="exit",
            play_subscribers=2 if again else 1,
            wait_for_subscribers_s=120.0,
        ),
    ]
    if raw:
        actions.append(stack(given, found))
    else:
        actions.append(node(given, "emotion", found=found, use_sim_time=True))
    if given["record"]:
        actions.append(
            node(
                given,
                "bag_recorder",
                found=found,
                record_out=given["record"],
                record_content=given["record_content"],
                record_compressed=is_compressed(found),
                use_sim_time=True,
            )
        )
    return actions


def parameter_path(context: LaunchContext, given: dict[str, str]) -> str:
    """The parameter file; warns if it changes nothing."""
    around = context.launch_configurations.get("ros_namespace", "")
    nodes = launch_arguments.full_names(parameter_file.NODES, around)
    path, useless = launch_arguments.parameter_path(given, nodes)
    if useless:
        get_logger("replay.launch.py").warning(useless)
    return path


def inputs_of(given: dict[str, str]) -> dict[str, Channel]:
    """What of the bag is played, by the names that the nodes have for it.

    Raises:
        BagError: the bag cannot be read, a topic is not there, or nothing can be used.
        ValueError: `use` is none of those.
    """
    launch_arguments.one_of(given, "use", ("auto", "raw", "features"))
    bag = Bag(given["bag"])
    try:
        topics = Topics(**{name: given[name] for name in INPUTS})
        chosen = choose_all(topics, bag.channels)
    finally:
        bag.close()
    raw = {name: chosen[name] for name in INPUTS[:4] if name in chosen}
    features = {name: chosen[name] for name in INPUTS[4:] if name in chosen}
    use_raw = given["use"] == "raw" or (
        given["use"] == "auto" and ("image" in raw or "audio" in raw)
    )
    used = raw if use_raw else features
    if not used:
        raise ValueError(f"'{given['bag']}' contains nothing that the emotion nodes can use")
    return used


def is_compressed(found: dict[str, Channel]) -> bool:
    """Whether the images of the bag are compressed ones."""
    return "image" in found and found["image"].type.endswith("CompressedImage")


def stack(given: dict[str, str], found: dict[str, Channel]) -> Action:
    """The processing, as emotion.launch.py starts it."""
    arguments = {
        "use_sim_time": "true",
        "params_file": given["params_file"],
        "required": given["required"],
        "log_level": given["log_level"],
    }
    for name in ("audio", "audio_info", "robot_speaking"):
        if name in found:
            arguments[name] = found[name].topic
    if "image" in found:
        compressed = is_compressed(found)
        arguments["image_transport"] = "compressed" if compressed else "raw"
        arguments["image"] = found["image"].topic.removesuffix("/compressed")
    source = PythonLaunchDescriptionSource(
        PathJoinSubstitution([SHARE, "launch", "emotion.launch.py"])
    )
    include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    # Arguments of the same names here are not meant for there.
    return GroupAction([include], forwarding=False)


def node(
    given: dict[str, str],
    executable: str,
    found: dict[str, Channel] | None = None,
    **parameters: bool | int | float | str,
) -> Node:
    """One node whose inputs are the topics of the bag."""
    names = {"image": "image_raw/compressed" if is_compressed(found or {}) else "image_raw"}
    return Node(
        package="avemo_ros",
        executable=executable,
        name=executable,
        output="screen",
        parameters=[
            given["params_file"],
            {
                name: ParameterValue(value, value_type=type(value))
                for name, value in parameters.items()
            },
        ],
        remappings=[
            (names.get(name, name), channel.topic) for name, channel in (found or {}).items()
        ],
        ros_arguments=["--log-level", given["log_level"]],
        # What a recorder has still to write takes its time.
        sigterm_timeout="60",
        on_exit=[Shutdown(reason=f"{executable} has ended")]
        if is_true(given, "required")
        else None,
    )


def check(context: LaunchContext) -> None:
    """Refuse misspelt arguments; warn of those of a launch file that includes this one."""
    names = {name for name, _, _ in ARGUMENTS}
    launch_arguments.check_names(__file__, names, sys.argv)
    for text in launch_arguments.near_misses(names, context.launch_configurations):
        get_logger("replay.launch.py").warning(text)


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
