"""`avemo dialog`: talks with the empathic dialog, and measures it."""

from __future__ import annotations

import argparse
from functools import partial
from importlib import import_module
from typing import Final

from avemo_ros.cli.late import LateParser

_ACTIONS: Final = {
    "chat": "type with the dialog in the terminal, without ROS",
    "evaluate": "play scripted conversations with known emotions, and measure the answers",
}
"""What each action does; its module is `dialog_NAME` below `avemo_ros.cli`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=LateParser
    )
    for name, text in _ACTIONS.items():
        action = actions.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.declare = partial(_declare, f"dialog_{name}")


def run(args: argparse.Namespace) -> int:
    """Carry out the action that was named; returns the exit status."""
    return int(args.run_action(args))


def _declare(module: str, parser: argparse.ArgumentParser) -> None:
    loaded = import_module(f"avemo_ros.cli.{module}")
    loaded.add_arguments(parser)
    parser.set_defaults(run_action=loaded.run)
