"""What to evaluate on a data set: the items, their features, and the modalities asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from avemo_ros.data.dataset import Item, Problem
from avemo_ros.data.features import (
    BROKEN,
    DAMAGED,
    UNUSUAL,
    Corpus,
    Features,
    PrepareConfig,
    join_units,
)
from avemo_ros.data.landmark_table import add_points
from avemo_ros.data.prepare import PrepareReport, prepare
from avemo_ros.data.registry import find_dataset, list_items
from avemo_ros.data.splits import of_subjects
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.bootstrap import ROUNDS
from avemo_ros.evaluate.opened_models import InputLength, OpenedModel
from avemo_ros.model.emotion_model import MODALITIES
from avemo_ros.zoo.classifier import READS

ALL: Final = "all"
_WORDS: Final = {
    "training": "train",
    "publictest": "validation",
    "public": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "privatetest": "test",
    "private": "test",
}
"""Words for the parts, FER2013's own among them."""
FACES: Final = "faces"
LANDMARKS: Final = "landmarks"
SPEECH: Final = "speech"
UNITS: Final = "units"
POINTS: Final = "points"
VISUAL: Final = frozenset({FACES, UNITS, POINTS})
"""What may be read of a face."""
_FILES: Final = {
    "face": "video",
    "audio": "audio",
    "av": "av",
    "au": "av",
    "au+audio": "audio",
    "landmarks": "av",
    "landmarks+audio": "av",
    "face+landmarks": "av",
    "face+landmarks+audio": "av",
}
"""Which files a data set with files for each modality is asked for."""
_SHOWN: Final = 3
"""Kinds of trouble that a note names, and items that are odd."""


def in_split(items: Sequence[Item], split: str) -> tuple[tuple[Item, ...], str]:
    """The items of a part of the data set.

    Args:
        items: of one data set.
        split: 'train', 'validation', 'test', FER2013's 'public' and 'private', 'all', or '':
            the test part where there is one, else the validation part, else all.

    Returns:
        The items and the name of the part; '' where the data set has no parts.

    Raises:
        DataError: there are no items in this part.
    """
    there = [
        name for name in ("test", "validation", "train") if any(i.split == name for i in items)
    ]
    if not split:
        split = there[0] if there and there[0] != "train" else ALL
    wanted = _WORDS.get(split.casefold(), split.casefold())
    if wanted == ALL:
        return tuple(items), ALL if there else ""
    chosen = tuple(item for item in items if item.split == wanted)
    if not chosen:
        names = ", ".join([*sorted(there), ALL])
        raise DataError(
            f"{items[0].dataset} has no items in split '{split}'; there are: {names}"
        )
    return chosen, wanted


def random_items(items: Sequence[Item], limit: int) -> tuple[Item, ...]:
    """At most `limit` items in their order, always the same random ones; 0: all.

    Evenly spaced ones would all be of one actor where the names end in the actor's number.
    """
    if not limit or len(items) <= limit:
        return tuple(items)
    picked = np.random.default_rng(0).permutation(len(items))[:limit]
    return tuple(items[place] for place in sorted(picked.tolist()))


@dataclass(frozen=True, slots=True)
class DatasetPart:
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
class SelectedItems:
    """The items of a part."""

    items: tuple[Item, ...]
    """In the order of their keys; those that are lost have neither face nor voice."""
    split: str
    """The part's name; '' where the data set has none."""
    lost: frozenset[str]
    """Keys of items whose label is known, but whose file is missing or broken."""
    notes: tuple[str, ...]
    """Notes about files that could not be used."""


@dataclass(frozen=True, slots=True)
class FeatureOptions:
    """How features are made."""

    config: PrepareConfig = field(default_factory=PrepareConfig)
    cache: Path | None = None
    workers: int = 0
    units: Path | None = None
    """Table of action units."""
    landmarks: Path | None = None
    """File of landmark sequences; None: points are made of the face meshes of images."""
    progress: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class CollectedItems:
    """Items with features."""

    corpus: Corpus
    unreadable: tuple[str, ...]
    """Keys of items whose file is broken; they have no features."""
    damaged: tuple[str, ...]
    """Keys of items whose file could be read in part; they are judged on that."""
    notes: tuple[str, ...]
    """What else is odd about items, in sentences: silence, tracks that are left out, ..."""
    ms_prepare: float | None
    """Time of preparation for each item [ms]; None if some came from the cache."""


