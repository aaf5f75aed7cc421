"""Sections of the report that show the figures of all bags together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np

from avemo_ros.replay.report_charts import coverage_curve, histogram, reliability
from avemo_ros.replay.report_parts import (
    number,
    paragraph,
    percent,
    section,
    table,
)
from avemo_ros.replay.words import counted

_MODALITIES: Final = {
    "face": "face alone",
    "voice": "voice alone",
    "both": "face and voice",
    "none": "neither",
}


def confusion(overall: Mapping[str, Any]) -> str:
    """What was taken for what: segments, and frames."""
    drawn = []
    for part in ("segments", "frames"):
        found = overall[part]
        if not found["items"]:
            continue
        lost = found["unanswered"]
        told = (
            f"{counted(found['items'], part[:-1])}. Rows are the truth, columns the answer, in "
            f"% of the row; small: {part}."
        )
        if lost:
            told += f" Those without an answer ({lost}) are in no cell and count as wrong."
        drawn.append(
            f"<div>{paragraph(told)}{matrix(overall['classes'], found['confusion'])}</div>"
        )
    return section("Confusion", f'<div class="pair">{"".join(drawn)}</div>' if drawn else "")


def matrix(names: Sequence[str], rows: Sequence[Sequence[int]]) -> str:
    """A confusion matrix; rows are the truth, in % of the row."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = []
    for place, (name, row) in enumerate(zip(names, rows, strict=True)):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td class="{"hit" if column == place else "cell"}" '
            f'style="--share:{100 * count / total:.0f}%" '
            f'title="{escape(name)} taken for {escape(names[column])}: {count}">'
            + (f"{100 * count / total:.0f}<small>{count}</small></td>" if count else "</td>")
            for column, count in enumerate(row)
        )
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        '<div class="wide" tabindex="0"><table class="confusion"><thead><tr><td></td>'
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def certainty(overall: Mapping[str, Any]) -> str:
    """Calibration, and what an 'unknown' costs and gains."""
    calibration, coverage = overall["calibration"], overall["coverage"]
    drawn = []
    chart = reliability_chart(overall)
    if chart:
        told = (
            f"ECE {percent(calibration['ece'])}, NLL {number(calibration['nll'], 3)}, Brier "
            f"score {number(calibration['brier'], 3)}, over {calibration['items']} frames "
            "with a distribution. On the dashed line confidence is what it says."
        )
        drawn.append(f"<div><h3>Calibration</h3>{paragraph(told)}{chart}</div>")
    chart = coverage_chart(overall)
    if chart:
        told = (
            f"A label was claimed in {percent(coverage['share'])} of the frames, and "
            f"{percent(coverage['accuracy'])} of the claims are right. The curve: other limits "
            "of confidence; the dot: the settings in use."
        )
        drawn.append(f"<div><h3>Coverage</h3>{paragraph(told)}{chart}</div>")
    why = table(
        ("No claim because", "Frames", "Share"),
        [
            (name.lower().replace("_", " "), count, percent(count / coverage["hops"]))
            for name, count in sorted(coverage["why_not"].items(), key=lambda item: -item[1])
            if count
        ],
    )
    pair = f'<div class="pair">{"".join(drawn)}</div>' if drawn else ""
    return section("Confidence", pair, why)


def reliability_chart(overall: Mapping[str, Any]) -> str:
    """The reliability diagram; '' without any distribution."""
    bins = overall["calibration"]["bins"]
    if not bins:
        return ""
    count = len(bins["counts"])
    edges = [place / count for place in range(count + 1)]
    return reliability(edges, bins["counts"], bins["confidence"], bins["accuracy"])


def coverage_chart(overall: Mapping[str, Any]) -> str:
    """Accuracy over coverage; '' without any distribution."""
    found = overall["coverage"]
    points = [
        (item["coverage"], item["accuracy"])
        for item in found["curve"]
        if item["accuracy"] is not None
    ]
    if not points:
        return ""
    at = None if found["accuracy"] is None else (found["share"], found["accuracy"])
    return coverage_curve(points, at)


def grounds(overall: Mapping[str, Any]) -> str:
    """How right the claims are on what they rest."""
    rows = [
        (
            _MODALITIES.get(name, name),
            found["hops"],
            percent(found["share"]),
            percent(found["accuracy"]),
            percent(found["ua"]),
            percent(found["macro_f1"]),
        )
        for name, found in overall["by_modality"].items()
        if found["hops"]
    ]
    people = [
        (
            name or "(whom the robot attends to)",
            found["segments"],
            percent(found["segment_accuracy"]),
            percent(found["ua"]),
            percent(found["coverage"]),
        )
        for name, found in overall["by_person"].items()
    ]
    return section(
        "Grounds and people",
        table(("Read from", "Frames", "Share", "Accuracy", "UA", "Macro F1"), rows),
        table(("Person", "Segments", "Right", "UA, frames", "Coverage"), people)
        if len(people) > 1
        else "",
    )


def stability(overall: Mapping[str, Any]) -> str:
    """How steady the claims are, and how fast they follow a change."""
    found, reaction = overall["stability"], overall["reaction"]
    kinds = (
        ("true changes", "truth_changes"),
        ("changes of the label", "changes"),
        ("of these to a wrong label", "false_changes"),
        ("claims that got lost", "lost_claims"),
    )
    rows = [(text, found[key], number(found[f"{key}_per_minute"], 1)) for text, key in kinds]
    told = "No change of the truth to be detected."
    if reaction["changes"]:
        told = (
            f"{reaction['detected']} of {reaction['changes']} true changes were detected, "
            f"half of them within {number(reaction['median_s'], 2, 's')} and nine of ten "
            f"within {number(reaction['p90_s'], 2, 's')}; {reaction['missed']} never."
        )
    head = ("Over time", "Count", "A minute")
    return section("Stability", paragraph(told), table(head, rows))


def latency(
    overall: Mapping[str, Any],
    stages: Mapping[str, Sequence[float]],
    recorded_ms: Sequence[float],
) -> str:
    """Times: measured while replaying, and as recorded states tell.

    Args:
        overall: figures of all bags.
        stages: measured durations of each stage [ms].
        recorded_ms: latencies that recorded states tell [ms].
    """
    drawn, rows = [], []
    told = dict(stages)
    if recorded_ms:
        told["recorded, end to end"] = recorded_ms
    for name, values in told.items():
        if not values:
            continue
        p50, p95 = np.percentile(values, (50, 95)).tolist()
        rows.append(
            (name, len(values), *(f"{value:.1f} ms" for value in (p50, p95, max(values))))
        )
        chart = histogram(values, "ms", f"Histogram of the time of {name}")
        drawn.append(f"<div><h3>{escape(name)}</h3>{chart}</div>")
    if not rows:
        return ""
    recorded = overall["latency"]
    note = (
        "Stages: measured on this machine while replaying, so another in every run and in no "
        "file but this page and --timings. Dashed: median and 95 %."
        if stages
        else ""
    )
    if recorded is not None:
        note += (
            f" Recorded states tell a latency of {1e3 * recorded['p50_s']:.0f} ms (median), "
            f"95 % within {1e3 * recorded['p95_s']:.0f} ms."
        )
    head = ("Time of", "Count", "Median", "95 %", "Longest")
    charts = f'<div class="charts">{"".join(drawn)}</div>'
    return section("Latency", paragraph(note.strip()), table(head, rows), charts)
