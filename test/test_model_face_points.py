"""The 68 points of a face, and what a network sees of them."""

from __future__ import annotations

import numpy as np
import pytest
from made_landmarks import face, sequence

from avemo_ros.model.face_points import (
    FROM_MESH,
    MIRRORED,
    POINTS,
    RATE_HZ,
    VALUES,
    chosen_of_mesh,
    mesh_of_points,
    newest_frames,
    normalise_points,
    points_of_mesh,
    resample,
)


def times(frames: int, rate: float = 30.0) -> np.ndarray:
    return np.arange(frames) / rate


def test_the_mirror_image_of_a_face_swaps_its_sides() -> None:
    points = face()
    assert np.allclose(points[list(MIRRORED)] * (-1, 1), points)
    assert [MIRRORED[MIRRORED[n]] for n in range(POINTS)] == list(range(POINTS))


def test_the_mesh_has_each_point_once_on_both_sides() -> None:
    assert len(set(FROM_MESH)) == len(FROM_MESH) == POINTS
    assert all(0 <= point < 468 for one in FROM_MESH for point in one)
    for n, other in enumerate(MIRRORED):
        assert len(FROM_MESH[n]) == len(FROM_MESH[other])


def test_points_of_a_mesh_are_means_of_its_points() -> None:
    mesh = np.random.default_rng(0).random((3, 468, 2)).astype(np.float32)
    mesh[1] = np.nan
    points = chosen_of_mesh(mesh)
    assert points.shape == (3, POINTS, 2)
    assert np.isnan(points[1]).all()
    assert np.allclose(points[0, 3], (mesh[0, 132] + mesh[0, 58]) / 2)
    assert np.array_equal(points[0, 36], mesh[0, 33])


def test_the_correction_of_a_mesh_turns_and_grows_with_the_face() -> None:
    mesh = np.random.default_rng(1).random((2, 468, 2)).astype(np.float32)
    mesh[:, [33, 133]], mesh[:, [362, 263]] = (-2.0, 0.0), (2.0, 0.5)
    angle = 0.7
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = (3 * mesh.astype(np.float64) @ turn + (200, 90)).astype(np.float32)
    wanted = 3 * points_of_mesh(mesh).astype(np.float64) @ turn + (200, 90)
    assert np.allclose(points_of_mesh(moved), wanted, atol=1e-2)
    assert not np.allclose(points_of_mesh(mesh), chosen_of_mesh(mesh), atol=1e-2)
    mesh[0] = np.nan
    assert np.isnan(points_of_mesh(mesh)[0]).all()
    assert np.isfinite(points_of_mesh(mesh)[1]).all()


def test_a_mesh_of_points_gives_them_back() -> None:
    angle = 0.3
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.concatenate((sequence(5, opens=8.0), sequence(4, seed=1) @ turn))
    mesh = mesh_of_points(points)
    assert mesh.shape == (9, 468, 2)
    # The correction is nearly singular: of float32 coordinates less than a tenth of a
    # pixel is left, with eyes 100 pixels apart.
    assert np.abs(points_of_mesh(mesh) - points).max() < 0.1


def test_the_newest_frames_begin_after_the_last_gap() -> None:
    points, when = sequence(90), times(90)
    assert newest_frames(points[:20], when[:20]) is None
    whole = newest_frames(points, when)
    assert whole is not None
    assert len(whole) == 45
    when = when + 2.0 * (np.arange(90) >= 40)
    newest = newest_frames(points, when)
    assert newest is not None
    assert len(newest) == 25
    assert np.isfinite(newest).all()
    assert newest_frames(np.full_like(points, np.nan), when) is None


def test_place_size_and_tilt_of_the_head_make_no_difference_to_the_points() -> None:
    plain = sequence(9, opens=10.0)
    angle = 0.4
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = 2.5 * plain.astype(np.float64) @ turn + (300, -40)
    one, other = normalise_points(plain), normalise_points(moved)
    assert one.shape == (9, VALUES)
    assert np.allclose(one[:, : 2 * POINTS], other[:, : 2 * POINTS], atol=1e-4)
    assert np.allclose(other[:, -4] - one[:, -4], angle, atol=1e-4)
    assert np.allclose(one[:, -1], other[:, -1], atol=1e-4)


def test_eyes_are_level_and_one_apart() -> None:
    points = normalise_points(sequence(4))[:, : 2 * POINTS].reshape(4, POINTS, 2)
    left = (points[:, 36] + points[:, 39]) / 2
    right = (points[:, 42] + points[:, 45]) / 2
    assert np.allclose(left, (-0.5, 0), atol=1e-5)
    assert np.allclose(right, (0.5, 0), atol=1e-5)


def test_the_head_that_moves_is_told() -> None:
    points = sequence(5).astype(np.float64)
    eyes = np.hypot(*(points[0, 42:48:3].mean(0) - points[0, 36:42:3].mean(0)))
    points[4] += (eyes, 0)
    head = normalise_points(points)[:, -4:]
    assert head[4, 1] - head[3, 1] == pytest.approx(1.0, abs=0.02)
    assert abs(head[4, 2] - head[3, 2]) < 0.02


def test_a_frame_without_a_face_or_without_eyes_has_no_values() -> None:
    points = sequence(4).astype(np.float64)
    points[1] = np.nan
    points[2] = 100.0
    there = np.isfinite(normalise_points(points)).all(axis=1)
    assert there.tolist() == [True, False, False, True]
    assert np.isnan(normalise_points(points[1:3])).all()


@pytest.mark.parametrize("rate", [5.0, 10.0, 15.0, 25.0])
def test_the_camera_s_rate_hardly_matters(rate: float) -> None:
    fine = times(181, 60.0)
    values = np.stack((np.sin(2 * np.pi * 0.5 * fine), fine), axis=1).astype(np.float32)
    whole, there = resample(values, fine)
    picked = np.searchsorted(fine, np.arange(0, 3.0001, 1 / rate) - 1e-9)
    fewer, some = resample(values[picked], fine[picked])
    assert there.all()
    assert some.all()
    assert abs(len(whole) - len(fewer)) <= 1
    count = min(len(whole), len(fewer))
    assert np.abs(whole[:count] - fewer[:count]).max() < 0.06


def test_sequences_have_one_rate_and_no_more_than_the_longest() -> None:
    values = np.zeros((3000, 2), np.float32)
    made, there = resample(values, times(3000))
    assert len(made) == 20 * RATE_HZ + 1
    assert there.all()
    single, _ = resample(values[:1] + 3, np.array([7.0]))
    assert single.tolist() == [[3.0, 3.0]]
    assert resample(np.full((2, 2), np.nan, np.float32), times(2))[0].shape == (0, 2)


def test_a_long_gap_has_nothing_in_it_and_a_short_one_is_bridged() -> None:
    values = np.arange(60, dtype=np.float32)[:, None]
    short, long = values.copy(), values.copy()
    short[20:28] = np.nan
    long[20:45] = np.nan
    made, there = resample(short, times(60))
    assert there.all()
    assert made[12, 0] == pytest.approx(24.0, abs=0.1)
    made, there = resample(long, times(60))
    gap = np.arange(len(made)) / RATE_HZ
    inside = (gap > 19.5 / 30) & (gap < 44.5 / 30)
    assert not there[inside].any()
    assert there[~inside].all()
    assert (made[inside] == 0).all()
