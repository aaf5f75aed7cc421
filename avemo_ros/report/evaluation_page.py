"""The page of `avemo evaluate`: how right a model is on a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from avemo_ros.evaluate.metric_tables import never_true_in_words, range_text, ranges_in_words
from avemo_ros.report import charts
from avemo_ros.report.rendering import percent, write
from avemo_ros.report.rendering import render as rendered

_MOST_SUBJECTS: Final = 200
"""Subjects that are still drawn one by one."""
_PARTS: Final = {"fused": "Both", "face": "Face alone", "voice": "Voice alone"}
_RATES: Final = ("accuracy", "ua", "macro_f1")


def write_evaluation(path: Path, result: Mapping[str, Any]) -> None:
    """Write the page; it takes the place of an older one when it is complete.

    Args:
        path: of the file.
        result: as `avemo evaluate --json` writes it.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, render(result))


def render(result: Mapping[str, Any]) -> str:
    """The page as text."""
    return rendered(
        "evaluation.html",
        title=f"{result['model']['name']} on {result['title']}",
        subtitle=_subtitle(result),
        result=result,
        notes=[
            note for note in (*result.get("notes", ()), never_true_in_words(result)) if note
        ],
        ranges=ranges_in_words(result),
        tiles=_tiles(result),
        confusion=charts.confusion(result["classes"], result["confusion"], "items"),
        recalls=charts.recall_bars(result["recalls"]),
        reliabilities=_reliabilities(result),
        # Results of earlier versions have none.
        coverage=charts.coverage_curve(result.get("coverage_curve") or ()),
        temperatures=" and ".join(f"{value:.2f}" for value in result["temperature"] or ()),
        subjects=_subjects(result),
        sexes=[
            (name, part["items"], percent(part["accuracy"]), percent(part["ua"]))
            for name, part in (result["by_sex"] or {}).items()
        ],
        gaps=_gaps(result),
        folds=_folds(result),
        alone=[
            (_PARTS[part], _with_range(figures, "accuracy"), _with_range(figures, "ua"))
            for part, figures in (result.get("alone") or {}).items()
        ],
        corruptions=_corruptions(result),
        compared=_compared(result),
        facts=_facts(result),
    )


def _subtitle(result: Mapping[str, Any]) -> str:
    items, subjects = result["items"], result["subjects"]
    of = f"{result['split']}: " if result["split"] else ""
    whose = "" if subjects == items else f" of {subjects} subject{'' if subjects == 1 else 's'}"
    return f"{of}{items} items{whose}, {len(result['classes'])} classes"


