"""`avemo doctor`: what is there and what is missing, on one page."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from avemo_ros.cli.outputs import write_json
from avemo_ros.errors import ConfigError
from avemo_ros.nodes import host, launch_arguments, parameter_file
from avemo_ros.nodes.host import Level, Observation
from avemo_ros.settings import SettingsError
from avemo_ros.untrusted import say

WELL: Final = 0
TO_FIX: Final = 1
CANNOT_LOOK: Final = 2
_WIDTH: Final = 96
_MARGIN: Final = 18
_ORDER: Final = (Level.FIX, Level.NOTE, Level.OK)
_EXAMPLES: Final = """
arguments are those of emotion.launch.py, with the same meaning:
  avemo doctor
  avemo doctor image:=/head/image_raw audio:=/audio_stamped
  avemo doctor robot:=realsense2_camera mic:=respeaker namespace:=head
  avemo doctor params_file:=mine.yaml --seconds 20 --json doctor.json
  avemo doctor --ros-args -r image_raw:=/head/image_raw
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = f"{_EXAMPLES}\n{parser.epilog or ''}"
    parser.add_argument(
        "arguments", nargs="*", metavar="NAME:=VALUE", help="as for emotion.launch.py"
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="how long to look (default: 10)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write the findings as JSON; - for standard output, without the page",
    )
    parser.add_argument(
        "--ros-args",
        nargs=argparse.REMAINDER,
        default=[],
        help="further ROS arguments, e.g. -r image_raw:=/head/image_raw",
    )


def run(args: argparse.Namespace) -> int:
    """Look and tell; 0: all is well, 1: something needs fixing, 2: it cannot look.

    Raises:
        ConfigError: an option or a parameter is not allowed.
        SettingsError: an argument is not allowed, or a parameter file cannot be read.
        OutputError: the JSON cannot be written.
    """
    if not 1.0 <= args.seconds <= 600.0:
        raise ConfigError("seconds", args.seconds, "1 to 600")
    given, files, single, findings = _given(args.arguments)
    findings += _computer(given, files, single)
    lacking = _lacking()
    if lacking:
        findings += [lacking]
    else:
        findings += _robot(given, files, single, args)
    findings.sort(key=lambda one: _ORDER.index(one.level))
    counts = Counter(one.level for one in findings)
    status = CANNOT_LOOK if lacking else TO_FIX if counts[Level.FIX] else WELL
    content = {
        "status": status,
        "seconds": 0.0 if lacking else args.seconds,
        "findings": [
            {
                "part": one.part,
                "level": one.level.value,
                "text": one.text,
                "advice": one.advice,
            }
            for one in findings
        ],
    }
    if args.json == Path("-"):
        say(json.dumps(content, indent=1))
        return status
    _print(findings, status, args.seconds)
    if args.json is not None:
        write_json(args.json, content)
    return status


def _given(
    words: Sequence[str],
) -> tuple[dict[str, str], list[str], dict[str, Any], list[Observation]]:
    """All arguments, the parameter files, single parameters, and what is odd about them."""
    shipped = parameter_file.shipped()
    default = "" if shipped is None else str(shipped)
    names = [name for name, _, _ in launch_arguments.EMOTION]
    try:
        launch_arguments.check_names("doctor", names, ["doctor", *words])
        given = {
            name: default if value is None else value
            for name, value, _ in launch_arguments.EMOTION
        }
        for word in words:
            name, assigned, value = word.partition(":=")
            if not assigned:
                raise ConfigError("NAME:=VALUE", word, "an argument of emotion.launch.py")
            given[name] = value
        given, files = launch_arguments.completed(given, default)
        warnings = launch_arguments.check_inputs(given)
        single = launch_arguments.single_parameters(given)
    except ConfigError:
        raise
    except ValueError as error:
        # As `ros2 launch` would say it.
        raise SettingsError(str(error)) from error
    node = launch_arguments.full_names(["emotion_stack"], given["namespace"])
    warnings += filter(None, [launch_arguments.parameter_path(given, node)[1]])
    return (
        given,
        files,
        single,
        [Observation("settings", Level.FIX, *host.split(text)) for text in warnings],
    )


def _computer(
    given: Mapping[str, str], files: Sequence[str], single: Mapping[str, Any]
) -> list[Observation]:
    """What can be said without ROS."""
    values: dict[str, Any] = {}
    for file in files:
        values |= parameter_file.values_for_all(Path(file))
    values |= single
    logs = Path(os.environ.get("ROS_LOG_DIR") or Path.home())
    folder = next(one for one in (logs, *logs.absolute().parents) if one.is_dir())
    return [
        host.versions(),
        host.discovery(),
        host.weights(str(values.get("model.weights", ""))),
        *host.devices(given),
        *host.computer(folder),
    ]


def _lacking() -> Observation | None:
    """Why the topics cannot be looked at; None if they can."""
    advice = ". /opt/ros/jazzy/setup.bash, or in the folder of avemo_ros: . tools/env.sh"
    if importlib.util.find_spec("rclpy") is None:
        text = "ROS 2 is missing here, so no topic was checked"
        return Observation("ros", Level.FIX, text, advice)
    if importlib.util.find_spec("avemo_ros.msg") is None:
        text = "the messages of avemo_ros are not built, so no topic was checked"
        return Observation("ros", Level.FIX, text, "make setup, then . tools/env.sh")
    return None


def _robot(
    given: Mapping[str, str],
    files: Sequence[str],
    single: Mapping[str, Any],
    args: argparse.Namespace,
) -> list[Observation]:
    """What can be said with ROS."""
    from avemo_ros.nodes.inspection import examine

    say(f"avemo: looking for {args.seconds:g} s", file=sys.stderr)
    return examine(given, files, single, args.ros_args, args.seconds)


def _print(findings: Sequence[Observation], status: int, seconds: float) -> None:
    counts = Counter(one.level for one in findings)
    to_fix = counts[Level.FIX]
    how = "all is well" if status == WELL else f"{to_fix} to fix"
    say(f"avemo doctor: {how}" + (f" (looked for {seconds:g} s)" if status < 2 else ""))
    for one in findings:
        mark = "" if one.level is Level.OK else one.level.value.upper()
        say(_filled(f"{mark:5} {one.part:11} ", one.text))
        if one.advice:
            say(_filled(" " * (_MARGIN - 3) + "-> ", one.advice))


def _filled(first: str, text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * _MARGIN,
        break_on_hyphens=False,
        break_long_words=False,
    )
