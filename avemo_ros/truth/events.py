"""Labels that are messages of a topic: each holds until the next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from avemo_ros.clock import to_s
from avemo_ros.errors import LabelError
from avemo_ros.truth.document import composed, row_of
from avemo_ros.truth.gather import Gathered, LabelFile, Reading
from avemo_ros.truth.row import Row, segment_of
from avemo_ros.truth.table import seconds_text

_MOST_TOLD: Final = 20
"""Messages that are left out and named one by one."""
_Key = tuple[str, str]
"""Person and annotator."""


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
    open_rows: dict[_Key, tuple[int, int, Row]] = {}
    held: list[tuple[int, Row]] = []
    wrong: list[str] = []

    def close(key: _Key, stamp_ns: int) -> None:
        number, start_ns, row = open_rows.pop(key)
        # One that was replaced at once held never.
        if stamp_ns > start_ns:
            held.append(
                (number, _between(row, start_ns - bag_start_ns, stamp_ns - bag_start_ns))
            )

    ordered = sorted(enumerate(events, start=1), key=lambda item: item[1][0])
    for number, (stamp_ns, text) in ordered:
        after = to_s(stamp_ns - bag_start_ns)
        try:
            rows = _rows(text, f"topic {topic}, message {number} ({after:.3f} s)", bag_start_ns)
        except LabelError as error:
            wrong.append(f"left out: {error}")
            for key in _ended(text, open_rows):
                close(key, stamp_ns)
            continue
        for row in rows:
            if _has_times(row):
                held.append((number, row))
                continue
            key = (row["person"], row["annotator"])
            if key in open_rows:
                close(key, stamp_ns)
            if _says(row):
                open_rows[key] = (number, stamp_ns, row)
    for key in list(open_rows):
        close(key, end_ns)
    return _gathered(held, wrong, Gathered(Path(topic), Reading(bag_start_ns)))


def _gathered(held: list[tuple[int, Row]], wrong: list[str], gathered: Gathered) -> LabelFile:
    for _, row in sorted(held, key=lambda item: item[0]):
        gathered.take(row)
    wrong += [f"left out: {told}" for told in gathered.drop_overlaps()]
    told = wrong[:_MOST_TOLD]
    if len(wrong) > _MOST_TOLD:
        told.append(f"left out: {len(wrong) - _MOST_TOLD} more that are wrong")
    gathered.notes += told
    try:
        return gathered.file()
    except LabelError as error:
        raise LabelError("; ".join([str(error), *told])) from error


def _rows(text: str, place: str, zero_ns: int) -> list[Row]:
    """The labels of a message, each of which can be used.

    Raises:
        LabelError: one is wrong.
    """
    rows = list(_read(text, place))
    for row in rows:
        if _has_times(row):
            segment_of(row, zero_ns)
        elif _says(row):
            segment_of(_between(row, 0, 1), zero_ns)
    return rows


def _read(text: str, place: str) -> Iterator[Row]:
    node: Any = composed(text, place)
    if node is None:
        raise LabelError(f"{place}: the message is empty; allowed: a label as JSON")
    for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        yield row_of(item, place)


def _ended(text: str, open_keys: Iterable[_Key]) -> list[_Key]:
    """Whose labels a wrong message ends."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return list(open_keys)
    said = told if isinstance(told, list) else [told]
    if not all(isinstance(item, dict) for item in said):
        return list(open_keys)
    # With times of its own it has nothing to do with what held.
    said = [item for item in said if not {"start", "end"} & set(item)]
    keys = {
        tuple(str(item.get(k) or "").strip() for k in ("person", "annotator")) for item in said
    }
    return [key for key in open_keys if key in keys]


def _has_times(row: Row) -> bool:
    return bool(row["start"] or row["end"])


def _says(row: Row) -> bool:
    """Whether there is a label, and not the end of one."""
    return bool(row["label"] or row["valence"] or row["arousal"])


def _between(row: Row, start_ns: int, end_ns: int) -> Row:
    times = {"start": seconds_text(start_ns), "end": seconds_text(end_ns)}
    return Row(row.place, {**row.values, **times})
