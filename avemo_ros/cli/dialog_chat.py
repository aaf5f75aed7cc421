"""`avemo dialog chat` and `avemo dialog evaluate`: typed conversations, and scripted ones."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from avemo_ros import __version__
from avemo_ros.cli.outputs import (
    add_force,
    add_former,
    add_report,
    check_outputs,
    check_report,
    write_json,
)
from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.agent import Agent
from avemo_ros.dialog.conversation import Turn
from avemo_ros.dialog.dialog_config import DialogConfig, EndpointConfig
from avemo_ros.dialog.evaluation import Setup, evaluate, turn_of
from avemo_ros.dialog.policy import Policy, default_path
from avemo_ros.dialog.responder import Backend, BackendError
from avemo_ros.dialog.scenario import Feeling, Scenario, read_scenarios
from avemo_ros.dialog.scenario_estimates import (
    START_NS,
    recorded_estimates,
    synthetic_estimates,
)
from avemo_ros.dialog.terminal import TurnTable, wrapped
from avemo_ros.errors import ConfigError, DialogError
from avemo_ros.labels import EMOTIONS
from avemo_ros.settings import SettingGroups, read_values
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.timing import to_ns, to_s
from avemo_ros.untrusted import say

if TYPE_CHECKING:
    from avemo_ros.dialog.chat_client import ChatClient

_QUIET_S: Final = 1.5
"""A model that is there answers within this; longer waits are announced."""


class DialogSettings(SettingGroups):
    """The parameters of the dialog by group, as the node has them."""

    dialog: DialogConfig = DialogConfig()
    steady: SteadyConfig = SteadyConfig()
    endpoint: EndpointConfig = EndpointConfig()

    @classmethod
    def from_flat(cls, values: Mapping[str, object]) -> DialogSettings:
        """As for all groups, but the value of an unknown name is not shown.

        It may be a key, given by mistake.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        known = {setting.name for setting in cls.settings()}
        shown = {name: value if name in known else "..." for name, value in values.items()}
        return super().from_flat(shown)


