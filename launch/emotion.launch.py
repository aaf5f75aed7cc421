"""People's emotion from a camera and a microphone.

ros2 launch avemo_ros emotion.launch.py image:=/head/image_raw audio:=/audio_stamped
ros2 launch avemo_ros emotion.launch.py robot:=realsense2_camera mic:=respeaker
ros2 launch avemo_ros emotion.launch.py camera:=0 microphone:=default
ros2 launch avemo_ros emotion.launch.py file:=clip.mp4 required:=true
"""

import sys
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from avemo_ros.nodes import host, launch_arguments
from avemo_ros.nodes.launch_arguments import is_true

CONFIG = PathJoinSubstitution([FindPackageShare("avemo_ros"), "config", "emotion.yaml"])

# None: where the package has it.
ARGUMENTS = tuple(
    (name, CONFIG if value is None else value, text)
    for name, value, text in launch_arguments.EMOTION
)


def start(context: LaunchContext) -> list[GroupAction]:
    """The nodes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    given, files = launch_arguments.completed(given, CONFIG.perform(context))
    warnings = launch_arguments.check_inputs(given)
    sim_time, composed = is_true(given, "use_sim_time"), is_true(given, "composed")
    around = context.launch_configurations.get("ros_namespace", "")
    space = launch_arguments.namespace(given["namespace"], around)
    cameras = launch_arguments.camera_names(given)
    stack = ("emotion_stack",) if composed else ("face_tracker", "speech_buffer", "emotion")
    started = [
        *(f"{camera}/{name}".strip("/") for camera in cameras for name in stack),
        *(("media_player",) if given["file"] else ()),
        *(name for name in ("camera", "microphone") if given[name]),
    ]
    # Files that include this one start further nodes, with the same parameter file.
    served = launch_arguments.full_names(
        (*started, "dialog", "bag_player", "bag_recorder"), around, space
    )
    _, useless = launch_arguments.parameter_path(given, served)
    for text in (*warnings, *filter(None, [useless])):
        get_logger("emotion.launch.py").warning(text)

    def shared(topic: str) -> str:
        """A topic beside the cameras, which the nodes within theirs would not find."""
        spaces = launch_arguments.full_names([topic], around, space)
        return topic if topic.startswith("/") else spaces[0]

    def node(executable: str, within: str = "", **parameters: bool | int | float | str) -> Node:
        of_all = ("audio", "audio_info", "robot_speaking") if within else ()
        # With its type named, the text "0" of a device does not become a number.
        typed = {
            name: ParameterValue(value, value_type=type(value))
            for name, value in parameters.items()
        }
        return Node(
            package="avemo_ros",
            executable=executable,
            name=executable,
            namespace=within or None,
            output="screen",
            parameters=[*files, typed],
            remappings=[
                (name, shared(topic) if name in of_all else topic)
                for name, topic in launch_arguments.remappings(given)
            ],
            ros_arguments=["--log-level", given["log_level"]],
            respawn=is_true(given, "respawn") and executable != "media_player",
            respawn_delay=2.0,
            on_exit=[Shutdown(reason=f"{executable} has ended")]
            if is_true(given, "required")
            else None,
        )

    compressed = given["image_transport"] == "compressed"
    single = launch_arguments.single_parameters(given)
    sensing = {name: single[name] for name in ("sensing",) if name in single}
    nodes = [
        node(name, camera, use_sim_time=sim_time, **single)
        for camera in cameras
        for name in stack
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
                **sensing,
            )
        )
    if given["microphone"]:
        device = "" if given["microphone"] == "default" else given["microphone"]
        nodes.append(
            node("microphone", microphone_device=device, use_sim_time=sim_time, **sensing)
        )
    # With buffers for raw images, unless the user has settings; the files say why.
    folder = Path(CONFIG.perform(context)).parent
    wanted = host.settings_to_set(folder, context.environment)
    buffers = [SetEnvironmentVariable(name, value) for name, value in wanted.items()]
    return [GroupAction([*buffers, PushRosNamespace(space), *nodes])]


def check(context: LaunchContext) -> None:
    """Refuse misspelt arguments; warn of those of a launch file that includes this one."""
    names = {name for name, _, _ in ARGUMENTS}
    launch_arguments.check_names(__file__, names, sys.argv)
    for text in launch_arguments.near_misses(names, context.launch_configurations):
        get_logger("emotion.launch.py").warning(text)


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
