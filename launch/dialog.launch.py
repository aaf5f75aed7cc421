"""A dialog that answers with empathy, on top of people's emotion from emotion.launch.py.

ros2 launch avemo_ros dialog.launch.py camera:=0 microphone:=default
ros2 launch avemo_ros dialog.launch.py image:=/head/image_raw audio:=/audio speak:=true
ros2 launch avemo_ros dialog.launch.py file:=clip.mp4 model:=llama3.2 required:=true

All arguments of emotion.launch.py may be given, too; `ros2 launch -s` lists them.
"""

import sys
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue

from avemo_ros.nodes import launch_arguments
from avemo_ros.nodes.launch_arguments import is_true

ARGUMENTS = (
    ("speech_text", "speech_text", "topic of the person's words, std_msgs/String"),
    (
        "live_speech",
        "live_speech",
        "topic of the person's words, hri_msgs/LiveSpeech, if that is installed; e.g. "
        "/humans/voices/anonymous_speaker/speech",
    ),
    ("dialog_reply", "dialog_reply", "topic of the whole answer"),
    ("dialog_text", "dialog_text", "topic of the answer's text"),
    ("dialog_ssml", "dialog_ssml", "topic of the answer as SSML, for a speech synthesiser"),
    ("respond", "respond", "name of the service that answers a person's words"),
    # Empty: what params_file says; in brackets what it says as it comes.
    ("language", "", "language of words and answers: en (default), de"),
    ("strategies", "", "own YAML file of strategies and texts (default: the language's)"),
    ("model", "", "model at a chat endpoint that writes the answers; empty: answer offline"),
    ("base_url", "", "address of the endpoint; default: Ollama on this host"),
    ("key_variable", "", "NAME of the environment variable with the endpoint's key"),
    ("use_emotion", "", "false: answer as if nothing were sensed (default: true)"),
    ("speak", "", "true: say the answers with espeak-ng, if it is installed (default: false)"),
    ("voice", "", "voice of espeak-ng (default: en)"),
)

TOPICS = (
    "speech_text",
    "live_speech",
    "dialog_reply",
    "dialog_text",
    "dialog_ssml",
    "respond",
    "emotion_states",
    "robot_speaking",
)
"""Arguments that rename what the node has; the last two are those of emotion.launch.py."""
PARAMETERS = {
    "language": "dialog.language",
    "strategies": "dialog.strategies",
    "model": "endpoint.model",
    "base_url": "endpoint.base_url",
    "key_variable": "endpoint.key_variable",
    "voice": "voice",
}
"""Arguments that are parameters with a text."""
SWITCHES = ("use_emotion", "speak", "use_sim_time", "sensing")
"""Arguments that are parameters of their name, true or false."""


# A plain path: `ros2 launch -s` cannot look into one that is yet to be substituted.
EMOTION = IncludeLaunchDescription(
    PythonLaunchDescriptionSource(str(Path(__file__).with_name("emotion.launch.py")))
)


def check(context: LaunchContext) -> None:
    """Refuse what is misspelt, or neither true nor false, before anything starts."""
    included = EMOTION.launch_description_source.get_launch_description(context)
    names = {argument.name for argument in included.get_launch_arguments()}
    names |= {name for name, _, _ in ARGUMENTS}
    launch_arguments.check_names(__file__, names, sys.argv)
    for text in launch_arguments.near_misses(names, context.launch_configurations):
        get_logger("dialog.launch.py").warning(text)
    for name in ("use_emotion", "speak"):
        value = LaunchConfiguration(name).perform(context)
        if value:
            is_true({name: value}, name)


def start(context: LaunchContext) -> list[GroupAction]:
    """The dialog node; after the inclusion, so that the arguments of that are known."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    parameters = {
        parameter: ParameterValue(given(name), value_type=str)
        for name, parameter in PARAMETERS.items()
        if given(name)
    }
    parameters |= {
        name: ParameterValue(is_true({name: given(name)}, name), value_type=bool)
        for name in SWITCHES
        if given(name)
    }
    node = Node(
        package="avemo_ros",
        executable="dialog",
        name="dialog",
        output="screen",
        parameters=[str(Path(given("params_file")).expanduser()), parameters],
        remappings=[(name, given(name)) for name in TOPICS],
        ros_arguments=["--log-level", given("log_level")],
        respawn=given("respawn").lower() == "true",
        respawn_delay=2.0,
        on_exit=[Shutdown(reason="dialog has ended")]
        if given("required").lower() == "true"
        else None,
    )
    around = context.launch_configurations.get("ros_namespace", "")
    space = launch_arguments.namespace(given("namespace"), around)
    return [GroupAction([PushRosNamespace(space), node])]


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            OpaqueFunction(function=check),
            EMOTION,
            OpaqueFunction(function=start),
        ]
    )
