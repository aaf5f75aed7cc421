"""The pages of conversations: a transcript, and the evaluation of the dialog.

On a narrow screen the columns of a turn stand below one another, so that words and answer are
read without scrolling to the side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avemo_ros.dialog.conversation import Turn
from avemo_ros.dialog.evaluation import ScoredScenario
from avemo_ros.dialog.language import printable
from avemo_ros.labels import UNKNOWN
from avemo_ros.report.charts import Chart, lines_over
from avemo_ros.report.rendering import render as rendered
from avemo_ros.report.rendering import write


def write_transcript(
    path: Path,
    turns: Sequence[Turn],
    title: str,
    subtitle: str = "",
    *,
    simulated: bool = False,
) -> None:
    """Write the page of a conversation; it replaces an older one when it is complete.

    Args:
        path: of the file.
        turns: oldest first.
        title: heading, e.g. the name of the recording.
        subtitle: one line below it.
        simulated: nobody was seen or heard; the page says so.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, render_transcript(turns, title, subtitle, simulated=simulated))


def render_transcript(
    turns: Sequence[Turn], title: str, subtitle: str = "", *, simulated: bool = False
) -> str:
    """The page as text; arguments as for `write_transcript`."""
    return _rendered(
        "transcript.html",
        title=printable(title),
        subtitle=printable(subtitle) or _subtitle(turns, simulated),
        turns=turns,
        simulated=simulated,
    )


def _subtitle(turns: Sequence[Turn], simulated: bool) -> str:
    sensed_turns = sum(turn.emotion != UNKNOWN for turn in turns)
    count = f"{len(turns)} turn{'' if len(turns) == 1 else 's'}"
    sensed = "a simulated" if simulated else "a sensed"
    return f"{count}, {sensed_turns} of them with {sensed} emotion"


def write_dialog_evaluation(
    path: Path, result: Mapping[str, Any], conversations: Sequence[ScoredScenario]
) -> None:
    """Write the figures and transcripts of an evaluation.

    Args:
        path: of the file.
        result: as `avemo dialog evaluate --json` writes it.
        conversations: the transcripts that it rests on.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, render_dialog_evaluation(result, conversations))


def render_dialog_evaluation(
    result: Mapping[str, Any], conversations: Sequence[ScoredScenario]
) -> str:
    """The page as text; arguments as for `write_dialog_evaluation`."""
    return _rendered(
        "dialog_evaluation.html",
        title="Evaluation of the dialog",
        subtitle=f"{len(conversations)} scripted conversations, {result['turns']} turns; back "
        f"end {result['back_end']}; avemo_ros {result['version']}",
        tiles=_tiles(result),
        reactions=[
            (
                f"{row['confidence']:.2f}",
                _number(row["median_s"], "s"),
                _number(row["p90_s"], "s"),
                f"{row['missed']} of {row['changes']}",
            )
            for row in result["reaction"]
        ],
        steady=[
            (
                f"{row['confidence']:.2f}",
                _number(row["false_per_hour"]),
                _number(row["lost_per_hour"]),
                _percent(row["right_share"]),
                f"{row['hours']:.2f} h",
            )
            for row in result["steady"]
        ],
        charts=_charts(result),
        conversations=[
            {"title": one.scenario.title, "turns": [judged.turn for judged in one.turns]}
            for one in conversations
        ],
    )


def _tiles(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
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
        (
            "Emotions named below the limit",
            str(claims["answers"]),
            f"of {result['turns']} answers",
        ),
        ("Fallbacks", str(result["fallbacks"]), "answers made offline instead"),
    ]
    if latency["median"] is not None:
        under = f"median; 90 % within {latency['p90']:.1f} ms"
        tiles.append(("Latency", f"{latency['median']:.1f} ms", under))
    return tiles


def _charts(result: Mapping[str, Any]) -> dict[str, Chart | None]:
    """How fast changes are followed, and how steady the strategy is, over the confidence."""
    return {
        "reaction": lines_over(
            "confidence",
            result["reaction"],
            {"median_s": "median", "p90_s": "90 %"},
            "s",
            "Reaction to a change of emotion",
        ),
        "steady": lines_over(
            "confidence",
            result["steady"],
            {"false_per_hour": "false an hour", "lost_per_hour": "lost an hour"},
            "an hour",
            "Changes while the emotion stays",
        ),
    }


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.1f} {unit}".rstrip()


def _rendered(template: str, **values: Any) -> str:
    return rendered(template, printable=printable, **values)
