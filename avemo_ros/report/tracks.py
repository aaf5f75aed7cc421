"""Timelines: rows of labelled segments, and curves below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.report.charts import packed, plain
from avemo_ros.sink.presentation import LIGHT

_GAP: Final = 6
"""Between two rows [pixels]."""
_LONGEST_NAME: Final = 13
"""Letters of a row's name."""
_COLOURS: Final = {
    **{name: LIGHT[name] for name in EMOTIONS},
    UNKNOWN: LIGHT["row"],
    "": LIGHT["row"],
    "right": LIGHT["good"],
    "wrong": LIGHT["bad"],
    "blank": LIGHT["line"],
    "speaking": LIGHT["ink"],
    "attended": LIGHT["soft"],
    "face": LIGHT["face"],
    "voice": LIGHT["voice"],
    "confidence": LIGHT["ink"],
}
"""Of a stretch by its label."""
_ORDER: Final = {name: place for place, name in enumerate(_COLOURS)}
_NO_CLAIM: Final = "no label"
_LEGEND: Final = {
    name: place
    for place, name in enumerate(
        (*EMOTIONS, _NO_CLAIM, "face", "voice", "confidence", "right", "wrong")
    )
}
"""What the legend names, in this order."""
_ABOVE: Final = 34
"""Room above a figure for its buttons [pixels]."""
_BELOW: Final = 62
"""Room below it for its axis and a line of legend [pixels]."""
ROOM: Final = 76
"""More room for the legend on a phone [pixels]."""


_EDGE_S: Final = 1e-3
"""An area that begins or ends does so within this time [s]."""
_AXIS: Final = 30
"""Of this the axis takes [pixels]."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of time with a label."""

    start_s: float
    end_s: float
    label: str
    """One of EMOTIONS, 'unknown' or '', or how a claim was judged."""
    text: str = ""
    """What is written on it where there is room."""
    hover: str = ""
    """What the pointer shows beside the time and the label."""
    anchor: str = ""
    """Name of this place on the page."""


def joined(marks: Sequence[Mark], most: int, end_s: float) -> tuple[list[Mark], float]:
    """No more marks than that: of each step of time the one that held longest in it.

    Args:
        marks: oldest first; they do not overlap.
        most: of them.
        end_s: of the recording.

    Returns:
        The marks, and the step [s]; 0 where they are as they were.
    """
    if len(marks) <= most:
        return list(marks), 0.0
    step_s = end_s / most
    held: dict[int, Counter[Mark]] = {}
    for mark in marks:
        kind = replace(mark, start_s=0.0, end_s=0.0, anchor="")
        last = min(most - 1, int(mark.end_s / step_s))
        for place in range(int(mark.start_s / step_s), last + 1):
            start_s = max(mark.start_s, place * step_s)
            end = min(mark.end_s, (place + 1) * step_s)
            held.setdefault(place, Counter())[kind] += max(end - start_s, 0.0)  # type: ignore[assignment]
    kept: list[Mark] = []
    for place in sorted(held):
        kind, seconds = held[place].most_common(1)[0]
        start_s, end = place * step_s, (place + 1) * step_s
        if seconds < step_s / 2 and sum(held[place].values()) < step_s / 2:
            continue
        last_mark = kept[-1] if kept else None
        if last_mark and replace(last_mark, start_s=0.0, end_s=0.0) == kind and (
            start_s - last_mark.end_s < 1e-6
        ):  # fmt: skip
            kept[-1] = replace(last_mark, end_s=end)
        else:
            kept.append(replace(kind, start_s=start_s, end_s=end))
    return kept, step_s


