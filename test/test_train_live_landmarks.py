"""The live model with a landmark network: trained with the points of those who speak."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from made_landmarks import write_landmarks
from test_train_live import ACTORS, FACE, SPEECH, call, part, write_run
from training_tree import write_faces, write_speech

from avemo_ros.errors import ConfigError, DataError, WeightsError
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.model.network import LiveModel
from avemo_ros.zoo.model_file import load_model

LANDMARKS = ModelSpec("landmark_sequence", {"width": 8, "blocks": 1})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_faces(folder / "fer2013")
    write_speech(folder)
    write_landmarks(folder / "points.npz", actors=(2, 3, 10), takes=2)
    return folder


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("branches")
    write_run(folder / "face", FACE, part({"fer2013": 42}, (), ["train"]), part({}, ()))
    everybody = [actor for actors in ACTORS.values() for actor in actors]
    for name, held in ACTORS.items():
        learned = [actor for actor in everybody if actor not in held]
        parts = part({"ravdess": 8}, learned), part({"ravdess": 8}, held)
        write_run(folder / "speech" / name, SPEECH, *parts)
        write_run(folder / "landmarks" / name, LANDMARKS, *parts)
    seen = part({"ravdess": 8}, everybody)
    for name in ACTORS:
        write_run(folder / "knows" / name, LANDMARKS, seen, part({}, ()))
    return folder


def trained(data: Path, branches: Path, out: Path, run: str = "landmarks") -> int:
    return call(
        data,
        branches,
        out,
        f"live.landmark_run={branches / run}",
        f"data.landmarks={data / 'points.npz'}",
    )


def test_each_fold_has_the_landmark_network_that_has_not_seen_its_people(
    data: Path, branches: Path, tmp_path: Path
) -> None:
    out = tmp_path / "live"
    assert trained(data, branches, out) == 0
    for name in ACTORS:
        loaded = load_model(out / name / "model.safetensors")
        assert isinstance(loaded.model, LiveModel)
        assert loaded.model.modality == "face+landmarks+audio"
        network = loaded.model.network
        assert network.landmarks is not None
        source = load_model(branches / "landmarks" / name / "model.safetensors").model
        for key, value in source.state_dict().items():
            torch.testing.assert_close(network.landmarks.state_dict()[key], value)
        assert 0.0 <= float(network.landmark_weight.detach()) <= 1.0
        assert float(network.landmark_temperature) > 0.0
    parts = json.loads(load_model(out / "final" / "model.safetensors").about["trained_on"])
    assert set(parts["parts"]) == {"face", "speech", "landmarks"}


def test_what_does_not_fit_is_refused(data: Path, branches: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.landmarks"):
        call(data, branches, tmp_path / "a", f"live.landmark_run={branches / 'landmarks'}")
    with pytest.raises(WeightsError, match="landmark_run takes landmark_sequence"):
        trained(data, branches, tmp_path / "b", "speech")
    with pytest.raises(DataError, match="trained"):
        trained(data, branches, tmp_path / "c", "knows")
