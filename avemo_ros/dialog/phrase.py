"""Phrases in plain words, with alternatives, gaps and words that may be missing, and how they
are found in what people say, however it is written.

A sentence is a tuple of words with END before and after them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from avemo_ros.settings import did_you_mean, refuse

END: Final = "."
"""Stands before the first word of a sentence and after the last."""
BLOT: Final = "_"
"""Stands for a word that is not looked at; no gap reaches over it."""
_GAP: Final = 4
"""Words that a gap has at most."""
_ROUNDS: Final = 4
"""So often are ways of saying something replaced at most."""
_LOOKED_AT: Final = 100_000
"""Characters of a person's words that are searched."""
_PAUSE: Final = re.compile(r"\.{2,}|\u2026")
_ENDS: Final = re.compile(r"[.!?;:]+")
_LONGER: Final = re.compile(r"(.)\1{2,}")
_WORD: Final = re.compile(r"[^\W_]+")
_PLAIN: Final = re.compile(r"[\w'\u2019]+")
_ELEMENT: Final = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|\S+")


Seen = dict[tuple[int, int], frozenset[int]]
"""Where long lists of alternatives end, by list and place: they are looked for once."""


class _Part(Protocol):
    """Of a phrase."""

    def ends(self, words: Sequence[str], start: int, seen: Seen) -> frozenset[int]:
        """The places after it, if it begins at `start`; none if it does not."""

    def starts(self) -> frozenset[str] | None:
        """Words that it may begin with, with a '*' for any ending; None: any word at all."""


@dataclass(frozen=True, slots=True)
class _Word:
    """Just this word."""

    word: str

    def ends(self, words: Sequence[str], start: int, _: Seen) -> frozenset[int]:
        if start < len(words) and words[start] == self.word:
            return frozenset((start + 1,))
        return _NOWHERE

    def starts(self) -> frozenset[str] | None:
        return frozenset((self.word,))


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Every word that begins like it."""

    word: str

    def ends(self, words: Sequence[str], start: int, _: Seen) -> frozenset[int]:
        if start < len(words) and words[start].startswith(self.word):
            return frozenset((start + 1,))
        return _NOWHERE

    def starts(self) -> frozenset[str] | None:
        return frozenset((f"{self.word}*",))


@dataclass(frozen=True, slots=True)
class _Gap:
    """Up to four words of the same sentence."""

    def ends(self, words: Sequence[str], start: int, _: Seen) -> frozenset[int]:
        found = [start]
        for place in range(start, min(start + _GAP, len(words))):
            if words[place] in (END, BLOT):
                break
            found.append(place + 1)
        return frozenset(found)

    def starts(self) -> frozenset[str] | None:
        return None


@dataclass(frozen=True, slots=True)
class _Maybe:
    """May be missing."""

    part: _Part

    def ends(self, words: Sequence[str], start: int, seen: Seen) -> frozenset[int]:
        return self.part.ends(words, start, seen) | {start}

    def starts(self) -> frozenset[str] | None:
        return self.part.starts()


@dataclass(frozen=True, slots=True)
class _Row:
    """One after the other."""

    parts: tuple[_Part, ...]

    def ends(self, words: Sequence[str], start: int, seen: Seen) -> frozenset[int]:
        places = frozenset((start,))
        for part in self.parts:
            places = frozenset(end for place in places for end in part.ends(words, place, seen))
            if not places:
                break
        return places

    def starts(self) -> frozenset[str] | None:
        found: set[str] = set()
        for part in self.parts:
            some = part.starts()
            if some is None:
                return None
            found |= some
            if not isinstance(part, _Maybe):
                return frozenset(found)
        return None


@dataclass(frozen=True, slots=True)
class _OneOf:
    """One of several."""

    by_word: Mapping[str, tuple[_Part, ...]]
    """Those that begin with a word."""
    others: tuple[_Part, ...]
    words: frozenset[str] | None
    """That it may begin with."""

    @classmethod
    def of(cls, parts: Sequence[_Part]) -> _Part:
        """The part itself, if it is the only one."""
        if len(parts) == 1:
            return parts[0]
        by_word: dict[str, tuple[_Part, ...]] = {}
        others: list[_Part] = []
        words: set[str] | None = set()
        for part in parts:
            starts = part.starts()
            if words is not None:
                words = None if starts is None else words | starts
            if starts is None or any(word.endswith("*") for word in starts):
                others.append(part)
                continue
            for word in starts:
                by_word[word] = (*by_word.get(word, ()), part)
        return cls(by_word, tuple(others), None if words is None else frozenset(words))

    def ends(self, words: Sequence[str], start: int, seen: Seen) -> frozenset[int]:
        if start >= len(words):
            return _NOWHERE
        parts = self.by_word.get(words[start], ()) + self.others
        if not parts:
            return _NOWHERE
        key = (id(self), start)
        if key not in seen:
            seen[key] = frozenset(
                end for part in parts for end in part.ends(words, start, seen)
            )
        return seen[key]

    def starts(self) -> frozenset[str] | None:
        return self.words


_NOWHERE: Final = frozenset[int]()


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is looked for, and what its sentence must not have."""

    text: str
    """As it was written."""
    wanted: _Part
    barred: tuple[_Part, ...]

    def allows(self, sentence: Sequence[str]) -> bool:
        """Whether a sentence has nothing that it must not."""
        seen: Seen = {}
        return not any(
            part.ends(sentence, place, seen)
            for part in self.barred
            for place in range(len(sentence))
        )


