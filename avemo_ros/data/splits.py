"""Splits of subjects into training and held-out parts, and who a model was trained on.

Nobody is in two parts of a split.  A run folder says in `split.json` who its model was trained
on; a model file may say so in its metadata under 'trained_on', in the same words.  So no model
is evaluated on them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from avemo_ros.data.dataset import Item
from avemo_ros.data.face_images import table_images
from avemo_ros.data.ravdess import KEPT_APART
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.labels import LABELS
from avemo_ros.untrusted import parse_json, read_text

FINAL_TEST: Final = frozenset(f"ravdess-{actor:02d}" for actor in KEPT_APART)
"""Subjects of the final test, by their full names."""

_SHOWN: Final = 8
"""Subjects that a message names."""
_SEXES: Final = ("male", "female", "")


def check_disjoint(parts: Mapping[str, Iterable[Item]]) -> None:
    """Refuses parts that share a person.

    Args:
        parts: items by the part's name.

    Raises:
        DataError: a subject is in two parts; the message names the subjects.
    """
    place: dict[str, str] = {}
    shared: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name, items in parts.items():
        for item in items:
            first = place.setdefault(item.subject, name)
            if first != name:
                shared[first, name].add(item.subject)
    if shared:
        (one, other), subjects = next(iter(shared.items()))
        raise DataError(
            f"{_named(subjects)} would be in both '{one}' and '{other}'; a person may be in "
            "one part only"
        )


def refuse_kept_apart(items: Iterable[Item]) -> None:
    """Refuses the people of the final test, who are kept apart from training and tuning.

    Raises:
        DataError: an item is of RAVDESS's actors 1, 4, 9 or 22.
    """
    found = FINAL_TEST & {item.subject for item in items}
    if found:
        raise DataError(
            f"{_named(found)} are reserved for the final test of RAVDESS: do not use them for "
            "training or model selection"
        )


def of_subjects(items: Sequence[Item], wanted: Iterable[object]) -> tuple[Item, ...]:
    """The items of some subjects.

    Args:
        items: of one or more data sets.
        wanted: subjects, with their data set's name or without: 'ravdess-04', '04' and 4 are
            the same one.

    Raises:
        DataError: a subject has no item.
    """
    chosen = _matching(items, wanted)
    return tuple(item for item in items if item.subject in chosen)


def given_folds(
    items: Sequence[Item], folds: Sequence[Iterable[object]]
) -> tuple[frozenset[str], ...]:
    """Cross-validation over listed folds.

    Args:
        items: all of them.
        folds: subjects of each fold, as `of_subjects` takes them.

    Returns:
        Full names of the subjects of each fold, which are held out together.

    Raises:
        DataError: a fold has nobody, a subject has no item or is in two folds.
    """
    used: set[str] = set()
    members = []
    for number, fold in enumerate(folds):
        held = _matching(items, fold)
        if not held:
            raise DataError(f"fold {number} is empty")
        if used & held:
            raise DataError(f"{_named(used & held)} would be in two folds")
        used |= held
        members.append(frozenset(held))
    return tuple(members)


def balanced_folds(
    items: Sequence[Item], count: int, seed: int = 0
) -> tuple[frozenset[str], ...]:
    """Cross-validation over folds of subjects that are alike in classes, sex and size.

    The subjects with the most items are dealt first, each to the fold that has least of what
    it brings; the same seed gives the same folds.

    Args:
        items: all of them.
        count: number of folds.
        seed: order of subjects that have as many items.

    Returns:
        Full names of the subjects of each fold, which are held out together.

    Raises:
        ConfigError: fewer than two folds.
        DataError: fewer subjects than folds.
    """
    if count < 2:
        raise ConfigError("folds", count, "two or more")
    subjects = sorted({item.subject for item in items})
    if len(subjects) < count:
        raise DataError(f"{len(subjects)} subjects cannot be divided into {count} folds")
    row = {subject: index for index, subject in enumerate(subjects)}
    # What a subject brings: items of each class and of each sex, and itself.
    brings = np.zeros((len(subjects), len(LABELS) + len(_SEXES) + 1))
    for item in items:
        brings[row[item.subject], item.class_index] += 1
        brings[row[item.subject], len(LABELS) + _SEXES.index(item.sex)] += 1
    brings[:, -1] = 1
    sizes = brings[:, : len(LABELS)].sum(axis=1)
    brings /= np.maximum(brings.sum(axis=0), 1)
    shuffled = np.random.default_rng(seed).permutation(len(subjects))
    has = np.zeros((count, brings.shape[1]))
    members: list[set[str]] = [set() for _ in range(count)]
    for index in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold = int(np.argmin(has @ brings[index]))
        has[fold] += brings[index]
        members[fold].add(subjects[index])
    return tuple(map(frozenset, members))


def repeated(parts: Mapping[str, Sequence[Item]]) -> tuple[tuple[Item, ...], ...]:
    """Items of different parts whose content is the same, byte by byte; reads every file.

    Args:
        parts: items by the part's name.

    Returns:
        Groups of items with the same content, of two parts at least.  (FER2013 has such.)

    Raises:
        DataError: a table cannot be read.
        OSError: a file cannot be read.
    """
    tables: defaultdict[Path, set[int]] = defaultdict(set)
    for items in parts.values():
        for item in items:
            if item.row is not None:
                tables[item.path].add(item.row)
    rows = {
        (path, row): _digest(image if isinstance(image, str) else image.tobytes())
        for path, wanted in tables.items()
        for row, image in table_images(path, wanted)
    }
    files: dict[Path, str] = {}
    groups: defaultdict[str, list[tuple[str, Item]]] = defaultdict(list)
    for name, items in parts.items():
        for item in items:
            if item.row is not None:
                content = rows[item.path, item.row]
            else:
                if item.path not in files:
                    files[item.path] = _digest(item.path.read_bytes())
                content = f"{files[item.path]} {item.start_s} {item.end_s}"
            groups[content].append((name, item))
    return tuple(
        tuple(item for _, item in group)
        for group in groups.values()
        if len({name for name, _ in group}) > 1
    )


def _matching(items: Sequence[Item], wanted: Iterable[object]) -> set[str]:
    """Full names of subjects that are wanted by these or shorter ones."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for subject, dataset in {(item.subject, item.dataset) for item in items}:
        names[subject].add(subject)
        names[_short(subject.removeprefix(f"{dataset}-"))].add(subject)
    found: set[str] = set()
    for one in wanted:
        hits = names.get(str(one)) or names.get(_short(str(one)))
        if not hits:
            there = _named({item.subject for item in items})
            raise DataError(f"no items of subject '{one}'; there are: {there}")
        if len(hits) > 1:
            raise DataError(f"subject '{one}' is ambiguous: {_named(hits)}; name one of them")
        found |= hits
    return found


def _short(name: str) -> str:
    return name.lstrip("0") or name


def _named(subjects: Iterable[str]) -> str:
    names = sorted(subjects)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _digest(content: bytes | str) -> str:
    raw = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(raw).hexdigest()


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