def add_dialog_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that all actions share."""
    options = parser.add_argument_group("dialog")
    options.add_argument(
        "--table",
        type=Path,
        metavar="YAML",
        help="file of response strategies, rules and texts; default: that of the language",
    )
    options.add_argument(
        "--language",
        metavar="NAME",
        help="language of words and answers: en (default), de, or another of config/dialog",
    )
    options.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, as for the node"
    )
    add_former(options, "config", "--params")
    options.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="set one parameter, e.g. dialog.min_confidence=0.5 or endpoint.deadline_s=20; may "
        "be given several times",
    )
    options.add_argument(
        "--endpoint",
        metavar="URL",
        help="OpenAI-compatible chat endpoint, e.g. http://localhost:11434/v1; default: "
        "none, the offline responder answers. Put its key into the environment variable "
        "that the parameter endpoint.key_variable names",
    )
    options.add_argument("--model", metavar="NAME", help="name of the model at the endpoint")


def read_setup(args: argparse.Namespace) -> Setup:
    """What the shared options ask for.

    Raises:
        AvemoError: a file, a parameter or the endpoint's settings cannot be used.
    """
    values = read_values(args.config, args.settings, ("dialog", "steady", "endpoint"))
    for name, value in (
        ("dialog.strategies", args.table),
        ("dialog.language", args.language),
        ("endpoint.base_url", args.endpoint),
        ("endpoint.model", args.model),
    ):
        if value is not None:
            values[name] = str(value)
    settings = DialogSettings.from_flat(values)
    table = Policy.read(settings.dialog.strategies, settings.dialog.language)
    problem = table.warm_up()
    if problem:
        say(f"avemo: {problem}", file=sys.stderr)
    asked = args.endpoint is not None or bool(settings.endpoint.model)
    back_end = _back_end(settings.endpoint) if asked else None
    return Setup(table, settings.dialog, settings.steady, back_end)


def _back_end(config: EndpointConfig) -> Backend:
    # Who talks offline need not load it.
    from avemo_ros.dialog.chat_client import ChatClient

    endpoint = ChatClient(config)
    _wait_until_loaded(endpoint, config)
    return endpoint


def _wait_until_loaded(endpoint: ChatClient, config: EndpointConfig) -> None:
    """Wait for the model, and say so if it takes long; without it answers are made offline."""
    loading = endpoint.load()
    if loading is None:
        return
    try:
        try:
            loading.result(_QUIET_S)
        except FutureTimeoutError:
            say(
                f"avemo: waiting for {config.host} to load '{config.model}', at most "
                f"{config.load_timeout_s:g} s (endpoint.load_timeout_s)",
                file=sys.stderr,
            )
            loading.result()
    except BackendError as error:
        say(f"avemo: {error}; answers are made offline", file=sys.stderr)


# `avemo dialog chat`: a typed conversation in the terminal, without ROS.

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
        say("\n".join(wrapped(_SIMULATED.format(emotion=args.emotion), table.width)) + "\n")
    try:
        _talk(agent, senses, args.every, table, turns)
    finally:
        if args.report is not None:
            from avemo_ros.report.dialog_pages import write_transcript

            title = "Conversation" if args.states is None else args.states.name
            write_transcript(args.report, turns, title, simulated=args.states is None)
            say(f"avemo: wrote {args.report}", file=sys.stderr)
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
        say(_HELP)
    say(table.head())
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
                say(f"avemo: {error}", file=sys.stderr)
            continue
        t_s += every_s
        stamp_ns = START_NS + to_ns(t_s)
        for step in senses.until(t_s):
            agent.observe(step)
        answer = agent.answer(words, "", stamp_ns)
        turn = replace(turn_of(answer, to_s(stamp_ns - START_NS)), answer=answer.spoken)
        turns.append(turn)
        say(table.row(turn) + "\n", flush=True)


def _lines(typed: bool) -> Iterator[str]:
    """What is typed or piped in, line by line; bytes that are no UTF-8 do not end it."""
    while True:
        if typed:
            say("> ", end="", flush=True)
        line = sys.stdin.buffer.readline(_LONGEST_LINE)
        text = line.decode("utf-8", errors="replace").strip()
        if not line or (typed and not text):
            return
        yield text


# `avemo dialog evaluate`: scripted conversations with known emotions, and what is measured.

BELOW: Final = 1
"""Done, but an answer named an emotion of too little confidence."""


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "exit status: 0 done, 1 done but an answer named an emotion below the confidence\n"
        "limit, 2 an argument or a file cannot be used, 130 interrupted"
    )
    parser.add_argument(
        "--scenarios",
        type=Path,
        action="append",
        metavar="PATH",
        help="folder of scripted conversations, or one file; may be given several times; "
        "default: config/scenarios",
    )
    parser.add_argument(
        "--json", type=Path, required=True, metavar="OUT", help="write all metrics as JSON"
    )
    add_report(
        parser,
        "write an HTML report with the metrics and the transcripts, with and without "
        "emotion cues",
    )
    add_force(parser)
    parser.add_argument(
        "--rounds",
        type=int,
        default=2,
        metavar="N",
        help=(
            "simulate N times 42 changes of emotion at each confidence level (default: 2; "
            "0: none)"
        ),
    )
    parser.add_argument(
        "--hours",
        type=float,
        default=0.5,
        metavar="H",
        help=(
            "simulate H hours without a change at each confidence level (default: 0.5; 0: none)"
        ),
    )
    parser.add_argument(
        "--quiet", action="store_true", help=("do not print a summary, only errors")
    )
    add_dialog_options(parser)


def run_evaluate(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an input, a setting or an output cannot be used.
    """
    if not 0 <= args.rounds <= 1000:
        raise ConfigError("--rounds", args.rounds, "0 to 1000")
    if not 0.0 <= args.hours <= 1000.0:
        raise ConfigError("--hours", args.hours, "0 to 1000")
    check_outputs([args.json, args.report], force=args.force)
    check_report(args.report)
    setup = read_setup(args)
    folder = default_path().parent.parent / "scenarios"
    scenarios = read_scenarios(args.scenarios or [folder])
    quiet = args.quiet or not sys.stderr.isatty()
    result, conversations = evaluate(
        scenarios,
        setup,
        rounds=args.rounds,
        hours=args.hours,
        progress=(lambda _: None) if quiet else _tell,
    )
    result = {
        "version": __version__,
        "back_end": "offline" if setup.back_end is None else setup.back_end.name,
        **result,
    }
    write_json(args.json, result)
    if args.report is not None:
        from avemo_ros.report.dialog_pages import write_dialog_evaluation

        write_dialog_evaluation(args.report, result, conversations)
    if not args.quiet:
        say(summary(result))
        for path in filter(None, (args.json, args.report)):
            say(f"avemo: wrote {path}", file=sys.stderr)
    return BELOW if result["claims_below_limit"]["answers"] else DONE


def summary(result: Mapping[str, Any]) -> str:
    """The figures as lines of text."""
    lines = [
        f"scenarios            {len(result['scenarios'])}, {result['turns']} turns, "
        f"{result['judged_turns']} of them with a known truth; back end {result['back_end']}",
        f"strategy accuracy    {_percent(result['strategy_accuracy'])} "
        f"(without cues {_percent(result['strategy_accuracy_without_cues'])}); "
        f"emotion {_percent(result['emotion_accuracy'])}",
        f"named while unsure   {result['claims_below_limit']['answers']} answers",
        f"fallbacks            {result['fallbacks']} answers",
        *_rows("reaction", result["reaction"], _reaction),
        *_rows("steady feelings", result["steady"], _steady),
    ]
    latency = result["latency_ms"]
    if latency["median"] is not None:
        lines.append(
            f"latency              {latency['median']:.1f} ms median, "
            f"{latency['p90']:.1f} ms p90, {latency['largest']:.1f} ms at most"
        )
    return "\n".join(lines)


def _rows(name: str, rows: Sequence[Mapping[str, Any]], text: Any) -> list[str]:
    return [
        f"{name if number == 0 else '':20} confidence {row['confidence']:.2f}: {text(row)}"
        for number, row in enumerate(rows)
    ]


def _reaction(row: Mapping[str, Any]) -> str:
    missed = f"{row['missed']} of {row['changes']} missed"
    if row["median_s"] is None:
        return missed
    return f"{row['median_s']:.1f} s median, {row['p90_s']:.1f} s p90, {missed}"


def _steady(row: Mapping[str, Any]) -> str:
    return (
        f"{row['false_per_hour']:.1f} false and {row['lost_per_hour']:.1f} lost an hour, right "
        f"for {_percent(row['right_share'])} of {row['hours']:.2f} h"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _tell(what: str) -> None:
    say(f"avemo: {what}", file=sys.stderr)