def meant(
    times_s: Sequence[float], values: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """No more points than that: means over steps of time.

    Args:
        times_s: ascending.
        values: a row each time; NaN: not known, and in no mean.
        most: points that there may be.

    Returns:
        Times, rows, and the step [s]; 0 where they are as they were.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if len(times) <= most:
        return times, values, 0.0
    step_s = float(times[-1] - times[0]) / most
    places = np.minimum((times - times[0]) // step_s, most - 1)
    starts = np.flatnonzero(np.diff(places, prepend=-1.0))
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts, axis=0)
    counts = np.add.reduceat(known.astype(np.float64), starts, axis=0)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return np.add.reduceat(times, starts) / np.diff(starts, append=len(times)), means, step_s


def with_edges(
    times_s: NDArray[np.float64], values: NDArray[np.float64], start_s: float, end_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values that rise from zero at the start and fall to it at the end, for areas.

    Args:
        times_s: ascending, at least one.
        values: a row each time.
        start_s: from when the first row holds; before the first time.
        end_s: until when the last row holds.
    """
    none = np.zeros((1, values.shape[1]))
    start_s = min(start_s, times_s[0] - 2 * _EDGE_S)
    ends = [max(end_s, times_s[-1]) + _EDGE_S]
    times = np.concatenate(([start_s, start_s + _EDGE_S], times_s, ends))
    return times, np.concatenate((none, values[:1], values, none))


class Rows:
    """Traces and axes of a figure of rows over one axis of time, from top to bottom."""

    def __init__(self, end_s: float) -> None:
        self.end_s = max(end_s, 0.5)
        self._traces: list[Any] = []
        self._axes: list[tuple[dict[str, Any], float, float]] = []
        self._ticks: list[tuple[float, str]] = []
        self._top = 0.0
        self._named: set[str] = set()

    def bars(self, name: str, height: float, marks: Iterable[Mark]) -> None:
        """A row of stretches.

        Args:
            name: of the row; plain text.
            height: of it [pixels].
            marks: to be shown.
        """
        middle = self._top + height / 2
        self._ticks.append((middle, name))
        by_kind: dict[tuple[str, str], list[Mark]] = {}
        for mark in marks:
            by_kind.setdefault((mark.label, mark.text), []).append(mark)
        for (label, text), some in sorted(by_kind.items(), key=lambda item: _place(item[0])):
            self._traces.append(self._bar(name, middle, height, label, text, some))
        self._top += height + _GAP

    def _bar(
        self, row: str, middle: float, height: float, label: str, text: str, some: list[Mark]
    ) -> Any:
        claimed = label not in (UNKNOWN, "")
        # A label of valence and arousal alone has no name but its text.
        shown = (
            text
            if text and not label
            else _NO_CLAIM
            if label in (UNKNOWN, "", "blank")
            else label
        )
        starts = np.array([mark.start_s for mark in some])
        hover = f"{plain(row)} %{{base:.1f}} to %{{x:.1f}} s".lstrip()
        if label != row:
            hover += f": {shown}"
        if text and not claimed and text != shown:
            hover += f", {plain(text)}"
        if any(mark.hover for mark in some):
            hover += "; %{customdata}"
        return go.Bar(
            orientation="h",
            base=packed(starts),
            x=packed(np.array([mark.end_s for mark in some]) - starts),
            y=np.full(len(some), middle, np.float32),
            width=height,
            customdata=[plain(mark.hover) for mark in some]
            if any(mark.hover for mark in some)
            else None,
            hovertemplate=f"{hover}<extra></extra>",
            text=text or None,
            textposition="inside" if text else "none",
            insidetextanchor="middle",
            textangle=0,
            textfont=None if claimed else {"color": LIGHT["soft"]},
            marker=_marker(label),
            **self._grouped(shown),
        )

    def _grouped(self, name: str) -> dict[str, Any]:
        """What belongs to one entry of the legend, which shows and hides all of it."""
        self._named.add(name)
        return {"name": plain(name), "legendgroup": name, "showlegend": False}

    @property
    def traces(self) -> list[Any]:
        """Of plotly: those of the rows, and one without data for each name in the legend."""
        names = sorted(self._named, key=lambda name: _LEGEND.get(name, 50))
        keys = [
            go.Bar(
                x=[None],
                y=[None],
                name=name,
                legendgroup=name,
                marker=_marker(name if name in LIGHT or name in _COLOURS else UNKNOWN),
            )
            for name in names
            if name in _LEGEND
        ]
        return [*keys, *self._traces]

    def curves(
        self, name: str, height: float, traces: Iterable[dict[str, Any]], *, grid: bool = False
    ) -> None:
        """A row of curves over 0 to 1.

        Args:
            name: of the row.
            height: of it [pixels].
            traces: of `plotly.graph_objects.Scatter`, without their axis; one that has a
                `name` is hidden and shown by the legend.
            grid: with a line at the half.
        """
        number = len(self._axes) + 2
        axis = {
            "range": [0, 1],
            "fixedrange": True,
            "tickvals": [0.5],
            "ticktext": [name],
            "showgrid": grid,
        }
        self._axes.append((axis, self._top, self._top + height))
        for trace in traces:
            legend = self._grouped(trace["name"]) if "name" in trace else {"showlegend": False}
            scatter = go.Scatter({**trace, **legend, "yaxis": f"y{number}"})
            # What has no name of its own comes first.
            place = len(self._traces) if "name" in trace else 0
            self._traces.insert(place, scatter)
        self._top += height + _GAP

    @property
    def height(self) -> int:
        """Of the figure [pixels]."""
        return int(self._top + _ABOVE + _BELOW)

    def layout(self) -> dict[str, Any]:
        """For `charts.figure`."""
        total = self._top - _GAP
        axes: dict[str, Any] = {
            "yaxis": {
                "range": [total, 0],
                "fixedrange": True,
                "showgrid": False,
                "tickvals": [place for place, _ in self._ticks],
                "ticktext": [plain(_shortened(name)) for _, name in self._ticks],
            }
        }
        for number, (axis, top, bottom) in enumerate(self._axes, 2):
            axes[f"yaxis{number}"] = axis | {
                "domain": [1 - bottom / total, 1 - top / total],
                "anchor": "x",
            }
        return axes | {
            "xaxis": {
                "range": [0, self.end_s],
                "minallowed": 0,
                "maxallowed": self.end_s,
                "ticksuffix": " s",
                "hoverformat": ".2f",
                "showspikes": True,
                "spikemode": "across",
                "spikesnap": "cursor",
                "spikethickness": 1,
                "spikedash": "solid",
                "spikecolor": LIGHT["soft"],
            },
            "barmode": "overlay",
            "uniformtext": {"mode": "hide", "minsize": 10},
            "margin": {"t": _ABOVE, "b": _BELOW},
            "legend": {"yref": "paper", "y": -_AXIS / total, "yanchor": "top"},
        }


def _marker(label: str) -> dict[str, Any]:
    """How a stretch looks; one without a claim is hatched."""
    if label in (UNKNOWN, ""):
        return {
            "color": LIGHT["row"],
            "line": {"color": LIGHT["line"], "width": 1},
            "pattern": {"shape": "/", "fgcolor": LIGHT["line"], "bgcolor": LIGHT["row"],
                        "size": 6, "solidity": 0.2},
        }  # fmt: skip
    return {"color": _COLOURS.get(label, LIGHT["row"]),
            "line": {"color": LIGHT["card"], "width": 1}}  # fmt: skip


def _place(kind: tuple[str, str]) -> tuple[int, str]:
    label, text = kind
    return _ORDER.get(label, 50), text


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def confidence_curve(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> Any:
    """The trace of a confidence; NaN where there is none."""
    return {
        "x": packed(times_s),
        "y": packed(values),
        "name": "confidence",
        "mode": "lines",
        "connectgaps": False,
        "hovertemplate": "%{x:.1f} s: confidence %{y:.0%}<extra></extra>",
        "line": {"color": LIGHT["ink"], "width": 1.3},
    }


def stacked(
    times_s: NDArray[np.float64],
    shares: NDArray[np.float64],
    names: Sequence[str],
    group: str,
    hover: str,
) -> list[dict[str, Any]]:
    """Areas on top of one another, the first name lowest.

    Args:
        times_s: ascending, no two alike.
        shares: a row each time, a column each name, 0 to 1.
        names: keys of LIGHT.
        group: of what is stacked together.
        hover: what the pointer shows after the name, as a template of plotly.
    """
    return [
        {
            "x": packed(times_s),
            "y": packed(column),
            "name": name,
            "stackgroup": group,
            "mode": "lines",
            "hoveron": "points",
            "hovertemplate": hover,
            "fillcolor": LIGHT[name],
            "line": {"color": LIGHT["card"], "width": 0.8},
        }
        for name, column in zip(names, np.minimum(shares, 1.0).T, strict=True)
    ]
