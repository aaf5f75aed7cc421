"""How a network is made from its specification: checked, built, and what of it lasts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.kind import Kind
from avemo_ros.model.spec import ModelSpec, parts_of, starts_of
from avemo_ros.model.unimodal import Unimodal
from avemo_ros.settings import did_you_mean


class Builder:
    """Checks specifications of some kinds of networks, and makes networks of them.

    Args:
        kinds: that it knows, by name.
        others: names of kinds that are no networks, for messages about a whole model.
    """

    def __init__(self, kinds: Mapping[str, Kind], others: Iterable[str] = ()) -> None:
        self._kinds = kinds
        self._others = tuple(others)

    def check(self, spec: ModelSpec, where: str = "model") -> ModelSpec:
        """A specification with every option of its kind: its own or the default.

        Args:
            spec: as given.
            where: how messages name it.

        Raises:
            ConfigError: the kind or an option is not known, or a value is not allowed; the
                message names parameter, value and what is allowed.
        """
        kind = self._kinds.get(spec.kind)
        if kind is None:
            raise ConfigError(f"{where}.kind", spec.kind, self._names(spec.kind, where))
        try:
            options = kind.options.from_mapping(spec.options)
        except ConfigError as error:
            raise ConfigError(f"{where}.{error.name}", error.value, error.allowed) from None
        values = {name: getattr(options, name) for name in options.names()}
        for name, part in parts_of(kind.options).items():
            over = {inherited: values[inherited] for inherited in part.inherits}
            own = values[name]
            inner = ModelSpec(own.kind, {**over, **own.options})
            values[name] = self.check(inner, f"{where}.{name}")
        return ModelSpec(spec.kind, values)

    def lasting(self, spec: ModelSpec) -> ModelSpec:
        """A checked specification without what only says how training starts."""
        starts = starts_of(self._kinds[spec.kind].options)
        options = {
            name: self.lasting(value) if isinstance(value, ModelSpec) else value
            for name, value in spec.options.items()
            if name not in starts
        }
        return ModelSpec(spec.kind, options)

    def build(self, spec: ModelSpec, where: str = "model") -> EmotionModel:
        """The network of a specification, with random weights or those its options name.

        Random weights come from torch's default generator: seed it first.

        Args:
            spec: kind and options.
            where: how messages name it.

        Raises:
            ConfigError: an option is not allowed, see `check`.
            WeightsError: a file that an option names cannot be used.
        """
        return self._make(self.check(spec, where), where)

    def _make(self, spec: ModelSpec, where: str) -> EmotionModel:
        try:
            values = {
                name: self._make(value, name) if isinstance(value, ModelSpec) else value
                for name, value in spec.options.items()
            }
            return self._kinds[spec.kind].make(values)
        except ConfigError as error:
            # Makers name an option alone; they do not know what they are part of.
            raise ConfigError(f"{where}.{error.name}", error.value, error.allowed) from None

    def _names(self, given: str, where: str) -> str:
        """What is allowed instead of a kind; a whole model may also be no network."""
        names = list(self._kinds)
        if where == "model" and given not in self._others:
            names += self._others
        return " | ".join(names) + did_you_mean(given, names)


def start_notes(model: nn.Module) -> tuple[str, ...]:
    """What the parts of a model took from weights of elsewhere, in words."""
    parts = (part for part in model.modules() if isinstance(part, Unimodal))
    return tuple(part.start_note for part in parts if part.start_note)
