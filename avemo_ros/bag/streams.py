"""Makes a stream of a person's utterances: one after the other, as a robot would hear them.

The emotion changes from utterance to utterance and is known, so a stream tells how soon a
change is noticed and how often one is noticed that was none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import AudioBlock, SpectrogramChunk
from avemo_ros.bag.from_clips import START_NS
from avemo_ros.bag.writer import BagWriter
from avemo_ros.clock import NS_PER_S, to_ns
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.input_issues import InputIssues
from avemo_ros.errors import SourceError
from avemo_ros.source.media_file import MediaFile
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

_FRAME_NS: Final = NS_PER_S // 15
_WIDTH, _HEIGHT = 640, 480
_BOX: Final = Box(0.375, 0.3, 0.25, 0.33)
_SPEECH: Final = 0.5
"""Speech probability from which the mouth moves."""
_SYLLABLES_HZ: Final = 4.0
_OPEN: Final = 0.15
"""Opening of a mouth that moves [distances of the eyes]."""


@dataclass(frozen=True, slots=True)
class StreamPart:
    """One part of a stream."""

    path: Path
    """File with its sound."""
    start_s: float = 0.0
    """Where it begins in the file [s]."""
    end_s: float | None = None
    """Where it ends in the file [s]; None: at the file's end."""
    crop: NDArray[np.uint8] | None = None
    """(side, side) grey face that is shown meanwhile; None: nobody is seen."""


@dataclass(frozen=True, slots=True)
class FeatureStream:
    """Spectrogram and face tracks of a stream."""

    items: tuple[tuple[int, FrameTracks | SpectrogramChunk], ...]
    """When each would have been known [ns], in that order."""
    spans: tuple[tuple[int, int], ...]
    """When each part begins and ends [ns]."""


def make_stream(parts: Sequence[StreamPart], config: PipelineConfig) -> FeatureStream:
    """Spectrogram and face tracks of parts, each of which begins where the one before ends.

    The sound goes through the engine's own stage.  The faces are still images whose mouth
    moves, by `mouth_opening`, while speech is heard.

    Args:
        parts: in their order.
        config: settings of the sound.

    Raises:
        SourceError: a file cannot be read, or has no sound in that part.
    """
    stage = AudioStage(config.audio, config.input, InputIssues().of("sound"))
    chunks: list[SpectrogramChunk] = []
    spans: list[tuple[int, int]] = []
    now_ns = START_NS
    for one in parts:
        begin_ns = now_ns
        with MediaFile(one.path) as media:
            for block in media:
                if one.end_s is not None and block.stamp_ns >= to_ns(one.end_s):
                    break
                if isinstance(block, AudioBlock) and block.stamp_ns >= to_ns(one.start_s):
                    moved = AudioBlock(now_ns, block.rate, block.samples)
                    now_ns += round(len(block.samples) * NS_PER_S / block.rate)
                    chunks += stage.push(moved, now_ns)
        if now_ns == begin_ns:
            raise SourceError(f"{one.path} has no sound where its part is")
        spans.append((begin_ns, now_ns))
    chunks += stage.flush()
    items = [*((chunk.end_ns, chunk) for chunk in chunks), *_frames(parts, spans, chunks)]
    return FeatureStream(tuple(sorted(items, key=lambda pair: pair[0])), tuple(spans))


def write_stream(path: Path, stream: FeatureStream, *, force: bool = False) -> None:
    """Write a bag of features.

    Raises:
        BagError: the bag exists already and is not to be replaced, or cannot be written.
    """
    with BagWriter(path, force=force) as bag:
        for stamp_ns, item in stream.items:
            if isinstance(item, FrameTracks):
                bag.write_tracks(item, stamp_ns)
            else:
                bag.write_chunk(item, stamp_ns)


def _frames(
    parts: Sequence[StreamPart],
    spans: Sequence[tuple[int, int]],
    chunks: Sequence[SpectrogramChunk],
) -> list[tuple[int, FrameTracks | SpectrogramChunk]]:
    """Face tracks of the whole stream, 15 a second."""
    ends = np.array([chunk.end_ns for chunk in chunks], np.int64)
    spoken = np.array([chunk.speech.max(initial=0.0) >= _SPEECH for chunk in chunks], bool)
    found: list[tuple[int, FrameTracks | SpectrogramChunk]] = []
    place = 0
    for stamp_ns in range(spans[0][0], spans[-1][1], _FRAME_NS):
        while stamp_ns >= spans[place][1]:
            place += 1
        crop = parts[place].crop
        heard = min(int(np.searchsorted(ends, stamp_ns)), len(ends) - 1)
        speaks = heard >= 0 and bool(spoken[heard])
        faces = () if crop is None else (_face(crop, stamp_ns, speaks=speaks),)
        found.append((stamp_ns, FrameTracks(stamp_ns, _WIDTH, _HEIGHT, faces)))
    return found


def _face(crop: NDArray[np.uint8], stamp_ns: int, *, speaks: bool) -> FaceTrack:
    phase = math.sin(2 * math.pi * _SYLLABLES_HZ * stamp_ns / NS_PER_S)
    opening = _OPEN * (1 + phase) / 2 if speaks else 0.0
    return FaceTrack("f0001", _BOX, 1.0, None, None, 1.0, opening, crop)
