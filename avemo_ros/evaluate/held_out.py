"""Who a model was trained on, so that it is not evaluated on them.

A run folder says so in `split.json`; a model file may say so in its metadata under
'trained_on', in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from avemo_ros.data.dataset import Item
from avemo_ros.data.splits import FINAL_TEST
from avemo_ros.errors import DataError
from avemo_ros.untrusted import parse_json, read_text

SPLIT: Final = "split.json"
TRAINED_ON: Final = "trained_on"
"""Metadata of a model file: the part 'train' of its run's split.json, as JSON."""


@dataclass(frozen=True, slots=True)
class Members:
    """Whom a part of the data has."""

    subjects: frozenset[str] = frozenset()
    """Their names, where they are listed."""
    datasets: frozenset[str] = frozenset()
    """Data sets whose subjects are not listed, as each item is one (FER2013)."""
    splits: frozenset[str] = frozenset()
    """Parts of these data sets that are in it."""
    but: frozenset[str] = frozenset()
    """Subjects of these data sets that are not in it after all."""
    whole: bool = True
    """False: of some it is not known who they are."""

    def has(self, item: Item) -> bool:
        """The item, or another one of its subject, is in it, as far as is known."""
        if item.subject in self.subjects:
            return True
        if item.dataset not in self.datasets or item.subject in self.but:
            return False
        if item.subject in FINAL_TEST:
            # Training refuses them: they are new to any model of unlisted subjects.
            return False
        return not item.split or not self.splits or item.split in self.splits


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a training run."""

    train: Members
    validation: Members

    def held_out(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """The items that were held out for validation."""
        return tuple(item for item in items if self.validation.has(item))


def members(content: Mapping[str, Any]) -> Members:
    """From a part of split.json: `items` (counts by data set), `subjects`, `splits`, `but`
    (subjects of sets that are not listed who are not in it); or from the counts by data set
    alone, of whose parts only 'train' is learned from.

    Raises:
        KeyError: it is no such part.
        TypeError: the same.
    """
    if "items" not in content and all(isinstance(n, int) for n in content.values()):
        return Members(datasets=frozenset(content), splits=frozenset({"train"}))
    subjects = frozenset(str(name) for name in content["subjects"])
    counts: Mapping[str, int] = content["items"]
    listed = {name for name in counts if any(one.startswith(f"{name}-") for one in subjects)}
    return Members(
        subjects,
        frozenset(counts) - listed,
        frozenset(str(name) for name in content.get("splits", ())),
        frozenset(str(name) for name in content.get("but", ())),
    )


def read_split(run: Path) -> Parts:
    """The parts that a run folder's `split.json` tells.

    Raises:
        DataError: the file is missing or broken, or a subject is in both parts.
    """
    path = run / SPLIT
    try:
        content = parse_json(read_text(path))
        parts = Parts(members(content["train"]), members(content["validation"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} does not say who the model was trained on ({type(error).__name__}: "
            f"{error})"
        ) from error
    both = sorted(parts.train.subjects & parts.validation.subjects)
    if both:
        raise DataError(f"{path}: '{both[0]}' is both learned from and held out")
    return parts


def of_metadata(about: Mapping[str, str]) -> Members | None:
    """Whom a model file's metadata says that it was trained on; None if it does not say.

    Raises:
        DataError: it says so in words that cannot be read.
    """
    if TRAINED_ON not in about:
        return None
    try:
        return members(parse_json(about[TRAINED_ON]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"metadata '{TRAINED_ON}' of the model cannot be read: {error}"
        ) from error


def joined(parts: Sequence[Members]) -> Members:
    """Everybody of several parts."""

    def lacks(part: Members, subject: str) -> bool:
        listed = any(subject.startswith(f"{name}-") for name in part.datasets)
        return subject in part.but or not listed

    left_out = frozenset().union(*(part.but for part in parts))
    return Members(
        frozenset().union(*(part.subjects for part in parts)),
        frozenset().union(*(part.datasets for part in parts)),
        frozenset().union(*(part.splits for part in parts)),
        frozenset(one for one in left_out if all(lacks(part, one) for part in parts)),
        all(part.whole for part in parts),
    )


def seen(train: Members | None, items: Sequence[Item]) -> tuple[Item, ...]:
    """The items whose subjects a model has learned from, as far as is known."""
    return () if train is None else tuple(item for item in items if train.has(item))


def refuse_seen(name: str, train: Members | None, items: Sequence[Item]) -> None:
    """Make sure that a model is new to all items.

    Raises:
        DataError: it was trained on some of them.
    """
    known = seen(train, items)
    if known:
        subjects = sorted({item.subject for item in known})
        some = ", ".join(subjects[:5]) + (", ..." if len(subjects) > 5 else "")
        raise DataError(
            f"{name} was trained on {len(known)} of these {len(items)} items ({some}); "
            "evaluate it on others, evaluate a run with folds with --folds, or add "
            "--allow-seen"
        )
