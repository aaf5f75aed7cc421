"""Bags as files of items: what was seen and heard, by the time from their beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from avemo_ros.audio.chunk import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.audio.mute import Mute
from avemo_ros.bag.folder import SUFFIXES
from avemo_ros.bag.metadata import METADATA
from avemo_ros.bag.recording import BagPicture, Kind, Recording
from avemo_ros.engine.findings import Findings
from avemo_ros.timing import StampFilter
from avemo_ros.vision.face import FrameTracks


def is_bag(path: Path) -> bool:
    """Whether a path is that of a bag: its metadata.yaml, a file or the folder of one."""
    if path.is_dir():
        return any(file.name.endswith(SUFFIXES) for file in path.iterdir())
    return path.name == METADATA or path.name.endswith(SUFFIXES)


def kinds_of(recording: Recording, *, faces: bool, voice: bool) -> frozenset[Kind]:
    """What is read of a bag: pictures and sound where they are there, else what was made of
    them."""
    wanted = set()
    for asked, raw, made in (
        (faces, Kind.PICTURES, Kind.TRACKS),
        (voice, Kind.SOUND, Kind.SPECTROGRAM),
    ):
        if asked:
            wanted |= {raw if raw in recording.kinds else made} & recording.kinds
    return frozenset(wanted)


def bag_pieces(
    path: Path, *, faces: bool, voice: bool
) -> Iterator[BagPicture | FrameTracks | AudioBlock | SpectrogramChunk]:
    """What was recorded, in the order of recording; stamps count from the first message.

    Pictures are admitted by their stamps as in the live path (`StampFilter`), of whatever age;
    what starts over before the newest is left out.

    Args:
        path: a bag's folder, its metadata.yaml, or a single file.
        faces: pictures are wanted, or face tracks where none were recorded.
        voice: sound is wanted, or the spectrogram where none was recorded.

    Raises:
        BagError: nothing of it can be read.
    """
    newest_ns: int | None = None
    mute = Mute()
    stamps = StampFilter("images", "image_stamps", 0.0, "header", Findings().of("images"))
    with Recording(path) as recording:
        kinds = kinds_of(recording, faces=faces, voice=voice)
        for log_ns, item in recording.items(kinds):
            if isinstance(item, (BagPicture, FrameTracks)):
                if not stamps.admit(item.stamp_ns, log_ns).usable:
                    continue
                if newest_ns is not None and item.stamp_ns <= newest_ns:
                    continue
                newest_ns = item.stamp_ns
            if isinstance(item, RobotSpeech):
                mute.tell(log_ns, speaking=item.speaking)
                continue
            if isinstance(item, AudioBlock):
                item = mute.apply(item)
            if isinstance(item, (BagPicture, FrameTracks, AudioBlock, SpectrogramChunk)):
                yield replace(item, stamp_ns=item.stamp_ns - recording.start_ns)
