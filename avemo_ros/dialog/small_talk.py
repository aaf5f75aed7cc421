"""Words that say little by themselves: greetings, thanks, goodbyes, a bare yes or no.

They are recognised only where nothing else is said: 'Hi, my dog is ill' is no greeting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from avemo_ros.dialog.fields import Fields
from avemo_ros.dialog.subject import Subject, phrases, subjects
from avemo_ros.dialog.words import begins, tokens

_LONGEST: Final = 30
"""Words beyond which it is no small talk any more, however often they are said."""


@dataclass(frozen=True, slots=True)
class SmallTalk:
    """What is recognised, and the words that may stand beside it."""

    kinds: tuple[Subject, ...] = ()
    """Where words are of several kinds, the first of these counts."""
    fillers: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def read(cls, fields: Fields) -> SmallTalk:
        """From `kinds` and `fillers` of the file.

        Raises:
            DialogError: a value is not allowed.
        """
        talk = cls(subjects(fields.inner("kinds"), 2), phrases(fields, "fillers"))
        fields.finish()
        return talk

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
                for kind in reversed(self.kinds)
                for phrase in kind.phrases
                if begins(phrase, left)
            }
            fillers = [len(phrase) for phrase in self.fillers if begins(phrase, left)]
            size = max([*sizes, *fillers], default=0)
            if size == 0:
                return None
            if size in sizes:
                found.add(sizes[size])
            left = left[size:]
        return next((kind for kind in self.kinds if kind.name in found), None)
