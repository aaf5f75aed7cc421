"""Arguments of the launch files: what they may be, alone and together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from avemo_ros.nodes import parameter_file
from avemo_ros.settings import did_you_mean

INPUTS: Final = {"image": "image_raw", "audio": "audio", "audio_info": "audio_info"}
"""Arguments that name input topics, and what they are unless they or a profile are given."""
_OF_PROFILES: Final = (*INPUTS, "camera", "microphone")
"""Arguments that a profile may set."""
TOPICS: Final = (
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
PARAMETERS: Final[Mapping[str, tuple[str, type]]] = {
    "image_transport": ("image_transport", str),
    "image_rotate": ("image_rotate", int),
    "image_rate_hz": ("vision.max_rate_hz", float),
    "audio_type": ("audio_type", str),
    "audio_channel": ("audio.channel", int),
    "model_weights": ("model.weights", str),
    "model_device": ("model.device", str),
}
"""Arguments that are parameters, with their type; empty: as in the parameter files."""
PROFILES: Final = {"robot": "robots", "mic": "mics"}
"""Arguments that name a profile, and the folder of those that come with the package."""
GROUP: Final = "launch."
"""Parameters of this group, in a parameter file, are arguments of emotion.launch.py."""

EMOTION: Final = (
    (
        "robot",
        "",
        "profile with the topics and settings of a robot or a camera's driver, e.g. usb_cam, "
        "or the path of one",
    ),
    (
        "mic",
        "",
        "profile of a microphone's driver, e.g. audio_capture, or the path of one",
    ),
    (
        "image",
        "",
        "topic of the images; compressed images are on <image>/compressed; empty: as the "
        "profile says, else image_raw",
    ),
    ("image_transport", "", "raw or compressed; empty: as in params_file"),
    ("image_rotate", "", "turn images clockwise by 90, 180 or 270; empty: as in params_file"),
    (
        "image_rate_hz",
        "",
        "process at most this many images a second; empty: as in params_file",
    ),
    (
        "audio",
        "",
        "topic of the audio; audio_stamped for the audio_capture node of Jazzy; empty: as the "
        "profile says, else audio",
    ),
    (
        "audio_info",
        "",
        "topic of the audio format; empty: as the profile says, else audio_info",
    ),
    (
        "audio_type",
        "",
        "stamped, bare (without stamps) or naoqi (Pepper, NAO); empty: as in params_file",
    ),
    (
        "audio_channel",
        "",
        "channel of the microphone to use, counted from 0; -1: all mixed; empty: as in "
        "params_file",
    ),
    ("camera_info", "", "topic of the camera's calibration; empty: camera_info beside <image>"),
    (
        "faces",
        "",
        "own: find faces in the images; ros4hri: take those of another node from the topics "
        "of ROS4HRI; empty: as in params_file",
    ),
    (
        "ros4hri",
        "",
        "true: also publish faces, expressions and voices on the topics of ROS4HRI; empty: as "
        "in params_file",
    ),
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
        "cameras",
        "",
        "names of several cameras, separated by commas: one stack in the namespace of each; "
        "all hear the same audio",
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
        "autostart",
        "",
        "false: a lifecycle manager starts the processing nodes; empty: as in params_file",
    ),
    (
        "respawn",
        "false",
        "true: restart a node two seconds after it has ended (except a played file)",
    ),
    (
        "required",
        "false",
        "true: stop everything as soon as one node ends, for a demo or at the end of a file",
    ),
    (
        "sensing",
        "",
        "false: sense nobody until the service set_sensing turns it on; empty: as in "
        "params_file",
    ),
    ("model_weights", "", "name or file of the network; empty: as in params_file"),
    ("model_device", "", "cpu, cuda, tensorrt or auto; empty: as in params_file"),
    ("params_file", None, "parameter file for all nodes"),
    ("namespace", "", "namespace of all nodes and relative topics"),
    ("log_level", "info", "log level: debug, info, warn or error"),
    (
        "use_sim_time",
        "false",
        "true: take the time from /clock, which a played file then publishes; camera and "
        "microphone use it for their stamps, too",
    ),
)
"""Arguments of emotion.launch.py: name, value (None: config/emotion.yaml), what it is for."""

_OF_ONE_CAMERA: Final = (
    "image",
    *(name for name in TOPICS if name not in ("audio_info", "robot_speaking")),
)
"""Topics of which each camera has its own."""
_LEVELS: Final = ("debug", "info", "warn", "error", "fatal")
_FROM_OUTSIDE: Final = (
    "; if it comes from a launch file that includes this one, give '{name}' among the "
    "launch_arguments there"
)
"""A launch file that is included takes arguments of the same name from who includes it."""


def is_true(given: Mapping[str, str], name: str) -> bool:
    """Whether an argument is true.

    Raises:
        ValueError: it is neither true nor false.
    """
    return one_of(given, name, ("true", "false")) == "true"


def one_of(given: Mapping[str, str], name: str, allowed: Sequence[str]) -> str:
    """An argument in small letters, which is one of several words.

    Raises:
        ValueError: it is none of them.
    """
    value = given[name].lower()
    if value not in allowed:
        shown = " | ".join(word or "nothing" for word in allowed)
        near = did_you_mean(value, allowed)
        raise refusal(name, given[name], f"{shown}{near}")
    return value


def number(given: Mapping[str, str], name: str) -> float:
    """An argument as a number.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(given[name])
    except ValueError:
        raise refusal(name, given[name], "a number") from None


