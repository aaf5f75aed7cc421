"""`avemo bag streams`: the utterances of each person of a data set, one after the other."""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.annotations.label_tables import labels_text
from avemo_ros.annotations.segments import Segment
from avemo_ros.bag.from_clips import START_NS, StreamPart, make_stream, write_stream
from avemo_ros.bag.partial_bag import remove_bag
from avemo_ros.cli.train import read_roots
from avemo_ros.config import PipelineConfig
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.landmark_table import join_points
from avemo_ros.data.prepare import prepare
from avemo_ros.data.registry import DATASETS, list_items
from avemo_ros.data.splits import of_subjects
from avemo_ros.errors import BagError, ConfigError, DataError
from avemo_ros.labels import EMOTIONS
from avemo_ros.settings import read_options
from avemo_ros.sink.output_file import OutputError, replaced
from avemo_ros.train.subject_split import find_root
from avemo_ros.untrusted import say

_FACES: Final = "fer2013"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Each bag gets its labels in a file NAME.labels.csv next to it.  The face\n"
        "images show other people than the voices, matched only by label.  The points that\n"
        "--landmarks adds are those of the utterances themselves.\n"
        "\n"
        "exit status: 0 done, 2 an argument or a file cannot be used, 130 interrupted\n"
        "(finished bags are kept; the same command continues)"
    )
    parser.add_argument(
        "--dataset", choices=sorted(DATASETS), default="ravdess", help="default: ravdess"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the data set's loader (see `avemo data list`)",
    )
    parser.add_argument(
        "--root",
        action="append",
        required=True,
        metavar="[NAME=]DIR",
        help="folder of the data set NAME, or the folder with ravdess/, fer2013/, ... in it",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the bags"
    )
    parser.add_argument(
        "--people", nargs="+", metavar="NAME", help="only these people; default: everybody"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most N utterances a person")
    parser.add_argument(
        "--faces",
        choices=("none", "train", "validation", "test"),
        default="validation",
        help=f"part of {_FACES} that the faces are from (default: validation); none: no faces",
    )
    parser.add_argument(
        "--part",
        default="0/1",
        metavar="K/N",
        help="only every Nth of these faces, starting at K: faces that fold K of N of a live "
        "model has not seen in training",
    )
    parser.add_argument(
        "--landmarks",
        type=Path,
        metavar="NPZ",
        help="file with 68 points of every frame of the utterances, as for `avemo evaluate`",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the shuffling (default: 0)")
    parser.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, for the sound's settings"
    )
    parser.add_argument("--force", action="store_true", help="overwrite existing bags")


def run(args: argparse.Namespace) -> int:
    """Carry out the command.

    Raises:
        KeyboardInterrupt: the user interrupted; bags that are whole are kept.
        AvemoError: an argument is not allowed, or a file cannot be used.
    """
    if args.limit is not None and args.limit < 1:
        raise ConfigError("--limit", args.limit, "1 or more")
    roots = read_roots(args.root)
    root = find_root(args.dataset, roots, only=args.faces == "none")
    listing = list_items(args.dataset, root, **read_options(args.option))
    items: Sequence[Item] = [item for item in listing.items if item.has_voice]
    if args.people:
        items = of_subjects(items, args.people)
    people = sorted({item.subject for item in items})
    if args.landmarks and args.faces == "none":
        raise ConfigError("--faces", "none", "train, validation or test, with --landmarks")
    if not people:
        raise DataError(f"{args.dataset} has no voices")
    names = {person: re.sub(r"[^\w.-]+", "_", person).lstrip(".") or "_" for person in people}
    if len(set(names.values())) < len(people):
        shared = ", ".join(sorted(names.values()))
        raise DataError(f"bags of {len(people)} people would share names: {shared}")
    faces = {} if args.faces == "none" else _faces(roots, args.faces, args.part)
    points = _points(items, args.landmarks) if args.landmarks else {}
    config = PipelineConfig.read(args.config) if args.config else PipelineConfig()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write into {args.out}: {error.strerror}") from error
    written = 0
    for person in tqdm(people, unit="person", disable=not sys.stderr.isatty()):
        name = names[person]
        path, labels = args.out / name, args.out / f"{name}.labels.csv"
        if path.exists() and not args.force:
            if not labels.exists():
                raise BagError(f"{path} has no labels beside it; --force overwrites it")
            continue
        theirs = [item for item in items if item.subject == person]
        lots = random.Random(f"{args.seed} {person}")  # noqa: S311  not for secrets
        lots.shuffle(theirs)
        theirs = theirs[: args.limit]
        felt = [EMOTIONS[item.emotion_index] for item in theirs]
        stream = make_stream(
            [
                StreamPart(
                    item.path,
                    item.start_s or 0.0,
                    item.end_s,
                    lots.choice(faces[emotion]) if faces else None,
                    *points.get(item.key, ()),
                )
                for item, emotion in zip(theirs, felt, strict=True)
            ],
            config,
        )
        segments = [
            Segment(*span, emotion, person=person)
            for span, emotion in zip(stream.spans, felt, strict=True)
        ]
        if path.exists():
            remove_bag(path)
        # The labels come first: a bag that is whole has its own.
        _write_labels(labels, labels_text(segments, START_NS), force=args.force)
        # What an interrupted run has left of the bag is not in the way.
        write_stream(path, stream, force=True)
        written += 1
    kept = len(people) - written
    there = f", {kept} already existed (--force overwrites them)" if kept else ""
    say(f"avemo: {written} streams made in {args.out}{there}", file=sys.stderr)
    return 0


def _write_labels(path: Path, text: str, *, force: bool) -> None:
    if path.exists() and not force and path.read_text(encoding="utf-8") != text:
        raise BagError(f"{path} already exists with other content; --force overwrites it")
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _points(
    items: Sequence[Item], path: Path
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Points and their times of each utterance, by its key; all have them."""
    corpus = Corpus(tuple(items), (Features(),) * len(items))
    corpus, lacking = join_points(corpus, path)
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise DataError(
            f"'{path}' has no clip for {lacking[0]}{more}; allowed: a file with all utterances "
            "(--people takes fewer)"
        )
    return {
        item.key: (features.points, features.point_times_s)
        for item, features in zip(corpus.items, corpus.features, strict=True)
        if features.points is not None and features.point_times_s is not None
    }


def _faces(
    roots: Mapping[str, Path], split: str, part: str
) -> dict[str, list[NDArray[np.uint8]]]:
    """Face crops of each emotion."""
    first, _, step = part.partition("/")
    if not (re.fullmatch("[0-9]+/[0-9]+", part) and int(first) < int(step)):
        raise ConfigError("--part", part, "K/N with K from 0 to N - 1, e.g. 0/4")
    listing = list_items(_FACES, find_root(_FACES, roots, only=False))
    items = [item for item in listing.items if item.split == split][int(first) :: int(step)]
    corpus, _ = prepare(items, want=frozenset({"faces"}))
    found: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in EMOTIONS}
    for item, features in zip(corpus.items, corpus.features, strict=True):
        if features.faces is not None:
            found[EMOTIONS[item.emotion_index]].append(features.faces[0])
    lacking = [name for name, crops in found.items() if not crops]
    if lacking:
        raise DataError(f"{_FACES}, part {part} of {split}, has no face: {', '.join(lacking)}")
    return found
