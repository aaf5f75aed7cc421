"""Labelled segments, what is true where annotators differ, and how far they agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.labels import EMOTIONS
from avemo_ros.timing import to_s
from avemo_ros.vision.face import Box


@dataclass(frozen=True, slots=True)
class Segment:
    """One person's feeling from `start_ns` to `end_ns`, as one annotator judged it."""

    start_ns: int
    """Message time, as the stamps of the recording [ns]."""
    end_ns: int
    """Later than `start_ns`; not itself part of the stretch."""
    label: str
    """One of EMOTIONS; "" where only valence and arousal are judged."""
    person: str = ""
    """Whom it is about, by any name or id; "": whom the robot attends to."""
    annotator: str = ""
    """Who judged; "" where there is one annotator only."""
    valence: float | None = None
    """Unpleasant -1 to pleasant 1; None where it was not judged."""
    arousal: float | None = None
    """Calm -1 to excited 1; None where it was not judged."""
    box: Box | None = None
    """Where the person's face is, normalised to the image; None where that was not marked."""
    weight: float = 1.0
    """How large a part of the annotators say so, above 0 up to 1; 1 unless labels are soft."""


@dataclass(frozen=True, slots=True)
class TruthRule:
    """What is true where annotators differ; without anything the label that most give."""

    lead: str = ""
    """Annotator whose label is true where the votes are tied; "": ties are left out."""
    adjudicated: str = ""
    """Annotator whose labels are true wherever there are any.  They were made knowing the
    others', so they are neither a vote nor part of the agreement; "": there are none."""
    soft: bool = False
    """Every label is true as far as annotators gave it, instead of the majority's alone: a
    metric is then its mean over the annotators (Peterson et al. 2019, Human uncertainty makes
    classification more robust)."""


MAJORITY: Final = TruthRule()


@dataclass(frozen=True, slots=True)
class MajorityVote:
    """What holds, and what is undecided."""

    segments: tuple[Segment, ...]
    """With labels, in order of time; of one person they do not overlap, and name no annotator
    where there were several."""
    tied_ns: int
    """How long most of those who judged did not agree; these stretches are left out [ns]."""


def majority_vote(segments: Iterable[Segment], rule: TruthRule = MAJORITY) -> MajorityVote:
    """What is true of a person, moment by moment: the label that most annotators give.

    Who has not judged a moment has no vote; a tie leaves it out, unless the rule says who
    decides.  A person whom one annotator has judged keeps those segments as they are.  Segments
    without a label have no vote.  With soft labels those of one moment overlap; their weights
    add up to 1.
    """
    people: dict[str, list[Segment]] = {}
    for segment in segments:
        if segment.label:
            people.setdefault(segment.person, []).append(segment)
    found: list[Segment] = []
    tied_ns = 0
    for judged in people.values():
        if len({segment.annotator for segment in judged}) == 1:
            found += judged
        else:
            agreed, tied = _of_person(judged, rule)
            found += agreed
            tied_ns += tied
    found.sort(key=lambda segment: (segment.start_ns, segment.person))
    return MajorityVote(tuple(found), tied_ns)


def _of_person(judged: list[Segment], rule: TruthRule) -> tuple[list[Segment], int]:
    judged = sorted(judged, key=lambda segment: (segment.start_ns, segment.annotator))
    edges = sorted({edge for segment in judged for edge in (segment.start_ns, segment.end_ns)})
    found: list[Segment] = []
    held: dict[str, tuple[int, list[Segment]]] = {}
    """For each label that was true up to here its place in `found`, and who gave it."""
    alive: list[Segment] = []
    coming = iter([*judged, None])
    following = next(coming)
    tied_ns = 0
    for start, end in pairwise(edges):
        alive = [segment for segment in alive if segment.end_ns > start]
        while following is not None and following.start_ns <= start:
            alive.append(following)
            following = next(coming)
        before, held = held, {}
        weights = _weights(alive, rule)
        tied_ns += end - start if alive and not weights else 0
        for label, weight in weights.items():
            voters = [segment for segment in alive if segment.label == label]
            place, earlier = before.get(label, (-1, []))
            if any(one in earlier for one in voters) and found[place].weight == weight:
                found[place] = replace(found[place], end_ns=end)
            else:
                place = len(found)
                box = next((segment.box for segment in voters if segment.box is not None), None)
                person = voters[0].person
                found.append(Segment(start, end, label, person, box=box, weight=weight))
            held[label] = (place, voters)
    return found, tied_ns


def _weights(judged: list[Segment], rule: TruthRule) -> dict[str, float]:
    """How far each label is true, in all 1; none where nothing was judged or votes are tied."""
    final = [one for one in judged if rule.adjudicated and one.annotator == rule.adjudicated]
    votes = Counter(segment.label for segment in final or judged).most_common()
    if rule.soft:
        return {label: count / len(final or judged) for label, count in votes}
    if len(votes) > 1 and votes[0][1] == votes[1][1]:
        decided = (one.label for one in judged if rule.lead and one.annotator == rule.lead)
        return dict.fromkeys(decided, 1.0)
    return {label: 1.0 for label, _ in votes[:1]}


