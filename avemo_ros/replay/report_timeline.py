"""The timeline of one labelled person: what is true, what was said, and on what grounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from typing import Final

from avemo_ros.labels import UNKNOWN
from avemo_ros.replay.report_parts import Html
from avemo_ros.sink.palette import INKS
from avemo_ros.sink.timeline import Person, Timeline
from avemo_ros.state.estimate import EmotionEstimate

_NAMES: Final = 92
"""Room for the names of the rows [pixels]."""
_LEAST: Final = 950
_MOST: Final = 24_000
"""Width of a drawing [pixels]."""
_SECOND: Final = 10.0
"""Width of a second of a recording that is longer than the least width shows [pixels]."""
_GAP: Final = 6
_TRUTH: Final = 20
_CLAIM: Final = 24
_RIGHT: Final = 6
_SURE: Final = 48
_GROUNDS: Final = 22
SHOT: Final = 64
"""Heights of the rows [pixels]."""
_LETTER: Final = 7.4
"""Width of a letter, to see whether a word fits [pixels]."""
_WORD: Final = 900.0
"""A long stretch names its label about this often [pixels], so that one is in sight; what fits
the page names it once, or it would look like two stretches."""
_STEPS: Final = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of time with a label."""

    start_s: float
    end_s: float
    label: str
    told: str
    """What the pointer shows."""
    anchor: str = ""
    """Name of this place on the page."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A small picture at its time."""

    at_s: float
    address: str
    """A `data:` address of a JPEG."""
    width: int
    height: int
    """As it is shown [pixels]."""


@dataclass(frozen=True, slots=True)
class Track:
    """All that is drawn of one person."""

    name: str
    truth: Mapping[str, tuple[Mark, ...]]
    """By name of the row: of all, then of each annotator."""
    said: tuple[EmotionEstimate, ...]
    """Oldest first."""
    judged: tuple[Mark, ...] = ()
    """Stretches that were judged: label 'right', 'wrong' or 'blank'."""
    shots: tuple[Shot, ...] = field(default=())


def draw(track: Track, timeline: Timeline) -> str:
    """The drawing, with the names of its rows fixed at the left.

    Args:
        track: of the person.
        timeline: of all hops of the recording.
    """
    canvas = _Canvas(timeline)
    for name, marks in track.truth.items():
        canvas.row(name, _TRUTH, _labels(canvas, marks, "truth"))
    canvas.row("said", _CLAIM, _claims(canvas, timeline, track.said))
    if track.judged:
        canvas.row("right", _RIGHT, _judged(canvas, track.judged))
    stretches = timeline.stretches(Person(track.name, list(track.said)))
    canvas.row("confidence", _SURE, "".join(_sure(canvas, part) for part in stretches))
    canvas.row("grounds", _GROUNDS, "".join(_grounds(canvas, part) for part in stretches))
    if track.shots:
        canvas.row("pictures", SHOT, _pictures(canvas, track.shots))
    return canvas.svg(f"Timeline of {track.name or 'whom the robot attends to'}")


def draw_claims(
    what: str, duration_s: float, rows: Sequence[tuple[str, str, Sequence[Mark]]]
) -> str:
    """Rows of labelled stretches alone, one under the other.

    Args:
        what: is drawn, for those who cannot see it.
        duration_s: of the recording.
        rows: of each its name, its kind ('truth', 'said', or 'judged', whose labels are
            'right', 'wrong' and 'blank'), and what it holds.
    """
    canvas = _Canvas(Timeline(what, 0, duration_s))
    for name, kind, marks in rows:
        if kind == "judged":
            canvas.row(name, _RIGHT, _judged(canvas, marks))
        else:
            height = _TRUTH if kind == "truth" else _CLAIM
            canvas.row(name, height, _labels(canvas, marks, kind))
    return canvas.svg(what)


