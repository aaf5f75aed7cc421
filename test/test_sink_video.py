"""The video writer: stamps, sound, odd sizes, interruptions."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.sink.output_file import OutputError
from avemo_ros.sink.video_file import VideoWriter

START_NS = 1_700_000_000_000_000_000
FRAME_NS = 33_333_333
MS = 1_000_000


def image(index: int, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : 4 * index] = (0, 200, 200)
    return image


def tone(start_ms: int, rate: int = 16_000, channels: int = 1, ms: int = 100) -> AudioBlock:
    t = (np.arange(rate * ms // 1000) + start_ms * rate // 1000) / rate
    wave = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    samples = np.repeat(wave[:, None], channels, axis=1)
    return AudioBlock(START_NS + start_ms * MS, rate, samples)


def frame_times(path: Path) -> list[float]:
    with av.open(str(path)) as file:
        return [float(frame.pts * frame.time_base) for frame in file.decode(video=0)]


def levels(path: Path, step_ms: int = 100) -> list[float]:
    """RMS of the sound, step by step."""
    with av.open(str(path)) as file:
        rate = file.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    step = rate * step_ms // 1000
    return [
        float(np.sqrt((sound[i : i + step] ** 2).mean()))
        for i in range(0, len(sound) - step + 1, step)
    ]


def test_images_lie_at_their_stamps_however_uneven(tmp_path: Path) -> None:
    stamps_ms = [0, 33, 70, 100, 300, 350]
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=False) as writer:
        for index, ms in enumerate(stamps_ms):
            writer.push_frame(START_NS + ms * MS, image(index))
    times = frame_times(tmp_path / "a.mp4")
    assert times == pytest.approx([ms / 1000 for ms in stamps_ms], abs=0.001)


def test_an_image_that_is_not_newer_is_left_out(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=False) as writer:
        for index, ms in enumerate((0, 50, 50, 20, 80)):
            writer.push_frame(START_NS + ms * MS, image(index))
    assert frame_times(tmp_path / "a.mp4") == pytest.approx([0, 0.05, 0.08], abs=0.001)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 1)])
def test_sound_of_any_form_is_kept(tmp_path: Path, rate: int, channels: int) -> None:
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=True) as writer:
        for index in range(10):
            writer.push_audio(tone(100 * index, rate, channels))
            writer.push_frame(START_NS + index * 100 * MS, image(index))
    found = levels(tmp_path / "a.mp4")
    assert len(found) == pytest.approx(10, abs=1)
    assert found[2:8] == pytest.approx([0.5 / np.sqrt(2)] * 6, rel=0.1)


def test_a_hole_in_the_sound_stays_a_hole(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=True) as writer:
        for index in range(10):
            writer.push_frame(START_NS + index * 100 * MS, image(index))
            if index not in (4, 5):
                writer.push_audio(tone(100 * index))
    found = levels(tmp_path / "a.mp4")
    assert found[2] > 0.3
    assert found[7] > 0.3
    assert min(found[4:6]) < 0.02


def test_sound_before_the_first_image_is_not_lost(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=True) as writer:
        for index in range(5):
            writer.push_audio(tone(100 * index))
        for index in range(10):
            writer.push_frame(START_NS + index * 50 * MS, image(index))
    assert levels(tmp_path / "a.mp4")[1] > 0.3


def test_announced_sound_that_never_comes_leaves_a_file_that_plays(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=True) as writer:
        for index in range(5):
            writer.push_frame(START_NS + index * FRAME_NS, image(index))
    assert len(frame_times(tmp_path / "a.mp4")) == 5


def test_odd_sizes_lose_a_line_and_later_sizes_are_fitted(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=False) as writer:
        writer.push_frame(START_NS, image(0, 97, 129))
        writer.push_frame(START_NS + FRAME_NS, image(1, 240, 320))
    with av.open(str(tmp_path / "a.mp4")) as file:
        sizes = {(frame.width, frame.height) for frame in file.decode(video=0)}
    assert sizes == {(128, 96)}


def test_an_interruption_leaves_a_partial_file_that_plays(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"

    def interrupted() -> None:
        with VideoWriter(out, START_NS, sound=True) as writer:
            for index in range(20):
                writer.push_audio(tone(33 * index, ms=33))
                writer.push_frame(START_NS + index * FRAME_NS, image(index))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not out.exists()
    assert len(frame_times(tmp_path / "a.partial.mp4")) == 20


def test_without_an_image_there_is_no_file_but_an_error(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    with (
        pytest.raises(OutputError, match="no image"),
        VideoWriter(out, START_NS, sound=True) as writer,
    ):
        writer.push_audio(tone(0))
    assert list(tmp_path.iterdir()) == []


def test_another_ending_than_mp4_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.mp4"):
        VideoWriter(tmp_path / "a.avi", START_NS, sound=False)


def test_without_h264_it_writes_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with VideoWriter(tmp_path / "a.mp4", START_NS, sound=False) as writer:
        for index in range(5):
            writer.push_frame(START_NS + index * FRAME_NS, image(index))
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert file.streams.video[0].codec_context.name == "mpeg4"
    assert len(frame_times(tmp_path / "a.mp4")) == 5
