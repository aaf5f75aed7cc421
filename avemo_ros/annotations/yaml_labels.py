"""Labels in YAML: a document, or messages of a label topic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from avemo_ros.annotations.label_entries import (
    FIELDS,
    LabelCollector,
    LabelDefaults,
    LabelEntry,
    LabelFile,
    read_text,
    segment_of,
    wrong,
)
from avemo_ros.annotations.label_tables import TIMES, seconds_text
from avemo_ros.errors import LabelError
from avemo_ros.timing import to_s

_KEYS: Final = ("time", "people", "segments")
_NULL: Final = "tag:yaml.org,2002:null"
_MOST_LISTED: Final = 20
"""Messages that are left out and named one by one."""
_Key = tuple[str, str]
"""Person and annotator."""


def read_document(path: Path, defaults: LabelDefaults) -> LabelFile:
    """The labels of a mapping with the keys `segments` and, if need be, `time` and `people`.

    Raises:
        LabelError: the document cannot be read or is wrong; names line and field.
    """
    root = composed(read_text(path), str(path))
    if root is None:
        raise LabelError(f"{path} is empty; it must hold `segments:`, a list of labels")
    collector = LabelCollector(path, defaults)
    parts = _mapping(root, str(path), "the document", _KEYS)
    if "time" in parts:
        value = scalar(parts["time"], str(path), "time")
        if value not in TIMES:
            raise wrong(_place(path, parts["time"]), "time", value, " or ".join(TIMES))
        collector.unix = value == "unix"
    if "people" in parts:
        _take_people(collector, parts["people"])
    if "segments" not in parts:
        raise LabelError(f"{path} has no key 'segments'; it must hold a list of labels")
    if not isinstance(parts["segments"], yaml.SequenceNode):
        raise LabelError(
            f"{_place(path, parts['segments'])}: segments must be a list of labels, each with "
            f"the keys {', '.join(FIELDS)}"
        )
    for node in parts["segments"].value:
        collector.take(entry_of(node, str(path)))
    return collector.file()


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
        raise LabelError(f"{place}: not readable as YAML: nested too deeply") from error


def entry_of(node: Any, place: str) -> LabelEntry:
    """The words of one label.

    Args:
        node: of a mapping by FIELDS.
        place: name of the file, for messages.

    Raises:
        LabelError: it is no such mapping.
    """
    parts = _mapping(node, place, "a label", FIELDS)
    return LabelEntry(
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


def _take_people(collector: LabelCollector, node: Any) -> None:
    path = collector.path
    if not isinstance(node, yaml.MappingNode):
        raise LabelError(
            f"{_place(path, node)}: people must be a mapping of names to ids of the stream"
        )
    for key, value in node.value:
        nodes = value.value if isinstance(value, yaml.SequenceNode) else [value]
        person = scalar(key, path, "a name")
        ids = list(_ids(nodes, path, person))
        collector.name_ids(_place(path, key), person, ids)


def _ids(nodes: list[Any], path: Path, person: str) -> Iterator[str]:
    for node in nodes:
        yield scalar(node, path, f"an id of {person!r}")


def _place(place: object, node: Any) -> str:
    return f"{place}, line {node.start_mark.line + 1}"


def segments_of_events(
    events: Iterable[tuple[int, str]],
    end_ns: int,
    bag_start_ns: int,
    *,
    topic: str = "labels",
) -> LabelFile:
    """What the messages of a topic of labels say.

    Each holds a label as JSON, with the keys of a label in a file, or a list of labels.  A
    label holds from its message on, until the next of this person and annotator or the end of
    the bag; one with the label "" and nothing else ends it.  Where `start` and `end` are given
    it holds from here to there instead, and has nothing to do with the messages around it.

    A recording cannot be edited, so a message that is wrong is left out, and a note names
    message and field.  It ends what held of the person and annotator that it names; of all,
    where it cannot be read: what is true from then on is not known.

    Args:
        events: log time [ns] and text of each message.
        end_ns: log time of the bag's last message.
        bag_start_ns: what `start` and `end` count from [ns].
        topic: its name, for messages.

    Raises:
        LabelError: no message holds a label; says what is wrong with those that are there.
    """
    still_open: dict[_Key, tuple[int, int, LabelEntry]] = {}
    held: list[tuple[int, LabelEntry]] = []
    wrong: list[str] = []

    def close(key: _Key, stamp_ns: int) -> None:
        number, start_ns, entry = still_open.pop(key)
        # One that was replaced at once held never.
        if stamp_ns > start_ns:
            held.append(
                (number, _between(entry, start_ns - bag_start_ns, stamp_ns - bag_start_ns))
            )

    ordered = sorted(enumerate(events, start=1), key=lambda item: item[1][0])
    for number, (stamp_ns, text) in ordered:
        after = to_s(stamp_ns - bag_start_ns)
        try:
            entries = _message_entries(
                text, f"topic {topic}, message {number} ({after:.3f} s)", bag_start_ns
            )
        except LabelError as error:
            wrong.append(f"left out: {error}")
            for key in _ended(text, still_open):
                close(key, stamp_ns)
            continue
        for entry in entries:
            if _has_times(entry):
                held.append((number, entry))
                continue
            key = (entry["person"], entry["annotator"])
            if key in still_open:
                close(key, stamp_ns)
            if _says(entry):
                still_open[key] = (number, stamp_ns, entry)
    for key in list(still_open):
        close(key, end_ns)
    return _collected(held, wrong, LabelCollector(Path(topic), LabelDefaults(bag_start_ns)))


def _collected(
    held: list[tuple[int, LabelEntry]], wrong: list[str], collector: LabelCollector
) -> LabelFile:
    for _, entry in sorted(held, key=lambda item: item[0]):
        collector.take(entry)
    wrong += [f"left out: {text}" for text in collector.drop_overlaps()]
    listed = wrong[:_MOST_LISTED]
    if len(wrong) > _MOST_LISTED:
        listed.append(f"left out: {len(wrong) - _MOST_LISTED} more invalid labels")
    collector.notes += listed
    try:
        return collector.file()
    except LabelError as error:
        raise LabelError("; ".join([str(error), *listed])) from error


def _message_entries(text: str, place: str, zero_ns: int) -> list[LabelEntry]:
    """The labels of a message, each of which can be used.

    Raises:
        LabelError: one is wrong.
    """
    entries = list(_read(text, place))
    for entry in entries:
        if _has_times(entry):
            segment_of(entry, zero_ns)
        elif _says(entry):
            segment_of(_between(entry, 0, 1), zero_ns)
    return entries


def _read(text: str, place: str) -> Iterator[LabelEntry]:
    node: Any = composed(text, place)
    if node is None:
        raise LabelError(f"{place}: the message is empty; allowed: a label as JSON")
    for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        yield entry_of(item, place)


def _ended(text: str, open_keys: Iterable[_Key]) -> list[_Key]:
    """Whose labels a wrong message ends."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return list(open_keys)
    defaults = content if isinstance(content, list) else [content]
    if not all(isinstance(item, dict) for item in defaults):
        return list(open_keys)
    # With times of its own it has nothing to do with what held.
    defaults = [item for item in defaults if not {"start", "end"} & set(item)]
    keys = {
        tuple(str(item.get(k) or "").strip() for k in ("person", "annotator"))
        for item in defaults
    }
    return [key for key in open_keys if key in keys]


def _has_times(entry: LabelEntry) -> bool:
    return bool(entry["start"] or entry["end"])


def _says(entry: LabelEntry) -> bool:
    """Whether there is a label, and not the end of one."""
    return bool(entry["label"] or entry["valence"] or entry["arousal"])


def _between(entry: LabelEntry, start_ns: int, end_ns: int) -> LabelEntry:
    times = {"start": seconds_text(start_ns), "end": seconds_text(end_ns)}
    return LabelEntry(entry.place, {**entry.values, **times})
