"""What a person's words ask for where the answer is configured.

First concerns, which come before everything else (danger, loss, illness, a wish to be left
alone), in the order of their urgency, also with phrases that mean something else ('my phone
died').  Then questions about the robot, small talk and another language.  Each has its phrases
and its texts in the strategies file; docs/dialog.md says how phrases are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from avemo_ros.dialog.fields import (
    ANSWER,
    FEELING,
    Conditions,
    Phrases,
    QuotedText,
    SomeOf,
    Style,
    Template,
    Templates,
    Texts,
    TwoTexts,
)
from avemo_ros.dialog.language import begins, phrase_of, sentences, tokens
from avemo_ros.dialog.phrase import BLOT, END, PhraseIndex, PhraseReader, Seen, Spelling
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.settings import Allowed, Line, ListOf, OneOf, Settings, Text, refuse


def _has_number(text: str) -> str:
    if text.count("{n}") != 1:
        raise ValueError(text)
    return text


_Counted = Annotated[
    QuotedText, AfterValidator(_has_number), Allowed("a text with {n}, e.g. '{n} minutes'")
]
_OneAndMore = Annotated[
    ListOf[_Counted], Field(min_length=2, max_length=2), Allowed("a text for one, one for more")
]


class Units(Settings):
    """How numbers are said: of one, and of more."""

    second: _OneAndMore
    minute: _OneAndMore
    turn: _OneAndMore

    def duration(self, seconds: float) -> str:
        """A time as it is spoken, e.g. '5 minutes'."""
        if seconds < 120:
            return _counted(self.second, seconds)
        return _counted(self.minute, seconds / 60)

    def turns(self, count: int) -> str:
        """Turns as they are spoken, e.g. '12 turns'."""
        return _counted(self.turn, count)


def _counted(texts: Sequence[str], count: float) -> str:
    number = f"{count:.0f}"
    return texts[number != "1"].replace("{n}", number)


class MomentConditions(Conditions):
    """When a row of texts is said."""

    emotion: Annotated[frozenset[str], SomeOf((*EMOTIONS, UNKNOWN))] = frozenset()
    person: Annotated[frozenset[str], SomeOf(("sensed", "not_sensed"))] = frozenset()
    feeling: Annotated[frozenset[str], SomeOf(("named", "not_named"))] = frozenset()
    worded_by: Annotated[frozenset[str], SomeOf(("templates", "model"))] = frozenset()


@dataclass(frozen=True, slots=True)
class Moment:
    """What decides which text is true."""

    emotion: str = UNKNOWN
    """Steady emotion that is taken into account, or 'unknown'."""
    sensed: bool = False
    """The person is seen or heard."""
    feeling: str = ""
    """How the person may be said to feel; "" if nothing may be said."""
    model: str = ""
    """Name of the language model that words the answers; "" for none."""
    turns: int = 0
    """Turns that are remembered at most."""
    keep_s: float = 0.0
    """Silence after which the conversation is forgotten [s]."""
    memory_s: float = 0.0
    """How long estimates are remembered [s]."""

    @property
    def features(self) -> Mapping[str, str]:
        """By condition its name."""
        return {
            "emotion": self.emotion,
            "person": "sensed" if self.sensed else "not_sensed",
            "feeling": "named" if self.feeling else "not_named",
            "worded_by": "model" if self.model else "templates",
        }

    units: Units | None = None
    """How numbers are said; None where no text says any."""

    @property
    def values(self) -> Mapping[str, str]:
        """What fills the slots of texts about the robot."""
        values = {"feeling": self.feeling, "model": self.model}
        if self.units is None:
            return values
        return {
            **values,
            "turns": self.units.turns(self.turns),
            "silence": self.units.duration(self.keep_s),
            "memory": self.units.duration(self.memory_s),
        }


class TextRule(Settings):
    """Texts for some moments."""

    when: MomentConditions = MomentConditions()
    texts: Templates

    @model_validator(mode="after")
    def _have_only_slots_that_are_known(self) -> TextRule:
        for number, text in enumerate(self.texts):
            text.check(("texts", number), _slots(self.when))
        return self


class Intent(Settings):
    """One kind of words, and what is said to them."""

    words: Phrases
    says: Annotated[
        ListOf[TextRule], Field(min_length=1), Allowed("a list of one or more rows")
    ]
    forget: bool = Field(
        False,
        description="Forget everything about the person after the answer.",
    )
    by_model: bool = Field(
        False, description="Let a language model write the answer, if there is one."
    )
    question: bool = Field(False, description="Match only words that end with a question mark.")
    _name: str = PrivateAttr("")

    @model_validator(mode="after")
    def _know_an_answer_to_all_else(self) -> Intent:
        if self.says[-1].when.given:
            refuse(
                ("says",), "a last row with 'when'", "a last row for everything else, without"
            )
        return self

    @property
    def name(self) -> str:
        """Under which it stands in the file."""
        return self._name

    @cached_property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """The words, each phrase word by word."""
        return tuple(map(phrase_of, self.words))

    def texts(self, moment: Moment) -> list[str]:
        """What may be said at a moment."""
        row = next(row for row in self.says if row.when.fits(moment.features))
        return [text.filled(moment.values) for text in row.texts]


def _with_names(subjects: Mapping[str, Intent]) -> Mapping[str, Intent]:
    for name, intent in subjects.items():
        intent._name = name  # noqa: SLF001  they are just being made
    return subjects


Subjects = Annotated[Mapping[str, Intent], AfterValidator(_with_names)]
"""By name, in the order of the file."""


def all_texts(known: Iterable[Intent]) -> Iterator[tuple[str, Template]]:
    """Every text with the name of its subject."""
    for intent in known:
        for row in intent.says:
            for text in row.texts:
                yield intent.name, text


def _slots(when: MomentConditions) -> tuple[str, ...]:
    """The slots that are known wherever the conditions hold."""
    slots = ["turns", "silence", "memory"]
    if when.feeling == frozenset(["named"]):
        slots.append(FEELING)
    if when.worded_by == frozenset(["model"]):
        slots.append("model")
    return tuple(slots)


INFORM: Final = "inform"
"""The strategy's name in answers about the robot."""
_MOST_OPENINGS: Final = 6
"""Words that are nothing but openings need not be taken apart to their end."""


