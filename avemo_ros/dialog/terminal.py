"""A conversation in the terminal: one block of lines a turn, in columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from avemo_ros.dialog.conversation import Turn
from avemo_ros.dialog.language import printable
from avemo_ros.labels import UNKNOWN
from avemo_ros.sink.presentation import INKS

_LEAST_WIDTH: Final = 72
_TIME: Final = 8
_EMOTION: Final = 14
_STRATEGY: Final = 15
_GAP: Final = 2


class TurnTable:
    """Lays turns out for a terminal of one width."""

    def __init__(self, width: int = 120, *, colour: bool = False) -> None:
        """Set up.

        Args:
            width: of the terminal [signs]; less than 72 counts as 72.
            colour: paint the emotions with ANSI codes.
        """
        self._colour = colour
        rest = max(width, _LEAST_WIDTH) - _TIME - _EMOTION - _STRATEGY - 4 * _GAP
        self._rooms = (_TIME, rest * 2 // 5, _EMOTION, _STRATEGY, rest - rest * 2 // 5)

    def head(self) -> str:
        """Names of the columns and a line below them."""
        names = ("time", "person", "sensed", "strategy", "robot")
        return self._block([[name] for name in names]) + "\n" + "-" * self.width

    @property
    def width(self) -> int:
        """Of the table [signs]."""
        return sum(self._rooms) + _GAP * (len(self._rooms) - 1)

    def row(self, turn: Turn) -> str:
        """One turn; a column's text goes on below itself."""
        known = turn.emotion != UNKNOWN
        sensed = [turn.emotion, f"{turn.confidence:.0%}" if known else "no label"]
        answer = turn.answer
        if turn.failure:
            answer += f"\n({turn.back_end}: {turn.failure})"
        strategy = turn.strategy.replace("_", " ")
        strategy += f"\n{turn.intensity:.2f}" if turn.intensity else ""
        strategy += f"\n{turn.gesture}" if turn.gesture else ""
        texts = (f"{turn.t:.1f} s", turn.words, "\n".join(sensed), strategy, answer)
        columns = [wrapped(text, room) for text, room in zip(texts, self._rooms, strict=True)]
        return self._block(columns, turn.emotion)

    def _block(self, columns: Sequence[list[str]], label: str = "") -> str:
        lines = []
        for number in range(max(map(len, columns))):
            cells = []
            for place, (column, room) in enumerate(zip(columns, self._rooms, strict=True)):
                text = column[number] if number < len(column) else ""
                padded = text + " " * (room - _width(text))
                cells.append(self._painted(padded, label) if place == 2 else padded)
            lines.append((" " * _GAP).join(cells).rstrip())
        return "\n".join(lines)

    def _painted(self, text: str, label: str) -> str:
        if not self._colour or label not in INKS:
            return text
        red, green, blue = INKS[label].rgb
        return f"\x1b[38;2;{red};{green};{blue}m{text}\x1b[0m"


def terminal_table(turns: Sequence[Turn], width: int = 120, *, colour: bool = False) -> str:
    """A whole conversation as lines of text."""
    table = TurnTable(width, colour=colour)
    return "\n".join((table.head(), *(table.row(turn) + "\n" for turn in turns)))


def wrapped(text: str, room: int) -> list[str]:
    """Lines of at most `room` signs; what could steer the terminal is left out.

    Words and answers come from outside: an escape code in them must not move the cursor or
    forge a line.
    """
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in printable(paragraph).split():
            for piece in _pieces(word, room):
                joined = f"{line} {piece}" if line else piece
                if _width(joined) > room:
                    lines.append(line)
                    joined = piece
                line = joined
        lines.append(line)
    return lines


def _pieces(word: str, room: int) -> list[str]:
    """A word cut where it is wider than the column."""
    pieces = [""]
    for sign in word:
        if _width(pieces[-1] + sign) > room:
            pieces.append("")
        pieces[-1] += sign
    return pieces


def _width(text: str) -> int:
    """Cells of the terminal that a text takes."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )
