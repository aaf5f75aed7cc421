"""A run as one HTML file: what was claimed of whom, when, and on what grounds.

The file needs no network and holds no picture and no sound.  It reads in light and dark.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.sink.atomic import replaced
from avemo_ros.sink.palette import INKS, variables
from avemo_ros.sink.timeline import Person, Timeline
from avemo_ros.sink.wording import STATUS_TEXT, headline
from avemo_ros.state.estimate import EmotionEstimate, Status

_WIDTH: Final = 1000
"""Of a person's drawing, in its own units."""
_LEFT: Final = 84
"""Room for the names of the rows."""
_RIGHT: Final = 18
"""Room for the half of the last time that sticks out."""
_HEIGHT: Final = 290
_CLAIM: Final = (8, 26)
_EMOTIONS: Final = (46, 130)
_GROUNDS: Final = (190, 26)
_SPEAKS: Final = (230, 8)
_ATTENDED: Final = (248, 8)
"""Upper edge and height of each row."""
_AXIS: Final = 264
_MOST_POINTS: Final = 1200
"""Curves of longer runs are thinned to about this many points."""
_LETTER: Final = 7.6
_QUIET_LETTER: Final = 6.6
"""Widths of a letter in the drawing, to see whether a word fits."""


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
    scale = _Scale(timeline)
    sections = [_person(scale, person, number) for number, person in enumerate(people)]
    points = json.dumps([_points(timeline, person) for person in people]).replace("</", "<\\/")
    title = escape(timeline.title)
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}: emotion timeline</title><style>{_style()}</style></head>",
            f"<body><main><h1>{title}</h1>",
            '<p class="sub">Emotion from face and voice over time, as avemo_ros read it</p>',
            _summary(timeline),
            _legend() if people else "",
            *(sections or [_nobody(timeline)]),
            _NOTICE,
            '</main><div id="tip" hidden></div>',
            f'<script type="application/json" id="points">{points}</script>',
            f"<script>{_SCRIPT}</script></body></html>\n",
        )
    )


class _Scale:
    """Where a time lies in the drawing."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._hop_s = timeline.hop_s
        self.end_s = max(timeline.duration_s, 1.0)

    def x(self, seconds: float) -> float:
        """Seconds from the start in units of the drawing."""
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / self.end_s, 2)

    def of(self, estimate: EmotionEstimate) -> float:
        """The end of the estimate's window in units of the drawing."""
        return self.x(self.timeline.t(estimate.stamp_ns))

    def before(self, estimate: EmotionEstimate) -> float:
        """One hop earlier: where the estimate before would be."""
        return self.x(max(0.0, self.timeline.t(estimate.stamp_ns) - self._hop_s))


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
    )
    why = f": {reasons}" if reasons else ""
    return f'<section><p class="empty">Nobody was seen or heard{why}.</p></section>'


def _person(scale: _Scale, person: Person, number: int) -> str:
    """Heading, drawing and table of one person."""
    timeline = scale.timeline
    total = len(person.estimates)
    counts = Counter(item.label for item in person.estimates)
    shares = ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common(4))
    spoken = sum(item.speaking for item in person.estimates) * timeline.hop_s
    first, last = person.estimates[0], person.estimates[-1]
    facts = (
        f"{timeline.t(first.stamp_ns):.1f} to {timeline.t(last.stamp_ns):.1f} s; {shares}; "
        f"speaking {spoken:.1f} s"
    )
    drawing = "".join(
        (
            _axis(scale),
            _claims(scale, person),
            *(_curves(scale, stretch) for stretch in timeline.stretches(person)),
            _strip(scale, person, "speaking", _SPEAKS, lambda item: item.speaking),
            _strip(
                scale,
                person,
                "attended",
                _ATTENDED,
                lambda item: item.stamp_ns in person.attended_ns,
            ),
            f'<line class="cursor" y1="0" y2="{_AXIS}" x1="-9" x2="-9"/>',
        )
    )
    label = escape(f"Timeline of {person.name}, {facts}")
    return (
        f"<section><h2>{escape(person.name)}</h2><p>{escape(facts)}</p>"
        f'<div class="wide"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" data-person="{number}" '
        f'data-left="{_LEFT}" data-right="{_WIDTH - _RIGHT}" data-end="{scale.end_s:.3f}" '
        f'role="img" aria-label="{label}">{drawing}</svg></div>'
        f"{_table(scale, person)}</section>"
    )


def _axis(scale: _Scale) -> str:
    """Names of the rows, and a tick at every round number of seconds."""
    steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
    step = next((item for item in steps if scale.end_s / item <= 12), 7200)
    drawn = []
    for (top, height), name in (
        (_CLAIM, "claim"),
        (_EMOTIONS, "emotions"),
        (_GROUNDS, "grounds"),
        (_SPEAKS, "speaking"),
        (_ATTENDED, "attended"),
    ):
        middle = top + height / 2 + 4
        drawn.append(f'<text class="name" x="0" y="{middle}">{name}</text>')
        drawn.append(
            f'<rect class="row" x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT - _RIGHT}" '
            f'height="{height}"/>'
        )
    for index in range(int(scale.end_s / step) + 1):
        x = scale.x(index * step)
        drawn.append(f'<line class="tick" x1="{x}" x2="{x}" y1="4" y2="{_AXIS}"/>')
        text = f"{index * step:g} s"
        drawn.append(f'<text class="time" x="{x}" y="{_AXIS + 16}">{text}</text>')
    return "".join(drawn)


