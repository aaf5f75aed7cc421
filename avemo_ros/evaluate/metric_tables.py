"""All metrics of a model's predictions, and the table of missing modalities and corruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import DataError
from avemo_ros.evaluate.bootstrap import (
    LEAST,
    LEVEL,
    NO_SPREAD,
    ROUNDS,
    TOO_FEW,
    differences,
    enough,
    gaps,
    intervals,
)
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
    coverage_curve,
    cross_scaled,
    likelihood_loss,
    macro_f1,
    macro_f1_all,
    never_true,
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

    Items without an answer count as wrong.  Intervals are over subjects if there are enough of
    them (`bootstrap.LEAST`), else over items (`intervals_over`), and None where these are too
    few, too; None of a metric that is the same whatever is drawn.  Temperatures are fitted on
    the other half of the subjects, of one subject on the other half of the items; `ece_scaled`
    and `nll_scaled` are None where that leaves too few items.  `macro_f1` is over the classes
    that are true, `macro_f1_all` also over those in `never_true`, which were answered so often.

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
    halves, halved = halved_groups(given)
    scaled, temperatures = cross_scaled(log, labels, halves) or (None, None)
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
        "macro_f1_all": macro_f1_all(predicted, labels),
        "never_true": never_true(predicted, labels, given.classes),
        "nll": likelihood_loss(log, labels),
        "nll_scaled": None if scaled is None else likelihood_loss(scaled, labels),
        "ece": calibration_error(shares, labels),
        "ece_scaled": None if scaled is None else calibration_error(scaled.exp(), labels),
        "temperature": None if temperatures is None else list(temperatures),
        "temperature_over": halved,
        "brier": brier_score(shares, labels),
        "intervals": intervals(log, labels, groups, rounds=rounds, seed=seed)
        if enough(over, len(set(groups)), rounds)
        else None,
        "intervals_over": over,
        "intervals_least": LEAST[over],
        "rounds": rounds,
        "recalls": dict(zip(given.classes, found, strict=True)),
        "confusion": confusion(predicted, labels, count).tolist(),
        "by_sex": _by(given, given.sexes),
        "gaps": group_gaps(given, rounds=rounds, seed=seed),
        "by_subject": _by_subject(given),
        "reliability": _bins(given, scaled),
        "coverage_curve": coverage_curve(
            (log if scaled is None else scaled).exp(),
            predicted == labels,
            predicted != NO_PREDICTION,
        ),
    }
    return as_json(metrics)


def halved_groups(given: Predictions) -> tuple[tuple[str, ...], str]:
    """What is halved to fit temperatures: (N,) the subject of each item and 'subjects', or
    where there is one subject only the items themselves and 'items'."""
    subjects = len(set(given.subjects))
    if subjects == 1:
        return given.keys, "items"
    return given.subjects, "items" if subjects == len(given) else "subjects"


def groups_of(given: Predictions) -> tuple[tuple[str, ...], str]:
    """What the bootstrap draws: (N,) the subject of each item and 'subjects', or where these
    are too few, or each has one item, the items themselves and 'items'."""
    groups, over = halved_groups(given)
    if over == "subjects" and not enough(over, len(set(groups))):
        return given.keys, "items"
    return groups, over


def range_text(figures: Mapping[str, Any], key: str, shown: Callable[[float], str]) -> str:
    """The interval of a metric, or why there is none.

    Args:
        figures: as `measure` gives them.
        key: the metric.
        shown: makes text of an end.
    """
    if figures["intervals"] is None:
        return TOO_FEW
    ends = figures["intervals"][key]
    return NO_SPREAD if ends is None else f"{shown(ends[0])} to {shown(ends[1])}"


def ranges_in_words(result: Mapping[str, Any]) -> str:
    """What the intervals are over, or that there are none and what it would take.

    Args:
        result: as `measure` gives it.
    """
    level, people = f"{100 * LEVEL:.0f} %", f"{LEAST['subjects']} subjects"
    items = result["items"]
    if result["intervals"] is None:
        verb = "is" if items == 1 else "are"
        return (
            f"No {level} intervals: {items} item{'' if items == 1 else 's'} {verb} {TOO_FEW}; "
            f"it takes {LEAST['items']} items, or {people}."
        )
    over = result["intervals_over"]
    text = f"Ranges are {level} intervals, bootstrapped over {result[over]} {over}."
    if over == "items" and result["subjects"] < min(items, LEAST["subjects"]):
        text += f" They say nothing of other people: for that it takes {people}."
    return text


def never_true_in_words(result: Mapping[str, Any]) -> str:
    """Of classes that are answered and never true, and the macro F1 with them; '' for none."""
    if not result["never_true"]:
        return ""
    names = ", ".join(f"{name} ({count:g})" for name, count in result["never_true"].items())
    return (
        f"predicted, but never the true class: {names}. These count as wrong. Macro F1 is over "
        f"the classes that are true: {100 * result['macro_f1']:.1f} %, and "
        f"{100 * result['macro_f1_all']:.1f} % with these as well"
    )


def compare_predictions(
    first: Predictions, second: Predictions, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Any]:
    """Paired differences `first` less `second`: value and 95 % interval of each metric, None by
    the same rule as that of the metric itself.

    Args:
        first: of N items.
        second: of the same items in the same order (`predictions.matched`).
        rounds: of the bootstrap.
        seed: of the bootstrap.
    """
    groups, over = groups_of(first)
    found = differences(
        first.log_probabilities,
        second.log_probabilities,
        first.labels,
        groups,
        rounds=rounds,
        seed=seed,
    )
    return as_json(
        {
            name: {
                "value": item.value,
                "interval": item.interval if enough(over, len(set(groups)), rounds) else None,
            }
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


def group_gaps(
    given: Predictions, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """By kind of group ('sex', 'age', ...) and group: how well its people are recognised, and
    how much better or worse than all others whose group of this kind is known.

    UA and its difference have 95 % intervals, drawn over people, None where a group or the
    others are too few (`bootstrap.LEAST`).  Kinds with a single group are left out.

    Args:
        given: the items.
        rounds: of the bootstrap.
        seed: of the bootstrap.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind, names in {"sex": given.sexes, **given.groups}.items():
        known = given.only([name != "" for name in names])
        of = [name for name in names if name]
        if len(set(of)) < 2:
            continue
        found[kind] = {}
        for name in sorted(set(of)):
            inside = [one == name for one in of]
            part, rest = known.only(inside), known.only([not one for one in inside])
            people, others = set(part.subjects), set(rest.subjects)
            # Of data sets where nobody knows who is who, items are not people.
            drawn = not people & others and enough("subjects", len(people), rounds)
            own = gap = None
            if drawn:
                own = intervals(
                    part.log_probabilities, part.labels, part.subjects, rounds=rounds, seed=seed
                )["ua"]
            if drawn and enough("subjects", len(others), rounds):
                gap = gaps(
                    *(known.log_probabilities, known.labels, known.subjects, inside),
                    rounds=rounds,
                    seed=seed,
                )["ua"].interval
            ua = unweighted_recall(part.y_pred, part.labels)
            less = unweighted_recall(rest.y_pred, rest.labels)
            found[kind][name] = {
                "items": len(part),
                "subjects": len(people),
                "ua": ua,
                "interval": own,
                "gap": {"value": ua - less, "interval": gap},
            }
    return found


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
