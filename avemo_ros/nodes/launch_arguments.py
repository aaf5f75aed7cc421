"""Arguments of the launch files: what they may be, alone and together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from avemo_ros.nodes import parameter_file
from avemo_ros.settings import did_you_mean

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
    path = Path(given["params_file"]).expanduser()
    if not path.is_file():
        raise refusal("params_file", given["params_file"], "the path of a file that exists")
    useless = parameter_file.useless(path, nodes)
    if useless:
        useless += _FROM_OUTSIDE.format(name="params_file")
    return str(path), useless


def check_inputs(given: Mapping[str, str]) -> list[str]:
    """Look at the arguments of emotion.launch.py that could contradict each other.

    Returns:
        Warnings.

    Raises:
        ValueError: a value is not allowed, or two do not go together.
    """
    one_of(given, "image_transport", ("", "raw", "compressed"))
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
                f"('{given['microphone']}') both publish on {given['audio']} if the file has "
                "sound; two sources on one topic cannot be used"
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
