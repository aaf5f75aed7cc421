"""What a model is made from: a kind, and options that say how."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avemo_ros.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Kind and options of a model, as a configuration file names them (`kinds.KINDS`)."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """By name; a part of a fusion is a ModelSpec or a mapping with a 'kind'."""

    @classmethod
    def from_mapping(cls, raw: object, where: str = "model") -> ModelSpec:
        """From what a YAML or JSON file holds: {'kind': ..., option: value, ...}.

        Raises:
            ConfigError: it is no mapping, or has no kind.
        """
        if not isinstance(raw, Mapping):
            raise ConfigError(where, raw, "a mapping with 'kind' and options")
        kind = raw.get("kind")
        if not isinstance(kind, str) or not kind:
            raise ConfigError(f"{where}.kind", kind, "the name of a kind of model")
        return cls(kind, {str(name): value for name, value in raw.items() if name != "kind"})

    def to_mapping(self) -> dict[str, Any]:
        """As a configuration file has it, with plain values only."""
        plain = {name: _plain(value) for name, value in self.options.items()}
        return {"kind": self.kind, **plain}

    def to_json(self) -> str:
        """On one line."""
        return json.dumps(self.to_mapping())


def _plain(value: Any) -> Any:
    if isinstance(value, ModelSpec):
        return value.to_mapping()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Option(ABC):
    """One option of a kind of model."""

    name: str
    default: Any
    text: str
    """What it does, in a sentence."""

    @property
    @abstractmethod
    def allowed(self) -> str:
        """The values that it takes, in words."""

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The value in the type that the maker of the model takes.

        Raises:
            ValueError: it is not allowed.
        """

    @property
    def lasting(self) -> bool:
        """False: it only says what training starts with, and is no part of the model."""
        return True


@dataclass(frozen=True, slots=True)
class Choice(Option):
    """One of some words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """See `Option`."""
        return " | ".join(self.words)

    def read(self, value: Any) -> str:
        """See `Option`."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError(value)
        return value


@dataclass(frozen=True, slots=True)
class Flag(Option):
    """True or false."""

    @property
    def allowed(self) -> str:
        """See `Option`."""
        return "true | false"

    def read(self, value: Any) -> bool:
        """See `Option`."""
        if not isinstance(value, bool):
            raise ValueError(value)  # noqa: TRY004 - callers catch one kind
        return value


@dataclass(frozen=True, slots=True)
class Number(Option):
    """A number in a range."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        """See `Option`."""
        return f"{self.low:g} to {self.high:g}"

    def read(self, value: Any) -> float:
        """See `Option`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(value)  # noqa: TRY004 - callers catch one kind
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise ValueError(value)
        return float(value)


@dataclass(frozen=True, slots=True)
class Whole(Option):
    """A whole number in a range, maybe a multiple of something only."""

    low: int
    high: int
    step: int = 1

    @property
    def allowed(self) -> str:
        """See `Option`."""
        which = f", multiples of {self.step}" if self.step > 1 else ""
        return f"whole numbers from {self.low} to {self.high}{which}"

    def read(self, value: Any) -> int:
        """See `Option`."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(value)  # noqa: TRY004 - callers catch one kind
        if not self.low <= value <= self.high or value % self.step:
            raise ValueError(value)
        return value


@dataclass(frozen=True, slots=True)
class Numbers(Option):
    """A list of numbers."""

    low: float
    high: float
    lengths: tuple[int, int]
    """Fewest and most."""
    whole: bool = True
    step: int = 1
    words: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Names that may stand for lists."""

    @property
    def allowed(self) -> str:
        """See `Option`."""
        few, many = self.lengths
        count = str(few) if few == many else f"{few} to {many}"
        kind = "whole numbers" if self.whole else "numbers"
        which = f", multiples of {self.step}" if self.step > 1 else ""
        names = "".join(f"{word} | " for word in self.words)
        return f"{names}a list of {count} {kind} from {self.low:g} to {self.high:g}{which}"

    def read(self, value: Any) -> tuple[float, ...]:
        """See `Option`."""
        if isinstance(value, str) and value in self.words:
            return self.words[value]
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(value)  # noqa: TRY004 - callers catch one kind
        few, many = self.lengths
        if not few <= len(value) <= many:
            raise ValueError(value)
        one = Whole("", 0, "", int(self.low), int(self.high), self.step)
        other = Number("", 0.0, "", self.low, self.high)
        return tuple((one if self.whole else other).read(item) for item in value)


@dataclass(frozen=True, slots=True)
class File(Option):
    """A file with weights to start from; '' for none."""

    @property
    def allowed(self) -> str:
        """See `Option`."""
        return "path of a .safetensors, .pt or .pth file, or '' for none"

    def read(self, value: Any) -> str:
        """See `Option`."""
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004 - callers catch one kind
        return value

    @property
    def lasting(self) -> bool:
        """See `Option`."""
        return False


@dataclass(frozen=True, slots=True)
class Part(Option):
    """Another model within this one: its own kind and options."""

    kinds: tuple[str, ...]
    inherits: tuple[str, ...] = ()
    """Options that it takes over from the whole unless it has its own."""

    @property
    def allowed(self) -> str:
        """See `Option`."""
        return f"a mapping with kind {' | '.join(self.kinds)} and the options of that kind"

    def read(self, value: Any) -> ModelSpec:
        """See `Option`."""
        spec = value if isinstance(value, ModelSpec) else None
        if spec is None and isinstance(value, Mapping) and isinstance(value.get("kind"), str):
            spec = ModelSpec.from_mapping(value)
        if spec is None or spec.kind not in self.kinds:
            raise ValueError(value)
        return spec
