"""Images and audio of a media file, and when a device would have sent them."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from numpy.typing import NDArray

from avemo_ros.audio.pcm import scale_to_float
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.errors import SourceError
from avemo_ros.source.media_tracks import (
    PacketOrder,
    choose_tracks,
    cut_off,
    ffmpeg_name,
    second_recording,
)
from avemo_ros.timing import NS_PER_S, to_ns, to_s

Number = TypeVar("Number", np.uint8, np.float32)

_JUMP_NS: Final = 25_000_000
"""Audio stamps of a container may be rounded or wander this far from the count of samples."""
_OVERLAP_NS: Final = 100_000_000
"""Where recordings were joined, stamps may be this far behind the sound that is there."""
_AHEAD: Final = 1024
_AHEAD_BYTES: Final = 64 << 20
"""Decoded items that wait for the other track; a track that has ended, or has a hole, is not
waited for any longer."""
_MAX_FPS: Final = 240
_COUNTED: Final = ("flac", "flv")
"""Formats whose headers count what is there, without which a missing end would not be seen.
Other announced lengths are guessed from the bit rate, or those of a longer track."""
_INDEXED: Final = ("mov", "matroska", "avi", "wav")
"""Formats that end with more than packets: an index, tags, other tracks."""
_MOST_REST: Final = 100_000
_REST_SHARE: Final = 0.1
"""More bytes than both of other files, after the last packet, are worth a note."""
_LEAST_ASPECT: Final = 0.25
"""Pixels whose sides differ by more than this ratio are a mistake: CCTV's 2CIF has 6:11, wide
PAL at half its width 128:45."""
_DISPLAY_MATRIX: Final = SideData.DISPLAYMATRIX
_MISSING_NS: Final = 500_000_000
"""Such a file that ends this much before its announced length is truncated."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """An image of a video."""

    stamp_ns: int
    """Presentation time from the start of the file [ns]."""
    image: NDArray[np.uint8]
    """(height, width, 3) BGR, as players show it: upright, with square pixels."""


class MediaFile:
    """Reads video, audio or both from any container and codec that FFmpeg knows.

    Iterating gives `VideoFrame` and `AudioBlock` in the order of their stamps.  Stamps start
    at 0 with the earliest of both streams and keep the offset between them.  Where stamps start
    anew, as in joined recordings, time goes on.  Iterating again starts from the beginning.
    Damaged parts are left out; `truncated`, `damaged` and `notes` tell afterwards.

    Images are as players show them: marks to turn or mirror them are followed, and pixels that
    are not square become so.
    """

    def __init__(self, path: str | Path, block_s: float = 0.02) -> None:
        """Look at the file.

        Args:
            path: the file.
            block_s: length of an audio block [s]; blocks before a jump and at the end are
                shorter.

        Raises:
            SourceError: the file is missing, is not media, or has neither images nor sound that
                can be decoded.
        """
        self.path = Path(path)
        self._block_s = block_s
        self._open_container: Any = None
        self._read_to = 0
        self.truncated = False
        """The file ended early (known after iterating)."""
        self.damaged = 0
        """Packets that could not be decoded (known after iterating)."""
        self.length_ns = 0
        """End of the last image or sound, as read and not as announced [ns] (known after
        iterating)."""
        with self._open() as container:
            self._tracks = choose_tracks(container, self._open)
            self.notes: list[str] = [*self._tracks.notes]
            """What is left out, missing or repaired, in sentences about the file, for whoever
            reads it to pass on (all known after iterating)."""
            video, audio = self._streams(container)
            if video is None and audio is None:
                raise SourceError(
                    f"media file '{self.path}' has neither video nor audio"
                    + "".join(f"; {note}" for note in self.notes)
                )
            self.has_video = video is not None
            self.has_audio = audio is not None
            self.duration_s = _duration_s(container)
            """Announced duration [s], which may be far from the real one; 0 if the file does
            not say."""
            self.fps = _fps(video, self.duration_s) if video is not None else 0.0
            """Mean images per second; 0 without video or if the file does not say."""
            self.rate = int(audio.rate or 0) if audio is not None else 0
            """Audio samples per second [Hz]; 0 without audio."""
            self.channels = int(audio.channels) if audio is not None else 0
            self.width, self.height = _size(container, video)
            """Size of the first image as players show it [pixels]; 0 without video."""

    def __enter__(self) -> MediaFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading; an iteration under way ends."""
        if self._open_container is not None:
            self._open_container.close()
            self._open_container = None

    def __iter__(self) -> Iterator[VideoFrame | AudioBlock]:
        self.close()
        self.truncated = False
        self.damaged = self._read_to = 0
        self.notes = [*self._tracks.notes]
        container = self._open()
        self._open_container = container
        streams = [stream for stream in self._streams(container) if stream is not None]
        may_leap = bool(container.format.flags & av.format.Flags.ts_discont.value)
        order = PacketOrder(streams, may_leap=may_leap)
        video = self._streams(container)[0]
        shape = None if video is None else _PixelShape(video)
        origin: int | None = None
        try:
            decoded = self._decoded(container, streams, order, shape)
            for stamp, item in decoded if len(streams) == 1 else _merged(decoded):
                if origin is None:
                    origin = stamp
                stamp = max(0, stamp - origin)
                if isinstance(item, AudioBlock):
                    yield AudioBlock(stamp, item.rate, item.samples)
                else:
                    assert shape is not None
                    yield VideoFrame(stamp, self._shown(item, shape))
                if self._open_container is not container:
                    return
            self._conclude(container, order, order.end_ns - (origin or 0))
        finally:
            if self._open_container is container:
                self.close()

    def _conclude(self, container: Any, order: PacketOrder, length_ns: int) -> None:
        """Take down what was wrong with the file, at its end."""
        self.length_ns = length_ns
        if not self.path.exists():
            return  # removed meanwhile; what was read stays right
        missing_ns = to_ns(self.duration_s) - length_ns
        counted = container.format.name in _COUNTED
        if cut_off(self.path) or (counted and missing_ns > _MISSING_NS):
            self.truncated = True
        if self.truncated:
            self.notes.append(
                f"it is truncated: its end is missing after {to_s(length_ns):.1f} s"
            )
        if self.damaged:
            were = "packet was" if self.damaged == 1 else "packets were"
            self.notes.append(f"{self.damaged} damaged {were} left out")
        if order.restarts:
            times = "once" if order.restarts == 1 else f"{order.restarts} times"
            self.notes.append(
                f"its time stamps start anew {times}, as in joined recordings; time goes on"
            )
        size = self.path.stat().st_size
        rest = size - self._read_to
        ends_in_index = container.format.name.partition(",")[0] in _INDEXED
        if not ends_in_index and self._read_to and rest > max(_MOST_REST, size * _REST_SHARE):
            self.notes.append(
                f"nothing of these tracks is read after byte {self._read_to} of {size}, as "
                "where other recordings were appended"
            )
        elif behind := second_recording(self.path):
            self.notes.append(
                f"a second recording is appended at byte {behind} and is not read; join "
                "recordings with FFmpeg"
            )

    def _streams(self, container: Any) -> tuple[Any, Any]:
        """Video and audio; None: there is none."""
        chosen = (self._tracks.video, self._tracks.audio)
        video, audio = (None if at is None else container.streams[at] for at in chosen)
        return video, audio

    def _open(self) -> Any:
        try:
            there, is_file = self.path.exists(), self.path.is_file()
        except OSError as error:  # such as a name that is too long
            raise SourceError(
                f"media file '{self.path}' cannot be read: {error.strerror}"
            ) from error
        if not there:
            raise SourceError(f"media file '{self.path}' does not exist")
        if not is_file:
            raise SourceError(f"'{self.path}' is not a file")
        try:
            container = av.open(
                ffmpeg_name(self.path),
                metadata_errors="replace",
                # A single image is no series, whatever '%' or '?' is in its name.
                options={"pattern_type": "none"},
            )
        except PermissionError as error:
            raise SourceError(f"media file '{self.path}' may not be read: {error}") from error
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"'{self.path}' is not a media file that can be read (it may be damaged, or "
                f"was cut off before its index was written): {error}"
            ) from error
        # FFmpeg takes any text for ANSI art.
        if container.format.name == "tty":
            container.close()
            raise SourceError(f"'{self.path}' is a text file, not a media file")
        return container

    def _decoded(
        self, container: Any, streams: list[Any], order: PacketOrder, shape: _PixelShape | None
    ) -> Iterator[tuple[int, Any]]:
        """(stamp, AudioBlock or av.VideoFrame), each kind in order."""
        cutter = _BlockCutter(self._block_s)
        frame_ns = round(NS_PER_S / self.fps) if self.fps > 0 else NS_PER_S // 25
        newest = -frame_ns
        for stream, frame in self._frames(container, streams, order, shape):
            stamp = _stamp_ns(frame)
            if stream.type == "video":
                newest = newest + frame_ns if stamp is None else stamp
                yield newest, frame
            else:
                samples = self._converted(_samples, frame)
                for block in cutter.push(stamp, int(frame.sample_rate), samples):
                    yield block.stamp_ns, block
        for block in cutter.flush():
            yield block.stamp_ns, block

    def _frames(
        self, container: Any, streams: list[Any], order: PacketOrder, shape: _PixelShape | None
    ) -> Iterator[tuple[Any, Any]]:
        """(stream, frame), as they come out of the decoders."""
        for packet in order.sorted(self._packets(container, streams)):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            if shape is not None and packet.stream.type == "video":
                shape.watch()
            yield from ((packet.stream, frame) for frame in frames)
        for stream in streams:
            try:
                frames = stream.codec_context.decode(None)  # what it still holds
            except av.FFmpegError:
                continue
            yield from ((stream, frame) for frame in frames)

    def _shown(self, frame: Any, shape: _PixelShape) -> NDArray[np.uint8]:
        """An image as players show it."""
        image = self._converted(lambda one: _upright(shape.squared(one), one), frame)
        if shape.remark and shape.remark not in self.notes:
            self.notes.append(shape.remark)
        return image

    def _converted(
        self, convert: Callable[[Any], NDArray[Number]], frame: Any
    ) -> NDArray[Number]:
        try:
            return convert(frame)
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"media file '{self.path}' holds {frame.format.name}, which cannot be "
                f"converted: {error}"
            ) from error

    def _packets(self, container: Any, streams: list[Any]) -> Iterator[Any]:
        packets = container.demux(streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                self.truncated = True
                return
            self._read_to = max(self._read_to, (packet.pos or 0) + packet.size)
            yield packet


class _BlockCutter:
    """Cuts decoded audio into blocks of one length, stamped by the count of samples."""

    def __init__(self, block_s: float) -> None:
        self._block_s = block_s
        self._rate = 0
        self._start_ns = 0
        self._count = 0
        self._lead_ns = 0
        """To be added to stamps, since sound without a stamp that they do not count."""
        self._is_stamped = True
        self._kept: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    def push(
        self, stamp_ns: int | None, rate: int, samples: NDArray[np.float32]
    ) -> list[AudioBlock]:
        blocks: list[AudioBlock] = []
        end_ns = self._time(self._count + len(self._kept))
        changed = (rate, samples.shape[1]) != (self._rate, self._kept.shape[1])
        ahead_ns = 0 if stamp_ns is None else stamp_ns + self._lead_ns - end_ns
        if ahead_ns < -_OVERLAP_NS and not self._is_stamped:
            self._lead_ns -= ahead_ns
            ahead_ns = 0
        self._is_stamped = stamp_ns is not None
        if changed or not -_OVERLAP_NS <= ahead_ns <= _JUMP_NS:
            blocks += self.flush()
            self._rate, self._count = rate, 0
            self._start_ns = end_ns + ahead_ns
            self._kept = np.zeros((0, samples.shape[1]), np.float32)
        self._kept = np.concatenate((self._kept, samples))
        length = max(1, round(self._block_s * self._rate))
        whole = len(self._kept) // length * length
        for start in range(0, whole, length):
            blocks.append(self._take(self._kept[start : start + length]))
        self._kept = self._kept[whole:]
        return blocks

    def flush(self) -> list[AudioBlock]:
        if len(self._kept) == 0:
            return []
        rest, self._kept = self._kept, self._kept[:0]
        return [self._take(rest)]

    def _take(self, samples: NDArray[np.float32]) -> AudioBlock:
        block = AudioBlock(self._time(self._count), self._rate, samples.copy())
        self._count += len(samples)
        return block

    def _time(self, count: int) -> int:
        elapsed = round(Fraction(count * NS_PER_S, self._rate)) if self._rate else 0
        return self._start_ns + elapsed


def _merged(items: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Images and sound, each in order, as one stream in order."""
    images: deque[tuple[int, Any]] = deque()
    sounds: deque[tuple[int, Any]] = deque()
    waiting = 0
    for item in items:
        (sounds if isinstance(item[1], AudioBlock) else images).append(item)
        waiting += _bytes(item[1])
        while (
            (images and sounds) or waiting > _AHEAD_BYTES or len(images) + len(sounds) > _AHEAD
        ):
            earlier = not sounds or (images and images[0][0] <= sounds[0][0])
            ready = (images if earlier else sounds).popleft()
            waiting -= _bytes(ready[1])
            yield ready
    yield from images or sounds


def _bytes(item: Any) -> int:
    """What a decoded item takes [bytes]."""
    if isinstance(item, AudioBlock):
        return item.samples.nbytes
    return sum(plane.buffer_size for plane in item.planes)


def _duration_s(container: Any) -> float:
    if container.duration is not None:
        return float(container.duration / av.time_base)
    known = [
        float(stream.duration * stream.time_base)
        for stream in container.streams
        if stream.duration is not None and stream.time_base is not None
    ]
    return max(known, default=0.0)


def _fps(video: Any, duration_s: float) -> float:
    # Some files tell the resolution of their clock instead, such as 1000.
    for rate in (video.average_rate, video.guessed_rate):
        if rate is not None and 0 < rate <= _MAX_FPS:
            return float(rate)
    return video.frames / duration_s if duration_s > 0 else 0.0


def _size(container: Any, video: Any) -> tuple[int, int]:
    if video is None:
        return 0, 0
    width, height = int(video.codec_context.width), int(video.codec_context.height)
    shape = _PixelShape(video)
    try:
        # How it is shown is known from the first image on only.
        for first in container.decode(video):
            shape.watch()
            height, width = _upright(shape.squared(first), first).shape[:2]
            break
    except (av.FFmpegError, ValueError):
        pass  # said when it is read
    return width, height


def _stamp_ns(frame: Any) -> int | None:
    if frame.pts is None or frame.time_base is None:
        return None
    stamp: int = round(frame.pts * frame.time_base * NS_PER_S)
    return stamp


class _PixelShape:
    """Makes the pixels of a stream square, as players do.

    FFmpeg's `scale` filter knows the shape that each frame was encoded with, which may change
    within a film and which PyAV does not tell.

    Args:
        video: the stream; nothing of it has been decoded yet.
    """

    def __init__(self, video: Any) -> None:
        self._codec = video.codec_context
        fixed = video.sample_aspect_ratio
        self._fixed = None if fixed == self._codec.sample_aspect_ratio else fixed
        """What the container says, where the stream says something else: it holds for the
        whole film."""
        self._form: tuple[Any, ...] = ()
        self._graph: Any = None
        self._needed = False
        self.remark = ""
        """What is done about pixels that are not square; empty: all are."""

    def watch(self) -> None:
        """Look at the shape that the decoder is at; to be called after each packet."""
        ratio = self._fixed or self._codec.sample_aspect_ratio
        if self._needed or not ratio or ratio == 1:
            return
        self._needed = _LEAST_ASPECT <= ratio <= 1 / _LEAST_ASPECT
        done = (
            "its images are stretched, as players do"
            if self._needed
            else "this is not believed, they are taken as square"
        )
        self.remark = (
            f"its pixels are not square ({ratio.numerator}:{ratio.denominator}); {done}"
        )

    def squared(self, frame: Any) -> Any:
        """The frame with square pixels: one side is stretched, neither is shrunk."""
        if not self._needed:
            return frame
        form = (frame.width, frame.height, frame.format.name)
        if form != self._form:
            self._form, self._graph = form, self._built(frame)
        self._graph.push(frame)
        return self._graph.pull()

    def _built(self, frame: Any) -> Any:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, NS_PER_S),
        )
        ratio = f"if(between(sar,{_LEAST_ASPECT},{1 / _LEAST_ASPECT}),sar,1)"
        size = f"w='round(iw*max(1,{ratio}))':h='round(ih/min(1,{ratio}))'"
        nodes = [source, graph.add("scale", f"{size}:eval=frame"), graph.add("buffersink")]
        if self._fixed:
            fixed = graph.add("setsar", f"{self._fixed.numerator}/{self._fixed.denominator}")
            nodes.insert(1, fixed)
        graph.link_nodes(*nodes).configure()
        return graph


def _upright(shown: Any, frame: Any) -> NDArray[np.uint8]:
    """The pixels of a frame, turned and mirrored as the decoded frame is marked."""
    image: NDArray[np.uint8] = shown.to_ndarray(format="bgr24")
    marks = frame.side_data.get(_DISPLAY_MATRIX)
    if marks is None:
        return image
    # A point at (x, y) is shown at (a x + c y, b x + d y); y grows downwards.
    a, b, _, c, d = np.frombuffer(marks, np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _samples(frame: Any) -> NDArray[np.float32]:
    """(n, channels) of a decoded audio frame."""
    if frame.format.name.startswith("s64"):
        # NumPy gets no 64-bit integers from PyAV.  Changing the format keeps no state.
        (frame,) = av.AudioResampler(format="fltp").resample(frame)
    channels = len(frame.layout.channels)
    raw = scale_to_float(frame.to_ndarray())
    return raw.T if frame.format.is_planar else raw.reshape(-1, channels)


ORIGIN_NS: Final = 10 * NS_PER_S
"""Time of a file's beginning, where items need times of their own: zero means "no time"."""


def from_origin(
    items: Iterable[VideoFrame | AudioBlock],
) -> Iterator[tuple[int, VideoFrame | AudioBlock]]:
    """As `by_due_time`, with stamps and times that begin at ORIGIN_NS."""
    moved = (replace(item, stamp_ns=ORIGIN_NS + item.stamp_ns) for item in items)
    return by_due_time(moved)


def by_due_time(
    items: Iterable[VideoFrame | AudioBlock],
) -> Iterator[tuple[int, VideoFrame | AudioBlock]]:
    """Items with the time at which they are to be sent, in its order [ns].

    Images are due at their stamp, sound at the end of its block.
    """
    count = itertools.count()
    waiting: list[tuple[int, int, VideoFrame | AudioBlock]] = []
    for item in items:
        due_ns = item.stamp_ns
        if isinstance(item, AudioBlock):
            due_ns += len(item.samples) * NS_PER_S // item.rate
        heapq.heappush(waiting, (due_ns, next(count), item))
        # Items come by stamp, so nothing can be due before the newest stamp any more.
        while waiting and waiting[0][0] <= item.stamp_ns:
            due_ns, _, ready = heapq.heappop(waiting)
            yield due_ns, ready
    while waiting:
        due_ns, _, ready = heapq.heappop(waiting)
        yield due_ns, ready
