"""The data of an evaluation: one data set, or label-matched pairs of two."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from avemo_ros.data.corpus_files import IMAGES
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.collect import (
    FACES,
    LANDMARKS,
    POINTS,
    SPEECH,
    UNITS,
    VISUAL,
    CollectedItems,
    DatasetPart,
    FeatureOptions,
    collect_features,
    missing_keys,
    random_items,
    select_items,
)
from avemo_ros.evaluate.dataset_request import PAIRS_TITLE, DatasetRequest, modality_of
from avemo_ros.evaluate.label_matched import label_matched
from avemo_ros.evaluate.opened_models import FoldClassifier, OpenedModel
from avemo_ros.evaluate.personal_neutral import with_personal_neutral
from avemo_ros.zoo.classifier import READS


@dataclass(slots=True, eq=False)
class EvaluationData:
    """What the models are asked about."""

    corpus: Corpus
    split: str
    title: str
    reads: frozenset[str]
    collected: list[CollectedItems]
    faces: tuple[Item, ...] = ()
    """Of pairs: the items that the faces are of."""
    voices: tuple[Item, ...] = ()
    notes: list[str] = field(default_factory=list)


def data_of_dataset(
    request: DatasetRequest,
    modality: str,
    models: Sequence[OpenedModel],
    wanted: Sequence[frozenset[str]],
) -> EvaluationData:
    """Items of one data set with their features.

    Args:
        request: which items.
        modality: what of them is read.
        models: those that are asked about them.
        wanted: what each model reads.

    Raises:
        DataError: no item has what is read.
    """
    part = DatasetPart(
        request.dataset,
        request.root(request.dataset),
        modality,
        request.split,
        request.subjects,
        request.options,
    )
    chosen = select_items(part)
    items, notes = _of_folds(models, chosen.items)
    items = random_items(items, request.limit)
    reads: frozenset[str] = frozenset().union(*wanted)
    _refuse_absent(
        modality,
        face=bool(reads & {UNITS, POINTS}) or any(item.has_face for item in items),
        voice=any(item.has_voice for item in items),
    )
    clips = any(
        item.row is None and item.has_face and item.path.suffix.lower() not in IMAGES
        for item in items
    )
    if request.corruptions and FACES in reads and clips:
        reads |= {LANDMARKS}  # which tell where a face is to be hidden
    collected = collect_features(items, reads, _feature_options(request), chosen.lost)
    corpus = collected.corpus
    if request.personal_neutral:
        # Statistics for support vector machines stay those of the face as it is.
        unable = {"landmark_statistics_svm"}
        if POINTS not in reads or any(
            unable <= m.kinds and "landmark_sequence" not in m.kinds for m in models
        ):
            raise ConfigError(
                "--personal-neutral", request.personal_neutral, "0, or networks of landmarks"
            )
        corpus = with_personal_neutral(corpus, request.personal_neutral)
        span = f"{request.personal_neutral:g} s"
        span = "all" if math.isinf(request.personal_neutral) else f"the newest {span}"
        notes.append(f"resting face of a person from {span} of their items before, unlabelled")
    no_face, no_voice = missing_keys(corpus, reads)
    _refuse_absent(modality, face=len(no_face) < len(items), voice=len(no_voice) < len(items))
    notes += chosen.notes
    if collected.unreadable:
        done = "are left out" if request.skip_missing else "count as wrong"
        unreadable = f"{len(collected.unreadable)} of {len(items)} items have no readable file"
        notes.append(f"{unreadable} and {done}")
    split = "folds" if request.folds else chosen.split
    if request.subjects:
        people = sorted({item.subject for item in items})
        split = ", ".join(people) if len(people) <= 12 else f"{len(people)} subjects"
    title = find_dataset(request.dataset).title
    return EvaluationData(corpus, split, title, reads, [collected], notes=notes)


def data_of_pairs(request: DatasetRequest, models: Sequence[OpenedModel]) -> EvaluationData:
    """Label-matched pairs of a data set of faces and one of voices.

    Raises:
        ConfigError: there is no folder of one of both.
        DataError: no item was held out by the models.
    """
    names = {kind: _name_for(request, kind) for kind in ("faces", "voices")}
    notes = [
        f"{PAIRS_TITLE}: face and voice are of different people, and independent "
        "given the label"
    ]
    corpora, collected, splits = {}, [], []
    for kind, reads, modality in (
        ("faces", frozenset({FACES}), "face"),
        ("voices", frozenset({SPEECH}), "audio"),
    ):
        name = names[kind]
        split = request.split if kind == "faces" else ""
        subjects = request.subjects if kind == "voices" else ()
        chosen = select_items(DatasetPart(name, request.root(name), modality, split, subjects))
        items = chosen.items
        if kind == "voices":
            items, more_notes = _of_folds(models, items)
            notes += more_notes
        made = collect_features(items, reads, _feature_options(request), chosen.lost)
        if made.unreadable:
            notes.append(
                f"{len(made.unreadable)} of {len(items)} items of {name} have no readable file "
                "and are in no pair"
            )
        collected.append(made)
        corpora[kind] = made.corpus
        splits.append(f"{name} {chosen.split}".strip())
    count = request.limit or request.pairs
    faces, group, more_notes = _with_their_fold(models, corpora["faces"])
    notes += more_notes
    corpus = label_matched(faces, corpora["voices"], count, request.seed, group)
    title = f"{PAIRS_TITLE} of {names['faces']} and {names['voices']}"
    return EvaluationData(
        corpus,
        ", ".join(splits),
        title,
        frozenset({FACES, SPEECH}),
        collected,
        faces.items,
        corpora["voices"].items,
        notes,
    )


def leave_out(data: EvaluationData) -> None:
    """Drop the items that lack a part of what is read.

    Raises:
        DataError: every item does.
    """
    no_face, no_voice = missing_keys(data.corpus, data.reads)
    lost = {*no_face, *no_voice}
    if lost:
        kept = [item.key not in lost for item in data.corpus.items]
        data.corpus = data.corpus.only(kept)
        data.notes.append(f"{len(lost)} items that lack a part are left out")
    if not len(data.corpus):
        raise DataError("every item lacks a part that the model reads")


def _of_folds(
    models: Sequence[OpenedModel], items: Sequence[Item]
) -> tuple[tuple[Item, ...], list[str]]:
    """The items that some fold held out, and notes about the others."""
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
        ("a face", face, VISUAL),
        ("sound", voice, frozenset({SPEECH})),
    ):
        if there or not reads & own:
            continue
        rest = reads - own
        hint = f"; --modality {modality_of(rest)} needs none" if rest else ""
        raise DataError(f"none of these items has {what} that can be used{hint}")


def _name_for(request: DatasetRequest, kind: str) -> str:
    """Which data set the faces or voices of pairs are of."""
    if "" in request.roots:
        return {"faces": "fer2013", "voices": "ravdess"}[kind]
    order = [name for name in request.roots if find_dataset(name).contents == kind]
    order += [name for name in request.roots if kind in find_dataset(name).contents]
    if not order:
        raise ConfigError("--root", ", ".join(request.roots), f"a data set of {kind} too")
    return order[0]


def _with_their_fold(
    models: Sequence[OpenedModel], faces: Corpus
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


def _feature_options(request: DatasetRequest) -> FeatureOptions:
    return FeatureOptions(
        request.prepare,
        request.cache,
        request.workers,
        request.units,
        request.landmarks,
        request.progress,
    )
