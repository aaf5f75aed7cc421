"""Intervals of the metrics by drawing subjects again and again (Efron 1979).

Items of one person are alike, so persons are drawn and not items.  Every metric is a function
of sums over items, and these are added up for each subject beforehand: a thousand rounds are
one product of matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avemo_ros.evaluate.metrics import BINS, bin_of, predicted_classes

ROUNDS: Final = 2000
LEVEL: Final = 0.95
LEAST: Final = {"persons": 5, "subjects": 5, "bags": 10, "segments": 10, "items": 10}
"""Of fewer groups there is no interval, as it would be far too narrow.  An item or a segment
is right or wrong, so of a few all are easily right, and drawing among them shows no spread:
where 80 % are right, an interval "of 95 %" over 3 segments holds that in half of all cases,
over 5 in two of three, over 10 in nine of ten.  A person's share is a mean of many answers:
over 5 persons it is five of six.  A bag may hold a single segment, so it takes as many bags."""
TOO_FEW: Final = "too few to tell"
NO_SPREAD: Final = "no range: no spread"
"""Whatever is drawn, the metric is the same: of some class all are right, or all wrong."""
_WIDTH: Final = 1e-9
"""Intervals that are no wider have no width but that of rounding."""
Interval = tuple[float, float] | None
"""None where every draw gives the same, which does not make a metric certain."""
BOOTSTRAP_METRICS: Final = ("accuracy", "ua", "macro_f1", "ece", "nll")
"""The metrics that `intervals` knows."""

_AT_ONCE: Final = 250
_MOST_COUNTS: Final = 4_000_000
"""Rounds computed together, and subjects times rounds, which bounds the memory."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over the items of each of G subjects."""

    cells: Array
    """(G, C, C + 1): items by true class and answer; the last column: no answer."""
    gaps: Array
    """(G, 15): right answers less confidence in each bin of the calibration error."""
    loss: Array
    """(G,): negative log-probability of the truth."""


def sums(
    log_probabilities: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    weights: Tensor | None = None,
) -> Sums:
    """Add up the items of each group.

    Args:
        log_probabilities: (N, C).
        labels: (N,) true classes.
        groups: (N,) subject of each item.
        weights: (N,) how much each item counts; None: all count as one.
    """
    share = np.ones(len(labels)) if weights is None else weights.numpy()
    count, classes = log_probabilities.shape
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    log = log_probabilities.double()
    true = labels.numpy()
    guessed = predicted_classes(log).numpy()
    confidence = log.exp().amax(1)
    cells = np.zeros((len(names), classes, classes + 1))
    np.add.at(cells, (members, true, guessed), share)  # -1, no answer, is the last column
    gaps = np.zeros((len(names), BINS))
    np.add.at(
        gaps,
        (members, bin_of(confidence).numpy()),
        share * ((guessed == true) - confidence.numpy()),
    )
    loss = np.zeros(len(names))
    np.add.at(loss, members, -share * log[torch.arange(count), labels].numpy())
    return Sums(cells, gaps, loss)


def enough(over: str, groups: int, rounds: int = ROUNDS) -> bool:
    """Whether there is an interval over so many groups: the rule of every command.

    Args:
        over: what the groups are, one of LEAST.
        groups: how many there are.
        rounds: resamples that were asked for.
    """
    return rounds > 0 and groups >= LEAST[over]


def percentiles(values: Array) -> Interval:
    """The interval of what was drawn; None without any width."""
    low, high = np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return (float(low), float(high)) if high - low > _WIDTH else None


