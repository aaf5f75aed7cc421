"""A video file of images and sound, both placed by their sensor time."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.sink.output_file import OutputError, replaced
from avemo_ros.source.media_tracks import ffmpeg_name
from avemo_ros.timing import NS_PER_S

_TICKS: Final = 90_000
"""Time base of the images [1/s]; frames need not be evenly spaced."""
_RATE: Final = 48_000
"""Sample rate of the sound in the file [Hz]."""
_TOLERANCE_S: Final = 0.05
"""Sound is moved to its stamp only when it strays further than this [s]."""
_CODECS: Final = (
    ("libx264", {"preset": "veryfast", "crf": "21"}),
    ("mpeg4", {"q:v": "4"}),
)
_LARGE: Final = 4_000_000
"""For images of more pixels the encoder looks less ahead, which takes half of the memory."""
_FRUGAL: Final = {"rc-lookahead": "1", "bf": "0", "refs": "1"}


class VideoWriter:
    """Writes an MP4 (H.264 where the encoder is there, else MPEG-4) with AAC sound.

    Use as a context manager; the file appears under its name when the block ends well, and as
    `NAME.partial.mp4` when it is interrupted.  Sound and images may come in any interleaving.
    """

    def __init__(self, path: Path, start_ns: int, *, sound: bool, rate: float = 30.0) -> None:
        """
        Args:
            path: `.mp4` file to write.
            start_ns: sensor time of the file's beginning [ns]; what is earlier is left out.
            sound: whether there will be sound; without, no sound track is made.
            rate: expected frames per second; a hint for the encoder, stamps decide.

        Raises:
            OutputError: the name does not end in .mp4.
        """
        if path.suffix.lower() != ".mp4":
            raise OutputError(f"cannot write {path}: the name of a video must end in .mp4")
        self._path = path
        self._start_ns = start_ns
        self._with_sound = sound
        self._fps = Fraction(rate).limit_denominator(1001)
        self._stack = ExitStack()
        self._file: Any = None
        self._video: Any = None
        self._audio: Any = None
        self._resampler: Any = None
        self._source_rate = 0
        self._samples = 0
        self._last_tick = -1
        self._waiting: list[AudioBlock] = []

    def __enter__(self) -> VideoWriter:
        """Raises OutputError when the file cannot be written."""
        partial = self._stack.enter_context(replaced(self._path))
        self._stack.callback(self._finish)
        self._file = av.open(ffmpeg_name(partial), "w", format="mp4")
        return self

    def push_frame(self, stamp_ns: int, image: NDArray[np.uint8]) -> None:
        """Add an image, (height, width, 3) BGR; the first one sets the size for all.

        Raises:
            OutputError: the disk is full or gone.
        """
        tick = (stamp_ns - self._start_ns) * _TICKS // NS_PER_S
        if tick <= self._last_tick:
            return
        self._last_tick = tick
        if self._video is None:
            self._open_streams(image)
        # H.264 as everyone plays it halves the colour planes: odd sides lose a line.
        size = (self._video.width, self._video.height)
        if image.shape[1] // 2 * 2 == size[0] and image.shape[0] // 2 * 2 == size[1]:
            fitting = image[: size[1], : size[0]]
        else:
            fitting = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(fitting), format="bgr24")
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
        self._mux(self._video, frame)

    def push_audio(self, block: AudioBlock) -> None:
        """Add sound; holes are filled with silence, what overlaps is left out.

        Raises:
            OutputError: the disk is full or gone.
        """
        if not self._with_sound:
            return
        if self._video is None:
            # An MP4 wants all its tracks before the first data, and the size is not known yet.
            self._waiting.append(block)
            return
        due = round((block.stamp_ns - self._start_ns) * _RATE / NS_PER_S)
        ahead = due - self._samples
        if ahead > _TOLERANCE_S * _RATE:
            self._encode_sound(np.zeros(ahead, np.float32))
        mono = block.samples.mean(axis=1, dtype=np.float32)
        late = self._samples - due
        if late > _TOLERANCE_S * _RATE:
            mono = mono[min(len(mono), late * block.rate // _RATE) :]
        if len(mono) == 0:
            return
        if self._resampler is None or block.rate != self._source_rate:
            self._drain_resampler()
            self._resampler = av.AudioResampler("fltp", "mono", _RATE)
            self._source_rate = block.rate
        frame = av.AudioFrame.from_ndarray(mono[None], format="fltp", layout="mono")
        frame.sample_rate = block.rate
        for resampled in self._resampler.resample(frame):
            self._encode_sound(resampled.to_ndarray()[0])

    def _open_streams(self, image: NDArray[np.uint8]) -> None:
        name, options = next(
            (codec for codec in _CODECS if codec[0] in av.codecs_available), _CODECS[-1]
        )
        if name == "libx264" and image.shape[0] * image.shape[1] > _LARGE:
            options = options | _FRUGAL
        video = self._file.add_stream(name, rate=self._fps, options=options)
        video.width, video.height = image.shape[1] // 2 * 2, image.shape[0] // 2 * 2
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, _TICKS if name == "libx264" else 1000)
        if self._with_sound:
            self._audio = self._file.add_stream("aac", rate=_RATE, layout="mono")
            self._audio.bit_rate = 96_000
        self._video = video
        waiting, self._waiting = self._waiting, []
        for block in waiting:
            self.push_audio(block)

    def _encode_sound(self, samples: NDArray[np.float32]) -> None:
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = _RATE
        frame.pts, frame.time_base = self._samples, Fraction(1, _RATE)
        self._samples += len(samples)
        self._mux(self._audio, frame)

    def _drain_resampler(self) -> None:
        if self._resampler is not None:
            for resampled in self._resampler.resample(None):
                self._encode_sound(resampled.to_ndarray()[0])

    def _mux(self, stream: Any, frame: Any) -> None:
        try:
            self._file.mux(stream.encode(frame))
        except (FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error

    def _finish(self) -> None:
        """Ends the file properly, after an interruption too: what is there can be played."""
        try:
            if self._video is not None:
                self._drain_resampler()
                self._mux(self._video, None)
                if self._audio is not None:
                    self._mux(self._audio, None)
        finally:
            self._file.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._video is None:
            missing = OutputError(f"cannot write {self._path}: there was no image")
            self._stack.__exit__(type(missing), missing, None)
            raise missing
        self._stack.__exit__(kind, error, trace)
