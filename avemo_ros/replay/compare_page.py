"""A comparison of evaluations as one HTML file that opens from disk and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from avemo_ros.replay import compare_charts as charts
from avemo_ros.replay.compare_timeline import timelines, where
from avemo_ros.replay.figures import FIGURES, SHARE, Figure, as_shown, in_words
from avemo_ros.replay.rates import LEAST
from avemo_ros.replay.report_parts import (
    Html,
    breakable,
    number,
    page,
    paragraph,
    passed,
    section,
    table,
    word,
)
from avemo_ros.replay.words import counted
from avemo_ros.sink.atomic import OutputError, replaced

_TWO: Final = 2
_MOST_SEGMENTS: Final = 300
"""Changed segments that are listed."""


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
    try:
        with replaced(path) as made:
            made.write_text(render(comparison, results), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def render(comparison: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    """The page as text; the arguments are those of `write_comparison`."""
    runs = comparison["runs"]
    names = [run["name"] for run in runs]
    return page(
        " against ".join(names),
        f"{counted(len(comparison['bags']), 'bag')}; differences are from {names[0]}",
        (
            *(paragraph(note, "note") for note in comparison["notes"]),
            _runs(runs),
            _figures(names, comparison["figures"]),
            _limits(runs),
            charts.confusion(names, results),
            charts.certainty(names, results),
            _segments(names, comparison["segments"]),
            charts.worst(names, results),
            _bags(names, comparison["bags"]),
            *timelines(names, results),
        ),
        _FOOTER,
    )


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for run in runs:
        changed = ", ".join(f"{key} = {value}" for key, value in run["settings"].items())
        chance = run["sign_test"]
        rows.append(
            (
                run["name"],
                _colour(
                    f"{run['segments_better']}", "better" if run["segments_better"] else ""
                ),
                _colour(f"{run['segments_worse']}", "worse" if run["segments_worse"] else ""),
                "-" if chance is None else f"{chance:.2g}",
                *(_gained(run["paired"], name) for name in ("segment_accuracy", "segment_ua")),
                len(run["failed_bags"]),
                ", ".join(run["models"]) or "-",
                " ".join([run["sha256"][:12] or "-", *run["precision"]]),
                changed or "-",
            )
        )
    head = ["Run", "Segments better", "Worse", "Sign test", "Accuracy of segments", "UA"]
    head += ["Bags lost", "Model", "SHA-256", "Other settings"]
    return section(
        "Runs",
        paragraph(
            "Better and worse: segments that became right and wrong. Sign test: the "
            "probability of so uneven a split by chance, each segment taken for itself. "
            + _paired_told(runs)
        ),
        table(head, rows, kind="named"),
    )


def _paired_told(runs: Sequence[Mapping[str, Any]]) -> str:
    found = runs[-1]["paired"]
    over, groups = found["over"], found["groups"]
    told = "Accuracy and UA: differences over the segments that all runs have judged"
    if groups < LEAST[over]:
        return f"{told}; {groups} {over} are too few for intervals."
    return (
        f"{told}, with {100 * found['level']:.0f} % intervals; both runs were drawn together, "
        f"over {groups} {over} in {found['rounds']} rounds."
    )


def _gained(found: Mapping[str, Any] | None, name: str) -> str:
    """A difference in points with its interval; '-' of the first run."""
    if found is None or found[name]["difference"] is None:
        return "-"
    ends = found[name]["interval"]
    moved = as_shown(found[name]["difference"], SHARE)
    told = f"{moved:+.1f} points" if moved or ends else "same"
    return told if ends is None else f"{told} ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"


def _figures(names: Sequence[str], figures: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (FIGURES[item["name"]].text, *_cells(FIGURES[item["name"]], item)) for item in figures
    ]
    return section(
        "Figures of all bags",
        paragraph(
            "Better and worse say which way a figure went, not that this is more than chance: "
            "see the sign test and the intervals of the differences for that."
        ),
        table(("Figure", *_head(names)), rows, kind="slim"),
    )


def _bags(names: Sequence[str], bags: Sequence[Mapping[str, Any]]) -> str:
    """Of each bag the figures that differ."""
    rows = []
    same = 0
    for bag in bags:
        differing = [item for item in bag["figures"] if not _alike(item)]
        same += not differing
        for place, item in enumerate(differing):
            figure = FIGURES[item["name"]]
            rows.append((bag["name"] if place == 0 else "", figure.text, *_cells(figure, item)))
    told = f"{counted(same, 'bag')} without any difference." if same else ""
    return section(
        "Bags",
        paragraph(told),
        table(("Bag", "Figure", *_head(names)), rows, kind="named grouped"),
    )


def _alike(item: Mapping[str, Any]) -> bool:
    return all(verdict == "same" for verdict in item["verdicts"]) or not any(
        value is not None for value in item["values"]
    )


def _head(names: Sequence[str]) -> list[str]:
    """Differences first: a narrow screen shows only the beginning of a row."""
    if len(names) == _TWO:
        return ["Difference", *names]
    return [*(f"Difference of {name}" for name in names[1:]), *names]


def _cells(figure: Figure, item: Mapping[str, Any]) -> list[object]:
    values = item["values"]
    told: list[object] = [
        _colour(_difference(value, values[0], verdict, figure.unit), verdict)
        for value, verdict in zip(values[1:], item["verdicts"][1:], strict=True)
    ]
    return told + [in_words(value, figure.unit) for value in values]


def _difference(value: float | None, first: float | None, verdict: str, unit: str) -> str:
    """How much a figure has moved, of the digits that stand beside it."""
    if value is None or first is None:
        return "-"
    if verdict == "same":
        return verdict
    moved = as_shown(value, unit) - as_shown(first, unit)
    return f"{moved:+.1f} points" if unit == SHARE else f"{moved:+.3g} {unit}".strip()


def _colour(text: str, verdict: str) -> Html:
    """A difference with its verdict, which is told by a word too and not by colour alone."""
    kind = {"better": "good", "worse": "bad"}.get(verdict)
    if kind is None:
        return Html(escape(text))
    return Html(f'<span class="{kind}">{escape(text)}</span> {verdict}')


def _limits(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            run["name"],
            passed(item["passed"]),
            Html(f"{breakable(item['figure'])} not {item['fails']} {item['limit']:g}"),
            "not measured" if item["value"] is None else f"{item['value']:g}",
        )
        for run in runs
        for item in run["thresholds"]
    ]
    return section("Limits", table(("Run", "Result", "Limit", "Value"), rows, kind="named"))


def _segments(names: Sequence[str], segments: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(segments, key=lambda item: _ORDER[_worst_change(item["changes"])])
    rows = []
    for item in ordered[:_MOST_SEGMENTS]:
        cells: list[object] = []
        for answer, sure, change in zip(
            item["answers"], item["confidences"], item["changes"], strict=True
        ):
            told = "" if sure is None else f" {number(100 * sure, 0)} %"
            cells.append(Html(f"{word(answer)}{told}{_MARKS.get(change, '')}"))
        rows.append((where(item), word(item["truth"]), *cells, item["person"] or "-"))
    more = len(segments) - _MOST_SEGMENTS
    return section(
        "Segments that are answered otherwise",
        paragraph(f"{more} more are in the JSON." if more > 0 else ""),
        table(("Segment", "Truth", *names, "Person"), rows, kind="named")
        or paragraph("None: every segment gets the same answer in all runs."),
    )


def _worst_change(changes: Sequence[str]) -> str:
    return min(changes, key=lambda change: _ORDER[change])


_MARKS: Final = {
    "better": ' <span class="good">better</span>',
    "worse": ' <span class="bad">worse</span>',
}
_ORDER: Final = {"worse": 0, "better": 1, "other": 2, "": 3}
_FOOTER: Final = (
    "<p>UA: mean recall over the classes that occur. Better and worse follow the figure: more "
    "is better for accuracy and coverage, less for errors and delays; changes of the label are "
    "neither by themselves.</p><p><b>Personal data.</b> What this page says is about people: "
    "keep it no longer than needed, and share it only with their consent.</p>"
)
