from pathlib import Path

import numpy as np
import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.prepare import prepare
from avemo_ros.zoo.svm_features import (
    DISTANCES,
    POINTS,
    SIZE,
    LandmarkReader,
    distances,
    over_frames,
)


def mesh(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(50, 150, (frames, 468, 2)).astype(np.float32)


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def test_every_pair_of_the_points_is_measured_once() -> None:
    assert len(set(POINTS)) == len(POINTS) == 24
    assert DISTANCES == 24 * 23 // 2
    assert distances(mesh(3)).shape == (3, DISTANCES)


def test_a_distance_is_that_of_its_points_over_the_distance_of_the_eyes() -> None:
    points = mesh(1)[0].astype(float)
    right, left = points[[33, 133]].mean(0), points[[263, 362]].mean(0)
    expected = np.linalg.norm(points[POINTS[0]] - points[POINTS[1]]) / np.linalg.norm(
        left - right
    )
    assert distances(points[None])[0, 0] == pytest.approx(expected)


def test_moving_turning_and_scaling_a_face_changes_nothing() -> None:
    points = mesh(2).astype(float)
    moved = turned(points, 0.7) * 3.1 + (400, -20)
    np.testing.assert_allclose(distances(moved), distances(points), rtol=1e-9)


def test_opening_the_mouth_changes_the_distance_of_the_lips() -> None:
    points = mesh(1).astype(float)
    points[0, 13], points[0, 14] = (100, 100), (100, 101)
    opened = points.copy()
    opened[0, 14] = (100, 121)
    pairs = [(a, b) for i, a in enumerate(POINTS) for b in POINTS[i + 1 :]]
    lips = pairs.index((13, 14))
    ratio = distances(opened)[0, lips] / distances(points)[0, lips]
    assert ratio == pytest.approx(21)


def test_eyes_at_one_place_give_no_distances() -> None:
    points = mesh(1)
    points[0, [33, 133, 263, 362]] = 100
    assert np.isnan(distances(points)).all()


def test_the_statistics_are_over_the_frames_that_have_a_mesh() -> None:
    values = np.array([[1.0, 10.0], [np.nan, np.nan], [3.0, 30.0]])
    np.testing.assert_allclose(over_frames(values), [3, 30, 2, 20, 1, 10, 1, 10])


def test_a_clip_without_any_mesh_is_a_row_of_nan() -> None:
    item = Item("made", "a", Path(__file__), "happy", "s")
    nothing = np.full((2, 468, 2), np.nan, np.float32)
    features = (Features(landmarks=mesh(4)), Features(landmarks=nothing), Features())
    values = LandmarkReader().read(Corpus((item, item, item), features))
    assert values.shape == (3, SIZE)
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1:]).all()


def test_surprised_eyes_are_wider_open_than_neutral_ones(shared_data: Path) -> None:
    names = ("01-01-01-01-01-01-01", "01-01-08-01-02-02-01")
    items = [
        Item("clips", name, shared_data / "clips" / f"{name}.mp4", "", "", start_s=1.6, end_s=2)
        for name in names
    ]
    corpus, _ = prepare(items, want=frozenset({"landmarks"}), progress=False)
    values = LandmarkReader().read(corpus)
    pairs = [(a, b) for i, a in enumerate(POINTS) for b in POINTS[i + 1 :]]
    mean = len(pairs)  # the means come after the greatest values
    for lids in ((159, 145), (386, 374)):
        neutral, surprised = values[:, mean + pairs.index(lids)]
        assert surprised > 1.2 * neutral