class PhraseIndex:
    """Phrases by the words that they begin with."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self._by_word: defaultdict[str, list[Phrase]] = defaultdict(list)
        self._by_beginning: dict[str, list[Phrase]] = {}
        self._anywhere: list[Phrase] = []
        for phrase in phrases:
            words = phrase.wanted.starts()
            if words is None:
                self._anywhere.append(phrase)
            for word in words or ():
                if word.endswith("*"):
                    self._by_beginning.setdefault(word[:-1], []).append(phrase)
                else:
                    self._by_word[word].append(phrase)

    def matches(
        self, words: Sequence[str], sentence: Sequence[str], seen: Seen
    ) -> Iterator[tuple[Phrase, int, int]]:
        """Each phrase that fits, with its place and the longest end.

        Args:
            words: that are searched.
            sentence: whole, for what it must not have.
            seen: what was found in these words before.
        """
        for start, word in enumerate(words):
            for phrase in self._beginning_with(word):
                ends = phrase.wanted.ends(words, start, seen)
                if ends and phrase.allows(sentence):
                    yield phrase, start, max(ends)

    def _beginning_with(self, word: str) -> Iterator[Phrase]:
        yield from self._by_word.get(word, ())
        for beginning, phrases in self._by_beginning.items():
            if word.startswith(beginning):
                yield from phrases
        yield from self._anywhere


class Spelling:
    """One way to write what people say in many: no capitals, contractions or filling words."""

    def __init__(self, same: Mapping[str, Sequence[str]], skipped: Sequence[str]) -> None:
        """Set up.

        Args:
            same: by the way that is kept, other ways to write or say it.
            skipped: words that say nothing here.
        """
        self._ways = {
            " ".join(_words(other)): " ".join(_words(kept))
            for kept, others in same.items()
            for other in others
        } | {" ".join(_words(text)): "" for text in skipped}
        longest_first = sorted(self._ways, key=len, reverse=True)
        self._found = re.compile(f"(?<= )(?:{'|'.join(map(re.escape, longest_first))})(?= )")
        self._known: set[str] = set()
        self._slips: dict[str, list[str]] = {}

    def learn(self, known: set[str], mended: Sequence[str]) -> None:
        """Take words that are right as they are, and those whose misspellings are mended.

        Args:
            known: never mended.
            mended: words of which one letter may be missing, wrong, doubled or swapped.
        """
        self._known = known | {word for way in self._ways for word in way.split()} | set(mended)
        for word in mended:
            for slip in (word, *_shorter(word)):
                self._slips.setdefault(slip, []).append(word)

    def plain(self, words: Sequence[str]) -> str:
        """Words in one way, parted by blanks."""
        text = " ".join(words)
        # One way may lead to another, and a file may lead in circles.
        for _ in range(_ROUNDS if self._ways else 0):
            before = text
            text = self._found.sub(lambda found: self._ways[found[0]], f" {text} ")
            text = " ".join(text.split())
            if text == before:
                break
        return text

    def skips(self, words: Sequence[str]) -> bool:
        """Whether one of the words is passed over."""
        return any(self._ways.get(word) == "" for word in words)

    def sentences(self, text: str) -> Iterator[tuple[str, ...]]:
        """The words of each sentence, with END before and after them."""
        for part in _ENDS.split(_PAUSE.sub(" ", text[:_LOOKED_AT])):
            words = self.plain(tuple(map(self._mended, _words(part)))).split()
            if words:
                yield (END, *words, END)

    def _mended(self, word: str) -> str:
        if word in self._known:
            return word
        for instead in (r"\1\1", r"\1"):
            short = _LONGER.sub(instead, word)
            if short in self._known:
                return short
        if len(word) > _SHORT:
            for slip in (word, *_shorter(word)):
                for meant in self._slips.get(slip, ()):
                    if _is_slip(word, meant):
                        return meant
        return word


_SHORT: Final = 4
"""Shorter words are too much alike."""


def _words(text: str) -> list[str]:
    """Words in lower case; an apostrophe parts them, so that "she's" is 'she s'."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall("".join(sign for sign in text if unicodedata.category(sign) != "Cf"))


