"""A face detector of the user's own, named in `vision.detector`."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from face_scene import sample_images

from avemo_ros.config import PipelineConfig, VisionConfig
from avemo_ros.engine.feature_extractor import InputIssues
from avemo_ros.engine.video_stage import VideoStage
from avemo_ros.errors import ConfigError
from avemo_ros.timing import to_ns
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.detector import Detection, LoadedDetector
from avemo_ros.vision.face import Box

IMAGE = np.zeros((120, 160, 3), np.uint8)
FACE = "Detection(Box(0.25, 0.25, 0.5, 0.5), 0.9{more})"

FOREIGN = """
import numpy as np

from avemo_ros.vision.detector import Detection
from avemo_ros.vision.face import Box


class Mine:
    def detect(self, image):
        {body}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes the module `mine` and lets it be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)

    def write(text):
        (tmp_path / "mine.py").write_text(text)
        return "mine:Mine"

    yield write
    sys.modules.pop("mine", None)


@pytest.fixture
def documented(repository, tmp_path, monkeypatch):
    """The example of docs/extending.md, ready to be imported from its folder."""
    text = (repository / "docs" / "extending.md").read_text()
    section = text[text.index("## Your own face detector") :]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found
    (tmp_path / "haar_detector.py").write_text(found.group(1))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path, "haar_detector:HaarDetector"
    sys.modules.pop("haar_detector", None)


def stage(name, findings):
    return VideoStage(
        VisionConfig(detector=name), PipelineConfig().input, findings.of("images")
    )


def test_the_documented_detector_finds_the_face_that_blazeface_finds(documented):
    _, name = documented
    images = sample_images()[::8]
    found = []
    for config in (VisionConfig(), VisionConfig(detector=name)):
        analyzer = FaceAnalyzer(config)
        found.append(
            [analyzer.process(to_ns(0.1 * at), image) for at, image in enumerate(images)]
        )
        analyzer.close()
    assert all(len(tracks.faces) == 1 for tracks in found[1])
    ours, theirs = (tracks[-1].faces[0] for tracks in found)
    assert ours.landmarks is not None
    assert theirs.landmarks is not None
    # The mesh finds the same face from either box: within a fiftieth of the image.
    assert np.abs(ours.landmarks[:, :2] - theirs.landmarks[:, :2]).max() < 0.02


def test_predict_and_its_engine_use_it(documented, repository, monkeypatch, capsys):
    from avemo_ros.cli.main import main

    _, name = documented
    monkeypatch.setattr(sys, "stdout", open("/dev/null", "w"))  # noqa: SIM115, PTH123
    status = main(
        [
            "predict",
            "--set",
            f"vision.detector={name}",
            str(repository / "test" / "data" / "sample.mp4"),
        ]
    )
    assert status == 0
    assert "1 person" in capsys.readouterr().err
    assert "haar_detector" in sys.modules


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mine", "it is not written as module:Name"),
        ("mine/file.py:Mine", "it is not written as module:Name"),
        ("not_there:Mine", "no module named 'not_there'; is its folder in PYTHONPATH?"),
        ("mine:Mina", "did you mean 'Mine'?"),
        ("mine:FACES", "this is no class"),
        ("mine:Blind", "Blind has no method 'detect'"),
        ("mine:Picky", "Picky() failed: TypeError"),
    ],
)
def test_one_that_cannot_be_loaded_is_an_error_that_says_why(write, name, said):
    write(
        FOREIGN.format(body="return []")
        + "\n\nFACES = []\n\n\nclass Blind:\n    pass\n\n\n"
        + "class Picky(Mine):\n    def __init__(self, model):\n        pass\n"
    )
    with pytest.raises(ConfigError) as failed:
        LoadedDetector(name)
    assert f"parameter 'vision.detector' is '{name}'; allowed: 'module:Class'" in str(
        failed.value
    )
    assert said in str(failed.value)