# How far people who label the same recording agree, beyond what chance would give.

GRID_NS: Final = 100_000_000
"""Annotators are compared at moments this far apart [ns], the step of the estimates."""

Counts = NDArray[np.int64]
_NONE: Final[Counts] = np.zeros((0, len(EMOTIONS)), np.int64)
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

    Who judged an item need not have judged another.  Where not as many have judged each, every
    item weighs the same (Gwet 2014, Handbook of Inter-Rater Reliability, 4th edition); where as
    many have, this is Fleiss's own metric.

    Args:
        counts: (N, C) how many annotators gave item n class c; two at least for every item.

    Returns:
        1 for full agreement, 0 for chance; NaN without items or where all gave one class only.
    """
    if len(counts) == 0:
        return math.nan
    expected = float((_shares(counts) ** 2).sum())
    observed = _pairs_alike(counts)
    # Shares of items that differ in how many judged them need not add up to 1 to the last bit.
    return math.nan if math.isclose(expected, 1) else (observed - expected) / (1 - expected)


def fleiss_by_class(counts: Counts) -> NDArray[np.float64]:
    """(C,) agreement on each class alone (Fleiss 1971).

    Args:
        counts: as for `fleiss_kappa`.

    Returns:
        NaN for a class that nobody gave or everybody gave always.
    """
    kappas = np.full(counts.shape[1], np.nan)
    if len(counts) == 0:
        return kappas
    raters, shares = counts.sum(1, keepdims=True), _shares(counts)
    differing = (counts * (raters - counts) / (raters * (raters - 1))).mean(0)
    chance = shares * (1 - shares)
    defined = (counts.sum(0) > 0) & (counts < raters).any(0)
    kappas[defined] = 1 - differing[defined] / chance[defined]
    return kappas


def _shares(counts: Counts) -> NDArray[np.float64]:
    """(C,) how large a part of the answers each class is."""
    shares: NDArray[np.float64] = (counts / counts.sum(1, keepdims=True)).mean(0)
    return shares


def _pairs_alike(counts: Counts) -> float:
    """Share of the pairs of annotators of an item that agree, over all items; NaN without."""
    if len(counts) == 0:
        return math.nan
    raters = counts.sum(1)
    alike = (counts * (counts - 1)).sum(1)
    return float((alike / (raters * (raters - 1))).mean())


def agreement(
    recordings: Sequence[Iterable[Segment]], adjudicated: str = ""
) -> dict[str, Any] | None:
    """Agreement of the annotators of some recordings, on a grid of 100 ms.

    Every moment of a person counts that two or more have judged, whatever becomes of it: two
    annotators are compared by Cohen's kappa, more than two by Fleiss' kappa, so that not
    everybody needs to label every recording.  A class alone is compared as if it were the
    question whether it is this class.

    Args:
        recordings: the segments of each, whether they can be scored or not.
        adjudicated: who made labels knowing the others', and is left out.

    Returns:
        The metrics by name, some NaN: `annotators`, `seconds` that were compared, `observed`
        (share of pairs that agree), `kappa` with its `name`, `value` and `why` there is none,
        `labels` (kappa of each class) and `pairs` (the same for each two).  None where there is
        one annotator only.
    """
    units = [
        unit
        for segments in recordings
        for unit in _annotator_tracks(
            one for one in segments if not adjudicated or one.annotator != adjudicated
        )
    ]
    names = sorted({name for unit in units for name in unit})
    if len(names) < 2:
        return None
    pairs = [_pair(units, first, second) for first, second in combinations(names, 2)]
    counts = np.concatenate([_NONE, *map(_votes, units)])
    if len(names) == 2:
        name, kappa, labels = "cohen", pairs[0]["kappa"], pairs[0]["labels"]
    else:
        name, kappa = "fleiss", fleiss_kappa(counts)
        labels = _by_label(fleiss_by_class(counts))
    why = ""
    if math.isnan(kappa):
        why = (
            "all annotators used only one class"
            if len(counts)
            else ("no stretch was labelled by two annotators")
        )
    return {
        "annotators": names,
        "seconds": _seconds(len(counts)),
        "observed": _pairs_alike(counts),
        "kappa": {"name": name, "value": kappa, "why": why},
        "labels": labels,
        "pairs": pairs,
    }


def _annotator_tracks(segments: Iterable[Segment]) -> list[dict[str, Track]]:
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


def _votes(unit: Mapping[str, Track]) -> Counts:
    """(N, C) how many gave each class at every moment that two or more have judged."""
    moments = np.concatenate([moments for moments, _ in unit.values()])
    classes = np.concatenate([classes for _, classes in unit.values()])
    distinct, places = np.unique(moments, return_inverse=True)
    votes = np.zeros((len(distinct), len(EMOTIONS)), np.int64)
    np.add.at(votes, (places, classes), 1)
    common_votes: Counts = votes[votes.sum(1) > 1]
    return common_votes


def _by_label(kappas: Iterable[float]) -> Mapping[str, float]:
    return {name: float(kappa) for name, kappa in zip(EMOTIONS, kappas, strict=True)}


def _seconds(moments: int) -> float:
    return to_s(moments * GRID_NS)