class AboutRobot(Settings):
    """The questions, and how they are answered."""

    subjects: Subjects = Field({})
    openings: Phrases = Field(
        (),
        description=("Words that may precede a question: 'hey', 'please', 'tell me'."),
    )
    again: Templates = Field(
        (), description="How an answer is said once more soon after; {answer} is the answer."
    )
    style: Style = Style()
    gesture: Line = ""

    @model_validator(mode="after")
    def _say_the_answer_again(self) -> AboutRobot:
        for number, text in enumerate(self.again):
            text.check(("again", number), (ANSWER,))
        return self

    @cached_property
    def _begins(self) -> tuple[tuple[str, ...], ...]:
        return tuple(map(phrase_of, self.openings))

    def find(self, text: str) -> Intent | None:
        """What is asked of the robot, the first of the subjects; None where nothing is."""
        asked = [part for sentence in sentences(text) for part in self._parts(sentence)]
        question = text.rstrip().endswith("?")
        for intent in self.subjects.values():
            if intent.question and not question:
                continue
            if any(begins(phrase, one) for one in asked for phrase in intent.phrases):
                return intent
        return None

    def rules(self, text: str) -> Intent | None:
        """The same, where not even a language model may word the answer."""
        found = self.find(text)
        return None if found is None or found.by_model else found

    def _parts(self, sentence: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The sentence, and what is left of it after each of its openings."""
        parts = [sentence]
        while len(parts) <= _MOST_OPENINGS:
            left = parts[-1]
            sizes = [len(phrase) for phrase in self._begins if begins(phrase, left)]
            if not sizes:
                break
            parts.append(left[max(sizes) :])
        return parts


_LONGEST: Final = 30
"""Words beyond which it is no small talk any more, however often they are said."""


class SmallTalk(Settings):
    """What is recognised, and the words that may stand beside it."""

    kinds: Subjects = Field(
        {}, description="If several kinds match, the first of these counts."
    )
    fillers: Phrases = ()

    @model_validator(mode="after")
    def _alternate(self) -> SmallTalk:
        for name, kind in self.kinds.items():
            for number, row in enumerate(kind.says):
                if len(row.texts) < 2:
                    texts = [text.text for text in row.texts]
                    place = ("kinds", name, "says", number, "texts")
                    refuse(place, texts, "a list of 2 or more texts")
        return self

    @cached_property
    def _filling(self) -> tuple[tuple[str, ...], ...]:
        return tuple(map(phrase_of, self.fillers))

    def find(self, text: str) -> Intent | None:
        """The kind of words that are nothing but small talk; None for all else."""
        left = tokens(text)
        if len(left) > _LONGEST:
            return None
        found: set[str] = set()
        while left:
            # The longest phrase: 'thanks for listening' is more than 'thanks'.
            sizes = {
                len(phrase): kind.name
                for kind in reversed(list(self.kinds.values()))
                for phrase in kind.phrases
                if begins(phrase, left)
            }
            fillers = [len(phrase) for phrase in self._filling if begins(phrase, left)]
            size = max([*sizes, *fillers], default=0)
            if size == 0:
                return None
            if size in sizes:
                found.add(sizes[size])
            left = left[size:]
        return next((kind for kind in self.kinds.values() if kind.name in found), None)


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


class Consent(Settings):
    """Whether feelings may be used: the question, and the words that answer it."""

    question: Line = Field("", description="Said after dialog.notice.")
    agrees: Phrases = ()
    refuses: Phrases = ()
    accepted: Texts = ()
    refused: Texts = ()

    @property
    def is_whole(self) -> bool:
        """There are words for everything."""
        return all((self.question, self.agrees, self.refuses, self.accepted, self.refused))

    def answer_in(self, text: str) -> bool | None:
        """What a person's words say to the question; None: neither.  One no is a no."""
        left = tokens(text)
        said: set[bool] = set()
        while left:
            # The longest phrase: 'no problem' is no 'no'.
            size, yes = max(
                ((len(one), yes) for one, yes in self._answers if begins(one, left)),
                default=(1, None),
            )
            if yes is not None:
                said.add(yes)
            left = left[size:]
        return None if not said else False not in said

    @cached_property
    def _answers(self) -> tuple[tuple[tuple[str, ...], bool], ...]:
        """Phrases, and whether each is a yes."""
        return tuple(
            (phrase_of(phrase), yes)
            for phrases, yes in ((self.agrees, True), (self.refuses, False))
            for phrase in phrases
        )


ASKED: Final = "reassure"
"""The strategy of questions about a danger, where its kind has none."""
HAND_OVER: Final = "hand_over"
"""The strategy's name in answers that pass a person on to people."""


class Concern(Settings):
    """One kind of sayings, and how they are met."""

    words: Phrases
    unless: Phrases = Field(
        (), description="Phrases that mean something else; they are looked for first."
    )
    asks: Texts = Field(
        (), description="Said, without a hand-over, to what is only somewhat like the examples."
    )
    after: Texts = Field((), description="Kinds; it counts only while one of them is dwelt on.")
    hand_over: bool = Field(False, description="Pass the person on to people.")
    message: Line = Field("", description="Said when handing over, instead of crisis.message.")
    strategy: Line = Field("", description="How it is said, and what a language model is told.")
    intensity: float = Field(1.0, ge=0, le=1, description="How strongly.")
    by_model: bool = Field(
        True, description="Let a language model write the answer, if there is one."
    )
    guidance: Line = Field("", description="What else a language model is told.")
    texts: Texts = Field((), description="What the offline responder says.")
    then: Texts = Field(
        (), description="Said to what comes next, if that is of no kind itself."
    )
    silence: Texts = Field((), description="Said to empty words meanwhile.")
    reminder: Texts = Field(
        (), description="Said after what is answered meanwhile, if it is of another kind."
    )
    distressed: Texts = Field(
        (), description="Said instead of `texts` where something hard is sensed or dwelt on."
    )
    avoids: Texts = Field(
        (), description="Signs and words that no answer has while it lasts, e.g. '?'."
    )
    lifts: bool = Field(False, description="What was dwelt on before is over with it.")
    outlasts: Texts = Field(
        (),
        description="Kinds, of small talk too, that do not end it: they get its `then` texts.",
    )
    mood: Annotated[str, OneOf(("", *EMOTIONS))] = Field(
        "", description="Emotion by which small talk is answered meanwhile; '': what is sensed."
    )
    lasts: int = Field(0, ge=0, le=100, description="For how many turns.")
    source: Text = Field(description="Published guidance, or 'design choice'.")

    @model_validator(mode="after")
    def _have_an_answer(self) -> Concern:
        if self.hand_over:
            return self
        if not self.strategy:
            refuse(("strategy",), self.strategy, "a strategy, unless hand_over is true")
        if len(self.texts) < 2:
            refuse(("texts",), list(self.texts), "a list of 2 or more texts")
        return self

    @cached_property
    def asking(self) -> Concern:
        """How words are met that may be of this kind and may not."""
        return Concern(
            words=self.words,
            strategy=self.strategy or ASKED,
            intensity=self.intensity,
            guidance=self.guidance,
            texts=self.asks,
            source=self.source,
        )

    def counts_after(self, dwelling: str) -> bool:
        """It may be found while another kind is dwelt on; "" for none."""
        return not self.after or dwelling in self.after

    @property
    def sayings(self) -> tuple[str, ...]:
        """Everything that it can say."""
        said = (*self.texts, *self.distressed, *self.asks)
        listed = (*said, *self.then, *self.silence, *self.reminder)
        return (self.message, *listed) if self.message else listed


@dataclass(frozen=True, slots=True)
class FoundConcern:
    """What was recognised."""

    name: str
    """Of the kind."""
    concern: Concern
    reason: str
    """The words that fit and the phrase in the file, or the example that is nearest."""


class Concerns(Settings):
    """Kinds of sayings in the order of their urgency."""

    same: Mapping[str, Texts] = Field(
        {}, description="By the way that phrases use, other ways to write or say it."
    )
    skipped: Texts = Field((), description="Words that are passed over.")
    mended: Texts = Field((), description="Words that are recognised with one letter wrong.")
    correct: Texts = Field(
        (), description="Words that look like misspelt ones of `mended`, and are not."
    )
    lists: Mapping[str, Texts] = Field({}, description="Words that phrases name as <list>.")
    kinds: Annotated[Mapping[str, Concern], Field(min_length=1)]

    @model_validator(mode="after")
    def _be_read(self) -> Concerns:
        _ = self._recogniser
        return self

    @cached_property
    def _recogniser(self) -> tuple[Spelling, tuple[_Rules, ...]]:
        spelling = Spelling(self.same, self.skipped)
        reader = PhraseReader(spelling, self.lists)
        rules = tuple(_Rules(name, one, reader) for name, one in self.kinds.items())
        spelling.learn(reader.known | set(self.correct), self.mended)
        return spelling, rules

    def find(self, text: str, dwelling: str = "") -> FoundConcern | None:
        """The most urgent kind that a person's words are of; None for all else.

        Args:
            text: the words; the first 100,000 characters count.
            dwelling: kind of what was said before; "" for none.
        """
        spelling, rules = self._recogniser
        sentences = [(sentence, Seen()) for sentence in spelling.sentences(text)]
        found = (
            one.find(*sentence)
            for one in rules
            if one.concern.counts_after(dwelling)
            for sentence in sentences
        )
        return next(filter(None, found), None)


class _Rules:
    """The phrases of one kind."""

    def __init__(self, name: str, concern: Concern, reader: PhraseReader) -> None:
        self._name, self.concern = name, concern
        self._wanted = PhraseIndex(
            reader.phrase(phrase, ("kinds", name, "words", number))
            for number, phrase in enumerate(concern.words)
        )
        self._others = PhraseIndex(
            reader.phrase(phrase, ("kinds", name, "unless", number))
            for number, phrase in enumerate(concern.unless)
        )

    def find(self, sentence: tuple[str, ...], seen: Seen) -> FoundConcern | None:
        if next(self._wanted.matches(sentence, sentence, seen), None) is None:
            return None
        left = list(sentence)
        for _, start, end in self._others.matches(sentence, sentence, seen):
            for place in range(start, end):
                left[place] = BLOT if left[place] != END else END
        match = next(self._wanted.matches(left, sentence, {}), None)
        if match is None:
            return None
        phrase, start, end = match
        said = " ".join(word for word in sentence[start:end] if word != END)
        return FoundConcern(self._name, self.concern, f"'{said}' ({phrase.text})")


class Crisis(Settings):
    """What is said when a person is handed over."""

    message: Text
    again: Texts = Field(
        (), description="Said instead, if the message was said in the last turns."
    )
    style: Style
    gesture: Line = ""
