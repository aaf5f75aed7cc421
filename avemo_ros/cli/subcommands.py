"""Commands of a command: each declares its arguments only when it is used."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final

ACTIONS: Final = {
    "bag": {
        "record": "record ROS topics to a bag: raw data, or only features for privacy",
        "from-clips": "make labelled bags from a data set or a table of clips",
        "streams": "make labelled streams: each person's utterances one after the other",
        "check": "show what a bag contains and what evaluation can use",
        "evaluate": "replay bags without ROS and score the predictions against labels",
        "compare": "compare several evaluations",
        "labels": "check and convert label files, and measure how well annotators agree",
        "play": "play a bag on ROS topics, with its clock",
    },
    "dialog": {
        "chat": "chat with the robot's dialog in the terminal, without ROS",
        "reply": "answer one saying, and show why",
        "check": "check a table of sayings against how they should be met",
        "evaluate": "run scripted conversations with known emotions and score the answers",
    },
}
"""What each action does, by command."""
_SHARED: Final = {
    "bag_play": "bag_record",
    "dialog_check": "dialog_reply",
    "dialog_evaluate": "dialog_chat",
    "export": "models",
    "tune": "train",
}
"""Commands and actions that have no module of their own, and whose it is instead."""

Declare = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]


class LateParser(argparse.ArgumentParser):
    """Declares its arguments only when its command is used: that may load much."""

    declare: Declare | None = None

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Declare, then parse."""
        declare, self.declare = self.declare, None
        if declare is not None:
            declare(self)
        return super().parse_known_args(args, namespace)


def add_actions(parser: argparse.ArgumentParser, command: str) -> None:
    """Give a command its actions; the module of each is loaded only when it is used.

    Args:
        parser: of the command.
        command: one of `ACTIONS`.
    """
    added = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=LateParser
    )
    for name, text in ACTIONS[command].items():
        action = added.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.declare = partial(_declare, f"{command}_{name.replace('-', '_')}")


def run_action(args: argparse.Namespace) -> int:
    """Carry out the action that was named; returns the exit status."""
    return int(args.run_action(args))


def load_command(name: str) -> tuple[Declare, Run]:
    """What declares the arguments of a command or an action, and what carries it out.

    They are `add_arguments` and `run` of the module below `avemo_ros.cli` that has its name.
    In a module that it shares they carry the name themselves: `add_tune_arguments`, `run_tune`.

    Args:
        name: COMMAND or COMMAND_ACTION.
    """
    module = import_module(f"avemo_ros.cli.{_SHARED.get(name, name)}")
    if name not in _SHARED:
        return module.add_arguments, module.run
    last = name.rpartition("_")[2]
    return getattr(module, f"add_{last}_arguments"), getattr(module, f"run_{last}")


def _declare(name: str, parser: argparse.ArgumentParser) -> None:
    add_arguments, run = load_command(name)
    add_arguments(parser)
    parser.set_defaults(run_action=run)
