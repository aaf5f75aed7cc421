"""Runs of classical models on a made-up tree of RAVDESS with action units."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_units import make_tree

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features, join_units
from avemo_ros.data.registry import list_items
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.train.classical_training import train_classical, train_svm
from avemo_ros.train.subject_split import of_fold
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.train.training_run import Place
from avemo_ros.zoo.classical import ReadingOptions, open_classifier
from avemo_ros.zoo.ensemble import learn_weights

pytest.importorskip("sklearn")

ACTORS = (2, 3, 5, 6, 7, 8)
FOLDS = [[2, 5], [3, 7], [6, 8]]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("data"), (*ACTORS, 1))


def config(tree: Path, model: dict, **data: object) -> TrainConfig:
    return TrainConfig.from_mapping(
        {
            "name": "made-1",
            "model": model,
            "data": {
                "train": [{"name": "ravdess", "options": {"modality": "audio"}}],
                "validation": {"name": "ravdess"},
                "folds": FOLDS,
                "units": str(tree / "units.csv"),
                **data,
            },
        }
    )


def place(tree: Path, out: Path) -> Place:
    return Place({"": tree}, out)


def labels_of(*parts: Corpus) -> torch.Tensor:
    return torch.tensor([item.class_index for part in parts for item in part.items])


def held_out(tree: Path, actors: list[int]) -> Corpus:
    items = list_items("ravdess", tree / "ravdess", modality="audio").items
    corpus, _ = join_units(Corpus(items, (Features(),) * len(items)), tree / "units.csv")
    names = {f"ravdess-{actor:02d}" for actor in actors}
    return corpus.only([item.subject in names for item in items])


@pytest.fixture(scope="module")
def runs(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines with folds."""
    out = tmp_path_factory.mktemp("runs")
    train_classical(config(tree, {"kind": "au_svm"}), place(tree, out / "rbf"))
    linear = {"kind": "au_svm", "kernel": "linear", "cost": 1e-3}
    train_classical(config(tree, linear), place(tree, out / "linear"))
    return out


def test_each_fold_is_a_run_folder_whose_model_has_not_seen_its_people(
    runs: Path, tree: Path
) -> None:
    for number, fold in enumerate(FOLDS):
        run = runs / "rbf" / f"fold{number}"
        split = json.loads((run / "split.json").read_text())
        assert split["validation"]["subjects"] == sorted(f"ravdess-{one:02d}" for one in fold)
        (figures,) = map(json.loads, (run / "log.jsonl").read_text().splitlines())
        scores = open_classifier(run).scores(held_out(tree, fold))
        labels = labels_of(held_out(tree, fold))
        assert figures["wa"] == pytest.approx(
            float((scores.argmax(1) == labels).double().mean())
        )
        assert figures["ua"] > 1.5 / 8, "better than chance"
        assert (run / "config.yaml").is_file()
    assert (runs / "rbf" / "final" / "model.safetensors").is_file()


def test_the_summary_is_the_mean_of_the_folds(runs: Path) -> None:
    summary = json.loads((runs / "rbf" / "summary.json").read_text())
    each = [summary["folds"][f"fold{number}"]["ua"] for number in range(3)]
    assert summary["ua"]["mean"] == pytest.approx(np.mean(each))


def test_the_final_test_is_never_learned_from(runs: Path) -> None:
    split = json.loads((runs / "rbf" / "final" / "split.json").read_text())
    assert split["train"]["subjects"] == [f"ravdess-{actor:02d}" for actor in ACTORS]


def test_the_final_test_cannot_be_held_out_for_choosing(tree: Path, tmp_path: Path) -> None:
    given = config(tree, {"kind": "au_svm"}, folds=[[1], [2, 3]])
    with pytest.raises(DataError, match="final test"):
        train_classical(given, place(tree, tmp_path))


def test_a_finished_fold_is_kept_on_resume(tree: Path, tmp_path: Path) -> None:
    given = config(tree, {"kind": "au_svm"})
    train_classical(given, place(tree, tmp_path), fold="0")
    before = (tmp_path / "fold0" / "model.safetensors").stat().st_mtime_ns
    results = train_classical(given, place(tree, tmp_path), resume=True)
    assert (tmp_path / "fold0" / "model.safetensors").stat().st_mtime_ns == before
    assert list(results) == ["fold0", "fold1", "fold2", "final"]
    with pytest.raises(ConfigError, match="--resume"):
        train_classical(given, place(tree, tmp_path))


