"""Metrics of a stream: classes, calibration, coverage, valence and arousal, each by part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from avemo_ros.annotations.segments import Segment
from avemo_ros.evaluate.bootstrap import Interval, draws, enough, intervals, percentiles
from avemo_ros.evaluate.metrics import (
    NO_PREDICTION,
    accuracy,
    brier_score,
    calibration_error,
    confusion,
    coverage_curve,
    likelihood_loss,
    macro_f1,
    macro_f1_all,
    never_true,
    recalls,
    reliability,
    unweighted_recall,
)
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.matching import PersonMatcher, covered
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.replay.stream_predictions import StreamPredictions
from avemo_ros.state.estimate import EmotionEstimate

_CLASSIFICATION: Final = ("accuracy", "ua", "macro_f1")
_CLASSES: Final = len(EMOTIONS)
Values = NDArray[np.float64]
USED: Final = ("face", "voice", "both", "none")
"""What an estimate can rest on."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are made: steps follow each other closely, so whole groups are drawn."""

    over: str
    """What the groups are, one of `bootstrap.LEAST`."""
    rounds: int
    """Resamples; 0: no intervals."""

    def can(self, given: StreamPredictions) -> bool:
        """Whether there is enough to draw from."""
        return enough(self.over, len(set(given.groups)), self.rounds)


def classification_metrics(given: StreamPredictions, bootstrap: Bootstrap) -> dict[str, Any]:
    """Accuracy, recall and confusion over all questions; one without an answer is wrong.

    Returns:
        `items, unanswered, accuracy, ua, macro_f1, macro_f1_all, never_true, recalls, truth,
        confusion, intervals`; None for what is undefined: no intervals where the groups are too
        few, and none of a metric that is the same whatever is drawn.  `macro_f1` is over the
        classes that are true, `macro_f1_all` also over those in `never_true`, which were
        predicted so often.
    """
    predicted, truth, weights = given.y_pred, given.y_true, given.weights
    counts = torch.bincount(truth, weights, _CLASSES).tolist()
    found: dict[str, Any] = {
        "items": given.count(),
        "unanswered": given.count(predicted == NO_PREDICTION),
        **brief_metrics(given),
        "macro_f1_all": macro_f1_all(predicted, truth, weights) if len(given) else None,
        "never_true": never_true(predicted, truth, EMOTIONS, weights),
        "recalls": dict(
            zip(EMOTIONS, recalls(predicted, truth, _CLASSES, weights).tolist(), strict=True)
        ),
        "truth": dict(zip(EMOTIONS, counts, strict=True)),
        "confusion": confusion(predicted, truth, _CLASSES, weights).tolist(),
        "intervals": None,
    }
    if bootstrap.can(given):
        found["intervals"] = _intervals(given, bootstrap, _CLASSIFICATION)
    return found


def brief_metrics(given: StreamPredictions) -> dict[str, float | None]:
    """`accuracy`, `ua` and `macro_f1`; None where there is nothing to judge."""
    if len(given) == 0:
        return dict.fromkeys(_CLASSIFICATION)
    told = (given.y_pred, given.y_true, given.weights)
    return {
        "accuracy": accuracy(*told),
        "ua": unweighted_recall(*told),
        "macro_f1": macro_f1(*told),
    }


def calibration(given: StreamPredictions, bootstrap: Bootstrap) -> dict[str, Any]:
    """How far the probabilities can be believed, where there are any.

    Returns:
        `items, ece, nll, brier, bins, intervals`; None for what cannot be answered.
    """
    answered = given.only(given.has_prediction)
    found: dict[str, Any] = dict.fromkeys(("ece", "nll", "brier", "bins", "intervals"))
    if len(answered):
        shares, weights = answered.log_probabilities.exp(), answered.weights
        bins = reliability(shares, answered.y_true, weights)
        found["ece"] = calibration_error(shares, answered.y_true, weights)
        found["nll"] = likelihood_loss(answered.log_probabilities, answered.y_true, weights)
        found["brier"] = brier_score(shares, answered.y_true, weights)
        found["bins"] = {
            "counts": bins.counts,
            "confidence": bins.confidence,
            "accuracy": bins.accuracy,
        }
        if bootstrap.can(answered):
            found["intervals"] = _intervals(answered, bootstrap, ("ece", "nll"))
    return {"items": answered.count(), **found}


