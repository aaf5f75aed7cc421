"""A dialog that answers with empathy, on top of people's emotion from emotion.launch.py.

ros2 launch avemo_ros dialog.launch.py camera:=0 microphone:=default
ros2 launch avemo_ros dialog.launch.py image:=/head/image_raw audio:=/audio speak:=true
ros2 launch avemo_ros dialog.launch.py file:=clip.mp4 model:=llama3.2

All arguments of emotion.launch.py may be given, too; `ros2 launch -s` lists them.
"""

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
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue

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
    ("strategies", "", "YAML file of the response strategies (default: config/dialog.yaml)"),
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
    "strategies": "dialog.strategies",
    "model": "endpoint.model",
    "base_url": "endpoint.base_url",
    "key_variable": "endpoint.key_variable",
    "voice": "voice",
}
"""Arguments that are parameters with a text."""
SWITCHES = ("use_emotion", "speak", "use_sim_time")
"""Arguments that are parameters of their name, true or false."""


def check(context: LaunchContext) -> None:
    """Refuse what is neither true nor false before anything starts."""
    for name in ("use_emotion", "speak"):
        value = LaunchConfiguration(name).perform(context)
        if value:
            is_true(name, value)


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
        name: ParameterValue(is_true(name, given(name)), value_type=bool)
        for name in SWITCHES
        if given(name)
    }
    node = Node(
        package="avemo_ros",
        executable="dialog",
        name="dialog",
        output="screen",
        parameters=[given("params_file"), parameters],
        remappings=[(name, given(name)) for name in TOPICS],
        ros_arguments=["--log-level", given("log_level")],
        on_exit=Shutdown(reason="dialog has ended"),
    )
    return [GroupAction([PushRosNamespace(given("namespace")), node])]


def is_true(name: str, value: str) -> bool:
    """Whether an argument is true.

    Raises:
        ValueError: it is neither true nor false.
    """
    if value.lower() not in ("true", "false"):
        raise ValueError(f"argument '{name}' is '{value}'; allowed: true | false")
    return value.lower() == "true"


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    # A plain path: `ros2 launch -s` cannot look into one that is yet to be substituted.
    emotion = str(Path(__file__).with_name("emotion.launch.py"))
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            OpaqueFunction(function=check),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(emotion)),
            OpaqueFunction(function=start),
        ]
    )
