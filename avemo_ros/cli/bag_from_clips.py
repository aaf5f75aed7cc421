"""`avemo bag from-clips`: each clip of a data set or of a table as a labelled bag."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tqdm import tqdm

from avemo_ros.annotations.label_tables import labels_text
from avemo_ros.annotations.segments import Segment
from avemo_ros.bag.from_clips import Clip, ClipBag, ClipFormat, Extent
from avemo_ros.bag.partial_bag import COMPRESSIONS, STORAGES
from avemo_ros.config import PipelineConfig
from avemo_ros.data.clips import MARK, mark_of, marks_in, names_by_key, names_of
from avemo_ros.data.corpus_files import IMAGES
from avemo_ros.data.dataset import Item
from avemo_ros.data.registry import DATASETS, list_items
from avemo_ros.errors import AudioFormatError, BagError, ConfigError, ImageError, SourceError
from avemo_ros.labels import EMOTIONS
from avemo_ros.settings import read_options
from avemo_ros.sink.output_file import OutputError, replaced
from avemo_ros.untrusted import say

DONE: Final = 0
LACKING: Final = 1
"""Done, but some clips gave no bag."""
_JPEG_QUALITY: Final = 95
_SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Each bag gets its label in a file NAME.labels.csv next to it.  Run the same\n"
        "command again to continue an interrupted run: existing bags are kept, unfinished\n"
        "ones (NAME.partial) are made again.\n"
        "\n"
        "exit status: 0 every clip is a bag, 1 some clips cannot be read, 2 nothing could\n"
        "be done, 130 interrupted (finished bags are kept)"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--csv",
        type=Path,
        metavar="CLIPS.CSV",
        help=(
            "table of clips with the columns file, label, subject and, optionally, start_s "
            "and end_s"
        ),
    )
    source.add_argument(
        "--dataset", choices=sorted(DATASETS), help=("data set to convert; needs --root")
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the data set")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the data set's loader (see `avemo data list`)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help=("folder for the bags")
    )
    parser.add_argument(
        "--storage", choices=STORAGES, default=STORAGES[0], help="default: %(default)s"
    )
    parser.add_argument(
        "--compression", choices=COMPRESSIONS, default=COMPRESSIONS[0], help="default: none"
    )
    parser.add_argument(
        "--features",
        action="store_true",
        help="write faces (small grey crops, landmarks) and spectrograms instead of images "
        "and audio",
    )
    parser.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, for --features"
    )
    parser.add_argument(
        "--jpeg",
        action="store_true",
        help=f"compress images (JPEG, quality {_JPEG_QUALITY}) to about a tenth of the size",
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="fit images into this size, e.g. 640x480; default: keep their size",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N clips")
    parser.add_argument("--force", action="store_true", help="overwrite existing bags")


def run(args: argparse.Namespace) -> int:
    """Carry out the command; returns 1 if some clips cannot be read.

    Raises:
        KeyboardInterrupt: the user interrupted; bags that are whole are kept.
        AvemoError: an argument is not allowed, the clips cannot be listed, or a bag cannot be
            written.
    """
    items, unread = _items(args)
    form = ClipFormat(
        args.storage,
        args.compression,
        _JPEG_QUALITY if args.jpeg else 0,
        args.size,
        PipelineConfig.read(args.config) if args.features else None,
    )
    places = _places(items, args)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write into {args.out}: {error.strerror}") from error
    kept, troubles, left_out = 0, list(unread), len(unread)
    items = items[: args.limit]
    todo = list(zip(items, places, strict=True))
    try:
        for item, path in tqdm(todo, unit="clip", disable=not sys.stderr.isatty()):
            if path.exists() and not args.force:
                kept += 1
                continue
            try:
                trouble = _make(item, path, form, force=args.force)
            except (SourceError, ImageError, AudioFormatError) as error:
                trouble = f"left out: {error}"
                left_out += 1
            if trouble:
                troubles.append(f"{item.key}: {trouble}")
    except KeyboardInterrupt:
        there = sum(path.exists() for path in places)
        same = "the same command without --force" if args.force else "the same command"
        _say(f"{there} of {len(places)} bags are in {args.out}; {same} continues")
        raise
    _summarise(len(items) - kept - left_out + len(unread), kept, troubles, args.out)
    return LACKING if left_out else DONE


def _items(args: argparse.Namespace) -> tuple[list[Item], list[str]]:
    """The clips, and what is wrong with those that the data set lists and nobody can read."""
    if args.limit is not None and args.limit < 1:
        raise ConfigError("--limit", args.limit, "1 or more")
    if args.csv is not None:
        if args.root is not None:
            raise ConfigError("--root", str(args.root), "nothing, with --csv")
        listing = list_items("clips", args.csv)
    elif args.root is None:
        raise ConfigError("--root", None, f"the folder of {args.dataset}")
    else:
        listing = list_items(args.dataset, args.root, **read_options(args.option))
    unread = [
        f"{one.path}: left out: {one.what}"
        for one in listing.problems
        if one.left_out and not one.by_design
    ]
    clips = [
        item
        for item in listing.items
        if item.row is None and item.path.suffix.lower() not in IMAGES
    ]
    if not clips:
        raise ConfigError("data set", listing.dataset, "one with clips, not only images")
    if len(clips) < len(listing.items):
        _say(f"{len(listing.items) - len(clips)} single images are left out")
    return clips, unread


def _places(items: Sequence[Item], args: argparse.Namespace) -> list[Path]:
    """Where the bags of the clips are, or are to be, up to the limit.

    Raises:
        BagError: something else has the name.
    """
    out: Path = args.out
    marks = marks_in(out)
    by_mark = {mark: path for path, mark in marks.items() if mark}
    places: dict[Path, None] = {}
    # Names are of all clips, so that they are the same with another limit.
    named = list(zip(items, names_of(items), names_by_key(items), strict=True))
    for item, name, earlier in named[: args.limit]:
        place = by_mark.get(mark_of(item))
        if place is None and marks.get(out / earlier) == "":
            place = out / earlier
        if place is None:
            place = out / name
            if place in places or (place.exists() and not args.force):
                raise BagError(
                    f"{place} already exists and was not made from this part of {item.path}; "
                    "choose another --out, or overwrite it with --force"
                )
        places[place] = None
    return list(places)


def _make(item: Item, path: Path, form: ClipFormat, *, force: bool) -> str:
    """Write bag and label; returns what was wrong with the clip."""
    clip = Clip(item.path, item.start_s or 0.0, item.end_s, item.has_face, item.has_voice)
    # What is there by now is the rest of an interrupted run, or is to be made anew.  The label
    # comes first: a bag that is whole has one.
    with ClipBag(path, form, force=True, notes={MARK: mark_of(item)}) as bag:
        extent = bag.fill(clip)
        _write_label(item, extent, path.with_name(f"{path.name}.labels.csv"), force=force)
    return extent.trouble


def _write_label(item: Item, extent: Extent, path: Path, *, force: bool) -> None:
    segment = Segment(
        extent.start_ns,
        extent.end_ns,
        EMOTIONS[item.emotion_index],
        person=item.subject,
    )
    text = labels_text([segment], extent.start_ns)
    if path.exists() and not force and path.read_text(encoding="utf-8") != text:
        raise BagError(f"{path} already exists with other content; --force overwrites it")
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _summarise(written: int, kept: int, troubles: Sequence[str], out: Path) -> None:
    there = f", {kept} already existed (--force overwrites them)" if kept else ""
    new = "" if written else "; there is nothing new"
    _say(f"{written} {'bag' if written == 1 else 'bags'} made in {out}{there}{new}")
    for trouble in troubles[:_SHOWN]:
        _say(f"  {trouble}")
    if len(troubles) > _SHOWN:
        _say(f"  and {len(troubles) - _SHOWN} more")


def _say(text: str) -> None:
    say(f"avemo: {text}", file=sys.stderr)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}'; allowed: WIDTHxHEIGHT, e.g. 640x480")
    return int(match[1]), int(match[2])
