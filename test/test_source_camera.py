"""Cameras, played by a video file: OpenCV captures from both in the same way."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from made_clips import SAMPLE

from avemo_ros.errors import SourceError
from avemo_ros.source.camera_device import Camera
from avemo_ros.source.media_file import MediaFile, VideoFrame


def test_images_are_bgr_of_the_announced_size() -> None:
    media = MediaFile(SAMPLE)
    with Camera(str(SAMPLE)) as camera:
        assert (camera.width, camera.height) == (media.width, media.height)
        assert camera.fps == pytest.approx(media.fps)
        for _ in range(3):
            image = camera.read()
            assert image.shape == (media.height, media.width, 3)
            assert image.dtype == np.uint8
            assert image.std() > 10
    assert not camera.is_open


@pytest.mark.parametrize("name", ["12:30.mp4", "file:a.mp4", "a%03d.mp4", "who?.mp4"])
def test_a_file_may_have_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).symlink_to(SAMPLE)
    with Camera(name) as camera:
        assert camera.read().std() > 10


def test_a_camera_that_stops_is_told_and_can_be_opened_again() -> None:
    camera = Camera(str(SAMPLE))
    camera.open()
    first = camera.read()
    images = sum(isinstance(item, VideoFrame) for item in MediaFile(SAMPLE))
    for _ in range(images - 1):
        camera.read()
    with pytest.raises(SourceError, match="no longer delivers images"):
        list(camera.frames())
    assert not camera.is_open
    with pytest.raises(SourceError, match="is not open"):
        camera.read()
    camera.open()
    np.testing.assert_array_equal(camera.read(), first)
    camera.close()


def test_opening_twice_and_closing_twice_does_no_harm() -> None:
    camera = Camera(str(SAMPLE))
    camera.close()
    camera.open()
    camera.read()
    camera.open()
    camera.read()
    camera.close()
    camera.close()


@pytest.mark.parametrize("device", [97, "97", "/dev/video97"])
def test_an_absent_camera_is_named_with_what_is_there(device, capfd) -> None:
    with pytest.raises(SourceError, match="camera '/dev/video97' does not exist; present: "):
        Camera(device).open()
    # OpenCV's own complaints say less and go to stderr.
    assert capfd.readouterr().err == ""


def test_what_is_no_camera_is_refused(tmp_path) -> None:
    path = tmp_path / "text.avi"
    path.write_text("no images here")
    with pytest.raises(SourceError, match="cannot be opened"):
        Camera(str(path)).open()


def test_missing_permission_is_told_with_the_group(tmp_path, monkeypatch) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(SAMPLE.read_bytes())
    # The superuser may read anything, so the answer of the system is replaced.
    monkeypatch.setattr(os, "access", lambda where, mode: Path(where) != path)
    with pytest.raises(SourceError, match="group 'video'"):
        Camera(str(path)).open()


def test_a_url_that_does_not_answer_is_refused() -> None:
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9/none' cannot be opened"):
        Camera("http://127.0.0.1:9/none").open()
