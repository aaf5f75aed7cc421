"""Whether words are of another language, and whether they are pleasant, by lists that a reader
can check.

The valence list is English: a few hundred words with a weight each, as in VADER (Hutto and
Gilbert 2014), but of our own choosing and without its rules for emphasis.  It knows no irony,
no idioms, no misspelt words, and negation only within three words of one part of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from avemo_ros.dialog.dialog_state import Tone
from avemo_ros.dialog.fields import Texts, TwoTexts
from avemo_ros.dialog.tokenizer import tokens
from avemo_ros.errors import DialogError
from avemo_ros.settings import Settings

_LEAST: Final = 2
"""One word of the list may be a name or a loan."""


class ForeignWords(Settings):
    """Frequent words of other languages that the table's own does not have."""

    words: Texts = ()
    texts: TwoTexts = ()

    @cached_property
    def tokens(self) -> frozenset[str]:
        """All of the words, one by one."""
        return frozenset(word for text in self.words for word in tokens(text))

    def found_in(self, text: str) -> bool:
        """Whether words are two of the list or more, none but those, or of another script.

        Nothing is found where the file gives no list.
        """
        words = tokens(text)
        if not self.tokens or not words:
            return False
        known = [word for word in words if word in self.tokens]
        if len(known) >= _LEAST or len(known) == len(words):
            return True
        letters = [sign for word in words for sign in word if sign.isalpha()]
        return bool(letters) and not any(sign.isascii() for sign in letters)


_MOST: Final = 3
"""Weights reach from minus this to this."""
_REACH: Final = 3
"""A negation turns what follows within so many words."""
_NEGATED: Final = -0.5
"""'Not bad' is not 'good': what is negated keeps half its weight, with the other sign."""
_LIMIT: Final = 0.25
"""Score from which words count as pleasant or unpleasant."""
_LINE: Final = re.compile(r"([+-]\d|not)\s+(.+)")
_PART: Final = re.compile(r"[.,;:!?()\n]+|\bbut\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ValenceLexicon:
    """Weights of words, and the words that negate."""

    weights: Mapping[str, int]
    """By token, -3 to 3."""
    negations: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> ValenceLexicon:
        """From a text file: lines of a weight (+1 to +3, -1 to -3) or 'not' and its words.

        Raises:
            DialogError: the file cannot be read, a line is wrong, or a word is there twice.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise DialogError(f"cannot read {path}: {reason}") from error
        weights: dict[str, int] = {}
        negations: set[str] = set()
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            match = _LINE.fullmatch(text)
            if match is None or (match[1] != "not" and not 0 < abs(int(match[1])) <= _MOST):
                raise DialogError(
                    f"{path.name}, line {number}: '{text[:60]}' is not an entry; allowed: a "
                    "weight (+1 to +3, -1 to -3) or 'not', then words"
                )
            for word in tokens(match[2]):
                if word in weights or word in negations:
                    raise DialogError(
                        f"{path.name}, line {number}: '{word}' is given twice; allowed: once"
                    )
                if match[1] == "not":
                    negations.add(word)
                else:
                    weights[word] = int(match[1])
        return cls(weights, frozenset(negations))

    def score(self, text: str) -> float:
        """Mean weight of the known words, -1 (unpleasant) to 1; 0 where none is known."""
        found = [weight for part in _PART.split(text) for weight in self._weights(tokens(part))]
        return sum(found) / (_MOST * len(found)) if found else 0.0

    def tone(self, text: str) -> Tone:
        """The score in a word."""
        score = self.score(text)
        if score >= _LIMIT:
            return Tone.POSITIVE
        return Tone.NEGATIVE if score <= -_LIMIT else Tone.NEUTRAL

    def _weights(self, words: tuple[str, ...]) -> list[float]:
        found = []
        for place, word in enumerate(words):
            weight = self.weights.get(word)
            if weight is not None:
                before = words[max(0, place - _REACH) : place]
                negated = not self.negations.isdisjoint(before)
                found.append(weight * _NEGATED if negated else float(weight))
        return found
