"""Which subjects are used for training and which are held out, for each model of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.dataset import Item
from avemo_ros.data.registry import find_dataset, list_items
from avemo_ros.data.splits import (
    FINAL_TEST,
    balanced_folds,
    check_disjoint,
    given_folds,
    of_subjects,
    refuse_kept_apart,
)
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.train.training_config import FINAL, DataConfig, PartConfig, TrainConfig

_LISTED: Final = 500
"""More subjects of a data set are counted, not listed (FER2013: each image is one)."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingItems:
    """All that a run may look at."""

    items: tuple[Item, ...]
    learn: NDArray[np.bool_]
    """(N,) may be learned from."""
    held: NDArray[np.bool_]
    """(N,) of the data set and part of it that is held out."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitJob:
    """One model to train."""

    name: str
    """'' for the only one, 'fold0', ..., 'final'."""
    train: NDArray[np.bool_]
    validation: NDArray[np.bool_]

    @property
    def fold(self) -> str:
        """What '{fold}' in `start` becomes: '0', '1', ..., 'final' or ''."""
        return self.name.removeprefix("fold")


def find_root(name: str, roots: Mapping[str, Path], only: bool) -> Path:
    """The folder of a data set.

    Args:
        name: of the data set, as the configuration has it.
        roots: folders by name; '' is the folder that holds one folder a data set.
        only: it is the only data set of the run, so '' may be its own folder.

    Raises:
        DataError: none was given for it.
    """
    if name in roots:
        return roots[name]
    if "" not in roots:
        raise DataError(f"the folder of '{name}' is unknown; add --root {name}=FOLDER")
    inside = roots[""] / find_dataset(name).name
    return roots[""] if only and not inside.exists() else inside


def read_source(config: TrainConfig, roots: Mapping[str, Path]) -> TrainingItems:
    """Every item of the data sets of a configuration.

    Raises:
        ConfigError: a data set or option is not known.
        DataError: a data set is missing, or nothing of it may be learned from.
    """
    data = config.data
    if not data.train:
        raise ConfigError("data.train", [], "one data set or more")
    names = {part.name for part in data.train} | {data.validation.name} - {""}
    listings: dict[str, tuple[tuple[Item, ...], dict[str, Any]]] = {}
    learned: set[tuple[str, str]] = set()
    notes: list[str] = []
    for part in data.train:
        find_dataset(part.name)
        if part.name in listings:
            raise ConfigError("data.train", part.name, "each data set once")
        root = find_root(part.name, roots, len(names) == 1)
        listing = list_items(part.name, root, **part.options)
        listings[part.name] = listing.items, dict(part.options)
        chosen = _part_of(part, listing.items)
        kept = [item for item in chosen if item.subject not in FINAL_TEST]
        if len(kept) < len(chosen):
            notes.append(
                f"{part.name}: {len(chosen) - len(kept)} items of the final test's subjects "
                "are left out"
            )
        if not kept:
            raise DataError(f"no item of {part.name} in {root} may be used for training")
        learned |= {(item.dataset, item.key) for item in kept}
        left = sum(problem.left_out for problem in listing.problems)
        if left:
            notes.append(f"{part.name}: {left} files left out; see `avemo data check`")
    held = _held_out(data, listings, roots, len(names) == 1)
    items = tuple(item for members, _ in listings.values() for item in members)
    learn = np.array([(item.dataset, item.key) in learned for item in items])
    held_rows = np.array([(item.dataset, item.key) in held for item in items])
    used = learn | held_rows
    return TrainingItems(
        tuple(item for item, kept in zip(items, used, strict=True) if kept),
        learn[used],
        held_rows[used],
        tuple(notes),
    )


def jobs_of(config: TrainConfig, source: TrainingItems, which: str) -> list[SplitJob]:
    """The models to train.

    Args:
        config: of the run.
        source: all items.
        which: 'all', a fold's number or 'final'; '' is 'all'.

    Raises:
        ConfigError: there is no such fold.
        DataError: a fold has nobody, or somebody would be in both parts or in two folds.
    """
    data = config.data
    if not data.folds:
        if which not in ("", "all"):
            raise ConfigError("--fold", which, "left out: the configuration has no data.folds")
        job = SplitJob("", source.learn & ~source.held, source.held)
        _check(source, job)
        return [job]
    names = [str(number) for number in range(len(data.folds))]
    names += [FINAL] if data.final else []
    if which not in ("", "all", *names):
        raise ConfigError("--fold", which, f"all | {' | '.join(names)}")
    folds = _folds(data, source)
    jobs = []
    for name in names if which in ("", "all") else [which]:
        if name == FINAL:
            nobody = np.zeros(len(source.items), bool)
            job = SplitJob(FINAL, source.learn, nobody)
        else:
            validated = find_dataset(data.validation.name).name
            inside = _rows_of(source.items, validated, sorted(folds[int(name)]))
            job = SplitJob(f"fold{name}", source.learn & ~inside, inside)
        _check(source, job)
        jobs.append(job)
    return jobs


def _folds(data: DataConfig, source: TrainingItems) -> tuple[frozenset[str], ...]:
    """Full names of the subjects of each fold: those listed, or dealt where none is."""
    validated = find_dataset(data.validation.name).name
    members = [
        item
        for item, held in zip(source.items, source.held, strict=True)
        if item.dataset == validated and (held or any(data.folds))
    ]
    if any(data.folds):
        return given_folds(members, data.folds)
    return balanced_folds(members, len(data.folds))


def describe(source: TrainingItems, job: SplitJob) -> dict[str, Any]:
    """What split.json says: items, people and a digest of the items of each part."""
    return {
        "fold": job.name,
        "train": _part(source.items, job.train),
        "validation": _part(source.items, job.validation),
    }


def describe_parts(source: TrainingItems) -> dict[str, Any]:
    """The same for a run on everything that may be learned from or is held out."""
    both = source.learn | source.held
    nobody = np.zeros_like(both)
    return describe(source, SplitJob("", both, nobody))


def _part(items: Sequence[Item], rows: NDArray[np.bool_]) -> dict[str, Any]:
    members = [items[i] for i in np.flatnonzero(rows).tolist()]
    counts: dict[str, int] = {}
    people: dict[str, set[str]] = {}
    for item in members:
        counts[item.dataset] = counts.get(item.dataset, 0) + 1
        people.setdefault(item.dataset, set()).add(item.subject)
    listed = [names for names in people.values() if len(names) <= _LISTED]
    keys = "\n".join(sorted(f"{item.dataset} {item.key} {item.label}" for item in members))
    return {
        "items": counts,
        "people": sum(len(names) for names in people.values()),
        "subjects": sorted(set().union(*listed)),
        "splits": sorted({item.split for item in members} - {""}),
        "digest": hashlib.sha256(keys.encode()).hexdigest()[:16],
    }


def _part_of(part: PartConfig, items: Sequence[Item]) -> list[Item]:
    """The items of a data set that may be learned from; never those of its test part."""
    splits = {item.split for item in items}
    if part.split == "all":
        return [item for item in items if item.split != "test"]
    if part.split:
        if part.split not in splits:
            raise DataError(f"{part.name} has no part '{part.split}'; it has {sorted(splits)}")
        return [item for item in items if item.split == part.split]
    if "train" in splits:
        return [item for item in items if item.split == "train"]
    return [item for item in items if item.split != "test"]


def _held_out(
    data: DataConfig,
    listings: dict[str, tuple[tuple[Item, ...], dict[str, Any]]],
    roots: Mapping[str, Path],
    only: bool,
) -> set[tuple[str, str]]:
    """(data set, key) of what is held out, or in folds can be; lists it where that is new."""
    wanted = data.validation
    if not wanted.name:
        if wanted.split or wanted.subjects:
            raise ConfigError("data.validation.name", "", "the data set that is held out from")
        return set()
    if wanted.name not in listings:
        find_dataset(wanted.name)
        listing = list_items(wanted.name, find_root(wanted.name, roots, only), **wanted.options)
        listings[wanted.name] = listing.items, dict(wanted.options)
    elif wanted.options and dict(wanted.options) != listings[wanted.name][1]:
        raise ConfigError(
            "data.validation.options",
            dict(wanted.options),
            "those of the same set in data.train",
        )
    items = listings[wanted.name][0]
    listed = [*wanted.subjects, *(one for fold in data.folds for one in fold)]
    refuse_kept_apart(of_subjects(items, listed))
    rows = np.array([item.subject not in FINAL_TEST for item in items])
    rows &= np.array([item.split != "test" for item in items])
    if wanted.split:
        rows &= np.array([item.split == wanted.split for item in items])
    if wanted.subjects:
        rows &= _rows_of(items, find_dataset(wanted.name).name, wanted.subjects)
    if not (wanted.split or wanted.subjects or data.folds):
        raise ConfigError(
            "data.validation",
            wanted.name,
            "a set with split, subjects or data.folds, which define what is held out",
        )
    if not rows.any():
        what = wanted.split or list(wanted.subjects) or "usable"
        raise DataError(f"nothing of {wanted.name} is {what}: nothing can be held out")
    return {(items[i].dataset, items[i].key) for i in np.flatnonzero(rows)}


def of_fold(model: str, fold: str) -> str:
    """The run of a fold within a run folder with folds; else the model as it is.

    `'{fold}'` in the name becomes the fold's number, and 'fold{fold}' of the final run 'final'.
    """
    if "{fold}" in model:
        if fold == FINAL:
            model = model.replace("fold{fold}", "{fold}")
        return model.replace("{fold}", fold)
    inside = Path(model) / (fold if fold == FINAL else f"fold{fold}")
    return str(inside) if fold and inside.is_dir() else model


def _rows_of(items: Sequence[Item], name: str, wanted: Sequence[object]) -> NDArray[np.bool_]:
    """(N,) True for items of these subjects of a data set; see `of_subjects`."""
    of_set = [item for item in items if item.dataset == name]
    people = {item.subject for item in of_subjects(of_set, wanted)}
    return np.array([item.dataset == name and item.subject in people for item in items], bool)


def _check(source: TrainingItems, job: SplitJob) -> None:
    """Raises DataError where somebody is in both parts, or nobody is left to learn from."""
    if not job.train.any():
        raise DataError(f"{job.name or 'the run'}: nobody is left for training")
    parts = {"train": _rows(source, job.train), "validation": _rows(source, job.validation)}
    check_disjoint(parts)
    for items in parts.values():
        refuse_kept_apart(items)


def _rows(source: TrainingItems, rows: NDArray[np.bool_]) -> list[Item]:
    return [source.items[i] for i in np.flatnonzero(rows)]
