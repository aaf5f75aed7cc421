"""Words of another language, which the offline responder cannot answer and says so."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from avemo_ros.dialog.fields import Texts, TwoTexts
from avemo_ros.dialog.words import tokens
from avemo_ros.settings import Settings

_LEAST: Final = 2
"""One word of the list may be a name or a loan."""


class Foreign(Settings):
    """Frequent words of other languages that the table's own does not have."""

    words: Texts = ()
    texts: TwoTexts = ()

    @cached_property
    def tokens(self) -> frozenset[str]:
        """All of the words, one by one."""
        return frozenset(word for text in self.words for word in tokens(text))

    def found_in(self, text: str) -> bool:
        """Whether words are two of the list or more, none but those, or of another script.

        Nothing is found where the file gives no list.
        """
        said = tokens(text)
        if not self.tokens or not said:
            return False
        known = [word for word in said if word in self.tokens]
        if len(known) >= _LEAST or len(known) == len(said):
            return True
        letters = [sign for word in said for sign in word if sign.isalpha()]
        return bool(letters) and not any(sign.isascii() for sign in letters)
