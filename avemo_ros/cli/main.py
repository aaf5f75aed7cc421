"""The command `avemo`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from types import FrameType
from typing import Any, Final

from avemo_ros import __version__
from avemo_ros.errors import AvemoError
from avemo_ros.interrupt import (
    INTERRUPTED,
    PARENT_VARIABLE,
    end_with_parent,
    started,
    until_started,
)
from avemo_ros.untrusted import say, shown

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
        "mark": "mark a phase, a condition or an event while a bag is recorded",
    },
    "study": {
        "export": "replay the recordings of a study and write tidy tables with a codebook",
        "annotate": "label recordings in the browser, on this machine",
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
    "bag_mark": "bag_record",
    "bag_play": "bag_record",
    "dialog_check": "dialog_reply",
    "dialog_evaluate": "dialog_chat",
    "export": "models",
    "mcp": "bag_record",
    "study_annotate": "study",
    "study_export": "study",
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


ERROR: Final = 2

_EXITS: Final = """\
exit status:
  0    done
  1    {one}
  2    an argument, a file, the model or an output cannot be used
  130  interrupted{kept}
"""
_ONE: Final = {
    "predict": "done, but no emotion could be predicted",
    "data": "done, but something is missing or broken",
    "doctor": "done, but something is to be mended",
}
_KEPT: Final = {
    "predict": "; the results so far are in NAME.partial.EXT",
    "data": "; prepared items are kept, run the same command to continue",
    "train": "; the last epoch is kept, add --resume to continue",
    "tune": "; finished trials are kept, run the same command to continue",
}

_EXTRAS: Final = {
    **dict.fromkeys(("scipy", "torch"), "evaluate"),
    **dict.fromkeys(("matplotlib", "onnx", "onnxscript", "opensmile"), "train"),
    **dict.fromkeys(("optuna", "sklearn", "tensorboard"), "train"),
    "mcp": "mcp",
}
"""Modules that the install for a robot leaves out, and the extra that brings each."""
_COMMANDS: Final = {
    "predict": "predict emotions in a media file or a bag",
    "models": "list the released models and check them",
    "data": "list, check and prepare data sets",
    "train": "train a model as a configuration file describes",
    "tune": "search for the best values of a configuration",
    "evaluate": "evaluate a model on a data set",
    "export": "export a model to ONNX or TorchScript",
    "bag": "record, check, play and evaluate bags (rosbag2)",
    "study": "tables for the recordings of a study",
    "dialog": "chat with the empathic dialog, and evaluate it",
    "mcp": "tell LLM agents who is there and how they feel (MCP server)",
    "doctor": "say what is there and what lacks on this computer and on its ROS topics",
}
"""What each command does.  `subcommands.load_command` finds its module."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Args:
        argv: arguments without the program's name; None takes the process's.
    """
    if parent := os.environ.pop(PARENT_VARIABLE, ""):
        end_with_parent(int(parent))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ShownFormatter("avemo: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    program = argv is None
    if program:
        # Libraries are loaded meanwhile, for seconds; nothing is begun that could be kept.
        until_started("avemo_ros.cli.main")
    previous = None if program else _interrupt_on_terminate()
    try:
        args = _parsed(list(sys.argv[1:] if argv is None else argv))
        if program:
            started()
            previous = _interrupt_on_terminate()
        return int(args.run(args))
    except AvemoError as error:
        say(f"avemo: error: {error}", file=sys.stderr)
        return ERROR
    except ModuleNotFoundError as error:
        lacking = (error.name or "").partition(".")[0]
        extra = _EXTRAS.get(lacking)
        if extra is None:
            raise
        say(
            f"avemo: error: this needs the Python module '{lacking}', which a robot is not "
            f"given: `pip install '.[{extra}]'`, or `tools/setup.sh --full`, in the folder of "
            "avemo_ros",
            file=sys.stderr,
        )
        return ERROR
    except KeyboardInterrupt:
        say("avemo: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads the lines has enough (`| head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # The disk, a folder or a name: what Python says of it is all there is to say.
        say(f"avemo: error: {error}", file=sys.stderr)
        return ERROR
    finally:
        # A node that ran here has made its process deaf to signals, and it may stay so.
        if previous is not None and signal.getsignal(signal.SIGTERM) is _interrupt:
            signal.signal(signal.SIGTERM, previous)


class _ShownFormatter(logging.Formatter):
    """Logs quote what came from outside, too."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


def _parsed(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="avemo",
        description="Recognise emotions from face and voice.",
    )
    parser.add_argument("--version", action="version", version=f"avemo {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=_exits(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in given:
            # Only the wanted one: training libraries take seconds to load, and the robot has
            # not got them.
            if name in ACTIONS:
                add_actions(command, name)
                command.set_defaults(run=run_action)
                continue
            add_arguments, run = load_command(name)
            add_arguments(command)
            command.set_defaults(run=run)
    return parser.parse_args(given)


def _exits(name: str) -> str:
    text = _EXITS.format(one=_ONE.get(name, ""), kept=_KEPT.get(name, ""))
    return text if name in _ONE else text.replace("  1    \n", "")


def _interrupt_on_terminate() -> signal._HANDLER | None:
    """A polite kill ends the run as Ctrl-C does: results are kept.  None off the main
    thread, where it cannot be arranged."""

    try:
        return signal.signal(signal.SIGTERM, _interrupt)
    except ValueError:
        return None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
