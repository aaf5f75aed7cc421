"""How often the answers are right, and how far that can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from avemo_ros.evaluate.bootstrap import draws, intervals
from avemo_ros.evaluate.calibration import (
    brier_score,
    calibration_error,
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
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.answers import Answers

LEVEL: Final = 0.95
LEAST: Final = {"persons": 5, "bags": 10, "segments": 10}
"""Of fewer groups there is no interval, as it would be far too narrow.  A segment is right or
wrong, so of a few all are easily right, and drawing among them shows no spread: where 80 % are
right, an interval "of 95 %" over 3 segments holds that in half of all cases, over 5 in two of
three, over 10 in nine of ten.  A person's share is a mean of many answers: over 5 persons it is
five of six.  A bag may hold a single segment, so of bags it takes as many as of those."""
THRESHOLDS: Final = tuple(step / 20 for step in range(20))
"""Confidences from which on the curve of accuracy and coverage counts an answer."""
_WIDTH: Final = 1e-9
"""Intervals that are no wider have no width but that of rounding."""
_RATES: Final = ("accuracy", "ua", "macro_f1")
_CLASSES: Final = len(EMOTIONS)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are made: hops follow each other closely, so whole groups are drawn."""

    over: str
    """What the groups are, one of LEAST."""
    rounds: int
    """Resamples; 0: no intervals."""

    def can(self, given: Answers) -> bool:
        """Whether there is enough to draw from."""
        return self.rounds > 0 and len(set(given.groups)) >= LEAST[self.over]


def rates(given: Answers, bootstrap: Bootstrap) -> dict[str, Any]:
    """Accuracy, recall and confusion over all questions; one without an answer is wrong.

    Returns:
        `items, unanswered, accuracy, ua, macro_f1, recalls, truth, confusion, intervals`; None
        for what cannot be told: no intervals where the groups are too few, and none of a figure
        that is the same whatever is drawn.
    """
    said, truth = given.said, given.y_true
    counts = truth.bincount(minlength=_CLASSES).tolist()
    found: dict[str, Any] = {
        "items": len(given),
        "unanswered": int((said == NO_ANSWER).sum()),
        **short_rates(given),
        "recalls": dict(zip(EMOTIONS, recalls(said, truth, _CLASSES).tolist(), strict=True)),
        "truth": dict(zip(EMOTIONS, counts, strict=True)),
        "confusion": confusion(said, truth, _CLASSES).tolist(),
        "intervals": None,
    }
    if bootstrap.can(given):
        found["intervals"] = _intervals(given, bootstrap, _RATES)
    return found


def short_rates(given: Answers) -> dict[str, float | None]:
    """`accuracy`, `ua` and `macro_f1`; None where there is nothing to judge."""
    if len(given) == 0:
        return dict.fromkeys(_RATES)
    said, truth = given.said, given.y_true
    return {
        "accuracy": accuracy(said, truth),
        "ua": unweighted_recall(said, truth),
        "macro_f1": macro_f1(said, truth),
    }


def calibration(given: Answers, bootstrap: Bootstrap) -> dict[str, Any]:
    """How far the probabilities can be believed, where there are any.

    Returns:
        `items, ece, nll, brier, bins, intervals`; None for what cannot be told.
    """
    told = given.only(given.told)
    found: dict[str, Any] = dict.fromkeys(("ece", "nll", "brier", "bins", "intervals"))
    if len(told):
        shares = told.log_probabilities.exp()
        bins = reliability(shares, told.y_true)
        found["ece"] = calibration_error(shares, told.y_true)
        found["nll"] = likelihood_loss(told.log_probabilities, told.y_true)
        found["brier"] = brier_score(shares, told.y_true)
        found["bins"] = {
            "counts": bins.counts,
            "confidence": bins.confidence,
            "accuracy": bins.accuracy,
        }
        if bootstrap.can(told):
            found["intervals"] = _intervals(told, bootstrap, ("ece", "nll"))
    return {"items": len(told), **found}


def coverage(given: Answers, statuses: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """How often something is claimed, how often rightly, and why nothing is elsewhere.

    Args:
        given: N questions.
        statuses: (N,) of each.
        bootstrap: of the intervals.

    Returns:
        `hops, claimed, share, accuracy, intervals, why_not, curve`; the curve tells coverage
        and accuracy if all answers were claimed whose confidence is at least `threshold`.
    """
    claims = given.claimed >= 0
    right = (given.claimed == given.y_true) & claims
    count, claimed = len(given), int(claims.sum())
    silent = [
        status for status, claim in zip(statuses, claims.tolist(), strict=True) if not claim
    ]
    return {
        "hops": count,
        "claimed": claimed,
        "share": claimed / count if count else None,
        "accuracy": int(right.sum()) / claimed if claimed else None,
        "intervals": _coverage_intervals(given, bootstrap) if bootstrap.can(given) else None,
        "why_not": {name: silent.count(name) for name in sorted(set(silent))},
        "curve": _curve(given),
    }


def _curve(given: Answers) -> list[dict[str, float | None]]:
    confidence = given.log_probabilities.exp().amax(1)
    right = given.said == given.y_true
    points = []
    for threshold in THRESHOLDS:
        kept = given.told & (confidence >= threshold)
        count = int(kept.sum())
        points.append(
            {
                "threshold": threshold,
                "coverage": count / len(given) if len(given) else None,
                "accuracy": int((right & kept).sum()) / count if count else None,
            }
        )
    return points


def _intervals(
    given: Answers, bootstrap: Bootstrap, names: Sequence[str]
) -> dict[str, tuple[float, float] | None]:
    found = intervals(
        given.log_probabilities, given.y_true, given.groups, rounds=bootstrap.rounds
    )
    return {name: _with_spread(*found[name]) for name in names}


def _coverage_intervals(given: Answers, bootstrap: Bootstrap) -> dict[str, Any]:
    names, members = np.unique(np.asarray(given.groups), return_inverse=True)
    claims = given.claimed.numpy() >= 0
    right = claims & (given.claimed == given.y_true).numpy()
    sums = np.stack(
        [
            np.bincount(members, weights, len(names))
            for weights in (np.ones(len(given)), claims, right)
        ],
        axis=1,
    )
    drawn = np.concatenate([counts @ sums for counts in draws(len(names), bootstrap.rounds)])
    hops, claimed, correct = drawn.T
    some = claimed > 0
    return {
        "share": percentiles(claimed / hops),
        "accuracy": percentiles(correct[some] / claimed[some]) if some.any() else None,
    }


def percentiles(values: np.ndarray[Any, Any]) -> tuple[float, float] | None:
    """The interval of what was drawn; None without any width."""
    low, high = np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return _with_spread(float(low), float(high))


def _with_spread(low: float, high: float) -> tuple[float, float] | None:
    """None without any width: that every draw gives the same does not make a figure certain."""
    return (low, high) if high - low > _WIDTH else None
