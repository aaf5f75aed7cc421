"""Features of the items that lie in one file: clips, utterances, pictures, rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.data.bag_file import bag_pieces, is_bag
from avemo_ros.data.features import Features
from avemo_ros.data.item import Item
from avemo_ros.data.made import (
    BROKEN,
    DAMAGED,
    FILLED,
    KINDS,
    NO_FACE,
    NO_SOUND,
    SHORTENED,
    SILENT,
    Finding,
    Made,
)
from avemo_ros.data.main_face import MainFace, VideoStages, Whose
from avemo_ros.data.pictures import aligned_face, is_picture, read_picture, table_pictures
from avemo_ros.data.prepare_config import PrepareConfig
from avemo_ros.data.span import Faces, Span
from avemo_ros.errors import AvemoError
from avemo_ros.source.media_file import MediaFile
from avemo_ros.vision.image import as_bgr

__all__ = [
    "BROKEN",
    "DAMAGED",
    "FILLED",
    "KINDS",
    "NO_FACE",
    "NO_SOUND",
    "PARTS",
    "SHORTENED",
    "SILENT",
    "VERSION",
    "FileReader",
    "Finding",
    "Made",
    "PrepareConfig",
    "only",
]

VERSION: Final = 3
"""To be raised by whoever changes what is made of a file: what was cached is then made anew."""

PARTS: Final = frozenset({"faces", "landmarks", "speech"})
"""What can be asked for."""
_SEEN: Final = frozenset({"faces", "landmarks"})


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
        self._stages = VideoStages(config.vision)

    def close(self) -> None:
        """Free the networks."""
        self._stages.close()

    def read(self, path: Path, items: Sequence[Item]) -> list[Made]:
        """Features of the items that lie in one file, in their order.

        Nothing about a file raises: what is wrong is among the findings.
        """
        try:
            if any(item.row is not None for item in items):
                made = self._table(path, items)
            elif is_bag(path):
                made = self._bag(path, items)
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
        face = MainFace(self._stages.take(), self._config.min_quality)
        face.push(0, as_bgr(picture))
        features, reason = face.finish()
        self._stages.give_back(face.stage)
        if features is None:
            return Made(findings=(Finding(NO_FACE, reason),))
        return Made(features)

    def _clip(self, path: Path, items: Sequence[Item]) -> list[Made]:
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
            if not trouble and media.truncated:
                trouble = f"'{path}' ends before its announced end"
            if not trouble and media.damaged:
                trouble = f"{media.damaged} packets of '{path}' could not be decoded"
        return [span.finish(trouble) for span in spans]

    def _bag(self, path: Path, items: Sequence[Item]) -> list[Made]:
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

    def _spans(self, items: Sequence[Item]) -> list[Span]:
        return [
            Span(
                item,
                Faces(self._stages, self._config, Whose(item.ids, item.box))
                if self._looks(item)
                else None,
                listens="speech" in self._want and item.has_voice,
                config=self._config.audio,
            )
            for item in items
        ]

    def _looks(self, item: Item) -> bool:
        return item.has_face and bool(self._want & _SEEN)
