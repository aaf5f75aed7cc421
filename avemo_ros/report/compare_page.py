"""The page of `avemo bag compare`: how several evaluations of bags differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from avemo_ros.evaluate.bootstrap import enough
from avemo_ros.replay.compare import covers_zero, place_of
from avemo_ros.replay.named_metrics import METRICS, SHARE, Metric, rounded, value_text
from avemo_ros.report import charts
from avemo_ros.report.charts import Chart, figure
from avemo_ros.report.rendering import percent, write
from avemo_ros.report.rendering import render as rendered
from avemo_ros.report.replay_page import coverage_chart, reliability_chart
from avemo_ros.report.tracks import ROOM, Mark, Rows, joined
from avemo_ros.sink.presentation import counted

_TWO: Final = 2
_MOST_SEGMENTS: Final = 300
"""Changed segments that are listed."""
_MOST_WORST: Final = 20
"""Segments that are listed as worst."""
_MOST_BAGS: Final = 100
"""Bags whose figures are listed."""
_MOST_DRAWN: Final = 60
"""Bags whose timeline is drawn."""
_MOST_MARKS: Final = 1200
_ALL_MARKS: Final = 12_000
"""Stretches of one row, and of all together: the page stays small."""


def write_comparison(
    path: Path, comparison: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> None:
    """Write the page in one atomic step.

    Args:
        path: of the file.
        comparison: as `compare` gives it.
        results: of each run, as `compare` took them.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, render(comparison, results))


