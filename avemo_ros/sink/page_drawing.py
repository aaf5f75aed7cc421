"""The drawing of a person on the page of a run: claims, emotions and grounds over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.sink.timeline import Person, Timeline
from avemo_ros.sink.wording import STATUS_TEXT, headline
from avemo_ros.state.estimate import EmotionEstimate

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


def draw(timeline: Timeline, person: Person, number: int, about: str) -> str:
    """The drawing of one person.

    Args:
        timeline: of the run.
        person: one of it.
        number: the place of the person's `points` on the page.
        about: the drawing in words.
    """
    scale = _Scale(timeline)
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
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" data-person="{number}" '
        f'data-left="{_LEFT}" data-right="{_WIDTH - _RIGHT}" data-end="{scale.end_s:.3f}" '
        f'role="img" aria-label="{escape(about)}">{drawing}</svg>'
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
    # Hops are unequal: neighbours in a stretch are one bar, whatever lies between them.
    for stretch in scale.timeline.stretches(person):
        open_bar = False
        for item in stretch:
            if not holds(item):
                open_bar = False
                continue
            left = bars.pop()[0] if open_bar else scale.before(item)
            bars.append((left, scale.of(item)))
            open_bar = True
    return "".join(
        f'<rect class="{name}" x="{left}" y="{top}" width="{right - left:.2f}" '
        f'height="{height}" rx="2"/>'
        for left, right in bars
    )


def points(timeline: Timeline, person: Person) -> list[list[object]]:
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