def refusal(name: str, value: str, allowed: str) -> ValueError:
    """An argument that is not allowed."""
    text = f"argument '{name}' is '{value}'; allowed: {allowed}"
    return ValueError(text + _FROM_OUTSIDE.format(name=name))


def check_names(file: str, declared: Collection[str], words: Sequence[str]) -> None:
    """Refuse arguments that there are not.

    Args:
        file: the launch file.
        declared: names of its arguments, and of those of the files that it includes.
        words: of the command line.  Where another launch file is started, which includes this
            one, they are its business.

    Raises:
        ValueError: a name is not declared.
    """
    files = [at for at, word in enumerate(words) if Path(word).name == Path(file).name]
    for word in words[files[0] + 1 :] if files else ():
        name, given, value = word.partition(":=")
        if given and name not in declared:
            near = did_you_mean(name, sorted(declared)) or "; `ros2 launch -s` lists them"
            raise ValueError(f"there is no argument '{name}' ('{name}:={value}'){near}")


def near_misses(declared: Collection[str], known: Iterable[str]) -> list[str]:
    """Warnings of what a launch file that includes this one has probably misspelt.

    Its own arguments are among the known ones, too, so only what is near is named.

    Args:
        declared: names of this file's arguments.
        known: all launch configurations.
    """
    return [
        f"launch argument '{name}' has no effect here{near}"
        for name in sorted(set(known) - {*declared, "ros_namespace"})
        if (near := did_you_mean(name, sorted(declared), cutoff=0.75))
    ]


def namespace(given: str, around: str) -> str:
    """The namespace to push; empty for none.

    Args:
        given: by the argument.
        around: that the nodes are in already.  Who includes a launch file has often pushed the
            namespace of the same argument, which is not meant twice.
    """
    space = given.strip("/")
    return "" if f"{around.rstrip('/')}/".endswith(f"/{space}/") else space


def full_names(names: Sequence[str], *spaces: str) -> list[str]:
    """Names of nodes with their namespaces, the outer one first."""
    within = "/".join(part for part in (space.strip("/") for space in spaces) if part)
    return [f"/{within}/{name}" if within else f"/{name}" for name in names]


def parameter_path(given: Mapping[str, str], nodes: Collection[str]) -> tuple[str, str]:
    """The parameter file, and why it changes nothing; empty if it may change something.

    Args:
        given: the arguments, of which 'params_file' is looked at.
        nodes: full names of the nodes that get it.

    Raises:
        ValueError: it is not there.
        SettingsError: it cannot be read.
    """
    path = _params_file(given)
    useless = parameter_file.useless(path, nodes)
    if useless:
        useless += _FROM_OUTSIDE.format(name="params_file")
    return str(path), useless


def _params_file(given: Mapping[str, str]) -> Path:
    path = Path(given["params_file"]).expanduser()
    if not path.is_file():
        raise refusal("params_file", given["params_file"], "the path of a file that exists")
    return path


def completed(given: Mapping[str, str], default: str) -> tuple[dict[str, str], list[str]]:
    """The arguments of emotion.launch.py with what the profiles say, and the parameter files.

    An argument counts before `params_file`, that before `mic`, and that before `robot`.

    Args:
        given: the arguments.
        default: path of the package's own parameter file; as `params_file` it counts least.

    Returns:
        All arguments, and the files in which the one that counts most is last.

    Raises:
        ValueError: there is no such profile or file, or a value is not allowed.
        SettingsError: a file cannot be read.
    """
    own = _params_file(given)
    profiles = [str(profile(name, given[name])) for name in PROFILES if given[name]]
    files = [str(own), *profiles] if str(own) == default else [*profiles, str(own)]
    said: dict[str, str] = dict(INPUTS)
    for file in files:
        said |= _arguments_in(Path(file))
    if given["file"]:
        # What is played takes the place of the devices.
        said = {name: value for name, value in said.items() if name in INPUTS}
    return {**given, **{name: given[name] or value for name, value in said.items()}}, files


