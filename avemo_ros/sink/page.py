"""A run as one HTML file: what was claimed of whom, when, and on what grounds.

The file needs no network and holds no picture and no sound.  It reads in light and dark.
"""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from avemo_ros.labels import EMOTIONS
from avemo_ros.sink.atomic import replaced
from avemo_ros.sink.page_drawing import draw, points
from avemo_ros.sink.page_script import SCRIPT
from avemo_ros.sink.page_style import style
from avemo_ros.sink.timeline import Person, Timeline
from avemo_ros.sink.wording import STATUS_TEXT, headline
from avemo_ros.state.estimate import Status


def write_page(path: Path, timeline: Timeline) -> None:
    """Write the page; it takes the place of an older one when it is complete.

    Raises:
        OutputError: the file cannot be written.
    """
    with replaced(path) as made:
        made.write_text(render(timeline), encoding="utf-8")


def render(timeline: Timeline) -> str:
    """The page as text."""
    people = list(timeline.people.values())
    sections = [_person(timeline, person, number) for number, person in enumerate(people)]
    shown = json.dumps([points(timeline, person) for person in people]).replace("</", "<\\/")
    title = escape(timeline.title)
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}: emotion timeline</title><style>{style()}</style></head>",
            f"<body><main><h1>{title}</h1>",
            '<p class="sub">Emotion from face and voice over time, as avemo_ros read it</p>',
            _summary(timeline),
            _legend() if people else "",
            *(sections or [_nobody(timeline)]),
            _NOTICE,
            '</main><div id="tip" hidden></div>',
            f'<script type="application/json" id="points">{shown}</script>',
            f"<script>{SCRIPT}</script></body></html>\n",
        )
    )


def _summary(timeline: Timeline) -> str:
    """The figures of the whole run."""
    estimates = sum(len(person.estimates) for person in timeline.people.values())
    tiles = [
        ("length", f"{timeline.duration_s:.1f} s", ""),
        ("people", f"{len(timeline.people)}", "one for each id"),
        ("estimates", f"{estimates}", f"every {timeline.hop_s:.2g} s for each person"),
        ("unknown", f"{1 - timeline.claimed_share:.0%}" if estimates else "-", "no claim made"),
    ]
    if timeline.latencies_s:
        p50, p95 = 1e3 * np.percentile(timeline.latencies_s, (50, 95))
        tiles.append(("latency", f"{p50:.0f} ms", f"median; 95 % within {p95:.0f} ms"))
    tiles.append(("model", timeline.model_id or "-", ""))
    return (
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{name}</dt><dd>{escape(value)}</dd><dd>{note}</dd></div>"
            for name, value, note in tiles
        )
        + "</dl>"
    )


def _legend() -> str:
    keys = [f'<li><i style="background:var(--{name})"></i>{name}</li>' for name in EMOTIONS]
    return f'<ul class="legend">{"".join(keys)}<li><i class="none"></i>no claim</li></ul>'


def _nobody(timeline: Timeline) -> str:
    reasons = ", ".join(
        f"{STATUS_TEXT[Status[name]]} ({count / timeline.hops:.0%})"
        for name, count in timeline.nobody.most_common()
        if name != Status.NOBODY.name
    )
    why = f": {reasons}" if reasons else ""
    return f'<section><p class="empty">Nobody was seen or heard{why}.</p></section>'


def _person(timeline: Timeline, person: Person, number: int) -> str:
    """Heading, drawing and table of one person."""
    total = len(person.estimates)
    counts = Counter(item.label for item in person.estimates)
    shares = ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common(4))
    spoken = sum(item.speaking for item in person.estimates) * timeline.hop_s
    first, last = person.estimates[0], person.estimates[-1]
    facts = (
        f"{timeline.t(first.stamp_ns):.1f} to {timeline.t(last.stamp_ns):.1f} s; {shares}; "
        f"speaking {spoken:.1f} s"
    )
    drawing = draw(timeline, person, number, f"Timeline of {person.name}, {facts}")
    return (
        f"<section><h2>{escape(person.name)}</h2><p>{escape(facts)}</p>"
        f'<div class="wide">{drawing}</div>{_table(timeline, person)}</section>'
    )


def _table(timeline: Timeline, person: Person) -> str:
    """One line per second, for those who cannot use the drawing."""
    lines = []
    second = -1
    for item in person.estimates:
        t = timeline.t(item.stamp_ns)
        if int(t) == second:
            continue
        second = int(t)
        cells = [f"{t:.1f}", headline(item), STATUS_TEXT[item.status]]
        cells += [f"{share:.2f}" for share in item.probabilities] or ["-"] * len(EMOTIONS)
        cells += [f"{item.face_share:.2f}", f"{item.voice_share:.2f}"]
        cells += ["yes" if item.speaking else "no"]
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    names = ["t [s]", "claim", "status", *EMOTIONS, "face", "voice", "speaking"]
    head = "".join(f"<th>{name}</th>" for name in names)
    return (
        "<details><summary>As a table, one line per second</summary>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></details>"
    )


_NOTICE: Final = (
    "<footer><p><b>How to read this.</b> The claim is the likeliest emotion where the model is "
    "sure enough; grey stretches say why there is none. Emotions: the whole distribution, "
    "stacked to 100 %. Grounds: how much face and voice had to say in it. It is what a model "
    "read in an expression, not what a person felt.</p>"
    "<p><b>Personal data.</b> This page holds no pictures and no sound, but what it says is "
    "about people: keep it no longer than needed and share it only with their consent.</p>"
    "</footer>"
)
