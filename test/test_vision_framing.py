"""The command that measures framings: what it cuts, what it counts, what it prints."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_scene import sample_pictures
from tiny_models import FACE, LIVE, SPEECH, made, spec

from avemo_ros.config import VisionConfig
from avemo_ros.data.item import Item
from avemo_ros.model.bundle import save_model
from avemo_ros.train.framing import main
from avemo_ros.train.framing_clips import read_clip
from avemo_ros.train.framing_faces import COLUMNS, FacePlace, enlarged, find_faces
from avemo_ros.train.framing_scores import score
from avemo_ros.train.framing_ways import BOX, FRAMINGS, LEVEL, PRESENT, Framing, outside, whole
from avemo_ros.vision.alignment import EYE_DISTANCE, EYE_HEIGHT, Eyes, align
from avemo_ros.vision.analyzer import FaceAnalyzer

FLAT = np.full((48, 48), 90, np.uint8)


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    """Four crops of the sample at 48x48 pixels."""
    analyzer = FaceAnalyzer(VisionConfig(crop_size=48))
    found = [
        analyzer.process(index, picture).faces[0].crop
        for index, picture in enumerate(sample_pictures()[:40:10])
    ]
    analyzer.close()
    return found


@pytest.fixture
def fer2013(crops: list[np.ndarray], tmp_path: Path) -> Path:
    """FER2013 in small: a face in each of four classes and a picture without one, twice."""
    root = tmp_path / "fer2013"
    for split, word in (("train", "Training"), ("test", "PublicTest")):
        for number, label in enumerate(("angry", "happy", "neutral", "sad", "surprise")):
            picture = crops[number] if number < len(crops) else FLAT
            path = root / split / label / f"{word}_{number}.jpg"
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), picture)
    return root


def _model(folder: Path, raw: dict) -> str:
    path = folder / f"{raw['kind']}.safetensors"
    save_model(made(raw), spec(raw), path, f"tiny-{raw['kind']}")
    return str(path)


def test_the_crops_of_the_alignment_have_the_framing_they_aim_at(
    crops: list[np.ndarray],
) -> None:
    rows = find_faces(crops)
    assert rows.shape == (4, len(COLUMNS))
    x, y, distance, roll = rows[:, :4].mean(axis=0)
    assert x == pytest.approx(0.5, abs=0.02)
    assert y == pytest.approx(EYE_HEIGHT, abs=0.02)
    assert distance == pytest.approx(EYE_DISTANCE, abs=0.02)
    assert roll == pytest.approx(0.0, abs=0.05)


def test_a_picture_without_a_face_has_no_row(crops: list[np.ndarray]) -> None:
    rows = find_faces([FLAT, crops[0]])
    assert np.isnan(rows[0]).all()
    assert np.isfinite(rows[1]).all()


def test_meshes_are_read_from_the_cache_unless_it_is_of_other_pictures(
    crops: list[np.ndarray], tmp_path: Path
) -> None:
    cache = tmp_path / "faces.npz"
    first = find_faces(crops[:2], cache)
    with np.load(cache) as kept:
        np.savez(cache, rows=kept["rows"] + 1.0, pictures=kept["pictures"])
    np.testing.assert_array_equal(find_faces(crops[:2], cache), first + 1.0)
    np.testing.assert_array_equal(find_faces(crops[:1], cache), first[:1])


def test_a_whole_picture_comes_back_as_it_was(crops: list[np.ndarray]) -> None:
    large = enlarged(crops[0])
    again = align(large, whole(large.shape[0]), large.shape[0])
    np.testing.assert_array_equal(again, large[:, :, 0])


PLACE = FacePlace(Eyes(200.0, 150.0, 38.0, 0.3), 205.0, 170.0, 95.0)


def _corners(eyes: Eyes) -> np.ndarray:
    """The corners (4, 2) of the square that `align` cuts around these eyes [pixels]."""
    side = eyes.distance / EYE_DISTANCE
    cos, sin = math.cos(eyes.roll), math.sin(eyes.roll)
    square = side * (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - [0.5, EYE_HEIGHT])
    return square @ np.array([[cos, sin], [-sin, cos]]) + [eyes.x, eyes.y]


def test_the_present_framing_is_that_of_the_alignment() -> None:
    eyes = PRESENT.eyes(PLACE)
    assert (eyes.distance, eyes.roll) == (PLACE.eyes.distance, PLACE.eyes.roll)
    assert (eyes.x, eyes.y) == pytest.approx((PLACE.eyes.x, PLACE.eyes.y))
    assert PRESENT in FRAMINGS


@pytest.mark.parametrize("by", ["eyes", LEVEL, BOX])
def test_a_margin_widens_the_square_around_its_middle(by: str) -> None:
    plain, wide = (_corners(Framing(by, margin).eyes(PLACE)) for margin in (1.0, 1.2))
    middle = plain.mean(axis=0)
    np.testing.assert_allclose(wide - middle, 1.2 * (plain - middle), atol=1e-9)


def test_a_shift_moves_the_square_towards_the_chin() -> None:
    plain, moved = _corners(PRESENT.eyes(PLACE)), _corners(Framing(shift=0.05).eyes(PLACE))
    chinwards = plain[3] - plain[0]
    np.testing.assert_allclose(moved - plain, np.tile(0.05 * chinwards, (4, 1)), atol=1e-9)


def test_without_alignment_the_square_stands_upright() -> None:
    for by in (LEVEL, BOX):
        corners = _corners(Framing(by).eyes(PLACE))
        assert corners[0, 1] == pytest.approx(corners[1, 1])


def test_eyes_and_box_frame_a_face_alike(crops: list[np.ndarray]) -> None:
    place = FacePlace.of_row(find_faces(crops[:1])[0], 48.0)
    by_eyes, by_box = (_corners(Framing(by).eyes(place)) for by in (LEVEL, BOX))
    np.testing.assert_allclose(by_eyes, by_box, atol=0.1 * 48)


def test_the_share_outside_the_picture_is_told() -> None:
    assert outside(whole(60), 60, 60) == 0.0
    assert outside(whole(60), 60, 30) == pytest.approx(0.5)
    # A square of side 1.2 around one of side 1.
    wide = Eyes(30.0, 30.0 - 0.12 * 72, EYE_DISTANCE * 72, 0.0)
    assert outside(wide, 60, 60) == pytest.approx(1 - 1 / 1.44, abs=0.02)


def test_scores_are_compared_on_the_same_pictures() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    right = np.ones((100, 3), bool)
    right[:30, 1] = False  # of class 0
    right[90:95, 2] = False  # of class 1
    same, less, rare = score(right, labels, reference=0)
    assert (same.accuracy_gain.low, same.accuracy_gain.high) == (0.0, 0.0)
    assert less.accuracy.value == pytest.approx(0.7)
    assert less.accuracy.low < 0.7 < less.accuracy.high
    assert less.accuracy_gain.high < 0.0
    assert less.ua.value == pytest.approx((2 / 3 + 1) / 2)
    assert rare.accuracy.value == pytest.approx(0.95)
    assert rare.ua_gain.value == pytest.approx(-0.25)


@pytest.fixture(scope="module")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of the sample clip under a name that says 'happy'."""
    folder = tmp_path_factory.mktemp("clips")
    code = cv2.VideoWriter_fourcc(*"mp4v")
    clip = cv2.VideoWriter(str(folder / "01-01-03-01-01-01-02.mp4"), code, 30, (640, 480))
    for picture in sample_pictures()[:12]:
        clip.write(picture)
    clip.release()
    return folder


