"""Small media files of any kind, made at run time, and what is read from them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from sounds import tone

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.timing import NS_PER_S

FPS = 25


def write_media(
    path: Path,
    *,
    seconds: float = 1.0,
    video: str | None = "mpeg4",
    audio: str | None = "aac",
    rate: int = 48000,
    channels: int = 2,
    sound: np.ndarray | None = None,
    audio_starts_s: float = 0.0,
    frame_ms: list[int] | None = None,
    rotation: int = 0,
    matrix: list[int] | None = None,
    aspect: tuple[int, int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip whose images get brighter with time and whose sound is a 440 Hz tone."""
    with av.open(str(path), "w", options=options or {}) as container:
        images = speech = None
        if video:
            images = container.add_stream(video, rate=FPS)
            images.width, images.height, images.pix_fmt = 64, 48, "yuv420p"
            tick = Fraction(1, 1000) if frame_ms else Fraction(1, FPS)
            images.codec_context.time_base = tick
            if aspect:
                images.codec_context.sample_aspect_ratio = Fraction(*aspect)
            if rotation:
                images.set_display_rotation(rotation)
            if matrix:
                images.set_display_matrix(matrix)
        if audio:
            speech = container.add_stream(audio, rate=rate)
            speech.layout = "mono" if channels == 1 else "stereo"
        if images is not None:
            times = frame_ms or list(range(round(seconds * FPS)))
            for number, at in enumerate(times):
                image = np.full((48, 64, 3), 20 + 200 * number // len(times), np.uint8)
                # Red at the top left, to see which way is up.
                image[:16, :16] = (0, 0, 255)
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame.pts, frame.time_base = at, tick
                container.mux(images.encode(frame))
            container.mux(images.encode())
        if speech is not None:
            samples = tone(rate, seconds) if sound is None else sound
            samples = np.repeat(samples, channels, axis=1)
            for at in range(0, len(samples), 1024):
                part = np.ascontiguousarray(samples[at : at + 1024].T)
                frame = av.AudioFrame.from_ndarray(part, "fltp", speech.layout)
                frame.sample_rate = rate
                frame.time_base = Fraction(1, rate)
                frame.pts = at + round(audio_starts_s * rate)
                container.mux(speech.encode(frame))
            container.mux(speech.encode())
    return path


def read(path: Path, **settings) -> tuple[list[VideoFrame], list[AudioBlock], MediaFile]:
    with MediaFile(path, **settings) as media:
        items = list(media)
    images = [item for item in items if isinstance(item, VideoFrame)]
    sounds = [item for item in items if isinstance(item, AudioBlock)]
    return images, sounds, media


def end_s(block: AudioBlock) -> float:
    return block.stamp_ns / NS_PER_S + len(block.samples) / block.rate
