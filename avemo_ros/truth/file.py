"""A file of labels, of whatever kind, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from avemo_ros.errors import LabelError
from avemo_ros.truth.audacity import read_audacity
from avemo_ros.truth.document import read_document
from avemo_ros.truth.elan import read_elan
from avemo_ros.truth.gather import Gathered, LabelFile, Reading
from avemo_ros.truth.table import read_table

READERS: Final = {
    ".csv": read_table,
    ".yaml": read_document,
    ".yml": read_document,
    ".eaf": read_elan,
    ".txt": read_audacity,
}
"""What reads a file, by the end of its name."""


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
        raise LabelError(f"{path} is no file of labels; their names end in {' '.join(READERS)}")
    return reader(path, Reading(bag_start_ns, person, annotator))


def find_labels(bag: Path) -> Path | None:
    """The file of labels that lies beside a bag: NAME.labels.csv, or labels.csv in its folder.

    Args:
        bag: the folder or the file; NAME is its name, of a file also the one without its end.

    Returns:
        The file; None where there is none.

    Raises:
        LabelError: there are several, and nothing says which.
    """
    bag = bag.resolve()
    if bag.is_dir():
        stems = [bag.parent / f"{bag.name}.labels", bag / "labels"]
    else:
        stems = [bag.parent / f"{name}.labels" for name in dict.fromkeys((bag.name, bag.stem))]
    names = [stem.with_name(stem.name + suffix) for stem in stems for suffix in READERS]
    found = [name for name in names if name.is_file()]
    if len(found) > 1:
        raise LabelError(
            f"bag {bag} has {len(found)} files of labels: {', '.join(map(str, found))}; "
            "name those that count with --labels"
        )
    return found[0] if found else None


def together(files: Sequence[LabelFile]) -> LabelFile:
    """The labels of several files of one bag as those of one: an annotator a file is usual.

    Where a file names no annotator, its own name (without its ends) stands for one.

    Args:
        files: at least one, read with the same `bag_start_ns`.

    Raises:
        LabelError: one annotator's labels of one person overlap, or two files give an id to
            different people.
    """
    first, *others = files
    if not others:
        return first
    merged = Gathered(first.path, Reading(), first.unix)
    for file in files:
        merged.notes += file.notes
        for person, ids in file.people.items():
            merged.name_ids(str(file.path), person, ids)
        for segment in file.segments:
            annotator = segment.annotator or file.path.name.split(".")[0]
            merged.add(replace(segment, annotator=annotator), str(file.path))
    return merged.file()
