"""Texts of the offline responder, with slots for what is known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
    def read(
        cls,
        text: str,
        fields: Fields,
        key: str = "templates",
        allowed: Iterable[str] = (TOPIC, FEELING),
    ) -> Template:
        """From a text with slots, such as 'Tell me more about {topic}, please'.

        Args:
            text: of the file.
            fields: where it stands, for the complaint.
            key: under which it stands there.
            allowed: names of the slots that it may have.

        Raises:
            DialogError: a slot is not known, or a brace has no partner.
        """
        slots = frozenset(_SLOT.findall(text))
        if slots - set(allowed) or set("{}") & set(_SLOT.sub("", text)):
            names = " or ".join(f"{{{name}}}" for name in allowed)
            fields.refuse(
                key,
                text,
                f"texts in which braces are {names}" if names else "texts without braces",
            )
        return cls(text, slots)

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with its slots filled."""
        return _SLOT.sub(lambda match: values[match[1]], self.text)
