"""`avemo bag evaluate`: replay bags without ROS and score the estimates."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from avemo_ros.annotations.label_files import find_bags
from avemo_ros.annotations.segments import TruthRule
from avemo_ros.cli.bag_check import add_topic_options, read_topics
from avemo_ros.cli.outputs import (
    add_force,
    add_report,
    all_or_none,
    check_outputs,
    check_report,
    write_json,
)
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import AvemoError, ConfigError
from avemo_ros.evaluate.bootstrap import TOO_FEW
from avemo_ros.replay.bag_evaluation import (
    BagEvaluation,
    BagRequest,
    NothingScoredError,
    evaluate_bags,
)
from avemo_ros.replay.named_metrics import (
    METRICS,
    NOTHING,
    SCHEMA,
    has_no_bag,
    read_thresholds,
    value_text,
    write_junit,
)
from avemo_ros.replay.runner import USES
from avemo_ros.replay.scoring import interval_text, intervals_in_words, people_in_words
from avemo_ros.sink.output_file import FolderLock, is_stream
from avemo_ros.sink.presentation import counted, lasting
from avemo_ros.untrusted import parse_json, read_text, say

_SHOWN: Final = (
    ("segment_accuracy", "segments", "accuracy"),
    ("segment_ua", "segments", "ua"),
    ("accuracy", "frames", "accuracy"),
    ("ua", "frames", "ua"),
    ("accuracy_after_warm_up", "frames_after_warm_up", "accuracy"),
    ("ua_after_warm_up", "frames_after_warm_up", "ua"),
    ("coverage", "coverage", "share"),
    ("claim_accuracy", "coverage", "accuracy"),
    ("ece", "calibration", "ece"),
)
"""Metrics of the summary, each with the place of its interval."""
_MOST_NOTES: Final = 10
_HEAD: Final = 4096
"""Letters of a page within which its title is."""
_ALSO_SHOWN: Final = ("changes_per_minute", "reaction_median")
DONE: Final = 0
FAILED: Final = 1
"""Done, but a limit is not kept or a bag could not be evaluated."""
_LEAST_ROUNDS: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "exit status: 0 done, 1 done but a limit was missed or a bag could not be "
        "evaluated,\n"
        "2 an argument is wrong, or no bag could be evaluated (the result files say why),\n"
        "130 interrupted (the same command continues)\n\n"
        "metrics for --fail-below and --fail-above:\n"
        f"  {_wrapped(list(METRICS))}"
    )
    parser.add_argument(
        "bags",
        nargs="+",
        type=Path,
        metavar="BAG",
        help="folder of a bag, one of its files, or a folder of bags",
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="label files (.csv, .yaml, .eaf, .txt), or a folder of them; with several bags, "
        "start each file's name with the name of its bag; default: the files next to "
        "each bag",
    )
    truth = parser.add_argument_group("several annotators")
    truth.add_argument(
        "--lead",
        default="",
        metavar="NAME",
        help="where votes are tied, this annotator decides; default: such moments are left "
        "out, and the result says how many",
    )
    truth.add_argument(
        "--adjudicated",
        default="",
        metavar="NAME",
        help="labels of this annotator are true wherever there are any; they are not votes, "
        "and do not count in the agreement",
    )
    truth.add_argument(
        "--soft-labels",
        action="store_true",
        help="weight each label by the share of annotators who gave it, instead of taking the "
        "majority's",
    )
    add_topic_options(parser)
    out = parser.add_argument_group("results")
    out.add_argument(
        "--json", type=Path, required=True, metavar="OUT", help="write all metrics as JSON"
    )
    add_report(out, "write an HTML report with plots")
    out.add_argument(
        "--thumbnails",
        action="store_true",
        help="add small images from the bags to the report",
    )
    out.add_argument(
        "--junit",
        type=Path,
        metavar="OUT.xml",
        help=("write passed and failed limits as JUnit XML"),
    )
    out.add_argument(
        "--timings", type=Path, metavar="OUT", help="write how long each stage took"
    )
    out.add_argument(
        "--fail-below",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="exit with 1 if this metric is less, e.g. ua=0.6; may be given several times",
    )
    out.add_argument(
        "--fail-above",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="exit with 1 if this metric is more, e.g. changes_per_minute=10",
    )
    add_force(out)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, as for the nodes"
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
        help="released model, .safetensors file, or one of your own (docs/extending.md); "
        "short for --set model.weights=NAME",
    )
    how.add_argument(
        "--use",
        choices=USES,
        default="auto",
        help="images and audio, recorded features, or recorded states (default: the first of "
        "these that the bag contains)",
    )
    how.add_argument(
        "--rounds", type=int, default=1000, metavar="N", help="bootstrap rounds (default: 1000)"
    )
    how.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes in total, at most one per core (default: one per core)",
    )
    how.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep finished replays in this folder and reuse them; default: a folder next to "
        "OUT that is deleted when the run is complete",
    )
    how.add_argument(
        "--resume",
        action="store_true",
        help="with --force: keep the finished replays of an unfinished run of this command",
    )
    how.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an argument, all bags, the labels, the model or an output cannot be used.
        KeyboardInterrupt: the user interrupted; finished replays are kept.
    """
    outputs = [args.json, args.report, args.junit, args.timings]
    check_outputs(outputs, force=args.force, left_over=_without_metrics)
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
    if args.soft_labels and args.lead:
        raise ConfigError("--lead", args.lead, "left out with --soft-labels: nobody decides")
    config = PipelineConfig.read(args.config, settings)
    request = BagRequest(
        bags=tuple(find_bags(args.bags)),
        labels=tuple(args.labels),
        config=config,
        topics=read_topics(args),
        use=args.use,
        workers=args.workers,
        cache=_cache(args),
        thresholds=read_thresholds(args.fail_below, args.fail_above),
        rounds=args.rounds,
        truth=TruthRule(args.lead, args.adjudicated, args.soft_labels),
    )
    try:
        with ProgressBar(shown=not args.quiet and sys.stderr.isatty()) as bar:
            evaluation = evaluate_bags(request, bar)
    except KeyboardInterrupt:
        _say_kept(args, "finished replays", "continues with")
        raise
    except NothingScoredError as nothing:
        # CI uploads what is there: older results in their place would look like this run's.
        _write(args, nothing.evaluation)
        for path in filter(None, outputs):
            say(f"avemo: wrote {path}, without metrics", file=sys.stderr)
        if args.cache is None:
            _say_kept(args, "replays", "takes")
        raise
    except AvemoError:
        if args.cache is None:
            _say_kept(args, "replays", "takes")
        for path in filter(None, outputs):
            if path.exists():
                say(f"avemo: {path} is from an earlier run", file=sys.stderr)
        raise
    has_images = _write(args, evaluation)
    if args.thumbnails and not has_images:
        say("avemo: no thumbnails: no bag contains images", file=sys.stderr)
    if args.cache is None:
        shutil.rmtree(_own_cache(args.json), ignore_errors=True)
    for bag in evaluation.result["failed"]:
        say(f"avemo: {bag['name']} not evaluated: {bag['reason']}", file=sys.stderr)
    for item in evaluation.result["thresholds"]:
        if not item["passed"]:
            say(f"avemo: failed: {item['reason']}", file=sys.stderr)
    if not args.quiet:
        say("\n".join(evaluation_summary(evaluation.result)))
        for path in outputs:
            if path is not None:
                say(f"avemo: wrote {path}", file=sys.stderr)
    return DONE if evaluation.passed else FAILED


