"""The robot's network in ONNX Runtime, held against PyTorch."""

import argparse
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny
from real_inputs import faces_and_voices

from avemo_ros.cli import models
from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError, PredictionError, WeightsError
from avemo_ros.model.predictor import Predictor, SpeechEvidence, arithmetic_of
from avemo_ros.model.released import find_weights, list_in_index, onnx_files
from avemo_ros.zoo.model_file import save_model

pytestmark = pytest.mark.usefixtures("quick_export")
NAME = "avemo-0.5"


@pytest.fixture(scope="module")
def onnx() -> Predictor:
    return Predictor(ModelConfig(weights=NAME, runtime="onnxruntime"))


@pytest.fixture(scope="module")
def torch() -> Predictor:
    return Predictor(ModelConfig(weights=NAME, runtime="torch", precision="float32"))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The released weights and their ONNX files in a folder without an index."""
    weights = find_weights(NAME)
    for path in (weights, *onnx_files(weights).values()):
        shutil.copy(path, tmp_path)
    return tmp_path / weights.name


def some_crops(count: int, side: int = 96) -> list[np.ndarray]:
    return list(np.random.default_rng(side).integers(0, 256, (count, side, side), np.uint8))


def some_sound(columns: int) -> np.ndarray:
    return np.random.default_rng(columns).uniform(-90, -10, (columns, 200)).astype(np.float32)


def check_alike(
    ours: Predictor, theirs: Predictor, crops: list[np.ndarray], sound: np.ndarray
) -> None:
    """Face alone, voice alone, and both."""
    told = []
    for predictor in (ours, theirs):
        faces, voice = predictor.embed_faces(crops), predictor.speech_evidence(sound)
        assert faces.dtype == voice.vector.dtype == voice.log_probabilities.dtype == np.float32
        told.append(
            [
                predictor.predict(*pair)
                for pair in ((faces, None), (None, voice), (faces, voice))
            ]
        )
    for one, other in zip(*told, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert sum(one.probabilities) == pytest.approx(1.0, abs=1e-9)
        assert one.face_share == pytest.approx(other.face_share, abs=1e-4)
        assert one.face_share + one.voice_share == 1.0
        assert (one.frame_weights is None) == (other.frame_weights is None)
        if one.frame_weights is not None and other.frame_weights is not None:
            assert np.allclose(one.frame_weights, other.frame_weights, atol=1e-4)


@pytest.mark.parametrize("columns", [63, 64, 160, 299, 300, 301, 1000])
def test_it_answers_as_pytorch_to_any_length_of_sound_and_number_of_faces(
    onnx: Predictor, torch: Predictor, columns: int
) -> None:
    assert (onnx.runtime, torch.runtime) == ("onnxruntime", "torch")
    assert onnx.model_id == torch.model_id == NAME
    assert onnx.face_width == torch.face_width
    check_alike(
        onnx, torch, some_crops(1 + columns % 7, side=columns % 90 + 6), some_sound(columns)
    )


def test_it_answers_as_pytorch_to_real_faces_and_voices(
    onnx: Predictor, torch: Predictor, shared_data: Path
) -> None:
    for faces, columns in faces_and_voices(shared_data):
        check_alike(onnx, torch, faces, columns)


def test_a_face_is_embedded_alike_to_the_last_bit_whatever_comes_with_it(
    onnx: Predictor,
) -> None:
    crops = some_crops(16)
    alone = np.concatenate([onnx.embed_faces([crop]) for crop in crops])
    for size in (2, 3, 5, 8, 16):
        groups = [onnx.embed_faces(crops[at : at + size]) for at in range(0, 16, size)]
        assert np.array_equal(np.concatenate(groups), alone), size
    assert len({row.tobytes() for row in alone}) == 16


def test_the_same_input_gives_the_same_output_in_another_thread_and_after_other_sizes(
    onnx: Predictor,
) -> None:
    def ask() -> tuple[float, ...]:
        faces, voice = onnx.embed_faces(some_crops(3)), onnx.speech_evidence(some_sound(300))
        return onnx.predict(faces, voice).probabilities

    told = [ask()]
    onnx.speech_evidence(some_sound(70))
    onnx.embed_faces(some_crops(9, 48))
    thread = threading.Thread(target=lambda: told.append(ask()))
    thread.start()
    thread.join()
    again = Predictor(ModelConfig(weights=NAME))
    told.append(
        again.predict(
            again.embed_faces(some_crops(3)), again.speech_evidence(some_sound(300))
        ).probabilities
    )
    assert told == [told[0]] * 3


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_is_predicted_of_what_is_not_finite(
    runtime: str, value: float, onnx: Predictor, torch: Predictor
) -> None:
    predictor = {"onnxruntime": onnx, "torch": torch}[runtime]
    sound = some_sound(100)
    voice = predictor.speech_evidence(sound)
    faces = predictor.embed_faces(some_crops(2))
    sound[50, 100] = faces[1, 7] = value
    broken = SpeechEvidence(voice.vector * np.float32(value), voice.log_probabilities * np.nan)
    with pytest.raises(PredictionError, match="spectrogram is not finite"):
        predictor.predict(None, predictor.speech_evidence(sound))
    for given in ((faces, None), (faces, voice), (None, broken), (faces[:1], broken)):
        with pytest.raises(PredictionError, match="not finite"):
            predictor.predict(*given)


def test_settings_choose_the_runtime_and_what_cannot_be_is_refused(copied: Path) -> None:
    weights = str(copied)
    chosen = {
        "onnxruntime float32": [
            ModelConfig(weights=weights),
            ModelConfig(weights=weights, precision="float32"),
        ],
        "torch bfloat16": [ModelConfig(weights=weights, precision="bfloat16")],
        "torch float32": [ModelConfig(weights=weights, runtime="torch", precision="float32")],
    }
    for words, configs in chosen.items():
        for config in configs:
            made = Predictor(config)
            assert arithmetic_of(config) == f"{made.runtime} {made.precision}" == words
    for name, value in (("device", "cuda"), ("precision", "bfloat16")):
        config = ModelConfig(weights=weights, runtime="onnxruntime", **{name: value})
        with pytest.raises(ConfigError, match=rf"model\.{name}.*onnxruntime"):
            Predictor(config)


def test_on_a_robot_without_pytorch_onnx_runtime_is_taken_and_all_else_refused(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = str(copied)
    monkeypatch.setattr(
        "avemo_ros.model.predictor.find_spec", lambda name: None if name == "torch" else True
    )
    for device in ("cpu", "auto"):
        made = Predictor(ModelConfig(weights=weights, device=device))
        assert (made.runtime, made.device) == ("onnxruntime", "cpu")
    for other in ({"precision": "bfloat16"}, {"runtime": "torch"}, {"device": "cuda"}):
        with pytest.raises(ConfigError, match="PyTorch is not installed"):
            Predictor(ModelConfig(weights=weights, **other))
    for runtime in ("auto", "torch"):
        config = ModelConfig(weights=weights, runtime=runtime, device="tensorrt")
        with pytest.raises(ConfigError, match=r"model\.device.*tensorrt"):
            Predictor(config)


def test_without_onnx_files_pytorch_runs_the_model_unless_they_are_asked_for(
    copied: Path,
) -> None:
    for path in onnx_files(copied).values():
        path.unlink()
    assert Predictor(ModelConfig(weights=str(copied))).runtime == "torch"
    with pytest.raises(WeightsError, match=r"fusion\.onnx beside.*avemo export .* --beside"):
        Predictor(ModelConfig(weights=str(copied), runtime="onnxruntime"))


def test_files_that_are_missing_damaged_or_of_another_model_are_refused(copied: Path) -> None:
    config = ModelConfig(weights=str(copied))
    paths = onnx_files(copied)
    small = paths["face-answer"]
    whole = small.read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(WeightsError, match=match):
            Predictor(config)

    small.unlink()
    refused(r"needs avemo-0\.5-face-answer\.onnx beside")
    small.write_bytes(paths["fusion"].read_bytes())
    refused("'fusion' of format")
    for keep in (0, 7, len(whole) // 2, len(whole) - 1):
        small.write_bytes(whole[:keep])
        refused("damaged|of format None")
    for place in (0.2, 0.5, 0.8):
        flipped = bytearray(whole)
        flipped[int(place * len(whole))] ^= 0x04
        small.write_bytes(flipped)
        refused("digest differs|damaged")
    small.write_bytes(whole)
    assert Predictor(config).runtime == "onnxruntime"
    save_model(tiny.made(tiny.LIVE), tiny.spec(tiny.LIVE), copied, "another")
    refused("made from other weights")


def test_released_files_are_held_against_the_index(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVEMO_MODELS", str(copied.parent))
    list_in_index(copied, NAME, default=True)
    with pytest.raises(WeightsError, match=r"SHA-256 is not the one in index\.json"):
        Predictor(ModelConfig())
    listed = json.loads(find_weights(NAME).with_name("index.json").read_text())
    parser = argparse.ArgumentParser()
    models.add_arguments(parser)
    released = Path(__file__).parent.parent / "models/index.json"
    listed["models"][NAME]["onnx"] = json.loads(released.read_text())["models"][NAME]["onnx"]
    (copied.parent / "index.json").write_text(json.dumps(listed))
    assert Predictor(ModelConfig()).runtime == "onnxruntime"
    assert models.run(parser.parse_args([])) == 0
    assert "checksum matches, ONNX too" in capsys.readouterr().out
    onnx_files(copied)["fusion"].write_bytes(b"")
    assert models.run(parser.parse_args([])) == 2
    assert "fusion.onnx is damaged" in capsys.readouterr().out


def test_the_robot_imports_neither_pytorch_nor_the_zoo() -> None:
    code = (
        "import sys, avemo_ros.nodes.emotion_stack\n"
        "from avemo_ros.config import ModelConfig\n"
        "from avemo_ros.model.predictor import Predictor\n"
        "assert Predictor(ModelConfig()).runtime == 'onnxruntime'\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert {"onnxruntime", "avemo_ros.model.onnx_network"} <= modules
    for heavy in ("torch", "onnx", "onnxscript"):
        assert heavy not in modules, heavy
    ours = {name for name in modules if name.startswith("avemo_ros.model.")}
    assert ours == {
        f"avemo_ros.model.{name}"
        for name in (
            "active_speaker",
            "face_points",
            "onnx_network",
            "own_model",
            "predictor",
            "preprocess",
            "released",
        )
    }


def test_one_command_makes_the_files_of_a_trained_model_and_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVEMO_MODELS", str(tmp_path))
    path = tmp_path / "robot.safetensors"
    save_model(tiny.made(tiny.LIVE), tiny.spec(tiny.LIVE), path, "robot-1")
    list_in_index(path, "robot", default=True)
    parsers = {}
    for name, declare in (
        ("export", models.add_export_arguments),
        ("models", models.add_arguments),
    ):
        parsers[name] = argparse.ArgumentParser()
        declare(parsers[name])
    assert models.run_export(parsers["export"].parse_args(["--beside"])) == 0
    assert capsys.readouterr().out.count("differs by at most") == 4
    index = json.loads((tmp_path / "index.json").read_text())
    assert sorted(index["models"]["robot"]["onnx"]) == sorted(
        p.name for p in tmp_path.glob("*.onnx")
    )
    made = Predictor(ModelConfig())
    assert (made.runtime, made.model_id, made.face_width) == ("onnxruntime", "robot-1", 8)
    check_alike(
        made,
        Predictor(ModelConfig(runtime="torch", precision="float32")),
        some_crops(3),
        some_sound(90),
    )
    for file in tmp_path.glob("*.onnx"):
        assert b"site-packages" not in file.read_bytes(), "the exporter's notes of its source"
    assert models.run(parsers["models"].parse_args(["--verify"])) == 0
    assert "ONNX gives the same results" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.onnx"], "without --out"),
        (["--format", "torchscript"], "--format onnx"),
    ],
)
def test_files_beside_the_weights_are_onnx_and_have_their_names(
    arguments: list[str], message: str
) -> None:
    parser = argparse.ArgumentParser()
    models.add_export_arguments(parser)
    with pytest.raises(ConfigError, match=message):
        models.run_export(parser.parse_args([NAME, "--beside", *arguments]))


def test_only_a_live_model_has_files_for_the_robot(tmp_path: Path) -> None:
    path = tmp_path / "units.safetensors"
    save_model(tiny.made(tiny.UNITS), tiny.spec(tiny.UNITS), path, "units")
    parser = argparse.ArgumentParser()
    models.add_export_arguments(parser)
    with pytest.raises(ConfigError, match="a live model with --beside"):
        models.run_export(parser.parse_args([str(path), "--beside"]))
