"""Which paths are bags, and which files of labels belong to which bag."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from avemo_ros.bag.folder import SUFFIXES
from avemo_ros.bag.metadata import METADATA
from avemo_ros.errors import LabelError
from avemo_ros.truth.file import READERS

_LOG: Final = logging.getLogger(__name__)
_BAG_SUFFIXES: Final = (".mcap", ".db3", ".zstd")


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
            raise LabelError(f"file of labels '{path}' does not exist")
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
        if bag.resolve() in found:
            _LOG.warning("%s is named twice; it counts once", bag)
        found.setdefault(bag.resolve(), bag)
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
    name = bag.resolve().name if bag.name in ("", ".", "..") else bag.name
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
            f"file of labels '{file}' belongs to none of the bags: its name must begin with "
            f"that of a bag, e.g. {bag_name(bags[0])}.labels.csv"
        )
    names = ", ".join(str(bags[place]) for place in owners)
    raise LabelError(f"file of labels '{file}' belongs to several bags by its name: {names}")
