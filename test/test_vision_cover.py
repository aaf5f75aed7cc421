"""Faces behind masks, hands and glasses, or upside down, are not believed; others are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from face_cover import COVERS, TURNS, occluded
from face_scene import sample_images

from avemo_ros.config import EmotionConfig, VisionConfig
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face import FaceTrack
from avemo_ros.vision.quality import cover_of

LEAST = EmotionConfig().min_face_quality


@pytest.fixture(scope="module")
def analyzer() -> Iterator[FaceAnalyzer]:
    made = FaceAnalyzer(VisionConfig())
    yield made
    made.close()


def face_in(analyzer: FaceAnalyzer, image: np.ndarray) -> FaceTrack | None:
    analyzer.reset()
    return next(iter(analyzer.process(1, image).faces), None)


def test_ordinary_faces_are_believed(analyzer: FaceAnalyzer) -> None:
    for image in sample_images()[:20:4]:
        face = face_in(analyzer, image)
        assert face is not None
        assert face.quality > 0.9
        assert not math.isnan(face.mouth_opening)


@pytest.mark.parametrize("what", COVERS)
def test_what_hides_the_mouth_or_the_eyes_lowers_the_quality(
    analyzer: FaceAnalyzer, what: str
) -> None:
    image = sample_images()[0]
    clean = face_in(analyzer, image)
    assert clean is not None
    assert clean.landmarks is not None
    points = clean.landmarks[:, :2] * np.array([image.shape[1], image.shape[0]])
    chance = np.random.default_rng(0)
    believed = seen = 0
    for _ in range(12):
        face = face_in(analyzer, occluded(image, points.astype(np.float64), what, chance))
        believed += face is not None and face.quality >= LEAST
        seen += face is not None and not math.isnan(face.mouth_opening)
    assert believed <= 1
    if COVERS[what] == "mouth":
        assert seen <= 1


@pytest.mark.parametrize("turn", TURNS)
def test_a_face_that_is_turned_over_is_not_believed(analyzer: FaceAnalyzer, turn: str) -> None:
    images = [TURNS[turn](image) for image in sample_images()[:20:4]]
    faces = [face for image in images if (face := face_in(analyzer, image)) is not None]
    assert all(face.quality < LEAST for face in faces)


@pytest.mark.parametrize("side", [48, 192])
def test_the_size_of_the_crop_changes_little(analyzer: FaceAnalyzer, side: int) -> None:
    face = face_in(analyzer, sample_images()[0])
    assert face is not None
    crop = np.asarray(cv2.resize(face.crop, (side, side), interpolation=cv2.INTER_AREA))
    assert cover_of(crop).face == pytest.approx(cover_of(face.crop).face, abs=2.0)
    assert cover_of(crop).face < 0
