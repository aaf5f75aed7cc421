"""Texts of the offline responder, with slots for what is known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from avemo_ros.dialog.fields import QuotedText
from avemo_ros.settings import Allowed, ListOf, refuse

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
    def of(cls, text: str) -> Template:
        """From a text with slots, such as 'Tell me more about {topic}, please'."""
        return cls(text, frozenset(_SLOT.findall(text)))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.of, handler.generate_schema(QuotedText)
        )

    def check(
        self, place: Sequence[str | int], allowed: Iterable[str] = (TOPIC, FEELING)
    ) -> None:
        """Make sure that its braces are slots that are known.

        Args:
            place: where it stands, for the complaint.
            allowed: names of the slots that it may have.

        Raises:
            ConfigError: a slot is not known, or a brace has no partner.
        """
        if self.slots - set(allowed) or set("{}") & set(_SLOT.sub("", self.text)):
            names = " or ".join(f"{{{name}}}" for name in allowed)
            refuse(
                place,
                self.text,
                f"texts in which braces are {names}" if names else "texts without braces",
            )

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with its slots filled."""
        return _SLOT.sub(lambda match: values[match[1]], self.text)


def _each_once(templates: tuple[Template, ...]) -> tuple[Template, ...]:
    for template in templates:
        if templates.count(template) > 1:
            refuse((), template.text, "each text only once")
    return templates


Templates = Annotated[
    ListOf[Annotated[Template, Allowed("text in quotes that is not empty")]],
    Field(min_length=1),
    AfterValidator(_each_once),
]
"""One or more, none of them twice."""
