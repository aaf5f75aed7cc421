"""The command `avemo`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final

from avemo_ros import __version__
from avemo_ros.cli.subcommands import ACTIONS, add_actions, load_command, run_action
from avemo_ros.errors import AvemoError
from avemo_ros.interrupt import INTERRUPTED, started, until_started

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
}
_KEPT: Final = {
    "predict": "; the results so far are in NAME.partial.EXT",
    "data": "; prepared items are kept, run the same command to continue",
    "train": "; the last epoch is kept, add --resume to continue",
    "tune": "; finished trials are kept, run the same command to continue",
}

_COMMANDS: Final = {
    "predict": "predict emotions in a media file or a bag",
    "models": "list the released models and check them",
    "data": "list, check and prepare data sets",
    "train": "train a model as a configuration file describes",
    "tune": "search for the best values of a configuration",
    "evaluate": "evaluate a model on a data set",
    "export": "export a model to ONNX or TorchScript",
    "bag": "record, check, play and evaluate bags (rosbag2)",
    "dialog": "chat with the empathic dialog, and evaluate it",
}
"""What each command does.  `subcommands.load_command` finds its module."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Args:
        argv: arguments without the program's name; None takes the process's.
    """
    _hush_libraries()
    logging.basicConfig(format="avemo: %(message)s", level=logging.WARNING, stream=sys.stderr)
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
        print(f"avemo: error: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("avemo: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads the lines has enough (`| head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        # A node that ran here has made its process deaf to signals, and it may stay so.
        if previous is not None and signal.getsignal(signal.SIGTERM) is _interrupt:
            signal.signal(signal.SIGTERM, previous)


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


def _hush_libraries() -> None:
    """MediaPipe and TensorFlow Lite write to standard error unless told not to."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


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
