"""How far people who label the same recording agree, beyond what chance would give."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.clock import to_s
from avemo_ros.labels import EMOTIONS
from avemo_ros.truth.segment import Segment

GRID_NS: Final = 100_000_000
"""Annotators are compared at moments this far apart [ns], the hop of the estimates."""

Counts = NDArray[np.int64]
Track = tuple[Counts, Counts]
"""(N,) moments [GRID_NS], rising, and (N,) the class that somebody gave each."""


def cohen_kappa(table: Counts) -> float:
    """Agreement of two annotators (Cohen 1960, Educational and Psychological Measurement 20).

    kappa = (p_o - p_e) / (1 - p_e): p_o the share on which both agree, p_e the share on which
    they would by chance, each with the shares of classes that they gave.

    Args:
        table: (C, C) items by the class of the first and of the second.

    Returns:
        1 for full agreement, 0 for chance; NaN without items or where both gave one class only.
    """
    count = table.sum()
    if count == 0:
        return math.nan
    observed = np.trace(table) / count
    expected = float(table.sum(1) @ table.sum(0)) / count**2
    return math.nan if expected == 1 else float((observed - expected) / (1 - expected))


def fleiss_kappa(counts: Counts) -> float:
    """Agreement of several annotators (Fleiss 1971, Psychological Bulletin 76).

    Args:
        counts: (N, C) how many of the annotators gave item n class c; as many for every item,
            two at least.

    Returns:
        1 for full agreement, 0 for chance; NaN without items or where all gave one class only.
    """
    items = len(counts)
    if items == 0:
        return math.nan
    raters = counts[0].sum()
    observed = ((counts**2).sum() - items * raters) / (items * raters * (raters - 1))
    shares = counts.sum(0) / (items * raters)
    expected = float((shares**2).sum())
    return math.nan if expected == 1 else float((observed - expected) / (1 - expected))


def fleiss_by_class(counts: Counts) -> NDArray[np.float64]:
    """(C,) agreement on each class alone (Fleiss 1971).

    Args:
        counts: as for `fleiss_kappa`.

    Returns:
        NaN for a class that nobody gave or everybody gave always.
    """
    items = len(counts)
    raters = counts[0].sum() if items else 0
    shares = counts.sum(0) / max(items * raters, 1)
    differing = (counts * (raters - counts)).sum(0)
    chance = items * raters * (raters - 1) * shares * (1 - shares)
    told = chance > 0
    kappas = np.full(len(shares), np.nan)
    kappas[told] = 1 - differing[told] / chance[told]
    return kappas


def agreement(recordings: Sequence[Iterable[Segment]]) -> dict[str, Any] | None:
    """Agreement of the annotators of some recordings, on a grid of 100 ms.

    Two annotators are compared by Cohen's kappa where both have judged, more than two by
    Fleiss' kappa where all have.  A class alone is compared as if it were the question whether
    it is this class.

    Args:
        recordings: the segments of each.

    Returns:
        The figures by name, some NaN: `annotators`, `seconds` that all have judged, `observed`
        (share of pairs that agree), `kappa`, its `name` and `value`, `labels` (kappa of each
        class) and `pairs` (the same for each two).  None where there is one annotator only.
    """
    units = [unit for segments in recordings for unit in _tracks(segments)]
    names = sorted({name for unit in units for name in unit})
    if len(names) < 2:
        return None
    pairs = [_pair(units, first, second) for first, second in combinations(names, 2)]
    counts = _votes(units, names)
    if len(names) == 2:
        kappa, labels = pairs[0]["kappa"], pairs[0]["labels"]
    else:
        kappa, labels = fleiss_kappa(counts), _by_label(fleiss_by_class(counts))
    votes = len(names)
    return {
        "annotators": names,
        "seconds": _seconds(len(counts)),
        "observed": float((counts * (counts - 1)).sum() / (len(counts) * votes * (votes - 1)))
        if len(counts)
        else math.nan,
        "kappa": {"name": "cohen" if votes == 2 else "fleiss", "value": kappa},
        "labels": labels,
        "pairs": pairs,
    }


def _tracks(segments: Iterable[Segment]) -> list[dict[str, Track]]:
    """For each person what each annotator has judged."""
    people: dict[str, dict[str, list[Segment]]] = {}
    for segment in segments:
        if segment.label:
            judged = people.setdefault(segment.person, {})
            judged.setdefault(segment.annotator, []).append(segment)
    return [
        {name: _track(judged) for name, judged in annotators.items()}
        for annotators in people.values()
    ]


def _track(segments: list[Segment]) -> Track:
    moments, classes = [], []
    for segment in sorted(segments, key=lambda segment: segment.start_ns):
        span = np.arange(-(-segment.start_ns // GRID_NS), -(-segment.end_ns // GRID_NS))
        moments.append(span)
        classes.append(np.full(len(span), EMOTIONS.index(segment.label)))
    return np.concatenate(moments), np.concatenate(classes)


def _pair(units: list[dict[str, Track]], first: str, second: str) -> dict[str, Any]:
    count = len(EMOTIONS)
    table = np.zeros((count, count), np.int64)
    for unit in units:
        if first in unit and second in unit:
            (one, ours), (other, theirs) = unit[first], unit[second]
            _, at, there = np.intersect1d(one, other, assume_unique=True, return_indices=True)
            np.add.at(table, (ours[at], theirs[there]), 1)
    items = int(table.sum())
    return {
        "first": first,
        "second": second,
        "seconds": _seconds(items),
        "observed": float(np.trace(table) / items) if items else math.nan,
        "kappa": cohen_kappa(table),
        "labels": _by_label([cohen_kappa(_one_class(table, place)) for place in range(count)]),
    }


def _one_class(table: Counts, place: int) -> Counts:
    """(2, 2) table of whether it is this class."""
    both = table[place, place]
    ours, theirs = table[place].sum() - both, table[:, place].sum() - both
    return np.array([[both, ours], [theirs, table.sum() - both - ours - theirs]])


def _votes(units: list[dict[str, Track]], names: list[str]) -> Counts:
    """(N, C) how many gave each class at every moment that all have judged."""
    parts = [np.zeros((0, len(EMOTIONS)), np.int64)]
    for unit in units:
        if not all(name in unit for name in names):
            continue
        common = unit[names[0]][0]
        for name in names[1:]:
            common = np.intersect1d(common, unit[name][0], assume_unique=True)
        votes = np.zeros((len(common), len(EMOTIONS)), np.int64)
        for moments, classes in (unit[name] for name in names):
            given = classes[np.searchsorted(moments, common)]
            votes[np.arange(len(common)), given] += 1
        parts.append(votes)
    return np.concatenate(parts)


def _by_label(kappas: Iterable[float]) -> Mapping[str, float]:
    return {name: float(kappa) for name, kappa in zip(EMOTIONS, kappas, strict=True)}


def _seconds(moments: int) -> float:
    return to_s(moments * GRID_NS)