def test_a_module_that_fails_to_import_is_an_error_that_says_why(write):
    name = write("import nothing_of_this_name\n")
    with pytest.raises(ConfigError, match="no module named 'nothing_of_this_name'"):
        LoadedDetector(name)
    name = write("1 / 0\n")
    with pytest.raises(ConfigError, match="importing mine failed: ZeroDivisionError"):
        LoadedDetector(name)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", "TypeError"),
        ("return image.bad", "AttributeError"),
        ("image[:] = 0", "read-only"),
        ("return [(1, 2, 3, 4)]", "gave tuple; allowed: a list of avemo_ros"),
        ("return [Detection((0, 0, 1, 1), 0.9)]", "a list of avemo_ros"),
        ("return [Detection(Box(20, 20, 80, 80), 0.9)]", "not in pixels"),
        ("return [Detection(Box(0.5, 0.5, 0.0, 0.1), 0.9)]", "not empty"),
        ("return [Detection(Box(0.5, float('nan'), 0.1, 0.1), 0.9)]", "normalised"),
        ("return [Detection(Box('a', 0.0, 0.1, 0.1), 0.9)]", "numbers in box and score"),
        ("return [Detection(Box(0.0, 0.0, 0.1, 0.1), 90)]", "score from 0 to 1"),
        ("return [Detection(Box(0.0, 0.0, 0.1, 0.1), float('nan'))]", "score from 0 to 1"),
        (f"return [{FACE.format(more=', [[0.1, 0.2]]')}]", "(3 or more, 2)"),
        (f"return [{FACE.format(more=', np.full((3, 2), 80.0)')}]", "keypoints outside"),
        ("return [Detection(Box(0.2, 0.2, 0.5, 0.5), 0.9, 'points')]", "(3 or more"),
    ],
)
def test_an_answer_that_is_none_leaves_the_image_out_and_says_why(write, body, said):
    findings = InputIssues()
    video = stage(write(FOREIGN.format(body=body)), findings)
    assert video.push(to_ns(1.0), IMAGE) is None
    assert video.push(to_ns(1.1), IMAGE) is None
    video.close()
    (sentence,) = findings.sentences()
    assert sentence.startswith("images: 2 left out: face detector mine:Mine")
    assert said in sentence
    assert video.counters.refused == 2


def test_one_that_recovers_is_used_again(write):
    body = (
        "self.calls = getattr(self, 'calls', 0) + 1\n"
        "        if self.calls == 1:\n"
        "            raise RuntimeError('warming up')\n"
        f"        return [{FACE.format(more='')}]"
    )
    findings = InputIssues()
    video = stage(write(FOREIGN.format(body=body)), findings)
    assert video.push(to_ns(1.0), IMAGE) is None
    tracks = video.push(to_ns(1.1), IMAGE)
    assert tracks is not None
    (face,) = tracks.faces
    video.close()
    assert (face.box, face.confidence) == (Box(0.25, 0.25, 0.5, 0.5), 0.9)
    assert face.landmarks is None  # there is no face for the mesh in an empty image


def test_points_that_it_does_not_know_are_those_of_an_upright_face(write):
    detector = LoadedDetector(
        write(FOREIGN.format(body=f"return [{FACE.format(more='')}, {FACE.format(more='')}]"))
    )
    found = detector.detect(IMAGE)
    assert len(found) == 2
    assert isinstance(found[0], Detection)
    right, left, nose = found[0].keypoints
    assert right[1] == left[1] < nose[1]
    assert right[0] < nose[0] < left[0]


def test_its_score_has_to_reach_the_limit(write):
    name = write(FOREIGN.format(body="return [Detection(Box(0.2, 0.2, 0.5, 0.5), 0.75)]"))
    for limit, faces in ((0.5, 1), (0.8, 0)):
        analyzer = FaceAnalyzer(VisionConfig(detector=name, detection_confidence=limit))
        assert len(analyzer.process(to_ns(1.0), IMAGE).faces) == faces
        analyzer.close()
