"""How far the difference of two runs can be believed: both are drawn together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from avemo_ros.evaluate.bootstrap import Array, draws
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.rates import LEAST, LEVEL, percentiles
from avemo_ros.replay.score import drawn

ROUNDS: Final = 1000
_RATES: Final = ("segment_accuracy", "segment_ua")


def paired(segments: Sequence[Mapping[str, Any]], place: int, *, named: bool) -> dict[str, Any]:
    """Differences of a run from the first, over the segments that both have judged.

    Of a hard segment both runs make errors, so both get the same segments in every round:
    the interval of the difference is then narrower than those of the runs let expect.

    Args:
        segments: judged by every run, each with `session`, `person`, `truth`, `answers` and
            `confidences`.
        place: of the run.
        named: whether all persons have names, so that they can be counted.

    Returns:
        What was drawn in `over` (as for the figures of one run), `groups`, `rounds` and
        `level`, and for `segment_accuracy` and `segment_ua` the `difference` and its
        `interval`; None for what cannot be told.
    """
    bags = _first_alike(segments)
    over = drawn(
        len({item["person"] for item in segments}) if named else 0,
        0 if named else len(segments),
        len(set(bags.values())),
    )
    units = [
        {"persons": item["person"], "bags": bags[item["session"]]}.get(over, f"{bag} {at}")
        for item, (bag, at) in zip(segments, _numbered(segments, bags), strict=True)
    ]
    names, members = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    enough = len(names) >= LEAST[over]
    found: dict[str, Any] = {
        "over": over,
        "groups": len(names),
        "rounds": ROUNDS,
        "level": LEVEL,
        **{name: {"difference": None, "interval": None} for name in _RATES},
    }
    if not segments:
        return found
    counts = _counts(segments, place, members, len(names))
    all_of = _differences(counts.sum(0, keepdims=True))
    for name, difference in zip(_RATES, all_of, strict=True):
        found[name]["difference"] = float(difference[0])
    if enough:
        flat = counts.reshape(len(names), -1)
        rounds = np.concatenate([picked @ flat for picked in draws(len(names), ROUNDS)])
        many = _differences(rounds.reshape(-1, *counts.shape[1:]))
        for name, values in zip(_RATES, many, strict=True):
            found[name]["interval"] = percentiles(values)
    return found


def _first_alike(segments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """For each bag the first with the same segments and answers: copies count once."""
    content: dict[str, list[str]] = {}
    told: set[str] = set()
    for item in segments:
        own = {key: value for key, value in item.items() if key != "session"}
        content.setdefault(item["session"], []).append(repr(sorted(own.items())))
        if any(sure is not None for sure in item["confidences"]):
            told.add(item["session"])
    seen: dict[str, str] = {}
    return {
        bag: seen.setdefault("".join(rows), bag) if bag in told else bag
        for bag, rows in content.items()
    }


def _numbered(
    segments: Sequence[Mapping[str, Any]], bags: Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    """Of each segment its bag, or the one that it copies, and its place in there."""
    count: Counter[str] = Counter()
    for item in segments:
        yield bags[item["session"]], count[item["session"]]
        count[item["session"]] += 1


def _counts(
    segments: Sequence[Mapping[str, Any]], place: int, members: Array, groups: int
) -> Array:
    """(G, 3, C): of each unit and true class the segments, and how many of them the first run
    and this one have right."""
    counts = np.zeros((groups, 3, len(EMOTIONS)))
    for item, member in zip(segments, members.tolist(), strict=True):
        truth = EMOTIONS.index(item["truth"])
        counts[member, 0, truth] += 1
        counts[member, 1, truth] += item["answers"][0] == item["truth"]
        counts[member, 2, truth] += item["answers"][place] == item["truth"]
    return counts


def _differences(counts: Array) -> tuple[Array, Array]:
    """(N,) of accuracy and of UA, over the classes that occur.

    Args:
        counts: (N, 3, C) as `_counts` gives them, of N draws.
    """
    items, gained = counts[:, 0], counts[:, 2] - counts[:, 1]
    recalls = np.divide(gained, items, out=np.zeros_like(gained), where=items > 0)
    return gained.sum(1) / items.sum(1), recalls.sum(1) / (items > 0).sum(1)
