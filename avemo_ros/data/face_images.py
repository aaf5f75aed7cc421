"""Faces of items: from single images, and of the person whom a recording is about.

Recordings are looked at as the live path does.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import InputConfig, VisionConfig
from avemo_ros.data.corpus_files import read_table
from avemo_ros.data.features import Features
from avemo_ros.errors import DataError, ImageError
from avemo_ros.timing import to_s
from avemo_ros.vision.compressed_image import check_size, decode, kind_of
from avemo_ros.vision.face import LANDMARKS, Box, FaceTrack, FrameTracks

if TYPE_CHECKING:
    from avemo_ros.engine.video_stage import VideoStage

_PLAIN: Final = {b"BM": "bmp", b"P5": "pgm", b"P6": "ppm"}
"""Uncompressed formats by their first bytes; read from files only, by code of OpenCV's own."""
_PNM: Final = re.compile(
    rb"P[56](?:\s+(?:#[^\n]*\n\s*)*)(\d{1,9})\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s"
)
_HEADER: Final = 1024
"""Bytes within which the size of an uncompressed image stands."""
_TABLE_SIDE: Final = 48
"""Side of FER2013's images."""


def is_image_file(path: Path) -> bool:
    """An image file, by its first bytes, whatever it is called.

    Raises:
        DataError: the file is empty.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise DataError(f"'{path}' is empty")
    return bool(_format(head))


def read_image(path: Path) -> NDArray[np.uint8]:
    """(height, width, 3) BGR of an image file.

    Raises:
        ImageError: it is no image, a damaged one, or larger than allowed.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    try:
        if kind_of(content[:16]):
            return decode(content, "image")
        return _plain(content)
    except ImageError as error:
        raise ImageError(f"'{path}': {error}", kind=error.kind) from error


