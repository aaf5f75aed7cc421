"""What an endpoint says of its failure, without what must not get into logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from avemo_ros.dialog.back_end import Message
from avemo_ros.dialog.words import printable, tokens

_LONGEST: Final = 200
_RUN: Final = 3
"""So many words in a row are taken for those of the conversation."""


class Reasons:
    """Reads error objects; some endpoints repeat in them what they were sent."""

    def __init__(self, key: str, messages: Sequence[Message]) -> None:
        """Set up.

        Args:
            key: the endpoint's key; "" for none.
            messages: what was said.
        """
        self._key = key
        self._runs = {run for message in messages for run in _runs(tokens(message.content))}

    def of(self, content: object) -> str:
        """The reason in one line of at most 200 characters.

        Args:
            content: the parsed body.

        Returns:
            "" where there is none, or where it repeats the conversation.
        """
        error = content.get("error", content) if isinstance(content, dict) else content
        said = error.get("message") if isinstance(error, dict) else error
        if not isinstance(said, str):
            return ""
        if self._key:
            said = said.replace(self._key, "(not shown)")
        if not self._runs.isdisjoint(_runs(tokens(said), shorter=True)):
            return ""
        return printable(said)[:_LONGEST]


def _runs(words: Sequence[str], *, shorter: bool = False) -> Iterator[tuple[str, ...]]:
    """Every few words in a row; all of them where there are fewer.

    Args:
        words: of a text.
        shorter: give those of fewer words, too.
    """
    for length in range(1 if shorter else min(_RUN, max(len(words), 1)), _RUN + 1):
        for start in range(len(words) - length + 1):
            yield tuple(words[start : start + length])
