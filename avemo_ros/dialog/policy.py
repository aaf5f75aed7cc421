"""The policy: strategies, and the rules that choose one for the state of a dialog.

It is read from a file (config/dialog/en.yaml), together with the one that it is based on
(rules.yaml), and checked whole.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from avemo_ros.dialog.examples import HARMLESS, Examples, Likeness, examples_of
from avemo_ros.dialog.fields import (
    FEELING,
    Conditions,
    SomeOf,
    Style,
    Template,
    Templates,
    Texts,
    TwoTexts,
    checked,
    read_layers,
)
from avemo_ros.dialog.guardrail import Guardrail, GuardrailWords
from avemo_ros.dialog.intent import (
    HAND_OVER,
    INFORM,
    AboutRobot,
    Concern,
    Concerns,
    Consent,
    Crisis,
    ForeignWords,
    FoundConcern,
    Intent,
    SmallTalk,
    Units,
    all_texts,
)
from avemo_ros.dialog.language import Tone, ValenceLexicon, printable
from avemo_ros.errors import ConfigError, DialogError, WeightsError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.settings import (
    Allowed,
    Line,
    ListOf,
    OneOf,
    Settings,
    Text,
    did_you_mean,
    refuse,
)

POSITIVE: Final = frozenset({"happy"})
NEGATIVE: Final = frozenset({"angry", "disgust", "fear", "sad"})
"""Which emotions feel good and which bad; neutral and surprise are neither."""


class Band(Enum):
    """How sure the steady emotion is."""

    NONE = "none"
    """Nothing is claimed; the emotion is 'unknown'."""
    MEDIUM = "medium"
    HIGH = "high"


class Trend(Enum):
    """Where the mood goes: probability of pleasant emotions less that of unpleasant ones."""

    IMPROVING = "improving"
    STEADY = "steady"
    WORSENING = "worsening"
    UNKNOWN = "unknown"


class Mismatch(Enum):
    """Words and what face and voice show do not go together."""

    NONE = "none"
    WORDS_BETTER = "words_better"
    """Pleasant words with an unpleasant emotion: politeness, irony, hiding."""
    WORDS_WORSE = "words_worse"
    """Unpleasant words with a pleasant emotion: joking, playing down."""


class Engagement(Enum):
    """Whether the person is with the robot."""

    ENGAGED = "engaged"
    """Speaks, or faces the robot."""
    DISTRACTED = "distracted"
    """In view, but silent and turned away or not to be read."""
    ABSENT = "absent"
    """Neither seen nor heard."""
    UNKNOWN = "unknown"
    """No states, or old ones."""


@dataclass(frozen=True, slots=True)
class DialogState:
    """The features of one moment."""

    emotion: str = UNKNOWN
    """One of EMOTIONS, or 'unknown'."""
    confidence: Band = Band.NONE
    trend: Trend = Trend.UNKNOWN
    words: Tone = Tone.NEUTRAL
    engagement: Engagement = Engagement.UNKNOWN

    @property
    def mismatch(self) -> Mismatch:
        """Between words and emotion."""
        if self.words is Tone.POSITIVE and self.emotion in NEGATIVE:
            return Mismatch.WORDS_BETTER
        if self.words is Tone.NEGATIVE and self.emotion in POSITIVE:
            return Mismatch.WORDS_WORSE
        return Mismatch.NONE


def mood_of(probabilities: tuple[float, ...]) -> float:
    """Pleasant less unpleasant, -1 to 1 for a distribution; of slopes their common slope.

    Args:
        probabilities: in the order of EMOTIONS; empty gives 0.
    """
    signs = [(label in POSITIVE) - (label in NEGATIVE) for label in EMOTIONS]
    return sum(sign * value for sign, value in zip(signs, probabilities, strict=False))


def all_states() -> Iterator[DialogState]:
    """Every situation that can be: an unknown emotion has neither confidence nor trend."""
    for words, engagement in product(Tone, Engagement):
        yield DialogState(UNKNOWN, Band.NONE, Trend.UNKNOWN, words, engagement)
        for emotion, band, trend in product(EMOTIONS, (Band.MEDIUM, Band.HIGH), Trend):
            yield DialogState(emotion, band, trend, words, engagement)


NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
"""Names of strategies and gestures."""


def _gesture(text: str) -> str:
    if text and not NAME.fullmatch(text):
        raise ValueError(text)
    return text


Gesture = Annotated[
    Line, AfterValidator(_gesture), Allowed("a name such as lean_in, or '' for none")
]
"""A hint for the body; "" for none."""


def _values(kind: Iterable[Enum]) -> tuple[str, ...]:
    return tuple(str(one.value) for one in kind)


class RowConditions(Conditions):
    """The situations of a row."""

    emotion: Annotated[frozenset[str], SomeOf((*EMOTIONS, UNKNOWN))] = frozenset()
    confidence: Annotated[frozenset[str], SomeOf(_values(Band))] = frozenset()
    trend: Annotated[frozenset[str], SomeOf(_values(Trend))] = frozenset()
    words: Annotated[frozenset[str], SomeOf(_values(Tone))] = frozenset()
    mismatch: Annotated[frozenset[str], SomeOf(_values(Mismatch))] = frozenset()
    engagement: Annotated[frozenset[str], SomeOf(_values(Engagement))] = frozenset()


class PolicyRule(Settings):
    """One row of the table."""

    when: RowConditions = RowConditions()
    strategy: Text
    intensity: float = Field(ge=0, le=1, description="How strongly to follow the strategy.")
    gesture: Gesture | None = Field(None, description="Used instead of the strategy's own.")
    source: Text


def _features(dialog_state: DialogState) -> dict[str, str]:
    """What the conditions of rows are about."""
    return {
        "emotion": dialog_state.emotion,
        "confidence": dialog_state.confidence.value,
        "trend": dialog_state.trend.value,
        "words": dialog_state.words.value,
        "mismatch": dialog_state.mismatch.value,
        "engagement": dialog_state.engagement.value,
    }


def check_rows(rows: Sequence[PolicyRule], strategies: Collection[str]) -> None:
    """Make sure that every row names a strategy and can be reached, the last for all else.

    Raises:
        ConfigError: one does not.
    """
    for number, row in enumerate(rows):
        if row.strategy not in strategies:
            near = did_you_mean(row.strategy, strategies)
            place = ("table", number, "strategy")
            refuse(place, row.strategy, " | ".join(strategies) + near)
    if rows[-1].when.given:
        place = ("table", len(rows) - 1, "when")
        refuse(place, _names(rows[-1]), "nothing: the last row covers everything else")
    left = list(map(_features, all_states()))
    for number, row in enumerate(rows):
        rest = [one for one in left if not row.when.fits(one)]
        if len(rest) == len(left):
            refuse(
                ("table", number, "when"),
                _names(row),
                "something the rows above do not cover; this row can never be reached",
            )
        left = rest


def _names(row: PolicyRule) -> dict[str, list[str]]:
    return {name: sorted(allowed) for name, allowed in row.when.given.items()}


ASK: Final = "ask"
"""The strategy for words that cannot be understood; every table has it."""
ENGLISH: Final = "en"
_RULES: Final = "rules.yaml"
"""What all languages have in common."""
_NUMBER: Final = re.compile(r"\{([a-z_]+)\}")
_LANGUAGE: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
_TAKEN: Final = (HAND_OVER, INFORM)
"""Names that the dialog itself gives to answers."""


def _strategy_name(name: str) -> str:
    if not NAME.fullmatch(name) or name in _TAKEN:
        raise ValueError(name)
    return name


class Strategy(Settings):
    """One way to answer."""

    guidance: Text = Field(description="What a language model is told to do.")
    style: Style = Field(description="Speaking style at full intensity.")
    gesture: Gesture = ""
    source: Text = Field(description="Published work that supports it, or 'design choice'.")
    templates: Templates = Field(
        description="What the offline responder says to words that it cannot place."
    )
    pleasant: Templates = Field((), description="The same, to pleasant words.")
    unpleasant: Templates = Field((), description="The same, to unpleasant words.")

    @model_validator(mode="after")
    def _always_know_two_answers(self) -> Strategy:
        for name in ("templates", "pleasant", "unpleasant"):
            for number, one in enumerate(getattr(self, name)):
                one.check((name, number))
        if sum(not one.slots for one in self.templates) < 2:
            texts = [one.text for one in self.templates]
            refuse(("templates",), texts, "two or more texts without {slots}")
        return self

    def texts(self, tone: Tone, feeling: str) -> list[str]:
        """What may be said to words of a tone; "" for `feeling` where none may be named."""
        fitting = {Tone.POSITIVE: self.pleasant, Tone.NEGATIVE: self.unpleasant}.get(tone)
        values = {FEELING: feeling}
        return [
            one.filled(values) for one in fitting or self.templates if feeling or not one.slots
        ]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the table says to a situation."""

    strategy: str
    intensity: float
    """0 to 1."""
    style: Style
    """The strategy's, scaled by the intensity."""
    gesture: str
    row: int
    """The row's number, from 1; 0 where the words alone decided."""
    source: str


