"""All metrics of a model's predictions, and the table of missing modalities and corruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import DataError
from avemo_ros.evaluate.bootstrap import ROUNDS, differences, intervals
from avemo_ros.evaluate.corruption import (
    BOTH,
    FACE_ONLY,
    ON_FACE,
    ON_VOICE,
    VOICE_ONLY,
    corrupted,
    without_face,
    without_voice,
)
from avemo_ros.evaluate.metrics import (
    NO_PREDICTION,
    accuracy,
    brier_score,
    calibration_error,
    confusion,
    cross_scaled,
    likelihood_loss,
    macro_f1,
    recalls,
    reliability,
    unweighted_recall,
)
from avemo_ros.evaluate.predictions import Predictions

_DIGITS: Final = 6
PredictItems = Callable[[Corpus], Predictions]
"""What the model says of every item of a corpus."""
CLEAN = "as it is"


def measure(given: Predictions, *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any]:
    """Metrics with names as in the JSON report; rates are shares, 0 to 1.

    Items without an answer count as wrong.  Intervals are over subjects, and temperatures are
    fitted on the other half of the subjects; over items where there is one subject only
    (`intervals_over`).  `ece_scaled` and `nll_scaled` are None where that leaves too few items.

    Args:
        given: at least one item.
        rounds: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: there are no items.
    """
    if len(given) == 0:
        raise DataError("there are no items to evaluate")
    log, labels, predicted = given.log_probabilities, given.labels, given.y_pred
    count = len(given.classes)
    shares = log.exp()
    groups, over = groups_of(given)
    scaled, temperatures = cross_scaled(log, labels, groups) or (None, None)
    found = recalls(predicted, labels, count).tolist()
    metrics: dict[str, Any] = {
        "items": len(given),
        "subjects": len(set(given.subjects)),
        "classes": list(given.classes),
        "unanswered": (unanswered := int((predicted == NO_PREDICTION).sum())),
        "coverage": 1 - unanswered / len(given),
        "accuracy": accuracy(predicted, labels),
        "ua": unweighted_recall(predicted, labels),
        "macro_f1": macro_f1(predicted, labels),
        "nll": likelihood_loss(log, labels),
        "nll_scaled": None if scaled is None else likelihood_loss(scaled, labels),
        "ece": calibration_error(shares, labels),
        "ece_scaled": None if scaled is None else calibration_error(scaled.exp(), labels),
        "temperature": None if temperatures is None else list(temperatures),
        "brier": brier_score(shares, labels),
        "intervals": intervals(log, labels, groups, rounds=rounds, seed=seed),
        "intervals_over": over,
        "rounds": rounds,
        "recalls": dict(zip(given.classes, found, strict=True)),
        "confusion": confusion(predicted, labels, count).tolist(),
        "by_sex": _by(given, given.sexes),
        "by_subject": _by_subject(given),
        "reliability": _bins(given, scaled),
    }
    return as_json(metrics)


def groups_of(given: Predictions) -> tuple[tuple[str, ...], str]:
    """What the bootstrap draws: (N,) the subject of each item and 'subjects', or where there
    is one subject only the items themselves and 'items'."""
    subjects = len(set(given.subjects))
    if subjects == 1:
        return given.keys, "items"
    return given.subjects, "items" if subjects == len(given) else "subjects"


def compare_predictions(
    first: Predictions, second: Predictions, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Any]:
    """Paired differences `first` less `second`: value and 95 % interval of each metric.

    Args:
        first: of N items.
        second: of the same items in the same order (`predictions.matched`).
        rounds: of the bootstrap.
        seed: of the bootstrap.
    """
    found = differences(
        first.log_probabilities,
        second.log_probabilities,
        first.labels,
        groups_of(first)[0],
        rounds=rounds,
        seed=seed,
    )
    return as_json(
        {
            name: {"value": item.value, "interval": (item.low, item.high)}
            for name, item in found.items()
        }
    )


def by_fold(folds: Sequence[Predictions]) -> dict[str, Any]:
    """Accuracy, UA and macro-F1 of each fold, their mean and standard deviation (n - 1)."""
    each = [
        {
            "items": len(part),
            "accuracy": accuracy(part.y_pred, part.labels),
            "ua": unweighted_recall(part.y_pred, part.labels),
            "macro_f1": macro_f1(part.y_pred, part.labels),
        }
        for part in folds
    ]
    summary: dict[str, Any] = {"each": each}
    for name in ("accuracy", "ua", "macro_f1"):
        values = torch.tensor([fold[name] for fold in each], dtype=torch.float64)
        spread = float(values.std()) if len(values) > 1 else None
        summary[name] = {"mean": float(values.mean()), "deviation": spread}
    return as_json(summary)


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Rounded to six digits, NaN as None: what JSON can hold."""
    return {name: _plain(item) for name, item in value.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return as_json(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value


def _by(given: Predictions, names: Sequence[str]) -> dict[str, Any]:
    """Items, accuracy and UA of each group; '' is no group."""
    groups: dict[str, Any] = {}
    for name in sorted(set(names) - {""}):
        part = given.only([one == name for one in names])
        groups[name] = {
            "items": len(part),
            "accuracy": accuracy(part.y_pred, part.labels),
            "ua": unweighted_recall(part.y_pred, part.labels),
        }
    return groups


def _by_subject(given: Predictions) -> dict[str, Any]:
    """Metrics of each subject, where subjects have more than one item each."""
    if len(set(given.subjects)) > len(given) // 2:
        return {}
    return _by(given, given.subjects)


def _bins(given: Predictions, scaled: torch.Tensor | None) -> dict[str, Any]:
    """Reliability before and after scaling."""
    tables = {"before": given.log_probabilities, "after": scaled}
    bins = {}
    for name, log in tables.items():
        if log is not None:
            found = reliability(log.exp(), given.labels)
            bins[name] = {
                "counts": found.counts,
                "confidence": found.confidence,
                "accuracy": found.accuracy,
            }
    return bins


def single_modalities(judge: PredictItems, corpus: Corpus) -> dict[str, Predictions]:
    """What a model of two modalities says given the face only and given the voice only."""
    return {
        "face": judge(corrupted(corpus, without_voice)),
        "voice": judge(corrupted(corpus, without_face)),
    }


def rows_of_two(
    judge: PredictItems,
    clean: Predictions,
    singles: Mapping[str, Predictions],
    spoilt: Mapping[str, Corpus],
    rounds: int = ROUNDS,
) -> list[dict[str, Any]]:
    """Rows for a model of two modalities: given both, the face alone, the voice alone.

    Args:
        judge: the model.
        clean: what it says given both, as they are.
        singles: what it says given one of them, see `alone`.
        spoilt: the corpus under each corruption, by its name.
        rounds: of the bootstrap.
    """
    # With a modality missing, the single model of the other one has the same input.
    rows = [
        row_of_two(BOTH, clean, singles, rounds),
        row_of_two(VOICE_ONLY, singles["voice"], {"voice": singles["voice"]}, rounds),
        row_of_two(FACE_ONLY, singles["face"], {"face": singles["face"]}, rounds),
    ]
    for name, corpus in spoilt.items():
        # The modality that the corruption leaves as it is was judged already.
        part, hidden = ("face", without_voice) if name in ON_FACE else ("voice", without_face)
        hit = {**singles, part: judge(corrupted(corpus, hidden))}
        rows.append(row_of_two(name, judge(corpus), hit, rounds))
    return rows


def row_of_two(
    condition: str, fused: Predictions, singles: Mapping[str, Predictions], rounds: int
) -> dict[str, Any]:
    """One condition: metrics of each, and fused less the better single by UA."""
    better = max(
        singles, key=lambda name: unweighted_recall(singles[name].y_pred, fused.labels)
    )
    return {
        "condition": condition,
        "fused": _shown_metrics(fused, rounds),
        **{name: _shown_metrics(given, rounds) for name, given in singles.items()},
        "better_single": better,
        "difference": compare_predictions(fused, singles[better], rounds=rounds),
    }


def rows_of_one(
    judge: PredictItems,
    corpus: Corpus,
    spoilt: Mapping[str, Corpus],
    part: str,
    rounds: int = ROUNDS,
) -> list[dict[str, Any]]:
    """Rows for a model of one modality, under the corruptions that act on it.

    Args:
        judge: the model.
        corpus: as it is.
        spoilt: under each corruption, by its name.
        part: 'face' or 'voice'.
        rounds: of the bootstrap.
    """
    acting = ON_FACE if part == "face" else ON_VOICE
    given: Sequence[tuple[str, Corpus]] = [
        (CLEAN, corpus),
        *((name, other) for name, other in spoilt.items() if name in acting),
    ]
    return [
        {"condition": name, part: _shown_metrics(judge(other), rounds)} for name, other in given
    ]


def only_read(given: Features, reads: frozenset[str]) -> Features:
    """Only what is read of an item."""
    return Features(
        faces=given.faces if "faces" in reads else None,
        face_times_s=given.face_times_s if "faces" in reads else None,
        landmarks=given.landmarks if "landmarks" in reads else None,
        spectrogram=given.spectrogram if "speech" in reads else None,
        units=given.units if "units" in reads else None,
        points=given.points if "points" in reads else None,
        point_times_s=given.point_times_s if "points" in reads else None,
        neutral=given.neutral if "points" in reads else None,
        neutral_weight=given.neutral_weight if "points" in reads else 0.0,
    )


def _shown_metrics(given: Predictions, rounds: int) -> dict[str, Any]:
    found = measure(given, rounds=rounds)
    names = ("accuracy", "ua", "macro_f1", "ece", "nll", "unanswered", "intervals", "recalls")
    return {name: found[name] for name in names}
