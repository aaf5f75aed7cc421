"""Cuts a model's answer into sentences while it comes, so that a voice can begin early.

A sentence is given once nothing that may still come can change it: the next one has begun, and
no mark, bracket or quotation is open.  Answers that begin like data, code or thoughts are held
back to their end.
"""

from __future__ import annotations

import re
from typing import Final

from avemo_ros.dialog.language import tokens
from avemo_ros.dialog.speech_text import MOST, speech_of

_STOP: Final = re.compile(
    r"(?P<word>[^\W_]*)(?P<stop>[.!?\u2026]+)[\"')\]\u201d\u2019*_]*(?=\s+[^\sa-z])"
    r"|[\u3002\uff01\uff1f]+(?=.)",
    re.DOTALL,
)
"""The end of a sentence, with the first sign of the next one after it."""
_SHORTENED: Final = frozenset(
    {"dr", "mr", "mrs", "ms", "prof", "st", "jr", "sr", "vs", "etc", "approx", "eg", "ie"}
)
"""A full stop after one of these, a letter or a number ends no sentence."""
_HELD: Final = re.compile(
    r"[\s*_#>]*(?:[{<\[`|\u25c1]|analysis|commentary|thought|thinking|reasoning|assistant|final)",
    re.IGNORECASE,
)
"""How answers begin of which only the end tells what is to be said."""
_PAIRS: Final = ("()", "[]", "{}", "<>", "\u201c\u201d")
_EVEN: Final = '*_`$~"'


class SentenceStream:
    """Takes the pieces of one answer and gives its sentences as clean speech."""

    def __init__(self) -> None:
        self._raw = ""
        self._place = 0
        self._held = False
        self.given = ""
        """All sentences so far, as one text."""

    def add(self, piece: str) -> list[str]:
        """Take a piece; returns the sentences that are whole with it."""
        self._raw += piece
        if self._held or len(self._raw) > MOST or _HELD.match(self._raw):
            self._held = True
            return []
        found = []
        for match in _STOP.finditer(self._raw, self._place):
            self._place = match.end()
            before = self._raw[: match.end()]
            if _ends_sentence(match) and _is_closed(before):
                found += self._new(speech_of(before).text)
        return found

    def end(self, answer: str) -> list[str]:
        """What is left to be said.

        Args:
            answer: the whole answer as clean speech.

        Returns:
            Nothing where the answer does not begin with what was given.
        """
        return [] if not answer.startswith(self.given) else self._rest(answer)

    def _rest(self, answer: str) -> list[str]:
        found, begin = [], len(self.given)
        for match in _STOP.finditer(answer, begin):
            if _ends_sentence(match):
                found += self._new(answer[: match.end()])
        return [*found, *self._new(answer)]

    def _new(self, text: str) -> list[str]:
        """What a longer beginning of the answer has more."""
        if not text.startswith(self.given):
            self._held = True
            return []
        sentence = text[len(self.given) :].strip()
        if not tokens(sentence):
            return []
        self.given = text
        return [sentence]


def sentences_of(answer: str) -> list[str]:
    """The sentences of clean speech."""
    return SentenceStream().end(answer)


def _ends_sentence(match: re.Match[str]) -> bool:
    word = match["word"]
    if match["stop"] != "." or word is None:
        return True
    return len(word) > 1 and not word.isdigit() and word.lower() not in _SHORTENED


def _is_closed(text: str) -> bool:
    return all(text.count(pair[0]) == text.count(pair[1]) for pair in _PAIRS) and not any(
        text.count(mark) % 2 for mark in _EVEN
    )
