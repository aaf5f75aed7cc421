"""Splits of subjects into training and held-out parts; nobody is in two parts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from avemo_ros.data.dataset import Item
from avemo_ros.data.face_images import table_images
from avemo_ros.data.ravdess import KEPT_APART
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.labels import LABELS

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
