"""Features of the items that lie in one file: clips, utterances, images, rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import (
    HOP,
    SAMPLE_RATE,
    WINDOW,
    AudioBlock,
    SpectrogramChunk,
    loudest_dbfs,
    silence,
)
from avemo_ros.bag import is_bag
from avemo_ros.bag.reader import BagImage
from avemo_ros.config import AudioConfig
from avemo_ros.data.audio_features import ColumnTrack, SoundTrack, fitted, log_spectrogram
from avemo_ros.data.bags import bag_pieces
from avemo_ros.data.dataset import Item
from avemo_ros.data.face_images import (
    MainFace,
    VideoStages,
    Whose,
    aligned_face,
    is_image_file,
    read_image,
    table_images,
)
from avemo_ros.data.features import (
    BROKEN,
    DAMAGED,
    FILLED,
    MAX_COLUMNS,
    MIN_COLUMNS,
    NO_FACE,
    NO_SOUND,
    SHORTENED,
    SILENT,
    UNUSUAL,
    Features,
    Finding,
    PrepareConfig,
    PreparedItem,
)
from avemo_ros.errors import AvemoError, DataError, ImageError
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.timing import NS_PER_S, to_ns, to_s
from avemo_ros.vision.face import FrameTracks
from avemo_ros.vision.image import as_bgr

Seen: TypeAlias = VideoFrame | BagImage | FrameTracks
"""An image, or what was found in it."""
Heard: TypeAlias = AudioBlock | SpectrogramChunk
"""Sound, or what was made of it."""


class FaceCollector:
    """Picks the images of an item and follows the faces in them.

    Args:
        stages: those that are free.
        config: which images, and how faces are cut out.
        whose: the face that is meant.
    """

    def __init__(self, stages: VideoStages, config: PrepareConfig, whose: Whose) -> None:
        self._stages = stages
        self._config = config
        self._whose = whose
        self.damaged = 0
        """Images that cannot be used."""
        self.trouble = ""
        """Why the first of them cannot."""
        self._face: MainFace | None = None
        self._slot = -1

    def push(self, elapsed_ns: int, piece: Seen) -> None:
        """Look at the next image, or at what was found in it."""
        if self._config.fps:
            # One image in each slot of 1 / fps; a nanosecond, as stamps are rounded.
            slot = int((elapsed_ns + 1) * self._config.fps / NS_PER_S)
            if slot <= self._slot:
                return
            self._slot = slot
        try:
            self._look(elapsed_ns, piece)
        except (ImageError, DataError) as error:
            self.damaged += 1
            self.trouble = self.trouble or str(error)

    def finish(self) -> tuple[Features | None, str]:
        """Crops, times and landmarks of the face that is meant; None, and why."""
        if self._face is None:
            return None, self.trouble or "it contains no images"
        self._stages.give_back(self._face.stage)
        if self.trouble and not self._face.images:
            return None, self.trouble
        return self._face.finish(self._whose)

    def _look(self, elapsed_ns: int, piece: Seen) -> None:
        if isinstance(piece, FrameTracks):
            if self._face is None:
                self._face = MainFace(None, self._config.min_quality)
            self._face.take(elapsed_ns, _checked(piece, self._config.vision.crop_size))
            return
        image = piece.image
        if self._face is None:
            self._face = MainFace(self._stages.take(), self._config.min_quality)
        self._face.push(elapsed_ns, image)


class ItemSpan:
    """An item's part of a file, while that is read.

    Args:
        item: which part it is.
        faces: what looks at its images; None where nobody asks for them.
        listens: its sound is asked for.
        config: how its sound is heard.
    """

    def __init__(
        self,
        item: Item,
        faces: FaceCollector | None,
        *,
        listens: bool,
        config: AudioConfig = AudioConfig(),  # noqa: B008  frozen
    ) -> None:
        self._start_ns = to_ns(item.start_s or 0.0)
        self._end_ns = None if item.end_s is None else to_ns(item.end_s)
        self._faces = faces
        self._listens = listens
        self._track = SoundTrack(self._start_ns, self._end_ns, config)
        self._columns = ColumnTrack(self._start_ns, self._end_ns)
        self._floor_dbfs = config.level_floor_dbfs
        self._reached_ns = self._start_ns
        self._taken = 0
        self._found: tuple[Features | None, str] | None = None

    def push(self, piece: Seen | Heard) -> None:
        """Take what is of this item; stamps count from the start of the file.

        Raises:
            AudioFormatError: the rate or the channel count of sound cannot be used.
        """
        if isinstance(piece, AudioBlock):
            if self._listens:
                self._track.push(piece)
        elif isinstance(piece, SpectrogramChunk):
            if self._listens:
                self._columns.push(piece)
        elif self._end_ns is not None and piece.stamp_ns >= self._end_ns:
            self._close_faces()
            return
        elif piece.stamp_ns >= self._start_ns:
            self._reached_ns = piece.stamp_ns
            if self._faces is not None:
                self._faces.push(piece.stamp_ns - self._start_ns, piece)
        self._taken += 1

    def over(self, stamp_ns: int) -> bool:
        """Nothing of the item comes after this time."""
        return self._end_ns is not None and stamp_ns >= self._end_ns

    def finish(
        self, trouble: str, notes: Sequence[str] = (), length_ns: int = 0
    ) -> PreparedItem:
        """What could be made of the item.

        Args:
            trouble: what was wrong with the file as a whole; empty: nothing.
            notes: what is unusual about it, but harmless.
            length_ns: of the file, with the time for which its last image is shown [ns]; 0: not
                known.
        """
        if trouble and not self._taken:
            return PreparedItem(findings=(Finding(BROKEN, trouble),))
        features, findings = Features(), []
        faces = self._faces
        self._close_faces()
        if self._found is not None:
            found, reason = self._found
            if found is None:
                findings.append(Finding(NO_FACE, reason))
            else:
                features = found
        if faces is not None and faces.damaged and features.faces is not None:
            damaged = f"{faces.damaged} images cannot be used: {faces.trouble}"
            findings.append(Finding(DAMAGED, damaged))
        end_ns = max(self._reached_ns, min(length_ns, self._end_ns or length_ns))
        length_s = to_s(end_ns - self._start_ns)
        if self._listens:
            spectrogram, heard_s = self._heard(findings)
            features = replace(features, spectrogram=spectrogram)
            length_s = max(length_s, heard_s)
        if trouble:
            findings.append(Finding(DAMAGED, trouble))
        findings += [Finding(UNUSUAL, note) for note in notes]
        return PreparedItem(features, tuple(findings), length_s)

    def _heard(self, findings: list[Finding]) -> tuple[NDArray[np.float16] | None, float]:
        """The spectrogram, None where nothing can be a voice, and how long it was heard [s];
        notes what is odd about it."""
        sound = self._track.finish()
        if sound is not None and len(sound):
            length_s = len(sound) / SAMPLE_RATE
            if sanitised := self._track.counters.sanitised:
                reason = f"{sanitised} samples were not numbers and were replaced by silence"
                findings.append(Finding(DAMAGED, reason))
            if loudest_dbfs(sound) < self._floor_dbfs:
                findings.append(Finding(SILENT, silence(self._floor_dbfs)))
                return None, length_s
            findings += _lengths(max(0, (len(sound) - WINDOW) // HOP + 1), length_s)
            return log_spectrogram(sound).astype(np.float16), length_s
        columns = self._columns.finish()
        if columns is not None:
            length_s = (WINDOW + HOP * (len(columns) - 1)) / SAMPLE_RATE
            if self._columns.loudest_dbfs < self._floor_dbfs:
                findings.append(Finding(SILENT, silence(self._floor_dbfs)))
                return None, length_s
            findings += _lengths(len(columns), length_s)
            return fitted(columns).astype(np.float16), length_s
        findings.append(Finding(NO_SOUND, "it contains no audio"))
        return None, 0.0

    def _close_faces(self) -> None:
        if self._faces is not None:
            self._found, self._faces = self._faces.finish(), None


def _lengths(columns: int, length_s: float) -> Iterator[Finding]:
    """What becomes of sound that is too short or too long."""
    if columns < MIN_COLUMNS:
        yield Finding(FILLED, f"{length_s:.2f} s of audio, the rest is silence")
    if columns > MAX_COLUMNS:
        yield Finding(
            SHORTENED,
            f"only the first {MAX_COLUMNS / 100:.0f} s of the speech are used, of "
            f"{length_s:.1f} s of audio",
        )


def _checked(tracks: FrameTracks, side: int) -> FrameTracks:
    for face in tracks.faces:
        if face.crop.shape[0] != side:
            raise DataError(
                f"faces were recorded with {face.crop.shape[0]} pixels per side, but "
                f"vision.crop_size is {side}"
            )
    return tracks


VERSION: Final = 4
"""To be raised by whoever changes what is made of a file: what was cached is then made anew."""

PARTS: Final = frozenset({"faces", "landmarks", "speech"})
"""What can be asked for."""
_SEEN: Final = frozenset({"faces", "landmarks"})


def only(prepared: PreparedItem, want: frozenset[str]) -> PreparedItem:
    """Without the parts that nobody asked for, and what was found about them."""
    looks, listens = bool(want & _SEEN), "speech" in want
    features = prepared.features
    beside = set() if looks else {NO_FACE}
    if not listens:
        beside |= {NO_SOUND, SILENT, FILLED, SHORTENED}
    return replace(
        prepared,
        features=replace(
            features,
            faces=features.faces if "faces" in want else None,
            landmarks=features.landmarks if "landmarks" in want else None,
            face_times_s=features.face_times_s if looks else None,
            spectrogram=features.spectrogram if listens else None,
        ),
        findings=tuple(one for one in prepared.findings if one.kind not in beside),
    )


class FileReader:
    """Makes features, file by file; keeps the face networks from one file to the next.

    Args:
        config: how.
        want: which of PARTS.
    """

    def __init__(self, config: PrepareConfig, want: frozenset[str]) -> None:
        self._config = config
        self._want = want
        self._stages = VideoStages(config.vision)

    def close(self) -> None:
        """Free the networks."""
        self._stages.close()

    def read(self, path: Path, items: Sequence[Item]) -> list[PreparedItem]:
        """Features of the items that lie in one file, in their order.

        Nothing about a file raises: what is wrong is among the findings.
        """
        try:
            if any(item.row is not None for item in items):
                prepared = self._table(path, items)
            elif is_bag(path):
                prepared = self._bag(path, items)
            elif is_image_file(path):
                prepared = self._image(path, items)
            else:
                prepared = self._clip(path, items)
        except (AvemoError, OSError) as error:
            return [PreparedItem(findings=(Finding(BROKEN, str(error)),))] * len(items)
        return [only(one, self._want) for one in prepared]

    def _image(self, path: Path, items: Sequence[Item]) -> list[PreparedItem]:
        prepared = self._face_of(read_image(path))
        silent = (*prepared.findings, Finding(NO_SOUND, "it is an image"))
        return [
            replace(prepared, findings=silent) if item.has_voice else prepared for item in items
        ]

    def _table(self, path: Path, items: Sequence[Item]) -> list[PreparedItem]:
        rows = [-1 if item.row is None else item.row for item in items]
        found: dict[int, PreparedItem] = {}
        for row, image in table_images(path, rows):
            if isinstance(image, str):
                reason = f"'{path}', row {row}: {image}"
                found[row] = PreparedItem(findings=(Finding(BROKEN, reason),))
            else:
                found[row] = self._face_of(image)
        return [found[row] for row in rows]

    def _face_of(self, image: NDArray[np.uint8]) -> PreparedItem:
        """Of an image that shows a face somewhere, or is an aligned one."""
        if not self._config.detect:
            times = np.zeros(1, np.float32)
            return PreparedItem(Features(faces=aligned_face(image)[None], face_times_s=times))
        face = MainFace(self._stages.take(), self._config.min_quality)
        face.push(0, as_bgr(image))
        features, reason = face.finish()
        self._stages.give_back(face.stage)
        if features is None:
            return PreparedItem(findings=(Finding(NO_FACE, reason),))
        return PreparedItem(features)

    def _clip(self, path: Path, items: Sequence[Item]) -> list[PreparedItem]:
        trouble = ""
        with MediaFile(path) as media:
            spans = self._spans(items)
            try:
                for piece in media:
                    for span in spans:
                        span.push(piece)
                    if all(span.over(piece.stamp_ns) for span in spans):
                        break
            except AvemoError as error:
                trouble = str(error)
            notes = media.notes
            if not trouble and (media.truncated or media.damaged):
                trouble, notes = f"'{path}': {'; '.join(notes)}", []
        return [span.finish(trouble, notes, media.length_ns) for span in spans]

    def _bag(self, path: Path, items: Sequence[Item]) -> list[PreparedItem]:
        spans = self._spans(items)
        faces = any(self._looks(item) for item in items)
        pieces = bag_pieces(path, faces=faces, voice="speech" in self._want)
        trouble = ""
        try:
            for piece in pieces:
                for span in spans:
                    span.push(piece)
        except AvemoError as error:
            trouble = str(error)
        return [span.finish(trouble) for span in spans]

    def _spans(self, items: Sequence[Item]) -> list[ItemSpan]:
        return [
            ItemSpan(
                item,
                FaceCollector(self._stages, self._config, Whose(item.ids, item.box))
                if self._looks(item)
                else None,
                listens="speech" in self._want and item.has_voice,
                config=self._config.audio,
            )
            for item in items
        ]

    def _looks(self, item: Item) -> bool:
        return item.has_face and bool(self._want & _SEEN)
