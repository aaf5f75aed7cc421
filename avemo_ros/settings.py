"""How settings are declared and read, for nodes, commands, training, models and dialogs.

A group of settings is a pydantic model.  Each setting stands there once, with its type, its
default, its range or choices, its unit and its meaning:

    class EyeConfig(Settings, group="eye"):
        rate_hz: float = Field(15.0, ge=1.0, le=240.0, description="Images a second [Hz].")

ROS parameters, `--set`, the listings of options and the files in YAML are all made from that.
Whatever is not allowed is a ConfigError with name, value, what is allowed and the nearest name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    NoReturn,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from avemo_ros.errors import AvemoError, ConfigError
from avemo_ros.untrusted import MAX_YAML_NODES, read_text

_T = TypeVar("_T")
_Self = TypeVar("_Self", bound="Settings")
_Flat = TypeVar("_Flat", bound="SettingGroups")
_ROS: Final = "ros__parameters"
_MAPPING: Final = "a mapping of names to values"
_KEY: Final = "[key]"
"""Where pydantic says that the name itself is wrong."""


# --- what a setting may be, where its Python type does not say it


@dataclass(frozen=True, slots=True)
class Allowed:
    """Beside a type: what messages say is allowed."""

    allowed: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """Beside `str`: the choices, where they stand elsewhere; `Literal` where they do not."""

    choices: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.literal_schema(list(self.choices))


@dataclass(frozen=True, slots=True)
class Named:
    """Beside a list: names that stand for lists."""

    lists: Mapping[str, tuple[Any, ...]]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._list, handler(source))

    def _list(self, value: object) -> object:
        if isinstance(value, str):
            if value not in self.lists:
                raise ValueError(value)
            return self.lists[value]
        return value


def _listed(value: object) -> object:
    """A single value stands for a list of one; text without a sign for an empty one."""
    if value == "":
        return ()
    return [value] if isinstance(value, str | int | float) else value


ListOf = Annotated[tuple[_T, ...], Field(strict=False), BeforeValidator(_listed)]
"""A list as YAML has it, kept as a tuple."""


def _line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_line)]
"""Text with single blanks, however a file breaks its lines."""
Text = Annotated[Line, Field(min_length=1), Allowed("text that is not empty")]
"""A line that is not empty."""


# --- groups of settings


@dataclass(frozen=True, slots=True)
class Setting:
    """What is declared of one setting."""

    name: str
    """With its group, e.g. 'emotion.hop_s'."""
    default: Any
    """None: it has to be given."""
    description: str
    allowed: str
    """The values that it takes, in words."""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None
    read_only: bool = False
    """Set when a node starts and never again."""

    def check(self, value: object) -> None:
        """Make sure that a value is one of the choices.

        Raises:
            ConfigError: it is not.
        """
        if self.choices is not None and value not in self.choices:
            raise ConfigError(self.name, value, self.allowed)


class Settings(BaseModel):
    """A group of settings: checked when it is made, never changed afterwards.

    Numbers are taken as numbers only: '3' is none, nor is true, nor NaN; a whole number does
    for a float.  Nothing ('name:' in YAML) stands for the default of text, list or group.

    Raises:
        ConfigError: a name is not known, or a value is not allowed.  A validator of settings
            that do not go together raises it with a name within its own class.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )
    group: ClassVar[str] = ""
    """Stands before the names of the settings."""

    def __init_subclass__(cls, *, group: str | None = None, **more: Any) -> None:
        super().__init_subclass__(**more)
        if group is not None:
            cls.group = group

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _mistake(type(self), error) from None

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nothing(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or None not in given.values():
            return given
        return {
            name: value
            for name, value in given.items()
            if value is not None or not _may_be_nothing(cls.model_fields.get(name))
        }

    @classmethod
    def from_mapping(cls: type[_Self], content: object) -> _Self:
        """From nested mappings and lists, as YAML and JSON give them.

        Raises:
            ConfigError: it is no mapping, a name is not known, or a value is not allowed.
        """
        if not isinstance(content, Mapping):
            mistake = ConfigError(cls.group or "settings", content, _MAPPING)
            mistake.place = ()
            raise mistake
        return cls(**_named(content))

    def replace(self: _Self, **changes: Any) -> _Self:
        """A copy with other values, checked like any other.

        Raises:
            ConfigError: a value is not allowed.
        """
        return type(self)(**{**{name: getattr(self, name) for name in self.names()}, **changes})

    def plain(self) -> dict[str, Any]:
        """Nested mappings and lists of plain values, as a file has them."""
        return self.model_dump(mode="json")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of its settings, without the group."""
        return tuple(cls.model_fields)

    @classmethod
    def settings(cls) -> Iterator[Setting]:
        """What is declared, in groups within it too."""
        for name, item in cls.model_fields.items():
            kind = item.annotation
            if isinstance(kind, type) and issubclass(kind, Settings):
                yield from kind.settings()
            else:
                yield _declared(f"{cls.group}.{name}" if cls.group else name, item)


class SettingGroups(Settings):
    """Groups of settings, each of which has a dotted name, e.g. 'emotion.hop_s'."""

    retired: ClassVar[Mapping[str, str]] = {}
    """Names of earlier versions, and what to write instead."""

    @classmethod
    def read(cls: type[_Flat], path: Path | None, settings: Sequence[str] = ()) -> _Flat:
        """From a parameter file and from `--set`, which goes before the file.

        Args:
            path: the file that the nodes take (`config/emotion.yaml`), or a plain mapping of
                the same names; None for none.
            settings: each `NAME=VALUE`, e.g. `emotion.hop_s=0.2`.

        Raises:
            SettingsError: the file or a value cannot be read.
            ConfigError: a name is unknown or a value is not allowed.
        """
        groups = {setting.name.split(".", 1)[0] for setting in cls.settings()}
        return cls.from_flat(read_values(path, settings, groups))

    @classmethod
    def from_flat(cls: type[_Flat], values: Mapping[str, object]) -> _Flat:
        """From names and values, e.g. `{"emotion.hop_s": 0.2}`.

        Raises:
            ConfigError: a name is unknown or a value is not allowed.
        """
        kinds: dict[str, Any] = {
            name: item.annotation for name, item in cls.model_fields.items()
        }
        places = {
            setting.name: (group, setting.name.removeprefix(f"{kind.group}."))
            for group, kind in kinds.items()
            for setting in kind.settings()
        }
        groups: dict[str, dict[str, object]] = {group: {} for group in kinds}
        for name, value in values.items():
            if name in cls.retired:
                raise ConfigError(name, value, cls.retired[name])
            if name not in places:
                near = nearest(name, list(places))
                names = f"'{near}'" if near else ", ".join(sorted(places))
                raise ConfigError(name, value, f"no parameter of this name here, but {names}")
            group, key = places[name]
            groups[group][key] = value
        return cls(**{group: kinds[group](**given) for group, given in groups.items()})

    def flat(self) -> dict[str, Any]:
        """Every setting by name, as `from_flat` takes them."""
        return {
            f"{group.group}.{name}" if group.group else name: getattr(group, name)
            for group in (getattr(self, name) for name in self.names())
            for name in group.names()
        }


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name that is meant, "" if none is near: of who leaves its group out, the one
    that ends so."""
    grouped = (one for one in known if one.rpartition(".")[2] == name)
    return next(grouped, next(iter(difflib.get_close_matches(name, known, n=1)), ""))


def did_you_mean(name: object, known: Iterable[str], cutoff: float = 0.5) -> str:
    """The nearest of the known names in words, with a blank before them; "" if none is near.

    Args:
        name: that is not known.
        known: those that are.
        cutoff: how alike they must be, 0 to 1.
    """
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f" (did you mean '{near[0]}'?)" if near else ""


def allowed(kind: Any, metadata: Iterable[object] = ()) -> str:
    """The values that a type takes, in words."""
    kind, notes = _plain(kind, metadata)
    allowed_text = _note(notes, "allowed")
    if allowed_text is not None:
        return str(allowed_text)
    choices = _choices(kind, notes)
    if choices is not None:
        return " | ".join(map(str, choices))
    if kind is bool:
        return "true | false"
    if kind in (int, float):
        low, high = _limits(notes)
        step = _note(notes, "multiple_of")
        return (
            ("a whole number" if kind is int else "a number")
            + ("" if low is None else f" from {low}")
            + ("" if high is None else f" to {high}")
            + ("" if step is None else f", a multiple of {step}")
        )
    if kind is str:
        return "text"
    if get_origin(kind) is tuple:
        return _allowed_list(allowed(get_args(kind)[0]), notes)
    return _MAPPING


def _allowed_list(item: str, notes: Iterable[Any]) -> str:
    least, most = _note(notes, "min_length") or 0, _note(notes, "max_length")
    count = {None: f"{least} or more", least: str(least)}.get(most, f"{least} to {most}")
    names = "".join(f"{name} | " for name in _note(notes, "lists") or {})
    if item.startswith("text"):
        return f"{names}a list of {count} texts"
    for one, many in (("a whole number", "whole numbers"), ("a number", "numbers")):
        if item.startswith(one):
            return f"{names}a list of {count} {many}{item.removeprefix(one)}"
    return f"{names}a list" + (f" of {count}" if least else "")


def _named(content: Any) -> Any:
    """With names that are text, whatever YAML takes them for."""
    if isinstance(content, Mapping):
        return {str(name): _named(value) for name, value in content.items()}
    return [_named(value) for value in content] if isinstance(content, list) else content


def _may_be_nothing(item: FieldInfo | None) -> bool:
    if item is None or item.is_required():
        return False
    return not isinstance(item.get_default(call_default_factory=True), bool | int | float)


def _declared(name: str, item: FieldInfo) -> Setting:
    kind, notes = _plain(item.annotation, item.metadata)
    low, high = _limits(notes)
    return Setting(
        name,
        None if item.is_required() else item.get_default(call_default_factory=True),
        item.description or "",
        allowed(kind, notes),
        low,
        high,
        _choices(kind, notes),
        read_only=bool(item.frozen),
    )


def _plain(kind: Any, metadata: Iterable[object]) -> tuple[Any, list[Any]]:
    """A type without `Annotated` and `None`, and everything that stands beside it."""
    notes: list[Any] = []
    for note in metadata:
        notes += note.metadata if isinstance(note, FieldInfo) else [note]
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        return _plain(inner, [*notes, *more])
    if get_origin(kind) is Union or type(kind).__name__ == "UnionType":
        (inner,) = (one for one in get_args(kind) if one is not type(None))
        return _plain(inner, notes)
    return kind, notes


def _note(notes: Iterable[Any], name: str) -> Any:
    """What stands beside a type under a name; None if nothing does."""
    return next((getattr(one, name) for one in notes if hasattr(one, name)), None)


def _limits(notes: Sequence[Any]) -> tuple[Any, Any]:
    return _note(notes, "ge"), _note(notes, "le")


def _choices(kind: Any, notes: Iterable[object]) -> tuple[str, ...] | None:
    return get_args(kind) if get_origin(kind) is Literal else _note(notes, "choices")


def _declared_at(kind: type[BaseModel], place: Sequence[str | int]) -> tuple[Any, list[Any]]:
    """Type of a setting, or of what stands in its list or mapping, and what is beside it."""
    item = kind.model_fields[str(place[0])]
    at, notes = _plain(item.annotation, item.metadata)
    for number, key in enumerate(place[1:], 2):
        inner = get_args(at)
        if inner and key != _KEY:
            of_name = place[number:] == (_KEY,)
            at, notes = _plain(inner[0 if isinstance(key, int) or of_name else -1], ())
    return at, notes


def _mistake(kind: type[Settings], error: ValidationError) -> ConfigError:
    """The first mistake that pydantic found, in our words; a name that is not known first."""
    found = error.errors(include_url=False)
    one = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    place, value = one["loc"], one["input"]
    cause = one.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        place, value, text = (*place, *cause.place), cause.value, cause.allowed
    elif one["type"] == "extra_forbidden":
        names = kind.names()
        text = f"one of the names {', '.join(names)}{did_you_mean(place[-1], names)}"
    elif not place:
        text = _MAPPING
    else:
        at, notes = _declared_at(kind, place)
        near = did_you_mean(value, _choices(at, notes) or ()) if isinstance(value, str) else ""
        text = allowed(at, notes) + near
        value = None if one["type"] == "missing" else value
        place = place[:-1] if place[-1] == _KEY else place
    mistake = ConfigError(_dotted(kind.group, place), value, text)
    mistake.place = place
    return mistake


def _dotted(group: str, place: Iterable[str | int]) -> str:
    return ".".join(map(str, (*((group,) if group else ()), *place))) or "settings"


def refuse(place: Sequence[str | int], value: object, allowed: str) -> NoReturn:
    """Complain, in a validator, about what stands somewhere within.

    Args:
        place: names, and numbers in lists from 0; empty for the whole.
        value: that is wrong.
        allowed: what would be right.

    Raises:
        ConfigError: always.
    """
    mistake = ConfigError(_dotted("", place), value, allowed)
    mistake.place = tuple(place)
    raise mistake


# --- files and command lines


class SettingsError(AvemoError):
    """A file of settings cannot be read, or is not valid YAML."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Takes 6e-4 for a number, which YAML 1.1 takes for text.

    That in C takes a tenth of the time: 0.2 s less for each start of a dialog.
    """

    def get_single_node(self) -> Any:
        """The root; refused where its aliases stand for more than a text can hold."""
        root = super().get_single_node()
        if root is not None and _written_out(root) > MAX_YAML_NODES:
            raise yaml.YAMLError(
                f"written out, its aliases stand for more than {MAX_YAML_NODES} values"
            )
        return root


def _written_out(root: Any) -> int:
    """Values below a node of YAML, those of aliases as often as they are named.

    Raises:
        yaml.YAMLError: a node is within itself.
    """
    sizes: dict[int, int] = {}
    within: set[int] = set()
    waiting = [(root, False)]
    while waiting:
        node, is_done = waiting.pop()
        if id(node) in sizes:
            continue
        inner = _inner(node)
        if is_done:
            within.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(one)] for one in inner)
            continue
        within.add(id(node))
        waiting.append((node, True))
        for one in inner:
            if id(one) in within:
                raise yaml.YAMLError("it contains itself by an alias")
            waiting.append((one, False))
    return sizes[id(root)]


def _inner(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


class _Once(_Loader):
    """Refuses a key that is given twice, of which YAML silently takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else id(key_node))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


_MISTAKES: Final = (
    yaml.YAMLError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What PyYAML raises: at `2001-99-99`, `!!int x`, `!!bool x` or `!!timestamp x`, too."""


def parse_yaml(text: str, what: str, *, once: bool = False) -> Any:
    """What a text in YAML holds.

    Args:
        text: YAML, of which nothing is ever executed.
        what: it is, for messages.
        once: refuse a key that is given twice.

    Raises:
        SettingsError: it is not valid.
    """
    try:
        return yaml.load(text, _Once if once else _Loader)  # noqa: S506  safe loaders
    except _MISTAKES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SettingsError(f"{what} is not valid YAML: {reason}") from error


def read_yaml(path: Path, what: str, *, once: bool = False) -> Any:
    """What a YAML file holds.

    Args:
        path: of the file.
        what: it is, for messages.
        once: refuse a key that is given twice.

    Raises:
        SettingsError: it cannot be read, or is not valid.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"cannot read {what}: {reason}") from error
    return parse_yaml(text, what, once=once)


def split_assignment(
    text: str, argument: str = "--set", allowed: str = "NAME=VALUE"
) -> tuple[str, str]:
    """Name and value of a `NAME=VALUE`.

    Args:
        text: as given.
        argument: what it is called on the command line.
        allowed: what messages say is allowed.

    Raises:
        ConfigError: it has no name or no '='.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(argument, text, allowed)
    return name.strip(), value


def read_options(given: Sequence[str], argument: str = "--option") -> dict[str, str]:
    """Texts by name.

    Args:
        given: each `NAME=VALUE`; of a name that is given twice the last.
        argument: what it is called on the command line.

    Raises:
        ConfigError: one has no name or no '='.
    """
    return dict(split_assignment(text, argument) for text in given)


def read_values(
    path: Path | None, settings: Sequence[str], groups: Collection[str]
) -> dict[str, object]:
    """Values by dotted name; `--set` goes before the file.

    Args:
        path: a ROS parameter file, or a plain mapping of the same names; None for none.
        settings: each `NAME=VALUE`, the value in YAML.
        groups: of a ROS parameter file, that of all its nodes, only names of these are taken.

    Raises:
        SettingsError: the file or a value cannot be read.
        ConfigError: a setting is no `NAME=VALUE`.
    """
    values = {} if path is None else _parameters(path, groups)
    for text in settings:
        name, value = split_assignment(text)
        values[name] = parse_yaml(value, f"the value of '{text}'")
    return values


def _parameters(path: Path, groups: Collection[str]) -> dict[str, object]:
    what = f"parameter file '{path}'"
    content = read_yaml(path, what)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{what} contains no mapping of names to values")
    nodes = list(_ros_parameters(content))
    if not nodes:
        return {name: value for name, value in flattened(content) if value != {}}
    return {
        name: value
        for node in nodes
        for name, value in flattened(node)
        if name.split(".", 1)[0] in groups and value != {}
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


def flattened(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names; an empty mapping stays a value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
