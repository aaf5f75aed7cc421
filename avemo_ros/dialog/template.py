"""Texts of the offline responder, with slots for what is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from avemo_ros.dialog.fields import Fields

TOPIC: Final = "topic"
"""What the person speaks of, e.g. 'your exam'."""
FEELING: Final = "feeling"
"""How the person seems, e.g. 'upset'; only where the limits allow to name it."""
_SLOT: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """One text."""

    text: str
    slots: frozenset[str]

    @classmethod
    def read(cls, text: str, fields: Fields) -> Template:
        """From a text with slots, such as 'Tell me more about {topic}, please'.

        Raises:
            DialogError: a slot is not known, or a brace has no partner.
        """
        slots = frozenset(_SLOT.findall(text))
        if slots - {TOPIC, FEELING} or set("{}") & set(_SLOT.sub("", text)):
            fields.refuse("templates", text, "texts in which braces are {topic} or {feeling}")
        return cls(text, slots)

    def filled(self, topic: str, feeling: str) -> str:
        """The text with its slots filled."""
        values = {TOPIC: topic, FEELING: feeling}
        return _SLOT.sub(lambda match: values[match[1]], self.text)
