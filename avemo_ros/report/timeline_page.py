"""The page of `avemo predict`: who was predicted to feel what, when, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.labels import EMOTIONS
from avemo_ros.report.charts import Chart, figure, packed
from avemo_ros.report.rendering import render as rendered
from avemo_ros.report.rendering import write
from avemo_ros.report.tracks import ROOM, Mark, Rows, joined, meant, stacked, with_edges
from avemo_ros.sink.presentation import STATUS_TEXT, Person, Timeline, headline
from avemo_ros.state.estimate import EmotionEstimate, Status

_MOST_PEOPLE: Final = 40
"""Those seen most often are drawn."""
_MOST_POINTS: Final = 1200
_ALL_POINTS: Final = 5000
"""Points of a curve of one person, and of all together: the page stays small."""
_ALL_LINES: Final = 500
"""Lines of all tables."""


def write_timeline(path: Path, timeline: Timeline) -> None:
    """Write the page; it takes the place of an older one when it is complete.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, render(timeline))


def render(timeline: Timeline) -> str:
    """The page as text."""
    everyone = list(timeline.people.values())
    often = sorted(everyone, key=lambda person: -len(person.estimates))[:_MOST_PEOPLE]
    names = {person.name for person in often}
    shown = [person for person in everyone if person.name in names]
    most = min(_MOST_POINTS, _ALL_POINTS // max(len(shown), 1))
    seconds = sum(len(person.estimates) for person in shown) * timeline.mean_step_s
    each_s = max(1, -(-int(seconds) // _ALL_LINES))
    return rendered(
        "timeline.html",
        title=timeline.title,
        subtitle="Emotion from face and voice over time, as avemo_ros read it",
        tiles=_tiles(timeline),
        people=[_person(timeline, person, most, each_s) for person in shown],
        more=len(everyone) - len(shown),
        nobody=_nobody(timeline),
        each_s=each_s,
    )


def _tiles(timeline: Timeline) -> list[tuple[str, str, str]]:
    """The figures of the whole run."""
    estimates = sum(len(person.estimates) for person in timeline.people.values())
    tiles = [
        ("length", f"{timeline.duration_s:.1f} s", ""),
        ("people", f"{len(timeline.people)}", "one for each id"),
        ("estimates", f"{estimates}", f"every {timeline.mean_step_s:.2g} s for each person"),
        ("unknown", f"{1 - timeline.claimed_share:.0%}" if estimates else "-", "no label"),
    ]
    if timeline.latencies_s:
        p50, p95 = 1e3 * np.percentile(timeline.latencies_s, (50, 95))
        tiles.append(("latency", f"{p50:.0f} ms", f"median; 95 % within {p95:.0f} ms"))
    tiles.append(("model", timeline.model_id or "-", ""))
    return tiles


def _nobody(timeline: Timeline) -> str:
    """Why nobody was seen or heard, with the shares of the reasons."""
    return ", ".join(
        f"{STATUS_TEXT[Status[name]]} ({count / timeline.steps:.0%})"
        for name, count in timeline.nobody.most_common()
        if name != Status.NOBODY.name
    )


def _person(timeline: Timeline, person: Person, most: int, each_s: int) -> Mapping[str, Any]:
    """What the template shows of one person."""
    total = len(person.estimates)
    counts = Counter(item.label for item in person.estimates)
    shares = ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common(4))
    spoken = sum(item.speaking for item in person.estimates) * timeline.mean_step_s
    first, last = person.estimates[0], person.estimates[-1]
    facts = (
        f"{timeline.t(first.stamp_ns):.1f} to {timeline.t(last.stamp_ns):.1f} s; {shares}; "
        f"speaking {spoken:.1f} s"
    )
    chart, step_s = _chart(timeline, person, most, f"Timeline of {person.name}, {facts}")
    return {
        "name": person.name,
        "facts": facts,
        "chart": chart,
        "step_s": step_s,
        "lines": list(_lines(timeline, person, each_s)),
    }


def _lines(timeline: Timeline, person: Person, each_s: int) -> Iterable[list[str]]:
    """A line of the table for every so many seconds."""
    last = -1
    for item in person.estimates:
        t = timeline.t(item.stamp_ns)
        if int(t / each_s) == last:
            continue
        last = int(t / each_s)
        yield [
            f"{t:.1f}",
            headline(item),
            STATUS_TEXT[item.status],
            *([f"{share:.2f}" for share in item.probabilities] or ["-"] * len(EMOTIONS)),
            *(
                f"{value:+.2f}" if item.valence_arousal_valid else "-"
                for value in (item.valence, item.arousal)
            ),
            f"{item.face_share:.2f}",
            f"{item.voice_share:.2f}",
            "yes" if item.speaking else "no",
        ]


def _chart(timeline: Timeline, person: Person, most: int, about: str) -> tuple[Chart, float]:
    """The figure of a person, and the step of time it is thinned to [s]; 0: it is not."""
    end_s = max(timeline.duration_s, 1.0)
    rows = Rows(end_s)
    claims, step_s = joined(
        [Mark(run.start_s, run.end_s, run.label, run.text) for run in timeline.runs(person)],
        most,
        end_s,
    )
    rows.bars("label", 26, claims)
    times, shares, texts, mean_s = _curves(timeline, person, most)
    emotions, modalities = shares[:, : len(EMOTIONS)], shares[:, len(EMOTIONS) :]
    percent = "%{fullData.name}: %{y:.0%}<extra></extra>"
    rows.curves(
        "emotions",
        130,
        [
            *stacked(times, emotions, EMOTIONS, "emotions", percent),
            {
                "x": packed([t for t, _ in texts]),
                "y": np.full(len(texts), 0.99, np.float32),
                "mode": "markers",
                "marker": {"opacity": 0, "size": 1},
                "text": [text for _, text in texts],
                "hovertemplate": "<b>%{text}</b><extra></extra>",
            },
        ],
    )
    rows.curves(
        "modality", 36, stacked(times, modalities, ("face", "voice"), "modality", percent)
    )
    for name, holds in (
        ("speaking", lambda item: item.speaking),
        ("attended", lambda item: item.stamp_ns in person.attended_ns),
    ):
        marks, joined_s = joined(_holding(timeline, person, name, holds), most, end_s)
        rows.bars(name, 9, marks)
        step_s = max(step_s, joined_s)
    layout = rows.layout()
    layout |= {"hovermode": "x unified", "hoversubplots": "axis"}
    drawn = figure(rows.traces, rows.height, **layout)
    return Chart(drawn, about, room=ROOM), max(step_s, mean_s)


def _curves(
    timeline: Timeline, person: Person, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[tuple[float, str]], float]:
    """Distribution and shares of face and voice, with edges where they begin and end."""
    parts: list[list[EmotionEstimate]] = []
    for stretch in timeline.stretches(person):
        parts.append([])
        for item in stretch:
            if item.probabilities:
                parts[-1].append(item)
            elif parts[-1]:
                parts.append([])
    parts = [part for part in parts if part]
    total = sum(map(len, parts))
    times: list[NDArray[np.float64]] = []
    rows: list[NDArray[np.float64]] = []
    step_s = ended_s = 0.0
    mean_step_s = timeline.mean_step_s
    for part in parts:
        at = [timeline.t(item.stamp_ns) for item in part]
        values = np.array(
            [(*item.probabilities, item.face_share, item.voice_share) for item in part]
        )
        own = most if total <= most else max(1, most * len(part) // total)
        kept, values, found_s = meant(at, values, own)
        kept, values = with_edges(kept, values, max(ended_s, at[0] - mean_step_s), at[-1])
        step_s, ended_s = max(step_s, found_s), kept[-1] + 0.01
        times.append(kept)
        rows.append(values)
    every = max(1, -(-len(person.estimates) // most))
    texts = [(timeline.t(item.stamp_ns), _text(item)) for item in person.estimates[::every]]
    if not times:
        return np.zeros(0), np.zeros((0, len(EMOTIONS) + 2)), texts, step_s
    return np.concatenate(times), np.concatenate(rows), texts, step_s


def _text(item: EmotionEstimate) -> str:
    """What the pointer tells of a claim."""
    text = headline(item)
    status = STATUS_TEXT[item.status]
    return text if status in text else f"{text}, {status}"


def _holding(
    timeline: Timeline,
    person: Person,
    name: str,
    holds: Callable[[EmotionEstimate], bool],
) -> Sequence[Mark]:
    """Stretches of time in which something holds."""
    marks: list[Mark] = []
    mean_step_s = timeline.mean_step_s
    # Steps are unequal: neighbours in a stretch are one bar, whatever lies between them.
    for stretch in timeline.stretches(person):
        is_open = False
        for item in stretch:
            if not holds(item):
                is_open = False
                continue
            end_s = timeline.t(item.stamp_ns)
            start_s = max(0.0, end_s - mean_step_s)
            if is_open:
                start_s = marks.pop().start_s
            marks.append(Mark(start_s, end_s, name))
            is_open = True
    return marks
