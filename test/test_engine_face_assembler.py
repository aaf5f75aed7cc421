"""Another detector's ids, boxes, points and cuts become face tracks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from face_scene import degrees, sample_images
from numpy.typing import NDArray

from avemo_ros.config import VisionConfig
from avemo_ros.engine.face_assembler import (
    POINTS,
    FaceAssembler,
    FaceParts,
    pose_of_points,
    track_of,
)
from avemo_ros.model.face_points import points_of_mesh
from avemo_ros.timing import to_ns
from avemo_ros.vision.alignment import canonical_head, rotation_of
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.camera_geometry import PinholeCamera
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks, HeadPose

BOX = Box(0.4, 0.3, 0.2, 0.3)
SKULL = {
    36: (33,),
    39: (133,),
    45: (263,),
    42: (362,),
    27: (168, 6),
    30: (1,),
    31: (98,),
    35: (327,),
}


def made_points(pose: HeadPose, scale: float = 20.0) -> NDArray[np.float64]:
    """The rigid ones among the 68 points of a head in a pose, seen from afar."""
    head = canonical_head()
    points = np.zeros((POINTS, 3))
    for index, mesh in SKULL.items():
        points[index] = np.mean([head[one] for one in mesh], axis=0)
    turned = scale * points @ rotation_of(pose).T
    return turned[:, :2] + np.array([320.0, 240.0])


def cut(shade: int = 120) -> NDArray[np.uint8]:
    return np.full((128, 128, 3), shade, np.uint8)


def whole(**changes: object) -> FaceParts:
    return FaceParts(**{"box": BOX, "confidence": 0.9, "cut": cut(), **changes})


@pytest.mark.parametrize("yaw", [-50.0, -20.0, 0.0, 35.0])
@pytest.mark.parametrize("pitch", [-25.0, 0.0, 20.0])
@pytest.mark.parametrize("roll", [-40.0, 0.0, 15.0])
def test_the_pose_of_a_made_head_is_found_again(yaw: float, pitch: float, roll: float) -> None:
    wanted = degrees(yaw, pitch, roll)
    level = pose_of_points(made_points(degrees()))
    found = pose_of_points(made_points(wanted))
    assert found.yaw == pytest.approx(wanted.yaw, abs=1e-6)
    assert found.roll == pytest.approx(wanted.roll, abs=1e-6)
    # What the 68 points are known to add is the same for every pose.
    assert found.pitch - level.pitch == pytest.approx(wanted.pitch, abs=1e-6)
    assert abs(level.pitch) < math.radians(10.0)


def ids_of(tracks: list[FrameTracks]) -> list[tuple[str, ...]]:
    return [tuple(face.face_id for face in one.faces) for one in tracks]


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_parts_come_in_any_order(order: tuple[int, ...]) -> None:
    assembler = FaceAssembler(VisionConfig())
    stamp = to_ns(10.0)
    parts = [
        lambda now: assembler.push_ids(stamp, ["a", "b"], now),
        lambda now: assembler.push_part(stamp, "a", FaceParts(box=BOX, confidence=0.9), now),
        lambda now: assembler.push_part(stamp, "a", FaceParts(cut=cut()), now),
        lambda now: assembler.push_part(stamp, "b", FaceParts(box=BOX, confidence=0.8), now),
        lambda now: assembler.push_part(stamp, "b", FaceParts(cut=cut()), now),
    ]
    given = [parts[index](stamp + number) for number, index in enumerate(order)]
    assert [len(one) for one in given] == [0, 0, 0, 0, 1]
    assert ids_of(given[-1]) == [("a", "b")]
    assert given[-1][0].stamp_ns == stamp


def test_a_face_that_is_missed_is_waited_for_but_not_for_long() -> None:
    assembler = FaceAssembler(VisionConfig())
    stamp = to_ns(10.0)
    assembler.push_part(stamp, "a", whole(), stamp)
    assert assembler.push_ids(stamp, ["a", "b"], stamp) == []
    assert assembler.advance(stamp + to_ns(0.09)) == []
    assert ids_of(assembler.advance(stamp + to_ns(0.1))) == [("a",)]
    # The next image ends the wait for the one before, and what comes too late is left out.
    second, third = stamp + to_ns(0.1), stamp + to_ns(0.2)
    now = third
    assert assembler.push_ids(second, ["a"], now) == []
    assert assembler.push_part(third, "a", whole(), now) == []
    assert ids_of(assembler.push_ids(third, ["a"], now)) == [(), ("a",)]
    assert assembler.push_part(second, "a", whole(), now) == []
    assert assembler.lost == 2


def test_points_are_waited_for_where_they_came_before() -> None:
    assembler = FaceAssembler(VisionConfig())
    points = FaceParts(points=np.zeros((POINTS, 3), np.float32), size=(640, 480))
    first, second, third = to_ns(10.0), to_ns(10.1), to_ns(10.2)
    assembler.push_ids(first, ["a"], first)
    # Nothing tells that there will be points.
    assert ids_of(assembler.push_part(first, "a", whole(), first)) == [("a",)]
    assert assembler.push_part(first, "a", points, first) == []
    for stamp in (second, third):
        assembler.push_ids(stamp, ["a"], stamp)
        assert assembler.push_part(stamp, "a", whole(), stamp) == []
        if stamp == second:
            (one,) = assembler.push_part(stamp, "a", points, stamp)
            assert (one.width, one.height) == (640, 480)
    # They have stopped: one wait, and then no more.
    assert ids_of(assembler.advance(third + to_ns(0.1))) == [("a",)]
    fourth = to_ns(10.3)
    assembler.push_ids(fourth, ["a"], fourth)
    assert ids_of(assembler.push_part(fourth, "a", whole(), fourth)) == [("a",)]


def test_faces_are_used_at_most_so_many_times_a_second() -> None:
    assembler = FaceAssembler(VisionConfig(max_rate_hz=10.0))
    given = 0
    for number in range(90):
        stamp = to_ns(10.0 + number / 30)
        assembler.push_part(stamp, "a", whole(), stamp)
        given += len(assembler.push_ids(stamp, ["a"], stamp))
    assert given == pytest.approx(30, abs=1)


def test_nobody_tracked_is_a_result_too_and_time_may_start_anew() -> None:
    assembler = FaceAssembler(VisionConfig())
    assert ids_of(assembler.push_ids(to_ns(100.0), [], to_ns(100.0))) == [()]
    assert assembler.push_ids(to_ns(99.5), [], to_ns(100.1)) == []
    assert ids_of(assembler.push_ids(to_ns(5.0), [], to_ns(100.2))) == [()]


def test_ids_that_never_come_do_not_fill_the_memory() -> None:
    assembler = FaceAssembler(VisionConfig())
    for number in range(500):
        stamp = to_ns(10.0 + number / 10)
        assert assembler.push_part(stamp, "a", whole(), stamp) == []
    last = to_ns(10.0 + 499 / 10)
    assert ids_of(assembler.push_ids(last, ["a"], last)) == [("a",)]


def theirs(face: FaceTrack, image: NDArray[np.uint8]) -> FaceParts:
    """A face of ours as another detector would give it: 68 points and a cut of 128 pixels."""
    from avemo_ros.nodes.ros4hri import cropped

    height, width = image.shape[:2]
    size = np.array([width, height], np.float32)
    points = np.zeros((POINTS, 3), np.float32)
    points[:68, :2] = points_of_mesh((face.landmarks[:, :2] * size)[None])[0] / size
    points[:68, 2] = 1.0
    return FaceParts(face.box, 0.9, points, (width, height), cropped(image, face))


@pytest.mark.ros
@pytest.mark.parametrize("number", [0, 40, 74])
def test_a_real_face_is_much_the_same_as_by_our_own_detector(number: int) -> None:
    image = sample_images()[number]
    camera = PinholeCamera.of_view(640, 480, math.radians(60.0))
    analyzer = FaceAnalyzer(VisionConfig())
    analyzer.camera = camera
    (own,) = analyzer.process(0, image).faces
    analyzer.close()
    other = track_of("a", theirs(own, image), 96, camera)
    assert own.pose is not None
    assert other.pose is not None
    assert other.landmarks is None
    assert other.box == own.box
    assert other.pose.yaw == pytest.approx(own.pose.yaw, abs=0.1)
    assert other.pose.roll == pytest.approx(own.pose.roll, abs=0.05)
    assert other.distance == pytest.approx(own.distance, rel=0.1)
    assert other.mouth_opening == pytest.approx(own.mouth_opening, abs=0.08)
    inner = np.array([own.crop, other.crop], float)[:, 16:84, 20:76].reshape(2, -1)
    assert np.corrcoef(inner)[0, 1] > 0.95


def test_with_eyes_nose_and_mouth_only_there_is_no_pose_but_a_crop() -> None:
    """As hri_face_detect gives where its mesh finds nothing: pupils, nose, mouth's corners."""
    points = np.zeros((POINTS, 3), np.float32)
    for index, (x, y) in {68: (0.45, 0.4), 69: (0.55, 0.4), 30: (0.5, 0.46)}.items():
        points[index] = (x, y, 0.9)
    face = track_of("a", whole(points=points, size=(640, 480)), 96, None)
    assert face.pose is None
    assert math.isnan(face.mouth_opening)
    assert math.isnan(face.looks_at_robot)
    assert math.isnan(face.distance)
    assert face.crop.shape == (96, 96)
    turned = points.copy()
    turned[30, :2] = (0.59, 0.46)
    away = track_of("a", whole(points=turned, size=(640, 480)), 96, None)
    assert away.looks_at_robot == 0.0


def test_without_points_the_cut_is_the_crop_and_the_rest_is_not_known() -> None:
    face = track_of("a", whole(), 96, PinholeCamera.of_view(640, 480, 1.0))
    assert face.pose is None
    assert face.crop.shape == (96, 96)
    assert np.all(face.crop == 120)
    for value in (face.mouth_opening, face.looks_at_robot, face.distance):
        assert math.isnan(value)
