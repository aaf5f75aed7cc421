"""Sections of the report on each bag: the table of all, and the timeline of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from avemo_ros.clock import to_s
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.outcome import Outcome
from avemo_ros.replay.report_parts import (
    Html,
    bullets,
    facts,
    folded,
    number,
    paragraph,
    percent,
    section,
    table,
)
from avemo_ros.replay.report_pictures import shots_of
from avemo_ros.replay.report_timeline import Shot, draw, legend
from avemo_ros.replay.report_tracks import tracks_of
from avemo_ros.replay.session import Session
from avemo_ros.replay.words import counted
from avemo_ros.sink.timeline import Timeline

SOURCES: Final = {
    "raw": "pictures and sound",
    "features": "recorded features",
    "states": "recorded states",
}
"""Where a replay came from, in words."""
_MOST_DRAWN: Final = 60
"""Bags whose timeline is drawn; a page of more is slow."""
_SOON_S: Final = 0.5
"""What begins sooner after the bag's first message begins with it, for who labels [s]."""


def bags(result: Mapping[str, Any], sessions: Sequence[Session]) -> str:
    """One line a bag, and what was found wrong with each."""
    rows = []
    by_session = result["overall"]["by_session"]
    for place, bag in enumerate(result["bags"]):
        own, found = by_session.get(bag["name"], {}), bag["figures"]
        name: str = bag["name"]
        if place < _MOST_DRAWN:
            name = Html(f'<a href="#bag-{place}">{escape(name)}</a>')
        rows.append(
            (
                name,
                percent(found["segment_accuracy"]),
                percent(found["accuracy"]),
                percent(found["coverage"]),
                number(found["changes_per_minute"], 1),
                len(bag["problems"]) + len(bag["notes"]),
                own.get("segments", 0),
                number(bag["seconds"], 1),
                SOURCES.get(bag["source"], bag["source"]),
            )
        )
    # What matters first: a narrow screen shows only the beginning of a row.
    head = ["Bag", "Segments right", "Frames right", "Coverage", "Changes/min", "Remarks"]
    head += ["Segments", "Seconds", "From"]
    hidden = len(sessions) - _MOST_DRAWN
    note = f"The timelines of the last {hidden} bags are not drawn." if hidden > 0 else ""
    return section(
        "Bags", table(head, rows, kind="named line-head"), paragraph(note), anchor="bags"
    )


def shots(outcome: Outcome) -> dict[str, tuple[Shot, ...]]:
    """Pictures of every bag whose timeline is drawn, by its name."""
    return {
        session.name: shots_of(session, outcome.paths[session.name], outcome.topics)
        for session in outcome.sessions[:_MOST_DRAWN]
    }


def timelines(
    outcome: Outcome, pictures: Mapping[str, Sequence[Shot]] | None = None
) -> list[str]:
    """What was said in each bag beside what is true, with its remarks and counters.

    Args:
        outcome: of the evaluation.
        pictures: of each bag by its name; None where none were asked for.
    """
    listed = outcome.result["overall"]["segments"]["list"]
    drawn = []
    for place, session in enumerate(outcome.sessions[:_MOST_DRAWN]):
        own = None if pictures is None else tuple(pictures.get(session.name, ()))
        drawn.append(_timeline(place, session, outcome.result["bags"][place], listed, own))
    return drawn


def _timeline(
    place: int,
    session: Session,
    bag: Mapping[str, Any],
    listed: Sequence[Mapping[str, Any]],
    shots: tuple[Shot, ...] | None,
) -> str:
    timeline = Timeline(session.name, session.replayed.zero_ns)
    for hop in session.replayed.hops:
        timeline.add(hop)
    timeline.duration_s = max(
        timeline.duration_s, to_s(session.replayed.end_ns - session.replayed.zero_ns)
    )
    drawn = []
    seen: set[str] = set()
    for track in tracks_of(session, listed, shots or ()):
        heading = track.name or "Whom the robot attends to"
        drawn.append(f"<h3>{escape(heading)}</h3>{draw(track, timeline)}")
        seen |= {item.face_id or item.person_id or item.voice_id for item in track.said}
    others = [name for name in timeline.people if name not in seen]
    labels = "; ".join(
        f"{source['name']} ({counted(source['segments'], 'segment')}"
        + (f" by {', '.join(source['annotators'])}" if source["annotators"] else "")
        + ")"
        for source in bag["labels"]
    )  # fmt: skip
    source = SOURCES.get(bag["source"], bag["source"])
    told = f"{bag['seconds']:.1f} s, {source}. Labels: {labels}."
    begins_s = to_s(session.replayed.start_ns - session.replayed.zero_ns)
    if begins_s >= _SOON_S:
        told += f" Seconds count from the bag's first message; this begins at {begins_s:.1f} s."
    if shots is not None and not shots:
        told += " It holds no pictures to show."
    if others:
        told += f" Without labels: {', '.join(others)}."
    counters = facts({name: f"{value:g}" for name, value in bag["counters"].items()})
    remarks = [*bag["notes"], *bag["problems"]]
    for source in bag["labels"]:
        remarks += [f"{source['name']}: {note}" for note in source["notes"]]
    return section(
        session.name,
        paragraph(told),
        legend(EMOTIONS) if place == 0 else "",
        *drawn,
        f"<h3>Remarks</h3>{bullets(remarks)}" if remarks else "",
        folded("Counters", counters),
        anchor=f"bag-{place}",
    )
