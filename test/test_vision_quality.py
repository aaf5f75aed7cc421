"""Quality is the least of its terms, and each term falls with what it measures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from face_scene import degrees, sample_images

from avemo_ros.vision.alignment import Eyes, align
from avemo_ros.vision.face import HeadPose
from avemo_ros.vision.quality import Cover, face_quality

AHEAD = degrees()
SEEN = Cover(-5.0, -5.0)


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """A clear face of the sample, (96, 96)."""
    return align(sample_images()[0], Eyes(316, 176, 92, 0.0), 96)


def test_a_large_sharp_face_that_looks_ahead_is_perfect(crop: np.ndarray) -> None:
    assert face_quality(crop, 60.0, degrees(yaw=5, pitch=-5), SEEN) == 1.0


def test_small_faces_are_worse_down_to_nothing(crop: np.ndarray) -> None:
    qualities = [
        face_quality(crop, distance, AHEAD, SEEN) for distance in (5, 8, 11, 14, 17, 20, 90)
    ]
    assert qualities == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1])


@pytest.mark.parametrize("side", [48, 96, 192])
def test_blur_lowers_quality_whatever_the_size_of_the_crop(crop: np.ndarray, side: int) -> None:
    scaled = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    qualities = [
        face_quality(cv2.GaussianBlur(scaled, (0, 0), sigma * side / 48), 60.0, AHEAD, SEEN)
        for sigma in (0.3, 1.5, 2.0, 2.5, 4.0)
    ]
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 0.9
    assert qualities[-1] < 0.1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_face_without_contrast_cannot_be_read(crop: np.ndarray, level: int) -> None:
    faint = np.clip(level + (crop.astype(float) - 128) / 40, 0, 255).astype(np.uint8)
    assert face_quality(faint, 60.0, AHEAD, SEEN) == 0.0


@pytest.mark.parametrize(
    ("pose", "wanted"),
    [
        (degrees(yaw=25), 1.0),
        (degrees(yaw=-45), 0.5),
        (degrees(yaw=65), 0.0),
        (degrees(yaw=-90), 0.0),
        (degrees(pitch=35), 0.5),
        (degrees(pitch=-50), 0.0),
        (degrees(yaw=45, pitch=44), 0.2),
        (degrees(roll=45), 1.0),
        (degrees(roll=-70), 0.5),
        (degrees(roll=180), 0.0),
    ],
)
def test_a_face_turned_away_or_on_its_side_is_worse_but_a_tilted_one_is_not(
    crop: np.ndarray, pose: HeadPose, wanted: float
) -> None:
    assert face_quality(crop, 60.0, pose, SEEN) == pytest.approx(wanted)


def test_the_worst_term_decides(crop: np.ndarray) -> None:
    assert face_quality(crop, 11.0, degrees(yaw=45), SEEN) == pytest.approx(0.25)
    assert face_quality(crop, 14.0, degrees(yaw=55), SEEN) == pytest.approx(0.25)


@pytest.mark.parametrize(("odds", "wanted"), [(-2.0, 1.0), (0.0, 1.0), (0.5, 0.5), (2.0, 0.0)])
def test_a_face_that_is_probably_hidden_cannot_be_read(
    crop: np.ndarray, odds: float, wanted: float
) -> None:
    assert face_quality(crop, 60.0, AHEAD, Cover(odds, -5.0)) == pytest.approx(wanted)
