"""Brings together what is judged: items, their features, and what is missing of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.item import Item
from avemo_ros.data.media import BROKEN
from avemo_ros.data.prepare import PrepareConfig, PrepareReport, prepare
from avemo_ros.data.registry import find_dataset, list_items
from avemo_ros.data.units import join_units
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.selection import in_split, of_subjects

FACES: Final = "faces"
LANDMARKS: Final = "landmarks"
SPEECH: Final = "speech"
UNITS: Final = "units"
_FILES: Final = {"face": "video", "audio": "audio", "av": "av", "au": "av", "au+audio": "audio"}
"""Which files a data set with files for each modality is asked for."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a data set."""

    name: str
    root: Path
    modality: str
    """One of `batch.MODALITIES`: which files are read."""
    split: str = ""
    subjects: tuple[str, ...] = ()
    """Empty: all."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the data set's loader."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The items of a part."""

    items: tuple[Item, ...]
    split: str
    """The part's name; '' where the data set has none."""
    left_out: int
    """Files that the loader could not use."""


@dataclass(frozen=True, slots=True)
class Making:
    """How features are made."""

    config: PrepareConfig = field(default_factory=PrepareConfig)
    cache: Path | None = None
    workers: int = 0
    units: Path | None = None
    """Table of action units."""
    progress: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Items with features."""

    corpus: Corpus
    unreadable: tuple[str, ...]
    """Keys of items whose file is broken; they have no features."""
    ms_prepare: float | None
    """Time of preparation for each item [ms]; None if some came from the cache."""


def choose(part: Part) -> Chosen:
    """The items of a part.

    Raises:
        ConfigError: no such data set or option.
        DataError: the data set cannot be read, or has nothing of this part.
    """
    options = dict(part.options)
    if "modality" in find_dataset(part.name).options:
        options.setdefault("modality", _FILES[part.modality])
    listing = list_items(part.name, part.root, **options)
    items, split = in_split(listing.items, part.split)
    if part.subjects:
        items = of_subjects(items, part.subjects)
    left_out = sum(problem.left_out for problem in listing.problems)
    return Chosen(items, split, left_out)


def gather(items: Sequence[Item], reads: frozenset[str], making: Making) -> Gathered:
    """Features of items.

    Args:
        items: of one or more data sets.
        reads: what is needed of them, of FACES, LANDMARKS, SPEECH and UNITS.
        making: how.

    Raises:
        ConfigError: action units are needed and no table is given.
        DataError: the table has none of the items, or the cache cannot be written.
    """
    if UNITS in reads and making.units is None:
        raise ConfigError("--au", "", "the table of action units that this model reads")
    report = PrepareReport()
    corpus = Corpus(tuple(items), (Features(),) * len(items))
    of_files = reads - {UNITS}
    if of_files:
        corpus, report = prepare(
            items,
            making.config,
            making.cache,
            making.workers,
            of_files,
            progress=making.progress,
        )
    if UNITS in reads:
        assert making.units is not None
        corpus, _ = join_units(corpus, making.units)
    broken = tuple(trouble.item.key for trouble in report.of_kind(BROKEN))
    if corpus.items and len(broken) == len(corpus):
        first = report.of_kind(BROKEN)[0]
        raise DataError(f"none of {len(corpus)} items can be read, e.g. {first.finding.reason}")
    fresh = report.made == report.items > 0
    took = 1e3 * report.took_s / report.items if fresh else None
    return Gathered(corpus, broken, took)


def lacking(corpus: Corpus, reads: frozenset[str]) -> tuple[list[str], list[str]]:
    """Keys of items without a face (or action units), and of those without sound, where these
    are read."""
    no_face, no_voice = [], []
    for item, made in zip(corpus.items, corpus.features, strict=True):
        visual = made.units if UNITS in reads else made.faces
        if visual is None and reads & {FACES, UNITS}:
            no_face.append(item.key)
        if made.spectrogram is None and SPEECH in reads:
            no_voice.append(item.key)
    return no_face, no_voice