def _plain(content: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) BGR of an uncompressed image.

    Raises:
        ImageError: it is no image, a damaged one, or larger than allowed.
    """
    wrong = ImageError("not a readable image", kind="corrupt")
    if not _format(content[:16]):
        raise wrong
    width, height = _plain_size(content[:_HEADER])
    check_size(height, width, "image")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise wrong from error
    if image is None or image.shape[:2] != (height, width):
        raise wrong
    return np.asarray(image, np.uint8)


def _plain_size(head: bytes) -> tuple[int, int]:
    """Width and height by the header of an uncompressed image; 0 where there is none."""
    if head.startswith(b"BM"):
        if len(head) < 26:
            return 0, 0
        (size,) = struct.unpack_from("<I", head, 14)
        width, height = struct.unpack_from("<HH" if size == 12 else "<ii", head, 18)
        return width, abs(height)
    found = _PNM.match(head)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _format(head: bytes) -> str:
    """Which kind of image file begins with these bytes; '' for none."""
    plain = (name for mark, name in _PLAIN.items() if head.startswith(mark))
    return kind_of(head) or next(plain, "")


def aligned_face(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(side, side) grey of an image that is an aligned face as it stands.

    Args:
        image: (H, W, 3) BGR or (H, W) grey.

    Raises:
        ImageError: the image is not square.
    """
    height, width = image.shape[:2]
    if height != width:
        raise ImageError(
            f"an image of {width}x{height} pixels is not an aligned face; allowed: a square "
            "image, or preparation with detection",
            kind="size",
        )
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def table_images(
    path: Path, rows: Collection[int]
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """Images of FER2013's table.

    Args:
        path: the table.
        rows: which, as the loader counts them (`Item.row`).

    Yields:
        Row and (48, 48) grey image, or what is wrong with it.

    Raises:
        DataError: the table cannot be read or has no such column.
    """
    left = set(rows)
    for row, (_, values) in enumerate(read_table(path, ("pixels",))):
        if row in left:
            left.discard(row)
            yield row, _pixels(values["pixels"])
    for row in sorted(left):
        yield row, "the table has no such row"


def _pixels(text: str) -> NDArray[np.uint8] | str:
    size = _TABLE_SIDE * _TABLE_SIDE
    try:
        values = np.array(text.split(), np.int64)
    except (ValueError, OverflowError):
        return "its pixels are not all numbers"
    if len(values) != size:
        return f"it has {len(values)} pixels; allowed: {size}"
    if values.min() < 0 or values.max() > 255:
        return f"its pixels range from {values.min()} to {values.max()}; allowed: 0 to 255"
    return values.astype(np.uint8).reshape(_TABLE_SIDE, _TABLE_SIDE)


_EVERY_HZ: Final = 240.0
_SAME_PLACE: Final = 0.1
"""Boxes that overlap more than this on average (intersection over union) mean one face: people
mark it loosely, and it moves."""


class VideoStages:
    """Video stages that are free to be used: their networks take long to load.

    Images are picked before they come here, so the stages look at all of them.

    Args:
        config: how they find and cut out faces.
    """

    def __init__(self, config: VisionConfig) -> None:
        self._config = config.replace(max_rate_hz=_EVERY_HZ)
        self._free: list[VideoStage] = []

    def take(self) -> VideoStage:
        """One that remembers no face."""
        if not self._free:
            from avemo_ros.engine.feature_extractor import InputIssues as Unread
            from avemo_ros.engine.video_stage import VideoStage

            inputs = InputConfig(max_input_age_s=0.0)
            return VideoStage(self._config, inputs, Unread().of("images"))
        stage = self._free.pop()
        stage.reset()
        return stage

    def give_back(self, stage: VideoStage | None) -> None:
        """It is not needed for now."""
        if stage is not None:
            self._free.append(stage)

    def close(self) -> None:
        """Free the networks."""
        while self._free:
            self._free.pop().close()


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A face in one image."""

    time_s: float
    crop: NDArray[np.uint8]
    landmarks: NDArray[np.float32] | None
    """(468, 2) [pixels]."""
    box: Box
    readable: bool


@dataclass(frozen=True, slots=True)
class Whose:
    """Which face of a recording is meant."""

    ids: tuple[str, ...] = ()
    """Those of its tracks, where recorded tracks are read."""
    box: Box | None = None
    """Where it is; without either it is the one that is seen most."""


class MainFace:
    """Follows all faces of a recording and keeps those of one person.

    That is the one whose track has the most images; of several as long, the one that is
    largest on average.  A face that is lost for longer than `vision.track_timeout_s` comes back
    as another track.  Images whose quality is below `min_quality` are followed but not kept,
    as the live path does not look at them.

    Args:
        stage: the live path's, one that remembers no face; None where only recorded tracks
            come.
        min_quality: least quality of a kept crop, 0 to 1.
    """

    def __init__(self, stage: VideoStage | None, min_quality: float) -> None:
        self.stage = stage
        self._min_quality = min_quality
        self._tracks: defaultdict[str, list[_View]] = defaultdict(list)
        self.images = 0
        """Images looked at."""

    def push(self, elapsed_ns: int, image: NDArray[np.uint8]) -> None:
        """Look at the next image.

        Args:
            elapsed_ns: its time since the start of the item [ns].
            image: (height, width, 3) BGR.

        Raises:
            ImageError: the image has another shape or type.
        """
        assert self.stage is not None
        tracks = self.stage.push(elapsed_ns, image)
        if tracks is not None:
            self.take(elapsed_ns, tracks)
        elif self.stage.trouble:
            raise ImageError(self.stage.trouble)

    def take(self, elapsed_ns: int, tracks: FrameTracks) -> None:
        """Take what was found in the next image; its time as for `push`."""
        self.images += 1
        for face in tracks.faces:
            self._tracks[face.face_id].append(
                _View(
                    to_s(elapsed_ns),
                    face.crop,
                    _in_pixels(face, tracks.width, tracks.height),
                    face.box,
                    face.quality >= self._min_quality,
                )
            )

    def finish(self, whose: Whose | None = None) -> tuple[Features | None, str]:
        """Crops, times and landmarks of the face; None, and why, if there are none.

        Args:
            whose: which face; None: the main one.
        """
        if self.images == 0:
            return None, "it contains no image"
        if not self._tracks:
            return None, f"no face was found in {self.images} images"
        tracks = self._meant(whose or Whose())
        if not tracks:
            return None, "faces were found, but none with the box or id of the label"
        longest = max(
            tracks, key=lambda views: (len(views), sum(view.box.area for view in views))
        )
        views = [view for view in longest if view.readable]
        if not views:
            return None, (
                f"a face was found in {len(longest)} of {self.images} images, but it is too "
                "small, blurred or turned away"
            )
        return _features(views), ""

    def _meant(self, whose: Whose) -> list[list[_View]]:
        """The tracks that may be of the face that is meant."""
        tracks = dict(self._tracks)
        if any(name in tracks for name in whose.ids):
            return [[view for name in whose.ids for view in tracks.get(name, [])]]
        box = whose.box
        if box is None:
            # Ids are of one run only; images that are looked at anew give others.
            return list(tracks.values()) if not whose.ids or self.stage else []
        return [
            views
            for views in tracks.values()
            if np.mean([_overlap(view.box, box) for view in views]) > _SAME_PLACE
        ]


def _overlap(one: Box, other: Box) -> float:
    """Of two boxes, intersection over union."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.area + other.area - shared) if shared else 0.0


def _features(views: list[_View]) -> Features:
    empty = np.full((LANDMARKS, 2), np.nan, np.float32)
    return Features(
        faces=np.stack([view.crop for view in views]),
        face_times_s=np.array([view.time_s for view in views], np.float32),
        landmarks=np.stack(
            [empty if view.landmarks is None else view.landmarks for view in views]
        ),
    )


def _in_pixels(face: FaceTrack, width: int, height: int) -> NDArray[Any] | None:
    if face.landmarks is None:
        return None
    return face.landmarks[:, :2] * np.array([width, height], np.float32)