def _tiles(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    tiles = [
        (name, percent(result[key]), _range(result, key, percent))
        for name, key in (("Accuracy", "accuracy"), ("UA", "ua"), ("Macro F1", "macro_f1"))
    ]
    for name, key, shown in (("ECE", "ece", percent), ("NLL", "nll", _plain)):
        scaled = result[f"{key}_scaled"]
        under = _range(result, key, shown)
        if scaled is not None:
            under += f"; {shown(scaled)} after scaling"
        tiles.append((name, shown(result[key]), under))
    answered = result["items"] - result["unanswered"]
    tiles.append(
        ("Coverage", percent(result["coverage"]), f"{answered} of {result['items']} items")
    )
    if result.get("ms_per_item") is not None:
        note = "an item, model only, 1 thread"
        tiles.append(("Time", f"{result['ms_per_item']:.1f} ms", note))
    return tiles


def _reliabilities(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The reliability diagrams before and after temperature scaling."""
    drawn = []
    for name, title, key in (
        ("before", "as it is", "ece"),
        ("after", "after temperature scaling", "ece_scaled"),
    ):
        if name in result["reliability"]:
            bins = result["reliability"][name]
            count = len(bins["counts"])
            edges = [place / count for place in range(count + 1)]
            chart = charts.reliability(
                edges,
                bins["counts"],
                bins["confidence"],
                bins["accuracy"],
                f"Reliability, {title}",
            )
            drawn.append({"title": title, "ece": result[key], "chart": chart})
    return drawn


def _subjects(result: Mapping[str, Any]) -> charts.Chart | None:
    if not 1 < len(result["by_subject"]) <= _MOST_SUBJECTS:
        return None
    return charts.subject_bars(
        result["by_subject"],
        result["accuracy"],
        None if result["intervals"] is None else result["intervals"]["accuracy"],
    )


def _folds(result: Mapping[str, Any]) -> list[tuple[object, ...]]:
    folds = result.get("folds")
    if not folds:
        return []
    return [
        *(
            (number, fold["items"], *(percent(fold[key]) for key in _RATES))
            for number, fold in enumerate(folds["each"])
        ),
        *(
            (name, "", *(percent(folds[key][name]) for key in _RATES))
            for name in ("mean", "deviation")
        ),
    ]


def _corruptions(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Figures under corruption: the figure, and the table's head and rows."""
    found = result.get("corruptions")
    if not found:
        return None
    rows = found["rows"]
    parts = [part for part in _PARTS if any(part in row for row in rows)]
    head = ["Condition"]
    for part in parts:
        head += [f"{_PARTS[part]}: accuracy", "UA"]
    lines: list[list[object]] = []
    for row in rows:
        cells: list[object] = [row["condition"]]
        for part in parts:
            figures = row.get(part)
            cells += [
                "-" if figures is None else percent(figures[key]) for key in ("accuracy", "ua")
            ]
        if "fused" in parts:
            cells.append(_signed(row["difference"]["ua"]) if "difference" in row else "-")
        lines.append(cells)
    if "fused" in parts:
        head.append("Both less the better single: UA")
    chart = charts.corruption_bars(rows, _PARTS)
    return {"data": found["data"], "chart": chart, "head": head, "rows": lines}


def _gaps(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    # Results of earlier versions have none.
    for kind, groups in (result.get("gaps") or {}).items():
        for name, part in groups.items():
            ends = part["interval"]
            shown = "" if ends is None else f" ({percent(ends[0])} to {percent(ends[1])})"
            gap = _signed(part["gap"])
            people = str(part["subjects"])
            rows.append((kind, name, people, percent(part["ua"]) + shown, gap))
    return rows


def _compared(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            other,
            *(_signed(found[key]) for key in ("accuracy", "ua", "macro_f1", "ece")),
            _signed(found["nll"], 1, 3),
        )
        for other, found in (result.get("difference") or {}).items()
    ]


_NAMED: Final = 20
"""Items without a voice that are named."""


def _facts(result: Mapping[str, Any]) -> dict[str, object]:
    missing = result["missing"]
    silent = missing["no_voice"]
    named = ", ".join(silent[:_NAMED]) + (", ..." if len(silent) > _NAMED else "")
    return {
        **result["model"],
        **result.get("data", {}),
        "missing": f"{len(missing['unreadable'])} items could not be read, "
        f"{len(missing['no_face'])} have no face, {len(missing['no_voice'])} no voice; "
        f"{missing['treatment']}",
        **({"no voice": named} if silent else {}),
        "seen in training": "yes" if result["seen"] else "no",
        "versions": ", ".join(f"{name} {value}" for name, value in result["versions"].items()),
        "command": result["command"],
    }


def _plain(value: float) -> str:
    return f"{value:.3f}"


def _range(figures: Mapping[str, Any], key: str, shown: Callable[[float], str]) -> str:
    return range_text(figures, key, shown).replace(" % to", " to")


def _with_range(figures: Mapping[str, Any], key: str) -> str:
    return f"{percent(figures[key])} ({_range(figures, key, percent)})"


def _signed(found: Mapping[str, Any], factor: float = 100, digits: int = 1) -> str:
    value, ends = factor * found["value"], found["interval"]
    if ends is None:
        return f"{value:+.{digits}f}"
    low, high = (factor * end for end in ends)
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
