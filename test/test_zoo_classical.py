import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.model.emotion_model import ModelSpec
from avemo_ros.zoo.classical import (
    ensemble_options,
    is_classical,
    make_svm,
    open_classifier,
    reads_of,
    save_ensemble,
    save_svm,
    svm_options,
)
from avemo_ros.zoo.ensemble import combine, reconcile
from avemo_ros.zoo.model_file import find_model, save_model
from avemo_ros.zoo.model_registry import BUILDER
from avemo_ros.zoo.svm import Machine

UNITS = 35


def machine(seed: int = 0, features: int = UNITS) -> Machine:
    """A machine with arrays of the right shapes, as training makes them."""
    chance = np.random.default_rng(seed)
    pairs, vectors = 28, 5
    return Machine(
        mean=chance.normal(size=features).astype(np.float32),
        scale=np.ones(features, np.float32),
        vectors=chance.normal(size=(vectors, features)).astype(np.float32),
        weights=chance.normal(size=(vectors, pairs)),
        intercepts=chance.normal(size=pairs),
        gamma=np.array([0.01]),
        classes=np.arange(8),
        slope=chance.normal(size=(pairs, 8)),
        offset=chance.normal(size=8),
    )


@pytest.fixture
def corpus() -> Corpus:
    chance = np.random.default_rng(7)
    item = Item("made", "a", Path(__file__), "happy", "s")
    rows = [Features(units=row) for row in chance.normal(size=(4, UNITS)).astype(np.float32)]
    return Corpus((item,) * 5, (*rows, Features()))


def saved(path: Path, seed: int = 0, **options: object) -> Path:
    save_svm(path, f"units-{seed}", ModelSpec("au_svm", options), machine(seed))
    return path


def test_a_stored_machine_scores_as_before(tmp_path: Path, corpus: Corpus) -> None:
    path = saved(tmp_path / "model.safetensors")
    before = make_svm("units-0", ModelSpec("au_svm"), machine()).scores(corpus)
    opened = open_classifier(path)
    assert torch.equal(opened.scores(corpus), before)
    assert (opened.name, opened.modality, opened.classes) == ("units-0", "au", SPEECH_CLASSES)
    assert reads_of(opened) == {"units"}
    assert is_classical(path)


def test_a_run_folder_is_opened_by_its_name(tmp_path: Path, corpus: Corpus) -> None:
    saved(tmp_path / "run" / "model.safetensors")
    assert open_classifier(tmp_path / "run").scores(corpus).shape == (5, 8)


def test_damage_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.safetensors")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        open_classifier(path)


def test_each_kind_of_machine_says_what_has_to_be_prepared(tmp_path: Path) -> None:
    sizes = {"functionals_svm": (88, set()), "landmark_svm": (1104, {"landmarks"})}
    for kind, (features, reads) in sizes.items():
        made = make_svm("x-1", ModelSpec(kind), machine(0, features))
        assert reads_of(made) == reads


def test_an_ensemble_is_the_weighted_sum_of_its_members(tmp_path: Path, corpus: Corpus) -> None:
    paths = [saved(tmp_path / f"run{seed}" / "model.safetensors", seed) for seed in (0, 1)]
    path = tmp_path / "both" / "model.safetensors"
    members = list(zip(paths, (0.5, 1.5), strict=True))
    save_ensemble(path, "both-1", members, SPEECH_CLASSES)
    opened = open_classifier(path)
    scores = [open_classifier(member).scores(corpus) for member in paths]
    assert torch.equal(opened.scores(corpus), combine(scores, (0.5, 1.5)))
    assert float(opened.scores(corpus)[4].exp().max()) == pytest.approx(1 / 8)
    assert reads_of(opened) == {"units"}


def test_networks_and_machines_may_be_members_of_one_ensemble(
    tmp_path: Path, corpus: Corpus
) -> None:
    spec = ModelSpec("units", {"hidden": [], "classes": "emotions"})
    save_model(BUILDER.build(spec), spec, tmp_path / "net" / "model.safetensors", "net-1")
    paths = [saved(tmp_path / "svm" / "model.safetensors"), tmp_path / "net"]
    files = [find_model(path) for path in paths]
    path = tmp_path / "both" / "model.safetensors"
    save_ensemble(path, "both-1", [(file, 1.0) for file in files], EMOTIONS, kind="linear")
    opened = open_classifier(path)
    assert opened.classes == EMOTIONS
    svm, net = (open_classifier(file) for file in files)
    seven = reconcile(svm.scores(corpus), SPEECH_CLASSES, EMOTIONS)
    mean = (seven.exp() + net.scores(corpus).exp()) / 2
    assert torch.allclose(opened.scores(corpus).exp()[:4], mean[:4], atol=1e-5)
    assert reads_of(opened) == {"units"}


def test_an_ensemble_may_move_together_with_its_members(tmp_path: Path, corpus: Corpus) -> None:
    member = saved(tmp_path / "runs" / "units" / "model.safetensors")
    path = tmp_path / "runs" / "both" / "model.safetensors"
    save_ensemble(path, "both-1", [(member, 1.0)], SPEECH_CLASSES)
    before = open_classifier(path).scores(corpus)
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    after = open_classifier(tmp_path / "elsewhere" / "both").scores(corpus)
    assert torch.equal(before, after)


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    member = saved(tmp_path / "units" / "model.safetensors")
    path = tmp_path / "both" / "model.safetensors"
    save_ensemble(path, "both-1", [(member, 1.0)], SPEECH_CLASSES)
    shutil.rmtree(tmp_path / "units")
    with pytest.raises(WeightsError, match="units"):
        open_classifier(path)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"kernel": "poly"}, r"model\.kernel"),
        ({"colour": 1}, r"model\.colour.*one of the names classes"),
        ({"features": "eGeMAPSv02"}, r"model\.features"),
    ],
)
def test_options_that_a_machine_has_not_are_refused(options: dict, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        svm_options(ModelSpec("au_svm", options))


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ([], r"model\.members"),
        ("runs/a", r"model\.members"),
        ([{"weight": 1.0}], r"model\.members\.0\.model"),
        ([{"model": "a"}, {"model": "b", "weight": -1}], r"model\.members\.1\.weight"),
        ([{"model": "a", "share": 1}], r"model\.members\.0"),
    ],
)
def test_members_that_make_no_ensemble_are_refused(members: object, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        ensemble_options(ModelSpec("ensemble", {"members": members}))


def test_a_member_may_be_a_name_alone() -> None:
    options = ensemble_options(ModelSpec("ensemble", {"members": ["a", {"model": "b"}]}))
    assert [(one.model, one.weight) for one in options.members] == [("a", 1.0), ("b", 1.0)]
