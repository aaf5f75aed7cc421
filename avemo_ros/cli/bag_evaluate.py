"""`avemo bag evaluate`: replays bags without ROS and scores what is said of them."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from avemo_ros.cli.bag_topics import add_topic_options, read_topics
from avemo_ros.cli.outputs import check_outputs, refuse_existing, write_json
from avemo_ros.cli.settings import read_config
from avemo_ros.errors import AvemoError, ConfigError
from avemo_ros.replay.evaluation import evaluate
from avemo_ros.replay.figures import FIGURES, in_words
from avemo_ros.replay.junit import write_junit
from avemo_ros.replay.outcome import Outcome
from avemo_ros.replay.request import Request
from avemo_ros.replay.run import USES
from avemo_ros.replay.sidecars import without_labels
from avemo_ros.replay.thresholds import read_thresholds
from avemo_ros.sink.atomic import OutputError

DONE: Final = 0
FAILED: Final = 1
"""Done, but a limit is not kept or a bag could not be evaluated."""
_LEAST_ROUNDS: Final = 100
_SHOWN: Final = (
    ("segment_accuracy", "segments", "accuracy"),
    ("segment_ua", "segments", "ua"),
    ("accuracy", "frames", "accuracy"),
    ("ua", "frames", "ua"),
    ("coverage", "coverage", "share"),
    ("claim_accuracy", "coverage", "accuracy"),
    ("ece", "calibration", "ece"),
)
"""Figures of the summary, each with the place of its interval."""
_ALSO_SHOWN: Final = ("changes_per_minute", "reaction_median")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "exit status: 0 done, 1 done but a limit is not kept or a bag could not be evaluated,\n"
        "2 nothing could be evaluated, 130 interrupted (with --resume the same command goes on)"
        f"\n\nfigures for --fail-below and --fail-above:\n  {_wrapped(list(FIGURES))}"
    )
    parser.add_argument("bags", nargs="+", type=Path, metavar="BAG", help="bag, folder or file")
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
    out.add_argument("--report", type=Path, metavar="OUT.html", help="write a page with plots")
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
    out.add_argument("--force", action="store_true", help="replace files that are there")
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
    check_outputs(outputs)
    if not args.force:
        refuse_existing(outputs)
    if args.thumbnails and args.report is None:
        raise ConfigError("--thumbnails", True, "with --report OUT.html")
    if args.rounds < _LEAST_ROUNDS:
        raise ConfigError("--rounds", args.rounds, f"{_LEAST_ROUNDS} or more")
    if args.workers < 0:
        raise ConfigError("--workers", args.workers, "0 or more")
    settings = list(args.settings)
    if args.model is not None:
        settings.append(f"model.weights={args.model}")
    request = Request(
        bags=tuple(without_labels(args.bags)),
        labels=tuple(args.labels),
        config=read_config(args.config, settings),
        topics=read_topics(args),
        use=args.use,
        workers=args.workers,
        cache=_cache(args),
        thresholds=read_thresholds(args.fail_below, args.fail_above),
        rounds=args.rounds,
    )
    try:
        with _Bar(shown=not args.quiet and sys.stderr.isatty()) as bar:
            outcome = evaluate(request, bar)
    except KeyboardInterrupt:
        print("avemo: finished replays are kept; --resume goes on with them", file=sys.stderr)
        raise
    except AvemoError:
        if args.cache is None:
            _say_kept(_own_cache(args.json))
        raise
    _write(args, outcome)
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


def _say_kept(folder: Path) -> None:
    """Nothing could be scored: replays are kept for better labels, an empty folder is not."""
    if not folder.is_dir():
        return
    if any(folder.iterdir()):
        print(f"avemo: replays are kept in {folder}; --resume takes them", file=sys.stderr)
    else:
        folder.rmdir()


def _own_cache(out: Path) -> Path:
    return out.with_name(f"{out.stem}.replays")


def _write(args: argparse.Namespace, outcome: Outcome) -> None:
    write_json(args.json, outcome.result)
    if args.timings is not None:
        write_json(args.timings, outcome.timings)
    if args.junit is not None:
        write_junit(args.junit, outcome.result)
    if args.report is not None:
        from avemo_ros.replay.report import write_report

        write_report(args.report, outcome, thumbnails=args.thumbnails)


def summary(result: Mapping[str, Any]) -> list[str]:
    """The figures in a few lines."""
    overall, bags = result["overall"], result["bags"]
    models = ", ".join(result["model"]["ids"]) or "-"
    minutes = sum(bag["seconds"] for bag in bags) / 60
    lines = [
        f"{models} on {len(bags)} bag{'' if len(bags) == 1 else 's'}, {minutes:.1f} min: "
        f"{overall['segments']['items']} segments of {overall['persons']} "
        f"{'person' if overall['persons'] == 1 else 'people'}"
    ]
    lines += [f"note: {note}" for note in overall["notes"]]
    for name, part, key in _SHOWN:
        value = in_words(result["figures"][name], FIGURES[name].unit)
        interval = (overall[part]["intervals"] or {}).get(key)
        low_high = f"  [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else ""
        lines.append(f"{FIGURES[name].text:32} {value:>10}{low_high}")
    for name in _ALSO_SHOWN:
        value = in_words(result["figures"][name], FIGURES[name].unit)
        lines.append(f"{FIGURES[name].text:32} {value:>10}")
    lines += [
        f"{'passed' if item['passed'] else 'FAILED'}: {item['figure']} not {item['fails']} "
        f"{item['limit']:g}"
        for item in result["thresholds"]
    ]
    if result["realtime_factor"] is not None:
        lines.append(f"{result['realtime_factor']:.1f} times real time")
    return lines


class _Bar:
    """A bar over the message time of all bags, with the speed and the time that is left."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: tqdm[Any] | None = None
        self._bags = 0
        self._began = time.monotonic()

    def __enter__(self) -> _Bar:
        return self

    def begin(self, seconds: float, bags: int) -> None:
        """So much lies ahead."""
        self._bags = bags
        self._began = time.monotonic()
        self._bar = tqdm(
            total=seconds,
            disable=not self._shown,
            file=sys.stderr,
            leave=False,
            desc=f"0/{bags} bags",
            bar_format="{desc} {bar} {n:.0f}/{total:.0f} s{postfix}, {remaining} left",
        )

    def reach(self, seconds: float, bags: int) -> None:
        """So much is done."""
        if self._bar is None:
            return
        speed = seconds / max(time.monotonic() - self._began, 1e-6)
        self._bar.desc = f"{bags}/{self._bags} bags"
        self._bar.postfix = f"{speed:.1f} times real time"
        self._bar.update(seconds - self._bar.n)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _wrapped(names: Sequence[str]) -> str:
    return "\n".join(textwrap.wrap(", ".join(names), 88, subsequent_indent="  "))