class _Canvas:
    """Rows from top to bottom over one axis of time."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.end_s = max(timeline.duration_s, 0.5)
        self.hop_s = timeline.hop_s
        self.width = int(min(max(_LEAST, _SECOND * self.end_s), _MOST))
        self.top = 4
        self.height = 0
        self._names: list[str] = []
        self._drawn: list[str] = []

    def x(self, seconds: float) -> float:
        """Place of a time, kept within the drawing."""
        inside = min(max(seconds, 0.0), self.end_s)
        return round((self.width - 24) * inside / self.end_s + 2, 1)

    def t(self, stamp_ns: int) -> float:
        """Seconds from the start."""
        return self._timeline.t(stamp_ns)

    def row(self, name: str, height: int, drawn: str) -> None:
        """Add a row; `drawn` has its upper edge at 0."""
        short = name if len(name) <= 13 else f"{name[:12]}…"
        self._names.append(
            f'<text x="0" y="{self.top + height / 2 + 4:.0f}">{escape(short)}'
            f"<title>{escape(name)}</title></text>"
        )
        ground = (
            f'<rect class="row" x="{self.x(0)}" width="{self.x(self.end_s) - self.x(0):.1f}" '
            f'height="{height}"/>'
        )
        self._drawn.append(f'<g transform="translate(0 {self.top})">{ground}{drawn}</g>')
        self.top += height + _GAP

    def svg(self, what: str) -> str:
        """Names and drawing."""
        step = next((s for s in _STEPS if self.width * s / self.end_s >= 64), 1800)
        axis = []
        for place in range(int(self.end_s / step) + 1):
            x = self.x(place * step)
            axis.append(f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="{self.top}"/>')
            axis.append(
                f'<text class="time" x="{max(x, 8)}" y="{self.top + 13}">{place * step:g} s'
                "</text>"
            )
        high = self.top + 20
        return (
            f'<div class="line"><svg class="names" width="{_NAMES}" height="{high}" '
            f'aria-hidden="true">{"".join(self._names)}</svg>'
            f'<div class="wide" tabindex="0"><svg width="{self.width}" height="{high}" '
            f'role="img" aria-label="{escape(what)}">{"".join(axis)}{"".join(self._drawn)}'
            "</svg></div></div>"
        )


def _labels(canvas: _Canvas, marks: Iterable[Mark], kind: str) -> str:
    return "".join(
        _labelled(canvas, mark, _TRUTH if kind == "truth" else _CLAIM, kind) for mark in marks
    )


def _claims(canvas: _Canvas, timeline: Timeline, said: Sequence[EmotionEstimate]) -> str:
    marks = (
        Mark(run.start_s, run.end_s, run.label, f"said {run.start_s:.1f} to {run.end_s:.1f} s: "
             f"{run.text if run.label != UNKNOWN else f'no claim, {run.text}'}")
        for run in timeline.runs(Person("", list(said)))
    )  # fmt: skip
    return _labels(canvas, marks, "said")


def _labelled(canvas: _Canvas, mark: Mark, height: int, kind: str) -> str:
    left = canvas.x(mark.start_s)
    width = max(canvas.x(mark.end_s) - left - 0.6, 0.6)
    known = mark.label in INKS and mark.label != UNKNOWN
    look = f'style="fill:var(--{mark.label})"' if known else ""
    place = f' id="{mark.anchor}"' if mark.anchor else ""
    drawn = (
        f'<rect{place} class="{kind}{"" if known else " unknown"}" {look} x="{left}" '
        f'width="{width:.1f}" height="{height}" rx="2">'
        f"<title>{escape(mark.told)}</title></rect>"
    )
    if known and len(mark.label) * _LETTER + 6 < width:
        words = max(1, round(width / _WORD))
        drawn += "".join(
            f'<text class="word" style="fill:var(--on-{mark.label})" '
            f'x="{left + width * (place + 0.5) / words:.1f}" y="{height / 2 + 4.5}">'
            f"{mark.label}</text>"
            for place in range(words)
        )
    return drawn


def _judged(canvas: _Canvas, marks: Iterable[Mark]) -> str:
    drawn = []
    for mark in marks:
        left = canvas.x(mark.start_s)
        drawn.append(
            f'<rect class="{mark.label}" x="{left}" '
            f'width="{max(canvas.x(mark.end_s) - left, 0.4):.1f}" height="{_RIGHT}">'
            f"<title>{escape(mark.told)}</title></rect>"
        )
    return "".join(drawn)


def _sure(canvas: _Canvas, stretch: Sequence[EmotionEstimate]) -> str:
    """The confidence, where there is a distribution."""
    drawn = [
        f'<line class="tick" x1="{canvas.x(0)}" x2="{canvas.x(canvas.end_s)}" y1="{_SURE / 2}" '
        f'y2="{_SURE / 2}"/>'
    ]
    for sure, part in groupby(stretch, lambda item: bool(item.probabilities)):
        if sure:
            xs, items = _curve(canvas, list(part))
            ys = [_SURE * (1 - item.confidence) for item in items]
            points = " ".join(f"{x},{y:.1f}" for x, y in zip(xs, ys, strict=True))
            drawn.append(f'<polyline class="sure" points="{points}"/>')
    return "".join(drawn)


def _grounds(canvas: _Canvas, stretch: Sequence[EmotionEstimate]) -> str:
    """Shares of face (below) and voice (above)."""
    drawn = []
    for decided, part in groupby(stretch, lambda item: item.face_share + item.voice_share > 0):
        if not decided:
            continue
        xs, items = _curve(canvas, list(part))
        ys = [_GROUNDS * (1 - item.face_share) for item in items]
        edge = [f"{x},{y:.1f}" for x, y in zip(xs, ys, strict=True)]
        for name, level in (("face", _GROUNDS), ("voice", 0)):
            points = " ".join([f"{xs[0]},{level}", *edge, f"{xs[-1]},{level}"])
            drawn.append(f'<polygon style="fill:var(--{name})" points="{points}"/>')
    return "".join(drawn)


def _pictures(canvas: _Canvas, shots: Iterable[Shot]) -> str:
    """Those that fit beside one another."""
    drawn, free = [], 0.0
    for shot in shots:
        left = min(canvas.x(shot.at_s), canvas.width - shot.width)
        if left < free:
            continue
        free = left + shot.width + 2
        drawn.append(
            f'<image x="{left:.1f}" width="{shot.width}" height="{shot.height}" '
            f'href="{shot.address}"><title>{shot.at_s:.1f} s</title></image>'
        )
    return "".join(drawn)


def _curve(
    canvas: _Canvas, items: list[EmotionEstimate]
) -> tuple[list[float], list[EmotionEstimate]]:
    """Points of a curve: no more than one a pixel, and one where the first began to hold."""
    span = canvas.x(canvas.t(items[-1].stamp_ns)) - canvas.x(canvas.t(items[0].stamp_ns))
    kept = items[:: max(1, len(items) // max(int(span), 1))]
    if kept[-1] is not items[-1]:
        kept.append(items[-1])
    began = canvas.x(canvas.t(items[0].stamp_ns) - canvas.hop_s)
    return [began, *(canvas.x(canvas.t(item.stamp_ns)) for item in kept)], [kept[0], *kept]


def legend(labels: Iterable[str], *, grounds: bool = True) -> Html:
    """What the colours mean; `grounds`: with those of face and voice."""
    keys = [f'<li><i style="background:var(--{name})"></i>{name}</li>' for name in labels]
    keys.append('<li><i class="none"></i>no claim</li>')
    keys += [f'<li><i style="background:var(--{name})"></i>{name}</li>'
             for name in ("face", "voice") if grounds]  # fmt: skip
    keys += [f'<li><i style="background:var(--{colour})"></i>{name}</li>'
             for colour, name in (("good", "right"), ("bad", "wrong"))]  # fmt: skip
    return Html(f'<ul class="legend">{"".join(keys)}</ul>')
