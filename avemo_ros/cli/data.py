"""`avemo data`: which data sets can be read, whether a copy is whole, and its features."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from avemo_ros.cli.outputs import add_force, check_outputs, write_json
from avemo_ros.config import AudioConfig, VisionConfig
from avemo_ros.data.corpus_check import as_json, check, report
from avemo_ros.data.dataset import DataSet, label_of
from avemo_ros.data.features import FINDING_KINDS, PrepareConfig
from avemo_ros.data.file_reader import PARTS
from avemo_ros.data.prepare import PrepareReport, fill_cache
from avemo_ros.data.registry import DATASETS, find_dataset, list_items
from avemo_ros.labels import SPEECH_CLASSES, WORDS
from avemo_ros.settings import read_options
from avemo_ros.untrusted import say

DONE: Final = 0
DIFFERS: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "list the data sets with classes, licence and expected layout"
    listing = actions.add_parser("list", help=text, description=_sentence(text))
    listing.add_argument("names", nargs="*", metavar="NAME", help="only these")
    listing.set_defaults(run_action=run_list)

    text = "compare your copy of a data set with the published counts, and find broken files"
    checking = actions.add_parser(
        "check",
        help=text,
        description=_sentence(text),
        epilog=(
            "exit status: 0 as published, 1 different or with broken files, 2 cannot be read"
        ),
    )
    checking.add_argument(
        "name",
        metavar="NAME",
        help=f"one of {', '.join(DATASETS)}, or module:NAME of your own (docs/extending.md)",
    )
    checking.add_argument("root", type=Path, metavar="ROOT", help="folder of the data set")
    checking.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the loader, e.g. labels=perceived (see `avemo data list`)",
    )
    checking.add_argument(
        "--all", action="store_true", help=("list every file, not only a few of each group")
    )
    checking.add_argument(
        "--json", type=Path, metavar="OUT", help=("also write the result to this file")
    )
    add_force(checking)
    checking.set_defaults(run_action=run_check)

    text = "extract faces and spectrograms from a data set and cache them on disk"
    prepare = actions.add_parser("prepare", help=text, description=_sentence(text))
    add_prepare_arguments(prepare)
    prepare.set_defaults(run_action=run_prepare)


def run(args: argparse.Namespace) -> int:
    """Carry out the action that was named; returns the exit status."""
    return int(args.run_action(args))


def run_list(args: argparse.Namespace) -> int:
    """Print what is known of each data set, and what their labels count as.

    Raises:
        ConfigError: no data set of that name.
    """
    datasets = [find_dataset(name) for name in args.names] or list(DATASETS.values())
    say("\n\n".join(_describe(dataset) for dataset in datasets))
    if not args.names:
        say("\nWords for the classes (also in clips.csv):")
        for label in SPEECH_CLASSES:
            words = ", ".join(word for word, counts_as in WORDS.items() if counts_as == label)
            say(f"  {label:9} {words}")
        say(f"  left out  {', '.join(word for word in WORDS if WORDS[word] is None)}")
        say(
            "Models of voice and landmarks have the class calm; the robot counts it as neutral."
        )
    return DONE


def run_check(args: argparse.Namespace) -> int:
    """Print the comparison; returns 1 if the copy is not as published.

    Raises:
        ConfigError: no such data set or option.
        DataError: the copy cannot be read.
        OutputError: the result cannot be written.
    """
    check_outputs([args.json], force=args.force)
    checked = check(find_dataset(args.name), args.root, **read_options(args.option))
    say(report(checked, everything=args.all))
    if args.json is not None:
        write_json(args.json, as_json(checked))
    return DONE if checked.as_published else DIFFERS


def _describe(dataset: DataSet) -> str:
    published = dataset.published()
    whole = "not known"
    if published is not None:
        subjects = len(published.subjects) if published.subjects else published.n_subjects
        people = f" of {subjects} people" if subjects else ""
        whole = f"{published.total} items{people}"
    renamed = [
        f"{word} = {label}"
        for word in dataset.words
        if (label := label_of(word)) is not None and label != word.lower()
    ]
    options = [f"{name}={'|'.join(values)}" for name, values in dataset.options.items()]
    lines = [
        f"{dataset.name}: {dataset.title}",
        f"  has       {dataset.contents}; whole: {whole}",
        f"  classes   {', '.join(dataset.classes)}",
        f"  its words {', '.join(renamed)}" if renamed else "",
        f"  left out  {', '.join(dataset.left_out)}" if dataset.left_out else "",
        f"  licence   {dataset.licence}",
        f"  options   {'  '.join(options)} (the first is the default)" if options else "",
        *(
            f"  {'layout' if number == 0 else '':9} {line}"
            for number, line in enumerate(dataset.layout.splitlines())
        ),
    ]
    return "\n".join(filter(None, lines))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


# `avemo data prepare`: makes the features of a data set and keeps them on disk.

LACKING: Final = 1
_SHOWN: Final = 5


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    defaults = PrepareConfig()
    parser.epilog = (
        "exit status: 0 all items are prepared, 1 some have no face or no sound or are "
        "broken, 2 nothing could be prepared, 130 interrupted (prepared items are kept)"
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help=f"one of {', '.join(DATASETS)}, or module:NAME of your own (docs/extending.md)",
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the data set")
    parser.add_argument(
        "--cache",
        type=Path,
        required=True,
        metavar="DIR",
        help=("folder for the prepared features"),
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="worker processes; 0: none, work in this process (default: %(default)s)",
    )
    parser.add_argument(
        "--want",
        nargs="+",
        default=sorted(PARTS),
        choices=sorted(PARTS),
        help="prepare only these parts (default: all)",
    )
    parser.add_argument(
        "--fps",
        type=float,
        default=defaults.fps,
        metavar="HZ",
        help="images to use per second; 0, the default, uses all",
    )
    parser.add_argument(
        "--crop-size",
        type=int,
        default=defaults.vision.crop_size,
        metavar="PIXELS",
        help="side length of the face crops (default: %(default)s)",
    )
    parser.add_argument(
        "--min-quality",
        type=float,
        default=defaults.min_quality,
        metavar="Q",
        help="leave out images with a face quality below this (default: %(default)s)",
    )
    parser.add_argument(
        "--channel",
        type=int,
        default=defaults.audio.channel,
        metavar="N",
        help="audio channel to use, counted from 0; -1, the default, mixes all",
    )
    parser.add_argument(
        "--detect",
        action="store_true",
        help="detect the face in single images; otherwise they must be cropped faces already",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the loader, e.g. modality=audio (see `avemo data list`)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="REPORT", help=("write the result to this file")
    )
    add_force(parser)


def run_prepare(args: argparse.Namespace) -> int:
    """Carry out the command; returns 1 if an item lacks a part.

    Raises:
        ConfigError: an argument is not allowed.
        DataError: the data set cannot be read, or the cache not be written.
        OutputError: the report cannot be written.
    """
    check_outputs([args.json], force=args.force)
    config = PrepareConfig(
        fps=args.fps,
        min_quality=args.min_quality,
        detect=args.detect,
        vision=VisionConfig(crop_size=args.crop_size),
        audio=AudioConfig(channel=args.channel),
    )
    listing = list_items(args.name, args.root, **read_options(args.option))
    report = fill_cache(listing.items, config, args.cache, args.workers, frozenset(args.want))
    say(_summary(report))
    if args.json is not None:
        write_json(args.json, report.as_dict())
    left_out = sum(one.left_out and not one.by_design for one in listing.problems)
    if left_out:
        say(f"{left_out} files were left out; `avemo data check` shows why", file=sys.stderr)
    return LACKING if report.unusable else DONE


def _summary(report: PrepareReport) -> str:
    cached = report.items - report.computed
    lines = [
        f"{report.items} items ({cached} from the cache) in {report.took_s:.1f} s, "
        f"{report.length_s / 60:.1f} minutes of recordings",
        f"  {report.faces} with a face ({report.crops} images), {report.speech} with a "
        "spectrogram",
    ]
    for kind in FINDING_KINDS:
        troubles = report.of_kind(kind)
        if not troubles:
            continue
        lines.append(f"  {len(troubles)} {kind}:")
        lines += [f"    {one.item.key}: {one.finding.reason}" for one in troubles[:_SHOWN]]
        if len(troubles) > _SHOWN:
            lines.append(f"    and {len(troubles) - _SHOWN} more; --json names them all")
    return "\n".join(lines)
