"""`avemo dialog evaluate`: scripted conversations with known emotions, and what is measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from avemo_ros import __version__
from avemo_ros.cli.dialog_settings import add_dialog_options, read_setup
from avemo_ros.cli.outputs import (
    add_force,
    add_report,
    check_outputs,
    check_report,
    write_json,
)
from avemo_ros.dialog.evaluation import evaluate
from avemo_ros.dialog.policy import default_path
from avemo_ros.dialog.scenario import read_scenarios
from avemo_ros.errors import ConfigError

DONE: Final = 0
BELOW: Final = 1
"""Done, but an answer named an emotion of too little confidence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
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
    folder = default_path().parent / "scenarios"
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
        print(summary(result))
        for path in filter(None, (args.json, args.report)):
            print(f"avemo: wrote {path}", file=sys.stderr)
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
    print(f"avemo: {what}", file=sys.stderr)
