"""`avemo dialog chat`: a typed conversation in the terminal, without ROS."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from avemo_ros.cli.dialog_settings import add_dialog_options, read_setup
from avemo_ros.cli.outputs import add_force, add_report, check_outputs, check_report
from avemo_ros.clock import to_ns, to_s
from avemo_ros.dialog.agent import Agent
from avemo_ros.dialog.evaluation import turn_of
from avemo_ros.dialog.scenario import Feeling, Scenario
from avemo_ros.dialog.scenario_estimates import (
    START_NS,
    recorded_estimates,
    synthetic_estimates,
)
from avemo_ros.dialog.terminal import TurnTable, wrapped
from avemo_ros.dialog.transcript import Turn
from avemo_ros.errors import ConfigError, DialogError
from avemo_ros.labels import EMOTIONS
from avemo_ros.state.estimate import EmotionStep

DONE: Final = 0
_LONGEST_LINE: Final = 1_000_000
"""Bytes; what is longer counts as several lines."""
_SIMULATED: Final = (
    "No camera and no microphone is used. The predictions are simulated, with the errors of "
    "a noisy classifier, for somebody who feels {emotion}."
)
_HELP: Final = (
    "Type what you say; an empty line ends the conversation.  /feel EMOTION changes how you "
    "feel (not with --states), /forget clears the conversation."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "The words are read from standard input, one line each, so you can pipe a file in.\n"
        "\n"
        "exit status: 0 done, 2 an argument or a file cannot be used, 130 interrupted (the\n"
        "report is written)"
    )
    sensed = parser.add_mutually_exclusive_group()
    sensed.add_argument(
        "--emotion",
        choices=EMOTIONS,
        default="neutral",
        help="how you feel; the robot senses it as a noisy classifier would (default: neutral)",
    )
    sensed.add_argument(
        "--states",
        type=Path,
        metavar="FILE",
        help=(
            "use recorded states instead of simulated ones: JSON Lines of `avemo predict "
            "--json`"
        ),
    )
    parser.add_argument(
        "--every",
        type=float,
        default=8.0,
        metavar="S",
        help="simulated time from one line to the next [s] (default: 8)",
    )
    parser.add_argument(
        "--no-emotion", action="store_true", help="answer without the emotions, for comparison"
    )
    add_report(parser, "write the transcript as an HTML file", "--html")
    add_force(parser)
    add_dialog_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an input, a setting or an output cannot be used.
        KeyboardInterrupt: the user interrupted; the page holds what was said.
    """
    if not 0.1 <= args.every <= 600.0:
        raise ConfigError("--every", args.every, "0.1 to 600")
    check_outputs([args.report], force=args.force)
    check_report(args.report)
    setup = read_setup(args)
    senses: _Senses = (
        _Simulated(args.emotion) if args.states is None else _Recorded(args.states)
    )
    agent = setup.agent(use_emotion=not args.no_emotion)
    width = shutil.get_terminal_size((120, 24)).columns
    table = TurnTable(width, colour=sys.stdout.isatty())
    turns: list[Turn] = []
    if args.states is None:
        print("\n".join(wrapped(_SIMULATED.format(emotion=args.emotion), table.width)) + "\n")
    try:
        _talk(agent, senses, args.every, table, turns)
    finally:
        if args.report is not None:
            from avemo_ros.report.dialog_pages import write_transcript

            title = "Conversation" if args.states is None else args.states.name
            write_transcript(args.report, turns, title, simulated=args.states is None)
            print(f"avemo: wrote {args.report}", file=sys.stderr)
    return DONE


class _Senses(Protocol):
    """Where the states come from."""

    def until(self, t_s: float) -> Iterator[EmotionStep]:
        """The steps up to a time since the start [s] that were not given before."""

    def feel(self, emotion: str, t_s: float) -> None:
        """Feel something else from a time on [s].

        Raises:
            DialogError: no such emotion, or the states are recorded ones.
        """


class _Simulated:
    """What the person says that they feel."""

    def __init__(self, emotion: str) -> None:
        self._feelings = [Feeling(0.0, emotion)]
        self._given = 0

    def until(self, t_s: float) -> Iterator[EmotionStep]:
        # Made anew each time: what is felt may have changed, what was felt has not.
        script = Scenario("chat", "", t_s, (), tuple(self._feelings))
        steps = list(synthetic_estimates(script))[self._given :]
        self._given += len(steps)
        yield from steps

    def feel(self, emotion: str, t_s: float) -> None:
        if emotion not in EMOTIONS:
            raise DialogError(f"'{emotion}' is not an emotion; allowed: {', '.join(EMOTIONS)}")
        self._feelings.append(Feeling(t_s, emotion))


class _Recorded:
    """What was recorded; after its end nothing more comes."""

    def __init__(self, path: Path) -> None:
        self._waiting = list(recorded_estimates(path))
        if not self._waiting:
            raise DialogError(f"{path} holds no states")

    def until(self, t_s: float) -> Iterator[EmotionStep]:
        while self._waiting and self._waiting[0].stamp_ns <= START_NS + to_ns(t_s):
            yield self._waiting.pop(0)

    def feel(self, emotion: str, t_s: float) -> None:
        raise DialogError(
            f"cannot feel '{emotion}' at {t_s:g} s: the states are recorded; /feel does not "
            "work with --states"
        )


def _talk(
    agent: Agent, senses: _Senses, every_s: float, table: TurnTable, turns: list[Turn]
) -> None:
    typed = sys.stdin.isatty()
    if typed:
        print(_HELP)
    print(table.head())
    t_s = 0.0
    for words in _lines(typed):
        command, _, rest = words.partition(" ")
        if command == "/forget":
            agent.clear()
            continue
        if command == "/feel":
            try:
                senses.feel(rest.strip(), t_s)
            except DialogError as error:
                print(f"avemo: {error}", file=sys.stderr)
            continue
        t_s += every_s
        stamp_ns = START_NS + to_ns(t_s)
        for step in senses.until(t_s):
            agent.observe(step)
        turn = turn_of(agent.answer(words, "", stamp_ns), to_s(stamp_ns - START_NS))
        turns.append(turn)
        print(table.row(turn) + "\n", flush=True)


def _lines(typed: bool) -> Iterator[str]:
    """What is typed or piped in, line by line; bytes that are no UTF-8 do not end it."""
    while True:
        if typed:
            print("> ", end="", flush=True)
        line = sys.stdin.buffer.readline(_LONGEST_LINE)
        text = line.decode("utf-8", errors="replace").strip()
        if not line or (typed and not text):
            return
        yield text