def coverage(
    given: StreamPredictions, statuses: Sequence[str], bootstrap: Bootstrap
) -> dict[str, Any]:
    """How often something is emitted, how often rightly, and why nothing is elsewhere.

    Args:
        given: N questions.
        statuses: (N,) of each.
        bootstrap: of the intervals.

    Returns:
        `hops, claimed, share, accuracy, intervals, why_not, curve`; the curve tells coverage
        and accuracy if all answers were emitted whose confidence is at least `threshold`.
    """
    claims = given.y_emitted >= 0
    right = (given.y_emitted == given.y_true) & claims
    count, claimed = given.count(), given.count(claims)
    silent: dict[str, list[int]] = {}
    for place, (status, claim) in enumerate(zip(statuses, claims.tolist(), strict=True)):
        if not claim:
            silent.setdefault(status, []).append(place)
    return {
        "hops": count,
        "claimed": claimed,
        "share": claimed / count if count else None,
        "accuracy": _sum(given, right) / claimed if claimed else None,
        "intervals": _coverage_intervals(given, bootstrap) if bootstrap.can(given) else None,
        "why_not": {name: given.at(silent[name]).count() for name in sorted(silent)},
        "curve": coverage_curve(
            given.log_probabilities.exp(),
            given.y_pred == given.y_true,
            given.has_prediction,
            given.shares,
        ),
    }


def _sum(given: StreamPredictions, keep: torch.Tensor) -> float:
    """How far the predictions with True count together."""
    return float(given.shares[keep].sum())


def _intervals(
    given: StreamPredictions, bootstrap: Bootstrap, names: Sequence[str]
) -> dict[str, Interval]:
    found = intervals(
        given.log_probabilities,
        given.y_true,
        given.groups,
        rounds=bootstrap.rounds,
        weights=given.weights,
    )
    return {name: found[name] for name in names}


def _coverage_intervals(given: StreamPredictions, bootstrap: Bootstrap) -> dict[str, Any]:
    names, members = np.unique(np.asarray(given.groups), return_inverse=True)
    claims = given.y_emitted.numpy() >= 0
    right = claims & (given.y_emitted == given.y_true).numpy()
    shares = given.shares.numpy()
    sums = np.stack(
        [
            np.bincount(members, shares * kept, len(names))
            for kept in (np.ones(len(given)), claims, right)
        ],
        axis=1,
    )
    drawn = np.concatenate([counts @ sums for counts in draws(len(names), bootstrap.rounds)])
    steps, claimed, correct = drawn.T
    some = claimed > 0
    return {
        "share": percentiles(claimed / steps),
        "accuracy": percentiles(correct[some] / claimed[some]) if some.any() else None,
    }


def concordance(first: Values, second: Values) -> float:
    """Concordance correlation coefficient, CCC (Lin 1989, Biometrics 45).

    2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), with variances over n.

    Args:
        first: (N,) values.
        second: (N,) values of the same items.

    Returns:
        -1 to 1; NaN without items or where all values are the same.
    """
    if len(first) == 0:
        return float("nan")
    apart = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    common = ((first - first.mean()) * (second - second.mean())).mean()
    return float(2 * common / apart) if apart > 0 else float("nan")


