"""The material of an evaluation: the items that models are asked about, with their features."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from avemo_ros.data.features import Corpus
from avemo_ros.data.files import PICTURES
from avemo_ros.data.item import Item
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate import pairs
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
from avemo_ros.evaluate.modality import modality_of
from avemo_ros.evaluate.opened import FoldClassifier, Opened
from avemo_ros.evaluate.request import Request
from avemo_ros.evaluate.selection import some
from avemo_ros.zoo.collate import READS


@dataclass(slots=True, eq=False)
class Material:
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


def material_of_set(
    request: Request,
    modality: str,
    models: Sequence[Opened],
    wanted: Sequence[frozenset[str]],
) -> Material:
    """Items of one data set with their features.

    Args:
        request: which items.
        modality: what of them is read.
        models: those that are asked about them.
        wanted: what each model reads.

    Raises:
        DataError: no item has what is read.
    """
    part = Part(
        request.dataset,
        request.root(request.dataset),
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
    title = find_dataset(request.dataset).title
    return Material(gathered.corpus, split, title, reads, [gathered], notes=notes)


def material_of_pairs(request: Request, models: Sequence[Opened]) -> Material:
    """Label-matched pairs of a data set of faces and one of voices.

    Raises:
        ConfigError: there is no folder of one of both.
        DataError: no item was held out by the models.
    """
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
        chosen = choose(Part(name, request.root(name), modality, split, subjects))
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
    return Material(
        corpus,
        ", ".join(splits),
        title,
        frozenset({FACES, SPEECH}),
        gathered,
        faces.items,
        corpora["voices"].items,
        notes,
    )


def leave_out(material: Material) -> None:
    """Drop the items that lack a part of what is read.

    Raises:
        DataError: every item does.
    """
    no_face, no_voice = lacking(material.corpus, material.reads)
    lost = {*no_face, *no_voice}
    if lost:
        kept = [item.key not in lost for item in material.corpus.items]
        material.corpus = material.corpus.only(kept)
        material.notes.append(f"{len(lost)} items that lack a part are left out")
    if not len(material.corpus):
        raise DataError("every item lacks a part that the model reads")


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
        hint = f"; --modality {modality_of(rest)} does without" if rest else ""
        raise DataError(f"none of these items has {what} that can be used{hint}")


def _name_for(request: Request, kind: str) -> str:
    """Which data set the faces or voices of pairs are of."""
    if "" in request.roots:
        return {"faces": "fer2013", "voices": "ravdess"}[kind]
    order = [name for name in request.roots if find_dataset(name).contents == kind]
    order += [name for name in request.roots if kind in find_dataset(name).contents]
    if not order:
        raise ConfigError("--root", ", ".join(request.roots), f"a data set of {kind} too")
    return order[0]


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


def _making(request: Request) -> Making:
    return Making(
        request.prepare, request.cache, request.workers, request.units, request.progress
    )
