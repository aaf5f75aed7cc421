"""Figures that a reader can zoom, filter by the legend and save, made with plotly.

They are made in the light colours; the page swaps each colour for its dark one where the
reader's system is dark (`templates/page.js`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import pairwise
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from avemo_ros.sink.presentation import LIGHT

_MOST_CELLS: Final = 30
"""Cells of a histogram."""
_TURNED_FROM: Final = 4
"""Longer names below a figure of subjects are turned."""
_MOST_NAMED: Final = 40
"""Subjects that are named below their bars."""
_QUARTERS: Final = (0, 0.25, 0.5, 0.75, 1)

HOUSE: Final[dict[str, Any]] = {
    "layout": {
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": LIGHT["soft"]},
        "paper_bgcolor": LIGHT["card"],
        "plot_bgcolor": LIGHT["card"],
        "margin": {"l": 8, "r": 14, "t": 30, "b": 8, "pad": 4},
        "xaxis": {
            "automargin": True,
            "gridcolor": LIGHT["line"],
            "linecolor": LIGHT["line"],
            "zeroline": False,
            "title": {"standoff": 8},
        },
        "yaxis": {
            "automargin": True,
            "gridcolor": LIGHT["line"],
            "linecolor": LIGHT["line"],
            "zeroline": False,
            "title": {"standoff": 8},
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yanchor": "bottom",
            "yref": "container",
            "itemsizing": "constant",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"color": LIGHT["ink"]},
        },
        "hoverlabel": {
            "align": "left",
            "bgcolor": LIGHT["card"],
            "bordercolor": LIGHT["soft"],
            "font": {"color": LIGHT["ink"]},
            "namelength": -1,
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": LIGHT["soft"],
            "activecolor": LIGHT["mark"],
        },
        "bargap": 0.1,
        "hovermode": "closest",
    }
}
"""plotly's template for all figures; the page holds it once."""


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure on a page."""

    figure: go.Figure
    about: str
    """What it shows, for those who cannot see it; also the name of the file it is saved to."""
    shots: tuple[Mapping[str, object], ...] = ()
    """Small images along the x axis: of each `at` [s], `width` [pixels] and `src`."""
    most_wide: int = 0
    """Width that it does not exceed [pixels]; 0: none."""
    room: int = 0
    """How much higher it is on a narrow screen, where the legend takes more lines [pixels]."""

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.figure.layout.height)

    @cached_property
    def json(self) -> str:
        """Data and layout, for `Plotly.newPlot`."""
        more = json.dumps({"shots": self.shots, "room": self.room}, separators=(",", ":"))
        return f"{str(self.figure.to_json(engine='json'))[:-1]},{more[1:]}"


def plain(text: object) -> str:
    """Text as plotly shows it: it reads some HTML in labels, which is no bag's to write."""
    return escape(str(text), quote=False)


def figure(traces: Sequence[Any], height: int, **layout: Any) -> go.Figure:
    """A figure without a template of its own; the page gives it HOUSE.

    Args:
        traces: of plotly.
        height: of the whole figure [pixels].
        layout: as `plotly.graph_objects.Layout` takes it.
    """
    return go.Figure(traces, go.Layout(template={}, height=height, uirevision="keep", **layout))


