"""Bags of the sample clip and of other clips, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.bag.from_clips import START_NS, Clip, ClipBag, Extent, Form
from avemo_ros.bag.writer import BagWriter
from avemo_ros.clock import NS_PER_S
from avemo_ros.source.due import by_due_time
from avemo_ros.source.media import MediaFile

SAMPLE = Path(__file__).parent / "data" / "sample.mp4"


def clip_bag(path: Path, clip: Clip, **form: Any) -> Extent:
    """The bag of a clip; `form` as for `Form`."""
    with ClipBag(path, Form(**form)) as bag:
        return bag.fill(clip)


def sample_bag(path: Path, seconds: float = 10.0, start_s: float = 0.0, **form: Any) -> Path:
    """The bag of some seconds of the sample clip."""
    clip_bag(path, Clip(SAMPLE, start_s, start_s + seconds), **form)
    return path


def thinned_bag(path: Path, every: int, seconds: float, jumps: dict[float, float]) -> Path:
    """A bag of the sample clip with every n-th picture only, and with clocks that are set.

    Args:
        path: of the bag.
        every: n.
        seconds: how much of the clip.
        jumps: from this second of the clip on [s], stamps are so much later than they were [s].
    """
    with BagWriter(path, jpeg_quality=95) as bag, MediaFile(SAMPLE) as media:
        pictures = 0
        for log_ns, item in by_due_time(media):
            if log_ns > seconds * NS_PER_S:
                break
            moved_ns = sum(
                round(by_s * NS_PER_S)
                for from_s, by_s in jumps.items()
                if item.stamp_ns >= from_s * NS_PER_S
            )
            item = replace(item, stamp_ns=START_NS + item.stamp_ns + moved_ns)
            if isinstance(item, AudioBlock):
                bag.write_sound(item, START_NS + log_ns)
                continue
            if pictures % every == 0:
                bag.write_picture(item, START_NS + log_ns)
            pictures += 1
    return path