class ExampleRules(Settings):
    """How like the examples words must be, where no phrase fits them."""

    file: Line = Field("", description="With the sayings, in the same folder; '' for none.")
    sure: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Probability of danger from which a person is handed over.",
    )
    ask: float = Field(
        0.45, ge=0, le=1, description="Probability of danger from which it is asked about."
    )
    other: float = Field(
        0.5, ge=0, le=1, description="The same from which another kind counts."
    )

    @model_validator(mode="after")
    def _ask_before_it_is_sure(self) -> ExampleRules:
        if self.ask > self.sure:
            refuse(("ask",), self.ask, f"at most {self.sure:g}, the value of sure")
        return self


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a person's words are about; of both at most one."""

    concern: FoundConcern | None = None
    intent: Intent | None = None
    everyday: bool = False
    """They are most like everyday sayings: a change of subject."""


class Policy(Settings):
    """Everything that config/dialog/en.yaml and rules.yaml say."""

    language: Annotated[str, Field(pattern=_LANGUAGE), Allowed("a tag such as en or en-GB")] = (
        Field(description="BCP 47 tag of the language of the answers.")
    )
    valence: Text = Field(description="Lexicon file, in the same folder.")
    notice: Line = Field(
        "", description="Said before the first answer, if dialog.notice is 'standard'."
    )
    prompt: Line = Field("", description="What else the rules for a language model say.")
    units: Units = Field(description="How numbers are said.")
    strategies: Mapping[
        Annotated[
            str,
            AfterValidator(_strategy_name),
            Allowed(f"names such as de_escalate, none of them {' or '.join(_TAKEN)}"),
        ],
        Strategy,
    ]
    table: Annotated[
        ListOf[PolicyRule], Field(min_length=1), Allowed("a list of one or more rows")
    ]
    concerns: Concerns = Field(description="What comes before everything else.")
    examples: ExampleRules = ExampleRules()
    quiet: TwoTexts = Field(description="Said where everything else was said a moment ago.")
    unheard: TwoTexts = Field(description="Answer to empty words.")
    feelings: Mapping[Annotated[str, OneOf(EMOTIONS)], Text] = Field(
        description="Name of each emotion in templates with {feeling}."
    )
    # A table of one's own may leave these out.
    small_talk: SmallTalk = SmallTalk()
    about_robot: AboutRobot = AboutRobot()
    foreign: ForeignWords = ForeignWords()
    consent: Consent = Consent()
    crisis: Crisis
    guardrail_words: GuardrailWords
    emotion_words: Mapping[Annotated[str, OneOf(EMOTIONS)], Texts]
    clinical_words: Texts
    _lexicon: ValenceLexicon = PrivateAttr(ValenceLexicon({}, frozenset()))
    _examples: Examples | None = PrivateAttr(None)

    @classmethod
    def read(cls, path: str | Path | None = None, language: str = ENGLISH) -> Policy:
        """From a YAML file and those that it is based on.

        Args:
            path: of an own file; None or "" takes the language's, which comes with the
                package.
            language: as in the names of the files in config/dialog.

        Raises:
            DialogError: a file or the lexicon cannot be read, or a value is not allowed.
            ConfigError: there is no file for the language, or the own file is in another.
        """
        file = Path(path) if path else default_path(language)
        shipped = default_path().parent
        layers = read_layers(file, shipped)
        table = checked(with_numbers(layers.content), file, cls)
        if path and language != ENGLISH and not table.language.startswith(language):
            of = f"'{table.language}', the language of {file.name} (dialog.strategies)"
            raise ConfigError("dialog.language", language, of)
        beside = [folder / table.valence for folder in (*layers.folders, shipped)]
        try:
            lexicon = ValenceLexicon.read(next(filter(Path.is_file, beside), beside[0]))
        except DialogError as error:
            raise DialogError(f"`valence` of {file}: {error}") from error
        table._lexicon = lexicon  # noqa: SLF001  its own
        if table.examples.file:
            beside = [folder / table.examples.file for folder in (*layers.folders, shipped)]
            path = next(filter(Path.is_file, beside), beside[0])
            table._read_examples(path, file)  # noqa: SLF001  its own
        return table

    def _read_examples(self, path: Path, file: Path) -> None:
        try:
            changed_ns = path.stat().st_mtime_ns if path.exists() else 0
            found = examples_of(path.resolve(), changed_ns)
        except (DialogError, OSError) as error:
            raise DialogError(f"`examples.file` of {file}: {error}") from error
        known = (*self.concerns.kinds, *self.small_talk.kinds)
        # A table of one's own may leave small talk out; then sayings of its kinds are of none.
        for kind in found.kinds if self.small_talk.kinds else ():
            if kind not in known and kind != HARMLESS:
                raise DialogError(
                    f"{path}: kinds.{kind} is no kind of `concerns` or `small_talk` in "
                    f"{file}; allowed: "
                    f"{' | '.join(known)}{did_you_mean(kind, known)}"
                )
        self._examples = found

    def warm_up(self) -> str:
        """Load what compares words with examples, so that the first answer need not.

        Returns:
            Why that is not to be had; phrases alone count from then on.  "" if all is well.
        """
        if self._examples is not None:
            try:
                self._examples.warm_up()
            except WeightsError as error:
                self._examples = None
                return f"words are understood by phrases alone, without examples: {error}"
        return ""

    @property
    def rows(self) -> tuple[PolicyRule, ...]:
        """Of the table."""
        return self.table

    @property
    def lexicon(self) -> ValenceLexicon:
        """Pleasant and unpleasant words."""
        return self._lexicon

    @cached_property
    def guardrail(self) -> Guardrail:
        """What an answer must not say."""
        return Guardrail.of(self.guardrail_words, self.emotion_words, self.clinical_words)

    @model_validator(mode="after")
    def _go_together(self) -> Policy:
        if ASK not in self.strategies:
            refuse(("strategies",), list(self.strategies), f"names, one of them '{ASK}'")
        for label in EMOTIONS:
            if label not in self.emotion_words:
                refuse(("emotion_words", label), None, "a list of 1 or more texts")
        check_rows(self.table, self.strategies)
        for name, concern in self.concerns.kinds.items():
            if concern.strategy and concern.strategy not in self.strategies:
                near = did_you_mean(concern.strategy, self.strategies)
                place = ("concerns", "kinds", name, "strategy")
                refuse(place, concern.strategy, " | ".join(self.strategies) + near)
            kinds = tuple(self.concerns.kinds)
            # A table of one's own may leave small talk out; then its kinds are not known.
            talk = tuple(self.small_talk.kinds)
            for key, others, known in (
                ("after", concern.after, kinds),
                ("outlasts", concern.outlasts if talk else (), (*kinds, *talk)),
            ):
                for number, other in enumerate(others):
                    if other not in known:
                        near = did_you_mean(other, known)
                        at = ("concerns", "kinds", name, key, number)
                        refuse(at, other, " | ".join(known) + near)
        self._keep_limits()
        return self

    def _keep_limits(self) -> None:
        """Make sure that no template names an emotion or a diagnosis by itself."""
        texts: list[tuple[tuple[str, ...], Template]] = [
            (("strategies", name, "templates"), template)
            for name, strategy in self.strategies.items()
            for template in (*strategy.templates, *strategy.pleasant, *strategy.unpleasant)
        ]
        met = [
            (("concerns", "kinds", name), Template.of(text))
            for name, concern in self.concerns.kinds.items()
            for text in concern.sayings
        ]
        for place, template in (
            *met,
            *(
                (("crisis",), Template.of(text))
                for text in (self.crisis.message, *self.crisis.again)
            ),
        ):
            # Names of `numbers` have been replaced.
            template.check(place, ())
        texts += met
        for part, subjects in (
            (("small_talk", "kinds"), self.small_talk.kinds),
            (("about_robot", "subjects"), self.about_robot.subjects),
        ):
            texts += [((*part, name), text) for name, text in all_texts(subjects.values())]
        for place, template in texts:
            if self.guardrail.refusal(template.text, may_name="", most=10**6, secret=""):
                refuse(
                    place,
                    template.text,
                    "texts without words of emotion_words or clinical_words to the person "
                    "({feeling} names an emotion where the confidence allows it)",
                )

    def choose(self, dialog_state: DialogState) -> Choice:
        """What to do in a situation."""
        features = _features(dialog_state)
        for number, row in enumerate(self.rows, 1):
            if row.when.fits(features):
                return self._chosen(
                    row.strategy, row.intensity, row.gesture, number, row.source
                )
        raise AssertionError("the last row matches everything")

    def respond(self, concern: Concern) -> Choice:
        """What to do where words are of a kind that comes before the table."""
        if concern.hand_over:
            crisis = self.crisis
            return Choice(HAND_OVER, 1.0, crisis.style, crisis.gesture, 0, concern.source)
        return self._chosen(concern.strategy, concern.intensity, None, 0, concern.source)

    def follow(self, kind: str, intent: Intent | None) -> Choice | None:
        """The same for what is said next, and of no kind itself; None: the table decides.

        Args:
            kind: that is dwelt on; "" for none.
            intent: what the words are about otherwise.
        """
        concern = self.concerns.kinds.get(kind)
        if concern is None or (intent is not None and not concern.mood):
            return None
        strategy = concern.strategy or ASK
        return self._chosen(strategy, concern.intensity, None, 0, concern.source)

    def _chosen(
        self, name: str, intensity: float, gesture: str | None, row: int, source: str
    ) -> Choice:
        strategy = self.strategies[name]
        return Choice(
            strategy=name,
            intensity=intensity,
            style=strategy.style.scaled(intensity),
            gesture=strategy.gesture if gesture is None else gesture,
            row=row,
            source=source,
        )

    def intent(self, words: str) -> Intent | None:
        """What words are about, where there is an answer to that; None for all else."""
        return (
            self.about_robot.rules(words)
            or self.small_talk.find(words)
            or self.about_robot.find(words)
        )

    def meaning(self, text: str, dwelling: str = "", *, phrases_only: bool = False) -> Meaning:
        """What a person's words are about.

        Phrases of concerns come first.  Words that none of them fits are compared with the
        examples, unless they are nothing but small talk: danger before questions about the
        robot, other kinds after these.

        Args:
            text: the words.
            dwelling: kind of what was said before; "" for none.
            phrases_only: leave the examples out.
        """
        found = self.concerns.find(text, dwelling)
        if found is not None:
            return Meaning(found)
        words = printable(text)
        intent = self.intent(words)
        is_clear = intent is not None and intent.name in self.small_talk.kinds
        if phrases_only or is_clear or self.foreign.found_in(words) or self.warm_up():
            return Meaning(None, intent)
        if self._examples is None:
            return Meaning(None, intent)
        like = self._examples.compare(words)
        found = self._danger(like, dwelling)
        if found is not None:
            return Meaning(found)
        if like and (intent is None or intent.question):
            # 'Who', 'what' and 'how' begin many things.
            least = self.examples.other if intent is None else self.examples.sure
            meaning = self._other(like[0], dwelling, least)
            if meaning is not None:
                return meaning
        is_everyday = bool(like) and like[0].probabilities[HARMLESS] >= self.examples.sure
        return Meaning(None, intent, is_everyday)

    def _danger(self, like: Sequence[Likeness], dwelling: str) -> FoundConcern | None:
        """What hands over, or asks whether it should, in the worst of the sentences."""
        kinds = self.concerns.kinds
        danger = [
            name
            for name in (like[0].probabilities if like else ())
            if self._hands_over(name) and kinds[name].counts_after(dwelling)
        ]
        if not danger:
            return None
        worst = max(like, key=lambda one: sum(one.probabilities[name] for name in danger))
        total = sum(worst.probabilities[name] for name in danger)
        name = max(danger, key=worst.probabilities.__getitem__)
        if total < self.examples.ask:
            return None
        reason = f"like '{worst.examples[name]}' ({name}, probability of danger {total:.2f})"
        if total >= self.examples.sure:
            return FoundConcern(name, kinds[name], reason)
        return FoundConcern(name, kinds[name].asking, reason) if kinds[name].asks else None

    def _hands_over(self, name: str) -> bool:
        return name in self.concerns.kinds and self.concerns.kinds[name].hand_over

    def _other(self, like: Likeness, dwelling: str, least: float) -> Meaning | None:
        """Another kind, of small talk too, if it is as likely as `least`."""
        name, share = like.kind, like.probabilities[like.kind]
        if name == HARMLESS or self._hands_over(name) or share < least:
            return None
        if name in self.small_talk.kinds:
            return Meaning(None, self.small_talk.kinds[name])
        concern = self.concerns.kinds.get(name)
        if concern is None or not concern.counts_after(dwelling):
            return None
        reason = f"like '{like.examples[name]}' (probability {share:.2f})"
        return Meaning(FoundConcern(name, concern, reason))


