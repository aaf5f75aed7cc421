"""The head's pose is read off the mesh, with the signs that HeadPose names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from face_scene import degrees, made_mesh

from avemo_ros.vision.alignment import head_pose, rotation_of, rough_pose
from avemo_ros.vision.face import HeadPose

FORWARD = np.array([0.0, 0.0, -1.0])
RIGHT = np.array([1.0, 0.0, 0.0])


def test_a_head_that_looks_into_the_camera_has_no_turn() -> None:
    pose = head_pose(made_mesh(HeadPose(0.0, 0.0, 0.0)))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, 0, 0), abs=1e-6)


def test_positive_yaw_looks_to_the_right_of_the_image() -> None:
    assert (rotation_of(degrees(yaw=30)) @ FORWARD)[0] == pytest.approx(0.5)


def test_positive_pitch_looks_up() -> None:
    assert (rotation_of(degrees(pitch=30)) @ FORWARD)[1] == pytest.approx(-0.5)


def test_positive_roll_turns_clockwise_in_the_image() -> None:
    # The side that is on the right goes down, where y grows.
    assert (rotation_of(degrees(roll=30)) @ RIGHT)[1] == pytest.approx(0.5)


@pytest.mark.parametrize("yaw", [-75, -20, 0, 45])
@pytest.mark.parametrize("pitch", [-40, 0, 25])
@pytest.mark.parametrize("roll", [-100, 0, 30])
def test_every_turn_is_read_back(yaw: float, pitch: float, roll: float) -> None:
    made = degrees(yaw, pitch, roll)
    for scale in (2.0, 30.0):
        read = head_pose(made_mesh(made, scale=scale))
        assert (read.yaw, read.pitch, read.roll) == pytest.approx(
            (made.yaw, made.pitch, made.roll), abs=1e-4
        )


def test_a_mirrored_mesh_has_yaw_and_roll_of_the_other_sign() -> None:
    mesh = made_mesh(degrees(yaw=25, pitch=10, roll=-15))
    mirrored = mesh * [-1, 1, 1] + [640, 0, 0]
    # In a mirror the person's right eye is the left one.
    for right, left in ((33, 263), (133, 362), (98, 327), (21, 251), (127, 356)):
        mirrored[[right, left]] = mirrored[[left, right]]
    pose = head_pose(mirrored)
    assert [math.degrees(turn) for turn in (pose.yaw, pose.pitch, pose.roll)] == pytest.approx(
        [-25, 10, 15], abs=1e-3
    )


def test_noise_of_a_pixel_turns_the_head_by_little() -> None:
    noise = np.random.default_rng(4)
    mesh = made_mesh(degrees(yaw=10, pitch=-5, roll=3), scale=10)
    pose = head_pose(mesh + noise.normal(0, 1, mesh.shape))
    assert math.degrees(pose.yaw) == pytest.approx(10, abs=3)
    assert math.degrees(pose.pitch) == pytest.approx(-5, abs=3)
    assert math.degrees(pose.roll) == pytest.approx(3, abs=3)


@pytest.mark.parametrize(("yaw", "roll"), [(0, 0), (30, 0), (-60, 0), (20, 20)])
def test_keypoints_alone_give_yaw_and_roll(yaw: float, roll: float) -> None:
    mesh = made_mesh(degrees(yaw=yaw, roll=roll))
    eyes = np.array([mesh[[33, 133], :2].mean(axis=0), mesh[[263, 362], :2].mean(axis=0)])
    pose = rough_pose(eyes, mesh[1, :2])
    # The nose's tip is below the eyes, so a turned and rolled head is read a little wrong.
    assert math.degrees(pose.yaw) == pytest.approx(yaw, abs=3)
    assert math.degrees(pose.roll) == pytest.approx(roll, abs=3)
