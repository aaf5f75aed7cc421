"""Plots as SVG in the page's own colours: drawn by hand, the robot has no plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Final

_WIDTH: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 26, 12, 40
"""Room around a plot for its numbers."""
_MOST_CELLS: Final = 30
"""Cells of a histogram."""


def reliability(
    edges: Sequence[float],
    counts: Sequence[int],
    confidence: Sequence[float | None],
    accuracy: Sequence[float | None],
) -> str:
    """Accuracy over confidence, with the number of items of each bin below.

    Args:
        edges: of the B bins, B + 1 numbers from 0 to 1.
        counts: items of each bin.
        confidence: mean confidence of each bin; None where it is empty.
        accuracy: share of right answers of each bin; None where it is empty.
    """
    plot = _Plot(300, (0.0, 1.0), (0.0, 1.0), bottom=100)
    drawn = [plot.grid("accuracy", percent=True)]
    most = max([*counts, 1])
    floor = plot.bottom + 82
    dots = [plot.line([(0, 0), (1, 1)], "ideal")]
    for (low, high), count, sure, right in zip(
        pairwise(edges), counts, confidence, accuracy, strict=True
    ):
        if sure is None or right is None:
            continue
        told = f"confidence {sure:.0%}: {right:.0%} of {count} right"
        left, wide = plot.x(low), plot.x(high) - plot.x(low)
        drawn.append(_bar(left, plot.y(right), wide, plot.bottom - plot.y(right), told))
        dots.append(_dot(plot.x(sure), plot.y(right), told))
        tall = 40 * count / most
        drawn.append(_bar(left, floor - tall, wide, tall, f"{count} items"))
    drawn += dots
    drawn.append(_text(plot.left - 6, floor - 32, f"{most}", "end"))
    drawn.append(_text(plot.left - 6, floor, "items", "end"))
    drawn.append(plot.under("confidence"))
    return plot.svg(drawn, "Reliability diagram: accuracy over confidence")


def coverage_curve(
    points: Sequence[tuple[float, float]], at: tuple[float, float] | None
) -> str:
    """Accuracy of the answers that are kept when only the surest are.

    Args:
        points: coverage and accuracy, 0 to 1.
        at: where the settings in use are; None where nothing was claimed.
    """
    plot = _Plot(250, (0.0, 1.0), (0.0, 1.0))
    drawn = [
        plot.grid("accuracy", percent=True),
        plot.line(sorted(points), "curve"),
        plot.under("coverage"),
    ]
    if at is not None:
        told = f"as configured: {at[1]:.0%} right at a coverage of {at[0]:.0%}"
        drawn.append(_dot(plot.x(at[0]), plot.y(at[1]), told))
    return plot.svg(drawn, "Accuracy over coverage")


def histogram(values: Sequence[float], unit: str, what: str) -> str:
    """How often each value occurs; the largest hundredth is in the last cell.

    Args:
        values: at least one, not negative.
        unit: e.g. 'ms'.
        what: that is counted, for those who cannot see it.
    """
    ordered = sorted(values)
    top = ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)]
    step = _round_up(max(top, 1e-3) / _MOST_CELLS)
    # Up to a number that its quarters show as round numbers.
    cells = 4 * max(1, math.ceil(top / step / 4 + 1e-9))
    counts = [0] * cells
    for value in ordered:
        counts[min(int(value / step), cells - 1)] += 1
    plot = _Plot(200, (0.0, cells * step), (0.0, float(max(counts))))
    drawn = [plot.grid("", numbers=False)]
    for place, count in enumerate(counts):
        left, wide = plot.x(place * step), plot.x((place + 1) * step) - plot.x(place * step)
        told = f"{place * step:g} to {(place + 1) * step:g} {unit}: {count}"
        drawn.append(_bar(left, plot.y(count), wide, plot.bottom - plot.y(count), told))
    for share, name in ((0.5, "median"), (0.95, "95 %")):
        value = ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        at = plot.x(min(value, cells * step))
        drawn.append(
            f'<line class="ideal" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{plot.bottom}">'
            f"<title>{name}: {value:.1f} {escape(unit)}</title></line>"
        )
    drawn.append(plot.under(unit))
    return plot.svg(drawn, what)


class _Plot:
    """Where numbers lie in the drawing."""

    def __init__(
        self,
        height: int,
        across: tuple[float, float],
        up: tuple[float, float],
        bottom: int = _BOTTOM,
    ) -> None:
        self.height = height
        self.left = _LEFT
        self.bottom = height - bottom
        self._across, self._up = across, up

    def x(self, value: float) -> float:
        low, high = self._across
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self._up
        return self.bottom - (self.bottom - _TOP) * (value - low) / max(high - low, 1e-9)

    def grid(self, name: str, *, percent: bool = False, numbers: bool = True) -> str:
        """Lines and numbers."""
        low, high = self._up
        drawn = []
        for quarter in range(5):
            value = low + (high - low) * quarter / 4
            y = self.y(value)
            drawn.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/>'
            )
            if numbers:
                text = f"{value:.0%}" if percent else f"{value:g}"
                drawn.append(_text(_LEFT - 6, y + 4, text, "end"))
        for quarter in range(5):
            value = self._across[0] + (self._across[1] - self._across[0]) * quarter / 4
            text = f"{value:.0%}" if percent else f"{value:g}"
            drawn.append(_text(self.x(value), self.bottom + 16, text, "middle"))
        if name:
            drawn.append(
                f'<text transform="rotate(-90)" x="{-(self.bottom + _TOP) / 2:.0f}" y="10" '
                f'text-anchor="middle">{escape(name)}</text>'
            )
        return "".join(drawn)

    def under(self, name: str) -> str:
        """What the numbers across are."""
        return _text((_LEFT + _WIDTH - _RIGHT) / 2, self.bottom + 32, name, "middle")

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> str:
        """A curve."""
        at = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline class="{kind}" points="{at}"/>'

    def svg(self, drawn: Sequence[str], what: str) -> str:
        """The whole drawing."""
        return (
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {self.height}" role="img" '
            f'aria-label="{escape(what)}">{"".join(drawn)}</svg>'
        )


def _bar(x: float, y: float, width: float, height: float, told: str) -> str:
    return (
        f'<rect class="bar" x="{x + 0.5:.1f}" y="{y:.1f}" width="{max(width - 1, 0.5):.1f}" '
        f'height="{max(height, 0):.1f}"><title>{escape(told)}</title></rect>'
    )


def _dot(x: float, y: float, told: str) -> str:
    return (
        f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="4.5">'
        f"<title>{escape(told)}</title></circle>"
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))
