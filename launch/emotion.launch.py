"""People's emotion from a camera and a microphone.

    ros2 launch avemo_ros emotion.launch.py image:=/head/image_raw audio:=/audio_stamped
    ros2 launch avemo_ros emotion.launch.py camera:=0 microphone:=default
    ros2 launch avemo_ros emotion.launch.py file:=clip.mp4
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, Shutdown
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import (
    EqualsSubstitution,
    IfElseSubstitution,
    LaunchConfiguration,
    NotEqualsSubstitution,
    PathJoinSubstitution,
)
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = (
    ("image", "image_raw", "topic of the pictures; with image_transport:=compressed those of "
     "<image>/compressed are taken"),
    ("image_transport", "raw", "raw or compressed"),
    ("audio", "audio", "topic of the sound, AudioDataStamped; audio_stamped for the "
     "audio_capture node of Jazzy"),
    ("audio_info", "audio_info", "topic of the sound's format"),
    ("file", "", "media file to play onto these topics; everything ends with it"),
    ("loop", "false", "play the file again and again"),
    ("camera", "", "camera to publish: its number, path or URL; empty: somebody else does"),
    ("microphone", "", "microphone to publish: 'default', its number or a part of its name; "
     "empty: somebody else does"),
    ("composed", "true", "all processing in one process (emotion_stack), or one for each of "
     "face_tracker, speech_buffer and emotion"),
    ("params_file",
     PathJoinSubstitution([FindPackageShare("avemo_ros"), "config", "emotion.yaml"]),
     "parameters of all nodes"),
    ("namespace", "", "of all nodes and relative topics"),
    ("log_level", "info", "debug, info, warn or error"),
    ("use_sim_time", "false", "take the time from /clock; a file then publishes it"),
)


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    given = {name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS}
    sim_time = ParameterValue(given["use_sim_time"], value_type=bool)
    topics = [
        ("image_raw", given["image"]),
        ("image_raw/compressed", [given["image"], "/compressed"]),
        ("audio", given["audio"]),
        ("audio_info", given["audio_info"]),
    ]

    def node(executable: str, condition: object, **parameters: object) -> Node:
        return Node(
            package="avemo_ros",
            executable=executable,
            name=executable,
            output="screen",
            condition=condition,
            parameters=[given["params_file"], parameters],
            remappings=topics,
            ros_arguments=["--log-level", given["log_level"]],
            on_exit=Shutdown(reason=f"{executable} has ended"),
        )

    def text(name: str) -> ParameterValue:
        # Without it a device "0" would become a number.
        return ParameterValue(given[name], value_type=str)

    split = UnlessCondition(given["composed"])
    processing = {"use_sim_time": sim_time}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            GroupAction(
                [
                    PushRosNamespace(given["namespace"]),
                    node(
                        "emotion_stack",
                        IfCondition(given["composed"]),
                        image_transport=given["image_transport"],
                        **processing,
                    ),
                    node(
                        "face_tracker",
                        split,
                        image_transport=given["image_transport"],
                        **processing,
                    ),
                    node("speech_buffer", split, **processing),
                    node("emotion", split, **processing),
                    node(
                        "media_player",
                        IfCondition(NotEqualsSubstitution(given["file"], "")),
                        file=text("file"),
                        loop=ParameterValue(given["loop"], value_type=bool),
                        clock=sim_time,
                        compressed=ParameterValue(
                            EqualsSubstitution(given["image_transport"], "compressed"),
                            value_type=bool,
                        ),
                    ),
                    node(
                        "camera",
                        IfCondition(NotEqualsSubstitution(given["camera"], "")),
                        camera_device=text("camera"),
                        compressed=ParameterValue(
                            EqualsSubstitution(given["image_transport"], "compressed"),
                            value_type=bool,
                        ),
                    ),
                    node(
                        "microphone",
                        IfCondition(NotEqualsSubstitution(given["microphone"], "")),
                        microphone_device=ParameterValue(
                            IfElseSubstitution(
                                EqualsSubstitution(given["microphone"], "default"),
                                "",
                                given["microphone"],
                            ),
                            value_type=str,
                        ),
                    ),
                ]
            ),
        ]
    )
