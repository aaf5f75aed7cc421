from pathlib import Path

import pytest
import yaml

from avemo_ros.errors import ConfigError
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.train.config_file import (
    config_path,
    differences,
    dump,
    load_config,
    named,
)
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.zoo.model_registry import BUILDER, ENSEMBLE, KINDS, MACHINES

NETWORKS = [name for name in named() if load_config(name).model.get("kind") in KINDS]


@pytest.mark.parametrize("name", named())
def test_every_named_configuration_is_valid_and_bears_its_file_s_name(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    assert config.data.train
    assert config.model["kind"] in (*KINDS, *MACHINES, ENSEMBLE)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_of_every_named_configuration_can_be_made(name: str) -> None:
    BUILDER.check(ModelSpec.from_mapping(load_config(name).model))


def test_a_kind_that_is_mistyped_is_answered_with_all_kinds_and_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"au_svm \| ensemble \(did you mean 'speech_fcn'\?\)"
    ):
        BUILDER.check(ModelSpec("speech_fnc"))
    with pytest.raises(ConfigError, match=r"did you mean 'functionals_svm'"):
        BUILDER.check(ModelSpec("functional_svm"))


def test_every_kind_of_network_has_a_named_configuration() -> None:
    kinds = {load_config(name).model["kind"] for name in NETWORKS}
    assert kinds == set(KINDS)


def test_a_configuration_comes_back_from_its_own_text() -> None:
    config = load_config("speech-fcn", ["training.rates={branch.encoder: 0.5}"])
    again = TrainConfig.from_mapping(yaml.safe_load(dump(config)))
    assert again == config
    assert differences(config.plain(), again.plain()) == []


def test_settings_are_changed_by_name_in_groups_and_lists(tmp_path: Path) -> None:
    config = load_config(
        "speech-fcn",
        [
            "training.rate=2e-4",
            "data.train.1.share=0.5",
            "data.folds=null",
            "model.sharpness=0.5",
            "augment.speech.noise=0",
            "start=[runs/a, runs/b]",
        ],
    )
    assert config.training.rate == 2e-4
    assert config.data.train[1].share == 0.5
    assert config.data.folds == ()
    assert config.model["sharpness"] == 0.5
    assert config.augment.speech.noise == 0.0
    assert config.start == ("runs/a", "runs/b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=3", "'training.epoch' is 3.*did you mean 'epochs'"),
        ("training.epochs=0", "'training.epochs' is 0; allowed: a whole number from 1 to"),
        (
            "training.rate=fast",
            "'training.rate' is 'fast'; allowed: a number from 1e-09 to 100",
        ),
        ("training.optimiser=adam", "allowed: adamw | sgd"),
        ("augment.face.flips=1", "did you mean 'flip'"),
        ("data.train.9.share=1", "'9' to be 0 to 3"),
        ("data.train=[{nam: ravdess}]", r"data.train.0.nam.*did you mean 'name'"),
        ("data.window_low_s=4", "data.window_low_s.*at most data.window_high_s"),
        ("training={patience: 3, last_epochs: 2}", "training.last_epochs"),
        ("data.folds=[2, 3]", r"'data\.folds' is \[2, 3\]; allowed: lists of subjects"),
        ("data.folds=[[2, 3], []]", "lists of subjects"),
        ("data.folds=1", "or a number of folds from 2 on"),
        ("training.rates={head: fast}", "'training.rates.head' is 'fast'; allowed: a number"),
        ("training.rates={head: .nan}", "'training.rates.head' is nan"),
        ("data.train.0.share=0", "above 0; leave 'ravdess' out"),
        ("traning.epochs=3", "did you mean 'training'"),
        ("training.epochs", "NAME=VALUE"),
        ("training.rate.x=1", "is a value, not a group"),
        ("training.rate=[1", r"'--set' is 'training.rate=\[1'; allowed: valid YAML"),
        ("data.validation.name=", "the data set whose subjects data.folds lists"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name_value_and_what_is(
    change: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace("|", r"\|")):
        load_config("speech-fcn", [change])


def test_a_configuration_that_is_not_there_is_answered_with_those_that_are(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"face-cnn.*did you mean 'speech-fcn'"):
        config_path("speech-fnc")
    with pytest.raises(ConfigError, match="a file that exists"):
        config_path(str(tmp_path / "mine.yaml"))


def test_a_file_of_one_s_own_takes_its_name_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: {kind: face_cnn}\ndata: {train: fer2013}\ntraining: {rate: 1e-3}\n")
    config = load_config(path)
    assert config.name == "mine"
    assert config.data.train[0].name == "fer2013"
    assert config.training.rate == 1e-3
    path.write_text("- a list\n")
    with pytest.raises(ConfigError, match="a YAML mapping"):
        load_config(path)
