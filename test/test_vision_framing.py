"""The command that measured the training pictures reads back what the alignment does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from face_scene import sample_pictures

from avemo_ros.config import VisionConfig
from avemo_ros.errors import SourceError
from avemo_ros.train.framing import main, measure
from avemo_ros.vision.alignment import EYE_DISTANCE, EYE_HEIGHT
from avemo_ros.vision.analyzer import FaceAnalyzer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four crops of the sample as 48x48 JPEG, and one picture without a face."""
    analyzer = FaceAnalyzer(VisionConfig(crop_size=48))
    for index, picture in enumerate(sample_pictures()[:40:10]):
        (face,) = analyzer.process(index, picture).faces
        cv2.imwrite(str(tmp_path / f"face_{index}.jpg"), face.crop)
    analyzer.close()
    cv2.imwrite(str(tmp_path / "none.jpg"), np.full((48, 48), 90, np.uint8))
    return tmp_path


def test_the_crops_of_the_alignment_have_the_framing_they_aim_at(folder: Path) -> None:
    rows = measure(sorted(folder.glob("*.jpg")))
    assert rows.shape == (4, 7)
    x, y, distance, roll = rows[:, :4].mean(axis=0)
    assert x == pytest.approx(0.5, abs=0.02)
    assert y == pytest.approx(EYE_HEIGHT, abs=0.02)
    assert distance == pytest.approx(EYE_DISTANCE, abs=0.02)
    assert roll == pytest.approx(0.0, abs=0.05)


def test_the_command_prints_the_figures(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--root", str(folder), "--every", "1"])
    printed = capsys.readouterr().out
    assert "4 of 5 pictures have a mesh" in printed
    assert "eye distance" in printed


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"broken\.jpg"):
        measure([tmp_path / "broken.jpg"])
    with pytest.raises(SystemExit):
        main(["--root", str(tmp_path / "absent")])
