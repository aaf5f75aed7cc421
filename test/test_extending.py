"""The examples of docs/extending.md, as a reader uses them, and what is said of mistakes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tree import write_sound

from avemo_ros.cli.main import main
from avemo_ros.config import ModelConfig
from avemo_ros.data.registry import find_dataset, list_items
from avemo_ros.errors import ConfigError, DataError, PredictionError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.predictor import Predictor

pytestmark = pytest.mark.usefixtures("quick_export")
DOCS = Path(__file__).parent.parent / "docs"
CROPS = list(np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8))
SOUND = np.random.default_rng(1).uniform(-90, -10, (120, 200)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example files in a folder where Python looks."""
    text = (DOCS / "extending.md").read_text()
    examples = re.findall(r"[Ss]ave it as `(\w+)\.py`:\n\n```python\n(.*?)```", text, re.DOTALL)
    for name, code in examples:
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("avemo_ros.data.registry._OWN", {})
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


class Mean(torch.nn.Module):
    """Class k by the grey level in column k of the input's last row."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return given[:, 0, -1, : self.classes].clone()


def write_onnx(
    path: Path,
    shape: tuple[int, ...],
    count: int,
    name: str = "faces",
    notes: dict[str, str] | None = None,
) -> None:
    batch = torch.export.Dim("batch")
    axes: dict[int, object] = {0: batch}
    if name == "spectrogram":
        axes[2] = torch.export.Dim("columns", min=63, max=1000)
    program = torch.onnx.export(
        Mean(count).eval(),
        (torch.zeros(2, *shape),),
        dynamo=True,
        input_names=[name],
        dynamic_shapes=(axes,),
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update(notes or {})
    program.save(str(path))


def ask(weights: str) -> Predictor:
    return Predictor(ModelConfig(weights=weights))


def test_a_class_of_your_own_is_the_model_of_the_robot(folder: Path) -> None:
    write_onnx(folder / "emotion-ferplus-8.onnx", (1, 64, 64), 8)
    robot = ask("ferplus:FerPlus")
    assert robot.model_id == "ferplus-8"
    faces = robot.embed_faces(CROPS)
    both = robot.predict(faces, robot.speech_evidence(SOUND))
    assert both.face_share == 1.0, "it has no opinion of voices"
    assert both.probabilities == pytest.approx(robot.predict(faces, None).probabilities)
    assert both.frame_weights is not None
    assert both.frame_weights.tolist() == pytest.approx([1 / 3] * 3)
    alone = robot.predict(None, robot.speech_evidence(SOUND))
    assert alone.probabilities == pytest.approx([1 / 7] * 7)


def test_an_onnx_file_of_faces_with_classes_of_its_own(folder: Path) -> None:
    path = folder / "faces.onnx"
    notes = {"classes": "sadness, joy, calm", "temperature": "0.5"}
    write_onnx(path, (3, 32, 32), 3, notes=notes)
    robot = ask(str(path))
    embedded = robot.embed_faces(CROPS[:1])
    answer = robot.predict(embedded, None).probabilities
    row = _standardised(CROPS[0], 32)[-1, :3] / 0.5
    expected = np.exp(row) / np.exp(row).sum()
    places = [EMOTIONS.index(name) for name in ("sad", "happy", "neutral")]
    assert np.array(answer)[places] == pytest.approx(expected, abs=1e-4)
    assert sum(answer) == pytest.approx(1.0)


def _standardised(crop: np.ndarray, side: int) -> np.ndarray:
    import cv2

    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(float)
    return (small - small.mean()) / small.std()


def test_faces_and_voice_from_two_onnx_files_are_joined(folder: Path) -> None:
    write_onnx(folder / "faces.onnx", (1, 32, 32), 7)
    write_onnx(folder / "voice.onnx", (1, 100, 200), 8, "spectrogram")
    robot = ask("voice.onnx,faces.onnx")
    assert robot.model_id == "voice+faces"
    faces, voice = robot.embed_faces(CROPS), robot.speech_evidence(SOUND)
    face = np.log(robot.predict(faces, None).probabilities)
    heard = np.log(robot.predict(None, voice).probabilities)
    product = np.exp(face + heard)
    both = robot.predict(faces, voice)
    assert both.probabilities == pytest.approx(product / product.sum(), abs=1e-5)
    assert both.face_share == 0.5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere:Model", r"no module named 'nowhere'; is its folder in PYTHONPATH\?"),
        ("ferplus:FerPlos", r"did you mean 'FerPlus'\?"),
        ("ferplus:np", "this is not a class"),
        ("ferplus:FerPlus", r"making it failed .*emotion-ferplus-8\.onnx"),
        ("wrong:Five", r"'embed' failed \(ValueError: scores are \(2, 5\); allowed: \(N, 7\)"),
        ("wrong:NoMethods", "this one has no embed, encode_audio, classify_faces, fuse"),
        ("broken:Model", "importing broken failed: NameError"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_by_the_setting(
    folder: Path, name: str, said: str
) -> None:
    (folder / "wrong.py").write_text(
        "import numpy as np\n"
        "from avemo_ros.model.own_model import OwnModel\n"
        "class Five(OwnModel):\n"
        "    def score_faces(self, images):\n"
        "        return np.zeros((len(images), 5))\n"
        "class NoMethods:\n    pass\n"
    )
    (folder / "broken.py").write_text("nonsense\n")
    with pytest.raises(ConfigError, match=said) as caught:
        ask(name)
    assert caught.value.name == "model.weights"


def test_an_onnx_file_that_cannot_be_used_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"ONNX file none\.onnx does not exist"):
        ask("none.onnx")
    (folder / "text.onnx").write_text("nonsense")
    with pytest.raises(WeightsError, match=r"ONNX file text\.onnx cannot be used"):
        ask("text.onnx")
    write_onnx(folder / "five.onnx", (1, 32, 32), 5)
    with pytest.raises(WeightsError, match="answers with 5 classes; allowed: 7"):
        ask("five.onnx")
    write_onnx(folder / "odd.onnx", (1, 32, 48), 7)
    with pytest.raises(WeightsError, match="allowed: faces"):
        ask("odd.onnx")
    write_onnx(folder / "named.onnx", (1, 32, 32), 2, notes={"classes": '["happy", "hungry"]'})
    with pytest.raises(WeightsError, match="class 'hungry' is not known"):
        ask("named.onnx")
    write_onnx(folder / "faces.onnx", (1, 32, 32), 7)
    with pytest.raises(WeightsError, match="2 read faces and 0 the voice"):
        ask("faces.onnx,faces.onnx")


def test_a_model_that_fails_later_leaves_that_input_unanswered(folder: Path) -> None:
    (folder / "moody.py").write_text(
        "from avemo_ros.model.own_model import OwnModel\n"
        "class Moody(OwnModel):\n"
        "    def score_faces(self, images):\n"
        "        if images.any():\n"
        "            raise RuntimeError('not today')\n"
        "        return super().score_faces(images)\n"
    )
    robot = ask("moody:Moody")
    with pytest.raises(PredictionError, match=r"moody:Moody: 'embed' failed .*not today"):
        robot.embed_faces(CROPS)


@pytest.fixture
def tess(folder: Path) -> Path:
    """Two actresses, six emotions, two words."""
    for emotion in ("angry", "disgust", "fear", "happy", "sad", "ps"):
        for speaker in ("OAF", "YAF"):
            for place, word in enumerate(("back", "bar")):
                path = folder / "data/tess" / f"{speaker}_{word}_{emotion}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_sound(path, 200 + 20 * len(emotion) + place)
    return folder


def test_a_data_set_of_your_own_is_listed_prepared_learned_and_judged(
    tess: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = list_items("tess:TESS", tess / "data/tess")
    assert len(listing.items) == 24
    assert {item.label for item in listing.items} == set(EMOTIONS) - {"neutral"}
    assert {item.dataset for item in listing.items} == {"tess"}
    assert main(["data", "list", "tess:TESS"]) == 0
    assert "tess: TESS (Toronto)" in capsys.readouterr().out
    made = tess / "cache"
    prepare = ["data", "prepare", "tess:TESS", "data/tess", "--cache", str(made)]
    assert main([*prepare, "--workers", "0", "--want", "speech"]) in (0, 1)
    run = [
        *("train", "quickstart", "--root", "data", "--out", "runs/tess"),
        *("--set", 'data.train=[{name: "tess:TESS"}]'),
        *("--set", 'data.validation={name: "tess:TESS", subjects: [tess-yaf]}'),
        *("--set", "model.channels=[8, 8, 8, 8, 8]", "--set", "training.epochs=1"),
    ]
    assert main(run) == 0
    split = json.loads((tess / "runs/tess/split.json").read_text())
    assert split["validation"]["subjects"] == ["tess-yaf"]
    judge = ["evaluate", "tess:TESS", "--root", "data/tess", "--model", "runs/tess"]
    judge += ["--subjects", "tess-yaf", "--rounds", "100", "--json", "found.json"]
    assert main(judge) == 0, capsys.readouterr().err
    found = json.loads((tess / "found.json").read_text())
    assert found["title"] == "TESS (Toronto)"
    assert found["seen"] is False


def test_what_was_trained_and_exported_is_a_model_of_the_robot(tess: Path) -> None:
    run = [
        *("train", "quickstart", "--root", "data", "--out", "runs/tess"),
        *("--set", 'data={train: [{name: "tess:TESS"}]}', "--set", "training.epochs=1"),
        *("--set", "model.channels=[8, 8, 8, 8, 8]"),
    ]
    assert main(run) == 0
    assert main(["export", "runs/tess", "--out", "voice.onnx"]) == 0
    robot = ask("voice.onnx")
    answer = robot.predict(None, robot.speech_evidence(SOUND))
    assert sum(answer.probabilities) == pytest.approx(1.0)
    assert len(set(answer.probabilities)) == 7


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tess:TEST", r"did you mean 'TESS'\?"),
        ("tess:read", "this is a function"),
        ("radvess", r"or module:NAME of your own \(did you mean 'ravdess'\?\)"),
    ],
)
def test_a_data_set_that_cannot_be_used_is_refused(folder: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find_dataset(name)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"fear", ', "", "the label 'fear'; allowed: those of its words: angry"),
        ('name="tess"', 'name="toronto"', "the data set 'tess'; allowed: 'toronto'"),
        ('f"tess-{speaker}"', "speaker", "the subject 'oaf'; allowed: names .* 'tess-'"),
        ("found.listing()", "list(found.listing().items)", "gave a list; allowed: a Listing"),
    ],
)
def test_what_others_rely_on_is_checked_in_the_items(
    tess: Path, old: str, new: str, said: str
) -> None:
    text = (tess / "tess.py").read_text()
    assert old in text
    (tess / "other.py").write_text(text.replace(old, new))
    with pytest.raises(DataError, match=said):
        list_items("other:TESS", tess / "data/tess")


def test_a_name_that_is_taken_is_refused(folder: Path) -> None:
    text = (folder / "tess.py").read_text()
    (folder / "mine.py").write_text(text.replace('name="tess"', 'name="ravdess"'))
    with pytest.raises(ConfigError, match="a name of its own; 'ravdess' is taken"):
        find_dataset("mine:TESS")
