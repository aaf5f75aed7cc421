import os
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import tiny_models as tiny
import torch

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.emotion_model import Batch
from avemo_ros.model.network import LiveModel
from avemo_ros.model.released import find_weights
from avemo_ros.model.torch_network import bn_folded, to_bfloat16
from avemo_ros.zoo.exportable import folded_submodules
from avemo_ros.zoo.model_export import (
    TOLERANCE,
    benchmark,
    benchmark_robot,
    difference,
    export_model,
)
from avemo_ros.zoo.model_file import load_model

pytestmark = pytest.mark.usefixtures("quick_export")


@pytest.mark.parametrize("raw", tiny.EVERY, ids=tiny.name)
def test_torchscript_answers_as_the_network_for_every_kind_and_size(
    raw: dict[str, Any], tmp_path: Path
) -> None:
    written = export_model(tiny.made(raw), "torchscript", tmp_path / "m.pt")
    assert all(one.difference < TOLERANCE for one in written)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.path.name for p in written)
    with pytest.raises(ConfigError, match="--force"):
        export_model(tiny.made(raw), "torchscript", tmp_path / "m.pt", force=False)


@pytest.mark.parametrize(
    "raw",
    [
        {**tiny.SPEECH, "front": "log+mean+delta", "norm": "local", "attention": "time"},
        tiny.WHISPER,
        {**tiny.FACE, "mirrored": True, "votes": True, "classes": "face"},
        tiny.LSTM,
        tiny.RELATION,
        tiny.UNITS,
        tiny.LANDMARKS,
    ],
    ids=tiny.name,
)
def test_onnx_answers_as_the_network(raw: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    (written,) = export_model(tiny.made(raw), "onnx", tmp_path / "m.onnx")
    assert written.path.read_bytes()
    assert written.difference < TOLERANCE


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.pt"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="allowed: a file"):
        export_model(tiny.made(tiny.UNITS), "torchscript", pipe, force=True)
    assert pipe.is_fifo()


def test_weights_that_are_exact_as_float16_are_stored_so_and_answer_the_same(
    tmp_path: Path,
) -> None:
    pytest.importorskip("onnxscript")
    model = tiny.made(tiny.WHISPER)
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    (written,) = export_model(model, "onnx", tmp_path / "half.onnx")
    assert written.difference < TOLERANCE
    as_float32 = 4 * sum(one.numel() for one in (*model.parameters(), *model.buffers()))
    assert written.path.stat().st_size < 0.75 * as_float32


def test_the_onnx_parts_of_a_fusion_together_answer_as_the_model(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model = tiny.made(tiny.fused("adaptive_fbp", tiny.UNITS, decisions=True))
    with torch.no_grad():
        model.fusion.head.weight.normal_()
        model.fusion.gate.weigh.weight.normal_()
    written = export_model(model, "onnx", tmp_path / "m.onnx")
    assert [one.path.name for one in written] == [
        "m-audio.onnx",
        "m-visual.onnx",
        "m-fusion.onnx",
    ]
    audio, visual, fusion = (
        onnxruntime.InferenceSession(str(one.path), providers=["CPUExecutionProvider"])
        for one in written
    )
    given = tiny.batch()
    said = audio.run(None, {"spectrogram": given.speech.numpy()})
    seen = visual.run(None, {"units": given.units.numpy()})
    fed = {"audio_vector": said[0], "visual_vector": seen[0]}
    fed |= {"audio_log": said[1], "visual_log": seen[1]}
    fed["there"] = torch.stack((given.speech_mask, given.units_mask), 1).numpy()
    (logits,) = fusion.run(None, fed)
    with torch.inference_mode():
        expected = model(given).logits
    assert torch.allclose(torch.from_numpy(logits), expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_the_scripted_parts_of_a_live_model_answer_as_the_robot(tmp_path: Path) -> None:
    model = tiny.made(tiny.LIVE)
    assert isinstance(model, LiveModel)
    written = export_model(model, "torchscript", tmp_path / "live.pt")
    face, speech, alone, fusion = (torch.jit.load(str(one.path)) for one in written)
    torch.manual_seed(0)
    images, heard = torch.randn(5, 1, 48, 48), torch.randn(1, 1, 120, 200)
    with torch.inference_mode():
        embeddings = face(images).unsqueeze(0)
        vector, said = speech(heard)
        log, share, weights = fusion(vector, embeddings)
        face_log, _ = alone(embeddings)
        both = model(Batch(faces=images.unsqueeze(0), speech=heard))
        assert torch.allclose(log, both.logits, atol=1e-4)
        assert torch.allclose(share, both.face_share, atol=1e-4)
        assert torch.allclose(said, both.parts["audio"], atol=1e-4)
        assert torch.allclose(face_log, both.parts["face"], atol=1e-4)
        assert weights.sum() == pytest.approx(1.0, abs=1e-5)


def test_an_answer_that_differs_or_has_another_shape_is_noticed() -> None:
    (piece,) = folded_submodules(tiny.made(tiny.UNITS))
    assert difference(piece, lambda x: (piece.module(x) + 0.25,)) == pytest.approx(0.25)
    assert difference(piece, lambda x: (piece.module(x)[:, :3],)) == float("inf")
    assert difference(piece, lambda x: (piece.module(x) * float("nan"),)) == float("inf")


def test_a_file_that_answers_differently_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avemo_ros.zoo.model_export.difference", lambda piece, run: 0.5)
    with pytest.raises(
        WeightsError, match=r"torchscript of 'au' gives results that differ by 0\.5"
    ):
        export_model(tiny.made(tiny.UNITS), "torchscript", tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "name", "message"),
    [
        ("tflite", "m.tflite", "allowed: onnx | torchscript"),
        ("onnx", "m.pt", r"ends in \.onnx"),
        ("torchscript", "m", r"ends in \.pt"),
    ],
)
def test_a_wrong_format_or_ending_is_refused(
    form: str, name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_model(tiny.made(tiny.UNITS), form, tmp_path / name)


def test_without_the_packages_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'avemo_ros\[train\]'"):
        export_model(tiny.made(tiny.UNITS), "onnx", tmp_path / "m.onnx")


@pytest.mark.parametrize("raw", [tiny.FACE, tiny.INCEPTION, tiny.SPEECH], ids=tiny.name)
def test_folding_takes_batch_norm_out_and_leaves_the_answers(raw: dict[str, Any]) -> None:
    model = tiny.made(raw)
    ready = bn_folded(model)
    assert not any(isinstance(one, torch.nn.BatchNorm2d) for one in ready.modules())
    assert any(isinstance(one, torch.nn.BatchNorm2d) for one in model.modules())
    given = tiny.batch()
    with torch.inference_mode():
        assert torch.allclose(ready(given).logits, model(given).logits, atol=1e-5)


def test_every_runtime_is_measured_for_every_part(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    threads = torch.get_num_threads()
    speeds = benchmark(tiny.made(tiny.FACE), tmp_path, rounds=3)
    runtimes = [one.runtime for one in speeds]
    assert runtimes == ["float32", "bfloat16", "torchscript", "onnxruntime"]
    assert speeds[0].ratio == 1.0
    assert all(one.ms > 0 and one.ratio > 0 for one in speeds)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("onnx", [True, False])
def test_the_robots_calls_are_measured_in_every_runtime_there_is(onnx: bool) -> None:
    weights = find_weights("avemo-0.5")
    model = load_model(weights).model
    assert isinstance(model, LiveModel)
    speeds = benchmark_robot(model.network, rounds=2, weights=weights if onnx else None)
    runtimes = ["float32", "bfloat16", *(["onnxruntime"] if onnx else [])]
    assert [one.runtime for one in speeds] == runtimes * 4
    assert len({one.submodule for one in speeds}) == 4
    assert all(one.ms > 0 for one in speeds)


@pytest.mark.parametrize(
    ("raw", "lowered"),
    [
        (tiny.FACE, True),
        (tiny.LSTM, True),
        ({**tiny.SPEECH, "front": "log+mean+delta", "norm": "local"}, True),
        (tiny.fused("fbp", tiny.UNITS), True),
        (tiny.UNITS, False),
    ],
    ids=lambda value: tiny.name(value) if isinstance(value, dict) else "",
)
def test_bfloat16_is_for_convolutions_and_what_follows_them_stays_float32(
    raw: dict[str, Any], lowered: bool
) -> None:
    ready, given = bn_folded(tiny.made(raw)), tiny.batch()
    with torch.inference_mode():
        before = torch.softmax(ready(given).logits, 1)
        assert to_bfloat16(ready) is lowered
        logits = ready(given).logits
    for module in ready.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            is_convolution = isinstance(module, torch.nn.Conv2d)
            expected = torch.bfloat16 if is_convolution else torch.float32
            assert module.weight.dtype == expected
    assert logits.dtype == torch.float32
    after = torch.softmax(logits, 1)
    assert torch.allclose(before, after, atol=0.02)
    assert torch.equal(before, after) is not lowered