def test_action_units_need_their_table(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--au"):
        train_classical(config(tree, {"kind": "au_svm"}, units=""), place(tree, tmp_path))


def people(count: int, each: int) -> list[tuple[str, str]]:
    """(label, subject): everyone is happy and sad, `each` times."""
    return [
        (label, f"s{person}")
        for person in range(count)
        for label in ("happy", "sad")
        for _ in range(each)
    ]


def test_a_machine_learns_what_mouths_look_like(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    face = chance.uniform(50, 150, (468, 2))
    items, features = [], []
    for number, (label, subject) in enumerate(people(6, 4)):
        mesh = np.repeat(face[None], 3, 0) + chance.normal(0, 1, (3, 468, 2))
        mesh[:, [61, 291], 1] += -20 if label == "happy" else 20
        items.append(Item("made", str(number), Path(__file__), label, subject))
        features.append(Features(landmarks=mesh.astype(np.float32)))
    corpus = Corpus(tuple(items), tuple(features))
    rows = [item.subject == "s5" for item in items]
    spec = ModelSpec("landmark_svm", {"kernel": "linear", "cost": 0.01, "classes": "emotions"})
    figures = train_svm("x-1", spec, corpus.only([not row for row in rows]), corpus, tmp_path)
    assert figures["ua"] == 1
    opened = open_classifier(tmp_path)
    assert opened.classes == EMOTIONS
    unseen = corpus.only(rows)
    truth = [item.emotion_index for item in unseen.items]
    assert opened.scores(unseen).argmax(1).tolist() == truth


def test_a_machine_learns_what_voices_sound_like(tmp_path: Path) -> None:
    pytest.importorskip("opensmile")
    soundfile = pytest.importorskip("soundfile")
    chance = np.random.default_rng(0)
    time = np.arange(9600) / 16000
    items = []
    for number, (label, subject) in enumerate(people(4, 2)):
        pitch = (240 if label == "happy" else 120) * chance.uniform(0.9, 1.1)
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6)) * 0.2
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, tone + chance.normal(0, 0.005, len(time)), 16000)
        items.append(Item("made", str(number), path, label, subject))
    corpus = Corpus(tuple(items), (Features(),) * len(items))
    rows = [item.subject == "s3" for item in items]
    reading = ReadingOptions(tmp_path / "cache")
    train_svm(
        "x-1",
        ModelSpec("functionals_svm"),
        corpus.only([not row for row in rows]),
        None,
        tmp_path / "run",
        reading=reading,
    )
    unseen = corpus.only(rows)
    scores = open_classifier(tmp_path / "run").scores(unseen)
    assert scores.argmax(1).tolist() == labels_of(unseen).tolist()


def test_data_without_what_a_machine_reads_are_refused(tmp_path: Path) -> None:
    item = Item("made", "a", Path(__file__), "happy", "s")
    with pytest.raises(
        DataError, match="none of 1 items has the input that landmark_svm needs"
    ):
        train_svm(
            "x-1", ModelSpec("landmark_svm"), Corpus((item,), (Features(),)), None, tmp_path
        )


def members(runs: Path) -> list[dict]:
    return [{"model": str(runs / name)} for name in ("rbf", "linear")]


def test_weights_of_a_fold_are_learned_on_the_other_folds_only(
    runs: Path, tree: Path, tmp_path: Path
) -> None:
    model = {"kind": "ensemble", "learn": True, "members": members(runs)}
    results = train_classical(config(tree, model), place(tree, tmp_path / "both"))
    assert list(results) == ["fold0", "fold1", "fold2", "final"]
    for number in range(3):
        others = [one for one in range(3) if one != number]
        parts = [held_out(tree, FOLDS[one]) for one in others]
        labels = labels_of(*parts)
        scores = [
            torch.cat(
                [
                    open_classifier(runs / name / f"fold{one}").scores(part)
                    for one, part in zip(others, parts, strict=True)
                ]
            )
            for name in ("rbf", "linear")
        ]
        figures = results[f"fold{number}"][0]
        learned = [figures["weight0"], figures["weight1"]]
        assert learned == pytest.approx(learn_weights(scores, labels), rel=1e-3, abs=1e-4)
    made = open_classifier(tmp_path / "both" / "fold1")
    assert made.scores(held_out(tree, FOLDS[1])).shape == (32, 8)


def test_members_with_other_folds_cannot_teach_weights(
    runs: Path, tree: Path, tmp_path: Path
) -> None:
    other = config(tree, {"kind": "au_svm"}, folds=[[2, 3], [5, 6], [7, 8]])
    train_classical(other, place(tree, tmp_path / "other"))
    model = {
        "kind": "ensemble",
        "learn": True,
        "members": [{"model": str(runs / "rbf")}, {"model": str(tmp_path / "other")}],
    }
    with pytest.raises(DataError, match="was trained on"):
        train_classical(config(tree, model), place(tree, tmp_path / "both"))


def test_given_weights_are_kept(runs: Path, tree: Path, tmp_path: Path) -> None:
    given = [
        {**member, "weight": weight}
        for member, weight in zip(members(runs), (1, 3), strict=True)
    ]
    model = {"kind": "ensemble", "members": given}
    results = train_classical(config(tree, model), place(tree, tmp_path), fold="2")
    assert results["fold2"][0]["weight1"] == 3


def test_a_member_stands_for_its_model_of_the_same_fold(tmp_path: Path) -> None:
    (tmp_path / "fold1").mkdir()
    (tmp_path / "final").mkdir()
    assert of_fold(str(tmp_path), "1") == str(tmp_path / "fold1")
    assert of_fold(str(tmp_path), "final") == str(tmp_path / "final")
    assert of_fold(str(tmp_path), "") == str(tmp_path)
    assert of_fold("runs/a/fold{fold}", "2") == "runs/a/fold2"
    assert of_fold("runs/a/fold{fold}", "final") == "runs/a/final"
    assert of_fold("avemo-1.0", "2") == "avemo-1.0"
