"""Whole runs on tiny data sets: what the command does, from files to a model that answers."""

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from made_landmarks import write_landmarks
from training_tree import write_faces, write_sound, write_speech

from avemo_ros.cli import train as command
from avemo_ros.config import ModelConfig
from avemo_ros.errors import AvemoError, ConfigError, DataError, WeightsError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.predictor import Predictor
from avemo_ros.sink.output_file import OutputError
from avemo_ros.train import release as releasing
from avemo_ros.train.loop import TrainingError
from avemo_ros.train.run_folder import read_log, save_checkpoint
from avemo_ros.zoo.model_file import load_model

SPEECH = [
    "model.channels=[8, 8, 8, 8, 8]",
    "data.train=[{name: ravdess, share: 3, options: {modality: audio}}, {name: urdu}]",
    "data.folds=[[2, 3], [10]]",
    "training.epochs=2",
    "training.batch=8",
    "training.draws=24",
    "training.averaging=0.5",
]
UNITS = ["data.folds=[[2, 3], [8, 10]]", "training.epochs=1", "training.draws=0"]
FACES = [
    "model={kind: face_cnn, widths: [8, 8], blocks: [1, 1], stem: 8}",
    "training.epochs=2",
    "training.batch=14",
    "training.averaging=0.5",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_faces(folder / "fer2013")
    write_speech(folder)
    write_units(folder / "au.csv", folder / "ravdess")
    return folder


def write_units(table: Path, ravdess: Path) -> None:
    rows = ["clip," + ",".join(f"AU{n:02d}" for n in range(35))]
    chance = np.random.default_rng(0)
    for path in sorted(ravdess.rglob("*.wav")):
        values = chance.normal(0, 0.3, 35) + int(path.stem.split("-")[2])
        name = "01-" + path.stem[3:]
        rows.append(name + "," + ",".join(f"{value:.3f}" for value in values))
    table.write_text("\n".join(rows) + "\n")


def call(config: str, data: Path, out: Path, *more: object, settings: Any = ()) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = [config, "--root", data, "--out", out, *more]
    for setting in settings:
        arguments += ["--set", setting]
    return command.run(parser.parse_args([str(one) for one in arguments]))


def figures(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def speech_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "speech"
    assert call("speech-fcn", data, out, "--device", "cpu", settings=SPEECH) == 0
    return out


@pytest.fixture(scope="module")
def face_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "face"
    assert call("face-cnn", data, out, settings=FACES) == 0
    return out


def test_a_model_is_trained_for_each_fold_and_one_on_all(speech_run: Path) -> None:
    subjects = {}
    for name, held in (("fold0", {"02", "03"}), ("fold1", {"10"}), ("final", set())):
        split = json.loads((speech_run / name / "split.json").read_text())
        assert set(split["validation"]["subjects"]) == {f"ravdess-{one}" for one in held}
        assert not set(split["train"]["subjects"]) & set(split["validation"]["subjects"])
        subjects[name] = split["train"]["subjects"]
        logged = figures(speech_run / name)
        assert [line["epoch"] for line in logged] == [1, 2]
        assert ("ua" in logged[0]) == bool(held)
        loaded = load_model(speech_run / name / "model.safetensors")
        assert loaded.model.classes == SPEECH_CLASSES
        assert json.loads(loaded.about["trained_on"])["subjects"] == split["train"]["subjects"]
        assert list((speech_run / name / "tensorboard").iterdir())
    assert len(subjects["final"]) == 5, "four actors and the Urdu speaker"
    summary = json.loads((speech_run / "summary.json").read_text())
    assert set(summary["folds"]) == {"fold0", "fold1"}
    assert 0 <= summary["ua"]["mean"] <= 1


def test_an_interrupted_run_resumed_gives_the_weights_of_an_uninterrupted_one(
    data: Path, speech_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avemo_ros.train import loop

    saved = loop.save_checkpoint

    def stop_after_the_first(out: Path, state: dict[str, Any]) -> None:
        saved(out, state)
        if len(state["history"]) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", stop_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        call("speech-fcn", data, tmp_path / "run", "--fold", "1", settings=SPEECH)
    assert not (tmp_path / "run" / "fold1" / "model.safetensors").exists()
    monkeypatch.setattr(loop, "save_checkpoint", saved)
    call("speech-fcn", data, tmp_path / "run", "--fold", "1", "--resume", settings=SPEECH)
    one, other = (
        load_model(run / "fold1" / "model.safetensors").model.state_dict()
        for run in (speech_run, tmp_path / "run")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_exists_is_only_gone_on_with_when_asked_and_unchanged(
    data: Path, speech_run: Path
) -> None:
    with pytest.raises(ConfigError, match=r"fold0'; allowed: a new folder, or --resume"):
        call("speech-fcn", data, speech_run, settings=SPEECH)
    with pytest.raises(ConfigError, match=r"training\.rate is 0\.1, was 0\.0006"):
        call(
            "speech-fcn", data, speech_run, "--resume", settings=[*SPEECH, "training.rate=0.1"]
        )
    before = (speech_run / "fold0" / "checkpoint.pt").stat().st_mtime_ns
    assert call("speech-fcn", data, speech_run, "--resume", settings=SPEECH) == 0
    assert (speech_run / "fold0" / "checkpoint.pt").stat().st_mtime_ns == before


def test_a_run_is_not_gone_on_with_on_other_data(data: Path, tmp_path: Path) -> None:
    write_speech(tmp_path / "data")
    settings = [*SPEECH, "training.epochs=1"]
    call("speech-fcn", tmp_path / "data", tmp_path / "run", "--fold", "1", settings=settings)
    folder = tmp_path / "data" / "ravdess" / "Actor_02"
    write_sound(folder / "03-01-05-02-01-01-02.wav", 130)
    with pytest.raises(ConfigError, match=r"data that the run started with.*'train'"):
        call(
            "speech-fcn",
            tmp_path / "data",
            tmp_path / "run",
            "--fold",
            "1",
            "--resume",
            settings=settings,
        )


def test_the_actors_of_the_final_test_are_never_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_speech(tmp_path / "data", (1, 2, 3, 10))
    call("speech-fcn", tmp_path / "data", tmp_path / "run", "--fold", "1", settings=SPEECH)
    assert "8 items of the final test's subjects are left out" in capsys.readouterr().err
    split = json.loads((tmp_path / "run" / "fold1" / "split.json").read_text())
    assert "ravdess-01" not in split["train"]["subjects"] + split["validation"]["subjects"]
    for change in ("data.folds=[[1], [2]]", "data.folds=[[2, 3], [22, 1]]"):
        with pytest.raises(DataError, match=r"ravdess-01.*reserved|no items of subject"):
            call("speech-fcn", tmp_path / "data", tmp_path / "no", settings=[*SPEECH, change])


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        (["--fold", "7"], SPEECH, ConfigError, "0 | 1 | final"),
        (["--device", "tpu"], SPEECH, ConfigError, "auto | cpu | cuda"),
        (
            [],
            [*SPEECH, "data.folds=[[2, 3], [3, 10]]"],
            DataError,
            "ravdess-03 would be in two",
        ),
        ([], [*SPEECH, "data.folds=9"], DataError, "cannot be divided into 9 folds"),
        (["--threads", "-1"], SPEECH, ConfigError, "0 or more"),
        ([], [*SPEECH, "model.kind=speech_fnc"], ConfigError, "model.kind"),
        ([], [*SPEECH, "data.train=[{name: ravdes}]"], ConfigError, "ravdes"),
        ([], [*SPEECH, "data.train=[{name: savee}]"], DataError, "savee"),
        ([], [*SPEECH, "training.schedule=plateau"], ConfigError, "which holds nothing out"),
        ([], [*SPEECH, "data.folds=", "data.validation={name: ravdess}"], ConfigError, "split"),
    ],
)
def test_what_cannot_work_is_refused_with_what_can(
    data: Path,
    tmp_path: Path,
    arguments: list[str],
    settings: list[str],
    error: type[AvemoError],
    message: str,
) -> None:
    arguments = ["--fold", "final", *arguments] if "plateau" in settings[-1] else arguments
    with pytest.raises(error) as caught:
        call("speech-fcn", data, tmp_path / "run", *arguments, settings=settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("config", "settings", "error", "message"),
    [
        ("speech-fcn", ["training.schedule=plateau"], ConfigError, "which holds nothing out"),
        ("speech-fcn", ["start=[no/such/run]"], WeightsError, "no/such/run does not exist"),
        ("speech-fcn", ["training.teacher=no/such"], WeightsError, "no/such does not exist"),
        ("speech-fcn", ["training.freeze=[brunch]"], ConfigError, "training.freeze"),
        ("speech-fcn", ["training.freeze=[branch.encoder]"], ConfigError, "would stay random"),
        ("speech-fcn", ["training.rates={brunch: 1}"], ConfigError, "training.rates"),
        (
            "speech-fcn",
            ["data.folds=", "data.validation=", "training.patience=3"],
            ConfigError,
            "training.patience",
        ),
        ("au-speech-fbp", ["model.audio.channels=[8, 8, 8, 8, 8]"], ConfigError, "--au FILE"),
        (
            "au-speech-fbp",
            ["model.audio.channels=[8, 8, 8, 8, 8]", "data.units=no.csv"],
            DataError,
            "no.csv",
        ),
    ],
)
def test_what_would_fail_later_is_refused_before_data_are_prepared(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    settings: list[str],
    error: type[AvemoError],
    message: str,
) -> None:
    from avemo_ros.train import training_run

    def prepared(*_: object) -> None:
        raise AssertionError("data are prepared")

    monkeypatch.setattr(training_run, "read_corpus", prepared)
    given = SPEECH if config == "speech-fcn" else ["data.folds=[[2, 3], [10]]"]
    with pytest.raises(error, match=re.escape(message)):
        call(config, data, tmp_path / "run", settings=[*given, *settings])
    assert not (tmp_path / "run").exists()


def test_a_frozen_part_must_begin_with_trained_weights(
    data: Path, speech_run: Path, tmp_path: Path
) -> None:
    settings = [
        "data.folds=[[2, 3], [10]]",
        "model.audio.channels=[8, 8, 8, 8, 8]",
        f"start=[{speech_run}]",
        "training.freeze=[audio, visual]",
    ]
    with pytest.raises(ConfigError, match=r"'training\.freeze' is 'visual'.* stay random"):
        call(
            "au-speech-fbp", data, tmp_path / "run", "--au", data / "au.csv", settings=settings
        )
    with pytest.raises(ConfigError, match=r"'training\.freeze' is 'audio'.* stay random"):
        call("pairs-adaptive-fbp", data, tmp_path / "run")


def test_folds_by_their_number_are_dealt(data: Path, tmp_path: Path) -> None:
    settings = [*SPEECH, "data.folds=2", "training.epochs=1"]
    call("speech-fcn", data, tmp_path / "run", "--fold", "0", settings=settings)
    call("speech-fcn", data, tmp_path / "run", "--fold", "1", settings=settings)
    call("speech-fcn", data, tmp_path / "run", "--fold", "1", "--resume", settings=settings)
    held = [
        set(
            json.loads((tmp_path / "run" / name / "split.json").read_text())["validation"][
                "subjects"
            ]
        )
        for name in ("fold0", "fold1")
    ]
    assert [len(fold) for fold in held] == [2, 2]
    assert not held[0] & held[1]


@pytest.fixture(scope="module")
def small_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One fold, to be damaged: tests copy it."""
    out = tmp_path_factory.mktemp("runs") / "small"
    call("au-mlp", data, out, "--au", data / "au.csv", "--fold", "0", settings=UNITS)
    return out


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", "a: [1"),
        ("config.yaml", ""),
        ("split.json", "{"),
        ("split.json", None),
        ("start.json", "[1"),
        ("start.json", None),
        ("start.json", "{}"),
    ],
)
def test_a_run_with_a_damaged_file_is_not_gone_on_with(
    data: Path, small_run: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    shutil.copytree(small_run, tmp_path / "run")
    path = tmp_path / "run" / "fold0" / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ConfigError, match=rf"a run whose {name} can be read"):
        call(
            "au-mlp",
            data,
            tmp_path / "run",
            *("--au", data / "au.csv", "--fold", "0", "--resume"),
            settings=UNITS,
        )


def test_a_log_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("{")
    with pytest.raises(ConfigError, match=r"a run whose log\.jsonl can be read"):
        read_log(tmp_path)


def test_a_run_from_before_a_setting_was_there_is_gone_on_with(
    data: Path, small_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_run, tmp_path / "run")
    path = tmp_path / "run" / "fold0" / "config.yaml"
    arguments = ("--au", data / "au.csv", "--fold", "0", "--resume")
    content = yaml.safe_load(path.read_text())
    del content["training"]["last_epochs"]
    path.write_text(yaml.safe_dump(content))
    assert call("au-mlp", data, tmp_path / "run", *arguments, settings=UNITS) == 0
    path.write_text(yaml.safe_dump({**content, "colour": "red"}))
    with pytest.raises(ConfigError, match="colour is None, was 'red'"):
        call("au-mlp", data, tmp_path / "run", *arguments, settings=UNITS)


def test_a_run_folder_that_cannot_be_written_is_an_error_in_words(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*run"):
        call("au-mlp", data, tmp_path / "file" / "run", "--au", data / "au.csv", settings=UNITS)
    if Path("/dev/full").exists():
        for name in ("checkpoint.pt", "log.jsonl"):
            (tmp_path / name).mkdir()
            (tmp_path / name / f"{name}.part").symlink_to("/dev/full")
            with pytest.raises(OutputError, match=f"cannot write .*{name}"):
                save_checkpoint(tmp_path / name, {"history": [{"epoch": 1}]})


def test_a_root_that_is_not_there_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a folder that exists"):
        call("speech-fcn", tmp_path / "nowhere", tmp_path / "run")
    roots = command.read_roots([str(data), f"savee={tmp_path}"])
    assert roots == {"": data, "savee": tmp_path}
    with pytest.raises(ConfigError, match="once"):
        command.read_roots([str(data), str(tmp_path)])


def test_the_final_model_ends_after_as_many_epochs_as_the_folds_took(
    data: Path, tmp_path: Path
) -> None:
    settings = [*SPEECH, "training.patience=1", "training.epochs=3", "training.rate=1e-9"]
    with pytest.raises(ConfigError, match="the folds first"):
        call("speech-fcn", data, tmp_path / "run", "--fold", "final", settings=settings)
    call("speech-fcn", data, tmp_path / "other", settings=settings)
    best = []
    for fold in ("fold0", "fold1"):
        state = torch.load(tmp_path / "other" / fold / "checkpoint.pt", weights_only=True)
        best.append(state["best_epoch"])
    assert len(figures(tmp_path / "other" / "final")) == max(1, round(sum(best) / 2))


def test_a_model_begins_with_the_weights_of_another_by_name_and_shape(
    data: Path, speech_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        "data.folds=[[2, 3], [10]]",
        "model.audio.channels=[8, 8, 8, 8, 8]",
        f"start=[{speech_run}]",
        "training={epochs: 1, batch: 8, rate: 1e-3, freeze: [audio], averaging: 0}",
    ]
    out = tmp_path / "run"
    call(
        "au-speech-fbp",
        data,
        out,
        "--au",
        data / "au.csv",
        "--fold",
        "0",
        settings=settings,
    )
    said = capsys.readouterr().err
    assert "('*' as 'audio.*')" in said
    fused = load_model(out / "fold0" / "model.safetensors").model.state_dict()
    speech = load_model(speech_run / "fold0" / "model.safetensors").model.state_dict()
    for name in ("branch.encoder.layers.0.weight", "branch.head.weight"):
        assert torch.equal(fused[f"audio.{name}"], speech[name])
    seen = json.loads(load_model(out / "fold0" / "model.safetensors").about["trained_on"])
    assert any(name.startswith("urdu") for name in seen["subjects"]), "what the start has seen"


def test_a_start_that_has_seen_who_is_held_out_is_refused(
    data: Path, speech_run: Path, tmp_path: Path
) -> None:
    settings = [*SPEECH, f"start=[{speech_run / 'final'}]"]
    with pytest.raises(DataError, match="trained on 1 of the people held out here"):
        call("speech-fcn", data, tmp_path / "run", "--fold", "1", settings=settings)
    settings = [*FACES, f"start={speech_run / 'final'}"]
    with pytest.raises(WeightsError, match=r"nothing in .* fits this model"):
        call("face-cnn", data, tmp_path / "face", settings=settings)


def test_a_small_model_learns_from_a_large_one_that_saw_nobody_held_out(
    data: Path, speech_run: Path, tmp_path: Path
) -> None:
    small = [*SPEECH, "model.channels=[4, 4, 4, 4, 4]", "training.epochs=1"]
    taught = [*small, f"training.teacher={speech_run}", "training.teacher_weight=1"]
    call("speech-fcn", data, tmp_path / "alone", "--fold", "1", settings=small)
    call("speech-fcn", data, tmp_path / "taught", "--fold", "1", settings=taught)
    losses = [figures(tmp_path / run / "fold1")[0]["loss"] for run in ("alone", "taught")]
    assert losses[1] > 4 * losses[0], "temperature 3: nine times the softened cross-entropy"
    wrong = [*taught, f"training.teacher={speech_run / 'final'}"]
    with pytest.raises(DataError, match="held out here"):
        call("speech-fcn", data, tmp_path / "leak", "--fold", "1", settings=wrong)
    wrong = [*FACES, f"training.teacher={speech_run / 'final'}"]
    with pytest.raises(ConfigError, match="a model of 'face'"):
        call("face-cnn", data, tmp_path / "face", settings=wrong)


def test_action_units_alone_need_their_table_and_no_recordings_opened(
    data: Path, tmp_path: Path
) -> None:
    settings = ["data.folds=[[2, 3], [8, 10]]", "training.epochs=8", "training.draws=0"]
    with pytest.raises(ConfigError, match=r"data\.units.*--au FILE\.csv"):
        call("au-mlp", data, tmp_path / "none", settings=settings)
    call("au-mlp", data, tmp_path / "run", "--au", data / "au.csv", settings=settings)
    last = figures(tmp_path / "run" / "fold0")[-1]
    assert last["ua"] > 0.2, "the units tell the classes"


def test_landmarks_and_voice_are_trained_and_joined(
    data: Path, speech_run: Path, tmp_path: Path
) -> None:
    settings = ["data.folds=[[2, 3], [8, 10]]", "training.epochs=1", "training.draws=0"]
    small = [*settings, "model.width=8"]
    with pytest.raises(ConfigError, match=r"data\.landmarks.*--landmarks FILE\.npz"):
        call("landmarks", data, tmp_path / "none", settings=small)
    file = write_landmarks(tmp_path / "points.npz", (2, 3, 8), takes=2)
    call("landmarks", data, tmp_path / "run", "--landmarks", file, settings=small)
    assert figures(tmp_path / "run" / "fold0")[-1]["nll"] > 0
    names = ("concat", "multilevel-fbp")
    for name in names:
        joined = [
            *settings,
            "model.audio={kind: speech_fcn, channels: [4, 4, 4, 4, 4]}",
            "model.visual={kind: landmark_sequence, width: 8}",
            f"start=[{tmp_path / 'run'}]",
            "training.freeze=[visual]",
            "training.batch=8",
        ]
        out = tmp_path / name
        arguments = ("--landmarks", file, "--fold", "0")
        call(f"landmarks-speech-{name}", data, out, *arguments, settings=joined)
        assert (out / "fold0" / "model.safetensors").is_file()


def test_a_face_model_learns_from_the_training_part_and_validates_on_its_own(
    face_run: Path,
) -> None:
    split = json.loads((face_run / "split.json").read_text())
    assert split["train"]["items"] == {"fer2013": 42}
    assert split["validation"]["splits"] == ["validation"]
    assert figures(face_run)[-1]["wa"] >= 0
    assert load_model(face_run / "model.safetensors").model.classes == EMOTIONS


# 30 s of computing, which a busy machine takes ten times as long for.
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("quick_export")
def test_branches_become_the_live_model_which_is_released_and_answers(
    data: Path,
    face_run: Path,
    speech_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = [
        f"live={{face_run: {face_run}, speech_run: {speech_run}, attention_steps: 2, steps: 4, "
        "views: 2, pairs: 60, batch: 16}",
    ]
    out = tmp_path / "live"
    assert call("live", data, out, settings=settings) == 0
    assert "label-matched pairs" in capsys.readouterr().out
    found = json.loads((out / "figures.json").read_text())
    assert 0 <= found["fused, calibrated"]["ua"] <= 1
    assert set(found["temperatures"]) == {"face", "speech", "fused"}
    assert call("live", data, out, "--resume", settings=settings) == 0
    with pytest.raises(ConfigError, match="--resume"):
        call("live", data, out, settings=settings)

    models = tmp_path / "models"
    assert (
        releasing.main(
            [str(out / "final"), "--name", "tiny-1", "--models", str(models), "--default"]
        )
        == 0
    )
    released = releasing.main(
        [str(face_run), "--name", "face-1", "--models", str(models), "--temperature", "1.5"]
    )
    assert released == 0
    assert load_model(models / "face-1.safetensors").temperature == 1.5
    assert releasing.main([str(tmp_path), "--name", "no", "--models", str(models)]) == 2

    monkeypatch.setenv("AVEMO_MODELS", str(models))
    predictor = Predictor(ModelConfig())
    assert predictor.model_id == "tiny-1"
    faces = predictor.embed_faces([np.zeros((96, 96), np.uint8)])
    voice = predictor.speech_evidence(np.zeros((100, 200), np.float32))
    answer = predictor.predict(faces, voice)
    assert sum(answer.probabilities) == pytest.approx(1.0)


def test_the_live_model_needs_its_branches(
    data: Path, face_run: Path, speech_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"live\.face_run"):
        call("live", data, tmp_path / "run")
    settings = [f"live={{face_run: {speech_run / 'final'}, speech_run: {speech_run}}}"]
    with pytest.raises(WeightsError, match="takes a face_cnn"):
        call("live", data, tmp_path / "run", settings=settings)
    settings = [f"live={{face_run: {face_run}, speech_run: {face_run}}}"]
    with pytest.raises(DataError, match="fold0/, fold1/"):
        call("live", data, tmp_path / "run", settings=settings)


def test_label_matched_pairs_are_named_as_such(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        "model.audio={kind: speech_fcn, channels: [8, 8, 8, 8, 8]}",
        "model.visual={kind: face_cnn, widths: [8, 8], blocks: [1, 1], stem: 8}",
        "training={epochs: 1, batch: 8, draws: 16, rate: 1e-3}",
        "data.frames=2",
    ]
    call("pairs-adaptive-fbp", data, tmp_path / "run", settings=settings)
    assert "label-matched pairs" in capsys.readouterr().err
    about = load_model(tmp_path / "run" / "model.safetensors").about
    assert about["pairing"] == "label"
    assert json.loads((tmp_path / "run" / "split.json").read_text())["pairing"] == "label"


def test_a_diverged_run_is_an_error_and_may_be_begun_again(data: Path, tmp_path: Path) -> None:
    arguments = ("--au", data / "au.csv", "--fold", "0")
    wild = [*UNITS, "training.rate=6", "training.epochs=8"]
    with pytest.raises(TrainingError, match=r"training has diverged.*training\.rate"):
        call("au-mlp", data, tmp_path / "run", *arguments, settings=wild)
    fold = tmp_path / "run" / "fold0"
    assert not (fold / "model.safetensors").exists()
    assert call("au-mlp", data, tmp_path / "run", *arguments, settings=UNITS) == 0
    assert (fold / "model.safetensors").exists()
    assert not (fold / "failed.txt").exists()
