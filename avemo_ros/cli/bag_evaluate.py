"""`avemo bag evaluate`: replays bags without ROS and scores what is said of them."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from avemo_ros.cli.bag_bar import Bar
from avemo_ros.cli.bag_summary import summary
from avemo_ros.cli.bag_topics import add_topic_options, read_topics
from avemo_ros.cli.outputs import (
    add_force,
    add_report,
    check_outputs,
    check_report,
    write_json,
)
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import AvemoError, ConfigError
from avemo_ros.replay.evaluation import NothingScoredError, evaluate
from avemo_ros.replay.figures import FIGURES
from avemo_ros.replay.junit import write_junit
from avemo_ros.replay.outcome import Outcome
from avemo_ros.replay.play import USES
from avemo_ros.replay.request import Request
from avemo_ros.replay.sidecars import find_bags
from avemo_ros.replay.thresholds import read_thresholds
from avemo_ros.sink.atomic import OutputError, is_stream

DONE: Final = 0
FAILED: Final = 1
"""Done, but a limit is not kept or a bag could not be evaluated."""
_LEAST_ROUNDS: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "exit status: 0 done, 1 done but a limit is not kept or a bag could not be evaluated,\n"
        "2 an argument is wrong, or no bag could be evaluated: then the files say why,\n"
        "130 interrupted (with --resume the same command goes on)"
        f"\n\nfigures for --fail-below and --fail-above:\n  {_wrapped(list(FIGURES))}"
    )
    parser.add_argument(
        "bags",
        nargs="+",
        type=Path,
        metavar="BAG",
        help="a bag's folder, one file of it, or a folder of bags",
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="labels (.csv, .yaml, .eaf, .txt), or a folder of them; of several bags each gets "
        "the files whose name begins with its own; default: what lies beside each bag",
    )
    add_topic_options(parser)
    out = parser.add_argument_group("results")
    out.add_argument(
        "--json", type=Path, required=True, metavar="OUT", help="write all figures"
    )
    add_report(out, "write a page with plots")
    out.add_argument(
        "--thumbnails",
        action="store_true",
        help="pictures from the bags in the page; without this it holds none",
    )
    out.add_argument(
        "--junit", type=Path, metavar="OUT.xml", help="write what passed and what failed"
    )
    out.add_argument(
        "--timings", type=Path, metavar="OUT", help="write the measured times of each stage"
    )
    out.add_argument(
        "--fail-below",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="exit with 1 when this figure is less, e.g. ua=0.6; may be given several times",
    )
    out.add_argument(
        "--fail-above",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="exit with 1 when this figure is more, e.g. changes_per_minute=10",
    )
    add_force(out)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, as the nodes take it"
    )
    how.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="set one parameter, e.g. emotion.hop_s=0.2; may be given several times",
    )
    how.add_argument(
        "--model",
        metavar="NAME",
        help="released model or .safetensors file; short for --set model.weights=NAME",
    )
    how.add_argument(
        "--use",
        choices=USES,
        default="auto",
        help="pictures and sound, recorded features, or recorded states (default: the first of "
        "these that the bag holds)",
    )
    how.add_argument(
        "--rounds", type=int, default=1000, metavar="N", help="of the bootstrap (1000)"
    )
    how.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes in all, at most one a core (default: one a core)",
    )
    how.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep the replays there and take them from there; default: beside OUT until the "
        "run is complete",
    )
    how.add_argument(
        "--resume", action="store_true", help="go on with an interrupted run of this command"
    )
    how.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an argument, all bags, the labels, the model or an output cannot be used.
        KeyboardInterrupt: the user interrupted; finished replays are kept.
    """
    outputs = [args.json, args.report, args.junit, args.timings]
    check_outputs(outputs, force=args.force)
    check_report(args.report)
    if args.thumbnails and args.report is None:
        raise ConfigError("--thumbnails", True, "with --report OUT.html")
    if args.rounds < _LEAST_ROUNDS:
        raise ConfigError("--rounds", args.rounds, f"{_LEAST_ROUNDS} or more")
    if args.workers < 0:
        raise ConfigError("--workers", args.workers, "0 or more")
    settings = list(args.settings)
    if args.model is not None:
        settings.append(f"model.weights={args.model}")
    config = PipelineConfig.read(args.config, settings)
    request = Request(
        bags=tuple(find_bags(args.bags)),
        labels=tuple(args.labels),
        config=config,
        topics=read_topics(args),
        use=args.use,
        workers=args.workers,
        cache=_cache(args),
        thresholds=read_thresholds(args.fail_below, args.fail_above),
        rounds=args.rounds,
    )
    try:
        with Bar(shown=not args.quiet and sys.stderr.isatty()) as bar:
            outcome = evaluate(request, bar)
    except KeyboardInterrupt:
        _say_kept(args, "finished replays", "goes on with")
        raise
    except NothingScoredError as nothing:
        # CI uploads what is there: older results in their place would look like this run's.
        _write(args, nothing.outcome)
        for path in filter(None, outputs):
            print(f"avemo: wrote {path}, without figures", file=sys.stderr)
        if args.cache is None:
            _say_kept(args, "replays", "takes")
        raise
    except AvemoError:
        if args.cache is None:
            _say_kept(args, "replays", "takes")
        for path in filter(None, outputs):
            if path.exists():
                print(f"avemo: {path} is of an earlier run", file=sys.stderr)
        raise
    pictured = _write(args, outcome)
    if args.thumbnails and not pictured:
        print("avemo: no thumbnails: no bag holds pictures to show", file=sys.stderr)
    if args.cache is None:
        shutil.rmtree(_own_cache(args.json), ignore_errors=True)
    for bag in outcome.result["failed"]:
        print(f"avemo: {bag['name']} not evaluated: {bag['reason']}", file=sys.stderr)
    for item in outcome.result["thresholds"]:
        if not item["passed"]:
            print(f"avemo: failed: {item['reason']}", file=sys.stderr)
    if not args.quiet:
        print("\n".join(summary(outcome.result)))
        for path in outputs:
            if path is not None:
                print(f"avemo: wrote {path}", file=sys.stderr)
    return DONE if outcome.passed else FAILED


