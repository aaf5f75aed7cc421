"""`avemo bag compare`: how several evaluations of bags differ."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from avemo_ros.cli.outputs import (
    add_force,
    add_report,
    check_outputs,
    check_report,
    write_json,
)
from avemo_ros.errors import ConfigError
from avemo_ros.replay.compare import compare, covers_zero, read_result
from avemo_ros.replay.named_metrics import METRICS, value_text
from avemo_ros.sink.presentation import counted
from avemo_ros.untrusted import real, say

DONE: Final = 0
_FEWEST: Final = 2
_VERDICT: Final = len(" better")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = "exit status: 0 done, 2 a file cannot be read or written"
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="JSON",
        help="results of `avemo bag evaluate --json`; the others are compared with the first",
    )
    add_report(parser, "write an HTML report")
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help=("write all differences as JSON")
    )
    add_force(parser)
    parser.add_argument("--quiet", action="store_true", help="do not print the table")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: a file or an output cannot be used.
    """
    outputs = [args.report, args.json]
    check_outputs(outputs, force=args.force)
    check_report(args.report)
    if len(args.results) < _FEWEST:
        raise ConfigError("number of results", len(args.results), "two or more")
    results = [read_result(path) for path in args.results]
    found = compare(_names(args.results), results)
    if args.json is not None:
        write_json(args.json, found)
    if args.report is not None:
        from avemo_ros.report.compare_page import write_comparison

        write_comparison(args.report, found, results)
    if not args.quiet:
        say("\n".join(summary(found)))
        for path in outputs:
            if path is not None:
                say(f"avemo: wrote {path}", file=sys.stderr)
    return DONE


def summary(found: Mapping[str, Any]) -> list[str]:
    """The metrics of all runs side by side."""
    runs = found["runs"]
    wide = max(12, *(len(run["name"]) + 2 for run in runs))
    lines = [f"note: {note}" for note in found["notes"]]
    # Behind each value stands which way it went, so that three runs can be told apart.
    names = [f"{run['name']:>{wide}}" for run in runs]
    lines.append(f"{'':32}{names[0]}" + f"{'':{_VERDICT}}".join(names[1:]))
    before = len(lines)
    for item in found["figures"]:
        metric = METRICS[item["name"]]
        if all(verdict == "same" for verdict in item["verdicts"]):
            continue
        values = [f"{value_text(value, metric.unit):>{wide}}" for value in item["values"]]
        # The first differs from itself in nothing.
        verdicts = [f"{f' {verdict}':{_VERDICT}}" for verdict in item["verdicts"][1:]]
        cells = map("".join, zip(values[1:], verdicts, strict=True))
        lines.append(f"{metric.text:32}{values[0]}{''.join(cells)}".rstrip())
    if len(lines) == before:
        lines[-1] = "no metric differs"
    lines += [
        f"{run['name']}: {counted(run['segments_better'], 'segment')} better, "
        f"{run['segments_worse']} worse"
        + ("" if run["sign_test"] is None else f" (sign test: {run['sign_test']:.2g})")
        + _gained(run["paired"])
        for run in runs[1:]
    ]
    return lines


def _gained(found: Mapping[str, Any]) -> str:
    """The difference in accuracy over the same segments, where it has an interval."""
    rate = found["segment_accuracy"]
    if rate["interval"] is None:
        return ""
    low, high = (f"{100 * end:+.1f}" for end in rate["interval"])
    chance = ": the interval covers 0" if covers_zero(rate["interval"]) else ""
    return (
        f"; accuracy of the same segments {100 * rate['difference']:+.1f} points "
        f"({low} to {high}, over {found['groups']} {found['over']}){chance}"
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """A short name for each run, another one for each."""
    often = Counter(path.stem for path in paths)
    names = [
        path.stem if often[path.stem] == 1 else "/".join(real(path).parts[-2:])
        for path in paths
    ]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[place] = f"{name} ({seen[name]})"
    return names
