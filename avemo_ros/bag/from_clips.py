"""Makes bags of media files: one of each clip, or a stream of a person's utterances."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import AudioBlock, SpectrogramChunk
from avemo_ros.bag.writer import BagWriter
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.feature_extractor import InputIssues
from avemo_ros.engine.video_stage import VideoStage
from avemo_ros.errors import SourceError
from avemo_ros.model.face_points import mesh_of_points
from avemo_ros.source.media_file import MediaFile, VideoFrame, by_due_time
from avemo_ros.timing import NS_PER_S, to_ns, to_s
from avemo_ros.vision.face import LANDMARKS, Box, FaceTrack, FrameTracks

START_NS: Final = 10 * NS_PER_S
"""Time of a clip's first moment in its bag: zero means "no time" in ROS."""
_EVERY_HZ: Final = 240.0
_SHORT_S: Final = 0.5
"""A clip may end this much before its `end_s`, which may be rounded, without a note."""


@dataclass(frozen=True, slots=True)
class ClipFormat:
    """How clips are written."""

    storage: str = "mcap"
    compression: str = "none"
    jpeg_quality: int = 0
    """1 to 100: compressed images; 0: raw ones."""
    size: tuple[int, int] | None = None
    """Width and height into which images are fitted, with black borders; None: as they
    are."""
    features: PipelineConfig | None = None
    """Faces and spectrogram by these settings, instead of images and sound."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What is to be written."""

    path: Path
    start_s: float = 0.0
    """Where it begins in the file [s]."""
    end_s: float | None = None
    """Where it ends in the file [s]; None: at the file's end."""
    images: bool = True
    sound: bool = True
    """Whether these are wanted, where the file has them."""


@dataclass(slots=True)
class Extent:
    """What a bag holds; known when it is written."""

    start_ns: int = 0
    """Log time of the first message [ns]."""
    end_ns: int = 0
    """End of the last image or block of sound [ns]."""
    images: int = 0
    blocks: int = 0
    trouble: str = ""
    """What was wrong with the file; "" if nothing was."""


