"""From a data set and a model to all metrics."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from tqdm import tqdm

from avemo_ros import __version__
from avemo_ros.data.features import Corpus
from avemo_ros.data.registry import find_dataset
from avemo_ros.errors import ConfigError
from avemo_ros.evaluate.corruption import ON_FACE, ON_FEATURES, corrupt_clips, corrupted
from avemo_ros.evaluate.dataset_request import (
    FACES,
    PAIRS,
    POINTS,
    SPEECH,
    UNITS,
    VISUAL,
    DatasetRequest,
    asked_modality,
    missing_keys,
    modality_of,
    narrowed_modality,
    reads_of,
)
from avemo_ros.evaluate.evaluation_data import (
    EvaluationData,
    data_of_dataset,
    data_of_pairs,
    leave_out,
)
from avemo_ros.evaluate.metric_tables import (
    as_json,
    by_fold,
    compare_predictions,
    measure,
    only_read,
    row_of_two,
    rows_of_one,
    rows_of_two,
    single_modalities,
)
from avemo_ros.evaluate.opened_models import (
    FoldClassifier,
    OpenedModel,
    ms_per_item,
    open_folds,
    open_model,
)
from avemo_ros.evaluate.predictions import (
    Predictions,
    judged_classes,
    match_predictions,
    predict_items,
)
from avemo_ros.zoo.classical import ReadingOptions
from avemo_ros.zoo.classifier import Classifier

COUNTED: Final = "items that the model cannot read count as wrong"
LEFT_OUT: Final = "items that lack what the model reads are left out"


@dataclass(frozen=True, slots=True, eq=False)
class DatasetEvaluation:
    """What came of it."""

    result: dict[str, Any]
    """As JSON has it, without the command."""
    predictions: Predictions


def evaluate_dataset(request: DatasetRequest) -> DatasetEvaluation:
    """Judge a model on a data set.

    Raises:
        ConfigError: something is asked for that is not allowed.
        DataError: the data set is missing or has nothing of what is asked for; or the model
            was trained on it.
        WeightsError: a model is missing or damaged.
    """
    modality = asked_modality(request)
    opener = open_folds if request.folds else open_model
    reading = ReadingOptions(request.cache, max(1, request.workers), quiet=not request.progress)
    names = [request.model, *request.others]
    models = [opener(name, modality, reading, request.input_length) for name in names]
    modality = narrowed_modality(request, modality, models[0])
    wanted = [reads_of(model, modality) for model in models]
    data = data_of_pairs(request, models) if request.dataset == PAIRS else None
    if data is None:
        data = data_of_dataset(request, modality, models, wanted)
    if request.skip_missing:
        leave_out(data)
    return _evaluate(request, models, wanted, data)


def _evaluate(
    request: DatasetRequest,
    models: Sequence[OpenedModel],
    wanted: Sequence[frozenset[str]],
    data: EvaluationData,
) -> DatasetEvaluation:
    model, reads, corpus = models[0], wanted[0], data.corpus
    seen = _check_seen(request, models, data)
    classes = judged_classes(request.classes, model.classifier.classes, corpus.items)

    known = find_dataset(request.dataset).classes if request.known_classes else ()

    def answers(classifier: Classifier, given: Corpus, classes: Sequence[str]) -> Predictions:
        said = predict_items(classifier, given, classes, progress=request.progress)
        return said.among(known) if known else said

    def judge(given: Corpus) -> Predictions:
        narrowed = Corpus(given.items, tuple(only_read(one, reads) for one in given.features))
        return answers(model.classifier, narrowed, classes)

    found = judge(corpus)
    result = measure(found, rounds=request.rounds, seed=request.seed)
    two = SPEECH in reads and reads & VISUAL
    singles = single_modalities(judge, corpus) if two else {}
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
        spoilt = _spoilt(request, model, data, reads)
        if singles:
            rows = rows_of_two(judge, found, singles, spoilt, request.rounds)
        else:
            part = "voice" if SPEECH in reads else "face"
            rows = rows_of_one(judge, corpus, spoilt, part, request.rounds)
        result["corruptions"] = {"data": data.title, "rows": rows}
    result["difference"] = {}
    for other, other_reads in zip(models[1:], wanted[1:], strict=True):
        narrowed = Corpus(
            corpus.items, tuple(only_read(one, other_reads) for one in corpus.features)
        )
        their_classes = judged_classes(request.classes, other.classifier.classes, corpus.items)
        theirs = answers(other.classifier, narrowed, their_classes)
        name = _distinct(other, result["difference"])
        result["difference"][name] = _difference(found, theirs, request)
    no_face, no_voice = missing_keys(corpus, reads)
    timed = Corpus(corpus.items, tuple(only_read(one, reads) for one in corpus.features))
    took = [part.ms_prepare for part in data.collected]
    result |= {
        "model": model.facts,
        "dataset": request.dataset,
        "title": data.title,
        "split": data.split,
        "modality": modality_of(reads),
        "seen": seen,
        "missing": {
            "treatment": LEFT_OUT if request.skip_missing else COUNTED,
            "unreadable": [key for part in data.collected for key in part.unreadable],
            "damaged": [key for part in data.collected for key in part.damaged],
            "no_face": no_face,
            "no_voice": no_voice,
        },
        "ms_per_item": round(ms_per_item(model.classifier, timed), 3),
        "ms_prepare": _sum(took),
        "notes": [
            *data.notes,
            *(note for part in data.collected for note in part.notes),
            *_seen_notes(result, seen),
            *([f"answers are among {', '.join(known)}"] if known else ()),
        ],
        "versions": {
            "avemo_ros": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    return DatasetEvaluation(as_json(result), found)


def _difference(
    ours: Predictions, theirs: Predictions, request: DatasetRequest
) -> dict[str, Any]:
    """Ours less theirs, in the classes that both know."""
    if len(theirs.classes) < len(ours.classes):
        # They do not tell calm from neutral, so neither counts here.
        ours, theirs = match_predictions(theirs, ours), theirs
    else:
        theirs = match_predictions(ours, theirs)
    found = compare_predictions(ours, theirs, rounds=request.rounds, seed=request.seed)
    metrics = measure(theirs, rounds=request.rounds, seed=request.seed)
    kept = ("accuracy", "ua", "macro_f1", "ece", "nll", "intervals")
    return {
        **found,
        "classes": len(ours.classes),
        "other": {name: metrics[name] for name in kept},
    }


def _check_seen(
    request: DatasetRequest, models: Sequence[OpenedModel], data: EvaluationData
) -> bool | None:
    """Whether the first model has seen items; refuses what is not allowed."""
    items = [*(data.voices or data.corpus.items), *data.faces]
    seen = []
    for model in models:
        if isinstance(model.classifier, FoldClassifier) and not request.allow_seen:
            own = data.voices or data.corpus.items
            model.classifier.refuse_seen(own, data.faces)
        seen.append(model.check(items, allow_seen=request.allow_seen))
    return seen[0]


def _spoilt(
    request: DatasetRequest, model: OpenedModel, data: EvaluationData, reads: frozenset[str]
) -> dict[str, Corpus]:
    """The corpus under each corruption that acts on what is read."""
    if "functionals_svm" in model.kinds:
        raise ConfigError(
            "--corruptions",
            model.classifier.name,
            "models that read crops and spectrograms; this one reads files itself",
        )
    if reads <= {UNITS, POINTS}:
        name = modality_of(reads)
        raise ConfigError("--corruptions", name, "models that read faces or sound")
    if data.faces:
        names = tqdm(
            ON_FEATURES.items(),
            desc="corruptions",
            leave=False,
            disable=None if request.progress else True,
        )
        spoilt = {name: corrupted(data.corpus, corrupt) for name, corrupt in names}
    else:
        spoilt = corrupt_clips(
            data.corpus, request.prepare, request.workers, progress=request.progress
        )
    return {
        name: corpus
        for name, corpus in spoilt.items()
        if (name in ON_FACE and FACES in reads) or (name not in ON_FACE and SPEECH in reads)
    }


def _distinct(model: OpenedModel, taken: Mapping[str, Any]) -> str:
    name = model.classifier.name
    number = 2
    while name in taken:
        name = f"{model.classifier.name} ({number})"
        number += 1
    return name


def _seen_notes(result: Mapping[str, Any], seen: bool | None) -> list[str]:
    """What the reader must know of the metrics."""
    notes = []
    if seen:
        notes.append(
            "the model has seen some of these items in training: these metrics are not honest"
        )
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
