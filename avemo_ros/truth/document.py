"""Labels as a YAML document, and the same words as single messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from avemo_ros.errors import LabelError
from avemo_ros.truth.gather import Gathered, LabelFile, Reading
from avemo_ros.truth.row import FIELDS, Row, wrong
from avemo_ros.truth.table import TIMES
from avemo_ros.truth.text import read_text

_KEYS: Final = ("time", "people", "segments")
_NULL: Final = "tag:yaml.org,2002:null"


def read_document(path: Path, reading: Reading) -> LabelFile:
    """The labels of a mapping with the keys `segments` and, if need be, `time` and `people`.

    Raises:
        LabelError: the document cannot be read or is wrong; names line and field.
    """
    root = composed(read_text(path), str(path))
    if root is None:
        raise LabelError(f"{path} is empty; it must hold `segments:`, a list of labels")
    gathered = Gathered(path, reading)
    parts = _mapping(root, str(path), "the document", _KEYS)
    if "time" in parts:
        value = scalar(parts["time"], str(path), "time")
        if value not in TIMES:
            raise wrong(_place(path, parts["time"]), "time", value, " or ".join(TIMES))
        gathered.unix = value == "unix"
    if "people" in parts:
        _take_people(gathered, parts["people"])
    if "segments" not in parts:
        raise LabelError(f"{path} has no key 'segments'; it must hold a list of labels")
    if not isinstance(parts["segments"], yaml.SequenceNode):
        raise LabelError(
            f"{_place(path, parts['segments'])}: segments must be a list of labels, each with "
            f"the keys {', '.join(FIELDS)}"
        )
    for node in parts["segments"].value:
        gathered.take(row_of(node, str(path)))
    return gathered.file()


def composed(text: str, place: str) -> Any:
    """The text's root node, with the lines where everything stands; None: there is nothing.

    Raises:
        LabelError: it is no YAML (JSON is).
    """
    try:
        # Nodes and not values: every value is checked as the words that somebody wrote.
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        what = getattr(error, "problem", None) or str(error)
        raise LabelError(f"{place}{line}: not readable as YAML: {what}") from error
    except RecursionError as error:
        raise LabelError(f"{place}: not readable as YAML: nested too deep") from error


def row_of(node: Any, place: str) -> Row:
    """The words of one label.

    Args:
        node: of a mapping by FIELDS.
        place: name of the file, for messages.

    Raises:
        LabelError: it is no such mapping.
    """
    parts = _mapping(node, place, "a label", FIELDS)
    return Row(
        _place(place, node),
        {key: scalar(value, place, key).strip() for key, value in parts.items()},
    )


def scalar(node: Any, place: object, field: str) -> str:
    """The words of a single value; '' for none.

    Raises:
        LabelError: it is a list or a mapping.
    """
    if not isinstance(node, yaml.ScalarNode):
        raise LabelError(f"{_place(place, node)}: {field} must be a single value")
    return "" if node.tag == _NULL else str(node.value)


def _mapping(node: Any, place: str, what: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    keys = ", ".join(allowed)
    if not isinstance(node, yaml.MappingNode):
        raise LabelError(f"{_place(place, node)}: {what} must be a mapping with keys of {keys}")
    parts: dict[str, Any] = {}
    for key_node, value in node.value:
        key = scalar(key_node, place, "a key")
        if key not in allowed:
            raise LabelError(
                f"{_place(place, key_node)}: {what} has the key {key!r}; allowed: {keys}"
            )
        if key in parts:
            raise LabelError(f"{_place(place, key_node)}: {what} has the key {key!r} twice")
        parts[key] = value
    return parts


def _take_people(gathered: Gathered, node: Any) -> None:
    path = gathered.path
    if not isinstance(node, yaml.MappingNode):
        raise LabelError(
            f"{_place(path, node)}: people must be a mapping of names to ids of the stream"
        )
    for key, value in node.value:
        nodes = value.value if isinstance(value, yaml.SequenceNode) else [value]
        person = scalar(key, path, "a name")
        ids = list(_ids(nodes, path, person))
        gathered.name_ids(_place(path, key), person, ids)


def _ids(nodes: list[Any], path: Path, person: str) -> Iterator[str]:
    for node in nodes:
        yield scalar(node, path, f"an id of {person!r}")


def _place(place: object, node: Any) -> str:
    return f"{place}, line {node.start_mark.line + 1}"
