"""Bags of the sample for the tests of the replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from made_clips import sample_items

from avemo_ros.audio.spectrogram import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.bag.writer import BagWriter
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.feature_extractor import FeatureExtractor, InputIssues
from avemo_ros.replay.feature_worker import recorded
from avemo_ros.replay.runner import RAW
from avemo_ros.source.media_file import VideoFrame
from avemo_ros.timing import to_ns
from avemo_ros.vision.face import FrameTracks

START_NS = to_ns(1_700_000_000.0)

Piece = VideoFrame | AudioBlock


def sample(first_s: float = 0.0, last_s: float = 10.0) -> list[Piece]:
    """Images and sound of a part of the sample, stamped from START_NS on."""
    return [
        replace(piece, stamp_ns=START_NS + piece.stamp_ns - to_ns(first_s))
        for piece in sample_items(first_s, last_s)
    ]


def shifted(pieces: Iterable[Piece], seconds: float) -> list[Piece]:
    """The same, stamped so much later."""
    return [replace(piece, stamp_ns=piece.stamp_ns + to_ns(seconds)) for piece in pieces]


def write_bag(
    path: Path, pieces: Iterable[Piece], log_ns: Callable[[Piece], int] | None = None
) -> Path:
    """A bag of JPEG images and sound.

    Args:
        path: of the bag.
        pieces: what it holds.
        log_ns: time of recording of a piece; None: its stamp, of sound its end.
    """
    with BagWriter(path, jpeg_quality=90) as bag:
        for piece in pieces:
            at = None if log_ns is None else log_ns(piece)
            if isinstance(piece, AudioBlock):
                bag.write_audio(piece, at)
            else:
                bag.write_image(piece, at)
    return path


def write_features(path: Path, bag: Path, config: PipelineConfig) -> Path:
    """The bag of what the engine's first stages make of a bag."""
    with Recording(bag) as recording, BagWriter(path) as out:
        for log_ns, feature in features_of(recording, RAW, config):
            if isinstance(feature, FrameTracks):
                out.write_tracks(feature, log_ns)
            else:
                out.write_chunk(feature, log_ns)
    return path


def features_of(
    recording: Recording, kinds: frozenset[TopicKind], config: PipelineConfig
) -> Iterator[tuple[int, FrameTracks | SpectrogramChunk]]:
    """Times of recording [ns] and what the engine's first stages make of a recording."""
    findings = InputIssues()
    audio = AudioStage(config.audio, config.input, findings.of("sound"))
    with closing(FeatureExtractor(config, findings)) as extractor:
        log_ns = 0
        for log_ns, item in recorded(recording, kinds):
            seen = extractor.push(log_ns, item)
            if isinstance(seen, RobotSpeech):
                audio.mute.set_speaking(log_ns, speaking=seen.speaking)
            elif isinstance(seen, AudioBlock):
                for chunk in audio.push(seen, log_ns):
                    yield log_ns, chunk
            elif seen is not None:
                yield log_ns, seen
        for chunk in audio.flush():
            yield log_ns, chunk
