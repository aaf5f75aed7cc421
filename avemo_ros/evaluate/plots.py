"""Plots of a report as pieces of SVG that take the page's colours, light or dark."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from avemo_ros.evaluate.calibration import BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS: Final = {
    "#0a0a01": "var(--ink)",
    "#0a0a02": "var(--soft)",
    "#0a0a03": "var(--line)",
    "#0a0a04": "var(--bar)",
    "#0a0a05": "var(--mark)",
    "#0a0a06": "var(--face)",
    "#0a0a07": "var(--voice)",
}
"""Stand-ins that matplotlib draws with and the page's style replaces."""
_INK, _SOFT, _LINE, _BAR, _MARK, _FACE, _VOICE = _COLOURS
_SETTINGS: Final = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.labelcolor": _SOFT,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "grid.color": _LINE,
    "legend.frameon": False,
}


def recall_bars(recalls: Mapping[str, float | None]) -> str:
    """Recall of each class."""
    with _canvas("recalls", 5.6, 0.36 * len(recalls) + 0.9) as (figure, axes):
        names = list(recalls)
        values = [recalls[name] or 0.0 for name in names]
        axes.barh(names, values, color=_BAR, height=0.66)
        for place, name in enumerate(names):
            known = recalls[name]
            text = "none" if known is None else f"{known:.0%}"
            axes.text(values[place] + 0.015, place, text, va="center", color=_INK)
        axes.set_xlim(0, 1.12)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        return _svg(figure, "recalls", "Recall of each class")


def reliability(bins: Mapping[str, Any], title: str, name: str) -> str:
    """Accuracy over confidence, with the number of items below.

    Args:
        bins: counts, confidence and accuracy of each bin.
        title: above the plot.
        name: of the plot, without spaces.
    """
    from matplotlib.gridspec import GridSpec

    with _canvas(name, 3.9, 4.3, axes=False) as (figure, _):
        grid = GridSpec(2, 1, figure=figure, height_ratios=(4, 1), hspace=0.12)
        upper = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        left = [place / BINS for place in range(BINS)]
        heights = [value or 0.0 for value in bins["accuracy"]]
        upper.bar(left, heights, 1 / BINS, align="edge", color=_BAR, edgecolor=_LINE, lw=0.6)
        upper.plot([0, 1], [0, 1], "--", color=_SOFT, lw=1)
        pairs = [
            (sure, right)
            for sure, right in zip(bins["confidence"], bins["accuracy"], strict=True)
            if sure is not None and right is not None
        ]
        upper.plot(*zip(*pairs, strict=True), "o", color=_MARK, ms=4)
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        upper.set_title(title, fontsize=11, color=_INK)
        upper.tick_params(labelbottom=False, length=0)
        lower.bar(left, bins["counts"], 1 / BINS, align="edge", color=_SOFT)
        lower.set(xlabel="confidence", ylabel="items")
        lower.tick_params(length=0)
        lower.locator_params(axis="y", nbins=2)
        return _svg(figure, name, f"Reliability, {title}")


def subject_bars(
    by_subject: Mapping[str, Mapping[str, float]], mean: float, interval: Sequence[float]
) -> str:
    """Accuracy of each subject, with the one of all and its interval."""
    with _canvas("subjects", 7.2, 3.0) as (figure, axes):
        names = sorted(by_subject, key=lambda name: by_subject[name]["accuracy"])
        values = [by_subject[name]["accuracy"] for name in names]
        axes.axhspan(interval[0], interval[1], color=_LINE, alpha=0.6, lw=0)
        axes.bar(range(len(names)), values, color=_BAR, width=0.72)
        axes.axhline(mean, color=_MARK, lw=1.4)
        labels = [name.split("-", 1)[-1] for name in names]
        if len(names) > 40:
            axes.set_xticks([])
            axes.set_xlabel(f"{len(names)} subjects")
        else:
            turned = 90 if max(map(len, labels)) > 3 else 0
            axes.set_xticks(range(len(names)), labels, rotation=turned, fontsize=10)
        axes.set(ylim=(0, 1), ylabel="accuracy")
        axes.margins(x=0.01)
        axes.tick_params(length=0)
        return _svg(figure, "subjects", "Accuracy of each subject")


def corruption_bars(rows: Sequence[Mapping[str, Any]], figure_name: str = "ua") -> str:
    """A figure of the fused model and of either modality alone, condition by condition."""
    parts = [part for part in ("fused", "face", "voice") if any(part in row for row in rows)]
    colours = {"fused": _MARK, "face": _FACE, "voice": _VOICE}
    with _canvas("corruptions", 6.4, 0.62 * len(rows) + 1.0) as (figure, axes):
        height = 0.8 / len(parts)
        for place, part in enumerate(parts):
            values = [row.get(part, {}).get(figure_name, math.nan) for row in rows]
            middles = [
                index + (place - (len(parts) - 1) / 2) * height for index in range(len(rows))
            ]
            label = part if len(parts) > 1 else None
            axes.barh(middles, values, height * 0.9, color=colours[part], label=label)
            for middle, value in zip(middles, values, strict=True):
                if math.isfinite(value):
                    axes.text(
                        value + 0.01,
                        middle,
                        f"{value:.0%}",
                        va="center",
                        fontsize=9,
                        color=_SOFT,
                    )
        axes.set_yticks(range(len(rows)), [row["condition"] for row in rows])
        axes.set_xlim(0, 1.08)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        if len(parts) > 1:
            axes.legend(
                loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=10, borderpad=0
            )
        return _svg(figure, "corruptions", "Figures under corruption")


class _canvas:  # noqa: N801 - reads as a verb where it is used
    """A figure in the page's style, drawn without a display."""

    def __init__(self, name: str, width: float, height: float, *, axes: bool = True) -> None:
        import matplotlib as mpl

        self._style = mpl.rc_context({**_SETTINGS, "svg.hashsalt": name})
        self._size = (width, height)
        self._axes = axes

    def __enter__(self) -> tuple[Figure, Axes]:
        from matplotlib.figure import Figure

        self._style.__enter__()
        figure = Figure(figsize=self._size, layout="constrained")
        figure.patch.set_alpha(0)
        axes: Any = figure.add_subplot() if self._axes else None
        if axes is not None:
            axes.patch.set_alpha(0)
        return figure, axes

    def __exit__(self, *error: Any) -> None:
        self._style.__exit__(*error)


def _svg(figure: Figure, name: str, title: str) -> str:
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    # As wide as it was drawn and no wider than the screen; fonts are the page's.
    width = re.search(r'width="([\d.]+)pt"', text)
    assert width is not None
    text = re.sub(r'(width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace(
        "<svg", f'<svg role="img" aria-label="{title}" style="max-width:{width.group(1)}pt"', 1
    )
    # Names of parts must be the only ones on the page.
    text = re.sub(r'id="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    return re.sub(r'xlink:href="#', f'xlink:href="#{name}-', text)
