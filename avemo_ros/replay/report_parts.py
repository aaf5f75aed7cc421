"""Pieces of HTML that the pages of replay are made of; every text is escaped here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from avemo_ros.replay.report_style import style
from avemo_ros.sink.palette import INKS

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page loads nothing and runs no script, whatever stands in it."""


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def page(title: str, subtitle: str, sections: Iterable[str], footer: str) -> str:
    """A whole page that needs no network and reads in light and dark.

    Args:
        title: plain text.
        subtitle: plain text.
        sections: HTML.
        footer: HTML.
    """
    name = escape(title)
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{name}</title><style>{style()}</style></head>",
            f'<body><main><h1>{name}</h1><p class="sub">{escape(subtitle)}</p>',
            *sections,
            f"<footer>{footer}</footer></main></body></html>\n",
        )
    )


def section(title: str, *content: str, anchor: str = "") -> str:
    """A card with a heading; nothing where there is no content."""
    inside = "".join(content)
    if not inside:
        return ""
    place = f' id="{anchor}"' if anchor else ""
    return f"<section{place}><h2>{escape(title)}</h2>{inside}</section>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text, or of HTML."""
    if not text:
        return ""
    named = f' class="{kind}"' if kind else ""
    return f"<p{named}>{shown(text)}</p>"


def tiles(items: Iterable[tuple[str, str, str]]) -> str:
    """Figures to be seen first: name, value, and what to know of it."""
    drawn = "".join(
        f"<div><dt>{shown(name)}</dt><dd>{shown(value)}</dd><dd>{shown(note)}</dd></div>"
        for name, value, note in items
    )
    return f'<dl class="tiles">{drawn}</dl>'


def facts(items: Mapping[str, object]) -> str:
    """Names and values, one a line."""
    rows = "".join(
        f"<dt>{shown(name)}</dt><dd>{shown(value)}</dd>"
        for name, value in items.items()
        if value not in ("", None)
    )
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def table(
    head: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str = "", kind: str = ""
) -> str:
    """A table that scrolls where it is too wide; the first cell of a row names it."""
    if not rows:
        return ""
    names = "".join(f'<th scope="col">{shown(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{shown(row[0])}</th>'
        + "".join(f"<td>{shown(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    told = f"<caption>{shown(caption)}</caption>" if caption else ""
    named = f' class="{kind}"' if kind else ""
    # A region that scrolls is reached by the keyboard, too.
    return (
        f'<div class="wide" tabindex="0"><table{named}>{told}<thead><tr>{names}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def bullets(items: Iterable[str]) -> str:
    """A list of plain texts."""
    lines = "".join(f"<li>{shown(item)}</li>" for item in items)
    return f'<ul class="plain">{lines}</ul>' if lines else ""


def folded(summary: str, content: str) -> str:
    """What is shown when it is asked for."""
    if not content:
        return ""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def word(label: str) -> Html:
    """An emotion with its colour."""
    if not label:
        return Html("-")
    colour = f"var(--{label})" if label in INKS else "none"
    return Html(
        f'<span class="emotion"><i style="background:{colour}"></i>{escape(label)}</span>'
    )


def breakable(name: str) -> Html:
    """A name that may go on in another line behind its underscores, and nowhere else."""
    return Html(escape(name).replace("_", "_<wbr>"))


def passed(kept: bool) -> Html:
    """Whether a limit is kept."""
    kind, text = ("good", "passed") if kept else ("bad", "failed")
    return Html(f'<span class="{kind}">{text}</span>')


def shown(value: object) -> str:
    """A cell's text, escaped unless it is HTML."""
    return value if isinstance(value, Html) else escape(str(value))


def percent(value: Any) -> str:
    """A share as '61.3 %'; '-' where there is none."""
    return "-" if not _known(value) else f"{100 * value:.1f} %"


def number(value: Any, digits: int = 2, unit: str = "") -> str:
    """A figure with its unit; '-' where there is none."""
    if not _known(value):
        return "-"
    return f"{value:.{digits}f}" + (f" {unit}" if unit else "")


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