def _without_metrics(path: Path) -> bool:
    """Whether a file is one that this command writes if no bag could be evaluated."""
    if path.suffix.lower() == ".xml":
        return has_no_bag(path)
    try:
        text = read_text(path)
        if path.suffix.lower() in (".html", ".htm"):
            return f"<title>{NOTHING}" in text[:_HEAD]
        content = parse_json(text)
    except (OSError, ValueError):
        return False
    if not isinstance(content, dict):
        return False
    is_result = content.get("schema") == SCHEMA and content.get("overall", "") is None
    return is_result or (content.get("bags") == {} and content.get("stages_ms") == {})


def _cache(args: argparse.Namespace) -> Path:
    """Folder of finished replays: the user's, or one beside the metrics until they are there.

    A run that failed or was interrupted left one; its replays are those of the same bags, model
    and settings only, so they are taken, unless everything is to be done again.

    Raises:
        OutputError: another run uses it now.
    """
    if args.cache is not None:
        return Path(args.cache)
    folder = _own_cache(args.json)
    if folder.exists():
        FolderLock(folder).release()  # another run may be at work there
        if args.force and not args.resume:
            shutil.rmtree(folder)
        elif any(folder.glob("[!.]*")):
            say(
                f"avemo: takes what an unfinished run left in {folder}; --force starts again",
                file=sys.stderr,
            )
    return folder


