"""A head on a frozen speech encoder that hears every item only a few times."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_model_whisper import WIDTH, tensors, write
from training_tree import write_speech

from avemo_ros.cli import evaluate
from avemo_ros.cli import train as command
from avemo_ros.errors import ConfigError
from avemo_ros.zoo.model_file import load_model

SETTINGS = [
    f"model.width={WIDTH}",
    "model.layers=2",
    "model.dropout=0.1",
    "data.train=[{name: ravdess, options: {modality: audio}}, {name: urdu, share: 0.2}]",
    "data.validation.name=ravdess",
    "data.folds=[[2, 3], [8, 10]]",
    "data.votes=0",
    "training.epochs=3",
    "training.batch=8",
    "training.draws=32",
    "training.precision=float32",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_speech(folder)
    write(folder / "model.bin", tensors())
    return folder


def call(data: Path, out: Path, *more: object, settings: Any = ()) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments: list[object] = ["whisper-cremad", "--root", data, "--out", out, *more]
    for setting in [*SETTINGS, f"model.whisper={data / 'model.bin'}", *settings]:
        arguments += ["--set", setting]
    return command.run(parser.parse_args([str(one) for one in arguments]))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "voice"
    cache = tmp_path_factory.mktemp("cache")
    assert call(data, out, "--cache", cache) == 0
    # Again, from what was encoded: the same weights.
    again = out.with_name("again")
    assert call(data, again, "--cache", cache) == 0
    for name in ("fold0", "final"):
        one, other = (load_model(path / name / "model.safetensors") for path in (out, again))
        for key, value in one.model.state_dict().items():
            assert torch.equal(value, other.model.state_dict()[key])
    return out


def test_only_the_head_learns(run: Path) -> None:
    one, other = (
        load_model(run / name / "model.safetensors").model.state_dict()
        for name in ("fold0", "fold1")
    )
    differ = {name.split(".")[2] for name in one if not torch.equal(one[name], other[name])}
    assert differ <= {"standardise", "join", "weight", "bias"}
    assert "join" in differ
    losses = [json.loads(line)["loss"] for line in (run / "fold0" / "log.jsonl").open()]
    assert losses[-1] < losses[0]


def test_the_whole_network_says_what_the_head_learned_to_say(
    data: Path, run: Path, tmp_path: Path
) -> None:
    # The log's figures come from what the encoder said before training, those of `avemo
    # evaluate` from the network in the file, which hears the sound.
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    for fold in (0, 1):
        table = tmp_path / f"{fold}.json"
        model = run / f"fold{fold}" / "model.safetensors"
        arguments = ["ravdess", "--root", data, "--modality", "audio", "--model", model]
        arguments += ["--subjects", *((2, 3), (8, 10))[fold], "--json", table, "--quiet"]
        assert evaluate.run(parser.parse_args([str(one) for one in arguments])) == 0
        result = json.loads(table.read_text())
        log = (run / f"fold{fold}" / "log.jsonl").read_text().splitlines()
        logged = json.loads(log[-1])
        assert result["ua"] == pytest.approx(logged["ua"], abs=1e-6)
        assert result["nll"] == pytest.approx(logged["nll"], abs=2e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.attention=time"], "model.attention: mean"),
        (["training.freeze=[branch.encoder.first]"], r"freeze branch\.encoder\.\w+, too"),
        (["model.statistics=false"], "a speech network alone, model.statistics: true"),
        (["training.teacher=avemo-0.5"], "with training.versions"),
    ],
)
def test_an_encoder_that_would_learn_is_refused(
    data: Path, tmp_path: Path, settings: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        call(data, tmp_path / "run", settings=settings)


def test_a_data_set_may_have_more_versions_than_the_others(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    settings = ["data.train.0.versions=5", "training.versions=2"]
    assert call(data, tmp_path / "run", "--cache", cache, "--fold", 0, settings=settings) == 0
    assert len(list((cache / "ravdess-encoded").glob("*.npy"))) == 5
    assert len(list((cache / "urdu-encoded").glob("*.npy"))) == 2
    state = load_model(tmp_path / "run" / "fold0" / "model.safetensors").model.state_dict()
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())
