"""Smoke tests: each training goes from files to a released model that answers."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tree import write_faces, write_speech

from avemo_ros.config import ModelConfig
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.predictor import Predictor
from avemo_ros.train import face, fusion, release, speech
from avemo_ros.train.face_data import degrade, load_faces
from avemo_ros.train.loop import Recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_faces(folder / "fer2013")
    write_speech(folder)
    return folder


def call(main: object, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
    main()  # type: ignore[operator]


def test_faces_are_degraded_within_range_and_in_the_side_asked_for(data: Path) -> None:
    faces = load_faces(data / "fer2013" / "train")
    assert len(faces) == 6 * len(EMOTIONS)
    first = degrade(faces.pictures, torch.Generator().manual_seed(0), 40)
    assert first.shape == (42, 1, 40, 40)
    assert 0 <= float(first.min()) < float(first.max()) <= 1
    assert torch.equal(first, degrade(faces.pictures, torch.Generator().manual_seed(0), 40))


def test_a_missing_class_of_faces_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="angry"):
        load_faces(tmp_path)


def test_face_training_resumes_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    learn, test = (load_faces(data / "fer2013" / part) for part in ("train", "test"))
    recipe = Recipe(2, 0.01, 1e-4, optimiser="sgd", averaging=0.5)
    whole = face.train(learn, test, tmp_path / "whole", recipe, batch=21)
    face.train(learn, test, tmp_path / "parts", recipe, batch=21, stop_after=1)
    resumed = face.train(learn, test, tmp_path / "parts", recipe, batch=21)
    for ours, theirs in zip(
        whole.state_dict().values(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_speech_training_resumes_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    given = speech.load_speech(data, ["ravdess", "urdu"], None)
    held_out = given.only([speech.actor(item) == 2 for item in given.utterances])
    learn = given.only([speech.actor(item) != 2 for item in given.utterances])
    assert not {i.speaker for i in learn.utterances} & {i.speaker for i in held_out.utterances}
    shares = {"ravdess": 0.8, "urdu": 0.2}
    recipe = Recipe(2, 1e-3, 1e-2, averaging=0.5)
    whole = speech.train(learn, held_out, shares, 32, tmp_path / "whole", recipe)
    speech.train(learn, held_out, shares, 32, tmp_path / "parts", recipe, stop_after=1)
    resumed = speech.train(learn, held_out, shares, 32, tmp_path / "parts", recipe)
    for ours, theirs in zip(
        whole.state_dict().values(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_corpus_is_only_asked_about_the_classes_it_knows(data: Path) -> None:
    given = speech.load_speech(data, ["urdu"], None)
    weights = speech.draw_weights(given.utterances, {"urdu": 1.0})
    batch = speech.draw(given, weights, torch.Generator().manual_seed(0), size=4)
    names = [speech.SPEECH_CLASSES[i] for i in torch.nonzero(batch.allowed[0]).flatten()]
    assert names == ["angry", "happy", "neutral", "sad"]
    assert torch.allclose(batch.targets.sum(1), torch.ones(4))
    assert float((batch.targets * ~batch.allowed).sum()) == 0.0


def test_classes_and_corpora_are_drawn_by_their_shares(data: Path) -> None:
    given = speech.load_speech(data, ["ravdess", "nemo"], None)
    weights = speech.draw_weights(given.utterances, {"ravdess": 0.75, "nemo": 0.25})
    of_ravdess = torch.tensor([item.corpus == "ravdess" for item in given.utterances])
    assert float(weights.sum()) == pytest.approx(1.0)
    assert float(weights[of_ravdess].sum()) == pytest.approx(0.75)


def test_from_files_to_a_released_model_that_answers(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    call(
        face.main,
        monkeypatch,
        "--root",
        data / "fer2013",
        "--out",
        runs / "face",
        "--epochs",
        1,
        "--batch",
        21,
    )
    call(
        speech.main,
        monkeypatch,
        "--root",
        data,
        "--out",
        runs / "speech",
        "--start-epochs",
        1,
        "--epochs",
        1,
        "--draws",
        32,
    )
    call(
        fusion.main,
        monkeypatch,
        "--faces",
        data / "fer2013",
        "--root",
        data,
        "--face-run",
        runs / "face",
        "--speech-run",
        runs / "speech",
        "--out",
        runs / "fusion",
        "--attention-steps",
        2,
        "--steps",
        4,
        "--pairs",
        50,
    )
    figures = json.loads((runs / "fusion" / "figures.json").read_text())
    assert 0 <= figures["fused"]["ua"] <= 1
    call(
        release.main,
        monkeypatch,
        "--face",
        runs / "face/checkpoint.pt",
        "--speech",
        runs / "speech/final/checkpoint.pt",
        "--fusion",
        runs / "fusion/fusion.pt",
        "--name",
        "tiny-1",
        "--models",
        tmp_path / "models",
    )
    monkeypatch.setenv("AVEMO_MODELS", str(tmp_path / "models"))
    predictor = Predictor(ModelConfig())
    assert predictor.model_id == "tiny-1"
    faces = predictor.embed_faces([np.zeros((96, 96), np.uint8)])
    voice = predictor.speech_evidence(np.zeros((100, 200), np.float32))
    answer = predictor.predict(faces, voice)
    assert sum(answer.probabilities) == pytest.approx(1.0)
