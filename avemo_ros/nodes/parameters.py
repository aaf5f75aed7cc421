"""Parameters of the nodes: declared with description, range and read-only mark."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ConfigError

Value = bool | int | float | str
Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a node."""

    name: str
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None
    read_only: bool = False
    """Set when the node starts and never again."""

    def check(self, value: object) -> None:
        """Make sure that a value is allowed.

        Raises:
            ConfigError: the value is not one of the choices (ranges are kept by rclpy).
        """
        if self.choices is not None and value not in self.choices:
            raise ConfigError(self.name, value, " | ".join(self.choices))


def core(groups: Sequence[str]) -> list[Parameter]:
    """The settings of the core's `groups` ("vision", "audio", ...), or of single names."""
    return [
        _setting(name, item)
        for name, item in PipelineConfig.settings()
        if name.split(".", 1)[0] in groups or name in groups
    ]


def of(group: str, config: Any) -> tuple[Parameter, ...]:
    """The settings of a configuration (a dataclass of settings) as parameters of one group."""
    return tuple(_setting(f"{group}.{item.name}", item) for item in fields(config))


def config_of(node: Node, group: str, config: type[Config]) -> Config:
    """The configuration by the present values of the parameters that `of` made.

    Raises:
        ConfigError: values do not go together.
    """
    given = {
        item.name: node.get_parameter(f"{group}.{item.name}").value
        for item in fields(config)  # type: ignore[arg-type]
    }
    return config(**given)


def _setting(name: str, item: Any) -> Parameter:
    return Parameter(
        name,
        item.default,
        item.metadata["description"],
        item.metadata["low"],
        item.metadata["high"],
        item.metadata["choices"],
    )


def declare(node: Node, parameters: Iterable[Parameter]) -> None:
    """Declare parameters; values from the command line and parameter files are taken over.

    Raises:
        ConfigError: such a value has another type, is out of range or none of the choices.
    """
    for parameter in parameters:
        try:
            value = node.declare_parameter(
                parameter.name, parameter.default, _descriptor(parameter)
            ).value
        except InvalidParameterTypeException as error:
            hint = ", with a decimal point" if isinstance(parameter.default, float) else ""
            kind = type(parameter.default).__name__
            raise ConfigError(
                parameter.name, _given(node, parameter.name), f"a value of type {kind}{hint}"
            ) from error
        except InvalidParameterValueException as error:
            raise ConfigError(
                parameter.name,
                _given(node, parameter.name),
                f"{parameter.low} to {parameter.high}",
            ) from error
        parameter.check(value)


def unknown(node: Node, own: Iterable[Parameter] = ()) -> dict[str, str]:
    """Given parameters of the core's groups, and of the groups of the node's `own`, that are
    none of their settings, from the command line and parameter files, each with the setting of
    the closest name or "".

    Settings of groups that this node does not have are known: one parameter file serves all
    nodes.
    """
    known = [name for name, _ in PipelineConfig.settings()]
    known += [parameter.name for parameter in own if "." in parameter.name]
    groups = {name.split(".", 1)[0] for name in known}
    return {
        name: next(iter(difflib.get_close_matches(name, known, n=1)), "")
        for name in sorted(node._parameter_overrides)  # noqa: SLF001  no public way
        if name.split(".", 1)[0] in groups and name not in known
    }


def values(node: Node, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """The present values by name."""
    return {
        parameter.name: node.get_parameter(parameter.name).value for parameter in parameters
    }


def _given(node: Node, name: str) -> object:
    override = node._parameter_overrides.get(name)  # noqa: SLF001  no public way
    return None if override is None else override.value


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=parameter.name, description=parameter.description, read_only=parameter.read_only
    )
    if parameter.choices is not None:
        descriptor.additional_constraints = "one of: " + ", ".join(
            f"'{choice}'" for choice in parameter.choices
        )
    if parameter.low is not None and parameter.high is not None:
        if isinstance(parameter.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(
                    from_value=float(parameter.low), to_value=float(parameter.high), step=0.0
                )
            ]
        else:
            descriptor.integer_range = [
                IntegerRange(
                    from_value=int(parameter.low), to_value=int(parameter.high), step=1
                )
            ]
    return descriptor
