"""The page of a soak: what the node needed over time, and how it took every fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import plotly.graph_objects as go
from soak_checks import MEMORY_LIMIT_MB

from avemo_ros.report import rendering
from avemo_ros.report.charts import Chart, figure, packed, plain
from avemo_ros.report.rendering import number
from avemo_ros.sink.presentation import LIGHT

_COLOURS: Final = {
    "images": "happy",
    "sound": "sad",
    "time": "angry",
    "clock": "surprise",
    "graph": "disgust",
    "life cycle": "fear",
    "machine": "neutral",
}
"""Colour of each kind of fault."""
_CURVES: Final = (
    (
        "Memory [MB]",
        (("rss_mb", "resident"), ("pss_mb", "proportional share")),
    ),
    ("Processor [cores]", (("cpu", "node"), ("machine", "whole machine"))),
    ("Threads", (("threads", "threads"),)),
    ("File descriptors", (("fds", "open"),)),
)
"""Of each figure its title and unit, and of each curve its key in the samples and its name."""
_MOST_POINTS: Final = 4000
"""Points of a curve; of a longer run each is the largest of several samples."""
_FULL: Final = 0.95
"""From this share of all cores on the machine is busy."""
_OFTEN: Final = 0.2
"""From this share of the time on that is worth a word."""


def render(result: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        result: as in soak.json.
    """
    faults, samples = result["faults"], result["samples"]
    minutes = f"{result['seconds'] / 60:.1f} minutes"
    kept, each = _thinned(samples)
    return rendering.render(
        "soak_page.html",
        folder=Path(__file__).parent,
        title="Soak of emotion_stack",
        subtitle=f"{minutes} of faults, each followed by good input; {result['machine']}",
        result=result,
        tiles=_tiles(result, minutes),
        busy=_busy(samples, result["cores"]),
        charts=[_chart(title, kept, lines, faults) for title, lines in _CURVES]
        if len(kept) > 1
        else [],
        each=each,
        faults=_faults(faults, result["violations"]),
    )


def _tiles(result: Mapping[str, Any], minutes: str) -> list[tuple[str, str, str]]:
    faults, memory = result["faults"], result["memory"]
    slope = memory["slope_mb_per_min"]
    worst = max(
        (fault for fault in faults if fault["recovery_s"] is not None),
        key=lambda fault: fault["recovery_s"],
        default=None,
    )
    return [
        ("length", minutes, "interrupted" if result["interrupted"] else ""),
        ("faults", str(len(faults)), f"{len({one['name'] for one in faults})} different"),
        (
            "memory at the end",
            number(memory["end_mb"], 0, "MB"),
            f"allowed: {MEMORY_LIMIT_MB:.0f} MB; at the start: "
            f"{number(memory['start_mb'], 0, 'MB')}",
        ),
        (
            "growth",
            number(slope, 1, "MB/min"),
            "over the last half" if slope is not None else "too short a run to tell",
        ),
        (
            "slowest recovery",
            "-" if worst is None else f"{worst['recovery_s']:.2f} s",
            "" if worst is None else worst["name"],
        ),
    ]


def _busy(samples: Sequence[Mapping[str, float]], cores: int) -> float:
    """Share of the time in which all cores were busy; 0 where that is not worth a word."""
    full = sum(sample["machine"] > _FULL * cores for sample in samples)
    return full / len(samples) if samples and full >= _OFTEN * len(samples) else 0.0


def _thinned(
    samples: Sequence[Mapping[str, float]],
) -> tuple[Sequence[Mapping[str, float]], int]:
    """Of a long run the largest of several samples each, and how many that are."""
    each = -(-len(samples) // _MOST_POINTS)
    if each <= 1:
        return samples, 1
    groups = [samples[start : start + each] for start in range(0, len(samples), each)]
    return [{key: max(one[key] for one in group) for key in group[0]} for group in groups], each


def _chart(
    title: str,
    samples: Sequence[Mapping[str, float]],
    lines: Sequence[tuple[str, str]],
    faults: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Curves over time with the faults marked, and what the samples were at the end."""
    times = packed([sample["t"] for sample in samples])
    top = 1.08 * max(max(sample[key] for sample in samples for key, _ in lines), 1e-3)
    traces: list[Any] = [_marks(kind, some, top) for kind, some in _by_kind(faults)]
    for (key, name), colour, dash in zip(
        lines, ("mark", "soft"), ("solid", "dash"), strict=False
    ):
        traces.append(
            go.Scatter(
                x=times,
                y=packed([sample[key] for sample in samples]),
                name=name,
                mode="lines",
                hovertemplate=f"%{{x:.0f}} s: {name} %{{y:.4g}}<extra></extra>",
                line={"color": LIGHT[colour], "dash": dash, "width": 1.5},
            )
        )
    end = max(samples[-1]["t"], samples[0]["t"] + 1e-3)
    made = figure(
        traces,
        290,
        xaxis={"range": [samples[0]["t"], end], "ticksuffix": " s"},
        yaxis={"range": [0, top]},
        barmode="overlay",
        showlegend=True,
        margin={"b": 70},
    )
    last = ", ".join(f"{name} {samples[-1][key]:g}" for key, name in lines)
    return {"title": title, "last": last, "chart": Chart(made, f"{title} over time", room=60)}


def _by_kind(
    faults: Sequence[Mapping[str, Any]],
) -> list[tuple[str, list[Mapping[str, Any]]]]:
    found = {fault["kind"] for fault in faults}
    kinds = sorted(found, key=lambda kind: ([*_COLOURS, kind].index(kind), kind))
    return [(kind, [one for one in faults if one["kind"] == kind]) for kind in kinds]


def _marks(kind: str, faults: Sequence[Mapping[str, Any]], top: float) -> Any:
    """Bars over the time of each fault."""
    told = []
    for fault in faults:
        took = fault["recovery_s"]
        told.append(
            plain(f"{fault['name']}: {fault['what']}; at {fault['at_s']:.0f} s, ")
            + ("no recovery" if took is None else f"recovered in {took:.2f} s")
        )
    colour = LIGHT[_COLOURS.get(kind, "neutral")]
    return go.Bar(
        x=packed([fault["at_s"] for fault in faults]),
        width=packed([max(fault["until_s"] - fault["at_s"], 0.5) for fault in faults]),
        offset=0,
        y=[top] * len(faults),
        name=plain(kind),
        customdata=told,
        hovertemplate="%{customdata}<extra></extra>",
        marker={"color": colour, "opacity": 0.25, "line": {"color": colour, "width": 0}},
    )


def _faults(
    faults: Sequence[Mapping[str, Any]], violations: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One row for each sort of fault, in the order in which they first came."""
    rows = []
    for name in dict.fromkeys(fault["name"] for fault in faults):
        same = [fault for fault in faults if fault["name"] == name]
        took = [fault["recovery_s"] for fault in same if fault["recovery_s"] is not None]
        slow = sum(
            fault["recovery_s"] is None or fault["recovery_s"] > fault["limit_s"]
            for fault in same
        )
        broken = sum(one["count"] for one in violations if one["fault"] == name)
        words = [f"{slow} too slow"] if slow else []
        words += [f"{broken} violations"] if broken else []
        rows.append(
            {
                "name": name,
                "what": same[0]["what"],
                "times": len(same),
                "recovery": f"{median(took):.2f} s" if took else "-",
                "slowest": f"{max(took):.2f} s" if len(took) == len(same) else "never",
                "allowed": f"{same[0]['limit_s']:g} s",
                "violations": broken or "-",
                "kept": not words,
                "said": ", ".join(words) or "passed",
            }
        )
    return rows
