"""A recording played through the streaming core, item by item."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.bag.recording import Kind, Recording, Topics
from avemo_ros.clock import to_s
from avemo_ros.config import PipelineConfig
from avemo_ros.errors import BagError
from avemo_ros.pipeline import Pipeline
from avemo_ros.replay.run import Replayed, SeenFaces
from avemo_ros.source.media import VideoFrame
from avemo_ros.state.estimate import Hop


def play(
    path: Path,
    config: PipelineConfig,
    *,
    topics: Topics | None = None,
    use: str = "auto",
    processes: int = 2,
    progress: Callable[[float], None] | None = None,
) -> Replayed:
    """See `replay`."""
    began = time.perf_counter()
    recording = Recording(path, topics or Topics())
    wanted = recording.kinds & {Kind.PICTURES, Kind.SOUND}
    if not wanted:
        raise BagError(f"bag '{path}' holds neither pictures nor sound that can be used")
    pipeline = Pipeline(config)
    hops: list[Hop] = []
    frames: list[SeenFaces] = []
    stamps: list[int] = []
    for log_ns, item in recording.items(frozenset(wanted)):
        if isinstance(item, VideoFrame):
            hops += pipeline.push_frame(item.stamp_ns, item.image)
            if pipeline.tracks is not None:
                faces = tuple((face.face_id, face.box) for face in pipeline.tracks.faces)
                frames.append(SeenFaces(item.stamp_ns, faces))
        elif isinstance(item, AudioBlock):
            hops += pipeline.push_audio(item)
        stamps.append(item.stamp_ns)
        if progress is not None:
            progress(to_s(log_ns - recording.start_ns))
    hops += pipeline.flush()
    pipeline.close()
    return Replayed(
        hops=tuple(hops),
        start_ns=min(stamps, default=recording.start_ns),
        end_ns=max(stamps, default=recording.end_ns),
        source="raw",
        model_id=pipeline.model_id,
        frames=tuple(frames),
        counters={"frames": float(len(frames)), "hops": float(len(hops))},
        stages_ms=pipeline.timings,
        seconds=time.perf_counter() - began,
    )