def test_the_present_framing_cuts_what_the_live_path_cuts(sample_folder: Path) -> None:
    analyzer = FaceAnalyzer(VisionConfig())
    (path,) = sample_folder.iterdir()
    clip = read_clip(Item("ravdess", "sample", path, "happy", "nobody"), analyzer)
    analyzer.close()
    assert len(clip.live) == 12
    ours, live = np.stack(clip.crops[PRESENT]).astype(float), np.stack(clip.live).astype(float)
    # Landmarks are passed on as float32 shares of the picture: the last bit may differ.
    assert np.abs(ours - live).max() <= 2.0
    assert np.abs(ours - np.stack(clip.crops[Framing(margin=1.2)])).mean() > 5.0


def test_eyes_are_printed_and_written(
    fer2013: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "eyes.json"
    assert main(["eyes", "--root", str(fer2013), "--every", "1", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "4 of 5 pictures have a mesh" in printed
    assert "eye distance" in printed
    assert json.loads(file.read_text())["all"]["faces"] == 4


def test_pictures_are_judged_in_every_framing(
    fer2013: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, model = tmp_path / "pictures.json", _model(tmp_path, FACE)
    given = ["pictures", "--root", str(fer2013), "--model", model, "--json", str(file)]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert "tiny-face_cnn on 4 of 5 pictures" in printed
    assert "UA gain" in printed
    found = json.loads(file.read_text())
    assert len(found["rows"]) == 2 + len(FRAMINGS)
    present = found["rows"][2 + FRAMINGS.index(PRESENT)]
    assert present["accuracy_gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert 0.0 <= present["ua"]["value"] <= 1.0


def test_clips_are_judged_in_every_framing(
    sample_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, model = tmp_path / "clips.json", _model(tmp_path, LIVE)
    given = ["clips", "--root", str(sample_folder), "--model", model, "--json", str(file)]
    assert main(given) == 0
    assert "tiny-live on" in capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    assert len(rows) == 1 + len(FRAMINGS)
    live, present = rows[0], rows[1 + FRAMINGS.index(PRESENT)]
    assert list(live["of_label"]) == ["happy"]
    assert present["probability"] == pytest.approx(live["probability"], abs=0.01)


def test_what_cannot_be_measured_is_refused_with_a_reason(
    fer2013: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deaf = ["pictures", "--root", str(fer2013), "--model", _model(tmp_path, SPEECH)]
    assert main(deaf) == 1
    assert "reads no faces" in capsys.readouterr().err
    shutil.rmtree(fer2013 / "train")
    assert main(["eyes", "--root", str(fer2013)]) == 1
    assert "no picture of FER2013's train part" in capsys.readouterr().err
