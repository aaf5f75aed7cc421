"""A conversation as one HTML file: words, sensed emotion, strategy and answer side by side.

The file needs no network and holds no picture and no sound.  It reads in light and dark, and
on a small screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from avemo_ros.dialog.transcript_style import style
from avemo_ros.dialog.words import printable
from avemo_ros.labels import UNKNOWN
from avemo_ros.sink.atomic import OutputError, replaced
from avemo_ros.sink.palette import INKS


@dataclass(frozen=True, slots=True)
class Turn:
    """What a person said, what was sensed, and what the robot answered."""

    t: float
    """Sensor time of the words since the conversation began [s]."""
    words: str
    emotion: str
    """Steady emotion that was taken into account: one of EMOTIONS, or 'unknown'."""
    confidence: float
    """Of that emotion, 0 to 1."""
    strategy: str
    answer: str
    intensity: float = 0.0
    """How strongly the strategy was followed, 0 to 1."""
    rate: float = 1.0
    """Speaking rate over the voice's usual."""
    pitch: float = 0.0
    """Against the voice's usual [semitones]."""
    volume: float = 0.0
    """Against the voice's usual [dB]."""
    gesture: str = ""
    """A hint for the body; '' for none."""
    context: str = ""
    """What the dialog knew of the person, as one paragraph."""
    back_end: str = ""
    """Who made the text: 'offline', or the model's name."""
    failure: str = ""
    """Why the configured endpoint did not answer, or what was wrong with the words; '' if all
    was well."""
    truth: str = ""
    """What the person felt according to the script; '' where nobody knows."""
    baseline: str = ""
    """The answer with the emotion cues switched off; '' where that was not asked."""
    baseline_strategy: str = ""


