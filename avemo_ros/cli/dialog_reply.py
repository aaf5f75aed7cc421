"""`avemo dialog reply` and `avemo dialog check`: one answer, and a table of sayings."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Final

from avemo_ros.cli.dialog_chat import add_dialog_options, read_setup
from avemo_ros.dialog.evaluation import CheckedSaying, check_sayings, reply
from avemo_ros.dialog.scenario import read_sayings
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.untrusted import say

DONE: Final = 0
WRONG: Final = 1
"""Done, but a saying was not met as the table says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "exit status: 0 answered, 2 an argument or a file cannot be used, 130 interrupted"
    )
    parser.add_argument("words", metavar="WORDS", help="what the person says")
    parser.add_argument(
        "--emotion",
        choices=(*EMOTIONS, UNKNOWN),
        default=UNKNOWN,
        help="what face and voice clearly show (default: unknown, nothing is sensed)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print text, strategy, kind of the words, whether the person is handed over, and "
        "why, as JSON",
    )
    add_dialog_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: a setting or a file cannot be used.
    """
    answer = reply(args.words, read_setup(args), args.emotion)
    if not args.json:
        say(answer.text)
        return DONE
    shown = {
        "words": answer.utterance,
        "text": answer.text,
        "strategy": answer.strategy,
        "kind": answer.concern or None,
        "handed_over": answer.handed_over,
        "why": answer.reason,
        "emotion": answer.emotion,
        "confidence": round(answer.confidence, 3),
        "intensity": answer.intensity,
        "rate": answer.rate,
        "pitch": answer.pitch,
        "volume": answer.volume,
        "gesture": answer.gesture,
        "back_end": answer.back_end,
        "failure": answer.failure,
    }
    say(json.dumps(shown, indent=2, ensure_ascii=False))
    return DONE


# `avemo dialog check`: a table of sayings, and how each should be met.


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "A table is a YAML file; docs/dialog.md shows one.\n"
        "\n"
        "exit status: 0 every saying is met as the table says, 1 some are not, 2 an\n"
        "argument or a file cannot be used, 130 interrupted"
    )
    parser.add_argument(
        "table_of_sayings", type=Path, metavar="FILE", help="sayings and how to meet them"
    )
    parser.add_argument(
        "--all", action="store_true", help="print the answer to every saying, not only mistakes"
    )
    add_dialog_options(parser)


def run_check(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: a setting or a file cannot be used.
    """
    setup = read_setup(args)
    sayings = read_sayings(args.table_of_sayings)
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for one in check_sayings(sayings, setup):
        name = " or ".join(one.asked.kind)
        total[name] += 1
        right[name] += one.right
        if args.all or not one.right:
            say(_line(one))
    width = max(map(len, total))
    for name, count in total.items():
        say(f"{name:{width}}  {right[name]} of {count}")
    wrong = total.total() - right.total()
    say(f"{right.total()} of {total.total()} sayings are met as the table says")
    return WRONG if wrong else DONE


def _line(one: CheckedSaying) -> str:
    mark = "right" if one.right else "WRONG"
    felt = "" if one.emotion == UNKNOWN else f" ({one.emotion})"
    over = ", handed over" if one.answer.handed_over else ""
    return (
        f'{mark}  "{one.words}"{felt} is {one.kind}{over} [{one.answer.reason}]\n'
        f"       -> {one.answer.text}"
    )