def _cache(args: argparse.Namespace) -> Path:
    """Folder of finished replays: the user's, or one beside the figures until they are there.

    Raises:
        OutputError: an interrupted run left one, and nothing says what to do with it.
    """
    if args.cache is not None:
        return Path(args.cache)
    folder = _own_cache(args.json)
    if folder.exists() and not args.resume:
        if not args.force:
            raise OutputError(
                f"{folder} holds replays of a run that was not completed; --resume goes on "
                "with them, --force begins anew"
            )
        shutil.rmtree(folder)
    return folder


def _say_kept(args: argparse.Namespace, what: str, does: str) -> None:
    """There are no figures: replays are kept for another run, an empty folder is not."""
    folder = _own_cache(args.json) if args.cache is None else Path(args.cache)
    if not folder.is_dir():
        return
    # What was just being written has a name that begins with a dot.
    if any(folder.glob("[!.]*")):
        # Files that were written without figures are replaced with --force alone.
        there = args.json.exists() and not is_stream(args.json)
        resume = "--resume --force" if there else "--resume"
        again = "the same command" if args.cache is not None else resume
        print(f"avemo: {what} are kept in {folder}; {again} {does} them", file=sys.stderr)
    elif args.cache is None:
        shutil.rmtree(folder, ignore_errors=True)


def _own_cache(out: Path) -> Path:
    if is_stream(out):
        return Path(tempfile.gettempdir()) / f"avemo-{os.getpid()}.replays"
    return out.with_name(f"{out.stem}.replays")


def _write(args: argparse.Namespace, outcome: Outcome) -> bool:
    """Write all that was asked for; returns whether there are pictures on the page."""
    write_json(args.json, outcome.result)
    if args.timings is not None:
        write_json(args.timings, outcome.timings)
    if args.junit is not None:
        write_junit(args.junit, outcome.result)
    if args.report is None:
        return False
    from avemo_ros.report.replay_page import write_report

    return write_report(args.report, outcome, thumbnails=args.thumbnails)


def _wrapped(names: Sequence[str]) -> str:
    return "\n".join(textwrap.wrap(", ".join(names), 88, subsequent_indent="  "))
