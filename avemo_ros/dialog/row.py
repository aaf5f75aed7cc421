"""The rows of the table from situation to strategy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from avemo_ros.dialog.fields import Conditions, SomeOf
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
from avemo_ros.settings import Allowed, Line, Settings, Text, did_you_mean, refuse

NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
"""Names of strategies and gestures."""


def _gesture(text: str) -> str:
    if text and not NAME.fullmatch(text):
        raise ValueError(text)
    return text


Gesture = Annotated[
    Line, AfterValidator(_gesture), Allowed("a name such as lean_in, or '' for none")
]
"""A hint for the body; "" for none."""


def _values(kind: Iterable[Enum]) -> tuple[str, ...]:
    return tuple(str(one.value) for one in kind)


class RowConditions(Conditions):
    """The situations of a row."""

    emotion: Annotated[frozenset[str], SomeOf((*EMOTIONS, UNKNOWN))] = frozenset()
    confidence: Annotated[frozenset[str], SomeOf(_values(Band))] = frozenset()
    trend: Annotated[frozenset[str], SomeOf(_values(Trend))] = frozenset()
    words: Annotated[frozenset[str], SomeOf(_values(Tone))] = frozenset()
    mismatch: Annotated[frozenset[str], SomeOf(_values(Mismatch))] = frozenset()
    engagement: Annotated[frozenset[str], SomeOf(_values(Engagement))] = frozenset()


class Row(Settings):
    """One row of the table."""

    when: RowConditions = RowConditions()
    strategy: Text
    intensity: float = Field(ge=0, le=1, description="How strongly to follow it.")
    gesture: Gesture | None = Field(None, description="Instead of the strategy's own.")
    source: Text

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
        return self.when.fits(features)


def check_rows(rows: Sequence[Row], strategies: Collection[str]) -> None:
    """Make sure that every row names a strategy and can be reached, the last for all else.

    Raises:
        ConfigError: one does not.
    """
    for number, row in enumerate(rows):
        if row.strategy not in strategies:
            near = did_you_mean(row.strategy, strategies)
            place = ("table", number, "strategy")
            refuse(place, row.strategy, " | ".join(strategies) + near)
    if rows[-1].when.given:
        place = ("table", len(rows) - 1, "when")
        refuse(place, _names(rows[-1]), "nothing: the last row is for all else")
    left = list(situations())
    for number, row in enumerate(rows):
        rest = [one for one in left if not row.fits(one)]
        if len(rest) == len(left):
            refuse(
                ("table", number, "when"),
                _names(row),
                "what the rows above leave; this row can never be reached",
            )
        left = rest


def _names(row: Row) -> dict[str, list[str]]:
    return {name: sorted(allowed) for name, allowed in row.when.given.items()}
