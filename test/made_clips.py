"""Short media files made from the sample clip."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.sink.video_file import VideoWriter
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.timing import to_ns

SAMPLE = Path(__file__).resolve().parent / "data" / "sample.mp4"


def sample_items(
    start_s: float = 0.0, end_s: float = math.inf
) -> Iterator[VideoFrame | AudioBlock]:
    """Images and sound of a part of the sample, stamped from the sample's start.

    They come by stamp, so what is behind the part need not be decoded.
    """
    with MediaFile(SAMPLE) as media:
        for item in media:
            if item.stamp_ns >= 1e9 * end_s:
                return
            if item.stamp_ns >= to_ns(start_s):
                yield item


def cut(
    path: Path,
    start_s: float,
    end_s: float,
    *,
    every: int = 3,
    sound: bool = True,
    faces: bool = True,
) -> Path:
    """The sample from `start_s` to `end_s` with every n-th image; grey without faces."""
    with VideoWriter(path, to_ns(start_s), sound=sound, rate=30.0 / every) as writer:
        index = 0
        for item in sample_items(start_s, end_s):
            if isinstance(item, VideoFrame):
                if index % every == 0:
                    image = item.image if faces else np.full_like(item.image, 90)
                    writer.push_frame(item.stamp_ns, image)
                index += 1
            elif sound:
                writer.push_audio(item)
    return path
