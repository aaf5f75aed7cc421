"""Files of labels: how they are read, where they lie, and which belong to which bag."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from avemo_ros.annotations.elan import read_elan
from avemo_ros.annotations.label_entries import LabelCollector, LabelDefaults, LabelFile
from avemo_ros.annotations.label_tables import read_audacity, read_table
from avemo_ros.annotations.yaml_labels import read_document, segments_of_events
from avemo_ros.bag import METADATA, SUFFIXES
from avemo_ros.bag.reader import LabelRecord, Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.errors import LabelError
from avemo_ros.untrusted import real

READERS: Final = {
    ".csv": read_table,
    ".yaml": read_document,
    ".yml": read_document,
    ".eaf": read_elan,
    ".txt": read_audacity,
}
"""What reads a file, by the end of its name."""
_LOG: Final = logging.getLogger(__name__)
_BAG_SUFFIXES: Final = (".mcap", ".db3", ".zstd")


def read_labels(
    path: Path, bag_start_ns: int = 0, *, person: str = "", annotator: str = ""
) -> LabelFile:
    """The labels of a CSV or YAML file, of ELAN (.eaf) or of Audacity (.txt).

    Args:
        path: of the file; the end of its name says what it is.
        bag_start_ns: log time of the bag's first message, from which seconds count unless the
            file says that they are unix time [ns].
        person: whom labels are about that name nobody.
        annotator: who has judged where no annotator is named.

    Raises:
        LabelError: the file cannot be read or is wrong; names line and field.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise LabelError(
            f"{path} is not a label file; label file names end in {' '.join(READERS)}"
        )
    return reader(path, LabelDefaults(bag_start_ns, person, annotator))


def find_labels(bag: Path) -> Path | None:
    """The file of labels that lies beside a bag: NAME.labels.csv, or labels.csv in its folder.

    Args:
        bag: the folder or the file; NAME is its name, of a file also the one without its end.

    Returns:
        The file; None where there is none.

    Raises:
        LabelError: there are several, and nothing says which.
    """
    bag = real(bag)
    if bag.is_dir():
        stems = [bag.parent / f"{bag.name}.labels", bag / "labels"]
    else:
        stems = [bag.parent / f"{name}.labels" for name in dict.fromkeys((bag.name, bag.stem))]
    names = [stem.with_name(stem.name + suffix) for stem in stems for suffix in READERS]
    found = [name for name in names if name.is_file()]
    if len(found) > 1:
        raise LabelError(
            f"bag {bag} has {len(found)} label files: {', '.join(map(str, found))}; choose "
            "with --labels"
        )
    return found[0] if found else None


def merge_files(files: Sequence[LabelFile], bag: str = "") -> LabelFile:
    """The labels of several files of one bag as those of one: an annotator a file is usual.

    Where a file names no annotator, its own name stands for one: without that of the bag and
    without its ends, so `run7.anna.csv` is anna's of the bag `run7`.

    Args:
        files: at least one, read with the same `bag_start_ns`.
        bag: its name, with which those of the files may begin.

    Raises:
        LabelError: one annotator's labels of one person overlap, or two files give an id to
            different people.
    """
    first, *others = files
    if not others:
        return first
    merged = LabelCollector(first.path, LabelDefaults(), first.unix)
    for file in files:
        merged.notes += file.notes
        for person, ids in file.people.items():
            merged.name_ids(str(file.path), person, ids)
        for segment in file.segments:
            annotator = segment.annotator or _annotator_of(file.path.stem, bag)
            merged.add(replace(segment, annotator=annotator), str(file.path))
    return merged.file()


def _annotator_of(stem: str, bag: str) -> str:
    """Who is meant by the name of a file; `run7.labels.csv` names nobody but the bag."""
    named = stem.removeprefix(f"{bag}.")
    return (stem if named == "labels" else named).split(".")[0]


def labels_of(
    recording: Recording,
    files: Sequence[Path] = (),
    *,
    folder: Path | None = None,
    beside: bool = True,
    annotators: Sequence[str] = (),
) -> list[LabelFile]:
    """What each source says, files first; empty where there are no labels.

    Args:
        recording: of the bag.
        files: of labels.
        beside: without files, what lies beside the bag counts.
        folder: what the files beside it are named after; None: the recording's path.
        annotators: for each of `files` who has judged where it names nobody; () or "": unknown.

    Raises:
        LabelError: a file is wrong, several lie beside the bag, or there are none and the topic
            says nothing that can be used.
    """
    if not files and beside:
        near = find_labels(recording.path if folder is None else folder)
        files = () if near is None else (near,)
    names = annotators or [""] * len(files)
    found = [
        read_labels(path, recording.start_ns, annotator=name)
        for path, name in zip(files, names, strict=True)
    ]
    if TopicKind.LABELS in recording.kinds:
        events = [
            (item.stamp_ns, item.text)
            for _, item in recording.items(frozenset({TopicKind.LABELS}))
            if isinstance(item, LabelRecord)
        ]
        if events:
            topic = recording.topic_of[TopicKind.LABELS]
            found.append(_of_topic(recording, events, topic, alone=not found))
    return found