def _claims(scale: _Scale, person: Person) -> str:
    """The ribbon of labels."""
    top, height = _CLAIM
    drawn = []
    for run in scale.timeline.runs(person):
        left, right = scale.x(run.start_s), scale.x(run.end_s)
        style = (
            'class="unknown"'
            if run.label == UNKNOWN
            else f'style="fill:var(--{run.label})" class="claim"'
        )
        width = max(right - left - 1, 0.5)
        drawn.append(
            f'<rect {style} x="{left}" y="{top}" width="{width:.2f}" height="{height}" rx="3"/>'
        )
        unknown = run.label == UNKNOWN
        if len(run.text) * (_QUIET_LETTER if unknown else _LETTER) + 4 < width:
            colour = "soft" if unknown else f"on-{run.label}"
            kind = "quiet" if unknown else "word"
            middle = (left + right) / 2
            drawn.append(
                f'<text class="{kind}" style="fill:var(--{colour})" x="{middle:.1f}" '
                f'y="{top + height / 2 + 4.5}">{run.text}</text>'
            )
    return "".join(drawn)


def _curves(scale: _Scale, stretch: Sequence[EmotionEstimate]) -> str:
    """Stacked distribution and stacked shares of face and voice."""
    parts: list[list[EmotionEstimate]] = [[]]
    for item in stretch:
        if item.probabilities:
            parts[-1].append(item)
        elif parts[-1]:
            parts.append([])
    drawn = []
    for part in parts:
        if not part:
            continue
        thin = part[:: max(1, len(part) // _MOST_POINTS)]
        if thin[-1] is not part[-1]:
            thin.append(part[-1])
        xs = [scale.before(thin[0]), *(scale.of(item) for item in thin)]
        shares = np.array([thin[0].probabilities, *(item.probabilities for item in thin)])
        drawn.append(_stack(xs, shares, EMOTIONS, _EMOTIONS))
        grounds = np.array([(item.face_share, item.voice_share) for item in (thin[0], *thin)])
        drawn.append(_stack(xs, grounds, ("face", "voice"), _GROUNDS))
        drawn.append(_ground_words(xs, grounds))
    return "".join(drawn)


def _stack(
    xs: Sequence[float], shares: NDArray[np.float64], names: Sequence[str], row: tuple[int, int]
) -> str:
    """Areas on top of one another, the first name lowest."""
    top, height = row

    def edge(level: NDArray[np.float64]) -> list[str]:
        shares = np.minimum(level, 1.0)
        return [f"{x},{top + height * (1 - y):.1f}" for x, y in zip(xs, shares, strict=True)]

    levels = [np.zeros(len(xs)), *accumulate(shares.T)]
    drawn = []
    for name, low, high in zip(names, levels[:-1], levels[1:], strict=True):
        around = " ".join(edge(high) + edge(low)[::-1])
        drawn.append(f'<polygon class="area" style="fill:var(--{name})" points="{around}"/>')
    return "".join(drawn)


def _ground_words(xs: Sequence[float], grounds: NDArray[np.float64]) -> str:
    """'face' and 'voice' written into their areas where these are thick and wide."""
    top, height = _GROUNDS
    drawn = []
    for column, name in enumerate(("face", "voice")):
        thick = grounds[:, column] > 0.4
        edges = np.flatnonzero(np.diff(np.concatenate(([0], thick.astype(int), [0]))))
        for start, end in zip(edges[::2], edges[1::2] - 1, strict=True):
            if xs[end] - xs[start] > 50:
                x = (xs[start] + xs[end]) / 2
                share = grounds[start : end + 1, column].mean()
                middle = share / 2 if column == 0 else 1 - share / 2
                y = top + height * (1 - middle) + 4
                drawn.append(f'<text class="ground" x="{x:.1f}" y="{y:.1f}">{name}</text>')
    return "".join(drawn)


def _strip(
    scale: _Scale,
    person: Person,
    name: str,
    row: tuple[int, int],
    holds: Callable[[EmotionEstimate], bool],
) -> str:
    """Bars over the time in which something holds."""
    top, height = row
    bars: list[tuple[float, float]] = []
    for item in person.estimates:
        if not holds(item):
            continue
        left, right = scale.before(item), scale.of(item)
        if bars and left - bars[-1][1] < 0.6 * (right - left):
            bars[-1] = (bars[-1][0], right)
        else:
            bars.append((left, right))
    return "".join(
        f'<rect class="{name}" x="{left}" y="{top}" width="{right - left:.2f}" '
        f'height="{height}" rx="2"/>'
        for left, right in bars
    )


def _table(scale: _Scale, person: Person) -> str:
    """One line per second, for those who cannot use the drawing."""
    timeline = scale.timeline
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


def _points(timeline: Timeline, person: Person) -> list[list[object]]:
    """What the pointer shows: time, headline, status, distribution, shares."""
    kept = person.estimates[:: max(1, len(person.estimates) // _MOST_POINTS)]
    return [
        [
            round(timeline.t(item.stamp_ns), 2),
            headline(item),
            STATUS_TEXT[item.status],
            [round(100 * share) for share in item.probabilities],
            round(100 * item.face_share),
            round(100 * item.voice_share),
        ]
        for item in kept
    ]


def _style() -> str:
    light = "".join(variables(name, ink.light) for name, ink in INKS.items())
    dark = "".join(variables(name, ink.dark) for name, ink in INKS.items())
    return (
        f":root{{color-scheme:light dark;{light}{_LIGHT}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{dark}{_DARK}}}}}{_RULES}"
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

_LIGHT: Final = (
    "--bg:#f6f7f9;--card:#fff;--ink:#1c2128;--soft:#59636e;--line:#d8dee4;--row:#eef1f4;"
    "--face:#7fa8a3;--voice:#c3a27a;--ground:#10201e;"
)
_DARK: Final = (
    "--bg:#0f1318;--card:#181d24;--ink:#e8ecf1;--soft:#9aa5b1;--line:#2f3742;--row:#222932;"
    "--face:#5f9089;--voice:#a98455;--ground:#f2f6f5;"
)
_RULES: Final = """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:0}
.sub,section p,footer,dt,dd+dd{color:var(--soft)}
.sub{margin:2px 0 18px}
section p{margin:0 0 10px;font-size:14px}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 18px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px 16px;min-width:112px}
dt{font-size:13px}dd{margin:0;font-size:20px;font-weight:600;overflow-wrap:anywhere}
dd+dd{font-size:12px;font-weight:400}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;list-style:none;margin:0 0 14px;padding:0;
font-size:14px}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;
vertical-align:-1px}
.legend .none{background:var(--row);border:1px solid var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:16px 18px;margin:0 0 16px}
.wide{overflow-x:auto}
svg{display:block;width:100%;min-width:720px;height:auto;font:12px system-ui,sans-serif}
.row{fill:var(--row)}.tick{stroke:var(--line)}
.name,.time{fill:var(--soft)}.time{text-anchor:middle;font-size:11px}
.unknown{fill:var(--row);stroke:var(--soft);stroke-opacity:.45;stroke-dasharray:3 3}
.word,.quiet,.ground{text-anchor:middle;pointer-events:none}
.word{font-weight:600}.quiet{font-size:11px}.ground{fill:var(--ground);font-size:11px}
.area{stroke:var(--card);stroke-width:.8}
.speaking{fill:var(--ink)}.attended{fill:var(--soft)}
.cursor{stroke:var(--ink);stroke-width:1}
details{margin-top:10px;font-size:14px}summary{cursor:pointer;color:var(--soft)}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:500}
footer{font-size:13px;max-width:76ch}
#tip{position:fixed;background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:8px 12px;font-size:13px;pointer-events:none;box-shadow:0 4px 16px #0004;
white-space:pre;font-family:ui-monospace,monospace;font-variant-numeric:tabular-nums}
"""

_SCRIPT: Final = (
    f"const NAMES={json.dumps(EMOTIONS)};"
    """
const people = JSON.parse(document.getElementById("points").textContent);
const tip = document.getElementById("tip");
for (const svg of document.querySelectorAll("svg[data-person]")) {
  const points = people[svg.dataset.person];
  const left = +svg.dataset.left, right = +svg.dataset.right, end = +svg.dataset.end;
  const cursor = svg.querySelector(".cursor");
  svg.addEventListener("pointermove", event => {
    const at = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(svg.getScreenCTM().inverse());
    const t = (at.x - left) / (right - left) * end;
    const near = points.reduce((a, b) => Math.abs(b[0] - t) < Math.abs(a[0] - t) ? b : a);
    const x = left + near[0] / end * (right - left);
    cursor.setAttribute("x1", x); cursor.setAttribute("x2", x);
    const lines = near[3].map((p, i) => NAMES[i].padEnd(9) + String(p).padStart(4) + " %");
    tip.textContent = near[0].toFixed(2) + " s   " + near[1] + "\\n" + near[2]
      + (lines.length ? "\\n" + lines.join("\\n")
        + "\\nface " + near[4] + " %, voice " + near[5] + " %" : "");
    tip.hidden = false;
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - wide - 8) + "px";
    tip.style.top = Math.min(event.clientY + 14, innerHeight - high - 8) + "px";
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true; cursor.setAttribute("x1", -9); cursor.setAttribute("x2", -9);
  });
}
"""
)
