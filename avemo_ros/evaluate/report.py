"""The figures of an evaluation as one HTML file that needs no network.

It reads in light and dark, and on a small screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from avemo_ros.evaluate import plots
from avemo_ros.sink.atomic import replaced

_MOST_SUBJECTS: Final = 200
"""Subjects that are still drawn one by one."""
_PARTS: Final = {"fused": "Both", "face": "Face alone", "voice": "Voice alone"}


def write_report(path: Path, result: Mapping[str, Any]) -> None:
    """Write the page; it takes the place of an older one when it is complete.

    Args:
        path: of the file.
        result: as `avemo evaluate --json` writes it.

    Raises:
        OutputError: the file cannot be written.
    """
    with replaced(path) as made:
        made.write_text(render(result), encoding="utf-8")


def render(result: Mapping[str, Any]) -> str:
    """The page as text."""
    title = f"{result['model']['name']} on {result['title']}"
    sections = (
        _tiles(result),
        _section("Confusion", _confusion(result)),
        _section("Recall", plots.recall_bars(result["recalls"])),
        _section("Calibration", _calibration(result)),
        _section("Subjects", _subjects(result)),
        _section("Folds", _folds(result)),
        _section("One modality alone", _alone(result)),
        _section("Missing modalities and corruption", _corruptions(result)),
        _section("Compared", _compared(result)),
        _section("Model and data", _facts(result)),
    )
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head>",
            f"<body><main><h1>{escape(title)}</h1>",
            f'<p class="sub">{escape(_subtitle(result))}</p>',
            *(f'<p class="note">{escape(note)}</p>' for note in result.get("notes", ())),
            *sections,
            f"<footer>{_FOOTER}</footer></main></body></html>\n",
        )
    )


def _subtitle(result: Mapping[str, Any]) -> str:
    items, subjects = result["items"], result["subjects"]
    of = f"{result['split']}: " if result["split"] else ""
    whose = "" if subjects == items else f" of {subjects} subject{'' if subjects == 1 else 's'}"
    over = result["intervals_over"]
    return f"{of}{items} items{whose}, {len(result['classes'])} classes; intervals over {over}"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _tiles(result: Mapping[str, Any]) -> str:
    tiles = [
        (name, _percent(result[key]), _range(result["intervals"][key], _percent))
        for name, key in (("Accuracy", "accuracy"), ("UA", "ua"), ("Macro F1", "macro_f1"))
    ]
    for name, key, shown in (("ECE", "ece", _percent), ("NLL", "nll", _plain)):
        scaled = result[f"{key}_scaled"]
        under = _range(result["intervals"][key], shown)
        if scaled is not None:
            under += f"; {shown(scaled)} after scaling"
        tiles.append((name, shown(result[key]), under))
    if result.get("ms_per_item") is not None:
        tiles.append(
            ("Time", f"{result['ms_per_item']:.1f} ms", "an item, model only, 1 thread")
        )
    return (
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{name}</dt><dd>{value}</dd><dd>{escape(under)}</dd></div>"
            for name, value, under in tiles
        )
        + "</dl>"
    )


def _confusion(result: Mapping[str, Any]) -> str:
    names, table = result["classes"], result["confusion"]
    head = "".join(f"<th><span>{escape(name)}</span></th>" for name in names)
    lines = []
    for name, row, place in zip(names, table, range(len(names)), strict=True):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td class="{"hit" if column == place else "cell"}" '
            f'style="--share:{100 * count / total:.0f}%" '
            f'title="{escape(name)} taken for {escape(names[column])}: {count}">'
            f"{100 * count / total:.0f}<small>{count}</small></td>"
            for column, count in enumerate(row)
        )
        lines.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    unanswered = result.get("unanswered", 0)
    lost = f" {unanswered} without an answer are in no cell." if unanswered else ""
    return (
        f"<p>Rows are the truth, columns the answer, in % of the row's answers; small: items."
        f"{lost}</p>"
        f'<div class="wide"><table class="confusion"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _calibration(result: Mapping[str, Any]) -> str:
    drawn = []
    for name, title in (("before", "as it is"), ("after", "after temperature scaling")):
        if name in result["reliability"]:
            error = result["ece" if name == "before" else "ece_scaled"]
            text = f"{title}: ECE {_percent(error)}"
            drawn.append(plots.reliability(result["reliability"][name], text, name))
    temperatures = result["temperature"]
    told = ""
    if temperatures:
        values = " and ".join(f"{value:.2f}" for value in temperatures)
        told = (
            f"<p>Temperatures {values}, each fitted on one half of the "
            f"{result['intervals_over']} and applied to the other.</p>"
        )
    return f'<div class="pair">{"".join(drawn)}</div>{told}'


def _subjects(result: Mapping[str, Any]) -> str:
    by_subject, by_sex = result["by_subject"], result["by_sex"]
    drawn = ""
    if 1 < len(by_subject) <= _MOST_SUBJECTS:
        drawn = (
            "<p>Accuracy of each; the line is the mean over items, the band its 95 % interval."
            "</p>"
            + plots.subject_bars(
                by_subject, result["accuracy"], result["intervals"]["accuracy"]
            )
        )
    if by_sex:
        drawn += _table(
            ("Sex", "Items", "Accuracy", "UA"),
            [
                (name, part["items"], _percent(part["accuracy"]), _percent(part["ua"]))
                for name, part in by_sex.items()
            ],
        )
    return drawn


def _folds(result: Mapping[str, Any]) -> str:
    folds = result.get("folds")
    if not folds:
        return ""
    rows: list[Sequence[object]] = [
        (
            number,
            fold["items"],
            *(_percent(fold[key]) for key in ("accuracy", "ua", "macro_f1")),
        )
        for number, fold in enumerate(folds["each"])
    ]
    rows.append(("mean", "", *(_percent(folds[key]["mean"]) for key in _FOLD_KEYS)))
    rows.append(("deviation", "", *(_percent(folds[key]["deviation"]) for key in _FOLD_KEYS)))
    return "<p>The figures above are of all folds together.</p>" + _table(
        ("Fold", "Items", "Accuracy", "UA", "Macro F1"), rows
    )


_FOLD_KEYS: Final = ("accuracy", "ua", "macro_f1")


def _alone(result: Mapping[str, Any]) -> str:
    alone = result.get("alone")
    if not alone:
        return ""
    return "<p>The same model with the other modality taken away.</p>" + _table(
        ("Given", "Accuracy", "UA"),
        [
            (_PARTS[part], _with_range(figures, "accuracy"), _with_range(figures, "ua"))
            for part, figures in alone.items()
        ],
    )


def _corruptions(result: Mapping[str, Any]) -> str:
    table = result.get("corruptions")
    if not table:
        return ""
    rows = table["rows"]
    parts = [part for part in _PARTS if any(part in row for row in rows)]
    lines: list[Sequence[object]] = []
    for row in rows:
        cells: list[object] = [row["condition"]]
        for part in parts:
            figures = row.get(part)
            cells.append("-" if figures is None else _percent(figures["accuracy"]))
            cells.append("-" if figures is None else _percent(figures["ua"]))
        if "fused" in parts:
            cells.append(_signed(row["difference"]["ua"]) if "difference" in row else "-")
        lines.append(cells)
    head = ["Condition"]
    for part in parts:
        head += [f"{_PARTS[part]}: accuracy", "UA"]
    if "fused" in parts:
        head.append("Both less the better single: UA")
    return (
        f"<p>{escape(table['data'])}. UA in the drawing; differences in points with 95 % "
        "intervals, both judged on the same subjects.</p>"
        + plots.corruption_bars(rows)
        + _table(head, lines)
    )


def _compared(result: Mapping[str, Any]) -> str:
    compared = result.get("difference")
    if not compared:
        return ""
    return (
        "<p>This model less the other, in points with 95 % intervals, both judged on the same "
        "subjects in every round. NLL is not in points.</p>"
        + _table(
            ("Other", "Accuracy", "UA", "Macro F1", "ECE", "NLL"),
            [
                (
                    other,
                    *(_signed(found[key]) for key in ("accuracy", "ua", "macro_f1", "ece")),
                    _signed(found["nll"], 1, 3),
                )
                for other, found in compared.items()
            ],
        )
    )


def _facts(result: Mapping[str, Any]) -> str:
    missing = result["missing"]
    facts: dict[str, object] = {**result["model"], **result.get("data", {})}
    facts["missing"] = (
        f"{len(missing['unreadable'])} items could not be read, {len(missing['no_face'])} have "
        f"no face, {len(missing['no_voice'])} no sound; {missing['treatment']}"
    )
    facts["seen in training"] = "yes" if result["seen"] else "no"
    facts["versions"] = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    facts["command"] = result["command"]
    rows = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>"
        for name, value in facts.items()
        if value not in ("", None)
    )
    return f'<dl class="facts">{rows}</dl>'


def _table(head: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody>'
        "</table></div>"
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _plain(value: float) -> str:
    return f"{value:.3f}"


def _range(interval: Sequence[float], shown: Any) -> str:
    return f"{shown(interval[0]).removesuffix(' %')} to {shown(interval[1])}"


def _with_range(figures: Mapping[str, Any], key: str) -> str:
    return f"{_percent(figures[key])} ({_range(figures['intervals'][key], _percent)})"


def _signed(found: Mapping[str, Any], factor: float = 100, digits: int = 1) -> str:
    value, (low, high) = factor * found["value"], (factor * v for v in found["interval"])
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


_FOOTER: Final = (
    "<p>Ranges are 95 % percentile intervals, bootstrapped over subjects (over items where "
    "each is a subject of its own). UA: mean recall over the classes. ECE: 15 bins of equal "
    "width on the largest probability. What a model reads in an expression is not what a "
    "person feels.</p>"
)
_STYLE: Final = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2128;--soft:#59636e;
--line:#d8dee4;--bar:#7aa2cf;--mark:#c2410c;--face:#5f9d97;--voice:#b98f58;--heat:#2a6fd0;
--warn:#9a3412}
@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--card:#181d24;--ink:#e8ecf1;
--soft:#9aa5b1;--line:#2f3742;--bar:#4f7fb3;--mark:#f59e5b;--face:#5f9089;--voice:#b08a57;
--heat:#5c9df5;--warn:#fdba74}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:980px;margin:0 auto;padding:28px 16px 48px}
h1{font-size:23px;margin:0;overflow-wrap:anywhere}h2{font-size:17px;margin:0 0 6px}
.sub{margin:2px 0 14px}.sub,section p,footer,dt,dd+dd{color:var(--soft)}
.note{color:var(--warn);margin:0 0 12px;font-weight:600}
section p{margin:0 0 10px;font-size:14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;
margin:0 0 16px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px 14px}
dt{font-size:13px}dd{margin:0}.tiles dd{font-size:20px;font-weight:600}
.tiles dd+dd{font-size:12px;font-weight:400}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:16px 18px;margin:0 0 16px}
.wide{overflow-x:auto}
svg{display:block;width:100%;height:auto}
svg text{font-family:system-ui,sans-serif!important}
.pair{display:flex;flex-wrap:wrap;gap:12px 36px}.pair svg{flex:1 1 250px}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin-top:8px}
th,td{padding:4px 10px;text-align:left;border-bottom:1px solid var(--line)}
td{white-space:nowrap}th{color:var(--soft);font-weight:500;vertical-align:bottom}
tbody th{vertical-align:middle}
.confusion td{text-align:right;border:1px solid var(--card);padding:4px 8px;min-width:52px;
background:color-mix(in srgb,var(--heat) calc(var(--share)*.75),var(--card))}
.confusion td small{display:block;font-size:10px;opacity:.75}
.confusion .hit{outline:1px solid var(--soft);outline-offset:-2px;font-weight:600}
.facts{display:grid;grid-template-columns:minmax(90px,max-content) 1fr;gap:4px 16px;margin:0;
font-size:14px}.facts dd{color:var(--ink);overflow-wrap:anywhere}
footer{font-size:13px;max-width:76ch}
"""
