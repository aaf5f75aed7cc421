"""Questions about the robot itself, which get a true answer that the file holds.

What is sensed and kept is a matter of fact: no language model is asked, since it does not know
and may make something up.  A question is recognised by how one of its sentences begins.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from pydantic import Field

from avemo_ros.dialog.fields import Phrases
from avemo_ros.dialog.prosody import Style
from avemo_ros.dialog.subject import Subject, Subjects
from avemo_ros.dialog.words import begins, phrase_of, sentences
from avemo_ros.settings import Line, Settings

INFORM: Final = "inform"
"""The strategy's name in answers about the robot."""
_MOST_OPENINGS: Final = 6
"""Words that are nothing but openings need not be taken apart to their end."""


class AboutRobot(Settings):
    """The questions, and how they are answered."""

    subjects: Subjects = Field({})
    openings: Phrases = Field(
        (),
        description=(
            "What may come before a question in its sentence: 'hey', 'please', 'tell me'."
        ),
    )
    style: Style = Style()
    gesture: Line = ""

    @cached_property
    def _begins(self) -> tuple[tuple[str, ...], ...]:
        return tuple(map(phrase_of, self.openings))

    def find(self, text: str) -> Subject | None:
        """What is asked of the robot, the first of the subjects; None where nothing is."""
        asked = [part for sentence in sentences(text) for part in self._parts(sentence)]
        question = text.rstrip().endswith("?")
        for subject in self.subjects.values():
            if subject.question and not question:
                continue
            if any(begins(phrase, one) for one in asked for phrase in subject.phrases):
                return subject
        return None

    def rules(self, text: str) -> Subject | None:
        """The same, where not even a language model may word the answer."""
        found = self.find(text)
        return None if found is None or found.by_model else found

    def _parts(self, sentence: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The sentence, and what is left of it after each of its openings."""
        parts = [sentence]
        while len(parts) <= _MOST_OPENINGS:
            left = parts[-1]
            sizes = [len(phrase) for phrase in self._begins if begins(phrase, left)]
            if not sizes:
                break
            parts.append(left[max(sizes) :])
        return parts
