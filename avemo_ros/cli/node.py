"""Commands that run a node of the package in this process."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec

from avemo_ros.errors import AvemoError


class RosMissingError(AvemoError):
    """A command needs ROS and the messages of this package, and they are not there."""


def run_node(name: str, **parameters: bool | int | float | str) -> int:
    """Run a node with these parameters until it has finished; returns its exit status.

    Args:
        name: of its module below `avemo_ros.nodes`.
        parameters: values by name.

    Raises:
        RosMissingError: ROS, or the package's messages, are not there.
    """
    if find_spec("rclpy") is None or find_spec("avemo_ros.msg") is None:
        raise RosMissingError(
            "this needs ROS 2 and the messages of this package: source "
            "/opt/ros/jazzy/setup.bash and the workspace's install/setup.bash; in a checkout "
            "after `make setup`: . tools/env.sh"
        )
    arguments = ["--ros-args"]
    for parameter, value in parameters.items():
        # JSON is YAML, and keeps a text "0" apart from a number.
        arguments += ["-p", f"{parameter}:={json.dumps(value)}"]
    # Only here: ROS is not there where the rest of the command line runs.
    module = import_module(f"avemo_ros.nodes.{name}")
    return int(module.main(arguments))
