"""Labels that are messages of a topic: each holds until the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from avemo_ros.clock import to_s
from avemo_ros.errors import LabelError
from avemo_ros.truth.document import composed, row_of
from avemo_ros.truth.gather import Gathered, LabelFile, Reading
from avemo_ros.truth.row import Row
from avemo_ros.truth.table import seconds_text


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

    Args:
        events: log time [ns] and text of each message.
        end_ns: log time of the bag's last message.
        bag_start_ns: what `start` and `end` count from [ns].
        topic: its name, for messages.

    Raises:
        LabelError: a message is wrong, or none holds a label; names message and field.
    """
    gathered = Gathered(Path(topic), Reading(bag_start_ns))
    open_rows: dict[tuple[str, str], tuple[int, Row]] = {}
    ordered = sorted(enumerate(events, start=1), key=lambda item: item[1][0])
    for number, (stamp_ns, text) in ordered:
        after = to_s(stamp_ns - bag_start_ns)
        for row in _rows(text, f"topic {topic}, message {number} ({after:.3f} s)"):
            if row["start"] or row["end"]:
                gathered.take(row)
                continue
            key = (row["person"], row["annotator"])
            if key in open_rows:
                _close(gathered, *open_rows.pop(key), stamp_ns)
            if row["label"] or row["valence"] or row["arousal"]:
                open_rows[key] = (stamp_ns, row)
    for start_ns, row in open_rows.values():
        _close(gathered, start_ns, row, end_ns)
    return gathered.file()


def _rows(text: str, place: str) -> Iterator[Row]:
    node: Any = composed(text, place)
    if node is None:
        raise LabelError(f"{place}: the message is empty; allowed: a label as JSON")
    for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        yield row_of(item, place)


def _close(gathered: Gathered, start_ns: int, row: Row, end_ns: int) -> None:
    """Take a label that held up to `end_ns`; one that was replaced at once held never."""
    if end_ns <= start_ns:
        return
    zero_ns = gathered.reading.bag_start_ns
    times = {
        "start": seconds_text(start_ns - zero_ns),
        "end": seconds_text(end_ns - zero_ns),
    }
    gathered.take(Row(row.place, {**row.values, **times}))
