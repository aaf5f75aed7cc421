"""How a network is made from its specification: checked, built, and what of it lasts."""

from __future__ import annotations

import difflib
from typing import Any

from torch import nn

from avemo_ros.errors import ConfigError
from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.kind import Kind
from avemo_ros.model.live_kinds import LIVE_KINDS
from avemo_ros.model.spec import ModelSpec, Part
from avemo_ros.model.unimodal import Unimodal


def check(spec: ModelSpec, where: str = "model") -> ModelSpec:
    """A specification with every option of its kind: its own or the default.

    Args:
        spec: as given.
        where: how messages name it.

    Raises:
        ConfigError: the kind or an option is not known, or a value is not allowed; the message
            names parameter, value and what is allowed.
    """
    kind = _kind_of(spec)
    if kind is None:
        raise ConfigError(f"{where}.kind", spec.kind, _kinds(spec.kind, where))
    names = [option.name for option in kind.options]
    for name, value in spec.options.items():
        if name not in names:
            raise ConfigError(
                f"{where}.{name}", value, f"{spec.kind} has only: {', '.join(names)}"
            )
    values: dict[str, Any] = {}
    for option in kind.options:
        place = f"{where}.{option.name}"
        given = spec.options.get(option.name, option.default)
        try:
            value = option.read(given)
        except ValueError:
            raise ConfigError(place, given, option.allowed) from None
        if isinstance(option, Part):
            over = {name: values[name] for name in option.inherits}
            value = check(ModelSpec(value.kind, {**over, **value.options}), place)
        values[option.name] = value
    return ModelSpec(spec.kind, values)


def _kind_of(spec: ModelSpec) -> Kind | None:
    """The kind that a specification names; None where there is none of this name."""
    return LIVE_KINDS.get(spec.kind) or _all_kinds().get(spec.kind)


def _all_kinds() -> dict[str, Kind]:
    # Only when one is named that is not the robot's: a robot need not load the others.
    from avemo_ros.model.kinds import KINDS

    return KINDS


def _kinds(given: str, where: str) -> str:
    """What is allowed instead of a kind; a whole model may also be no network."""
    names = list(_all_kinds())
    if where == "model":
        from avemo_ros.model.classical import KINDS as OTHERS

        if given not in OTHERS:
            names += OTHERS
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return " | ".join(names) + (f" (did you mean '{near[0]}'?)" if near else "")


def lasting(spec: ModelSpec) -> ModelSpec:
    """A checked specification without what only says how training starts."""
    kind = _kind_of(spec)
    assert kind is not None  # it is checked
    options = {
        option.name: lasting(value) if isinstance(value, ModelSpec) else value
        for option in kind.options
        if option.lasting
        for value in (spec.options[option.name],)
    }
    return ModelSpec(spec.kind, options)


def build(spec: ModelSpec, where: str = "model") -> EmotionModel:
    """The network of a specification, with random weights or those its options name.

    Random weights come from torch's default generator: seed it first.

    Args:
        spec: kind and options.
        where: how messages name it.

    Raises:
        ConfigError: an option is not allowed, see `check`.
        WeightsError: a file that an option names cannot be used.
    """
    return _make(check(spec, where), where)


def start_notes(model: nn.Module) -> tuple[str, ...]:
    """What the parts of a model took from weights of elsewhere, in words."""
    parts = (part for part in model.modules() if isinstance(part, Unimodal))
    return tuple(part.start_note for part in parts if part.start_note)


def _make(spec: ModelSpec, where: str) -> EmotionModel:
    kind = _kind_of(spec)
    assert kind is not None  # it is checked
    try:
        values = {
            name: _make(value, name) if isinstance(value, ModelSpec) else value
            for name, value in spec.options.items()
        }
        return kind.make(values)
    except ConfigError as error:
        # Makers name an option alone; they do not know what they are part of.
        raise ConfigError(f"{where}.{error.name}", error.value, error.allowed) from None