def valence_arousal_metrics(
    recordings: Sequence[EvaluatedRecording], adjudicated: str = ""
) -> dict[str, Any]:
    """Valence and arousal at every step where they are labelled and estimated.

    Of several annotators the mean is true.

    Args:
        recordings: with their labels.
        adjudicated: annotator whose values are true wherever there are any.

    Returns:
        `hops` that are labelled, `valid` those of them at which the stream gives values, and
        for `valence` and `arousal` each `items, ccc, rmse`, None without any.
    """
    labelled = 0
    pairs: dict[str, list[tuple[float, float]]] = {"valence": [], "arousal": []}
    valid = 0
    for recording in recordings:
        matcher = PersonMatcher(recording)
        for estimate, segments in _labelled(recording, matcher):
            labelled += 1
            if estimate is None or not estimate.valence_arousal_valid:
                continue
            valid += 1
            for name, found in pairs.items():
                values = [(one.annotator, getattr(one, name)) for one in segments]
                given = [(who, value) for who, value in values if value is not None]
                final = [value for who, value in given if adjudicated and who == adjudicated]
                true = final or [value for _, value in given]
                if true:
                    found.append((float(np.mean(true)), getattr(estimate, name)))
    return {
        "hops": labelled,
        "valid": valid,
        **{name: _concordance_metrics(found) for name, found in pairs.items()},
    }


def _labelled(
    recording: EvaluatedRecording, matcher: PersonMatcher
) -> list[tuple[EmotionEstimate | None, list[Segment]]]:
    """What was predicted at every step with a label of valence or arousal, and the labels."""
    found: dict[tuple[str, int], tuple[EmotionEstimate | None, list[Segment]]] = {}
    tracks: dict[tuple[str, bool], list[Segment]] = {}
    for segment in recording.segments:
        judged = segment.valence is not None or segment.arousal is not None
        if judged and matcher.appears(segment):
            key = (segment.annotator, bool(segment.label))
            tracks.setdefault(key, []).append(segment)
    steps = recording.replayed.steps
    for segments in tracks.values():
        for index, place in covered(steps, segments):
            segment = segments[place]
            step = (segment.person, index)
            if step not in found:
                found[step] = (matcher.find(segment, steps[index]), [])
            found[step][1].append(segment)
    return [found[step] for step in sorted(found)]


def _concordance_metrics(pairs: Sequence[tuple[float, float]]) -> dict[str, Any] | None:
    if not pairs:
        return None
    true, predicted = np.array(pairs).T
    return {
        "items": len(pairs),
        "ccc": concordance(true, predicted),
        "rmse": float(np.sqrt(((true - predicted) ** 2).mean())),
    }


def modality_used(estimate: EmotionEstimate | None) -> str:
    """What a distribution rests on, one of USED."""
    if estimate is None or estimate.face_share == estimate.voice_share == 0:
        return "none"
    if estimate.face_share > 0 and estimate.voice_share > 0:
        return "both"
    return "face" if estimate.face_share > 0 else "voice"


def by_name(
    frames: StreamPredictions, names: Sequence[str], all_names: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Metrics of the steps of each name.

    Args:
        frames: one question a step.
        names: (N,) of each step.
        all_names: those to tell of, in order; default: all that occur.

    Returns:
        For each `hops, share, claimed, accuracy, ua, macro_f1`.
    """
    parts: dict[str, dict[str, Any]] = {}
    places = _places(names)
    for name in all_names or sorted(places):
        part = frames.at(places.get(name, []))
        parts[name] = {
            "hops": part.count(),
            "share": part.count() / frames.count() if len(frames) else None,
            "claimed": part.count(part.y_emitted >= 0),
            **brief_metrics(part),
        }
    return parts


def by_part(
    frames: StreamPredictions,
    segments: StreamPredictions,
    names_of_steps: Sequence[str],
    names_of_segments: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Metrics of each recording or person.

    Args:
        frames: one question a step.
        segments: one question a segment.
        names_of_steps: (N,) of each step.
        names_of_segments: (M,) of each segment.

    Returns:
        For each `hops, segments, accuracy, ua, macro_f1, segment_accuracy, coverage`.
    """
    parts: dict[str, dict[str, Any]] = {}
    of_frames, of_wholes = _places(names_of_steps), _places(names_of_segments)
    for name in sorted(of_frames):
        steps, whole = frames.at(of_frames[name]), segments.at(of_wholes[name])
        parts[name] = {
            "hops": steps.count(),
            "segments": whole.count(),
            **brief_metrics(steps),
            "segment_accuracy": brief_metrics(whole)["accuracy"],
            "coverage": steps.count(steps.y_emitted >= 0) / steps.count(),
        }
    return parts


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    """Where each name is."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found
