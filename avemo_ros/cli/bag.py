"""`avemo bag`: makes, checks, plays and scores recordings (rosbag2)."""

from __future__ import annotations

import argparse
from typing import Final

from avemo_ros.cli.subcommands import add_actions, run_action

_ACTIONS: Final = {
    "record": "record ROS topics as a bag: raw, or features only for privacy",
    "from-clips": "make labelled bags of a data set or of a table of clips",
    "check": "say what a bag holds, and what evaluation can and cannot use of it",
    "evaluate": "replay bags without ROS, and score what is said against labels",
    "compare": "compare the figures of several evaluations",
    "labels": "check files of labels, convert them, and tell how far annotators agree",
    "play": "publish a bag on ROS topics with its clock",
}
"""What each action does; its module is `bag_NAME` below `avemo_ros.cli`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_actions(parser, "bag", _ACTIONS)


run = run_action