def select_items(part: DatasetPart) -> SelectedItems:
    """The items of a part, broken ones too: to leave them out would flatter the model.

    Raises:
        ConfigError: no such data set or option.
        DataError: the data set cannot be read, or has nothing of this part.
    """
    options = dict(part.options)
    if "modality" in find_dataset(part.name).options:
        options.setdefault("modality", _FILES[part.modality])
    listing = list_items(part.name, part.root, **options)
    lost = [replace(item, has_face=False, has_voice=False) for item in listing.lost]
    every = sorted((*listing.items, *lost), key=lambda item: item.key)
    items, split = in_split(every, part.split)
    if part.subjects:
        items = of_subjects(items, part.subjects)
    keys = {item.key for item in lost}
    return SelectedItems(
        items,
        split,
        frozenset(item.key for item in items if item.key in keys),
        tuple(_notes(listing.problems)),
    )


def _notes(problems: Sequence[Problem]) -> Iterator[str]:
    by_design = sum(problem.left_out and problem.by_design for problem in problems)
    if by_design:
        yield f"{by_design} files of the data set are left out by design"
    troubles = Counter(p.what for p in problems if p.left_out and not p.by_design)
    if troubles:
        most = [f"{count} x {what}" for what, count in troubles.most_common(_SHOWN)]
        more = ", ..." if len(troubles) > _SHOWN else ""
        yield (
            f"{troubles.total()} files of the data set are missing, broken or not understood "
            f"({', '.join(most)}{more}): see `avemo data check`"
        )


def collect_features(
    items: Sequence[Item],
    reads: frozenset[str],
    options: FeatureOptions,
    lost: frozenset[str] = frozenset(),
) -> CollectedItems:
    """Features of items.

    Args:
        items: of one or more data sets.
        reads: what is needed of them, of FACES, LANDMARKS, SPEECH, UNITS and POINTS.
        options: how.
        lost: keys of items that no file can be used for; only action units and landmark
            sequences are looked up.

    Raises:
        ConfigError: action units are needed and no table is given; or landmark sequences, and
            there is neither a file of them nor an image.
        DataError: the table or file has none of the items, none has a file that can be read,
            or the cache cannot be written.
    """
    if UNITS in reads and options.units is None:
        raise ConfigError("--au", "", "the table of action units that this model needs")
    report = PrepareReport()
    corpus = Corpus(tuple(items), (Features(),) * len(items))
    if POINTS in reads and options.landmarks is None:
        if not any(item.has_face for item in items):
            raise ConfigError(
                "--landmarks",
                "",
                "a file of landmark sequences: the items have no image",
            )
        reads |= {LANDMARKS}
    of_files = reads - {UNITS, POINTS}
    broken: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    notes: list[str] = []
    if of_files:
        prepared, report = prepare(
            [item for item in items if item.key not in lost],
            options.config,
            options.cache,
            options.workers,
            of_files,
            progress=options.progress,
        )
        by_key = {
            (i.dataset, i.key): f
            for i, f in zip(prepared.items, prepared.features, strict=True)
        }
        features = (by_key.get((item.dataset, item.key), Features()) for item in items)
        corpus = Corpus(tuple(items), tuple(features))
        unread = lost.union(trouble.item.key for trouble in report.of_kind(BROKEN))
        broken = tuple(item.key for item in items if item.key in unread)
        damaged = tuple(dict.fromkeys(one.item.key for one in report.of_kind(DAMAGED)))
        odd = report.of_kind(UNUSUAL)
        notes = [f"{one.item.key}: {one.finding.reason}" for one in odd[:_SHOWN]]
        if len(odd) > _SHOWN:
            notes.append(f"{len(odd) - _SHOWN} more are unusual: `avemo data prepare`")
        if items and len(broken) == len(items):
            reasons = [trouble.finding.reason for trouble in report.of_kind(BROKEN)]
            reasons += [f"'{item.path}'" for item in items if item.key in lost]
            raise DataError(f"none of {len(items)} items can be read, e.g. {reasons[0]}")
    if UNITS in reads:
        assert options.units is not None
        corpus, _ = join_units(corpus, options.units)
    if POINTS in reads:
        corpus, _ = add_points(corpus, options.landmarks)
    fresh = report.computed == report.items > 0
    took = 1e3 * report.took_s / report.items if fresh else None
    return CollectedItems(corpus, broken, damaged, tuple(notes), took)


def missing_keys(corpus: Corpus, reads: frozenset[str]) -> tuple[list[str], list[str]]:
    """Keys of items without a face (or action units, or landmarks), and of those without audio,
    where these are read."""
    no_face, no_voice = [], []
    for item, features in zip(corpus.items, corpus.features, strict=True):
        visual = features.units if UNITS in reads else features.faces
        if POINTS in reads and (visual is None or FACES not in reads):
            visual = features.points
        if visual is None and reads & VISUAL:
            no_face.append(item.key)
        if features.spectrogram is None and SPEECH in reads:
            no_voice.append(item.key)
    return no_face, no_voice


