"""The rows of the table from situation to strategy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from avemo_ros.dialog.fields import Fields
from avemo_ros.dialog.situation import (
    Band,
    Engagement,
    Mismatch,
    Situation,
    Tone,
    Trend,
    situations,
)
from avemo_ros.labels import EMOTIONS, UNKNOWN

NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
"""Names of strategies and gestures."""
_CONDITIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "emotion": (*EMOTIONS, UNKNOWN),
    "confidence": tuple(one.value for one in Band),
    "trend": tuple(one.value for one in Trend),
    "words": tuple(one.value for one in Tone),
    "mismatch": tuple(one.value for one in Mismatch),
    "engagement": tuple(one.value for one in Engagement),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    when: Mapping[str, frozenset[str]]
    """Allowed names by feature; a feature that is not there may be anything."""
    strategy: str
    intensity: float
    """How strongly to follow it, 0 to 1."""
    gesture: str | None
    """Instead of the strategy's own."""
    source: str

    @classmethod
    def read(cls, fields: Fields, strategies: Iterable[str]) -> Row:
        """From a row of the file.

        Raises:
            DialogError: a value is not allowed.
        """
        when = fields.conditions("when", _CONDITIONS)
        (strategy,) = fields.choices("strategy", strategies)
        row = cls(
            when=when,
            strategy=strategy,
            intensity=fields.number("intensity", 0.0, 1.0),
            gesture=read_gesture(fields) if fields.has("gesture") else None,
            source=fields.text("source"),
        )
        fields.finish()
        return row

    def fits(self, situation: Situation) -> bool:
        """Whether every feature is one of the allowed names."""
        features = {
            "emotion": situation.emotion,
            "confidence": situation.confidence.value,
            "trend": situation.trend.value,
            "words": situation.words.value,
            "mismatch": situation.mismatch.value,
            "engagement": situation.engagement.value,
        }
        return all(features[name] in allowed for name, allowed in self.when.items())


def read_gesture(fields: Fields) -> str:
    """A hint for the body; "" for none."""
    gesture = fields.text("gesture", "")
    if gesture and not NAME.fullmatch(gesture):
        fields.refuse("gesture", gesture, "a name such as lean_in, or '' for none")
    return gesture


def read_rows(fields: Fields, strategies: Iterable[str]) -> tuple[Row, ...]:
    """The table, every row of which can be reached."""
    given = fields.rows("table")
    rows = tuple(Row.read(row, strategies) for row in given)
    if rows[-1].when:
        given[-1].refuse("when", dict(rows[-1].when), "nothing: the last row is for all else")
    left = list(situations())
    for row, where in zip(rows, given, strict=True):
        rest = [one for one in left if not row.fits(one)]
        if len(rest) == len(left):
            where.refuse(
                "when",
                {name: sorted(allowed) for name, allowed in row.when.items()},
                "what the rows above leave; this row can never be reached",
            )
        left = rest
    return rows
