"""Words of another language, which the offline responder cannot answer and says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avemo_ros.dialog.fields import Fields
from avemo_ros.dialog.words import tokens

_LEAST: Final = 2
"""One word of the list may be a name or a loan."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Frequent words of other languages that the table's own does not have."""

    words: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Fields) -> Foreign:
        """From `words` and `texts` of the file.

        Raises:
            DialogError: a value is not allowed.
        """
        words = frozenset(word for text in fields.texts("words") for word in tokens(text))
        foreign = cls(words, fields.texts("texts", 2))
        fields.finish()
        return foreign

    def found_in(self, text: str) -> bool:
        """Whether words are two of the list or more, none but those, or of another script.

        Nothing is found where the file gives no list.
        """
        said = tokens(text)
        if not self.words or not said:
            return False
        known = [word for word in said if word in self.words]
        if len(known) >= _LEAST or len(known) == len(said):
            return True
        letters = [sign for word in said for sign in word if sign.isalpha()]
        return bool(letters) and not any(sign.isascii() for sign in letters)
