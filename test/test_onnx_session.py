"""Networks that come with the package: whole, listed, or refused in one sentence."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from avemo_ros import onnx_session
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.onnx_session import chosen_device, open_session, open_shipped
from avemo_ros.shipped_models import INDEX, shipped_models

NAME = "facemesh-468.onnx"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the folder that came with the package."""
    monkeypatch.setattr(onnx_session, "shipped_models", lambda: tmp_path)
    return tmp_path


def put(folder: Path, content: bytes, digest: str) -> None:
    (folder / NAME).write_bytes(content)
    (folder / INDEX).write_text(json.dumps({"networks": {NAME: digest}}))


def test_every_network_is_there_as_listed_and_on_its_card() -> None:
    listed = json.loads((shipped_models() / INDEX).read_text())["networks"]
    card = (shipped_models() / "networks.md").read_text()
    others = {path.name for path in shipped_models().glob("*.onnx")} - set(listed)
    assert all(name.startswith("avemo-") for name in others)
    for name, digest in listed.items():
        assert sha256((shipped_models() / name).read_bytes()).hexdigest() == digest
        assert name in card
        open_shipped(name)


def test_a_folder_of_ones_own_models_does_not_replace_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVEMO_MODELS", str(tmp_path))
    open_shipped(NAME)


@pytest.mark.parametrize("index", [None, "[]", "{", '{"networks": {}}', '{"networks": 3}'])
def test_a_file_that_is_not_listed_is_refused(folder: Path, index: str | None) -> None:
    (folder / NAME).write_bytes(b"x")
    if index is not None:
        (folder / INDEX).write_text(index)
    with pytest.raises(WeightsError, match=rf"{NAME} .* reinstall the package"):
        open_shipped(NAME)


def test_a_missing_file_is_named(folder: Path) -> None:
    put(folder, b"", sha256(b"").hexdigest())
    (folder / NAME).unlink()
    with pytest.raises(WeightsError, match=rf"{NAME} .* reinstall the package"):
        open_shipped(NAME)


def test_a_damaged_file_is_named(folder: Path) -> None:
    content = bytearray((shipped_models() / NAME).read_bytes())
    digest = sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    put(folder, bytes(content), digest)
    with pytest.raises(WeightsError, match=f"{NAME} is damaged"):
        open_shipped(NAME)


def test_what_onnx_runtime_cannot_run_is_said_with_its_version(folder: Path) -> None:
    put(folder, b"no network", sha256(b"no network").hexdigest())
    with pytest.raises(WeightsError, match=rf"ONNX Runtime \d.* cannot run .*{NAME}"):
        open_shipped(NAME)


# --- GPUs: none was there, so these tests replace ONNX Runtime's list of what it can run on

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


@pytest.mark.parametrize(
    ("built_for", "device", "chosen"),
    [
        ([CPU], "auto", "cpu"),
        ([CUDA, CPU], "auto", "cuda"),
        ([TENSORRT, CUDA, CPU], "auto", "cuda"),
        ([TENSORRT, CUDA, CPU], "tensorrt", "tensorrt"),
        ([CUDA, CPU], "cpu", "cpu"),
    ],
)
def test_the_device_is_one_that_this_onnx_runtime_has(
    monkeypatch: pytest.MonkeyPatch, built_for: list[str], device: str, chosen: str
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: built_for)
    assert chosen_device(device) == chosen


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_it_was_not_built_for_is_refused_with_what_to_install(
    device: str,
) -> None:
    with pytest.raises(ConfigError, match=rf"{device}'?; allowed: cpu .*onnxruntime-gpu"):
        chosen_device(device)


def test_a_gpu_that_does_not_start_is_said_and_the_cpu_does_not_take_over_in_silence() -> None:
    path = shipped_models() / NAME
    with (
        pytest.warns(UserWarning, match=CUDA),
        pytest.raises(ConfigError, match="cannot start"),
    ):
        open_session(path, device="cuda")
    assert open_session(path).get_providers() == [CPU]
