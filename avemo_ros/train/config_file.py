"""Training configurations from YAML files and `NAME=VALUE` changes, and back.

A name that is not known is refused with the nearest one that is; a value out of range with
what is allowed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from avemo_ros.errors import ConfigError
from avemo_ros.train.config import FOLDS, DataConfig, PartConfig, TrainConfig, as_mapping

_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_MOST_FOLDS: Final = 1000
_T = TypeVar("_T")


def config_path(name: str) -> Path:
    """The file of a configuration: a path, or the name of one in config/models.

    Raises:
        ConfigError: there is none; the names that exist are said.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.is_file():
            return path
        raise ConfigError(
            "CONFIG", name, "a file that exists" + _did_you_mean(path.stem, named())
        )
    for folder in _folders():
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = named()
    raise ConfigError(
        "CONFIG", name, f"a YAML file, or one of {', '.join(known)}{_did_you_mean(name, known)}"
    )


def named() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml")})


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """A configuration from its file and `NAME=VALUE` changes.

    Args:
        name: a YAML file, or the name of one in config/models.
        overrides: e.g. `training.rate=1e-3`, `data.train.0.share=0.5`; values are YAML.

    Raises:
        ConfigError: the file cannot be read, or a name or value is not allowed.
    """
    path = config_path(str(name))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("CONFIG", str(path), f"a file that can be read ({error})") from error
    content = _parsed(text, "CONFIG", str(path))
    if not isinstance(content, dict):
        raise ConfigError("CONFIG", str(path), "a YAML mapping of names to values")
    for change in overrides:
        _apply(content, change)
    content.setdefault("name", path.stem)
    return from_mapping(content)


def from_mapping(content: Mapping[str, Any]) -> TrainConfig:
    """A configuration from nested mappings, as YAML gives them.

    Raises:
        ConfigError: a name or value is not allowed.
    """
    return _read(TrainConfig, content, "")


def read_group(kind: type[_T], given: Mapping[str, Any], group: str) -> _T:
    """A dataclass of settings from a mapping.

    Raises:
        ConfigError: a name or value is not allowed.
    """
    return _read(kind, given, group)


def dump(config: TrainConfig) -> str:
    """The configuration as YAML text."""
    import yaml

    text: str = yaml.safe_dump(as_mapping(config), sort_keys=False, allow_unicode=True)
    return text


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs, e.g. 'training.rate is 0.001, was 0.0006'."""
    before, after = dict(_flat(old)), dict(_flat(new))
    return [
        f"{name} is {after.get(name)!r}, was {before.get(name)!r}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _folders() -> list[Path]:
    """config/models of a checkout, and of an installed package."""
    package = Path(str(resources.files("avemo_ros")))
    places = [package.parent / "config" / "models", package / "config" / "models"]
    places += [
        parent / "share" / "avemo_ros" / "config" / "models" for parent in package.parents
    ]
    return [place for place in places if place.is_dir()]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _parsed(text: str, argument: str, given: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ConfigError(
            argument, given, "PyYAML to be installed: pip install pyyaml"
        ) from error
    try:
        return _numbers(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(
            argument, given, f"valid YAML ({' '.join(str(error).split())})"
        ) from error


def _numbers(value: Any) -> Any:
    """With 6e-4 as a number, which YAML 1.1 takes for text."""
    if isinstance(value, dict):
        return {name: _numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return value


def _apply(content: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    name = name.strip()
    if not equals or not name:
        raise ConfigError("--set", change, "NAME=VALUE, e.g. training.rate=1e-3")
    *path, last = name.split(".")
    place: Any = content
    for depth, key in enumerate(path):
        if isinstance(place, list):
            place = _element(place, key, change)
            continue
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict | list):
            raise ConfigError(
                "--set", change, f"'{'.'.join(path[: depth + 1])}' is a value, not a group"
            )
    value = _parsed(text, "--set", change)
    if isinstance(place, list):
        _element(place, last, change)
        place[int(last)] = value
    else:
        place[last] = value


def _element(place: list[Any], key: str, change: str) -> Any:
    if not key.isdigit() or int(key) >= len(place):
        raise ConfigError("--set", change, f"'{key}' to be 0 to {len(place) - 1}: it is a list")
    return place[int(key)]


def _read(kind: type[_T], given: object, group: str) -> _T:
    """A dataclass from a mapping; nested groups are read by the types of their defaults."""
    if not isinstance(given, Mapping):
        raise ConfigError(group or "CONFIG", given, "a mapping of names to values")
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in given.items():
        full = f"{group}.{name}" if group else str(name)
        if name not in known:
            raise ConfigError(
                full,
                value,
                f"one of the names {', '.join(known)}{_did_you_mean(str(name), known)}",
            )
        values[name] = _value(kind, str(name), value, full)
    return kind(**values)


def _value(kind: type, name: str, value: Any, full: str) -> Any:
    if kind is DataConfig and name == "train":
        if isinstance(value, Mapping | str):
            value = [value]
        if not isinstance(value, list):
            raise ConfigError(full, value, "a list of data sets, each with a name")
        return tuple(
            _read(
                PartConfig, {"name": part} if isinstance(part, str) else part, f"{full}.{place}"
            )
            for place, part in enumerate(value)
        )
    if kind is DataConfig and name == "folds" and type(value) is int:
        if not 2 <= value <= _MOST_FOLDS:
            raise ConfigError(full, value, FOLDS)
        return ((),) * value
    default = {item.name: item.default for item in fields(kind)}[name]
    if default == "" and value is None:
        return ""  # what YAML makes of nothing
    if is_dataclass(default):
        return _read(type(default), {} if value is None else value, full)
    if isinstance(default, tuple):
        if value is None or value == "":
            return ()
        if isinstance(value, str | int | float):
            value = [value]
        return _tuples(value)
    if type(default).__name__ == "_MISSING_TYPE":  # a free mapping
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise ConfigError(full, value, "a mapping of names to values")
        return dict(value)
    return value


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(inner) for inner in value)
    return value