def _of_topic(
    recording: Recording, events: Sequence[tuple[int, str]], topic: str, *, alone: bool
) -> LabelFile:
    try:
        return segments_of_events(events, recording.end_ns, recording.start_ns, topic=topic)
    except LabelError as error:
        if alone:
            raise
        # A file can be mended and a recording cannot, so the files are judged by themselves.
        return LabelFile(Path(topic), (), notes=(str(error),))


def labels_of_bags(bags: Sequence[Path], given: Sequence[Path]) -> list[tuple[Path, ...]]:
    """The label files of each bag, of those that were given.

    All files belong to a single bag.  Of several bags each gets the files whose name begins
    with its own (`run7.labels.csv`, `run7.anna.eaf` of the bag `run7`).  A folder stands for
    the files in it whose name begins so; of a single bag for all, if there is none such.

    Args:
        bags: paths of the bags.
        given: files and folders of labels.

    Raises:
        LabelError: a file does not exist, or belongs to no bag or to several.
    """
    found: list[list[Path]] = [[] for _ in bags]
    for path in given:
        if path.is_dir():
            inside = sorted(item for item in path.iterdir() if item.suffix.lower() in READERS)
            own = [item for item in inside if _owners(bags, item)]
            if len(bags) == 1 and not own:
                own = inside
            for item in own:
                found[_owner(bags, item)].append(item)
        elif path.is_file():
            found[_owner(bags, path)].append(path)
        else:
            raise LabelError(f"label file '{path}' does not exist")
    return [tuple(files) for files in found]


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """The bags that are meant, in the order in which they are named; each once.

    Args:
        paths: bags, and folders of bags, for which the bags in them stand.  Files of labels are
            left out whose name begins with that of a bag, as `folder/*` gives both.
    """
    named = [path for path in paths if path.suffix.lower() not in READERS or path.is_dir()]
    bags = [path for path in paths if path in named or not _owners(named, path)]
    found: dict[Path, Path] = {}
    for bag in (bag for path in bags for bag in _bags_in(path)):
        if real(bag) in found:
            _LOG.warning("%s is given twice; it counts once", bag)
        found.setdefault(real(bag), bag)
    return list(found.values())


def _bags_in(path: Path) -> list[Path]:
    """The bags in a folder that is none itself; else the path, be it a bag or nothing."""
    try:
        if not path.is_dir() or (path / METADATA).is_file():
            return [path]
        inside = sorted(item for item in path.iterdir() if not item.name.startswith("."))
        files = [item for item in inside if item.is_file() and item.name.endswith(SUFFIXES)]
        folders = [item for item in inside if item.is_dir() and _looks_like_a_bag(item)]
    except OSError:
        return [path]  # whoever opens it says what is wrong
    # Of a recording that was cut off there is no metadata, but its files have one name.
    recordings = {re.sub(r"_\d+$", "", bag_name(file)) for file in files}
    if folders or len(recordings) > 1:
        return sorted([*files, *folders])
    return [path]


def _looks_like_a_bag(folder: Path) -> bool:
    return any(
        item.name == METADATA or item.name.endswith(SUFFIXES) for item in folder.iterdir()
    )


def bag_name(bag: Path) -> str:
    """A bag's name without the suffixes of a bag of one file."""
    name = real(bag).name if bag.name in ("", ".", "..") else bag.name
    while name.endswith(_BAG_SUFFIXES):
        name = name.rsplit(".", 1)[0]
    return name


def _owners(bags: Sequence[Path], file: Path) -> list[int]:
    """Bags whose name the file's begins with; of `run` and `run.2` only the longest."""
    fits = [
        place
        for place, bag in enumerate(bags)
        if file.name.startswith((f"{bag_name(bag)}.", f"{bag.name}."))
    ]
    longest = max((len(bag_name(bags[place])) for place in fits), default=0)
    return [place for place in fits if len(bag_name(bags[place])) == longest]


def _owner(bags: Sequence[Path], file: Path) -> int:
    if len(bags) == 1:
        return 0
    owners = _owners(bags, file)
    if len(owners) == 1:
        return owners[0]
    if not owners:
        raise LabelError(
            f"label file '{file}' belongs to none of the bags: its name must begin with the "
            f"name of a bag, e.g. {bag_name(bags[0])}.labels.csv"
        )
    names = ", ".join(str(bags[place]) for place in owners)
    raise LabelError(f"label file '{file}' belongs to several bags by its name: {names}")
