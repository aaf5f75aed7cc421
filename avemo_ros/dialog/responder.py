"""What writes the text of an answer: the interface of all back ends, and the offline one."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from avemo_ros.dialog.fields import ANSWER
from avemo_ros.dialog.policy import Policy
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


@runtime_checkable
class StreamingBackend(Backend, Protocol):
    """A back end that also gives an answer while it comes."""

    def stream(self, messages: Sequence[Message]) -> Generator[str, None, str]:
        """As `complete`, piece by piece: as the model sends it, marks and all.

        There may be no pieces.  Closing the generator ends the request.

        Args:
            messages: as for `complete`.

        Returns:
            What `complete` returns.

        Raises:
            BackendError: as `complete`; after a piece, the answer lacks its end.
        """


RECENT: Final = 10
"""Turns in which nothing is said twice."""
_SENTENCE: Final = re.compile(r"[^\s.!?][^.!?]*")
OFFLINE: Final = "offline"
"""Name of this back end in answers."""


class OfflineResponder:
    """Chooses texts; the same conversation gets the same ones.

    Nothing that was said in the last ten turns is said again as long as there is anything else:
    when a list is used up, it says less.  What was not said for longer comes first, and what
    shares no sentence with the last answers.
    """

    def __init__(self, table: Policy) -> None:
        self._table = table

    def say(self, texts: Sequence[str], turn: int, recent: Sequence[str]) -> str:
        """One of the texts, or one of the quiet ones.

        Args:
            texts: that fit.
            turn: number of the answer in the conversation; it picks among them.
            recent: what was said in the last turns, oldest first.
        """
        newest = recent[-RECENT:]
        heard = {sentence for text in newest for sentence in _sentences(text)}
        for choices in (texts, self._table.quiet):
            fresh = [text for text in choices if text not in newest]
            if fresh:
                worn = [
                    (text in recent, len(heard.intersection(_sentences(text))))
                    for text in fresh
                ]
                least = [
                    text for text, one in zip(fresh, worn, strict=True) if one == min(worn)
                ]
                return least[turn % len(least)]
        return min((*texts, *self._table.quiet), key=lambda text: _last(text, recent))

    def inform(self, texts: Sequence[str], turn: int, recent: Sequence[str]) -> str:
        """The same for an answer about the robot, which has to be true each time."""
        again = [
            one.filled({ANSWER: text})
            for one in self._table.about_robot.again
            for text in texts
        ]
        if all(text in recent[-RECENT:] for text in texts):
            return self.say(again, turn, recent)
        return self.say(texts, turn, recent)


def _sentences(text: str) -> frozenset[str]:
    return frozenset(_SENTENCE.findall(text))


def _last(text: str, recent: Sequence[str]) -> int:
    """When a text was said last: the place, from the oldest on."""
    return max(place for place, said in enumerate(recent) if said == text)
