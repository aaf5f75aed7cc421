"""`avemo bag`: checks, labels, plays, records, replays and scores recordings (rosbag2)."""

from __future__ import annotations

import argparse
from functools import partial
from importlib import import_module
from typing import Final

from avemo_ros.cli.late import LateParser

_ACTIONS: Final = {
    "check": "say what a bag holds, and what evaluation can and cannot use of it",
    "evaluate": "replay bags without ROS, and score what is said against labels",
    "compare": "compare the figures of several evaluations",
    "labels": "check files of labels, convert them, and tell how far annotators agree",
    "play": "publish a bag on ROS topics with its clock",
    "record": "record ROS topics as a bag: raw, or features only for privacy",
    "from-clips": "make labelled bags of a data set or of a folder of clips",
}
"""What each action does; its module is `bag_NAME` below `avemo_ros.cli`."""


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
        action.declare = partial(_declare, f"bag_{name.replace('-', '_')}")


def run(args: argparse.Namespace) -> int:
    """Carry out the action that was named; returns the exit status."""
    return int(args.run_action(args))


def _declare(module: str, parser: argparse.ArgumentParser) -> None:
    """Load the action's module: only the wanted one, some need ROS or much memory."""
    loaded = import_module(f"avemo_ros.cli.{module}")
    loaded.add_arguments(parser)
    parser.set_defaults(run_action=loaded.run)
