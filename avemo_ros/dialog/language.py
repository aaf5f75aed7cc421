"""Words as they are compared: made safe, cut into tokens and phrases, pleasant or not.

The valence lists have a few hundred words with a weight each, as in VADER (Hutto and Gilbert
2014), but of our own choosing and without its rules for emphasis.  It knows no irony,
no idioms, no misspelt words, and negation only within three words of one part of a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from avemo_ros.errors import DialogError
from avemo_ros.untrusted import read_text

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


def sentence_texts(text: str) -> list[str]:
    """The sentences of a text as they are written; those without a letter are left out."""
    parts = (" ".join(part.split()) for part in _SENTENCE_END.split(text))
    return [part for part in parts if any(map(str.isalpha, part))]


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


class Tone(Enum):
    """What the words alone say, by a small lexicon."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


_MOST: Final = 3
"""Weights reach from minus this to this."""
_REACH: Final = 3
"""A negation turns what follows within so many words."""
_NEGATED: Final = -0.5
"""'Not bad' is not 'good': what is negated keeps half its weight, with the other sign."""
_LIMIT: Final = 0.25
"""Score from which words count as pleasant or unpleasant."""
_LINE: Final = re.compile(r"([+-]\d|not|but)\s+(.+)")
_PART: Final = re.compile(r"[.,;:!?()\n]+")


@dataclass(frozen=True, slots=True)
class ValenceLexicon:
    """Weights of words, the words that negate, and those that part a sentence."""

    weights: Mapping[str, int]
    """By token, -3 to 3."""
    negations: frozenset[str]
    turns: frozenset[str] = frozenset()
    """What was negated before them is not negated after them."""

    @classmethod
    def read(cls, path: Path) -> ValenceLexicon:
        """From a text file: lines of a weight (+1 to +3, -1 to -3), 'not' or 'but', and words.

        Raises:
            DialogError: the file cannot be read, a line is wrong, or a word is there twice.
        """
        try:
            lines = read_text(path).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise DialogError(f"cannot read {path}: {reason}") from error
        weights: dict[str, int] = {}
        others: dict[str, set[str]] = {"not": set(), "but": set()}
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            match = _LINE.fullmatch(text)
            is_right = match is not None and (
                match[1] in others or 0 < abs(int(match[1])) <= _MOST
            )
            if match is None or not is_right:
                raise DialogError(
                    f"{path.name}, line {number}: '{text[:60]}' is not an entry; allowed: a "
                    "weight (+1 to +3, -1 to -3), 'not' or 'but', then words"
                )
            for word in tokens(match[2]):
                if word in weights or any(word in known for known in others.values()):
                    raise DialogError(
                        f"{path.name}, line {number}: '{word}' is given twice; allowed: once"
                    )
                if match[1] in others:
                    others[match[1]].add(word)
                else:
                    weights[word] = int(match[1])
        return cls(weights, frozenset(others["not"]), frozenset(others["but"]))

    def score(self, text: str) -> float:
        """Mean weight of the known words, -1 (unpleasant) to 1; 0 where none is known."""
        found = [weight for part in self._parts(text) for weight in self._weights(part)]
        return sum(found) / (_MOST * len(found)) if found else 0.0

    def tone(self, text: str) -> Tone:
        """The score in a word."""
        score = self.score(text)
        if score >= _LIMIT:
            return Tone.POSITIVE
        return Tone.NEGATIVE if score <= -_LIMIT else Tone.NEUTRAL

    def _parts(self, text: str) -> Iterator[tuple[str, ...]]:
        for part in _PART.split(text):
            words = tokens(part)
            begin = 0
            for place, word in enumerate(words):
                if word in self.turns:
                    yield words[begin:place]
                    begin = place + 1
            yield words[begin:]

    def _weights(self, words: tuple[str, ...]) -> list[float]:
        found = []
        for place, word in enumerate(words):
            weight = self.weights.get(word)
            if weight is not None:
                before = words[max(0, place - _REACH) : place]
                negated = not self.negations.isdisjoint(before)
                found.append(weight * _NEGATED if negated else float(weight))
        return found