def with_numbers(content: Any) -> Any:
    """What a file holds, with its `numbers` in the place of their names in braces."""
    if not isinstance(content, dict):
        return content
    content = dict(content)
    numbers = content.pop("numbers", None)
    if not isinstance(numbers, dict):
        return content if numbers is None else {**content, "numbers": numbers}
    return {key: _filled(value, numbers) for key, value in content.items()}


def _filled(value: Any, numbers: Mapping[str, object]) -> Any:
    if isinstance(value, str):
        return _NUMBER.sub(lambda found: str(numbers.get(found[1], found[0])), value)
    if isinstance(value, list):
        return [_filled(one, numbers) for one in value]
    if isinstance(value, dict):
        return {key: _filled(one, numbers) for key, one in value.items()}
    return value


def default_path(language: str = ENGLISH) -> Path:
    """The file of a language, of a checkout or of an installed package.

    Args:
        language: as in the name of the file in config/dialog, e.g. 'de'.

    Raises:
        ConfigError: there is none for that language.
        DialogError: there is none at all.
    """
    package = Path(str(resources.files("avemo_ros")))
    places = [package.parent / "config", package / "config"]
    places += [parent / "share" / "avemo_ros" / "config" for parent in package.parents]
    for place in places:
        folder = place / "dialog"
        if not (folder / _RULES).is_file():
            continue
        # With '_' they are no languages: examples_en.yaml.
        files = (file for file in folder.glob("*.yaml") if "_" not in file.name)
        known = sorted(file.stem for file in files if file.name != _RULES)
        if language not in known:
            allowed = " | ".join(known) + did_you_mean(language, known)
            raise ConfigError("dialog.language", language, allowed)
        return folder / f"{language}.yaml"
    raise DialogError(
        "config/dialog/rules.yaml is not installed; give the path of a strategy file"
    )
