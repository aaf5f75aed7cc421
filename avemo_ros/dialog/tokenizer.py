"""Cleans what people say, so that it is safe to store, compare and pass on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_APOSTROPHES: Final = str.maketrans("", "", "'\u2019\u02bc\uff07`\u00b4")
_TOKEN: Final = re.compile(r"[^\W_]+")
_SENTENCE_END: Final = re.compile(r"[.!?;:\n]+")
_TEMPLATE_MARK: Final = re.compile(r"<(?=[|/<A-Za-z_])|\[(?=/?[A-Z]+\])")
"""What begins the marks by which chat templates tell the system's words from the user's."""


def printable(text: str) -> str:
    """Text without what no person says: one line, single spaces, nothing invisible.

    Control characters become spaces; lone surrogates and what Unicode leaves unassigned become
    U+FFFD; marks that only steer the display (zero width, direction) are dropped.
    """
    kept = []
    for character in text:
        kind = unicodedata.category(character)
        if kind in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif kind in ("Cs", "Cn", "Co"):
            kept.append("\ufffd")
        elif kind != "Cf":
            kept.append(character)
    return " ".join("".join(kept).split())


def tokens(text: str) -> tuple[str, ...]:
    """Words in lower case, without punctuation and apostrophes: "Don't!" is 'dont'."""
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold()
    return tuple(_TOKEN.findall(plain))


def sentences(text: str) -> tuple[tuple[str, ...], ...]:
    """The `tokens` of each sentence or part of one (up to . ! ? ; : or a new line)."""
    parts = (tokens(part) for part in _SENTENCE_END.split(text))
    return tuple(part for part in parts if part)


def find(phrase: tuple[str, ...], among: tuple[str, ...]) -> int:
    """Where a phrase begins among tokens; -1 if it is not there.

    A word of the phrase that ends with '*' fits every word that begins like it.
    """
    return next(places(phrase, among), -1)


def places(phrase: tuple[str, ...], among: tuple[str, ...]) -> Iterator[int]:
    """All places where a phrase begins among tokens, as `find` takes it."""
    for start in range(len(among) - len(phrase) + 1):
        # Most places differ in the first word, and lists of phrases are long.
        if not phrase or _fits(phrase[0], among[start]):
            words = among[start : start + len(phrase)]
            if all(map(_fits, phrase, words)):
                yield start


def begins(phrase: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether words begin with a phrase, as `find` takes it."""
    # Most phrases differ in the first word; lists of them are long.
    if not words or not _fits(phrase[0], words[0]):
        return False
    return find(phrase, words[: len(phrase)]) == 0


def _fits(given: str, word: str) -> bool:
    return word.startswith(given[:-1]) if given.endswith("*") else word == given


def phrase_of(text: str) -> tuple[str, ...]:
    """A phrase for `find`: the tokens of `text`, a '*' at the end of its last word kept."""
    found = tokens(text)
    if found and text.rstrip().endswith("*"):
        return (*found[:-1], found[-1] + "*")
    return found


def without_marks(text: str) -> str:
    """Text in which nothing reads as a mark of a chat template, e.g. '<|im_start|>'."""
    return _TEMPLATE_MARK.sub(lambda match: match[0] + " ", text)