def share_axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis from 0 to 100 %."""
    return {
        "range": [0, 1],
        "tickvals": _QUARTERS,
        "tickformat": ".0%",
        "title": {"text": title},
        **more,
    }


def confusion(names: Sequence[str], rows: Sequence[Sequence[float]], what: str) -> Chart:
    """A confusion matrix in % of the row.

    Args:
        names: of the classes.
        rows: counts, of soft labels with fractions; rows are the truth, columns the answer.
        what: is counted, e.g. 'segments'.
    """
    counts = np.round(np.array(rows, dtype=np.float64).reshape(len(names), len(names)), 1)
    if (counts == counts.astype(np.int64)).all():
        counts = counts.astype(np.int64)
    whole = counts.sum(1, keepdims=True)
    shares = 100 * counts / np.where(whole > 0, whole, 1)
    texts = [
        [_cell(share, count, hit=row == column)
         for column, (share, count) in enumerate(zip(*pair, strict=True))]
        for row, pair in enumerate(zip(shares, counts, strict=True))
    ]  # fmt: skip
    shown = [plain(name) for name in names]
    trace = go.Heatmap(
        z=np.round(shares, 1),
        x=shown,
        y=shown,
        text=texts,
        customdata=counts,
        texttemplate="%{text}",
        # Without a size, numbers would shrink to their narrowest cell, in each matrix its own.
        textfont={"size": 11},
        hovertemplate="%{y} taken for %{x}: %{customdata} (%{z:.1f} % of the row)"
        "<extra></extra>",
        # A full cell is not darker than its number can be read on.
        zmin=0,
        zmax=133,
        colorscale=[[0, LIGHT["row"]], [1, LIGHT["heat"]]],
        showscale=False,
        xgap=1,
        ygap=1,
    )
    height = 70 + 42 * len(names)
    drawn = figure(
        [trace],
        height,
        # Names stand upright where they do not fit: tilted, they take width from the cells.
        xaxis={
            "autotickangles": [0, 90],
            "showgrid": False,
            "ticks": "",
            "title": {"text": "predicted"},
        },
        yaxis={
            "autorange": "reversed",
            "showgrid": False,
            "ticks": "",
            "title": {"text": "true label"},
        },
    )
    return Chart(drawn, f"Confusion of {what}", most_wide=620)


def _cell(share: float, count: float, *, hit: bool) -> str:
    if not count:
        return ""
    text = f"{share:.0f}<br>{count}"
    return f"<b>{text}</b>" if hit else text


def reliability(
    edges: Sequence[float],
    counts: Sequence[int],
    confidence: Sequence[float | None],
    accuracy: Sequence[float | None],
    about: str = "Reliability diagram",
) -> Chart:
    """Accuracy over confidence, with the number of items of each bin below.

    Args:
        edges: of the bins, one more than there are bins.
        counts: items of each bin.
        confidence: mean of each bin; None where it is empty.
        accuracy: share of right answers of each bin; None where it is empty.
        about: what it shows.
    """
    bins = [
        (low, high - low, count, sure, right)
        for (low, high), count, sure, right in zip(
            pairwise(edges), counts, confidence, accuracy, strict=True
        )
        if sure is not None and right is not None
    ]
    lefts, widths = [one[0] for one in bins], [one[1] for one in bins]
    items, sures, rights = ([one[place] for one in bins] for place in (2, 3, 4))
    hover = "confidence %{customdata[0]:.0%}: %{customdata[1]:.0%} of %{customdata[2]} right"
    hover += "<extra></extra>"
    facts = list(zip(sures, rights, items, strict=True))
    traces = [
        go.Bar(x=lefts, width=widths, offset=0, y=rights, customdata=facts, hovertemplate=hover,
               marker={"color": LIGHT["bar"], "line": {"color": LIGHT["card"], "width": 1}}),
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip",
                   line={"color": LIGHT["soft"], "dash": "dash", "width": 1}),
        go.Scatter(x=sures, y=rights, mode="markers", customdata=facts, hovertemplate=hover,
                   cliponaxis=False, marker={"color": LIGHT["mark"], "size": 8}),
        go.Bar(x=lefts, width=widths, offset=0, y=items, yaxis="y2",
               hovertemplate="%{y} items<extra></extra>", marker={"color": LIGHT["bar"]}),
    ]  # fmt: skip
    drawn = figure(
        traces,
        330,
        showlegend=False,
        xaxis=share_axis("confidence", anchor="y2", range=[0, 1.02]),
        yaxis=share_axis("accuracy", domain=[0.3, 1], range=[0, 1.02]),
        yaxis2={"domain": [0, 0.2], "nticks": 3, "rangemode": "tozero",
                "title": {"text": "items"}},
    )  # fmt: skip
    return Chart(drawn, about, most_wide=520)


def coverage_curve(
    points: Sequence[Mapping[str, float | None]], at: tuple[float, float] | None = None
) -> Chart | None:
    """Accuracy of the answers that are kept when only the surest are.

    Args:
        points: as `evaluate.metrics.coverage_curve` gives them.
        at: coverage and accuracy, 0 to 1, of the settings in use; None if nothing was claimed.

    Returns:
        None without any answer.
    """
    ordered = sorted(
        (one["coverage"] or 0.0, one["accuracy"])
        for one in points
        if one["accuracy"] is not None
    )
    if not ordered:
        return None
    traces = [
        go.Scatter(
            x=[one[0] for one in ordered],
            y=[one[1] for one in ordered],
            mode="lines",
            name="other limits of confidence",
            hovertemplate="%{y:.1%} right at a coverage of %{x:.1%}<extra></extra>",
            line={"color": LIGHT["mark"], "width": 2},
        )
    ]
    if at is not None:
        traces.append(
            go.Scatter(
                x=[at[0]],
                y=[at[1]],
                mode="markers",
                name="as configured",
                hovertemplate="as configured: %{y:.1%} right at a coverage of %{x:.1%}"
                "<extra></extra>",
                marker={"color": LIGHT["ink"], "size": 10},
            )
        )
    drawn = figure(
        traces,
        330,
        xaxis=share_axis("coverage", range=[0, 1.02]),
        yaxis=share_axis("accuracy", range=[0, 1.03]),
        margin={"b": 60},
    )
    return Chart(drawn, "Accuracy over coverage", most_wide=520)


def histogram(values: Sequence[float], unit: str, what: str) -> Chart:
    """How often each value occurs; the largest hundredth is in the last cell.

    Args:
        values: at least one, not negative.
        unit: e.g. 'ms'.
        what: that is counted, for those who cannot see it.
    """
    ordered = np.sort(np.array(values, dtype=np.float64))
    top = float(ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)])
    step = _round_up(max(top, 1e-3) / _MOST_CELLS)
    cells = max(1, math.ceil(top / step + 1e-9))
    places = np.minimum(ordered / step, cells - 1).astype(np.int64)
    counts = np.bincount(places, minlength=cells)
    lefts = [float(f"{place * step:.6g}") for place in range(cells)]
    ends = [float(f"{(place + 1) * step:.6g}") for place in range(cells)]
    bars = go.Bar(
        x=lefts,
        width=step,
        offset=0,
        y=counts,
        customdata=ends,
        hovertemplate=f"%{{x:g}} to %{{customdata:g}} {unit}: %{{y}}<extra></extra>",
        marker={"color": LIGHT["bar"], "line": {"color": LIGHT["card"], "width": 1}},
    )
    lines = []
    for share, name in ((0.5, "median"), (0.95, "95 %")):
        value = float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
        at = min(value, cells * step)
        lines.append(
            go.Scatter(
                x=[at, at],
                y=[0, int(counts.max())],
                mode="lines",
                hovertemplate=f"{name}: {value:.1f} {unit}<extra></extra>",
                line={"color": LIGHT["soft"], "dash": "dash", "width": 1.5},
            )
        )
    drawn = figure(
        [bars, *lines],
        210,
        showlegend=False,
        xaxis={"title": {"text": unit}, "range": [0, cells * step]},
        yaxis={"showticklabels": False, "rangemode": "tozero"},
    )
    return Chart(drawn, what, most_wide=520)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))


def recall_bars(recalls: Mapping[str, float | None]) -> Chart:
    """Recall of each class; None: the class does not occur."""
    values = list(recalls.values())
    bars = go.Bar(
        orientation="h",
        y=[plain(name) for name in recalls],
        x=[value or 0.0 for value in values],
        text=["none" if value is None else f"{value:.0%}" for value in values],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        marker={"color": LIGHT["bar"]},
        textfont={"color": LIGHT["ink"]},
    )
    drawn = figure(
        [bars],
        80 + 28 * len(recalls),
        xaxis=share_axis(range=[0, 1.12]),
        yaxis={"autorange": "reversed", "showgrid": False},
    )
    return Chart(drawn, "Recall of each class", most_wide=620)


def subject_bars(
    by_subject: Mapping[str, Mapping[str, float]],
    mean: float,
    interval: Sequence[float] | None,
) -> Chart:
    """Accuracy of each subject, with the one of all and its interval.

    Args:
        by_subject: of each subject's name the figures, with 'accuracy'.
        mean: over items.
        interval: its two ends; None: none is drawn.
    """
    names = sorted(by_subject, key=lambda name: by_subject[name]["accuracy"])
    labels = [plain(name.split("-", 1)[-1]) for name in names]
    bars = go.Bar(
        x=list(range(len(names))),
        y=[by_subject[name]["accuracy"] for name in names],
        customdata=[plain(name) for name in names],
        hovertemplate="%{customdata}: %{y:.1%}<extra></extra>",
        marker={"color": LIGHT["bar"]},
    )
    named = len(names) <= _MOST_NAMED
    across: dict[str, Any] = {"showgrid": False, "range": [-0.6, len(names) - 0.4]}
    if named:
        turned = 90 if max(map(len, labels)) >= _TURNED_FROM else 0
        across |= {"tickvals": list(range(len(names))), "ticktext": labels}
        across["tickangle"] = turned
    else:
        across |= {"showticklabels": False, "title": {"text": f"{len(names)} subjects"}}
    drawn = figure(
        [bars],
        290,
        xaxis=across,
        yaxis=share_axis("accuracy"),
        shapes=[
            *({"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": low, "y1": high,
               "fillcolor": LIGHT["soft"], "opacity": 0.2, "line": {"width": 0}}
              for low, high in ([] if interval is None else [interval])),
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": mean, "y1": mean,
             "line": {"color": LIGHT["mark"], "width": 1.5}},
        ],
    )  # fmt: skip
    return Chart(drawn, "Accuracy of each subject")


def corruption_bars(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Chart:
    """UA of the fused model and of either modality alone, condition by condition.

    Args:
        rows: with 'condition', and figures by part.
        names: of each part.
    """
    parts = [part for part in names if any(part in row for row in rows)]
    colours = {"fused": LIGHT["mark"], "face": LIGHT["face"], "voice": LIGHT["voice"]}
    traces = []
    for part in parts:
        values = [row[part]["ua"] if part in row else None for row in rows]
        traces.append(
            go.Bar(
                orientation="h",
                name=names[part],
                y=[plain(row["condition"]) for row in rows],
                x=values,
                text=["" if value is None else f"{value:.0%}" for value in values],
                textposition="outside",
                cliponaxis=False,
                hovertemplate=f"%{{y}}, {names[part].lower()}: UA %{{x:.1%}}<extra></extra>",
                marker={"color": colours[part]},
            )
        )
    drawn = figure(
        traces,
        110 + (16 + 18 * len(parts)) * len(rows),
        xaxis=share_axis("UA", range=[0, 1.08]),
        yaxis={"autorange": "reversed", "showgrid": False},
        barmode="group",
        bargap=0.25,
        showlegend=len(parts) > 1,
        legend={"traceorder": "normal"},
        margin={"b": 66},
    )
    return Chart(drawn, "Figures under corruption", most_wide=860)


def lines_over(
    key: str,
    rows: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    unit: str,
    about: str,
) -> Chart | None:
    """Figures over a setting; None of fewer than two rows.

    Args:
        key: of the setting in `rows`.
        rows: ordered by the setting; a figure may be None.
        names: of each figure by its key, two of them.
        unit: of the figures.
        about: what it shows.
    """
    if len(rows) < 2:
        return None
    traces = [
        go.Scatter(
            x=[row[key] for row in rows],
            y=[row[one] for row in rows],
            name=name,
            mode="lines+markers",
            cliponaxis=False,
            hovertemplate=f"{key} %{{x}}: %{{y:.1f}} {unit}, {name}<extra></extra>",
            line={"color": LIGHT[colour], "dash": dash, "width": 2},
            marker={"color": LIGHT[colour], "size": 7},
        )
        for (one, name), colour, dash in zip(
            names.items(), ("mark", "bar"), ("solid", "dot"), strict=True
        )
    ]
    drawn = figure(
        traces,
        250,
        xaxis={"title": {"text": key}},
        yaxis={"title": {"text": unit}, "rangemode": "tozero"},
        margin={"b": 60},
    )
    return Chart(drawn, about, most_wide=520)


def packed(values: Sequence[float] | NDArray[Any]) -> NDArray[np.float32]:
    """Numbers as plotly stores them in few bytes: seconds of hours, to a millisecond."""
    return np.asarray(values, dtype=np.float32)
