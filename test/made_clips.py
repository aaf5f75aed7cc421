"""Short media files made from the sample clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avemo_ros.sink.video import VideoWriter
from avemo_ros.source.media import MediaFile, VideoFrame

SAMPLE = Path(__file__).resolve().parent / "data" / "sample.mp4"


def cut(
    path: Path,
    start_s: float,
    end_s: float,
    *,
    every: int = 3,
    sound: bool = True,
    faces: bool = True,
) -> Path:
    """The sample from `start_s` to `end_s` with every n-th picture; grey without faces."""
    start, end = round(start_s * 1e9), round(end_s * 1e9)
    with VideoWriter(path, start, sound=sound, rate=30.0 / every) as writer:
        index = 0
        for item in MediaFile(SAMPLE):
            if not start <= item.stamp_ns < end:
                continue
            if isinstance(item, VideoFrame):
                if index % every == 0:
                    image = item.image if faces else np.full_like(item.image, 90)
                    writer.push_frame(item.stamp_ns, image)
                index += 1
            elif sound:
                writer.push_audio(item)
    return path
