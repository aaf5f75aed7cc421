"""Plots of several evaluations side by side, each with the name of its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

from avemo_ros.replay.compare import place_of
from avemo_ros.replay.compare_timeline import where
from avemo_ros.replay.report_figures import coverage_chart, matrix, reliability_chart
from avemo_ros.replay.report_parts import Html, paragraph, percent, section, table, word
from avemo_ros.replay.words import counted

_MOST_WORST: Final = 20
"""Segments that are listed as worst."""


def confusion(names: Sequence[str], results: Sequence[Mapping[str, Any]]) -> str:
    """What each run takes for what: segments, and frames."""
    drawn = []
    for part in ("segments", "frames"):
        items = [result["overall"][part]["items"] for result in results]
        if not any(items):
            continue
        told = (
            f"Rows are the truth, columns the answer, in % of the row; small: {part}. What got "
            "no answer is in no cell and counts as wrong."
        )

        def of(overall: Mapping[str, Any], part: str = part) -> tuple[str, str]:
            found = overall[part]
            lost = f", {found['unanswered']} without an answer" if found["unanswered"] else ""
            items = counted(found["items"], part[:-1])
            told = f"{items}, {percent(found['accuracy'])} right{lost}"
            return told, matrix(overall["classes"], found["confusion"])

        drawn.append(f"<h3>{part.capitalize()}</h3>{paragraph(told)}")
        drawn.append(_beside(names, results, of, kind="pair matrices"))
    return section("Confusion", *drawn)


def certainty(names: Sequence[str], results: Sequence[Mapping[str, Any]]) -> str:
    """Reliability diagrams and curves of coverage of each run."""

    def calibration(overall: Mapping[str, Any]) -> tuple[str, str]:
        return f"ECE {percent(overall['calibration']['ece'])}", reliability_chart(overall)

    def coverage(overall: Mapping[str, Any]) -> tuple[str, str]:
        found = overall["coverage"]
        told = (
            f"claimed in {percent(found['share'])} of the frames, "
            f"{percent(found['accuracy'])} of the claims right"
        )
        return told, coverage_chart(overall)

    drawn = []
    for title, told, of in (
        ("Calibration", "On the dashed line confidence is what it says.", calibration),
        ("Coverage", "The curve: other limits of confidence; the dot: the settings in use.",
         coverage),
    ):  # fmt: skip
        beside = _beside(names, results, of)
        if beside:
            drawn.append(f"<h3>{title}</h3>{paragraph(told)}{beside}")
    return section("Confidence", *drawn)


def worst(names: Sequence[str], results: Sequence[Mapping[str, Any]]) -> str:
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
    rows = []
    for items in found[:_MOST_WORST]:
        known = next(item for item in items if item is not None)
        cells = [_answer(item) for item in items]
        rows.append((where(known), word(known["truth"]), *cells, known["person"] or "-"))
    return section(
        "Worst segments",
        paragraph("Wrong in one run at least; in brackets the share that the truth was given.")
        if rows
        else "",
        table(("Segment", "Truth", *names, "Person"), rows, kind="named"),
    )


def _share(item: Mapping[str, Any]) -> float:
    """How likely the truth was held to be; those without an answer come last."""
    if item["right"]:
        return 2.0
    return 1.5 if item["truth_probability"] is None else float(item["truth_probability"])


def _answer(item: Mapping[str, Any] | None) -> object:
    if item is None:
        return "not judged"
    kind, told = ("good", "right") if item["right"] else ("bad", "wrong")
    share = (
        "" if item["truth_probability"] is None else f" ({percent(item['truth_probability'])})"
    )
    return Html(f'{word(item["answer"])} <span class="{kind}">{told}</span>{share}')


def _beside(
    names: Sequence[str],
    results: Sequence[Mapping[str, Any]],
    of: Callable[[Mapping[str, Any]], tuple[str, str]],
    kind: str = "pair",
) -> str:
    """A drawing of each run beside those of the others; '' where there is none at all."""
    made = [of(result["overall"]) for result in results]
    if not any(chart for _, chart in made):
        return ""
    drawn = (
        f"<div><h3>{escape(name)}</h3>{paragraph(told)}{chart}</div>"
        for name, (told, chart) in zip(names, made, strict=True)
    )
    return f'<div class="{kind}">{"".join(drawn)}</div>'
