"""Questions about the robot itself, which get a true answer that the file holds.

What is sensed and kept is a matter of fact: no language model is asked, since it does not know
and may make something up.  A question is recognised by how one of its sentences begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from avemo_ros.dialog.fields import Fields
from avemo_ros.dialog.prosody import Style
from avemo_ros.dialog.subject import Subject, phrases, subjects
from avemo_ros.dialog.words import begins, sentences

INFORM: Final = "inform"
"""The strategy's name in answers about the robot."""


@dataclass(frozen=True, slots=True)
class AboutRobot:
    """The questions, and how they are answered."""

    subjects: tuple[Subject, ...] = ()
    openings: tuple[tuple[str, ...], ...] = ()
    """What may come before a question in its sentence: 'hey', 'please', 'tell me'."""
    style: Style = field(default_factory=Style)
    gesture: str = ""

    @classmethod
    def read(cls, fields: Fields) -> AboutRobot:
        """From `subjects`, `openings`, `style` and `gesture` of the file.

        Raises:
            DialogError: a value is not allowed.
        """
        about = cls(
            subjects=subjects(fields.inner("subjects"), 1),
            openings=phrases(fields, "openings"),
            style=Style.read(fields.inner("style")),
            gesture=fields.text("gesture", ""),
        )
        fields.finish()
        return about

    def find(self, text: str) -> Subject | None:
        """What is asked about the robot; None where nothing is."""
        for sentence in sentences(text):
            asked = self._without_opening(sentence)
            for subject in self.subjects:
                if any(begins(phrase, asked) for phrase in subject.phrases):
                    return subject
        return None

    def _without_opening(self, sentence: tuple[str, ...]) -> tuple[str, ...]:
        left = sentence
        while True:
            sizes = [len(phrase) for phrase in self.openings if begins(phrase, left)]
            if not sizes:
                return left
            left = left[max(sizes) :]
