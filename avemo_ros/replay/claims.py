"""What was claimed within a labelled stretch, from one change of the claim to the next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from avemo_ros.clock import to_s
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.matching import JudgedHop

_APART: Final = 2.5
"""From so many hops without an estimate on a claim does not go on."""


def claims(
    hops: Iterable[JudgedHop], zero_ns: int, start_s: float, hop_s: float
) -> list[dict[str, Any]]:
    """Stretches with one claim, or with none, ready for JSON: `start_s`, `end_s`, `label`.

    Args:
        hops: of one labelled stretch, oldest first.
        zero_ns: from which seconds count [ns].
        start_s: of the labelled stretch.
        hop_s: usual time from one hop to the next; a hop tells of what was before it.
    """
    found: list[dict[str, Any]] = []
    for hop in hops:
        said = "" if hop.estimate is None else hop.estimate.label
        label = said if said in EMOTIONS else ""
        end_s = to_s(hop.stamp_ns - zero_ns)
        last = found[-1] if found else None
        if last and last["label"] == label and end_s - last["end_s"] < _APART * hop_s:
            last["end_s"] = end_s
            continue
        # Steps vary a little: what follows at once leaves no gap.
        begin_s = max(end_s - hop_s, start_s)
        if last and end_s - last["end_s"] < _APART * hop_s:
            begin_s = last["end_s"]
        found.append({"start_s": begin_s, "end_s": end_s, "label": label})
    return found
