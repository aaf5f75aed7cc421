"""Writes what the core's stages take and give as a rosbag2 recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from avemo_ros.audio.chunk import AudioBlock, SpectrogramChunk
from avemo_ros.bag import messages
from avemo_ros.bag.draft import BagDraft
from avemo_ros.bag.encode import Encoder
from avemo_ros.bag.offers import Offer
from avemo_ros.clock import NS_PER_S
from avemo_ros.errors import ConfigError
from avemo_ros.source.media import VideoFrame
from avemo_ros.state.estimate import Hop
from avemo_ros.vision.face import FrameTracks

_INFO_NS: Final = NS_PER_S
"""The sound's format is repeated, so that no part of a recording is without."""


class BagWriter:
    """Writes what the core's stages take and give, on the topics of the nodes.

    Messages are logged at their stamp unless told otherwise; the block of sound at its end,
    when a microphone would have published it.
    """

    def __init__(
        self,
        path: str | Path,
        storage: str = "mcap",
        compression: str = "none",
        *,
        jpeg_quality: int = 0,
        split_s: float = 0.0,
        force: bool = False,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Make the bag's folder.

        Args:
            path: of the bag, a folder; it appears when the bag is whole.
            storage: 'mcap' or 'sqlite3'.
            compression: 'none' or 'zstd'.
            jpeg_quality: 1 to 100: compressed pictures; 0: raw ones.
            split_s: begin a new file after so many seconds of messages [s]; 0: one file.
            force: replace a bag of that name, and what an interrupted run left.
            notes: for metadata.yaml, as its `custom_data`.

        Raises:
            BagError: the bag is there already, or cannot be written.
            ConfigError: an argument is not allowed.
        """
        if not 0 <= jpeg_quality <= 100:
            raise ConfigError("jpeg quality", jpeg_quality, "1 to 100, or 0 for raw pictures")
        self._draft = BagDraft(
            path, storage, compression, split_s=split_s, force=force, notes=notes
        )
        self._quality = jpeg_quality
        self._encoder = Encoder(messages.typestore())
        self._added: set[str] = set()
        self._form = (0, 0)
        self._told_ns = 0

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._draft.__exit__(kind, error, trace)

    @property
    def start_ns(self) -> int | None:
        """Earliest log time so far [ns]; None before the first message."""
        return self._draft.start_ns

    def write_picture(self, frame: VideoFrame, log_ns: int | None = None) -> None:
        """A picture.

        Raises:
            BagError: the disk does not take it; the same holds for what follows.
        """
        stamp_ns, picture = frame.stamp_ns, frame.image
        log_ns = stamp_ns if log_ns is None else log_ns
        if self._quality:
            message = self._encoder.compressed(stamp_ns, picture, self._quality)
            kind, topic = messages.COMPRESSED_IMAGE, "/image_raw/compressed"
        else:
            message = self._encoder.picture(stamp_ns, picture)
            kind, topic = messages.IMAGE, "/image_raw"
        self._write(topic, kind, message, log_ns, Offer(5))

    def write_sound(self, block: AudioBlock, log_ns: int | None = None) -> None:
        """A block of sound, and its format before the first and every second."""
        if log_ns is None:
            log_ns = block.stamp_ns + len(block.samples) * NS_PER_S // block.rate
        form = (block.rate, block.samples.shape[1])
        if form != self._form or not 0 <= log_ns - self._told_ns < _INFO_NS:
            self._form, self._told_ns = form, log_ns
            message = self._encoder.sound_format(*form)
            offer = Offer(1, latched=True)
            self._write("/audio_info", messages.AUDIO_INFO, message, log_ns, offer)
        message = self._encoder.sound(block)
        self._write("/audio", messages.AUDIO_DATA, message, log_ns, Offer(100))

    def write_tracks(self, tracks: FrameTracks, log_ns: int | None = None) -> None:
        """The faces of one picture."""
        log_ns = tracks.stamp_ns if log_ns is None else log_ns
        message = self._encoder.tracks(tracks)
        self._write("/face_tracks", messages.FACE_TRACKS, message, log_ns, Offer(10))

    def write_chunk(self, chunk: SpectrogramChunk, log_ns: int | None = None) -> None:
        """Spectrogram columns."""
        log_ns = chunk.end_ns if log_ns is None else log_ns
        message = self._encoder.chunk(chunk)
        self._write("/spectrogram", messages.SPECTROGRAM, message, log_ns, Offer(50))

    def write_states(self, hop: Hop, log_ns: int | None = None) -> None:
        """Everyone's emotion at one moment."""
        log_ns = hop.stamp_ns if log_ns is None else log_ns
        message = self._encoder.states(hop)
        self._write("/emotion_states", messages.EMOTION_STATES, message, log_ns, Offer(10))

    def _write(
        self, topic: str, kind: str, message: memoryview, log_ns: int, offer: Offer
    ) -> None:
        if topic not in self._added:
            self._added.add(topic)
            self._draft.add_topic(topic, kind, offer)
        self._draft.write(topic, message, log_ns)
