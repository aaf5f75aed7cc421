"""The page of `avemo study export`: participants and conditions beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go

from avemo_ros.report.charts import Chart, figure, plain
from avemo_ros.report.rendering import number, percent, render, write
from avemo_ros.sink.presentation import LIGHT, counted
from avemo_ros.study.phases import FACTORS
from avemo_ros.study.study_export import StudyResult
from avemo_ros.study.study_table import Study

_SHOWN: Final = {
    "accuracy": "Accuracy",
    "coverage": "Steps with a label",
    "valence": "Valence",
    "arousal": "Arousal",
    "share_happy": "Happy, of the steps with a label",
    "share_sad": "Sad, of the steps with a label",
    "share_angry": "Angry, of the steps with a label",
    "speaking": "Speaking",
    "changes_per_minute": "Changes of the steady label a minute",
}
"""Measures that are drawn."""
_SIGNED: Final = ("valence", "arousal", "changes_per_minute")
"""That are no shares."""


def write_study(path: Path, study: Study, result: StudyResult) -> None:
    """Write the page; it takes the place of an older one when it is complete.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, study_page(study, result))


def study_page(study: Study, result: StudyResult) -> str:
    """The page as text."""
    tables = result.tables
    done = [row for row in tables["recordings"] if row["status"] == "ok"]
    people = {row["participant"] for row in done}
    return render(
        "study.html",
        title=f"Study of {counted(len(people), 'participant')}",
        subtitle=f"{study.path.name}; {counted(len(done), 'recording')}, {result.steps} steps",
        failed=[
            (row["recording"], row["problems"])
            for row in tables["recordings"]
            if row["status"] != "ok"
        ],
        factors=[one for factor in FACTORS if (one := _factor(factor, tables))],
        summary=[_summary(row) for row in tables["summary"]],
        agreement=[_agreement(row) for row in tables["agreement"]],
        problems=[(row["recording"], row["problems"]) for row in done if row["problems"]],
    )


def _factor(factor: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Means and figures of a factor; {} if nothing varies."""
    rows = [row for row in tables["comparison"] if row["factor"] == factor]
    levels = list(dict.fromkeys(row["level"] for row in rows))
    if not levels:
        return {}
    by_measure: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_measure.setdefault(row["measure"], []).append(row)
    drawn, table = [], []
    for measure, text in _SHOWN.items():
        own = [row for row in by_measure[measure] if row["mean"] is not None]
        if not own:
            continue
        drawn.append(
            {"name": text, "chart": _chart(factor, measure, text, own, tables["participants"])}
        )
        table += [
            (
                text,
                row["level"],
                row["participants"],
                _value(measure, row["mean"]),
                f"{_value(measure, row['low'])} to {_value(measure, row['high'])}"
                if row["low"] is not None
                else row["why"],
            )
            for row in own
        ]
    left_out = max((row["left_out"] for row in rows), default=0)
    return {"name": factor, "levels": levels, "charts": drawn, "table": table,
            "left_out": left_out}  # fmt: skip


def _value(measure: str, value: float | None) -> str:
    return number(value) if measure in _SIGNED else percent(value)


def _chart(
    factor: str,
    measure: str,
    text: str,
    rows: Sequence[Mapping[str, Any]],
    participants: Sequence[Mapping[str, Any]],
) -> Chart:
    """Participants as lines, and the means over them with their within-subject intervals."""
    levels = [row["level"] for row in rows]
    people: dict[str, list[tuple[int, float]]] = {}
    for row in participants:
        if row["factor"] == factor and row["level"] in levels and row[measure] is not None:
            points = people.setdefault(row["participant"], [])
            points.append((levels.index(row["level"]), row[measure]))
    hover = "%{y:.2f}" if measure in _SIGNED else "%{y:.1%}"
    lines = [
        go.Scatter(
            x=[place for place, _ in sorted(points)],
            y=[value for _, value in sorted(points)],
            mode="lines+markers",
            name=plain(person),
            showlegend=False,
            hovertemplate=f"{plain(person)}: {hover}<extra></extra>",
            line={"color": LIGHT["line"], "width": 1},
            marker={"color": LIGHT["bar"], "size": 6},
        )
        for person, points in people.items()
    ]
    known = [row["low"] is not None for row in rows]
    means = go.Scatter(
        x=list(range(len(rows))),
        y=[row["mean"] for row in rows],
        mode="markers",
        name="mean",
        showlegend=False,
        hovertemplate=f"mean {hover}<extra></extra>",
        marker={"color": LIGHT["mark"], "size": 10},
        error_y={
            "type": "data",
            "array": [
                row["high"] - row["mean"] if there else 0
                for row, there in zip(rows, known, strict=True)
            ],
            "color": LIGHT["mark"],
            "thickness": 2,
            "width": 6,
            "visible": any(known),
        },
    )
    drawn = figure(
        [*lines, means],
        300,
        xaxis={
            "tickvals": list(range(len(levels))),
            "ticktext": [plain(level) for level in levels],
            "range": [-0.5, len(levels) - 0.5],
            "showgrid": False,
        },
        yaxis={} if measure in _SIGNED else {"tickformat": "~%", "rangemode": "nonnegative"},
    )
    return Chart(drawn, f"{text} by {factor}", most_wide=520)


def _summary(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["participant"],
        *(row[name] or "-" for name in ("session", *FACTORS)),
        number(row["seconds"], 1),
        *(percent(row[name]) for name in ("coverage", "accuracy", "share_happy")),
        *(number(row[name]) for name in ("valence", "arousal")),
    )


def _agreement(row: Mapping[str, Any]) -> tuple[object, ...]:
    who = (row.get("first"), row.get("second"))
    return (
        " and ".join(filter(None, who)) or "all annotators",
        row["level"] or "everything",
        number(row["seconds"], 1),
        percent(row["observed"]),
        row["why"] if row["kappa"] is None else number(row["kappa"], 3),
    )