def remappings(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the nodes' topics are called by the arguments; name and topic."""
    return [
        ("image_raw", given["image"]),
        ("image_raw/compressed", f"{given['image']}/compressed"),
        *((("camera_info", given["camera_info"]),) if given["camera_info"] else ()),
        ("audio", given["audio"]),
        # Of all nodes: what one publishes another one takes where they are not composed.
        *((name, given[name]) for name in TOPICS),
    ]


def single_parameters(given: Mapping[str, str]) -> dict[str, bool | int | float | str]:
    """Parameters that arguments of emotion.launch.py stand for.

    Raises:
        ValueError: a value is not allowed.
    """
    found: dict[str, bool | int | float | str] = {}
    for name, (parameter, kind) in PARAMETERS.items():
        if not given[name]:
            continue
        try:
            found[parameter] = kind(given[name])
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise refusal(name, given[name], wanted) from None
    for name in ("autostart", "sensing", "ros4hri"):
        if given[name]:
            found[name] = is_true(given, name)
    if given["faces"]:
        found["faces"] = given["faces"]
    return found


def profile(argument: str, name: str) -> Path:
    """The file of a profile.

    Args:
        argument: one of `PROFILES`.
        name: of one that comes with the package, or a path.

    Raises:
        ValueError: there is none.
    """
    if "/" in name or name.endswith(".yaml"):
        path = Path(name).expanduser()
        if path.is_file():
            return path
        raise refusal(argument, name, "the path of a file that exists, or a name")
    known = profiles(argument)
    if name not in known:
        allowed = " | ".join(known)
        raise refusal(argument, name, f"{allowed}{did_you_mean(name, known)}")
    return known[name]


def profiles(argument: str) -> dict[str, Path]:
    """The profiles that come with the package, by name; empty if they are not installed.

    Args:
        argument: one of `PROFILES`.
    """
    shipped = parameter_file.shipped()
    if shipped is None:
        return {}
    folder = shipped.parent / PROFILES[argument]
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def _arguments_in(file: Path) -> dict[str, str]:
    """The arguments that a parameter file sets, in its group `launch`."""
    values = parameter_file.values_for_all(file)
    found = {
        name.removeprefix(GROUP): str(value)
        for name, value in values.items()
        if name.startswith(GROUP)
    }
    for name in found:
        if name not in _OF_PROFILES:
            near = did_you_mean(name, _OF_PROFILES) or f"; allowed: {', '.join(_OF_PROFILES)}"
            raise ValueError(f"parameter file '{file}' has '{GROUP}{name}'{near}")
    return found


def camera_names(given: Mapping[str, str]) -> list[str]:
    """The cameras of which each gets a stack; one without a name if there is but one.

    Raises:
        ValueError: a name is none for a namespace, or comes twice.
    """
    names = [name.strip().strip("/") for name in given["cameras"].split(",")]
    if names == [""]:
        return [""]
    if any(not re.fullmatch(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", name) for name in names) or len(
        set(names)
    ) < len(names):
        raise refusal("cameras", given["cameras"], "names like front,back, each of them once")
    return names


def check_inputs(given: Mapping[str, str]) -> list[str]:
    """Look at the arguments of emotion.launch.py that could contradict each other.

    Returns:
        Warnings.

    Raises:
        ValueError: a value is not allowed, or two do not go together.
    """
    one_of(given, "image_transport", ("", "raw", "compressed"))
    one_of(given, "audio_type", ("", "stamped", "bare", "naoqi"))
    one_of(given, "log_level", _LEVELS)
    one_of(given, "faces", ("", "own", "ros4hri"))
    for name in ("sensing", "ros4hri"):
        one_of(given, name, ("", "true", "false"))
    for name in ("composed", "use_sim_time", "respawn", "required"):
        is_true(given, name)
    image, _, transport = given["image"].rpartition("/")
    if transport == "compressed" and image:
        wanted = f"the base topic, so image:={image} image_transport:=compressed"
        raise refusal("image", given["image"], wanted)
    camera = given["camera"]
    for name in ("file", "camera") if given["cameras"] else ():
        if given[name]:
            raise ValueError(
                f"arguments 'cameras' ('{given['cameras']}') and '{name}' ('{given[name]}') do "
                "not go together: 'cameras' is for drivers that run already"
                + _FROM_OUTSIDE.format(name=name)
            )
    for name in _OF_ONE_CAMERA if given["cameras"] else ():
        if given[name].startswith("/"):
            wanted = (
                "a name without '/' in front with 'cameras': it is in the namespace of each"
            )
            raise refusal(name, given[name], wanted)
    if camera and not (camera.isdigit() or "/" in camera or Path(camera).exists()):
        allowed = "a number, the path of a device (/dev/video0) or a URL"
        raise refusal("camera", camera, allowed)
    warnings = []
    if given["file"]:
        is_true(given, "loop")
        if camera:
            raise ValueError(
                f"arguments 'file' ('{given['file']}') and 'camera' ('{camera}') would both "
                f"publish images on {given['image']}; give one of them"
                + _FROM_OUTSIDE.format(name="camera")
            )
        if given["microphone"]:
            warnings.append(
                f"arguments 'file' ('{given['file']}') and 'microphone' "
                f"('{given['microphone']}') both publish on {given['audio']} if "
                "the file has sound; two sources on one topic cannot be used"
            )
    elif given["loop"].lower() != "false":
        warnings.append(
            f"argument 'loop' is '{given['loop']}', which has no effect without 'file'"
        )
    if is_true(given, "respawn") and is_true(given, "required"):
        raise ValueError(
            "arguments 'respawn' and 'required' are both true: a node that ends can be started "
            "again, or end everything; set one of them to false"
        )
    return warnings
