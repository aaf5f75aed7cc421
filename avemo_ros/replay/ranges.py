"""Whether labels and recording are of the same time, and what of the labels lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from avemo_ros.clock import NS_PER_S, to_s
from avemo_ros.errors import LabelError
from avemo_ros.replay.session import Session
from avemo_ros.truth.segment import Segment

_LONGER_NS: Final = NS_PER_S
"""Labels may begin so long before what is used, or go on after it, before it is said [ns]."""


def check_ranges(session: Session) -> None:
    """Look whether labels and recording have any time in common.

    Raises:
        LabelError: they have not; names both ranges, in seconds as labels count them.
    """
    replayed = session.replayed
    start, end, zero = replayed.start_ns, replayed.end_ns, replayed.zero_ns
    common = any(item.start_ns <= end and item.end_ns > start for item in session.segments)
    nothing = end <= start and not replayed.hops
    if common and not nothing:
        return
    if not session.segments:
        raise LabelError(f"{session.name}: there are no labels")
    first = min(segment.start_ns for segment in session.segments)
    last = max(segment.end_ns for segment in session.segments)
    used = (
        f"of {_inputs(session)} nothing could be used"
        if nothing
        else f"{_inputs(session)} from {to_s(start - zero):.3f} to {to_s(end - zero):.3f} s"
    )
    raise LabelError(
        f"{session.name}: no label lies within the recording: labels from "
        f"{to_s(first - zero):.3f} to {to_s(last - zero):.3f} s, {used}, counted from the "
        f"bag's first message (at {to_s(zero):.3f} s of unix time)"
    )


def outside(session: Session, found: Sequence[Segment], asked: set[int]) -> list[str]:
    """What of the labels cannot be judged for its time, in sentences.

    Args:
        session: with its replay.
        found: truths of people who appear.
        asked: places of those at which the stream was asked.
    """
    return [*_without_hops(session, found, asked), *_across(session, found)]


def _inputs(session: Session) -> str:
    return "estimates" if session.replayed.source == "states" else "pictures and sound"


def _first(session: Session) -> str:
    return "estimate" if session.replayed.source == "states" else "picture or sound"


def _across(session: Session, found: Sequence[Segment]) -> list[str]:
    """Of labels that say more than there is, as those of another recording would, or those
    that count from its first picture instead of the bag's first message."""
    start, end = session.replayed.start_ns, session.replayed.end_ns
    if end <= start:
        return []
    early = [start - item.start_ns for item in found if item.start_ns < start < item.end_ns]
    late = [item.end_ns - end for item in found if item.start_ns <= end < item.end_ns]
    notes = []
    if early := [item for item in early if item > _LONGER_NS]:
        notes.append(
            f"{session.name}: {_labels(len(early), 'begins', 'begin')} "
            f"{to_s(max(early)):.1f} s before the first {_first(session)}; what lies within "
            "counts"
        )
    if late := [item for item in late if item > _LONGER_NS]:
        notes.append(
            f"{session.name}: {_labels(len(late), 'goes', 'go')} on for "
            f"{to_s(max(late)):.1f} s after the recording's end; what lies within counts"
        )
    return notes


def _without_hops(session: Session, found: Sequence[Segment], asked: set[int]) -> list[str]:
    """Of labels at which nothing was asked."""
    start, end = session.replayed.start_ns, session.replayed.end_ns
    lacking = [item for place, item in enumerate(found) if place not in asked]
    before = sum(item.end_ns <= start for item in lacking)
    beyond = sum(item.start_ns > end for item in lacking)
    short = len(lacking) - before - beyond
    said = []
    if before:
        said.append(f"{_labels(before, 'ends', 'end')} before the first {_first(session)}")
    if beyond:
        said.append(f"{_labels(beyond, 'lies', 'lie')} beyond the recording")
    if short:
        said.append(f"{_labels(short, 'has', 'have')} no estimate within")
    return [f"{session.name}: {text}" for text in said]


def _labels(count: int, one: str, many: str) -> str:
    return f"1 label {one}" if count == 1 else f"{count} labels {many}"
