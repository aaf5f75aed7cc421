"""Sound of a recording as the live path hears it, and the spectrogram of the whole of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.front_end import AudioFrontEnd, MonoPiece, SpeechCounters
from avemo_ros.audio.pcm import check_stream
from avemo_ros.audio.spectrogram import (
    BINS,
    FLOOR_DB,
    HOP_NS,
    SAMPLE_RATE,
    WINDOW,
    AudioBlock,
    LogSpectrogram,
    SpectrogramChunk,
    loudest_dbfs,
    silence,
)
from avemo_ros.bag import is_bag
from avemo_ros.config import AudioConfig
from avemo_ros.data.bags import bag_pieces
from avemo_ros.data.features import MAX_COLUMNS, MIN_COLUMNS
from avemo_ros.errors import DataError
from avemo_ros.source.media_file import MediaFile
from avemo_ros.timing import NS_PER_S, to_ns

_LOG = logging.getLogger(__name__)

ACTIVE_DB: Final = 35.0
"""Columns this far below the loudest still belong to the speech [dB]."""
_LEAD: Final = 20
"""A spectrogram that is cut begins this much before the speech [columns]."""
_LONGEST_SILENCE_NS: Final = MAX_COLUMNS * HOP_NS
"""More than a spectrogram holds tells no more; a clock that was set makes it hours."""
_SLICE: Final = 10 * SAMPLE_RATE
"""Samples whose spectrum is computed at once, which bounds the memory."""


class SoundTrack:
    """Gathers the sound between two times of a recording as the robot would hear it.

    It drives the front end of the live path.  Where that starts a stream anew, the track goes
    on, after silence as long as what is missing (10 s at most).

    Args:
        start_ns: where to begin [ns]; sound before is left out.
        end_ns: where to end [ns]; None: with the recording.
        config: of the live path.
    """

    def __init__(
        self,
        start_ns: int = 0,
        end_ns: int | None = None,
        config: AudioConfig = AudioConfig(),  # noqa: B008  frozen
    ) -> None:
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._front_end = AudioFrontEnd(config)
        self._parts: list[NDArray[np.float32]] = []
        self._samples = 0
        self._reached_ns: int | None = None

    @property
    def counters(self) -> SpeechCounters:
        """What happened to the sound."""
        return self._front_end.counters

    def push(self, block: AudioBlock) -> None:
        """Take the next block of the recording.

        Raises:
            AudioFormatError: the rate or the channels cannot be used.
        """
        rate, count = block.rate, len(block.samples)
        check_stream(rate, block.samples.shape[1])
        first, last = self._within(block.stamp_ns, rate, count)
        if last > first:
            stamp_ns = block.stamp_ns + first * NS_PER_S // rate
            part = AudioBlock(stamp_ns, rate, block.samples[first:last])
            self._take(self._front_end.push(part))

    def finish(self) -> NDArray[np.float32] | None:
        """(n,) all of it at 16 kHz, full scale -1 to 1; None where there was none."""
        self._take(self._front_end.drain())
        return np.concatenate(self._parts) if self._parts else None

    def _within(self, stamp_ns: int, rate: int, count: int) -> tuple[int, int]:
        first = -((stamp_ns - self._start_ns) * rate // NS_PER_S)
        last = count
        if self._end_ns is not None:
            last = -((stamp_ns - self._end_ns) * rate // NS_PER_S)
        return max(first, 0), min(last, count)

    def _take(self, pieces: list[MonoPiece]) -> None:
        for piece in pieces:
            if piece.begins:
                if self._reached_ns is not None:
                    lost_ns = min(piece.origin_ns - self._reached_ns, _LONGEST_SILENCE_NS)
                    silent = max(0, round(lost_ns * SAMPLE_RATE / NS_PER_S))
                    self._parts.append(np.zeros(silent, np.float32))
                self._samples = 0
            self._parts.append(piece.samples)
            self._samples += len(piece.samples)
            self._reached_ns = piece.origin_ns + self._samples * NS_PER_S // SAMPLE_RATE


class ColumnTrack:
    """Gathers the recorded spectrogram between two times; where columns are missing there is
    silence.

    Args:
        start_ns: where the sound begins [ns].
        end_ns: where it ends [ns]; None: with the recording.
    """

    def __init__(self, start_ns: int = 0, end_ns: int | None = None) -> None:
        self._first_ns = start_ns + WINDOW * NS_PER_S // SAMPLE_RATE
        self._end_ns = end_ns
        self._columns: dict[int, NDArray[np.float32]] = {}
        self.loudest_dbfs = FLOOR_DB
        """Level of the loudest column [dB of full scale]."""

    def push(self, chunk: SpectrogramChunk) -> None:
        """Take the next columns of the recording."""
        for number, column in enumerate(chunk.power_db):
            stamp_ns = chunk.stamp_ns + number * HOP_NS
            place = round((stamp_ns - self._first_ns) / HOP_NS)
            if place >= 0 and (self._end_ns is None or stamp_ns <= self._end_ns):
                self._columns[place] = column
                self.loudest_dbfs = max(self.loudest_dbfs, float(chunk.level_dbfs[number]))

    def finish(self) -> NDArray[np.float32] | None:
        """(n, 200) all of it [dB of a full-scale sine]; None where there was none."""
        if not self._columns:
            return None
        whole = np.full((max(self._columns) + 1, BINS), FLOOR_DB, np.float32)
        for place, column in self._columns.items():
            whole[place] = column
        return whole


def read_sound(
    path: Path, start_s: float | None = None, end_s: float | None = None
) -> NDArray[np.float32]:
    """(n,) sound of a file as the robot hears it: 16 kHz mono, full scale -1 to 1.

    Args:
        path: any sound or video file that FFmpeg reads, or a bag.
        start_s: where to begin [s]; None: at the file's start.
        end_s: where to end [s]; None: at the file's end.

    Raises:
        SourceError: the file cannot be read.
        BagError: the bag cannot be read.
        DataError: there is no sound in it or none between the two times, or it is silent.
    """
    config = AudioConfig()
    track = SoundTrack(to_ns(start_s or 0.0), None if end_s is None else to_ns(end_s), config)
    for block in _blocks_of(path):
        track.push(block)
    sound = track.finish()
    if sound is None or len(sound) == 0:
        end = "its end" if end_s is None else f"{end_s:g} s"
        raise DataError(f"'{path}' has no sound between {start_s or 0.0:g} s and {end}")
    if loudest_dbfs(sound) < config.level_floor_dbfs:
        raise DataError(f"'{path}' is silent: {silence(config.level_floor_dbfs)}")
    return sound


def _blocks_of(path: Path) -> Iterator[AudioBlock]:
    if is_bag(path):
        for piece in bag_pieces(path, faces=False, voice=True):
            if not isinstance(piece, AudioBlock):
                raise DataError(f"bag '{path}' contains a spectrogram, but no audio")
            yield piece
        return
    with MediaFile(path) as media:
        if not media.has_audio:
            raise DataError(f"'{path}' has no sound track")
        for item in media:
            if isinstance(item, AudioBlock):
                yield item
        if media.notes:
            _LOG.warning("'%s': %s", path, "; ".join(media.notes))


def log_spectrogram(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log spectrogram of a whole utterance (Zhang et al. 2018, arXiv 1806.01506).

    Args:
        sound: (n,) 16 kHz mono, full scale -1 to 1.

    Returns:
        (T, 200) dB of a full-scale sine, T from 63 to 1000: less is filled up with silence at
        the end; of more the columns from 0.2 s before the speech on are kept.
    """
    stream = LogSpectrogram()
    parts = [stream.push(sound[at : at + _SLICE]) for at in range(0, len(sound), _SLICE)]
    return fitted(np.concatenate(parts) if parts else np.zeros((0, BINS), np.float32))


def fitted(power_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 200) columns of a whole utterance as 63 to 1000 of them, see `log_spectrogram`."""
    if len(power_db) > MAX_COLUMNS:
        loudness = power_db.max(axis=1)
        onset = int(np.argmax(loudness > loudness.max() - ACTIVE_DB))
        start = min(max(onset - _LEAD, 0), len(power_db) - MAX_COLUMNS)
        power_db = power_db[start : start + MAX_COLUMNS]
    lacking = max(0, MIN_COLUMNS - len(power_db))
    return np.pad(power_db, ((0, lacking), (0, 0)), constant_values=FLOOR_DB)
