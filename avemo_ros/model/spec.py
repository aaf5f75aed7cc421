"""What a model is made from: a kind, and options that say how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from avemo_ros.errors import ConfigError
from avemo_ros.settings import Allowed, Settings


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Kind and options of a model, as a configuration names them (`model_registry.KINDS`)."""

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
class OnlyToStart:
    """Beside the type of an option: it says what training starts with, no part of the model."""


Start = Annotated[
    str, Allowed("path of a .safetensors, .pt or .pth file, or '' for none"), OnlyToStart()
]
"""A file with weights to start from; '' for none."""


@dataclass(frozen=True, slots=True)
class Part:
    """Beside `ModelSpec`: another model within this one, with its own kind and options."""

    kinds: tuple[str, ...]
    inherits: tuple[str, ...] = ()
    """Options that it takes over from the whole unless it has its own."""
    optional: bool = False
    """None is allowed: the whole has no such part."""

    @property
    def allowed(self) -> str:
        """What messages say is allowed."""
        none = ", or null" if self.optional else ""
        kinds = " | ".join(self.kinds)
        return f"a mapping with kind {kinds} and the options of that kind{none}"

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def _read(self, value: Any) -> ModelSpec | None:
        if value is None and self.optional:
            return None
        kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
        if kind not in self.kinds:
            raise ValueError(value)
        return value if isinstance(value, ModelSpec) else ModelSpec.from_mapping(value)


def parts_of(options: type[Settings]) -> dict[str, Part]:
    """The options that are models themselves, by name."""
    return {
        name: note
        for name, item in options.model_fields.items()
        for note in item.metadata
        if isinstance(note, Part)
    }


def starts_of(options: type[Settings]) -> tuple[str, ...]:
    """The options that only say what training starts with."""
    return tuple(
        name
        for name, item in options.model_fields.items()
        if any(isinstance(note, OnlyToStart) for note in item.metadata)
    )
