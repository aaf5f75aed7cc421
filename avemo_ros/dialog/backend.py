"""What writes the text of an answer: the interface of every back end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from avemo_ros.errors import DialogError


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: str
    """'system', 'user' or 'assistant'."""
    content: str


class BackendError(DialogError):
    """A back end gave no answer that can be used."""

    def __init__(self, message: str, *, kind: str) -> None:
        """Set up.

        Args:
            message: what went wrong, and what to do about it; no key, no words of a person.
            kind: the same in a word or two, e.g. 'timeout', 'refused', 'http 429', 'not json'.
        """
        super().__init__(message)
        self.kind = kind


class Backend(Protocol):
    """Turns a chat into the next answer."""

    @property
    def name(self) -> str:
        """The model's name, as answers give it."""

    def complete(self, messages: Sequence[Message]) -> str:
        """The assistant's next message.

        Args:
            messages: the system's first; a person's words are only in messages of 'user'.

        Raises:
            BackendError: there is none in time, or none that can be used.
        """
