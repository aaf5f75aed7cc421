"""Bags of the sample clip and of other clips, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from made_clips import SAMPLE, sample_items

from avemo_ros.annotations.label_tables import labels_text
from avemo_ros.annotations.segments import Segment
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.from_clips import START_NS, Clip, ClipBag, ClipFormat, Extent
from avemo_ros.bag.writer import BagWriter
from avemo_ros.source.media_file import by_due_time
from avemo_ros.timing import to_ns

TRUTH = (
    (0.0, 1.7, "neutral"),
    (2.1, 4.8, "happy"),
    (5.1, 8.0, "surprise"),
    (8.5, 10.0, "neutral"),
)
"""What the sample shows; see data/README.md."""


def clip_bag(path: Path, clip: Clip, **form: Any) -> Extent:
    """The bag of a clip; `form` as for `Form`."""
    with ClipBag(path, ClipFormat(**form)) as bag:
        return bag.fill(clip)


def sample_bag(path: Path, seconds: float = 10.0, start_s: float = 0.0, **form: Any) -> Path:
    """The bag of some seconds of the sample clip."""
    clip_bag(path, Clip(SAMPLE, start_s, start_s + seconds), **form)
    return path


@dataclass(frozen=True)
class Piece:
    """A part of the sample clip, and where it comes in the bag; all in seconds."""

    start_s: float
    end_s: float
    stamped_s: float
    """Stamp of its beginning, from the bag's start."""
    logged_s: float
    """Time of recording of its beginning, from the bag's start."""


def cut_bag(path: Path, pieces: Iterable[Piece], every: int = 1) -> Path:
    """A bag of parts of the sample clip, with every n-th image only."""
    with BagWriter(path, jpeg_quality=95) as bag:
        for piece in pieces:
            stamps_ns = START_NS + to_ns(piece.stamped_s) - to_ns(piece.start_s)
            logs_ns = START_NS + to_ns(piece.logged_s) - to_ns(piece.start_s)
            images = 0
            for due_ns, item in by_due_time(sample_items(piece.start_s, piece.end_s)):
                moved = replace(item, stamp_ns=item.stamp_ns + stamps_ns)
                if isinstance(moved, AudioBlock):
                    bag.write_audio(moved, due_ns + logs_ns)
                    continue
                if images % every == 0:
                    bag.write_image(moved, due_ns + logs_ns)
                images += 1
    return path


def write_labels(bag: Path, truth: Iterable[tuple[float, float, str]]) -> None:
    """Labels beside a bag: from and to [s from the bag's start] and the emotion."""
    segments = [
        Segment(START_NS + to_ns(start_s), START_NS + to_ns(end_s), label)
        for start_s, end_s, label in truth
    ]
    path = bag.with_name(f"{bag.name}.labels.csv")
    path.write_text(labels_text(segments, START_NS), encoding="utf-8")