def _say_kept(args: argparse.Namespace, what: str, does: str) -> None:
    """There are no metrics: replays are kept for another run, an empty folder is not."""
    folder = _own_cache(args.json) if args.cache is None else Path(args.cache)
    if not folder.is_dir():
        return
    # What was just being written has a name that begins with a dot.
    if any(folder.glob("[!.]*")):
        again = "the same command, with --resume," if args.force else "the same command"
        say(f"avemo: {what} are kept in {folder}; {again} {does} them", file=sys.stderr)
    elif args.cache is None:
        shutil.rmtree(folder, ignore_errors=True)


def _own_cache(out: Path) -> Path:
    if is_stream(out):
        return Path(tempfile.gettempdir()) / f"avemo-{os.getpid()}.replays"
    return out.with_name(f"{out.stem}.replays")


def _write(args: argparse.Namespace, evaluation: BagEvaluation) -> bool:
    """Write all that was asked for; returns whether there are images on the page."""
    with all_or_none([args.json, args.timings, args.junit, args.report]):
        write_json(args.json, evaluation.result)
        if args.timings is not None:
            write_json(args.timings, evaluation.timings)
        if args.junit is not None:
            write_junit(args.junit, evaluation.result)
        if args.report is None:
            return False
        from avemo_ros.report.replay_page import write_report

        return write_report(args.report, evaluation, thumbnails=args.thumbnails)


def _wrapped(names: Sequence[str]) -> str:
    return "\n".join(textwrap.wrap(", ".join(names), 88, subsequent_indent="  "))


class ProgressBar:
    """A bar over the message time of all bags, with the speed and the time that is left."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: tqdm[Any] | None = None
        self._bags = 0
        self._began = time.monotonic()

    def __enter__(self) -> ProgressBar:
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
            desc=self._done(0),
            bar_format="{desc} {bar} {n:.0f}/{total:.0f} s{postfix}, {remaining} left",
        )

    def reach(self, seconds: float, bags: int) -> None:
        """So much is done."""
        if self._bar is None:
            return
        speed = seconds / max(time.monotonic() - self._began, 1e-6)
        self._bar.desc = self._done(bags)
        self._bar.postfix = f"{speed:.1f} times real time"
        self._bar.update(seconds - self._bar.n)

    def _done(self, bags: int) -> str:
        return f"{bags}/{self._bags} bag{'' if self._bags == 1 else 's'}"

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def evaluation_summary(result: Mapping[str, Any]) -> list[str]:
    """The metrics in a few lines."""
    overall, bags = result["overall"], result["bags"]
    models = ", ".join(result["model"]["ids"]) or "-"
    length = lasting(sum(bag["seconds"] for bag in bags))
    lines = [
        f"{models} on {counted(len(bags), 'bag')}, {length}: "
        f"{counted(overall['segments']['items'], 'segment')} of "
        f"{people_in_words(overall)}"
    ]
    notes = list(overall["notes"])
    notes += [f"{bag['name']}: {problem}" for bag in bags for problem in bag["problems"]]
    notes += [
        f"{bag['name']}: {note}"
        for bag in bags
        for source in bag["labels"]
        for note in source["notes"]
    ]
    lines += [f"note: {note}" for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        lines.append(
            f"note: and {len(notes) - _MOST_NOTES} more, in the JSON file and the report"
        )
    for name, part, key in _SHOWN:
        value = value_text(result["figures"][name], METRICS[name].unit)
        interval = interval_text(overall, part, key)
        # Said once below, and not in each line.
        interval = f"  {interval}" if interval and interval != TOO_FEW else ""
        lines.append(f"{METRICS[name].text:32} {value:>10}{interval}")
    for name in _ALSO_SHOWN:
        value = value_text(result["figures"][name], METRICS[name].unit)
        lines.append(f"{METRICS[name].text:32} {value:>10}")
    lines += [interval for interval in [intervals_in_words(overall)] if interval]
    lines += [
        f"{'passed' if item['passed'] else 'FAILED'}: {item['figure']} not {item['fails']} "
        f"{item['limit']:g}: it {_value(item['value'])}"
        for item in result["thresholds"]
    ]
    if result["realtime_factor"] is not None:
        lines.append(f"{result['realtime_factor']:.1f} times real time")
    return lines


def _value(value: float | None) -> str:
    return "could not be measured" if value is None else f"is {value:g}"
