"""Features of the items that lie in one file: clips, utterances, pictures, rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import SAMPLE_RATE, AudioBlock
from avemo_ros.audio.spectrogram import HOP, WINDOW
from avemo_ros.clock import NS_PER_S, to_ns, to_s
from avemo_ros.config import EmotionConfig, Validated, VisionConfig, setting
from avemo_ros.data.features import MAX_COLUMNS, MIN_COLUMNS, Features
from avemo_ros.data.item import Item
from avemo_ros.data.main_face import Analyzers, MainFace
from avemo_ros.data.pictures import aligned_face, is_picture, read_picture, table_pictures
from avemo_ros.data.sound import SoundTrack, log_spectrogram
from avemo_ros.errors import AvemoError
from avemo_ros.source.media import MediaFile, VideoFrame
from avemo_ros.vision.picture import as_bgr

VERSION: Final = 1
"""To be raised by whoever changes what is made of a file: what was cached is then made anew."""

PARTS: Final = frozenset({"faces", "landmarks", "speech"})
"""What can be asked for."""
_SEEN: Final = frozenset({"faces", "landmarks"})

NO_FACE: Final = "no face"
NO_SOUND: Final = "no sound"
BROKEN: Final = "broken"
SILENT: Final = "silent"
DAMAGED: Final = "damaged"
SHORTENED: Final = "shortened"
FILLED: Final = "filled up"
KINDS: Final = (NO_FACE, NO_SOUND, BROKEN, SILENT, DAMAGED, SHORTENED, FILLED)
"""Kinds of findings.  The first three say that a part is missing; the others are remarks on
a part that is there."""

_SILENT_PEAK: Final = 1e-3
"""Sound that never goes beyond this (-60 dB of full scale) counts as silent."""


@dataclass(frozen=True, slots=True)
class PrepareConfig(Validated):
    """How features are made."""

    _group = "prepare"

    fps: float = setting(
        0.0,
        "Pictures looked at a second, evenly picked [Hz]; 0 looks at all of them.",
        low=0.0,
        high=240.0,
    )
    min_quality: float = setting(
        EmotionConfig().min_face_quality,
        "Pictures whose face quality is below this are left out, as in the live path.",
        low=0.0,
        high=1.0,
    )
    detect: bool = setting(
        False,
        "Find and align the face in single pictures; off: they are aligned faces as they are.",
    )
    vision: VisionConfig = field(default_factory=VisionConfig)
    """How faces are found and cut out; `crop_size` is the side of the crops."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What there is to say about an item."""

    kind: str
    """One of KINDS."""
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What could be made of an item."""

    features: Features = field(default_factory=Features)
    findings: tuple[Finding, ...] = ()
    length_s: float = 0.0
    """How long the item is; 0 for a picture or where that is not known [s]."""


def only(made: Made, want: frozenset[str]) -> Made:
    """Without the parts that nobody asked for, and what was found about them."""
    looks, listens = bool(want & _SEEN), "speech" in want
    features = made.features
    beside = set() if looks else {NO_FACE}
    if not listens:
        beside |= {NO_SOUND, SILENT, FILLED, SHORTENED}
    return replace(
        made,
        features=replace(
            features,
            faces=features.faces if "faces" in want else None,
            landmarks=features.landmarks if "landmarks" in want else None,
            face_times_s=features.face_times_s if looks else None,
            spectrogram=features.spectrogram if listens else None,
        ),
        findings=tuple(one for one in made.findings if one.kind not in beside),
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
        self._analyzers = Analyzers(config.vision)

    def close(self) -> None:
        """Free the networks."""
        self._analyzers.close()

    def read(self, path: Path, items: Sequence[Item]) -> list[Made]:
        """Features of the items that lie in one file, in their order.

        Nothing about a file raises: what is wrong is among the findings.
        """
        try:
            if any(item.row is not None for item in items):
                made = self._table(path, items)
            elif is_picture(path):
                made = self._picture(path, items)
            else:
                made = self._clip(path, items)
        except (AvemoError, OSError) as error:
            return [Made(findings=(Finding(BROKEN, str(error)),))] * len(items)
        return [only(one, self._want) for one in made]

    def _picture(self, path: Path, items: Sequence[Item]) -> list[Made]:
        made = self._face_of(read_picture(path))
        silent = (*made.findings, Finding(NO_SOUND, "it is a picture"))
        return [replace(made, findings=silent) if item.has_voice else made for item in items]

    def _table(self, path: Path, items: Sequence[Item]) -> list[Made]:
        rows = [-1 if item.row is None else item.row for item in items]
        found: dict[int, Made] = {}
        for row, picture in table_pictures(path, rows):
            if isinstance(picture, str):
                reason = f"'{path}', row {row}: {picture}"
                found[row] = Made(findings=(Finding(BROKEN, reason),))
            else:
                found[row] = self._face_of(picture)
        return [found[row] for row in rows]

    def _face_of(self, picture: NDArray[np.uint8]) -> Made:
        """Of a picture that shows a face somewhere, or is an aligned one."""
        if not self._config.detect:
            times = np.zeros(1, np.float32)
            return Made(Features(faces=aligned_face(picture)[None], face_times_s=times))
        face = MainFace(self._analyzers.take(), self._config.min_quality)
        face.push(0, as_bgr(picture))
        features, reason = face.finish()
        self._analyzers.give_back(face.analyzer)
        if features is None:
            return Made(findings=(Finding(NO_FACE, reason),))
        return Made(features)

    def _clip(self, path: Path, items: Sequence[Item]) -> list[Made]:
        trouble = ""
        with MediaFile(path) as media:
            spans = [
                _Span(
                    item,
                    _Faces(self._analyzers, self._config) if self._looks(item) else None,
                    "speech" in self._want and item.has_voice,
                )
                for item in items
            ]
            try:
                for piece in media:
                    for span in spans:
                        span.push(piece)
                    if all(span.over(piece.stamp_ns) for span in spans):
                        break
            except AvemoError as error:
                trouble = str(error)
            if not trouble and media.truncated:
                trouble = f"'{path}' ends before its announced end"
            if not trouble and media.damaged:
                trouble = f"{media.damaged} packets of '{path}' could not be decoded"
        return [span.finish(trouble) for span in spans]

    def _looks(self, item: Item) -> bool:
        return item.has_face and bool(self._want & _SEEN)


class _Faces:
    """Picks the pictures of an item and follows the faces in them."""

    def __init__(self, analyzers: Analyzers, config: PrepareConfig) -> None:
        self._analyzers = analyzers
        self._config = config
        self._face: MainFace | None = None
        self._slot = -1

    def push(self, elapsed_ns: int, image: NDArray[np.uint8]) -> None:
        if self._config.fps:
            # One picture in each slot of 1 / fps; a nanosecond, as stamps are rounded.
            slot = int((elapsed_ns + 1) * self._config.fps / NS_PER_S)
            if slot <= self._slot:
                return
            self._slot = slot
        if self._face is None:
            self._face = MainFace(self._analyzers.take(), self._config.min_quality)
        self._face.push(elapsed_ns, image)

    def finish(self) -> tuple[Features | None, str]:
        if self._face is None:
            return None, "there are no pictures in it"
        self._analyzers.give_back(self._face.analyzer)
        return self._face.finish()


class _Span:
    """An item's part of a file, while that is read."""

    def __init__(self, item: Item, faces: _Faces | None, listens: bool) -> None:
        self._start_ns = to_ns(item.start_s or 0.0)
        self._end_ns = None if item.end_s is None else to_ns(item.end_s)
        self._faces = faces
        self._track = SoundTrack(self._start_ns, self._end_ns) if listens else None
        self._reached_ns = self._start_ns
        self._taken = 0
        self._found: tuple[Features | None, str] | None = None

    def push(self, piece: VideoFrame | AudioBlock) -> None:
        """Take a picture or a block of sound if it is of this item."""
        if isinstance(piece, AudioBlock):
            if self._track is not None:
                self._track.push(piece)
        elif self._end_ns is not None and piece.stamp_ns >= self._end_ns:
            self._close_faces()
            return
        elif piece.stamp_ns >= self._start_ns:
            self._reached_ns = piece.stamp_ns
            if self._faces is not None:
                self._faces.push(piece.stamp_ns - self._start_ns, piece.image)
        self._taken += 1

    def over(self, stamp_ns: int) -> bool:
        """Nothing of the item comes after this time."""
        return self._end_ns is not None and stamp_ns >= self._end_ns

    def finish(self, trouble: str) -> Made:
        """What could be made of the item.

        Args:
            trouble: what was wrong with the file as a whole; empty: nothing.
        """
        if trouble and not self._taken:
            return Made(findings=(Finding(BROKEN, trouble),))
        features, findings = Features(), []
        self._close_faces()
        if self._found is not None:
            found, reason = self._found
            if found is None:
                findings.append(Finding(NO_FACE, reason))
            else:
                features = found
        length_s = to_s(self._reached_ns - self._start_ns)
        if self._track is not None:
            sound = self._track.finish()
            if sound is None:
                findings.append(Finding(NO_SOUND, "there is no sound in it"))
            else:
                length_s = max(length_s, len(sound) / SAMPLE_RATE)
                power_db = log_spectrogram(sound).astype(np.float16)
                features = replace(features, spectrogram=power_db)
                findings += _remarks(sound, self._track.sanitised)
        if trouble:
            findings.append(Finding(DAMAGED, trouble))
        return Made(features, tuple(findings), length_s)

    def _close_faces(self) -> None:
        if self._faces is not None:
            self._found, self._faces = self._faces.finish(), None


def _remarks(sound: NDArray[np.float32], sanitised: int) -> Iterator[Finding]:
    """What is odd about the sound of an item."""
    columns = max(0, (len(sound) - WINDOW) // HOP + 1)
    if sanitised:
        yield Finding(DAMAGED, f"{sanitised} samples were no numbers and became silence")
    if not np.any(np.abs(sound) > _SILENT_PEAK):
        yield Finding(SILENT, "its sound never goes beyond -60 dB of full scale")
    if columns < MIN_COLUMNS:
        yield Finding(FILLED, f"{len(sound) / SAMPLE_RATE:.2f} s of sound, the rest is silence")
    if columns > MAX_COLUMNS:
        yield Finding(
            SHORTENED,
            f"of {len(sound) / SAMPLE_RATE:.1f} s of sound the first "
            f"{MAX_COLUMNS / 100:.0f} s of the speech are used",
        )
