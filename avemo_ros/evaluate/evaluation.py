"""From a data set and a model to all figures."""

from __future__ import annotations

import platform
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tqdm import tqdm

from avemo_ros import __version__
from avemo_ros.data.features import Corpus
from avemo_ros.data.files import PICTURES
from avemo_ros.data.item import Item
from avemo_ros.data.prepare import PrepareConfig
from avemo_ros.data.registry import DATASETS, find_dataset
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate import pairs
from avemo_ros.evaluate.bootstrap import ROUNDS
from avemo_ros.evaluate.clip_corruption import corrupt_clips
from avemo_ros.evaluate.corruption import ON_FACE, ON_FEATURES, corrupted
from avemo_ros.evaluate.gather import (
    FACES,
    LANDMARKS,
    SPEECH,
    UNITS,
    Gathered,
    Making,
    Part,
    choose,
    gather,
    lacking,
)
from avemo_ros.evaluate.measure import as_json, by_fold, compare, measure
from avemo_ros.evaluate.opened import FoldClassifier, Hearing, Opened, open_folds, open_model
from avemo_ros.evaluate.predictions import Predictions, judged_classes, matched
from avemo_ros.evaluate.scoring import predict
from avemo_ros.evaluate.selection import some
from avemo_ros.evaluate.table import alone, reduced, row_of_two, rows_of_one, rows_of_two
from avemo_ros.evaluate.timing import ms_per_item
from avemo_ros.model.batch import MODALITIES
from avemo_ros.model.classical import ReadingOptions
from avemo_ros.model.collate import READS

COUNTED: Final = "items that the model cannot read count as wrong"
LEFT_OUT: Final = "items that lack what the model reads are left out"


