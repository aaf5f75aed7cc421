"""Images that can be read although nothing can be seen: what is said, and when nothing is."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from avemo_ros.config import InputConfig, VisionConfig
from avemo_ros.engine.video_stage import ImageWatch, VideoStage
from avemo_ros.source.media_file import MediaFile, VideoFrame
from avemo_ros.timing import to_ns
from avemo_ros.vision.detector import Detection
from avemo_ros.vision.face import Box, FrameTracks

SAMPLE = Path(__file__).parent / "data" / "sample.mp4"


class Silent:
    def report(self, kind: str, text: str) -> None:
        raise AssertionError(text)

    note = once = report

    def good(self) -> None:
        pass


@functools.cache
def images() -> tuple[np.ndarray, ...]:
    """Four a second, 8 s."""
    with MediaFile(SAMPLE) as media:
        frames = [item for item in media if isinstance(item, VideoFrame)]
    return tuple(frame.image for frame in frames[:: max(1, len(frames) // 60)][:32])


def watched(shown: Iterable[np.ndarray], rotate: int = 0) -> Iterator[tuple[str, str]]:
    """What is said of each image, four a second."""
    stage = VideoStage(VisionConfig(), InputConfig(image_rotate=rotate), Silent())
    watch = ImageWatch(VisionConfig(), rotate)
    for number, image in enumerate(shown):
        tracks = stage.push(to_ns(1.0 + 0.25 * number), image)
        assert tracks is not None
        assert stage.image is not None
        yield watch.look(stage.image, tracks)
    watch.close()
    watch.close()
    stage.close()


def test_usual_images_need_no_word() -> None:
    assert set(watched(images())) == {("", "")}


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_camera_on_its_side_or_upside_down_is_named_with_what_to_set(degrees: int) -> None:
    over = [np.ascontiguousarray(np.rot90(image, degrees // 90)) for image in images()]
    said = list(watched(over))
    assert said[-1][0] == "turned"
    assert f"image_rotate to {degrees} (now 0)" in said[-1][1]
    assert said[4] == ("", "")
    assert said[16][0] == "turned"
    assert set(watched(over, degrees)) == {("", "")}


def test_a_wrong_rotation_is_named_too() -> None:
    (*_, (kind, text)) = watched(images(), 180)
    assert kind == "turned"
    assert "image_rotate to 0 (now 180)" in text


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (np.random.default_rng(0).integers(0, 9, (240, 320, 3)).astype(np.uint8), "dark"),
        (np.zeros((240, 320, 3), np.uint8), "dark"),
        (np.full((240, 320, 3), 255, np.uint8), "flat"),
        (np.full((240, 320, 3), (0, 135, 0), np.uint8), "flat"),
    ],
    ids=["noise in the dark", "black", "white", "green"],
)
def test_images_without_content_are_named_after_two_seconds(
    image: np.ndarray, kind: str
) -> None:
    said = [one for one, _ in watched([image] * 16)]
    assert said == [""] * 8 + [kind] * 8


def test_a_camera_that_hangs_is_named_until_it_goes_on() -> None:
    said = [one for one, _ in watched([*images()[:4], *[images()[4]] * 24, *images()[5:9]])]
    assert said == [""] * 17 + ["frozen"] * 11 + [""] * 4


def test_a_stream_that_starts_over_is_judged_anew() -> None:
    stage = VideoStage(VisionConfig(), InputConfig(), Silent())
    watch = ImageWatch(VisionConfig())
    tracks = stage.push(to_ns(100.0), images()[0])
    stage.close()
    assert tracks is not None
    black = np.zeros((240, 320, 3), np.uint8)
    for second in (100.0, 101.5, 1.0, 2.5):
        at = tracks.__class__(to_ns(second), 320, 240, ())
        assert watch.look(black, at) == ("", "")
    assert watch.look(black, tracks.__class__(to_ns(3.0), 320, 240, ()))[0] == "dark"


class Upside:
    """A detector of one's own, for which a face is where the lower half is darker."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        half = len(image) // 2
        if image[half:].mean() > image[:half].mean() - 20:
            return []
        box = Box(0.4, 0.4, 0.2, 0.2)
        return [Detection(box, 0.9, np.full((6, 2), 0.5, np.float32))]


def test_a_detector_of_ones_own_is_the_one_that_looks_at_turned_images() -> None:
    image = np.full((240, 320, 3), 200, np.uint8)
    image[:120] = 50  # upside down for this detector
    watch = ImageWatch(VisionConfig(detector=f"{__name__}:Upside"))
    chance = np.random.default_rng(0)
    said = [("", "")]
    for number in range(40):
        noisy = image + chance.integers(0, 9, image.shape, np.uint8)
        tracks = FrameTracks(to_ns(1.0 + 0.25 * number), 320, 240, ())
        said.append(watch.look(noisy, tracks))
    watch.close()
    assert said[-1][0] == "turned"
    assert "image_rotate to 180" in said[-1][1]
