"""The sample clip: small, marked, with a face that is found and speech that is heard."""

from __future__ import annotations

import ast
from pathlib import Path

import av
import numpy as np
import pytest

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.audio.speech import SpeechBuffer
from avemo_ros.config import AudioConfig, VisionConfig
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import FrameTracks

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "test" / "data" / "sample.mp4"


@pytest.fixture(scope="module")
def tracks() -> list[FrameTracks]:
    """Faces of every second image."""
    analyzer = FaceAnalyzer(VisionConfig())
    frames = [item for item in MediaFile(SAMPLE) if isinstance(item, VideoFrame)]
    assert len(frames) == 300
    found = [analyzer.process(frame.stamp_ns, frame.image) for frame in frames[::2]]
    analyzer.close()
    return found


@pytest.fixture(scope="module")
def speech() -> dict[float, float]:
    """Probability of speech by time [s]."""
    buffer = SpeechBuffer(AudioConfig())
    heard: dict[float, float] = {}
    for item in MediaFile(SAMPLE):
        if isinstance(item, AudioBlock):
            for chunk in buffer.push(item):
                for index, probability in enumerate(chunk.speech):
                    heard[chunk.stamp_ns / 1e9 + 0.01 * index] = float(probability)
    return heard


def test_it_is_small_and_says_that_it_is_synthetic() -> None:
    assert SAMPLE.stat().st_size < 2_000_000
    with av.open(str(SAMPLE)) as file:
        assert "synthetic" in file.metadata["title"]
        assert file.duration / av.time_base == pytest.approx(10.0, abs=0.1)
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.width, video.height, float(video.average_rate)) == (640, 480, 30.0)
        assert audio.rate == 48_000


def test_the_mark_is_in_every_corner_image() -> None:
    for item in MediaFile(SAMPLE):
        if isinstance(item, VideoFrame):
            corner = item.image[455:475, 5:85]
            assert (corner > 200).all(axis=2).sum() > 30
            assert (corner < 60).all(axis=2).sum() > 30


def test_one_face_is_found_in_all_images_under_one_id(tracks: list[FrameTracks]) -> None:
    ids = [tuple(face.face_id for face in frame.faces) for frame in tracks]
    assert len(set(ids)) == 1
    assert len(ids[0]) == 1
    assert min(frame.faces[0].quality for frame in tracks) > 0.5


def test_speech_is_heard_when_the_face_speaks_and_silence_at_both_ends(
    speech: dict[float, float],
) -> None:
    def share(start: float, end: float) -> float:
        part = [value for t, value in speech.items() if start <= t < end]
        return float(np.mean(np.array(part) > 0.5))

    assert share(0.0, 1.9) == 0.0
    assert share(2.2, 4.5) > 0.6
    assert share(5.8, 8.0) > 0.6
    assert share(8.8, 10.0) == 0.0


def test_the_mouth_moves_with_the_speech(
    tracks: list[FrameTracks], speech: dict[float, float]
) -> None:
    def movement(start: float, end: float) -> float:
        part = [
            frame.faces[0].mouth_opening
            for frame in tracks
            if start <= frame.stamp_ns / 1e9 < end
        ]
        return float(np.abs(np.diff(part)).mean())

    assert movement(2.4, 4.6) > 5 * movement(0.2, 1.6)


def test_its_origin_and_terms_are_written_down() -> None:
    text = (SAMPLE.parent / "README.md").read_text()
    for part in ("sample.mp4", "public domain", "NASA", "espeak-ng", "make_sample.py"):
        assert part in text
    script = ast.parse((ROOT / "tools" / "make_sample.py").read_text())
    assert "espeak-ng" in (ast.get_docstring(script) or "")
