"""Parameters of the nodes: declared from settings, with description and range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from avemo_ros.config import PipelineConfig
from avemo_ros.errors import ConfigError
from avemo_ros.nodes import parameter_file, rclpy_internals
from avemo_ros.settings import Setting, Settings

_Kind = TypeVar("_Kind", bound=Settings)


def pipeline_settings(groups: Sequence[str]) -> list[Setting]:
    """The settings of the `groups` ("vision", "audio", ...), or of single names."""
    return [
        setting
        for setting in PipelineConfig.settings()
        if setting.name.split(".", 1)[0] in groups or setting.name in groups
    ]


def declare(node: Node, settings: Iterable[Setting]) -> None:
    """Declare parameters; values from the command line and parameter files are taken over.

    Raises:
        ConfigError: such a value has another type, is out of range or none of the choices.
    """
    for setting in settings:
        try:
            value = node.declare_parameter(
                setting.name, setting.default, _descriptor(setting)
            ).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            given = _given(node, setting.name)
            hint = ""
            if type(setting.default) is float and type(given) is int:
                hint = ", with a decimal point"
            elif type(setting.default) is str:
                hint = f", in quotes ('{given}')"
            raise ConfigError(setting.name, given, setting.allowed + hint) from error
        setting.check(value)


def unknown(node: Node, own: Iterable[Setting] = ()) -> dict[str, str]:
    """Given parameters, from the command line and parameter files, that no node of this package
    has, each with the closest name or "".

    Settings of groups that this node does not have are known: one parameter file serves all
    nodes.
    """
    known = [setting.name for setting in (*PipelineConfig.settings(), *own)]
    strays = set(rclpy_internals.given_parameters(node)) - set(known)
    return parameter_file.strays(strays, known) if strays else {}


def values(node: Node, settings: Iterable[Setting]) -> dict[str, Any]:
    """The present values by name."""
    return {setting.name: node.get_parameter(setting.name).value for setting in settings}


def read(node: Node, kind: type[_Kind]) -> _Kind:
    """The present values of a group of settings.

    Raises:
        ConfigError: values do not go together.
    """
    prefix = f"{kind.group}." if kind.group else ""
    return kind(**{name: node.get_parameter(prefix + name).value for name in kind.names()})


def _given(node: Node, name: str) -> object:
    override = rclpy_internals.given_parameters(node).get(name)
    return None if override is None else override.value


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=setting.name, description=setting.description, read_only=setting.read_only
    )
    if setting.choices is not None:
        descriptor.additional_constraints = "one of: " + ", ".join(
            f"'{choice}'" for choice in setting.choices
        )
    if setting.low is not None and setting.high is not None:
        if isinstance(setting.default, float):
            limits = FloatingPointRange(
                from_value=float(setting.low), to_value=float(setting.high), step=0.0
            )
            descriptor.floating_point_range = [limits]
        else:
            limits = IntegerRange(
                from_value=int(setting.low), to_value=int(setting.high), step=1
            )
            descriptor.integer_range = [limits]
    return descriptor
