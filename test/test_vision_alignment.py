"""The crop has the eyes at their place whatever the face's size, turn and place."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from face_scene import degrees, made_mesh

from avemo_ros.vision.alignment import (
    EYE_DISTANCE,
    EYE_HEIGHT,
    Eyes,
    align,
    eyes_of_keypoints,
    eyes_of_mesh,
    head_pose,
    mouth_opening,
)


def _dots(eyes: Eyes) -> np.ndarray:
    """A dark image with a soft bright dot on each eye."""
    image = np.zeros((480, 640, 3), np.float32)
    down, across = np.mgrid[:480, :640] + 0.5
    for side in (-0.5, 0.5):
        x = eyes.x + side * eyes.distance * math.cos(eyes.roll)
        y = eyes.y + side * eyes.distance * math.sin(eyes.roll)
        spread = eyes.distance / 12
        dot = np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * spread**2))
        image += 220 * dot[:, :, None]
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [48, 96, 200])
@pytest.mark.parametrize(
    "eyes",
    [
        Eyes(320.0, 240.0, 40.0, 0.0),
        Eyes(300.3, 200.7, 170.0, 0.4),
        Eyes(100.0, 150.0, 23.0, -1.2),
    ],
)
def test_the_eyes_come_to_their_place_in_the_crop(eyes: Eyes, side: int) -> None:
    crop = align(_dots(eyes), eyes, side)
    assert crop.shape == (side, side)
    assert crop.dtype == np.uint8
    for half, wanted in ((crop[:, : side // 2], -0.5), (crop[:, side // 2 :], 0.5)):
        weights = half.astype(float)
        down, across = np.mgrid[:side, : half.shape[1]] + 0.5
        x = (weights * across).sum() / weights.sum() + (side // 2 if wanted > 0 else 0)
        y = (weights * down).sum() / weights.sum()
        assert x / side == pytest.approx(0.5 + wanted * EYE_DISTANCE, abs=0.01)
        assert y / side == pytest.approx(EYE_HEIGHT, abs=0.01)


def test_a_fine_pattern_is_averaged_when_it_shrinks() -> None:
    fine = np.zeros((480, 640, 3), np.uint8)
    fine[:, ::2] = 255
    for distance in (60.0, 90.0, 150.0, 200.0):
        crop = align(fine, Eyes(320, 240, distance, 0.0), 96)
        inner = crop[30:60, 30:60].astype(float)
        assert inner.std() < 40, f"eyes {distance} pixels apart"
        assert inner.mean() == pytest.approx(127.5, abs=4)


def test_a_crop_over_the_rim_repeats_the_rim() -> None:
    image = np.full((100, 100, 3), 80, np.uint8)
    crop = align(image, Eyes(0, 0, 60, 0.3), 96)
    assert np.unique(crop).tolist() == [80]


def test_a_face_outside_the_image_gives_a_crop_and_no_error() -> None:
    image = np.full((100, 100, 3), 80, np.uint8)
    assert align(image, Eyes(-500, 900, 30, 0.0), 96).shape == (96, 96)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_tiny_images_give_a_crop(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 80, np.uint8)
    for distance in (0.0, 0.5, 300.0):
        assert align(image, Eyes(0.5, 0.5, distance, 0.0), 48).shape == (48, 48)


def test_grey_is_the_weighted_grey_of_colour() -> None:
    image = np.full((200, 200, 3), (200, 100, 50), np.uint8)
    wanted = int(cv2.cvtColor(image[:1, :1], cv2.COLOR_BGR2GRAY)[0, 0])
    assert np.unique(align(image, Eyes(100, 80, 40, 0.0), 96)).tolist() == [wanted]


@pytest.mark.parametrize("yaw", [-80, -40, 0, 60])
def test_a_turned_head_keeps_its_scale(yaw: float) -> None:
    mesh = made_mesh(degrees(yaw=yaw, pitch=10, roll=20))
    facing = made_mesh(degrees())
    turned = eyes_of_mesh(mesh, head_pose(mesh))
    assert turned.distance == pytest.approx(
        eyes_of_mesh(facing, head_pose(facing)).distance, rel=1e-4
    )
    assert turned.roll == pytest.approx(math.radians(20), abs=1e-4)


def test_without_a_mesh_the_box_bounds_the_distance_of_the_eyes() -> None:
    facing = eyes_of_keypoints(np.array([[79.0, 100.0], [121.0, 100.0]]), 100.0)
    assert (facing.x, facing.y, facing.distance) == (100.0, 100.0, 42.0)
    profile = eyes_of_keypoints(np.array([[99.0, 100.0], [101.0, 100.0]]), 100.0)
    assert profile.distance == pytest.approx(38.0)


def test_roll_of_keypoints_is_positive_clockwise() -> None:
    assert eyes_of_keypoints(np.array([[0.0, 0.0], [30.0, 30.0]]), 10.0).roll == pytest.approx(
        math.pi / 4
    )


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (40, 0, 0), (0, 30, 0), (20, -20, 70)]
)
@pytest.mark.parametrize("scale", [4.0, 25.0])
def test_the_mouth_opens_alike_in_every_pose_and_size(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    # 2 cm over eye centres 2 * 3.151 cm apart.
    mesh = made_mesh(degrees(yaw, pitch, roll), scale=scale, mouth=2.0)
    opening = mouth_opening(mesh, eyes_of_mesh(mesh, head_pose(mesh)))
    assert opening == pytest.approx(2.0 / 6.302, rel=0.01)


def test_a_closed_mouth_has_no_opening() -> None:
    mesh = made_mesh(degrees(yaw=10), mouth=0.0)
    opening = mouth_opening(mesh, eyes_of_mesh(mesh, head_pose(mesh)))
    assert opening == pytest.approx(0, abs=1e-6)
