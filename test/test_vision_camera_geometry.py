"""Distance and looks, against geometry that is computed here by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from face_scene import degrees
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from avemo_ros.vision.alignment import Eyes, rotation_of
from avemo_ros.vision.camera_geometry import (
    AVERTED,
    EYES_APART_M,
    FACING,
    PinholeCamera,
    distance_m,
    head_frames,
    looks_at_camera,
)
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose

CAMERA = PinholeCamera(640, 480, 600.0, 600.0, 320.0, 240.0)


def seen_eyes(camera: PinholeCamera, middle: NDArray[np.float64], roll: float = 0.0) -> Eyes:
    """Both eyes of a head that faces the camera, projected through the pinhole."""
    ahead = middle / np.linalg.norm(middle)
    across = np.cross([0.0, 1.0, 0.0], ahead)
    across /= np.linalg.norm(across)
    down = np.cross(ahead, across)
    line = math.cos(roll) * across + math.sin(roll) * down
    right, left = (
        np.array([camera.focal_x, camera.focal_y]) * p[:2] / p[2]
        + np.array([camera.centre_x, camera.centre_y])
        for p in (middle - line * EYES_APART_M / 2, middle + line * EYES_APART_M / 2)
    )
    x, y = (right + left) / 2
    dx, dy = left - right
    return Eyes(float(x), float(y), math.hypot(dx, dy), math.atan2(dy, dx))


@pytest.mark.parametrize("metres", [0.4, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.0), (-0.4, 0.35), (0.0, -0.4)])
@pytest.mark.parametrize("roll", [0.0, 0.5, -1.2])
def test_distance_is_that_of_a_projected_head(
    metres: float, place: tuple[float, float], roll: float
) -> None:
    middle = np.array([*place, 1.0])
    middle *= metres / np.linalg.norm(middle)
    found = distance_m(seen_eyes(CAMERA, middle, roll), CAMERA)
    assert found == pytest.approx(metres, rel=2e-3)


def test_in_the_middle_it_is_focal_length_times_eyes_over_pixels() -> None:
    eyes = Eyes(320.0, 240.0, 37.8, 0.0)
    assert distance_m(eyes, CAMERA) == pytest.approx(600.0 * 0.063 / 37.8, rel=1e-3)


def test_an_angle_of_view_gives_the_focal_length() -> None:
    # 90 degrees: half the width is as far as the image.
    camera = PinholeCamera.of_view(640, 480, math.pi / 2)
    assert camera.focal_x == pytest.approx(320.0)
    assert (camera.centre_x, camera.centre_y) == (320.0, 240.0)


def test_half_the_pixels_are_half_the_focal_length() -> None:
    half = PinholeCamera(1280, 960, 1200.0, 1210.0, 650.0, 470.0).scaled_to(640, 480)
    assert half == PinholeCamera(640, 480, 600.0, 605.0, 325.0, 235.0)


def test_images_of_another_shape_are_of_another_part_of_the_scene() -> None:
    assert CAMERA.scaled_to(640, 360) is None


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_image_shows_the_same_distance(turn: int) -> None:
    camera = PinholeCamera(640, 480, 600.0, 630.0, 300.0, 250.0)
    eyes = seen_eyes(camera, np.array([0.5, -0.2, 1.5]))
    width, height = camera.width, camera.height
    x, y = eyes.x, eyes.y
    for _ in range(turn // 90):  # clockwise: what was left is up
        x, y, width, height = height - y, x, height, width
    turned = Eyes(x, y, eyes.distance, eyes.roll + math.radians(turn))
    again = camera.turned(turn)
    assert (again.width, again.height) == (width, height)
    assert distance_m(turned, again) == pytest.approx(distance_m(eyes, camera), rel=1e-9)


@pytest.mark.parametrize("yaw", [-70.0, -25.0, 0.0, 10.0, 24.0, 45.0])
@pytest.mark.parametrize("pitch", [-30.0, 0.0, 15.0])
def test_looks_follow_the_angle_between_nose_and_camera(yaw: float, pitch: float) -> None:
    pose = degrees(yaw, pitch, roll=33.0)
    forward = rotation_of(pose) @ [0.0, 0.0, -1.0]
    angle = math.acos(float(forward @ [0.0, 0.0, -1.0]))
    expected = np.interp(angle, [FACING, AVERTED], [1.0, 0.0])
    assert looks_at_camera(pose, pose) == pytest.approx(expected, abs=1e-6)


def test_without_a_mesh_only_who_is_turned_far_is_known_to_look_away() -> None:
    assert looks_at_camera(None, degrees(yaw=60.0)) == 0.0
    assert math.isnan(looks_at_camera(None, degrees(yaw=5.0)))


# --- frames of heads


def seen_head(
    pixel: tuple[float, float], pose: HeadPose | None, metres: float = 2.0, width: int = 640
) -> FrameTracks:
    """One face whose sellion is at a pixel of CAMERA's image."""
    height = 640 * 480 // width
    mesh = np.zeros((468, 3), np.float32)
    mesh[168, :2] = pixel[0] / width, pixel[1] / height
    face = FaceTrack(
        "f1", Box(0.4, 0.4, 0.2, 0.2), 0.9, mesh, pose, 1.0, 0.0, np.zeros((48, 48), np.uint8),
        distance=metres,
    )  # fmt: skip
    return FrameTracks(1, width, height, (face,))


