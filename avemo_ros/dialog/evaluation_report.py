"""The figures and transcripts of an evaluation as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from avemo_ros.dialog.evaluation import Conversation
from avemo_ros.dialog.transcript import NOTICE, conversation, page
from avemo_ros.sink.atomic import OutputError, replaced

_DEFINITIONS: Final = (
    "<p><b>Figures.</b> Strategy: share of the answers with a known emotion whose strategy is "
    "the one that the table has for that emotion. Reaction: sensor time from a change in "
    "feeling to the first moment with the fitting strategy. False: changes to the strategy "
    "of a wrong emotion while the feeling stays; lost: to that of an unknown one. The states "
    "are made up, as noisy as those of a calibrated classifier with the confidence given; "
    "docs/dialog.md has the details.</p>"
)


def write_evaluation(
    path: Path, result: Mapping[str, Any], conversations: Sequence[Conversation]
) -> None:
    """Write the page; it takes the place of an older one when it is complete.

    Args:
        path: of the file.
        result: as `avemo dialog evaluate --json` writes it.
        conversations: the transcripts that it rests on.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with replaced(path) as made:
            made.write_text(render(result, conversations), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def render(result: Mapping[str, Any], conversations: Sequence[Conversation]) -> str:
    """The page as text."""
    talks = "".join(
        conversation([judged.turn for judged in one.turns], one.scenario.title)
        for one in conversations
    )
    content = f"<style>{_RULES}</style>{_tiles(result)}{_tables(result)}{talks}"
    subtitle = (
        f"{len(conversations)} scripted conversations, {result['turns']} turns; back end "
        f"{result['back_end']}; avemo_ros {result['version']}"
    )
    return page("Evaluation of the dialog", subtitle, content, _DEFINITIONS + NOTICE)


def _tiles(result: Mapping[str, Any]) -> str:
    claims, latency = result["claims_below_limit"], result["latency_ms"]
    tiles = [
        (
            "Strategy follows the emotion",
            _percent(result["strategy_accuracy"]),
            f"{_percent(result['strategy_accuracy_without_cues'])} with the cues switched off",
        ),
        (
            "Emotion",
            _percent(result["emotion_accuracy"]),
            f"of {result['judged_turns']} turns with a known truth",
        ),
        ("Claims below the limit", str(claims["answers"]), f"of {result['turns']} answers"),
        ("Fallbacks", str(result["fallbacks"]), "answers made offline instead"),
    ]
    if latency["median"] is not None:
        under = f"median; 90 % within {latency['p90']:.1f} ms"
        tiles.append(("Latency", f"{latency['median']:.1f} ms", under))
    return (
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd><dd>{escape(note)}</dd></div>"
            for name, value, note in tiles
        )
        + "</dl>"
    )


def _tables(result: Mapping[str, Any]) -> str:
    changes = [
        (
            f"{row['confidence']:.2f}",
            _number(row["median_s"], "s"),
            _number(row["p90_s"], "s"),
            f"{row['missed']} of {row['changes']}",
        )
        for row in result["reaction"]
    ]
    steady = [
        (
            f"{row['confidence']:.2f}",
            _number(row["false_per_hour"]),
            _number(row["lost_per_hour"]),
            _percent(row["right_share"]),
            f"{row['hours']:.2f} h",
        )
        for row in result["steady"]
    ]
    return (
        '<div class="pair">'
        + _table(
            "Reaction to a change in feeling",
            ("confidence", "median", "90 %", "missed"),
            changes,
        )
        + _table(
            "While the feeling stays",
            ("confidence", "false an hour", "lost an hour", "right", "simulated"),
            steady,
        )
        + "</div>"
    )


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<section><h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{lines}</tbody></table></section>"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.1f} {unit}".rstrip()


_RULES: Final = """
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 16px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px 16px;flex:1 1 150px}
dt{font-size:13px;color:var(--soft)}dd{margin:0;font-size:20px;font-weight:600}
dd+dd{font-size:12px;font-weight:400;color:var(--soft)}
.pair{display:flex;flex-wrap:wrap;gap:0 16px}.pair section{flex:1 1 420px}
.pair td{padding:6px 14px 6px 0;white-space:nowrap}
"""
