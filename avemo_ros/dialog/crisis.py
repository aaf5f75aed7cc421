"""Words that no robot should answer by itself: the configured message is said instead.

Phrases are matched word by word whatever the case, punctuation and apostrophes, and also where
they are denied or quoted: a needless message does less harm than a missed one.  Misspelt and
paraphrased words are not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avemo_ros.dialog.fields import Fields
from avemo_ros.dialog.prosody import Style
from avemo_ros.dialog.words import phrase_of, tokens

HAND_OVER: Final = "hand_over"
"""The strategy's name in answers to crisis words."""
_LOOKED_AT: Final = 100_000
"""Characters of a person's words that are searched."""


@dataclass(frozen=True, slots=True)
class Crisis:
    """The phrases and what is said to them."""

    phrases: tuple[tuple[str, ...], ...]
    message: str
    style: Style
    gesture: str

    @classmethod
    def read(cls, fields: Fields) -> Crisis:
        """From `words`, `message`, `style` and `gesture` of a file.

        Raises:
            DialogError: a value is not allowed.
        """
        words = fields.texts("words")
        phrases = tuple(phrase_of(text) for text in words)
        for text, phrase in zip(words, phrases, strict=True):
            if not phrase:
                fields.refuse("words", text, "phrases of words")
        crisis = cls(
            phrases=phrases,
            message=fields.text("message"),
            style=Style.read(fields.inner("style")),
            gesture=fields.text("gesture", ""),
        )
        fields.finish()
        return crisis

    def found_in(self, text: str) -> bool:
        """Whether a person's words hold one of the phrases; the first 100,000 characters
        count."""
        said = f" {' '.join(tokens(text[:_LOOKED_AT]))} "
        return any(_sought(phrase) in said for phrase in self.phrases)


def _sought(phrase: tuple[str, ...]) -> str:
    return f" {' '.join(phrase)} ".removesuffix("* ")
