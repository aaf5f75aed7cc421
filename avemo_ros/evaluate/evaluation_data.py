"""The data of an evaluation: one data set, or label-matched pairs of two."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.corpus_files import IMAGES
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.evaluate.dataset_request import (
    FACES,
    LANDMARKS,
    PAIRS,
    PAIRS_TITLE,
    POINTS,
    SPEECH,
    UNITS,
    VISUAL,
    CollectedItems,
    DatasetPart,
    DatasetRequest,
    FeatureOptions,
    collect_features,
    missing_keys,
    modality_of,
    random_items,
    select_items,
)
from avemo_ros.evaluate.opened_models import FoldClassifier, OpenedModel
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.face_points import POINTS as N_POINTS
from avemo_ros.model.face_points import PRIOR_S, normalise_points
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
        part = collect_features(items, reads, _feature_options(request), chosen.lost)
        if part.unreadable:
            notes.append(
                f"{len(part.unreadable)} of {len(items)} items of {name} have no readable file "
                "and are in no pair"
            )
        collected.append(part)
        corpora[kind] = part.corpus
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


# Label-matched pairs: a face of one person and a voice of another, with the same label.
#
# Where no recordings of face and voice together exist, such pairs show whether a fusion makes
# use of both. Given the label, face and voice are independent, which a person's are not:
# every output names these metrics 'label-matched pairs'.


def _together(_item: Item) -> Hashable:
    return None


def label_matched(
    faces: Corpus,
    voices: Corpus,
    n: int,
    seed: int,
    group: Callable[[Item], Hashable] = _together,
) -> Corpus:
    """Pairs of a face and a voice with the same emotion, all emotions alike often.

    Within an emotion every face is used once before one is used again, and every voice too.

    Args:
        faces: items with face crops; others are left out.
        voices: items with a spectrogram; others are left out.
        n: how many pairs.
        seed: of the draw.
        group: a face is only paired with a voice of the same group, such as the fold that
            held both out; within an emotion all groups are alike often.

    Returns:
        n items: face crops of the one and spectrogram of the other, label in EMOTIONS, subject
        and sex of the voice.

    Raises:
        DataError: n is below 1, or no emotion has both a face and a voice (of one group).
    """
    if n < 1:
        raise DataError(f"{n} {PAIRS_TITLE} requested; allowed: 1 or more")
    shown = [features.faces is not None for features in faces.features]
    spoken = [features.spectrogram is not None for features in voices.features]
    cells = [
        [(seen[name], heard[name]) for name in seen if name in heard]
        for seen, heard in zip(
            _places(faces, shown, group), _places(voices, spoken, group), strict=True
        )
    ]
    shared = [index for index in range(len(EMOTIONS)) if cells[index]]
    if not shared:
        raise DataError(
            f"no {PAIRS_TITLE} can be made: no emotion has both a face (of {len(faces)} items) "
            f"and a voice (of {len(voices)} items)"
        )
    chance = np.random.default_rng(seed)
    items: list[Item] = []
    features: list[Features] = []
    for place, emotion in enumerate(shared):
        count = _share(n, len(shared), place)
        for part, (seen, heard) in enumerate(cells[emotion]):
            of_group = _share(count, len(cells[emotion]), part)
            images = _in_turn(seen, of_group, chance)
            voiced = _in_turn(heard, of_group, chance)
            for face, voice in zip(images, voiced, strict=True):
                items.append(
                    _pair(faces.items[face], voices.items[voice], EMOTIONS[emotion], len(items))
                )
                features.append(
                    Features(
                        faces=faces.features[face].faces,
                        face_times_s=faces.features[face].face_times_s,
                        landmarks=faces.features[face].landmarks,
                        spectrogram=voices.features[voice].spectrogram,
                    )
                )
    return Corpus(tuple(items), tuple(features))


def _share(count: int, parts: int, place: int) -> int:
    """How many of `count` one of several parts has, all alike as far as it goes."""
    return count // parts + (place < count % parts)


def _places(
    corpus: Corpus, usable: list[bool], group: Callable[[Item], Hashable]
) -> list[dict[Hashable, list[int]]]:
    """For each emotion the usable items of each group."""
    places: list[dict[Hashable, list[int]]] = [{} for _ in EMOTIONS]
    for index, item in enumerate(corpus.items):
        if usable[index]:
            places[item.emotion_index].setdefault(group(item), []).append(index)
    return places


def _in_turn(places: list[int], count: int, chance: np.random.Generator) -> list[int]:
    """`count` of `places`: all of them in random order, then again in another."""
    drawn: list[int] = []
    while len(drawn) < count:
        drawn += chance.permutation(places).tolist()
    return drawn[:count]


def _pair(face: Item, voice: Item, label: str, number: int) -> Item:
    return Item(
        dataset=PAIRS,
        key=f"{number:05d}:{face.key}+{voice.key}",
        path=voice.path,
        label=label,
        subject=voice.subject,
        raw_label=f"{face.raw_label}+{voice.raw_label}",
        sex=voice.sex,
    )


# The resting face of a person, from what was seen of them before, without any label.
#
# A face says more by how it differs from its own usual shape than by the shape itself. Items
# of a person are taken one after the other; each gets the mean shape over those before it.


def with_personal_neutral(corpus: Corpus, seconds: float) -> Corpus:
    """The corpus in which items have the resting face of their person.

    Data sets do not say in which order their clips were recorded; a random one is taken.

    Args:
        corpus: items with points, in any order.
        seconds: the newest clips before an item that are as long as this together count, and
            no older ones; infinite: all of them; 0: none.

    Returns:
        The same items in the same order.  The first of a person has no resting face.
    """
    features = list(corpus.features)
    people: dict[str, list[int]] = {}
    for row, item in enumerate(corpus.items):
        people.setdefault(item.subject, []).append(row)
    for rows in people.values():
        ordered = sorted(rows, key=lambda row: _order(corpus.items[row]))
        seen: list[tuple[NDArray[np.float64], float]] = []
        for row in ordered:
            of_item = features[row]
            neutral, length = _mean_of(seen, seconds)
            if neutral is not None:
                weight = length / (length + PRIOR_S)
                features[row] = replace(of_item, neutral=neutral, neutral_weight=weight)
            if of_item.points is None or of_item.point_times_s is None:
                continue
            shapes = normalise_points(of_item.points)[:, : 2 * N_POINTS]
            there = np.isfinite(shapes).all(axis=1)
            if there.any():
                span = float(of_item.point_times_s[-1] - of_item.point_times_s[0])
                seen.append((shapes[there].mean(axis=0, dtype=np.float64), span))
    return Corpus(corpus.items, tuple(features))


def _mean_of(
    seen: Sequence[tuple[NDArray[np.float64], float]], seconds: float
) -> tuple[NDArray[np.float32] | None, float]:
    """Mean shape of the newest clips, and how long they are [s]."""
    total, length = np.zeros(2 * N_POINTS), 0.0
    for shape, span in reversed(seen):
        used = min(span, seconds - length)
        if used <= 0:
            break
        total += used * shape
        length += used
    if length == 0:
        return None, 0.0
    return (total / length).astype(np.float32), length


def _order(item: Item) -> bytes:
    """Random, and the same every time.  Names begin with the emotion, so in their order what
    was seen before would say something about what comes."""
    return hashlib.sha256(f"{item.dataset} {item.key}".encode()).digest()
