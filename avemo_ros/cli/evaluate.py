"""`avemo evaluate`: how good a model is on data that it has not been trained on."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from avemo_ros.cli.outputs import (
    add_force,
    add_report,
    all_or_none,
    check_outputs,
    check_report,
    write_json,
)
from avemo_ros.config import AudioConfig
from avemo_ros.data.features import PrepareConfig
from avemo_ros.data.registry import DATASETS, find_dataset
from avemo_ros.errors import ConfigError
from avemo_ros.evaluate.bootstrap import ROUNDS
from avemo_ros.evaluate.dataset_evaluation import evaluate_dataset
from avemo_ros.evaluate.dataset_request import PAIRS, PAIRS_TITLE, DatasetRequest
from avemo_ros.evaluate.metric_tables import (
    compare_predictions,
    measure,
    never_true_in_words,
    ranges_in_words,
)
from avemo_ros.evaluate.opened_models import InputLength
from avemo_ros.evaluate.predictions import (
    match_predictions,
    read_predictions,
    write_predictions,
)
from avemo_ros.model.emotion_model import MODALITIES
from avemo_ros.settings import read_options
from avemo_ros.untrusted import say
from avemo_ros.zoo.classifier import WINDOW_S

DONE: Final = 0
_LEAST_ROUNDS: Final = 100
_SHORTEST_S: Final = 0.63
_LONGEST_S: Final = 10.0
_NAMED: Final = 5
"""Items that a warning names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    names = ", ".join([*DATASETS, PAIRS])
    parser.add_argument(
        "dataset",
        metavar="NAME",
        nargs="?",
        help=f"data set: {names} "
        f"({PAIRS}: {PAIRS_TITLE} of faces and voices), or module:NAME of "
        "your own (docs/extending.md)",
    )
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="DIR|NAME=DIR",
        help=(
            "folder of the data set, or one with a folder for each data set; NAME=DIR for "
            "several"
        ),
    )
    parser.add_argument(
        "--csv", type=Path, metavar="C", help=("table of clips, for the data set clips")
    )
    parser.add_argument(
        "--model",
        default="",
        metavar="M",
        help="released model, .safetensors file or run folder; default: the released model "
        "for the modality",
    )
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="M",
        help="also evaluate this model on the same items; may be given several times",
    )
    part = parser.add_argument_group("data")
    part.add_argument(
        "--split",
        default="",
        metavar="S",
        help="train | validation | test | all, and public | private for FER2013; default: "
        "test if there is one, else validation, else all",
    )
    part.add_argument(
        "--subjects",
        nargs="+",
        default=[],
        metavar="WHO",
        help=("use only these subjects, e.g. 1 4 9 22"),
    )
    part.add_argument(
        "--folds",
        action="store_true",
        help="the model is a run folder with fold0, fold1, ...: evaluate each fold on the "
        "subjects it held out",
    )
    part.add_argument(
        "--modality", default="", metavar="WHAT", help=f"{' | '.join(MODALITIES)}"
    )
    part.add_argument("--au", type=Path, metavar="FILE.csv", help="table of action units")
    part.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE.npz",
        help="landmark sequences; default: made from the face meshes",
    )
    part.add_argument(
        "--personal-neutral",
        type=float,
        default=0.0,
        metavar="S",
        help="give landmark models a person's resting face: the mean over S seconds of the "
        "person's earlier items, without labels; inf: all of them (default: 0, not used)",
    )
    part.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the data set's loader, e.g. labels=ferplus (see `avemo data list`)",
    )
    part.add_argument("--limit", type=int, default=0, metavar="N", help="use only N items")
    part.add_argument(
        "--pairs",
        type=int,
        default=1400,
        metavar="N",
        help=("number of label-matched pairs to make (default: 1400)"),
    )
    part.add_argument(
        "--allow-seen",
        action="store_true",
        help="evaluate a model on its training items, too; the result says so",
    )
    part.add_argument(
        "--skip-missing",
        action="store_true",
        help="leave out items that lack the face or the audio that the model needs; "
        "otherwise they count as wrong",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--classes",
        type=int,
        choices=(7, 8),
        help="8 keeps calm apart from neutral; default: 8 if model and data have calm, else 7",
    )
    how.add_argument(
        "--known-classes",
        action="store_true",
        help="let the model answer only with the classes that the data set has; for models "
        "trained on other data sets",
    )
    how.add_argument(
        "--corruptions",
        action="store_true",
        help=(
            "also evaluate with a modality missing, noise, blur, occlusion, lost images "
            "and late audio"
        ),
    )
    how.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        metavar="N",
        help=(f"bootstrap rounds (default: {ROUNDS})"),
    )
    how.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help=("seed for the bootstrap and the pairs (default: 0)"),
    )
    how.add_argument(
        "--fps",
        type=float,
        default=0.0,
        metavar="HZ",
        help="images to use per second of a clip; default: all",
    )
    how.add_argument(
        "--channel",
        type=int,
        default=-1,
        metavar="N",
        help="audio channel to use, counted from 0; default: the mix of all",
    )
    how.add_argument(
        "--window",
        type=float,
        default=WINDOW_S,
        metavar="S",
        help=f"length of the audio windows around the speech (default: {WINDOW_S:g}, as "
        "live); 0: the whole item",
    )
    how.add_argument(
        "--frames", type=int, default=0, metavar="N", help="use only N faces of a clip; 0: all"
    )
    how.add_argument(
        "--mirrored", action="store_true", help="average over each face and its mirror image"
    )
    how.add_argument(
        "--cache", type=Path, metavar="DIR", help=("keep prepared features in this folder")
    )
    how.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help=("processes that prepare data (default: 0, this process)"),
    )
    how.add_argument(
        "--quiet", action="store_true", help=("show no progress bars and no summary")
    )
    out = parser.add_argument_group("results")
    out.add_argument("--json", type=Path, metavar="OUT", help="write all metrics as JSON")
    add_report(out, "write an HTML report with plots")
    out.add_argument(
        "--predictions", type=Path, metavar="OUT.csv", help="write the prediction for each item"
    )
    out.add_argument(
        "--from-predictions",
        nargs="+",
        type=Path,
        metavar="CSV",
        help=(
            "compute the metrics of such a table, without data or model, and compare it with "
            "others"
        ),
    )
    add_force(out)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an argument, the data, a model or an output cannot be used.
    """
    if args.rounds < _LEAST_ROUNDS:
        raise ConfigError("--rounds", args.rounds, f"{_LEAST_ROUNDS} or more")
    if args.window != 0.0 and not _SHORTEST_S <= args.window <= _LONGEST_S:
        raise ConfigError("--window", args.window, f"0, or {_SHORTEST_S} to {_LONGEST_S}")
    for name in ("limit", "workers", "frames"):
        if getattr(args, name) < 0:
            raise ConfigError(f"--{name}", getattr(args, name), "0 or more")
    if not args.personal_neutral >= 0:
        raise ConfigError("--personal-neutral", args.personal_neutral, "0 or more")
    check_outputs([args.json, args.report, args.predictions], force=args.force)
    check_report(args.report)
    outcome = None
    if args.from_predictions:
        result = _from_tables(args)
    else:
        outcome = evaluate_dataset(_request(args))
        result = outcome.result
    result["command"] = _command(args)
    with all_or_none([args.predictions, args.json, args.report]):
        if outcome is not None and args.predictions is not None:
            write_predictions(args.predictions, outcome.predictions)
        if args.json is not None:
            write_json(args.json, result)
        if args.report is not None:
            from avemo_ros.report.evaluation_page import write_evaluation

            write_evaluation(args.report, result)
    unreadable, no_voice = result["missing"]["unreadable"], result["missing"]["no_voice"]
    _warn(unreadable, "no readable file")
    _warn(
        [key for key in no_voice if key not in unreadable],
        "no voice (no sound, or it is silent or cannot be read)",
    )
    if not args.quiet:
        say("\n".join(dataset_summary(result)))
        for path in (args.json, args.report, args.predictions):
            if path is not None:
                say(f"avemo: wrote {path}", file=sys.stderr)
    return DONE


def _warn(keys: Sequence[str], lacking: str) -> None:
    """Count the items that lack something, and name the first of them."""
    if keys:
        items = "1 item has" if len(keys) == 1 else f"{len(keys)} items have"
        named = ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
        say(f"avemo: warning: {items} {lacking}: {named}", file=sys.stderr)


def _request(args: argparse.Namespace) -> DatasetRequest:
    if args.dataset is None:
        raise ConfigError("NAME", "", f"a data set: {', '.join([*DATASETS, PAIRS])}")
    if args.dataset != PAIRS:
        find_dataset(args.dataset)
    elif args.known_classes:
        raise ConfigError("--known-classes", PAIRS, "a data set; pairs have all classes")
    roots = _roots(args.root)
    if args.csv is not None:
        if args.dataset != "clips":
            raise ConfigError("--csv", str(args.csv), "only with NAME clips")
        if "clips" in roots:
            raise ConfigError("--csv", str(args.csv), "without --root clips=...: one table")
        roots["clips"] = args.csv
    if not roots:
        raise ConfigError("--root", "", "the folder of the data set")
    return DatasetRequest(
        dataset=args.dataset,
        roots=roots,
        model=args.model,
        others=tuple(args.compare),
        split=args.split,
        subjects=tuple(args.subjects),
        folds=args.folds,
        modality=args.modality,
        classes=args.classes,
        units=args.au,
        landmarks=args.landmarks,
        personal_neutral=args.personal_neutral,
        known_classes=args.known_classes,
        corruptions=args.corruptions,
        options=read_options(args.option),
        input_length=InputLength(args.window, args.frames, args.mirrored),
        prepare=PrepareConfig(
            fps=args.fps,
            detect=args.dataset == "clips",
            audio=AudioConfig(channel=args.channel),
        ),
        cache=args.cache,
        workers=args.workers,
        limit=args.limit,
        pairs=args.pairs,
        allow_seen=args.allow_seen,
        skip_missing=args.skip_missing,
        rounds=args.rounds,
        seed=args.seed,
        progress=not args.quiet,
    )


def _roots(given: Sequence[str]) -> dict[str, Path]:
    """Raises ConfigError where a folder is not there, or a data set unknown or given twice."""
    from avemo_ros.cli.train import read_roots

    roots = read_roots(given)
    for name in roots:
        if name:
            find_dataset(name)
    return roots


def _from_tables(args: argparse.Namespace) -> dict[str, Any]:
    """Figures of tables of predictions."""
    first, *others = args.from_predictions
    given = read_predictions(first)
    result = measure(given, rounds=args.rounds, seed=args.seed)
    result["difference"] = {
        str(other): compare_predictions(
            given,
            match_predictions(given, read_predictions(other)),
            rounds=args.rounds,
            seed=args.seed,
        )
        for other in others
    }
    return result | {
        "model": {"name": first.stem},
        "dataset": "",
        "title": str(first),
        "split": "",
        "seen": None,
        "missing": {
            "treatment": "as in the table",
            "unreadable": [],
            "damaged": [],
            "no_face": [],
            "no_voice": [],
        },
        "ms_per_item": None,
        "notes": [],
        "versions": {},
    }


def _command(args: argparse.Namespace) -> str:
    """The command line that asks for the same."""
    words = ["avemo", "evaluate"]
    if args.dataset:
        words.append(args.dataset)
    known = argparse.ArgumentParser(add_help=False)
    add_arguments(known)
    defaults = vars(known.parse_args([]))
    for name, default in defaults.items():
        value = getattr(args, name)
        if name == "dataset" or value == default:
            continue
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif name in ("subjects", "from_predictions"):
            words += [option, *map(str, value)]
        elif isinstance(value, list):
            words += [word for one in value for word in (option, str(one))]
        else:
            words += [option, str(value)]
    return shlex.join(words)


def dataset_summary(result: Mapping[str, Any]) -> list[str]:
    """The metrics in a few lines."""
    split = f", {result['split']}" if result["split"] else ""
    lines = [
        f"{result['model']['name']} on {result['title']}{split}: {result['items']} items, "
        f"{result['subjects']} subject{'' if result['subjects'] == 1 else 's'}, "
        f"{len(result['classes'])} classes"
    ]
    notes = [*result["notes"], never_true_in_words(result)]
    lines += [f"note: {note}" for note in notes if note]
    lacking = {
        "face": result["missing"]["no_face"],
        "voice": result["missing"]["no_voice"],
        "readable file": result["missing"]["unreadable"],
    }
    if any(lacking.values()):
        counts = ", ".join(f"{part} {len(keys)}" for part, keys in lacking.items() if keys)
        lines.append(f"{'missing':10} {counts}")
    if result["missing"]["damaged"]:
        lines.append(f"{'damaged':10} {len(result['missing']['damaged'])}, read in part")
    lines.append(
        f"{'coverage':10} {_percent(result['coverage'])} %  "
        f"({result['items'] - result['unanswered']} of {result['items']} items have an answer)"
    )
    for name, key in (("accuracy", "accuracy"), ("UA", "ua"), ("macro F1", "macro_f1")):
        ends = None if result["intervals"] is None else result["intervals"][key]
        lines.append(f"{name:10} {_percent(result[key])} %{_ends(ends)}")
    lines.append(ranges_in_words(result))
    scaled = result["ece_scaled"]
    after = "" if scaled is None else f"  ({_percent(scaled).strip()} % after scaling)"
    lines.append(f"{'ECE':10} {_percent(result['ece'])} %{after}")
    scaled = result["nll_scaled"]
    after = "" if scaled is None else f"    ({scaled:.3f} after scaling)"
    lines.append(f"{'NLL':10} {result['nll']:5.3f}{after}")
    if result.get("ms_per_item") is not None:
        lines.append(f"{'time':10} {result['ms_per_item']:.1f} ms an item (model, one thread)")
    if "folds" in result:
        ua = result["folds"]["ua"]
        each = " ".join(_percent(fold["ua"]).strip() for fold in result["folds"]["each"])
        spread = "" if ua["deviation"] is None else f" +- {_percent(ua['deviation']).strip()}"
        lines.append(f"{'UA, folds':10} {_percent(ua['mean'])} %{spread}  ({each})")
    for part, figures in result.get("alone", {}).items():
        lines.append(f"{part + ' alone':10}  UA {_percent(figures['ua'])} %")
    if "alone_difference" in result:
        found = result["alone_difference"]
        lines.append(
            f"both less {found['better_single']} alone, UA: {_signed(found['ua'])} points"
        )
    for other, found in result.get("difference", {}).items():
        lines.append(f"less {other}, UA: {_signed(found['ua'])} points")
    for kind, groups in result["gaps"].items():
        lines += ["", f"{'UA in % by ' + kind:24}{'people':>8}{'UA':>8}   less the others"]
        for name, part in groups.items():
            gap = _signed(part["gap"])
            lines.append(f"{name:24}{part['subjects']:8}{_percent(part['ua']):>8}   {gap}")
    if "corruptions" in result:
        lines += ["", *_rows(result["corruptions"]["rows"])]
    return lines


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of corruptions: UA."""
    parts = [part for part in ("fused", "face", "voice") if any(part in row for row in rows)]
    head = "".join(f"{part:>8}" for part in parts)
    lines = [f"{'UA in %':20}{head}" + ("   fused less the better" if len(parts) > 1 else "")]
    for row in rows:
        cells = "".join(
            f"{_percent(row[part]['ua']):>8}" if part in row else f"{'-':>8}" for part in parts
        )
        more = f"   {_signed(row['difference']['ua'])}" if "difference" in row else ""
        lines.append(f"{row['condition']:20}{cells}{more}")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:5.1f}"


def _ends(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"  [{_percent(ends[0])}, {_percent(ends[1])}]"


def _signed(found: Mapping[str, Any]) -> str:
    ends = found["interval"]
    shown = "" if ends is None else f" [{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}]"
    return f"{100 * found['value']:+.1f}{shown}"