PAIRS: Final = "pairs"
"""Name of the made-up data set."""
PAIRS_TITLE: Final = "label-matched pairs"


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What is to be evaluated."""

    dataset: str
    """A key of DATASETS, or 'pairs'."""
    roots: Mapping[str, Path]
    """Folders by data set; '' is the folder of the data set, or holds one folder a set."""
    model: str = ""
    """Released model, model file or run folder; '': the released default."""
    others: tuple[str, ...] = ()
    """Models that it is compared with on the same items."""
    split: str = ""
    subjects: tuple[str, ...] = ()
    folds: bool = False
    """The models are run folders with folds, each judged on what it held out."""
    modality: str = ""
    """One of MODALITIES; '': what the model reads of what the data have."""
    classes: int | None = None
    units: Path | None = None
    landmarks: Path | None = None
    personal_neutral: float = 0.0
    """Seconds of a person that count for their resting face; 0: none is used."""
    corruptions: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the data set's loader."""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    cache: Path | None = None
    workers: int = 0
    limit: int = 0
    pairs: int = 1400
    """How many label-matched pairs are made."""
    allow_seen: bool = False
    skip_missing: bool = False
    input_length: InputLength = field(default_factory=InputLength)
    """How much of an item a network is given."""
    known_classes: bool = False
    """Judge answers among the classes of the data set alone."""
    rounds: int = ROUNDS
    seed: int = 0
    """Of pairs and of the bootstrap."""
    progress: bool = True

    def root(self, name: str) -> Path:
        """The folder of a data set.

        Raises:
            ConfigError: folders of others are given only.
        """
        if name in self.roots:
            return self.roots[name]
        if "" not in self.roots:
            raise ConfigError("--root", ", ".join(self.roots), f"{name}=DIR, or one DIR")
        inside = self.roots[""] / find_dataset(name).name
        if inside.is_dir() or self.dataset == PAIRS:
            return inside
        return self.roots[""]


def asked_modality(request: DatasetRequest) -> str:
    """What is asked for, or what the data have.

    Raises:
        ConfigError: it is none of MODALITIES.
        DataError: the data set cannot be read.
    """
    if request.modality:
        if request.modality not in MODALITIES:
            raise ConfigError("--modality", request.modality, " | ".join(MODALITIES))
        unseen = request.modality == "av" and request.landmarks is not None
        if unseen and not request.model and _what_lies_there(request) == "audio":
            # Without films the landmarks are what is seen.
            return "landmarks+audio"
        return request.modality
    if request.dataset == PAIRS:
        return "av"
    contents = find_dataset(request.dataset).contents
    for table, name in ((request.units, "au"), (request.landmarks, "landmarks")):
        if table is not None:
            return f"{name}+audio" if "voices" in contents else name
    if contents != "faces and voices":
        return {"faces": "face", "voices": "audio"}[contents]
    return _what_lies_there(request)


def _what_lies_there(request: DatasetRequest) -> str:
    """What the files of a data set have: RAVDESS may be its audio only."""
    part = DatasetPart(
        request.dataset, request.root(request.dataset), "av", options=request.options
    )
    items = select_items(replace(part, split="all")).items
    seen, heard = any(i.has_face for i in items), any(i.has_voice for i in items)
    return "av" if seen and heard else "face" if seen else "audio"


def narrowed_modality(request: DatasetRequest, modality: str, model: OpenedModel) -> str:
    """What the model is asked to read.

    Raises:
        ConfigError: it cannot read what was asked for.
    """
    of_model = model.classifier.modality
    shared = _as_seen(READS[modality], of_model) & READS[of_model]
    if request.modality and _as_seen(READS[request.modality], of_model) - READS[of_model]:
        known = [name for name in MODALITIES if READS[name] <= READS[of_model]]
        raise ConfigError(
            "--modality",
            request.modality,
            f"{' | '.join(known)}: that is what {model.classifier.name} reads",
        )
    if not shared:
        raise ConfigError(
            "--model",
            model.classifier.name,
            f"a model that reads {modality}, as these data need; this one reads {of_model}",
        )
    return modality_of(shared)


def _as_seen(reads: frozenset[str], of_model: str) -> frozenset[str]:
    """What is read, with landmarks for the face, or beside it, where that is how a model sees
    it."""
    if FACES not in reads or POINTS not in READS[of_model]:
        return reads
    return (reads | {POINTS}) & (READS[of_model] | {SPEECH})


def reads_of(model: OpenedModel, modality: str) -> frozenset[str]:
    """What of the items one model looks at.

    Raises:
        ConfigError: nothing of them.
    """
    of_model = READS[model.classifier.modality]
    shared = READS[modality] & of_model
    if not shared:
        raise ConfigError(
            "--compare",
            model.classifier.name,
            f"models that read some of {modality}; this one reads {model.classifier.modality}",
        )
    return shared | {LANDMARKS} if "landmark_svm" in model.kinds else shared


def modality_of(reads: frozenset[str]) -> str:
    """The name of what is read."""
    return next(name for name in MODALITIES if READS[name] == reads - {LANDMARKS})
