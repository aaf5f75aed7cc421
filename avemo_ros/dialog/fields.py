"""What the YAML files of the dialog are made of; a complaint names file, key, value and what is
allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from avemo_ros.dialog.language import phrase_of
from avemo_ros.errors import ConfigError, DialogError
from avemo_ros.settings import (
    Allowed,
    Line,
    ListOf,
    Settings,
    SettingsError,
    did_you_mean,
    read_yaml,
    refuse,
)

_Kind = TypeVar("_Kind", bound=Settings)
_SHOWN = 80
"""Characters of a value that a complaint shows."""


def _has_words(text: str) -> str:
    if not phrase_of(text):
        refuse((), text, "phrases of words")
    return text


def _each_once(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if texts.count(text) > 1:
            refuse((), text, "each text only once")
    return texts


QuotedText = Annotated[Line, Field(min_length=1), Allowed("text in quotes that is not empty")]
"""One of a list of texts; YAML takes one without quotes for something else at times."""
Texts = Annotated[ListOf[QuotedText], Field(min_length=1), AfterValidator(_each_once)]
"""One text or more, none of them twice."""
TwoTexts = Annotated[ListOf[QuotedText], Field(min_length=2), AfterValidator(_each_once)]
"""Two or more, so that they can alternate."""
Phrases = Annotated[
    ListOf[Annotated[QuotedText, AfterValidator(_has_words)]],
    Field(min_length=1),
    AfterValidator(_each_once),
]
"""Texts that have words."""


@dataclass(frozen=True, slots=True)
class SomeOf:
    """Beside a `frozenset`: one name or a list of names out of these."""

    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What messages say is allowed."""
        return f"{' | '.join(self.names)}, or a list of them"

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def _read(self, value: Any) -> frozenset[str]:
        given = value if isinstance(value, list) and value else [value]
        for item in given:
            if item not in self.names:
                refuse((), item, self.allowed + did_you_mean(item, self.names))
        return frozenset(given)


class Conditions(Settings):
    """Names that are allowed for each of some features; none given: any."""

    def fits(self, features: Mapping[str, str]) -> bool:
        """Whether every feature is one of the allowed names."""
        return all(features[name] in allowed for name, allowed in self.given.items())

    @cached_property
    def given(self) -> dict[str, frozenset[str]]:
        """Those that are not empty."""
        return {name: getattr(self, name) for name in self.names() if getattr(self, name)}


BASED_ON: Final = "based_on"
"""Key of the file that a file changes."""
_DEEPEST: Final = 8
"""Files that may be based on one another."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What a file says together with those that it is based on."""

    content: Any
    folders: tuple[Path, ...]
    """Of the files, its own first; where other files that it names are looked for."""


def read_layers(path: Path, shipped: Path) -> Layers:
    """A YAML file, laid over the one that it is based on.

    Of two mappings the keys are merged, of all else the file's own counts.

    Args:
        path: of the file.
        shipped: folder in which files are looked for that are not beside the one that names
            them.

    Raises:
        DialogError: a file is missing, no UTF-8, no YAML, names a key twice, or is based on
            itself.
    """
    layers, folders = [], []
    while True:
        content = _read_yaml(path)
        folders.append(path.parent)
        layers.append(content)
        base = content.pop(BASED_ON, None) if isinstance(content, dict) else None
        if base is None:
            break
        if not isinstance(base, str) or len(layers) == _DEEPEST:
            allowed = f"a file; at most {_DEEPEST} are based on one another"
            raise DialogError(f"{path.name}: {BASED_ON} is {base!r}; allowed: {allowed}")
        beside = path.parent / base
        path = beside if beside.is_file() else shipped / base
    merged = layers.pop()
    while layers:
        merged = _laid_over(merged, layers.pop())
    return Layers(merged, tuple(folders))


def _laid_over(base: Any, content: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(content, dict)):
        return content
    return {
        **base,
        **{
            key: _laid_over(base[key], value) if key in base else value
            for key, value in content.items()
        },
    }


def read_file(path: Path, kind: type[_Kind]) -> _Kind:
    """What a YAML file holds.

    Raises:
        DialogError: the file is missing, no UTF-8, no YAML, names a key twice, or a value is
            not allowed.
    """
    return checked(_read_yaml(path), path, kind)


def _read_yaml(path: Path) -> Any:
    try:
        return read_yaml(path, str(path), once=True)
    except SettingsError as error:
        raise DialogError(str(error)) from error


def checked(content: object, path: Path, kind: type[_Kind]) -> _Kind:
    """The content of a file.

    Raises:
        DialogError: a value is not allowed.
    """
    try:
        return kind.from_mapping(content)
    except SettingsError as error:
        raise DialogError(str(error)) from error
    except ConfigError as error:
        shown = repr(error.value)
        if len(shown) > _SHOWN:
            shown = shown[: _SHOWN - 3] + "..."
        raise DialogError(
            f"{path.name}: {_key(error.place)} is {shown}; allowed: {error.allowed}"
        ) from error


def _key(place: tuple[str | int, ...]) -> str:
    """E.g. 'table[3].when', rows from 1 as people count them."""
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".") or "the file"


class Style(Settings):
    """Against the voice's usual way."""

    rate: float = Field(1.0, ge=0.5, le=2, description="Speaking rate; 1 is the usual.")
    pitch: float = Field(0.0, ge=-12, le=12, description="[semitones].")
    volume: float = Field(0.0, ge=-12, le=12, description="[dB].")

    def scaled(self, intensity: float) -> Style:
        """The way from the usual (0) to this style (1), rounded to what can be heard."""
        return Style(
            rate=round(1.0 + (self.rate - 1.0) * intensity, 3),
            pitch=round(self.pitch * intensity, 2),
            volume=round(self.volume * intensity, 2),
        )


ANSWER: Final = "answer"
"""What was said before."""
FEELING: Final = "feeling"
"""How the person seems, e.g. 'upset'; only where the limits allow to name it."""
_SLOT: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """One text."""

    text: str
    slots: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Template:
        """From a text with slots, such as 'You seem {feeling}'."""
        return cls(text, frozenset(_SLOT.findall(text)))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.of, handler.generate_schema(QuotedText)
        )

    def check(self, place: Sequence[str | int], allowed: Iterable[str] = (FEELING,)) -> None:
        """Make sure that its braces are slots that are known.

        Args:
            place: where it stands, for the complaint.
            allowed: names of the slots that it may have.

        Raises:
            ConfigError: a slot is not known, or a brace has no partner.
        """
        if self.slots - set(allowed) or set("{}") & set(_SLOT.sub("", self.text)):
            names = " or ".join(f"{{{name}}}" for name in allowed)
            refuse(
                place,
                self.text,
                f"texts in which braces are {names}" if names else "texts without braces",
            )

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with its slots filled."""
        return _SLOT.sub(lambda match: values[match[1]], self.text)


def _each_template_once(templates: tuple[Template, ...]) -> tuple[Template, ...]:
    for template in templates:
        if templates.count(template) > 1:
            refuse((), template.text, "each text only once")
    return templates


Templates = Annotated[
    ListOf[Annotated[Template, Allowed("text in quotes that is not empty")]],
    Field(min_length=1),
    AfterValidator(_each_template_once),
]
"""One or more, none of them twice."""
