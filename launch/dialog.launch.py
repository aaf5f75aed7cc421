"""A dialog that answers with empathy, on top of people's emotion from emotion.launch.py.

ros2 launch avemo_ros dialog.launch.py camera:=0 microphone:=default
ros2 launch avemo_ros dialog.launch.py image:=/head/image_raw audio:=/audio speak:=true
ros2 launch avemo_ros dialog.launch.py file:=clip.mp4 model:=llama3.2

All arguments of emotion.launch.py may be given, too; `ros2 launch -s` lists them.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue

ARGUMENTS = (
    ("speech_text", "speech_text", "topic of the person's words, std_msgs/String"),
    (
        "live_speech",
        "live_speech",
        "topic of the person's words, hri_msgs/LiveSpeech, where that is installed; e.g. "
        "/humans/voices/anonymous_speaker/speech",
    ),
    ("dialog_reply", "dialog_reply", "topic of the whole answer"),
    ("dialog_text", "dialog_text", "topic of the answer's text"),
    ("dialog_ssml", "dialog_ssml", "topic of the answer as SSML, for a speech synthesiser"),
    ("respond", "respond", "name of the service that answers words"),
    ("strategies", "", "YAML file of the response strategies; empty: config/dialog.yaml"),
    (
        "model",
        "",
        "model of a chat endpoint that words the answers; empty: what params_file says, which "
        "is nothing unless you changed it: the offline responder answers",
    ),
    ("base_url", "", "address of the endpoint; empty: what params_file says"),
    (
        "key_variable",
        "",
        "NAME of the environment variable with the endpoint's key; empty: what params_file "
        "says",
    ),
    ("use_emotion", "true", "false: answers as if nothing were sensed"),
    ("speak", "false", "true: say the answers with espeak-ng, where it is installed"),
    ("voice", "en", "voice of espeak-ng"),
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
OPTIONAL = {
    "strategies": "dialog.strategies",
    "model": "endpoint.model",
    "base_url": "endpoint.base_url",
    "key_variable": "endpoint.key_variable",
}
"""Arguments that are parameters where they are not empty."""


def start(context: LaunchContext) -> list[GroupAction]:
    """The dialog node; after the inclusion, so that the arguments of that are known."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    parameters: dict[str, ParameterValue] = {
        name: ParameterValue(is_true(name, given(name)), value_type=bool)
        for name in ("use_emotion", "speak", "use_sim_time")
    }
    parameters["voice"] = ParameterValue(given("voice"), value_type=str)
    for name, parameter in OPTIONAL.items():
        if given(name):
            parameters[parameter] = ParameterValue(given(name), value_type=str)
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
    emotion = PathJoinSubstitution([ThisLaunchFileDir(), "emotion.launch.py"])
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(emotion)),
            OpaqueFunction(function=start),
        ]
    )