def render(comparison: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    """The page as text; the arguments are those of `write_comparison`."""
    runs = comparison["runs"]
    names = [run["name"] for run in runs]
    timelines, hidden = _timelines(names, results)
    segments = comparison["segments"]
    differing = [
        (bag["name"], rows)
        for bag in comparison["bags"]
        if (rows := [_row(item) for item in bag["figures"] if not _alike(item)])
    ]
    return rendered(
        "compare.html",
        title=" against ".join(names),
        subtitle=f"{counted(len(comparison['bags']), 'bag')}; differences are from {names[0]}",
        notes=comparison["notes"],
        names=names,
        columns=_columns(names),
        runs=[run | {"gains": [_gained(run["paired"], name)
                               for name in ("segment_accuracy", "segment_ua")]}
              for run in runs],
        paired=_paired_summary(runs),
        figures=[_row(item) for item in comparison["figures"]],
        confusions=_confusions(names, results),
        calibrations=_beside(names, results, lambda overall: (
            f"ECE {percent(overall['calibration']['ece'])}", reliability_chart(overall))),
        coverages=_beside(names, results, lambda overall: (
            f"a label in {percent(overall['coverage']['share'])} of the frames, "
            f"{percent(overall['coverage']['accuracy'])} of them right",
            coverage_chart(overall))),
        segments=_listed(segments)[:_MOST_SEGMENTS],
        more=len(segments) - _MOST_SEGMENTS,
        worst=_worst(results),
        bags=differing[:_MOST_BAGS],
        more_bags=len(differing) - _MOST_BAGS,
        same=len(comparison["bags"]) - len(differing),
        timelines=timelines,
        hidden=hidden,
    )  # fmt: skip


def _columns(names: Sequence[str]) -> list[str]:
    """Differences first: a narrow screen shows only the beginning of a row."""
    if len(names) == _TWO:
        return ["Difference", *names]
    return [*(f"Difference of {name}" for name in names[1:]), *names]


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    """A figure of all runs: its name, the differences with their verdicts, the values."""
    figure, values = METRICS[item["name"]], item["values"]
    return {
        "text": figure.text,
        "differences": [
            (_difference(value, values[0], verdict, figure), verdict)
            for value, verdict in zip(values[1:], item["verdicts"][1:], strict=True)
        ],
        "values": [value_text(value, figure.unit) for value in values],
    }


def _difference(value: float | None, first: float | None, verdict: str, figure: Metric) -> str:
    """How much a figure has moved, of the digits that stand beside it."""
    if value is None or first is None:
        return "-"
    if verdict == "same":
        return verdict
    moved = rounded(value, figure.unit) - rounded(first, figure.unit)
    if figure.unit == SHARE:
        return f"{moved:+.1f} points"
    return f"{moved:+.3g} {figure.unit}".strip()


def _alike(item: Mapping[str, Any]) -> bool:
    return all(verdict == "same" for verdict in item["verdicts"]) or not any(
        value is not None for value in item["values"]
    )


def _paired_summary(runs: Sequence[Mapping[str, Any]]) -> str:
    found = runs[-1]["paired"]
    over, groups = found["over"], found["groups"]
    text = "Accuracy and UA: differences over the segments that all runs have in common"
    if not enough(over, groups):
        return f"{text}; {groups} {over} are too few for intervals."
    return (
        f"{text}, with {100 * found['level']:.0f} % intervals; both runs were drawn together, "
        f"over {groups} {over} in {found['rounds']} rounds. "
        "If an interval covers 0, the difference may be chance."
    )


def _gained(found: Mapping[str, Any] | None, name: str) -> str:
    """A difference in points with its interval; '-' of the first run."""
    if found is None or found[name]["difference"] is None:
        return "-"
    ends = found[name]["interval"]
    moved = rounded(found[name]["difference"], SHARE)
    text = f"{moved:+.1f} points" if moved or ends else "same"
    if ends is None:
        return text
    note = ", covers 0" if covers_zero(ends) else ""
    return f"{text} ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f}{note})"


def _confusions(
    names: Sequence[str], results: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What each run takes for what: segments, and frames."""
    drawn = []
    for part in ("segments", "frames"):
        if not any(result["overall"][part]["items"] for result in results):
            continue

        def of(overall: Mapping[str, Any], part: str = part) -> tuple[str, Chart]:
            found = overall[part]
            lost = f", {found['unanswered']} without an answer" if found["unanswered"] else ""
            items = counted(found["items"], part[:-1])
            summary = f"{items}, {percent(found['accuracy'])} right{lost}"
            return summary, charts.confusion(overall["classes"], found["confusion"], part)

        drawn.append({"part": part, "runs": _beside(names, results, of)})
    return drawn


def _beside(
    names: Sequence[str], results: Sequence[Mapping[str, Any]], of: Any
) -> list[dict[str, Any]]:
    """A figure of each run beside those of the others; none where there is none at all.

    `of` gives a sentence and a figure, or None, of the figures of all bags.
    """
    shown = [
        (name, *of(result["overall"])) for name, result in zip(names, results, strict=True)
    ]
    if not any(chart for _, _, chart in shown):
        return []
    return [
        {"name": name, "summary": summary, "chart": chart} for name, summary, chart in shown
    ]


_ORDER: Final = {"worse": 0, "better": 1, "other": 2, "": 3}


def _listed(segments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Segments that are answered otherwise, those that got worse first."""
    ordered = sorted(segments, key=lambda item: min(_ORDER[one] for one in item["changes"]))
    return [
        {
            **item,
            "cells": list(
                zip(item["answers"], item["confidences"], item["changes"], strict=True)
            ),
        }
        for item in ordered
    ]


def _worst(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Segments that are among the worst of any run, and what each run makes of them."""
    listed = [result["overall"]["segments"]["list"] for result in results]
    by_place = [{place_of(item): item for item in items} for items in listed]
    places = dict.fromkeys(
        place_of(items[at])
        for result, items in zip(results, listed, strict=True)
        for at in result["overall"]["worst"]
    )
    found = [[run.get(place) for run in by_place] for place in places]
    found.sort(key=lambda items: min(_share(item) for item in items if item is not None))
    return [
        {**next(item for item in items if item is not None), "answers": items}
        for items in found[:_MOST_WORST]
    ]


def _share(item: Mapping[str, Any]) -> float:
    """How likely the truth was held to be; those without an answer come last."""
    if item["right"]:
        return 2.0
    return 1.5 if item["truth_probability"] is None else float(item["truth_probability"])


# --- the predictions of several runs for each bag, one under the other on one axis of time


def _timelines(
    names: Sequence[str], results: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], int]:
    """Of each bag the truth, and below it the claims of every run where there is truth.

    Returns:
        Those that are drawn, and the number of bags that are not.
    """
    lengths: dict[str, float] = {}
    for result in results:
        for bag in result["bags"]:
            lengths[bag["name"]] = max(lengths.get(bag["name"], 0.0), bag["seconds"])
    shown = list(lengths.items())[:_MOST_DRAWN]
    most = max(60, min(_MOST_MARKS, _ALL_MARKS // max(len(shown) * len(names), 1)))
    drawn = [_bag(bag, seconds, names, results, most) for bag, seconds in shown]
    return [bag for bag in drawn if bag["people"]], len(lengths) - len(shown)


def _bag(
    bag: str,
    seconds: float,
    names: Sequence[str],
    results: Sequence[Mapping[str, Any]],
    most: int,
) -> dict[str, Any]:
    runs = [
        [item for item in result["overall"]["segments"]["list"] if item["session"] == bag]
        for result in results
    ]
    everything = [item for run in runs for item in run]
    # The bag's length counts from the first image, seconds of labels from the first message.
    last_s = max((end_s for item in everything for end_s in _ends(item)), default=0.0)
    people = []
    for person in dict.fromkeys(item["person"] for item in everything):
        own = [[item for item in run if item["person"] == person] for run in runs]
        heading = person or "Attended person"
        rows = Rows(max(seconds, last_s))
        steps = [0.0]
        for name, height, marks in _rows(names, own):
            kept, step_s = joined(marks, most, rows.end_s)
            rows.bars(name, height, kept)
            steps.append(step_s)
        about = f"Timeline of {heading} in {bag}: truth and {', '.join(names)}"
        chart = Chart(figure(rows.traces, rows.height, **rows.layout()), about, room=ROOM)
        people.append({"name": heading, "chart": chart, "step_s": max(steps)})
    return {
        "name": bag,
        "people": people,
        "is_old": not all("claims" in item for item in everything),
    }


def _rows(
    names: Sequence[str], runs: Sequence[Sequence[Mapping[str, Any]]]
) -> list[tuple[str, float, list[Mark]]]:
    """Of each row its name, its height and what it holds."""
    rows: list[tuple[str, float, list[Mark]]] = []
    shown: list[tuple[float, float, str]] = []
    for name, run in zip(names, runs, strict=True):
        if not run:
            continue
        # Runs of the same labels have one truth, others each their own.
        truth = [
            Mark(item["start_s"], item["end_s"], item["truth"], item["truth"]) for item in run
        ]
        if _marked(truth) != shown:
            rows.append((f"annotated, {name}" if rows else "annotated", 20.0, truth))
            shown = _marked(truth)
        rows.append((name, 24.0, [mark for item in run for mark in _predictions(item)]))
        rows.append(("", 8.0, [mark for item in run for mark in _judged(item)]))
    return rows


def _marked(marks: Iterable[Mark]) -> list[tuple[float, float, str]]:
    return [(round(mark.start_s, 2), round(mark.end_s, 2), mark.label) for mark in marks]


def _predictions(item: Mapping[str, Any]) -> list[Mark]:
    """The predictions in a segment; of an older file its only one."""
    answer = f"predicted for the whole segment: {item['answer'] or 'none'}"
    if item["confidence"] is not None:
        answer += f", {percent(item['confidence'])}"
    return [
        Mark(part["start_s"], part["end_s"], part["label"], part["label"], answer)
        for part in _claims(item)
    ]


def _judged(item: Mapping[str, Any]) -> list[Mark]:
    marks = []
    for part in _claims(item):
        kind = "right" if part["label"] == item["truth"] else "wrong"
        if not part["label"]:
            kind = "blank"
        hover = f"annotated {item['truth']}"
        marks.append(Mark(part["start_s"], part["end_s"], kind, hover=hover))
    return marks


def _claims(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if "claims" in item:
        return list(item["claims"])
    whole = {"start_s": item["start_s"], "end_s": item["end_s"], "label": item["answer"]}
    return [whole]


def _ends(item: Mapping[str, Any]) -> list[float]:
    return [part["end_s"] for part in _claims(item)]
