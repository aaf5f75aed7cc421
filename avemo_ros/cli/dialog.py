"""`avemo dialog`: talks with the empathic dialog, and measures it."""

from __future__ import annotations

import argparse
from typing import Final

from avemo_ros.cli.subcommands import add_actions, run_action

_ACTIONS: Final = {
    "chat": "type with the dialog in the terminal, without ROS",
    "evaluate": "play scripted conversations with known emotions, and measure the answers",
}
"""What each action does; its module is `dialog_NAME` below `avemo_ros.cli`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_actions(parser, "dialog", _ACTIONS)


run = run_action
