"""`avemo data prepare`: makes the features of a data set and keeps them on disk."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from avemo_ros.cli.outputs import add_force, check_outputs, write_json
from avemo_ros.config import AudioConfig, VisionConfig
from avemo_ros.data.features import FINDING_KINDS
from avemo_ros.data.file_reader import PARTS
from avemo_ros.data.prepare import PrepareReport, fill_cache
from avemo_ros.data.prepare_config import PrepareConfig
from avemo_ros.data.registry import DATASETS, list_items
from avemo_ros.settings import read_options

DONE: Final = 0
LACKING: Final = 1
_SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
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
    print(_summary(report))
    if args.json is not None:
        write_json(args.json, report.as_dict())
    left_out = sum(one.left_out and not one.by_design for one in listing.problems)
    if left_out:
        print(f"{left_out} files were left out; `avemo data check` shows why", file=sys.stderr)
    return LACKING if report.unusable else DONE


def _summary(report: PrepareReport) -> str:
    cached = report.items - report.made
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