def _shorter(word: str) -> Iterator[str]:
    """The word with each of its letters left out but the first."""
    return (word[:place] + word[place + 1 :] for place in range(1, len(word)))


def _is_slip(word: str, meant: str) -> bool:
    """Whether one letter is missing, too many, wrong or swapped with the next."""
    pairs = zip(word, meant, strict=False)
    place = next((at for at, (one, other) in enumerate(pairs) if one != other), -1)
    if place < 0:
        return abs(len(word) - len(meant)) == 1
    rest, left = word[place:], meant[place:]
    swapped = rest[:2] == left[1::-1] and rest[2:] == left[2:]
    return swapped or rest[1:] in (left[1:], left) or rest == left[1:]


class PhraseReader:
    """Reads phrases; remembers their words."""

    def __init__(self, spelling: Spelling, lists: Mapping[str, Sequence[str]]) -> None:
        """Set up.

        Raises:
            ConfigError: a list names one that does not stand before it.
        """
        self._spelling = spelling
        self._lists: dict[str, _Part] = {}
        self.known: set[str] = set()
        for name, texts in lists.items():
            parts = [
                self.phrase(text, ("lists", name, number)).wanted
                for number, text in enumerate(texts)
            ]
            self._lists[name] = _OneOf.of(parts)

    def phrase(self, phrase: str, place: tuple[str | int, ...]) -> Phrase:
        """A phrase with what its sentence must not have.

        Raises:
            ConfigError: a list is not known, or nothing has to be there.
        """
        wanted: list[_Part] = []
        barred: list[_Part] = []
        run: list[str] = []
        for element in (*_ELEMENT.findall(phrase), ""):
            if _PLAIN.fullmatch(element):
                # Together: 'could not' is 'can not'.
                run += _words(element)
                continue
            wanted += self._learned(run, phrase, place)
            run = []
            if element.startswith("!"):
                barred.append(self._element(element[1:], phrase, place))
            elif element == "...":
                wanted.append(_Gap())
            elif element.startswith("["):
                wanted.append(_Maybe(self._group(element, phrase, place)))
            elif element.startswith("("):
                wanted.append(self._group(element, phrase, place))
            elif element:
                wanted.append(self._element(element, phrase, place))
        compiled = Phrase(phrase, _Row(tuple(wanted)), tuple(barred))
        if 0 in compiled.wanted.ends((), 0, {}):
            refuse(place, phrase, "phrases with a word that must be there")
        return compiled

    def _group(self, group: str, phrase: str, place: tuple[str | int, ...]) -> _Part:
        """What stands in brackets: alternatives of one word or several."""
        rows = []
        for alternative in group[1:-1].split("/"):
            parts = [self._element(word, phrase, place) for word in alternative.split()]
            rows.append(parts[0] if len(parts) == 1 else _Row(tuple(parts)))
        return _OneOf.of(rows)

    def _element(self, element: str, phrase: str, place: tuple[str | int, ...]) -> _Part:
        return _OneOf.of([self._one(word, phrase, place) for word in element.split("/")])

    def _one(self, word: str, phrase: str, place: tuple[str | int, ...]) -> _Part:
        if word.startswith("<") and word.endswith(">"):
            if word[1:-1] not in self._lists:
                names = ", ".join(f"<{name}>" for name in self._lists)
                near = did_you_mean(word[1:-1], self._lists)
                refuse(place, phrase, f"phrases with the lists {names}{near}")
            return self._lists[word[1:-1]]
        if word == ".":
            return _Word(word)
        found = _words(word)
        if word.endswith("*") and len(found) == 1:
            self.known.update(found)
            return _Beginning(found[0])
        parts = self._learned(found, phrase, place)
        return parts[0] if len(parts) == 1 else _Row(parts)

    def _learned(
        self, words: list[str], phrase: str, place: tuple[str | int, ...]
    ) -> tuple[_Part, ...]:
        if not words:
            return ()
        if self._spelling.skips(words):
            refuse(place, phrase, "phrases without words that are `skipped`")
        plain = self._spelling.plain(words).split()
        self.known.update((*words, *plain))
        return tuple(map(_Word, plain))
