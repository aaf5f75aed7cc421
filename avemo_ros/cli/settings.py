"""The core's configuration from a parameter file and from `--set NAME=VALUE`.

The file is the one that the nodes take (`config/emotion.yaml`), or a plain mapping of the
same names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from avemo_ros.config import PipelineConfig
from avemo_ros.errors import AvemoError

_ROS: Final = "ros__parameters"
_GROUPS: Final = frozenset(name.split(".", 1)[0] for name, _ in PipelineConfig.settings())


class SettingsError(AvemoError):
    """A parameter file or a setting cannot be read."""


def read_config(path: Path | None, settings: Sequence[str]) -> PipelineConfig:
    """The configuration; settings go before the file, the file before the defaults.

    Args:
        path: YAML file; None for none.  In a ROS parameter file the parameters of all nodes
            are taken, and those that are not of the core are left out.
        settings: each `NAME=VALUE`, e.g. `emotion.hop_s=0.2`.

    Raises:
        SettingsError: the file or a setting cannot be read.
        ConfigError: a name is unknown or a value is not allowed.
    """
    return PipelineConfig.from_flat(read_values(path, settings, _GROUPS))


def read_values(
    path: Path | None, settings: Sequence[str], groups: Collection[str]
) -> dict[str, object]:
    """Values by dotted name; settings go before the file.

    Args:
        path: YAML file; None for none.
        settings: each `NAME=VALUE`.
        groups: of a ROS parameter file only names of these groups are taken.

    Raises:
        SettingsError: the file or a setting cannot be read.
    """
    values = {} if path is None else _of_file(path, groups)
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingsError(f"'{text}' is no setting; needed: NAME=VALUE")
        values[name.strip()] = _parsed(value, f"the value of '{text}'")
    return values


def _of_file(path: Path, groups: Collection[str]) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"cannot read parameter file '{path}': {reason}") from error
    content = _parsed(text, f"parameter file '{path}'")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"parameter file '{path}' holds no mapping of names to values")
    nodes = list(_ros_parameters(content))
    if not nodes:
        return dict(_flat(content))
    return {
        name: value
        for node in nodes
        for name, value in _flat(node)
        if name.split(".", 1)[0] in groups
    }


def _ros_parameters(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parameters of every node, however deep its namespace."""
    for name, inner in content.items():
        if not isinstance(inner, dict):
            continue
        if name == _ROS:
            yield inner
        else:
            yield from _ros_parameters(inner)


def _flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested mappings as dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _parsed(text: str, what: str) -> Any:
    # Not needed by who gives no settings, and absent from some minimal installations.
    try:
        import yaml
    except ImportError as error:
        raise SettingsError(f"{what} needs PyYAML: pip install pyyaml") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{what} is not valid YAML: {reason}") from error
