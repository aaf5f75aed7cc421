"""Bags as files of items: what was seen and heard, by the time from their beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from avemo_ros.audio.chunk import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.bag.folder import METADATA, SUFFIXES
from avemo_ros.bag.reader import BagImage, Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.clock import to_ns
from avemo_ros.config import InputConfig
from avemo_ros.engine.audio_stage import AudioGate
from avemo_ros.engine.feature_extractor import FeatureGate
from avemo_ros.engine.input_issues import InputIssues
from avemo_ros.timing import StampFilter
from avemo_ros.vision.face import FrameTracks

_LEAP_NS: Final = to_ns(1.0)
"""Images further apart may be those of a clock that was set."""


def is_bag(path: Path) -> bool:
    """Whether a path is that of a bag: its metadata.yaml, a file or the folder of one."""
    if path.is_dir():
        return any(file.name.endswith(SUFFIXES) for file in path.iterdir())
    return path.name == METADATA or path.name.endswith(SUFFIXES)


def kinds_of(recording: Recording, *, faces: bool, voice: bool) -> frozenset[TopicKind]:
    """What is read of a bag: pictures and sound where they are there, else what was made of
    them."""
    wanted = set()
    for asked, raw, made in (
        (faces, TopicKind.IMAGES, TopicKind.TRACKS),
        (voice, TopicKind.AUDIO, TopicKind.SPECTROGRAM),
    ):
        if asked:
            wanted |= {raw if raw in recording.kinds else made} & recording.kinds
    return frozenset(wanted)


def bag_pieces(
    path: Path, *, faces: bool, voice: bool
) -> Iterator[BagImage | FrameTracks | AudioBlock | SpectrogramChunk]:
    """What was recorded, in the order of recording; stamps count from the first message.

    Everything is admitted by its stamps as in the live path, of whatever age, and sound is
    silent where the robot spoke.  Images that start over before the newest are left out.

    Args:
        path: a bag's folder, its metadata.yaml, or a single file.
        faces: pictures are wanted, or face tracks where none were recorded.
        voice: sound is wanted, or the spectrogram where none was recorded.

    Raises:
        BagError: nothing of it can be read.
    """
    inputs = InputConfig(max_input_age_s=0.0)
    findings = InputIssues()
    images = StampFilter("images", "image_stamps", 0.0, "header", findings.of("images"))
    features = FeatureGate(inputs, findings.of("face tracks"), findings.of("spectrogram"))
    sound = AudioGate(inputs, findings.of("sound"))
    newest_ns, before_leap_ns = -1, -1
    with Recording(path) as recording:
        kinds = kinds_of(recording, faces=faces, voice=voice)
        for log_ns, item in recording.items(kinds):
            piece: BagImage | FrameTracks | AudioBlock | SpectrogramChunk | None = None
            if isinstance(item, RobotSpeech):
                sound.mute.set_speaking(log_ns, speaking=item.speaking)
            elif isinstance(item, AudioBlock):
                piece = sound.admit(item, log_ns)
            elif isinstance(item, SpectrogramChunk):
                piece = features.chunk(item, log_ns)
            elif isinstance(item, FrameTracks):
                piece = features.tracks(item, log_ns)
            elif isinstance(item, BagImage):
                admission = images.admit(item.stamp_ns, log_ns)
                piece = replace(item, stamp_ns=admission.stamp_ns) if admission.usable else None
            if piece is None:
                continue
            if isinstance(piece, (BagImage, FrameTracks)):
                if before_leap_ns < piece.stamp_ns < newest_ns - _LEAP_NS:
                    newest_ns = before_leap_ns  # the clock that had leapt ahead has come back
                if piece.stamp_ns <= newest_ns:
                    continue
                if piece.stamp_ns > newest_ns + _LEAP_NS:
                    before_leap_ns = newest_ns
                newest_ns = piece.stamp_ns
            yield replace(piece, stamp_ns=piece.stamp_ns - recording.start_ns)