@dataclass(frozen=True, slots=True)
class Request:
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
    hearing: Hearing = field(default_factory=Hearing)
    """How much of an item a network is given."""
    rounds: int = ROUNDS
    seed: int = 0
    """Of pairs and of the bootstrap."""
    progress: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of it."""

    result: dict[str, Any]
    """As JSON has it, without the command."""
    predictions: Predictions


@dataclass(slots=True, eq=False)
class _Material:
    """What the models are asked about."""

    corpus: Corpus
    split: str
    title: str
    reads: frozenset[str]
    gathered: list[Gathered]
    faces: tuple[Item, ...] = ()
    """Of pairs: the items that the faces are of."""
    voices: tuple[Item, ...] = ()
    notes: list[str] = field(default_factory=list)


def evaluate(request: Request) -> Outcome:
    """Judge a model on a data set.

    Raises:
        ConfigError: something is asked for that is not allowed.
        DataError: the data set is missing or has nothing of what is asked for; or the model
            was trained on it.
        WeightsError: a model is missing or damaged.
    """
    modality = _modality(request)
    opener = open_folds if request.folds else open_model
    reading = ReadingOptions(request.cache, max(1, request.workers), quiet=not request.progress)
    names = [request.model, *request.others]
    models = [opener(name, modality, reading, request.hearing) for name in names]
    modality = _narrowed(request, modality, models[0])
    wanted = [_reads(model, modality) for model in models]
    material = _pairs(request, models) if request.dataset == pairs.NAME else None
    if material is None:
        material = _material(request, modality, models, wanted)
    if request.skip_missing:
        _leave_out(material)
    return _judge(request, models, wanted, material)


def _judge(
    request: Request,
    models: Sequence[Opened],
    wanted: Sequence[frozenset[str]],
    material: _Material,
) -> Outcome:
    model, reads, corpus = models[0], wanted[0], material.corpus
    seen = _check_seen(request, models, material)
    classes = judged_classes(request.classes, model.classifier.classes, corpus.items)

    def judge(given: Corpus) -> Predictions:
        narrowed = Corpus(given.items, tuple(reduced(one, reads) for one in given.features))
        return predict(model.classifier, narrowed, classes, progress=request.progress)

    found = judge(corpus)
    result = measure(found, rounds=request.rounds, seed=request.seed)
    two = SPEECH in reads and reads & {FACES, UNITS}
    singles = alone(judge, corpus) if two else {}
    if singles:
        row = row_of_two("", found, singles, request.rounds)
        result["alone"] = {name: row[name] for name in singles}
        result["alone_difference"] = {
            "better_single": row["better_single"],
            **row["difference"],
        }
    if isinstance(model.classifier, FoldClassifier):
        of = [model.classifier.fold_of(item) for item in corpus.items]
        result["folds"] = by_fold(
            [found.only([place == fold for place in of]) for fold in sorted(set(of))]
        )
    if request.corruptions:
        spoilt = _spoilt(request, model, material, reads)
        if singles:
            rows = rows_of_two(judge, found, singles, spoilt, request.rounds)
        else:
            part = "voice" if SPEECH in reads else "face"
            rows = rows_of_one(judge, corpus, spoilt, part, request.rounds)
        result["corruptions"] = {"data": material.title, "rows": rows}
    result["difference"] = {}
    for other, other_reads in zip(models[1:], wanted[1:], strict=True):
        narrowed = Corpus(
            corpus.items, tuple(reduced(one, other_reads) for one in corpus.features)
        )
        theirs = predict(
            other.classifier,
            narrowed,
            judged_classes(request.classes, other.classifier.classes, corpus.items),
            progress=request.progress,
        )
        name = _distinct(other, result["difference"])
        result["difference"][name] = _difference(found, theirs, request)
    no_face, no_voice = lacking(corpus, reads)
    timed = Corpus(corpus.items, tuple(reduced(one, reads) for one in corpus.features))
    took = [part.ms_prepare for part in material.gathered]
    result |= {
        "model": model.facts,
        "dataset": request.dataset,
        "title": material.title,
        "split": material.split,
        "modality": _name_of(reads),
        "seen": seen,
        "missing": {
            "treatment": LEFT_OUT if request.skip_missing else COUNTED,
            "unreadable": [key for part in material.gathered for key in part.unreadable],
            "damaged": [key for part in material.gathered for key in part.damaged],
            "no_face": no_face,
            "no_voice": no_voice,
        },
        "ms_per_item": round(ms_per_item(model.classifier, timed), 3),
        "ms_prepare": _sum(took),
        "notes": [*material.notes, *_told(result, seen)],
        "versions": {
            "avemo_ros": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    return Outcome(as_json(result), found)


def _difference(ours: Predictions, theirs: Predictions, request: Request) -> dict[str, Any]:
    """Ours less theirs, in the classes that both know."""
    if len(theirs.classes) < len(ours.classes):
        # They do not tell calm from neutral, so neither counts here.
        ours, theirs = matched(theirs, ours), theirs
    else:
        theirs = matched(ours, theirs)
    found = compare(ours, theirs, rounds=request.rounds, seed=request.seed)
    figures = measure(theirs, rounds=request.rounds, seed=request.seed)
    kept = ("accuracy", "ua", "macro_f1", "ece", "nll", "intervals")
    return {
        **found,
        "classes": len(ours.classes),
        "other": {name: figures[name] for name in kept},
    }


def _modality(request: Request) -> str:
    """What is asked for, or what the data have."""
    if request.modality:
        if request.modality not in MODALITIES:
            raise ConfigError("--modality", request.modality, " | ".join(MODALITIES))
        return request.modality
    if request.dataset == pairs.NAME:
        return "av"
    contents = find_dataset(request.dataset).contents
    if request.units is not None:
        return "au+audio" if "voices" in contents else "au"
    if contents != "faces and voices":
        return {"faces": "face", "voices": "audio"}[contents]
    # What lies there: RAVDESS may be its sound only.
    part = Part(request.dataset, _root(request, request.dataset), "av", options=request.options)
    items = choose(replace(part, split="all")).items
    seen, heard = any(i.has_face for i in items), any(i.has_voice for i in items)
    return "av" if seen and heard else "face" if seen else "audio"


def _narrowed(request: Request, modality: str, model: Opened) -> str:
    """What the model is asked to read.

    Raises:
        ConfigError: it cannot read what was asked for.
    """
    of_model = model.classifier.modality
    shared = READS[modality] & READS[of_model]
    if request.modality and READS[request.modality] - READS[of_model]:
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
    return _name_of(shared)


def _name_of(reads: frozenset[str]) -> str:
    return next(name for name in MODALITIES if READS[name] == reads - {LANDMARKS})


def _reads(model: Opened, modality: str) -> frozenset[str]:
    """What of the items one model looks at."""
    of_model = READS[model.classifier.modality]
    shared = READS[modality] & of_model
    if not shared:
        raise ConfigError(
            "--compare",
            model.classifier.name,
            f"models that read some of {modality}; this one reads {model.classifier.modality}",
        )
    return shared | {LANDMARKS} if "landmark_svm" in model.kinds else shared


def _root(request: Request, name: str) -> Path:
    """The folder of a data set."""
    if name in request.roots:
        return request.roots[name]
    if "" not in request.roots:
        raise ConfigError("--root", ", ".join(request.roots), f"{name}=DIR, or one DIR")
    inside = request.roots[""] / name
    if inside.is_dir() or request.dataset == pairs.NAME:
        return inside
    return request.roots[""]


def _making(request: Request) -> Making:
    return Making(
        request.prepare, request.cache, request.workers, request.units, request.progress
    )


def _material(
    request: Request,
    modality: str,
    models: Sequence[Opened],
    wanted: Sequence[frozenset[str]],
) -> _Material:
    """Items of one data set with their features."""
    part = Part(
        request.dataset,
        _root(request, request.dataset),
        modality,
        request.split,
        request.subjects,
        request.options,
    )
    chosen = choose(part)
    items, notes = _of_folds(models, chosen.items)
    items = some(items, request.limit)
    reads: frozenset[str] = frozenset().union(*wanted)
    _refuse_absent(
        modality,
        face=UNITS in reads or any(item.has_face for item in items),
        voice=any(item.has_voice for item in items),
    )
    clips = any(
        item.row is None and item.has_face and item.path.suffix.lower() not in PICTURES
        for item in items
    )
    if request.corruptions and FACES in reads and clips:
        reads |= {LANDMARKS}  # which tell where a face is to be hidden
    gathered = gather(items, reads, _making(request), chosen.lost)
    no_face, no_voice = lacking(gathered.corpus, reads)
    _refuse_absent(modality, face=len(no_face) < len(items), voice=len(no_voice) < len(items))
    notes += chosen.notes
    if gathered.unreadable:
        done = "are left out" if request.skip_missing else "count as wrong"
        told = f"{len(gathered.unreadable)} of {len(items)} items have no readable file"
        notes.append(f"{told} and {done}")
    split = "folds" if request.folds else chosen.split
    if request.subjects:
        people = sorted({item.subject for item in items})
        split = ", ".join(people) if len(people) <= 12 else f"{len(people)} subjects"
    title = DATASETS[request.dataset].title
    return _Material(gathered.corpus, split, title, reads, [gathered], notes=notes)


def _refuse_absent(modality: str, *, face: bool, voice: bool) -> None:
    """Raises DataError where no item at all has a part that is to be judged."""
    reads = READS[modality]
    for what, there, own in (
        ("a face", face, frozenset({FACES, UNITS})),
        ("sound", voice, frozenset({SPEECH})),
    ):
        if there or not reads & own:
            continue
        rest = reads - own
        hint = f"; --modality {_name_of(rest)} does without" if rest else ""
        raise DataError(f"none of these items has {what} that can be used{hint}")


def _pairs(request: Request, models: Sequence[Opened]) -> _Material:
    """Label-matched pairs of a data set of faces and one of voices."""
    names = {kind: _name_for(request, kind) for kind in ("faces", "voices")}
    notes = [
        f"{pairs.TITLE}: face and voice are of different people, and independent given the "
        "label"
    ]
    corpora, gathered, splits = {}, [], []
    for kind, reads, modality in (
        ("faces", frozenset({FACES}), "face"),
        ("voices", frozenset({SPEECH}), "audio"),
    ):
        name = names[kind]
        split = request.split if kind == "faces" else ""
        subjects = request.subjects if kind == "voices" else ()
        chosen = choose(Part(name, _root(request, name), modality, split, subjects))
        items = chosen.items
        if kind == "voices":
            items, told = _of_folds(models, items)
            notes += told
        made = gather(items, reads, _making(request), chosen.lost)
        if made.unreadable:
            notes.append(
                f"{len(made.unreadable)} of {len(items)} items of {name} have no readable file "
                "and are in no pair"
            )
        gathered.append(made)
        corpora[kind] = made.corpus
        splits.append(f"{name} {chosen.split}".strip())
    count = request.limit or request.pairs
    faces, group, told = _with_their_fold(models, corpora["faces"])
    notes += told
    corpus = pairs.label_matched(faces, corpora["voices"], count, request.seed, group)
    title = f"{pairs.TITLE} of {names['faces']} and {names['voices']}"
    return _Material(
        corpus,
        ", ".join(splits),
        title,
        frozenset({FACES, SPEECH}),
        gathered,
        faces.items,
        corpora["voices"].items,
        notes,
    )


def _with_their_fold(
    models: Sequence[Opened], faces: Corpus
) -> tuple[Corpus, Callable[[Item], Hashable], list[str]]:
    """The faces that folds held out, if some were, and the folds that an item is judged by."""
    holding = [
        model.classifier
        for model in models
        if isinstance(model.classifier, FoldClassifier)
        and any(model.classifier.fold_of(item) >= 0 for item in faces.items)
    ]

    def group(item: Item) -> Hashable:
        return tuple(classifier.fold_of(item) for classifier in holding)

    kept = [all(one.fold_of(item) >= 0 for one in holding) for item in faces.items]
    if not any(kept):
        raise DataError("none of these faces was held out of a fold of every run")
    note = "a face is only paired with a voice that was held out of the same fold"
    return faces.only(kept), group, [note] if holding else []


def _name_for(request: Request, kind: str) -> str:
    """Which data set the faces or voices of pairs are of."""
    if "" in request.roots:
        return {"faces": "fer2013", "voices": "ravdess"}[kind]
    order = [name for name in request.roots if find_dataset(name).contents == kind]
    order += [name for name in request.roots if kind in find_dataset(name).contents]
    if not order:
        raise ConfigError("--root", ", ".join(request.roots), f"a data set of {kind} too")
    return order[0]


def _of_folds(
    models: Sequence[Opened], items: Sequence[Item]
) -> tuple[tuple[Item, ...], list[str]]:
    """The items that some fold held out, and what is to be said of the others."""
    kept = tuple(items)
    for model in models:
        classifier = model.classifier
        if isinstance(classifier, FoldClassifier):
            kept = tuple(item for item in kept if classifier.fold_of(item) >= 0)
    if not kept:
        raise DataError("none of these items was held out of a fold of the run")
    if len(kept) == len(items):
        return kept, []
    return kept, [f"{len(items) - len(kept)} items were held out of no fold and are left out"]


def _leave_out(material: _Material) -> None:
    no_face, no_voice = lacking(material.corpus, material.reads)
    lost = {*no_face, *no_voice}
    if lost:
        kept = [item.key not in lost for item in material.corpus.items]
        material.corpus = material.corpus.only(kept)
        material.notes.append(f"{len(lost)} items that lack a part are left out")
    if not len(material.corpus):
        raise DataError("every item lacks a part that the model reads")


def _check_seen(request: Request, models: Sequence[Opened], material: _Material) -> bool | None:
    """Whether the first model has seen items; refuses what is not allowed."""
    items = [*(material.voices or material.corpus.items), *material.faces]
    told = []
    for model in models:
        if isinstance(model.classifier, FoldClassifier) and not request.allow_seen:
            own = material.voices or material.corpus.items
            model.classifier.refuse_seen(own, material.faces)
        told.append(model.check(items, allow_seen=request.allow_seen))
    return told[0]


def _spoilt(
    request: Request, model: Opened, material: _Material, reads: frozenset[str]
) -> dict[str, Corpus]:
    """The corpus under each corruption that acts on what is read."""
    if "functionals_svm" in model.kinds:
        raise ConfigError(
            "--corruptions",
            model.classifier.name,
            "models that read crops and spectrograms; this one reads files by itself",
        )
    if reads <= {UNITS}:
        raise ConfigError("--corruptions", "au", "models that read faces or sound")
    if material.faces:
        names = tqdm(
            ON_FEATURES.items(),
            desc="corruptions",
            leave=False,
            disable=None if request.progress else True,
        )
        spoilt = {name: corrupted(material.corpus, corrupt) for name, corrupt in names}
    else:
        spoilt = corrupt_clips(
            material.corpus, request.prepare, request.workers, progress=request.progress
        )
    return {
        name: corpus
        for name, corpus in spoilt.items()
        if (name in ON_FACE and FACES in reads) or (name not in ON_FACE and SPEECH in reads)
    }


def _distinct(model: Opened, taken: Mapping[str, Any]) -> str:
    name = model.classifier.name
    number = 2
    while name in taken:
        name = f"{model.classifier.name} ({number})"
        number += 1
    return name


def _told(result: Mapping[str, Any], seen: bool | None) -> list[str]:
    """What the reader must know of the figures."""
    notes = []
    if seen:
        notes.append("the model has seen some of these items in training: not an honest figure")
    elif seen is None:
        notes.append(
            "the model does not say what it was trained on; it may have seen the items"
        )
    if result["unanswered"]:
        notes.append(f"{result['unanswered']} items without an answer count as wrong")
    return notes


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 3) if len(known) == len(values) else None
