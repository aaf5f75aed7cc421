"""How steady the claims are, and how soon they follow what is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from avemo_ros.clock import to_s
from avemo_ros.labels import UNKNOWN
from avemo_ros.replay.matching import Judged, JudgedHop
from avemo_ros.truth.segment import Segment

_S_PER_MIN = 60


@dataclass(slots=True)
class _Claims:
    """What happens to the claims about some people."""

    changes: int = 0
    false_changes: int = 0
    lost: int = 0

    def follow(self, hops: Sequence[JudgedHop], truth: Sequence[Segment]) -> None:
        """Count along one person's hops."""
        held = ""
        silent = True
        for hop in hops:
            label = _claim(hop)
            if not label:
                self.lost += not silent
                silent = True
                continue
            if held and label != held:
                self.changes += 1
                self.false_changes += label != truth[hop.segment].label
            held, silent = label, False


def stability(judged: Sequence[Judged], hop_s: float) -> dict[str, Any]:
    """Changes of the claimed label where the truth is known, against those of the truth.

    A change is a claim that differs from the last one, whatever was unknown in between; it is
    false if the new label is not the true one.  A claim is lost when the next hop has none.

    Args:
        judged: sessions.
        hop_s: time that a hop stands for [s].

    Returns:
        `minutes` and the counts `changes, truth_changes, false_changes, lost_claims`, each also
        `_per_minute`, None without any hop.
    """
    claims = _Claims()
    true_changes = hops = 0
    for one in judged:
        for track in _tracks(one):
            claims.follow(track, one.truth)
            true_changes += len(list(_true_changes(one, track)))
            hops += len(track)
    minutes = hops * hop_s / _S_PER_MIN
    counts = {
        "changes": claims.changes,
        "truth_changes": true_changes,
        "false_changes": claims.false_changes,
        "lost_claims": claims.lost,
    }
    rates = {
        f"{name}_per_minute": count / minutes if minutes else None
        for name, count in counts.items()
    }
    return {"minutes": minutes, **counts, **rates}


def reaction(judged: Sequence[Judged]) -> dict[str, Any]:
    """How long after a true change the new label is claimed.

    A change is a segment whose label is not that of the person's segment before.  It is missed
    if its label is claimed at no hop within.  A label that is claimed already by the first hop
    is detected at this hop.

    Returns:
        `changes, detected, missed`, and `median_s` and `p90_s` of those detected, or None.
    """
    delays: list[float] = []
    changes = 0
    for one in judged:
        for track in _tracks(one):
            seen = _first_right(one, track)
            for place in _true_changes(one, track):
                changes += 1
                if place in seen:
                    delays.append(to_s(seen[place] - one.truth[place].start_ns))
    return {
        "changes": changes,
        "detected": len(delays),
        "missed": changes - len(delays),
        "median_s": float(np.median(delays)) if delays else None,
        "p90_s": float(np.percentile(delays, 90)) if delays else None,
    }


def _first_right(judged: Judged, track: Sequence[JudgedHop]) -> dict[int, int]:
    """When the label of each truth is first claimed within it [ns]."""
    seen: dict[int, int] = {}
    for hop in track:
        if _claim(hop) == judged.truth[hop.segment].label:
            seen[hop.segment] = min(hop.stamp_ns, seen.get(hop.segment, hop.stamp_ns))
    return seen


def _tracks(judged: Judged) -> list[list[JudgedHop]]:
    """The hops of each person."""
    people: dict[str, list[JudgedHop]] = {}
    for hop in judged.hops:
        people.setdefault(judged.truth[hop.segment].person, []).append(hop)
    return list(people.values())


def _true_changes(judged: Judged, track: Sequence[JudgedHop]) -> Iterator[int]:
    """Places of the truths that differ from the one before, of those that have hops."""
    places = sorted({hop.segment for hop in track}, key=lambda at: judged.truth[at].start_ns)
    for before, after in pairwise(places):
        if judged.truth[before].label != judged.truth[after].label:
            yield after


def _claim(hop: JudgedHop) -> str:
    """The claimed label; '' for none."""
    label = "" if hop.estimate is None else hop.estimate.label
    return "" if label == UNKNOWN else label
