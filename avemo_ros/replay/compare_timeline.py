"""What several runs said of each bag, one under the other on one axis of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.report_parts import Html, paragraph, percent, section
from avemo_ros.replay.report_timeline import Mark, draw_claims, legend
from avemo_ros.replay.words import counted

_MOST_DRAWN: Final = 60
"""Bags whose timeline is drawn; a page of more is slow."""
_Rows = list[tuple[str, str, Sequence[Mark]]]


def where(item: Mapping[str, Any]) -> str:
    """Bag and time of a row of `segments.list`."""
    return f"{item['session']}, {item['start_s']:.1f} to {item['end_s']:.1f} s"


def timelines(names: Sequence[str], results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each bag the truth, and below it the claims of every run where there is truth.

    Args:
        names: of the runs.
        results: of each, as `avemo bag evaluate --json` writes them.
    """
    lengths: dict[str, float] = {}
    for result in results:
        for bag in result["bags"]:
            lengths[bag["name"]] = max(lengths.get(bag["name"], 0.0), bag["seconds"])
    drawn = []
    for place, (bag, seconds) in enumerate(list(lengths.items())[:_MOST_DRAWN]):
        drawn.append(_bag(bag, seconds, names, results, first=place == 0))
    more = len(lengths) - _MOST_DRAWN
    if more > 0:
        drawn.append(paragraph(f"The timelines of {counted(more, 'more bag')} are not drawn."))
    return drawn


def _bag(
    bag: str,
    seconds: float,
    names: Sequence[str],
    results: Sequence[Mapping[str, Any]],
    *,
    first: bool,
) -> str:
    runs = [
        [item for item in result["overall"]["segments"]["list"] if item["session"] == bag]
        for result in results
    ]
    everything = [item for run in runs for item in run]
    # The bag's length counts from the first picture, seconds of labels from the first message.
    last_s = max((end_s for item in everything for end_s in _ends(item)), default=0.0)
    people = dict.fromkeys(item["person"] for item in everything)
    drawn = []
    for person in people:
        own = [[item for item in run if item["person"] == person] for run in runs]
        heading = person or "Whom the robot attends to"
        what = f"Timeline of {heading} in {bag}: truth and {', '.join(names)}"
        rows = draw_claims(what, max(seconds, last_s), _rows(names, own))
        drawn.append(f"<h3>{escape(heading)}</h3>{rows}")
    if not drawn:
        return ""
    told = "" if all("claims" in item for item in everything) else _OLD
    return section(
        f"Timeline of {bag}",
        paragraph(_TOLD) if first else "",
        paragraph(told),
        legend(EMOTIONS, grounds=False) if first else Html(""),
        *drawn,
    )


def _rows(names: Sequence[str], runs: Sequence[Sequence[Mapping[str, Any]]]) -> _Rows:
    rows: _Rows = []
    shown: list[tuple[float, float, str]] = []
    for name, run in zip(names, runs, strict=True):
        if not run:
            continue
        # Runs of the same labels have one truth, others each their own.
        truth = _truth(run)
        if _marked(truth) != shown:
            rows.append((f"truth, {name}" if rows else "truth", "truth", truth))
            shown = _marked(truth)
        rows.append((name, "said", [mark for item in run for mark in _said(name, item)]))
        rows.append(("", "judged", [mark for item in run for mark in _judged(item)]))
    return rows


def _truth(run: Iterable[Mapping[str, Any]]) -> list[Mark]:
    return [
        Mark(item["start_s"], item["end_s"], item["truth"],
             f"truth {item['start_s']:.1f} to {item['end_s']:.1f} s: {item['truth']}")
        for item in run
    ]  # fmt: skip


def _marked(marks: Iterable[Mark]) -> list[tuple[float, float, str]]:
    return [(round(mark.start_s, 2), round(mark.end_s, 2), mark.label) for mark in marks]


def _said(name: str, item: Mapping[str, Any]) -> list[Mark]:
    """What was claimed in a segment; of an older file its one answer."""
    answer = f"answer for the whole segment: {item['answer'] or 'none'}"
    if item["confidence"] is not None:
        answer += f", {percent(item['confidence'])}"
    return [
        Mark(part["start_s"], part["end_s"], part["label"],
             f"{name}, {part['start_s']:.1f} to {part['end_s']:.1f} s: "
             f"{part['label'] or 'no claim'}; {answer}")
        for part in _claims(item)
    ]  # fmt: skip


def _judged(item: Mapping[str, Any]) -> list[Mark]:
    marks = []
    for part in _claims(item):
        kind = "right" if part["label"] == item["truth"] else "wrong"
        if not part["label"]:
            kind = "blank"
        marks.append(Mark(part["start_s"], part["end_s"], kind, f"{kind}: {item['truth']}"))
    return marks


def _claims(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if "claims" in item:
        return list(item["claims"])
    whole = {"start_s": item["start_s"], "end_s": item["end_s"], "label": item["answer"]}
    return [whole]


def _ends(item: Mapping[str, Any]) -> list[float]:
    return [part["end_s"] for part in _claims(item)]


_TOLD: Final = (
    "Below the truth what each run claimed where there is truth, and below that whether it was "
    "right. What was said elsewhere, confidence, grounds and the times of the stages are on "
    "each run's own page."
)
_OLD: Final = (
    "A file of an older version tells no claims: its row shows the one answer for each segment."
)