def test_a_head_ahead_that_looks_into_the_camera() -> None:
    head = head_frames(seen_head((320, 240), HeadPose(0.0, 0.0, 0.0)), CAMERA)["f1"]
    assert head.position == pytest.approx([0.0, 0.0, 2.0])
    out_of_the_face, left, up = head.rotation.T
    assert out_of_the_face == pytest.approx([0.0, 0.0, -1.0])
    assert left == pytest.approx([1.0, 0.0, 0.0])  # the person's left is on the image's right
    assert up == pytest.approx([0.0, -1.0, 0.0])


@pytest.mark.parametrize(
    ("pose", "out_of_the_face", "up"),
    [
        (HeadPose(math.pi / 6, 0.0, 0.0), [0.5, 0.0, -math.sqrt(0.75)], [0.0, -1.0, 0.0]),
        (HeadPose(0.0, math.pi / 6, 0.0), [0.0, -0.5, -math.sqrt(0.75)], None),
        (HeadPose(0.0, 0.0, math.pi / 2), [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]),
    ],
    ids=["to the image's right", "up", "clockwise in the image"],
)
def test_the_axes_follow_the_head(
    pose: HeadPose, out_of_the_face: list[float], up: list[float] | None
) -> None:
    head = head_frames(seen_head((320, 240), pose), CAMERA)["f1"]
    assert head.rotation[:, 0] == pytest.approx(out_of_the_face)
    if up is not None:
        assert head.rotation[:, 2] == pytest.approx(up)


@pytest.mark.parametrize("pixel", [(20.0, 240.0), (320.0, 470.0), (600.0, 30.0)])
def test_at_the_rim_who_looks_into_the_camera_points_at_it(pixel: tuple[float, float]) -> None:
    head = head_frames(seen_head(pixel, HeadPose(0.0, 0.0, 0.0)), CAMERA)["f1"]
    x, y = pixel
    assert np.linalg.norm(head.position) == pytest.approx(2.0)
    assert head.position[0] / head.position[2] == pytest.approx((x - 320) / 600, rel=1e-5)
    assert head.position[1] / head.position[2] == pytest.approx((y - 240) / 600, rel=1e-5)
    assert head.rotation[:, 0] == pytest.approx(-head.position / 2.0)
    # A rotation, and the smallest one.
    turn = Rotation.from_matrix(head.rotation)
    ahead = head_frames(seen_head((320, 240), HeadPose(0.0, 0.0, 0.0)), CAMERA)["f1"]
    apart = (turn * Rotation.from_matrix(ahead.rotation).inv()).magnitude()
    assert apart == pytest.approx(math.acos(head.position[2] / 2.0), abs=1e-6)


def test_of_a_camera_on_its_side_the_frame_is_that_of_the_images_it_sends() -> None:
    # The image had the person's head to the left; it was turned clockwise by 90 degrees.
    turned = head_frames(
        seen_head((240, 320), HeadPose(0.0, 0.0, 0.0), width=480), CAMERA.turned(90), 90
    )["f1"]
    assert turned.position == pytest.approx([0.0, 0.0, 2.0])
    assert turned.rotation[:, 2] == pytest.approx([-1.0, 0.0, 0.0])


def test_without_a_mesh_or_a_distance_there_is_no_frame() -> None:
    assert head_frames(seen_head((320, 240), None), CAMERA) == {}
    pose = HeadPose(0.0, 0.0, 0.0)
    assert head_frames(seen_head((320, 240), pose, math.nan), CAMERA) == {}
