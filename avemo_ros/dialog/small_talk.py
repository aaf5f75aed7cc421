"""Words that say little by themselves: greetings, thanks, goodbyes, a bare yes or no.

They are recognised only where nothing else is said: 'Hi, my dog is ill' is no greeting.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from pydantic import Field, model_validator

from avemo_ros.dialog.fields import Phrases
from avemo_ros.dialog.subject import Subject, Subjects
from avemo_ros.dialog.words import begins, phrase_of, tokens
from avemo_ros.settings import Settings, refuse

_LONGEST: Final = 30
"""Words beyond which it is no small talk any more, however often they are said."""


class SmallTalk(Settings):
    """What is recognised, and the words that may stand beside it."""

    kinds: Subjects = Field(
        {}, description="Where words are of several kinds, the first of these counts."
    )
    fillers: Phrases = ()

    @model_validator(mode="after")
    def _alternate(self) -> SmallTalk:
        for name, kind in self.kinds.items():
            for number, row in enumerate(kind.says):
                if len(row.texts) < 2:
                    texts = [text.text for text in row.texts]
                    place = ("kinds", name, "says", number, "texts")
                    refuse(place, texts, "a list of 2 or more texts")
        return self

    @cached_property
    def _filling(self) -> tuple[tuple[str, ...], ...]:
        return tuple(map(phrase_of, self.fillers))

    def find(self, text: str) -> Subject | None:
        """The kind of words that are nothing but small talk; None for all else."""
        left = tokens(text)
        if len(left) > _LONGEST:
            return None
        found: set[str] = set()
        while left:
            # The longest phrase: 'thanks for listening' is more than 'thanks'.
            sizes = {
                len(phrase): kind.name
                for kind in reversed(list(self.kinds.values()))
                for phrase in kind.phrases
                if begins(phrase, left)
            }
            fillers = [len(phrase) for phrase in self._filling if begins(phrase, left)]
            size = max([*sizes, *fillers], default=0)
            if size == 0:
                return None
            if size in sizes:
                found.add(sizes[size])
            left = left[size:]
        return next((kind for kind in self.kinds.values() if kind.name in found), None)