class ClipBag:
    """The bag of one clip: a context manager, filled by `fill`."""

    def __init__(
        self,
        path: Path,
        form: ClipFormat,
        *,
        force: bool = False,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Make the bag's folder; `notes` as for `BagWriter`.

        Raises:
            BagError: the bag is there already and not to be replaced, or cannot be written.
            ConfigError: the form is not allowed.
        """
        self._form = form
        self._writer = BagWriter(
            path,
            form.storage,
            form.compression,
            jpeg_quality=form.jpeg_quality,
            force=force,
            notes=notes,
        )

    def __enter__(self) -> ClipBag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def fill(self, clip: Clip) -> Extent:
        """Write the clip.

        Raises:
            BagError: the disk does not take it.
            SourceError: the file cannot be read, or that part of it has nothing of what is
                wanted.
        """
        extent = Extent()
        taker = _Features(self._writer, self._form) if self._form.features else None
        with MediaFile(clip.path) as media:
            frame_ns = round(NS_PER_S / media.fps) if media.fps > 0 else NS_PER_S // 25
            for log_ns, item in by_due_time(_span(media, clip)):
                if isinstance(item, AudioBlock):
                    extent.blocks += 1
                    extent.end_ns = max(extent.end_ns, log_ns)
                    (taker.hear if taker else self._writer.write_audio)(item, log_ns)
                else:
                    extent.images += 1
                    extent.end_ns = max(extent.end_ns, item.stamp_ns + frame_ns)
                    item = VideoFrame(item.stamp_ns, _fitted(item.image, self._form.size))
                    (taker.see if taker else self._writer.write_image)(item, log_ns)
            if taker is not None:
                taker.finish(extent.end_ns)
            reached_s = clip.start_s + to_s(extent.end_ns - START_NS)
            if media.notes:
                extent.trouble = "; ".join(media.notes)
            elif extent.end_ns and clip.end_s is not None and clip.end_s - reached_s > _SHORT_S:
                extent.trouble = f"ends at {reached_s:.1f} s, before its end_s {clip.end_s:g}"
        if self._writer.start_ns is None:
            raise SourceError(f"that part of {clip.path} has neither images nor audio to use")
        extent.start_ns = self._writer.start_ns
        return extent


class _Features:
    """Computes features with the engine's stages, and writes them."""

    def __init__(self, writer: BagWriter, form: ClipFormat) -> None:
        assert form.features is not None
        config = form.features
        self._writer = writer
        findings = InputIssues()
        # Every image: what reads the bag has its own limits.
        vision = config.vision.replace(max_rate_hz=_EVERY_HZ)
        self._video = VideoStage(vision, config.input, findings.of("images"))
        self._audio = AudioStage(config.audio, config.input, findings.of("sound"))

    def see(self, frame: VideoFrame, log_ns: int) -> None:
        tracks = self._video.push(frame.stamp_ns, frame.image, log_ns)
        if tracks is not None:
            self._writer.write_tracks(tracks, log_ns)

    def hear(self, block: AudioBlock, log_ns: int) -> None:
        for chunk in self._audio.push(block, log_ns):
            self._writer.write_chunk(chunk, log_ns)

    def finish(self, log_ns: int) -> None:
        for chunk in self._audio.flush():
            self._writer.write_chunk(chunk, log_ns)
        self._video.close()


def _span(media: MediaFile, clip: Clip) -> Iterator[VideoFrame | AudioBlock]:
    """The items of the clip, with the times of its bag."""
    start_ns = to_ns(clip.start_s)
    end_ns = None if clip.end_s is None else to_ns(clip.end_s)
    for item in media:
        if end_ns is not None and item.stamp_ns >= end_ns:
            return
        wanted = clip.sound if isinstance(item, AudioBlock) else clip.images
        if not wanted or item.stamp_ns < start_ns:
            continue
        stamp_ns = START_NS + item.stamp_ns - start_ns
        if isinstance(item, AudioBlock):
            yield AudioBlock(stamp_ns, item.rate, item.samples)
        else:
            yield VideoFrame(stamp_ns, item.image)


def _fitted(image: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The image scaled to fit, centred on black."""
    height, width = image.shape[:2]
    if size is None or size == (width, height):
        return image
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    fitted[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        image, inner, interpolation=way
    )
    return fitted


# Makes a stream of a person's utterances: one after the other, as a robot would hear them.
#
# The emotion changes from utterance to utterance and is known, so a stream tells how soon a
# change is noticed and how often one is noticed that was none.

_FRAME_NS: Final = NS_PER_S // 15
_WIDTH, _HEIGHT = 640, 480
_BOX: Final = Box(0.375, 0.3, 0.25, 0.33)
_SPEECH: Final = 0.5
"""Speech probability from which the mouth moves."""
_SYLLABLES_HZ: Final = 4.0
_EYES_TO_BOX: Final = 0.4
"""Distance of the eyes in a box's width."""
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
    points: NDArray[np.float32] | None = None
    """(n, 68, 2) pixels: how the points of the face moved meanwhile, n at least 1."""
    point_times_s: NDArray[np.float32] | None = None
    """(n,) when, since the part's beginning [s], ascending; with `points` only."""


@dataclass(frozen=True, slots=True)
class FeatureStream:
    """Spectrogram and face tracks of a stream."""

    items: tuple[tuple[int, FrameTracks | SpectrogramChunk], ...]
    """When each would have been known [ns], in that order."""
    spans: tuple[tuple[int, int], ...]
    """When each part begins and ends [ns]."""


def make_stream(parts: Sequence[StreamPart], config: PipelineConfig) -> FeatureStream:
    """Spectrogram and face tracks of parts, each of which begins where the one before ends.

    The sound goes through the engine's own stage.  The faces are still images.  Their points
    and mouths move as the given points do; without points the mouth moves, by `mouth_opening`,
    while speech is heard.

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
    moving = [
        None
        if one.points is None or one.point_times_s is None
        else _MovingFace(one.points, one.point_times_s)
        for one in parts
    ]
    place = 0
    for stamp_ns in range(spans[0][0], spans[-1][1], _FRAME_NS):
        while stamp_ns >= spans[place][1]:
            place += 1
        crop = parts[place].crop
        heard = min(int(np.searchsorted(ends, stamp_ns)), len(ends) - 1)
        speaks = heard >= 0 and bool(spoken[heard])
        faces: tuple[FaceTrack, ...] = ()
        face = moving[place]
        if crop is not None and face is not None:
            faces = (face.face(crop, to_s(stamp_ns - spans[place][0])),)
        elif crop is not None:
            faces = (_face(crop, stamp_ns, speaks=speaks),)
        found.append((stamp_ns, FrameTracks(stamp_ns, _WIDTH, _HEIGHT, faces)))
    return found


def _face(crop: NDArray[np.uint8], stamp_ns: int, *, speaks: bool) -> FaceTrack:
    phase = math.sin(2 * math.pi * _SYLLABLES_HZ * stamp_ns / NS_PER_S)
    opening = _OPEN * (1 + phase) / 2 if speaks else 0.0
    return FaceTrack("f0001", _BOX, 1.0, None, None, 1.0, opening, crop)


class _MovingFace:
    """The points of one part, in the middle of the image and at the size of `_BOX`; the head
    moves about its usual place."""

    def __init__(self, points: NDArray[np.float32], times_s: NDArray[np.float32]) -> None:
        self._times_s = times_s
        eyes = points[:, 36:48].reshape(-1, 2, 6, 2).mean(axis=2)
        distances = np.hypot(*(eyes[:, 1] - eyes[:, 0]).T).clip(1.0)
        gaps = np.hypot(*(points[:, 66] - points[:, 62]).T)
        self._openings = (gaps / distances).tolist()
        usual = np.median(eyes.mean(axis=1), axis=0)
        scale = _EYES_TO_BOX * _BOX.width * _WIDTH / float(np.median(distances))
        middle = (_BOX.x + _BOX.width / 2, _BOX.y + _BOX.height / 2)
        self._meshes = np.zeros((len(points), LANDMARKS, 3), np.float32)
        self._meshes[..., :2] = mesh_of_points((points - usual) * scale) / (_WIDTH, _HEIGHT)
        self._meshes[..., :2] += middle

    def face(self, crop: NDArray[np.uint8], passed_s: float) -> FaceTrack:
        """The newest that was there after so long [s]."""
        newest = max(0, int(np.searchsorted(self._times_s, passed_s, side="right")) - 1)
        mesh, opening = self._meshes[newest], self._openings[newest]
        return FaceTrack("f0001", _BOX, 1.0, mesh, None, 1.0, opening, crop)