def write_transcript(
    path: Path,
    turns: Sequence[Turn],
    title: str,
    subtitle: str = "",
    *,
    simulated: bool = False,
) -> None:
    """Write the page; it takes the place of an older one when it is complete.

    Args:
        path: of the file.
        turns: oldest first.
        title: heading, e.g. the name of the recording.
        subtitle: one line below it.
        simulated: nobody was seen or heard; the page says so.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with replaced(path) as made:
            made.write_text(
                render(turns, title, subtitle, simulated=simulated), encoding="utf-8"
            )
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def render(
    turns: Sequence[Turn], title: str, subtitle: str = "", *, simulated: bool = False
) -> str:
    """The page as text; arguments as for `write_transcript`."""
    under = subtitle or _subtitle(turns, simulated)
    return page(title, under, conversation(turns), SIMULATED if simulated else NOTICE)


def page(title: str, subtitle: str, content: str, notice: str) -> str:
    """A whole HTML document in the style of the transcript.

    Args:
        title: plain text.
        subtitle: plain text.
        content: HTML.
        notice: HTML of the footer.
    """
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title><style>{style()}</style></head>",
            f"<body><main><h1>{_text(title)}</h1>",
            f'<p class="sub">{_text(subtitle)}</p>{content}',
            f"<footer>{notice}</footer></main></body></html>\n",
        )
    )


def conversation(turns: Sequence[Turn], title: str = "") -> str:
    """The turns as one HTML section, with a heading if it has a title (plain text)."""
    heading = f"<h2>{_text(title)}</h2>" if title else ""
    if not turns:
        return f'<section>{heading}<p class="empty">Nothing was said.</p></section>'
    compared = any(turn.baseline for turn in turns)
    names = ["", "Person", "Sensed emotion", "Strategy", "Robot"]
    names += ["Robot without emotion cues"] if compared else []
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(_row(turn, compared) for turn in turns)
    return (
        f'<section>{heading}<div class="wide"><table class="talk{" two" if compared else ""}">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _subtitle(turns: Sequence[Turn], simulated: bool) -> str:
    told = sum(turn.emotion != UNKNOWN for turn in turns)
    count = f"{len(turns)} turn{'' if len(turns) == 1 else 's'}"
    sensed = "a simulated" if simulated else "a sensed"
    return f"{count}, {told} of them with {sensed} emotion"


def _row(turn: Turn, compared: bool) -> str:
    cells = [
        ("time", f"{turn.t:.1f} s"),
        ("words", f"<q>{_text(turn.words)}</q>" if turn.words else "<i>no words</i>"),
        ("sensed", _sensed(turn)),
        ("strategy", _strategy(turn)),
        ("answer", f"<p>{_text(turn.answer)}</p>{_origin(turn)}{_context(turn)}"),
    ]
    if compared:
        under = _small(_shown(turn.baseline_strategy)) if turn.baseline_strategy else ""
        cells.append(("answer other", f"<p>{_text(turn.baseline)}</p>{under}"))
    return (
        "<tr>"
        + "".join(f'<td class="{kind}">{content}</td>' for kind, content in cells)
        + "</tr>"
    )


def _sensed(turn: Turn) -> str:
    label = turn.emotion if turn.emotion in INKS else UNKNOWN
    known = label != UNKNOWN
    chip = f'<b class="chip {label}">{_text(turn.emotion)}</b>'
    bar = (
        f'<span class="bar"><i class="{label}" style="width:{100 * turn.confidence:.0f}%"></i>'
        f"</span>{_small(f'{turn.confidence:.0%} confident')}"
        if known
        else _small("no claim is made")
    )
    if not turn.truth:
        return chip + bar
    missed = ' class="failed"' if turn.truth != turn.emotion else ""
    return f"{chip}{bar}<small{missed}>script: {_text(turn.truth)}</small>"


def _strategy(turn: Turn) -> str:
    style = []
    if turn.rate != 1.0:
        style.append(f"rate {turn.rate:.2f}")
    if turn.pitch:
        style.append(f"pitch {turn.pitch:+.1f} st")
    if turn.volume:
        style.append(f"volume {turn.volume:+.1f} dB")
    # A number and its unit stay on one line.
    spoken = ", ".join(f"<span>{_text(part)}</span>" for part in style)
    return (
        f"<b>{_text(_shown(turn.strategy))}</b>"
        + (_small(f"intensity {turn.intensity:.2f}") if turn.intensity else "")
        + (f"<small>{spoken}</small>" if spoken else "")
        + (_small(f"gesture {_shown(turn.gesture)}") if turn.gesture else "")
    )


def _origin(turn: Turn) -> str:
    if turn.failure:
        return f'<small class="failed">{_text(turn.back_end)}: {_text(turn.failure)}</small>'
    return _small(turn.back_end) if turn.back_end else ""


def _context(turn: Turn) -> str:
    if not turn.context:
        return ""
    return f"<details><summary>What the robot knew</summary>{_text(turn.context)}</details>"


def _text(text: str) -> str:
    """As HTML shows it; what no person says is left out."""
    return escape(printable(text))


def _small(text: str) -> str:
    return f"<small>{_text(text)}</small>"


def _shown(name: str) -> str:
    """A name of the table as words: 'give_room' -> 'give room'."""
    return name.replace("_", " ")


_UNSURE: Final = (
    "Where it was not sure, no claim is made and the strategy does not rest on one.</p>"
)
_PERSONAL: Final = (
    "<p><b>Personal data.</b> This page holds what a person said: keep it no longer than "
    "needed and share it only with their consent.</p>"
)
NOTICE: Final = (
    "<p><b>How to read this.</b> The sensed emotion is what a model read in face and voice, "
    f"smoothed over time; it is not what a person felt. {_UNSURE}{_PERSONAL}"
)
SIMULATED: Final = (
    "<p><b>How to read this.</b> Nobody was seen or heard: the sensed emotion is simulated, "
    f"with the errors of a noisy classifier, and smoothed over time. {_UNSURE}{_PERSONAL}"
)
