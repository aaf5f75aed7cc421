"""All figures of the protocol for one set of predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from avemo_ros.errors import DataError
from avemo_ros.evaluate.bootstrap import ROUNDS, differences, intervals
from avemo_ros.evaluate.calibration import (
    brier_score,
    calibration_error,
    cross_scaled,
    likelihood_loss,
    reliability,
)
from avemo_ros.evaluate.metrics import (
    NO_ANSWER,
    accuracy,
    confusion,
    macro_f1,
    recalls,
    unweighted_recall,
)
from avemo_ros.evaluate.predictions import Predictions

_DIGITS: Final = 6


def measure(given: Predictions, *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any]:
    """Figures with names as in the JSON report; rates are shares, 0 to 1.

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
        raise DataError("there are no items to judge")
    log, labels, said = given.log_probabilities, given.labels, given.answers
    count = len(given.classes)
    shares = log.exp()
    groups, over = groups_of(given)
    scaled, temperatures = cross_scaled(log, labels, groups) or (None, None)
    found = recalls(said, labels, count).tolist()
    figures: dict[str, Any] = {
        "items": len(given),
        "subjects": len(set(given.subjects)),
        "classes": list(given.classes),
        "unanswered": int((said == NO_ANSWER).sum()),
        "accuracy": accuracy(said, labels),
        "ua": unweighted_recall(said, labels),
        "macro_f1": macro_f1(said, labels),
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
        "confusion": confusion(said, labels, count).tolist(),
        "by_sex": _by(given, given.sexes),
        "by_subject": _by_subject(given),
        "reliability": _bins(given, scaled),
    }
    return as_json(figures)


def groups_of(given: Predictions) -> tuple[tuple[str, ...], str]:
    """What the bootstrap draws: (N,) the subject of each item and 'subjects', or where there
    is one subject only the items themselves and 'items'."""
    subjects = len(set(given.subjects))
    if subjects == 1:
        return given.keys, "items"
    return given.subjects, "items" if subjects == len(given) else "subjects"


def compare(
    first: Predictions, second: Predictions, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Any]:
    """Paired differences `first` less `second`: value and 95 % interval of each figure.

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
            "accuracy": accuracy(part.answers, part.labels),
            "ua": unweighted_recall(part.answers, part.labels),
            "macro_f1": macro_f1(part.answers, part.labels),
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
            "accuracy": accuracy(part.answers, part.labels),
            "ua": unweighted_recall(part.answers, part.labels),
        }
    return groups


def _by_subject(given: Predictions) -> dict[str, Any]:
    """Figures of each subject, where subjects have more than one item each."""
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