def draws(
    groups: int, rounds: int = ROUNDS, seed: int | tuple[int, ...] = 0
) -> Iterator[Array]:
    """How often each group is drawn, with replacement, in each round.

    Args:
        groups: how many there are.
        rounds: resamples.
        seed: of the chance.

    Yields:
        (r, groups), some rounds at once, `rounds` in all.
    """
    chance = np.random.default_rng(seed)
    at_once = max(1, min(_AT_ONCE, _MOST_COUNTS // groups))
    for start in range(0, rounds, at_once):
        count = min(at_once, rounds - start)
        picked = chance.integers(0, groups, (count, groups))
        picked += groups * np.arange(count)[:, None]
        counts = np.bincount(picked.ravel(), minlength=count * groups)
        yield counts.reshape(count, groups).astype(np.float64)


def bootstrap_metrics(given: Sums, drawn: Iterable[Array]) -> dict[str, Array]:
    """(rounds,) of each of METRICS.

    Args:
        given: of G subjects.
        drawn: (r, G) each, how often each subject counts; ones give the metrics themselves.
    """
    parts = [_metrics_of(given, counts) for counts in drawn]
    return {name: np.concatenate([part[name] for part in parts]) for name in BOOTSTRAP_METRICS}


def _metrics_of(given: Sums, drawn: Array) -> dict[str, Array]:
    groups, classes = given.cells.shape[:2]
    cells = (drawn @ given.cells.reshape(groups, -1)).reshape(-1, classes, classes + 1)
    true = cells.sum(2)
    answered = cells[:, :, :classes].sum(1)
    found = np.diagonal(cells, axis1=1, axis2=2)
    count = true.sum(1)
    with np.errstate(invalid="ignore"):
        recall = found / true
        f1 = np.where(true > 0, 2 * found / (true + answered), np.nan)
    return {
        "accuracy": found.sum(1) / count,
        "ua": np.nanmean(recall, axis=1),
        "macro_f1": np.nanmean(f1, axis=1),
        "ece": np.abs(drawn @ given.gaps).sum(1) / count,
        "nll": drawn @ given.loss / count,
    }


def intervals(
    log_probabilities: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    weights: Tensor | None = None,
) -> dict[str, Interval]:
    """95 % percentile interval of each of METRICS, bootstrapped over groups.

    Args:
        log_probabilities: (N, C).
        labels: (N,) true classes.
        groups: (N,) subject of each item.
        rounds: resamples.
        seed: of the chance.
        weights: (N,) how much each item counts; None: all count as one.
    """
    given = sums(log_probabilities, labels, groups, weights)
    values = bootstrap_metrics(given, draws(len(given.loss), rounds, seed))
    return {name: percentiles(value) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better or worse one set of answers is than another."""

    value: float
    """The first less the second."""
    interval: Interval
    """95 % interval, both judged on the same subjects in every round."""


def gaps(
    log_probabilities: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    inside: Sequence[bool],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Difference]:
    """How much better or worse each of METRICS is for some subjects than for the others.

    Args:
        log_probabilities: (N, C).
        labels: (N,) true classes.
        groups: (N,) subject of each item.
        inside: (N,) whether the item is of the subjects that are asked about; all items of a
            subject alike, and both parts have some.
        rounds: resamples; the subjects of both parts are drawn independently of each other.
        seed: of the chance.
    """
    mask = torch.as_tensor(inside)
    parts = [
        sums(
            log_probabilities[kept],
            labels[kept],
            [one for one, is_in in zip(groups, kept.tolist(), strict=True) if is_in],
        )
        for kept in (mask, ~mask)
    ]
    point, less = (bootstrap_metrics(part, [np.ones((1, len(part.loss)))]) for part in parts)
    values, lower = (
        bootstrap_metrics(part, draws(len(part.loss), rounds, (seed, place)))
        for place, part in enumerate(parts)
    )
    return {
        name: Difference(
            float(point[name][0] - less[name][0]), percentiles(values[name] - lower[name])
        )
        for name in BOOTSTRAP_METRICS
    }


def differences(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Difference]:
    """Paired differences of each of METRICS: `first` less `second` on the same items.

    Args:
        first: (N, C) log-probabilities.
        second: (N, C) log-probabilities.
        labels: (N,) true classes.
        groups: (N,) subject of each item.
        rounds: resamples.
        seed: of the chance.
    """
    one, other = (sums(log, labels, groups) for log in (first, second))
    count = len(one.loss)
    whole = [np.ones((1, count))]
    point, less = bootstrap_metrics(one, whole), bootstrap_metrics(other, whole)
    # The same seed: both are judged on the same subjects in every round.
    values, lower = (
        bootstrap_metrics(part, draws(count, rounds, seed)) for part in (one, other)
    )
    return {
        name: Difference(
            float(point[name][0] - less[name][0]), percentiles(values[name] - lower[name])
        )
        for name in BOOTSTRAP_METRICS
    }
