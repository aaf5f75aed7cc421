"""Which sessions are copies of one recording: drawing both would count it twice."""

from __future__ import annotations

from collections.abc import Sequence

from avemo_ros.replay.matching import Judged


def first_alike(judged: Sequence[Judged]) -> list[int]:
    """For each session the place of the first with the same truths and the same estimates.

    Only what is the same to the last bit counts: time for time, person for person.  Where
    nothing was read from a recording, nothing tells it from others of its length.
    """
    seen: dict[tuple[object, ...], int] = {}
    return [
        seen.setdefault(_content(one), at) if _told(one) else at
        for at, one in enumerate(judged)
    ]


def copies(judged: Sequence[Judged], first: Sequence[int]) -> list[str]:
    """Of sessions that repeat another, in sentences.

    Args:
        judged: the sessions.
        first: as `first_alike` gives it.
    """
    return [
        f"{judged[at].session.name}: labels and estimates are those of "
        f"{judged[place].session.name}, as of a copy; for intervals both count as one"
        for at, place in enumerate(first)
        if place != at
    ]


def _told(judged: Judged) -> bool:
    return any(hop.estimate is not None and hop.estimate.probabilities for hop in judged.hops)


def _content(judged: Judged) -> tuple[object, ...]:
    zero_ns = judged.session.replayed.zero_ns
    return (
        tuple(
            (item.start_ns - zero_ns, item.end_ns - zero_ns, item.label, item.person)
            for item in judged.truth
        ),
        tuple(
            (hop.stamp_ns - zero_ns, hop.segment)
            + (() if hop.estimate is None else (hop.estimate.label, hop.estimate.probabilities))
            for hop in judged.hops
        ),
    )
