"""From images to face tracks, with the real networks on the sample clip."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_scene import sample_images, side_by_side

from avemo_ros.config import InputConfig, VisionConfig
from avemo_ros.engine.feature_extractor import InputIssues
from avemo_ros.engine.video_stage import VideoStage
from avemo_ros.errors import ImageError
from avemo_ros.timing import to_ns
from avemo_ros.vision.alignment import EYE_DISTANCE, EYE_HEIGHT
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.camera_geometry import PinholeCamera
from avemo_ros.vision.face import LANDMARKS, FaceTrack, FrameTracks

FRAME_S = 1 / 30


@pytest.fixture
def analyzer() -> Iterator[FaceAnalyzer]:
    """One with the default settings."""
    made = FaceAnalyzer(VisionConfig())
    yield made
    made.close()


def play(
    analyzer: FaceAnalyzer, images: list[np.ndarray], start_s: float = 0.0
) -> list[FrameTracks]:
    """The images at 30 per second."""
    return [
        analyzer.process(to_ns(start_s + index * FRAME_S), image)
        for index, image in enumerate(images)
    ]


def test_how_far_a_face_is_follows_from_the_angle_of_view() -> None:
    stage = VideoStage(
        VisionConfig(horizontal_fov_deg=60.0), InputConfig(), InputIssues().of("images")
    )
    turned = VideoStage(
        VisionConfig(horizontal_fov_deg=60.0),
        InputConfig(image_rotate=90),
        InputIssues().of("images"),
    )
    image = sample_images()[0]
    (one,) = stage.push(10**9, image).faces
    on_its_side = cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)
    stage.camera = PinholeCamera.of_view(640, 480, math.radians(60.0))
    (same_camera,) = stage.push(2 * 10**9, image).faces
    stage.close()
    # Of the pinhole: focal length times the eyes' distance in the scene over that in pixels.
    corners = one.landmarks[[33, 133, 263, 362]] * [640, 480, 640]
    pixels = np.linalg.norm(corners[:2].mean(axis=0) - corners[2:].mean(axis=0))
    focal = 320.0 / math.tan(math.radians(30.0))
    assert one.distance == pytest.approx(focal * 0.063 / pixels, rel=0.03)
    assert same_camera.distance == pytest.approx(one.distance, rel=0.02)
    assert one.looks_at_robot > 0.5
    # The angle is that of the image as the camera gives it, here 480 pixels wide.
    (tall,) = turned.push(10**9, on_its_side).faces
    turned.close()
    wide = 240.0 / math.tan(math.radians(30.0))
    assert tall.distance == pytest.approx(one.distance * wide / focal, rel=0.05)


def test_without_camera_and_angle_no_distance_is_claimed(analyzer: FaceAnalyzer) -> None:
    (face,) = analyzer.process(0, sample_images()[0]).faces
    assert math.isnan(face.distance)
    assert 0.0 <= face.looks_at_robot <= 1.0


def same(one: FaceTrack, other: FaceTrack) -> bool:
    """Equal to the last bit."""
    assert one.landmarks is not None
    assert other.landmarks is not None
    return (
        (one.face_id, one.box, one.confidence, one.pose, one.quality, one.mouth_opening)
        == (
            other.face_id,
            other.box,
            other.confidence,
            other.pose,
            other.quality,
            other.mouth_opening,
        )
        and np.array_equal(one.landmarks, other.landmarks)
        and np.array_equal(one.crop, other.crop)
    )


def test_the_face_of_the_sample_is_followed_under_one_id(analyzer: FaceAnalyzer) -> None:
    frames = play(analyzer, list(sample_images()))
    assert [len(frame.faces) for frame in frames] == [1] * len(frames)
    assert {frame.faces[0].face_id for frame in frames} == {"f0001"}


def test_a_face_track_holds_what_it_promises(analyzer: FaceAnalyzer) -> None:
    image = sample_images()[0]
    frame = analyzer.process(123, image)
    assert (frame.stamp_ns, frame.width, frame.height) == (123, 640, 480)
    (face,) = frame.faces
    assert 0.5 <= face.confidence <= 1
    assert 0.8 < face.quality <= 1
    assert 0 <= face.mouth_opening < 0.2
    assert face.crop.shape == (96, 96)
    assert face.crop.dtype == np.uint8
    assert face.landmarks is not None
    assert face.landmarks.shape == (LANDMARKS, 3)
    assert face.landmarks.dtype == np.float32
    low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
    assert (face.box.x, face.box.y) == pytest.approx(low.tolist(), abs=1e-6)
    assert (face.box.x + face.box.width, face.box.y + face.box.height) == pytest.approx(
        high.tolist(), abs=1e-6
    )
    assert face.pose is not None
    assert max(abs(face.pose.yaw), abs(face.pose.pitch), abs(face.pose.roll)) < 0.4


def test_the_crop_shows_the_eyes_where_training_has_them(analyzer: FaceAnalyzer) -> None:
    (face,) = analyzer.process(0, sample_images()[0]).faces
    crop = cv2.GaussianBlur(face.crop, (0, 0), 2).astype(float)
    row = round(EYE_HEIGHT * 96)
    # An eye is the darkest spot of its neighbourhood.
    for side in (-0.5, 0.5):
        column = round((0.5 + side * EYE_DISTANCE) * 96)
        near = crop[row - 8 : row + 9, column - 8 : column + 9]
        down, across = np.unravel_index(near.argmin(), near.shape)
        assert abs(down - 8) <= 4
        assert abs(across - 8) <= 4


@pytest.mark.parametrize("reach", ["short", "full"])
def test_two_fresh_analyzers_give_identical_tracks(reach: str) -> None:
    runs = []
    for _ in range(2):
        analyzer = FaceAnalyzer(VisionConfig(detector_range=reach))
        runs.append(play(analyzer, list(sample_images()[:20])))
        analyzer.close()
    for one, other in zip(*runs, strict=True):
        assert len(one.faces) == len(other.faces) == 1
        assert same(one.faces[0], other.faces[0])


def test_after_a_reset_an_analyzer_gives_what_a_fresh_one_gives_under_a_new_id(
    analyzer: FaceAnalyzer,
) -> None:
    images = list(sample_images()[:8])
    first = play(analyzer, images, start_s=1000.0)
    analyzer.reset()
    second = play(analyzer, images, start_s=1.0)
    assert {frame.faces[0].face_id for frame in second} == {"f0002"}
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.faces[0].crop, other.faces[0].crop)
        assert one.faces[0].box == other.faces[0].box


def test_two_people_keep_their_ids_side_by_side(analyzer: FaceAnalyzer) -> None:
    clip = sample_images()
    images = [side_by_side(clip[index], clip[index + 20][:, ::-1]) for index in range(30)]
    frames = play(analyzer, images)
    assert all(len(frame.faces) == 2 for frame in frames)
    for frame in frames:
        places = {face.face_id: face.box.x < 0.5 for face in frame.faces}
        assert places == {face.face_id: face.box.x < 0.5 for face in frames[0].faces}


def test_a_second_person_who_comes_in_is_found_within_a_quarter_second(
    analyzer: FaceAnalyzer,
) -> None:
    clip = sample_images()
    alone = side_by_side(clip[0], np.full_like(clip[0], 120))
    both = side_by_side(clip[0], clip[10])
    frames = play(analyzer, [alone] * 10 + [both] * 8)
    assert {len(frame.faces) for frame in frames[:10]} == {1}
    assert len(frames[-1].faces) == 2
    assert frames[-1].faces[0].face_id == "f0001"


def test_max_faces_is_kept() -> None:
    analyzer = FaceAnalyzer(VisionConfig(max_faces=1))
    clip = sample_images()
    frames = play(analyzer, [side_by_side(clip[0], clip[10])] * 10)
    analyzer.close()
    assert all(len(frame.faces) == 1 for frame in frames)
    assert {frame.faces[0].face_id for frame in frames} == {"f0001"}


def test_a_face_covered_for_a_moment_comes_back_with_its_id(analyzer: FaceAnalyzer) -> None:
    shown = list(sample_images()[:24])
    covered = [np.full_like(shown[0], 120)] * 12
    frames = play(analyzer, shown[:10] + covered + shown[10:])
    assert all(not frame.faces for frame in frames[10:22])
    assert all(frame.faces[0].face_id == "f0001" for frame in frames[22:])


def test_a_face_away_for_longer_than_the_timeout_gets_a_new_id(analyzer: FaceAnalyzer) -> None:
    shown = list(sample_images()[:10])
    covered = [np.full_like(shown[0], 120)] * 22
    frames = play(analyzer, shown[:5] + covered + shown[5:])
    assert frames[4].faces[0].face_id == "f0001"
    assert frames[27].faces[0].face_id == "f0002"


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.random.default_rng(5).integers(0, 256, (480, 640, 3)).astype(np.uint8),
    ],
    ids=["black", "white", "noise"],
)
def test_where_there_is_no_face_none_is_found(
    analyzer: FaceAnalyzer, image: np.ndarray
) -> None:
    assert all(not frame.faces for frame in play(analyzer, [image] * 3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (300, 2), (7, 5)])
def test_images_too_small_for_a_face_are_survived(
    analyzer: FaceAnalyzer, shape: tuple[int, int]
) -> None:
    assert not analyzer.process(0, np.full((*shape, 3), 90, np.uint8)).faces


def test_an_image_of_another_size_midway_is_survived(analyzer: FaceAnalyzer) -> None:
    image = sample_images()[0]
    sizes = [(640, 480), (320, 240), (1280, 960), (640, 480)]
    images = [cv2.resize(image, size) for size in sizes]
    frames = play(analyzer, images)
    assert [frame.width for frame in frames] == [640, 320, 1280, 640]
    assert {frame.faces[0].face_id for frame in frames} == {"f0001"}


def test_equal_and_falling_stamps_are_survived(analyzer: FaceAnalyzer) -> None:
    for stamp_s in (10.0, 10.0, 9.9, 2.0, 2.1):
        frame = analyzer.process(to_ns(stamp_s), sample_images()[0])
        assert frame.faces[0].face_id == "f0001"


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((480, 640, 3), np.float64),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_a_wrong_image_is_refused_and_the_next_good_one_is_read(
    analyzer: FaceAnalyzer, wrong: np.ndarray
) -> None:
    analyzer.process(0, sample_images()[0])
    with pytest.raises(ImageError):
        analyzer.process(to_ns(FRAME_S), wrong)
    frame = analyzer.process(to_ns(2 * FRAME_S), sample_images()[1])
    assert frame.faces[0].face_id == "f0001"


def test_a_grey_image_and_a_read_only_one_are_read(analyzer: FaceAnalyzer) -> None:
    grey = cv2.cvtColor(sample_images()[0], cv2.COLOR_BGR2GRAY)
    assert len(analyzer.process(0, grey).faces) == 1
    assert not sample_images()[1].flags.writeable
    assert len(analyzer.process(to_ns(FRAME_S), sample_images()[1]).faces) == 1


def test_the_image_is_left_as_it_was(analyzer: FaceAnalyzer) -> None:
    image = sample_images()[0].copy()
    analyzer.process(0, image)
    assert image.flags.writeable
    assert np.array_equal(image, sample_images()[0])


def test_a_mirrored_image_mirrors_the_pose(analyzer: FaceAnalyzer) -> None:
    turned = cv2.warpAffine(
        sample_images()[0],
        cv2.getRotationMatrix2D((320, 200), -20, 1),  # OpenCV's positive is counterclockwise
        (640, 480),
        borderMode=cv2.BORDER_REPLICATE,
    )
    plain = analyzer.process(0, turned).faces[0].pose
    analyzer.reset()
    mirrored = analyzer.process(0, np.ascontiguousarray(turned[:, ::-1])).faces[0].pose
    assert plain is not None
    assert mirrored is not None
    assert math.degrees(plain.roll) == pytest.approx(20, abs=6)
    assert math.degrees(mirrored.roll) == pytest.approx(-20, abs=6)
    assert mirrored.yaw == pytest.approx(-plain.yaw, abs=0.08)
    assert mirrored.pitch == pytest.approx(plain.pitch, abs=0.08)


def test_a_tilted_face_gives_the_same_crop_as_an_upright_one(analyzer: FaceAnalyzer) -> None:
    image = sample_images()[0]
    upright = analyzer.process(0, image).faces[0].crop.astype(float)
    turn = cv2.getRotationMatrix2D((316, 200), 35, 1)
    tilted_image = cv2.warpAffine(image, turn, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    analyzer.reset()
    tilted = analyzer.process(0, tilted_image).faces[0].crop.astype(float)
    inner = slice(20, 76)
    assert np.corrcoef(upright[inner, inner].ravel(), tilted[inner, inner].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("reach", ["short", "full"])
@pytest.mark.parametrize("height", [240, 300, 420])
def test_a_close_face_is_found_by_either_detector(reach: str, height: int) -> None:
    # The face is 160 pixels high, so up to two thirds of the image.
    part = sample_images()[0][220 - height // 2 : 220 + height // 2, 140:500]
    analyzer = FaceAnalyzer(VisionConfig(detector_range=reach))
    faces = analyzer.process(0, np.ascontiguousarray(part)).faces
    analyzer.close()
    assert len(faces) == 1
    assert faces[0].landmarks is not None


def test_the_same_face_further_away_has_less_quality(analyzer: FaceAnalyzer) -> None:
    image = sample_images()[0]
    qualities = []
    for scale in (0.5, 0.2, 0.14):
        far = np.full((240, 320, 3), 120, np.uint8)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        far[: small.shape[0], : small.shape[1]] = small
        analyzer.reset()
        (face,) = analyzer.process(0, far).faces
        qualities.append(face.quality)
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 0.9
    assert qualities[-1] < 0.6


@pytest.mark.parametrize("scale", [0.3, 0.22])
@pytest.mark.parametrize("place", [(200, 300), (700, 250)])
def test_a_far_face_in_a_large_image_has_a_mesh_at_its_place(
    analyzer: FaceAnalyzer, scale: float, place: tuple[int, int]
) -> None:
    # 50 and 36 pixels high: in the network's 192 pixels across 7 and 5.
    small = cv2.resize(
        sample_images()[0], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    far = np.full((720, 1280, 3), 120, np.uint8)
    left, top = place
    far[top : top + small.shape[0], left : left + small.shape[1]] = small
    frames = play(analyzer, [far] * 8)
    assert all(len(frame.faces) == 1 for frame in frames)
    (face,) = frames[-1].faces
    assert face.landmarks is not None
    # In the sample the face is around (316, 200).
    assert (face.box.x + face.box.width / 2) * 1280 == pytest.approx(left + scale * 316, abs=6)
    assert (face.box.y + face.box.height / 2) * 720 == pytest.approx(top + scale * 200, abs=12)


def test_faces_are_followed_through_a_real_clip_of_speech(
    analyzer: FaceAnalyzer, shared_data: Path
) -> None:
    clip = cv2.VideoCapture(str(shared_data / "clips" / "01-01-01-01-01-02-01.mp4"))
    images = []
    while True:
        read, image = clip.read()
        if not read:
            break
        images.append(image)
    clip.release()
    frames = play(analyzer, images)
    assert len(frames) > 90
    assert all(len(frame.faces) == 1 for frame in frames)
    assert {frame.faces[0].face_id for frame in frames} == {"f0001"}
    assert min(frame.faces[0].quality for frame in frames) > 0.8
    openings = [frame.faces[0].mouth_opening for frame in frames]
    # Silent at the start, speaking in the middle.
    assert max(openings[:15]) < 0.06
    assert max(openings[30:70]) > 0.1


def test_an_analyzer_made_in_one_thread_works_in_another(analyzer: FaceAnalyzer) -> None:
    with ThreadPoolExecutor(1) as worker:
        frame = worker.submit(analyzer.process, 0, sample_images()[0]).result(timeout=240)
    assert len(frame.faces) == 1


def test_closing_twice_is_harmless() -> None:
    analyzer = FaceAnalyzer(VisionConfig())
    analyzer.close()
    analyzer.close()


def test_the_networks_start_without_printing_anything() -> None:
    program = (
        "from avemo_ros.config import VisionConfig\n"
        "from avemo_ros.vision.analyzer import FaceAnalyzer\n"
        "import numpy as np\n"
        "analyzer = FaceAnalyzer(VisionConfig())\n"
        "analyzer.process(0, np.zeros((48, 64, 3), np.uint8))\n"
        "analyzer.close()\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=Path(__file__).parents[1],
    )
    assert result.returncode == 0
    assert result.stdout + result.stderr == ""
