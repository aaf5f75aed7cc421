"""Words that no robot should answer by itself: the configured message is said instead.

Phrases are matched word by word whatever the case, punctuation and apostrophes, and also where
they are denied or quoted: a needless message does less harm than a missed one.  Misspelt and
paraphrased words are not found.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from avemo_ros.dialog.fields import Phrases
from avemo_ros.dialog.prosody import Style
from avemo_ros.dialog.words import phrase_of, tokens
from avemo_ros.settings import Line, Settings, Text

HAND_OVER: Final = "hand_over"
"""The strategy's name in answers to crisis words."""
_LOOKED_AT: Final = 100_000
"""Characters of a person's words that are searched."""


class Crisis(Settings):
    """The phrases and what is said to them."""

    words: Phrases
    message: Text
    style: Style
    gesture: Line = ""

    @cached_property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """The words, each phrase word by word."""
        return tuple(map(phrase_of, self.words))

    def found_in(self, text: str) -> bool:
        """Whether a person's words hold one of the phrases; the first 100,000 characters
        count."""
        said = f" {' '.join(tokens(text[:_LOOKED_AT]))} "
        return any(_sought(phrase) in said for phrase in self.phrases)


def _sought(phrase: tuple[str, ...]) -> str:
    return f" {' '.join(phrase)} ".removesuffix("* ")
