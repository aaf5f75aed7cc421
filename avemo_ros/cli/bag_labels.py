"""`avemo bag labels`: checks files of labels, converts them and compares their annotators."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from avemo_ros.annotations.label_entries import LabelFile
from avemo_ros.annotations.label_files import READERS, merge_files, read_labels
from avemo_ros.annotations.label_tables import labels_text
from avemo_ros.annotations.segments import Segment, agreement
from avemo_ros.cli.outputs import add_force, check_outputs
from avemo_ros.errors import ConfigError, LabelError
from avemo_ros.labels import EMOTIONS
from avemo_ros.sink.output_file import OutputError, is_stream, replaced
from avemo_ros.sink.presentation import counted
from avemo_ros.timing import to_ns, to_s
from avemo_ros.untrusted import say

DONE: Final = 0
LEFT_OUT: Final = 1
"""Done, but something of the files is not in what was read."""
_SUFFIX: Final = ".csv"
_LONGEST_SHIFT_S: Final = 10**6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "exit status: 0 done, 1 done but some labels were left out, 2 a file is invalid or\n"
        "cannot be written"
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help=f"label files of one bag: {' '.join(READERS)} (CSV, YAML, ELAN, Audacity); a "
        "file that names no annotator counts as one annotator of its own",
    )
    parser.add_argument(
        "--out", type=Path, metavar="OUT.csv", help=("write all labels to one CSV file")
    )
    parser.add_argument(
        "--person", default="", metavar="NAME", help="person for labels that name none"
    )
    parser.add_argument(
        "--annotator", default="", metavar="NAME", help="annotator for labels that name none"
    )
    parser.add_argument(
        "--shift",
        type=float,
        default=0.0,
        metavar="S",
        help=(
            "add S seconds to all times; use it if the labels were made on a video that "
            "starts S seconds after the bag"
        ),
    )
    parser.add_argument(
        "--unix",
        type=Path,
        metavar="BAG",
        help="write unix times; the labels must count from the first message of this bag. "
        "The result also fits other recordings of the same time, e.g. of a replay of "
        "the bag",
    )
    add_force(parser)
    parser.add_argument("--quiet", action="store_true", help="do not print a summary")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an argument, a file or the output cannot be used.
    """
    named = args.out is None or args.out.suffix.lower() == _SUFFIX
    if not named and not is_stream(args.out):
        raise ConfigError("--out", str(args.out), f"a name that ends in {_SUFFIX}")
    if not -_LONGEST_SHIFT_S <= args.shift <= _LONGEST_SHIFT_S:
        raise ConfigError("--shift", args.shift, "seconds")
    check_outputs([args.out], force=args.force)
    if args.unix is not None and args.out is None:
        raise ConfigError("--unix", str(args.unix), "with --out OUT.csv")
    files = [
        read_labels(path, person=args.person, annotator=args.annotator) for path in args.files
    ]
    odd = [file.path for file in files if file.unix != files[0].unix]
    if odd:
        raise LabelError(
            f"the times of {files[0].path} and {odd[0]} do not count from the same moment: "
            "only one of them uses unix time"
        )
    labels = merge_files(files)
    moved_ns = to_ns(args.shift)
    if args.unix is not None:
        if labels.unix:
            raise LabelError(f"the times of {labels.path} are already unix time")
        labels = replace(labels, unix=True)
        moved_ns += _start_of(args.unix)
    labels = _shifted(labels, moved_ns, args.shift)
    for note in labels.notes:
        say(f"avemo: {note}", file=sys.stderr)
    if args.out is not None:
        _write(args.out, labels)
    if not args.quiet:
        say("\n".join(summary(labels.segments)))
        if args.out is not None:
            say(f"avemo: wrote {args.out}", file=sys.stderr)
    return LEFT_OUT if labels.notes else DONE


def summary(segments: Sequence[Segment]) -> list[str]:
    """What the labels say in a few lines."""
    start = min(segment.start_ns for segment in segments)
    end = max(segment.end_ns for segment in segments)
    people = sorted({segment.person for segment in segments})
    lines = [
        f"{counted(len(segments), 'label')} from {to_s(start):.3f} to {to_s(end):.3f} s",
        f"about     {', '.join(name or 'the attended person' for name in people)}",
    ]
    for label in (*EMOTIONS, ""):
        spans = [item.end_ns - item.start_ns for item in segments if item.label == label]
        if spans:
            name = label or "no label"
            word = "label " if len(spans) == 1 else "labels"
            lines.append(f"{name:9} {len(spans):5} {word} {to_s(sum(spans)):9.1f} s")
    found = agreement([segments])
    if found is None:
        return lines
    names = [_named(name) for name in found["annotators"]]
    kappa = f"{found['kappa']['name'].capitalize()}'s kappa"
    lines.append(
        f"annotators {', '.join(names)}: {kappa} {_value(found['kappa']['value'])} "
        f"over {found['seconds']:.1f} s"
        + (f" ({found['kappa']['why']})" if found["kappa"]["why"] else "")
    )
    if len(found["pairs"]) > 1:
        lines += [
            f"  {_named(pair['first'])} and {_named(pair['second'])}: Cohen's kappa "
            f"{_value(pair['kappa'])} over {pair['seconds']:.1f} s"
            for pair in found["pairs"]
        ]
    return lines


def _named(annotator: str) -> str:
    return annotator or "(no name)"


def _value(kappa: float) -> str:
    return "unknown" if math.isnan(kappa) else f"{kappa:.3f}"


def _start_of(bag: Path) -> int:
    """Time of recording of a bag's first message [ns].

    Raises:
        BagError: the bag cannot be read.
    """
    # Only this option needs what reads bags.
    from avemo_ros.bag.folder import Bag

    with closing(Bag(bag)) as opened:
        return opened.start_ns


def _shifted(labels: LabelFile, moved_ns: int, shift_s: float) -> LabelFile:
    """Raises LabelError where a label would begin before the bag, or before 1970."""
    moved = [
        replace(item, start_ns=item.start_ns + moved_ns, end_ns=item.end_ns + moved_ns)
        for item in labels.segments
    ]
    first = min(item.start_ns for item in moved)
    if first < 0:
        raise LabelError(
            f"{labels.path}: shifted by {shift_s:g} s, a label would start at "
            f"{to_s(first):.3f} s; allowed: 0 or later"
        )
    return replace(labels, segments=tuple(moved))


def _write(path: Path, labels: LabelFile) -> None:
    """Raises OutputError where the file cannot be written."""
    text = labels_text(labels.segments, people=labels.people, unix=labels.unix)
    try:
        with replaced(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
