"""All labels of one bag: of the files that are given or lie beside it, and of a topic in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avemo_ros.bag.item import LabelRecord
from avemo_ros.bag.recording import Recording
from avemo_ros.bag.topics import Kind
from avemo_ros.errors import LabelError
from avemo_ros.truth.events import segments_of_events
from avemo_ros.truth.file import find_labels, read_labels
from avemo_ros.truth.gather import LabelFile


def labels_of(
    recording: Recording,
    files: Sequence[Path] = (),
    *,
    folder: Path | None = None,
    beside: bool = True,
) -> list[LabelFile]:
    """What each source says, files first; empty where there are no labels.

    Args:
        recording: of the bag.
        files: of labels.
        beside: without files, what lies beside the bag counts.
        folder: what the files beside it are named after; None: the recording's path.

    Raises:
        LabelError: a file is wrong, several lie beside the bag, or there are none and the topic
            says nothing that can be used.
    """
    if not files and beside:
        near = find_labels(recording.path if folder is None else folder)
        files = () if near is None else (near,)
    found = [read_labels(path, recording.start_ns) for path in files]
    if Kind.LABELS in recording.kinds:
        events = [
            (item.stamp_ns, item.text)
            for _, item in recording.items(frozenset({Kind.LABELS}))
            if isinstance(item, LabelRecord)
        ]
        if events:
            topic = recording.topic_of[Kind.LABELS]
            found.append(_of_topic(recording, events, topic, alone=not found))
    return found


def _of_topic(
    recording: Recording, events: Sequence[tuple[int, str]], topic: str, *, alone: bool
) -> LabelFile:
    try:
        return segments_of_events(events, recording.end_ns, recording.start_ns, topic=topic)
    except LabelError as error:
        if alone:
            raise
        # A file can be mended and a recording cannot, so the files are judged by themselves.
        return LabelFile(Path(topic), (), notes=(str(error),))
