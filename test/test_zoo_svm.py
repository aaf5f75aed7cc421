import numpy as np
import pytest
import torch

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import ConfigError, DataError, WeightsError
from avemo_ros.labels import SPEECH_CLASSES
from avemo_ros.train.classical_training import fit_machine
from avemo_ros.zoo.svm import Machine, SvmClassifier, SvmOptions, UnitReader

svm = pytest.importorskip("sklearn.svm")


def clouds(
    classes: int = 4, each: int = 30, size: int = 6, spread: float = 1.2
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Classes around random centres, from six subjects."""
    chance = np.random.default_rng(3)
    labels = np.repeat(np.arange(classes), each)
    values = chance.normal(0, 3, (classes, size))[labels] * 5 + 40
    values = values + chance.normal(0, spread * 5, values.shape)
    return values.astype(np.float32), labels, [f"s{i % 6}" for i in range(len(labels))]


def library(values: np.ndarray, labels: np.ndarray, shape: str, **options: object) -> object:
    return svm.SVC(class_weight="balanced", decision_function_shape=shape, **options).fit(
        values, labels
    )


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("classes", [3, 5])
def test_distances_and_votes_are_those_of_scikit_learn(kernel: str, classes: int) -> None:
    values, labels, subjects = clouds(classes)
    machine = fit_machine(
        values, labels, subjects, SvmOptions(kernel=kernel, cost=0.7, gamma=0.2)
    )
    standard = (values - machine.mean) / machine.scale
    options = {"kernel": kernel, "C": 0.7, "gamma": 0.2}
    pairs = library(standard, labels, "ovo", **options).decision_function(standard)
    votes = library(standard, labels, "ovr", **options).decision_function(standard)
    np.testing.assert_allclose(machine.pairs(values), pairs, atol=1e-5)
    np.testing.assert_allclose(machine.votes(values), votes, atol=1e-5)


def test_with_two_classes_the_distance_is_positive_for_the_first() -> None:
    values, labels, subjects = clouds(2)
    machine = fit_machine(values, labels, subjects, SvmOptions(gamma=0.2))
    standard = (values - machine.mean) / machine.scale
    given = library(standard, labels, "ovr", gamma=0.2).decision_function(standard)
    np.testing.assert_allclose(machine.pairs(values)[:, 0], -given, atol=1e-5)
    guessed = machine.log_probabilities(values, 2).argmax(1)
    assert (guessed == labels).mean() > 0.9


def test_the_features_are_standardised_and_a_constant_one_does_no_harm() -> None:
    values, labels, subjects = clouds()
    values[:, 2] = 7.1
    machine = fit_machine(values, labels, subjects)
    standard = (values - machine.mean) / machine.scale
    np.testing.assert_allclose(np.delete(standard.std(0), 2), 1, atol=1e-4)
    np.testing.assert_allclose(standard[:, 2], 0, atol=1e-4)
    assert np.isfinite(machine.log_probabilities(values, 4)).all()


def test_probabilities_on_new_subjects_are_neither_too_sure_nor_too_shy() -> None:
    values, labels, subjects = clouds(each=120, spread=4.0)
    new = np.array(subjects) == "s5"
    machine = fit_machine(values[~new], labels[~new], [s for s in subjects if s != "s5"])
    scores = machine.log_probabilities(values[new], 4)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)
    right = (scores.argmax(1) == labels[new]).mean()
    assert 0.4 < right < 0.95, "classes that overlap"
    assert np.exp(scores.max(1)).mean() == pytest.approx(right, abs=0.12)


def test_classes_that_are_not_trained_are_unlikely_and_keep_their_place() -> None:
    values, labels, subjects = clouds(3)
    machine = fit_machine(values, np.array([1, 4, 7])[labels], subjects)
    scores = machine.log_probabilities(values, 8)
    assert set(scores.argmax(1)) <= {1, 4, 7}
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(scores[:, [0, 2, 3, 5, 6]]), 1e-3, rtol=1e-4)


def test_a_machine_comes_back_from_its_tensors() -> None:
    values, labels, subjects = clouds()
    machine = fit_machine(values, labels, subjects)
    again = Machine.from_tensors(machine.tensors())
    np.testing.assert_array_equal(again.pairs(values), machine.pairs(values))
    assert all(isinstance(given, torch.Tensor) for given in machine.tensors().values())


def test_tensors_that_do_not_fit_each_other_are_refused() -> None:
    values, labels, subjects = clouds()
    tensors = fit_machine(values, labels, subjects).tensors()
    with pytest.raises(WeightsError, match="intercepts"):
        Machine.from_tensors({n: t for n, t in tensors.items() if n != "intercepts"})
    with pytest.raises(WeightsError, match=r"'weights' of an SVM is \(\d+, 5\), not"):
        Machine.from_tensors({**tensors, "weights": tensors["weights"][:, :5]})


def test_rows_with_a_nan_are_left_out_of_training() -> None:
    values, labels, subjects = clouds()
    more = np.concatenate((values, np.full((5, 6), np.nan, np.float32)))
    full = fit_machine(more, np.concatenate((labels, [0] * 5)), [*subjects, *["s0"] * 5])
    alone = fit_machine(values, labels, subjects)
    np.testing.assert_array_equal(full.pairs(values), alone.pairs(values))


def test_data_that_cannot_be_calibrated_are_refused() -> None:
    values, labels, subjects = clouds()
    with pytest.raises(DataError, match="two subjects"):
        fit_machine(values, labels, ["s"] * len(labels))
    with pytest.raises(DataError, match="two classes"):
        fit_machine(values, np.zeros_like(labels), subjects)
    alone = [f"s{label}" for label in labels]
    with pytest.raises(DataError, match="held out in turn"):
        fit_machine(values, labels, alone)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"kernel": "poly"}, "kernel"), ({"cost": 0.0}, "cost"), ({"gamma": -1.0}, "gamma")],
)
def test_settings_that_are_not_allowed_are_refused(options: dict, name: str) -> None:
    with pytest.raises(ConfigError, match=f"model.{name}"):
        SvmOptions(**options)


def test_an_item_without_action_units_gets_equal_scores() -> None:
    values, labels, subjects = clouds(8, size=35)
    machine = fit_machine(values, labels, subjects)
    classifier = SvmClassifier("units-1", SPEECH_CLASSES, UnitReader(), machine)
    item = Item("made", "a", __file__, "happy", "s")
    corpus = Corpus((item, item), (Features(units=values[0]), Features()))
    scores = classifier.scores(corpus)
    assert classifier.modality == "au"
    assert scores.shape == (2, 8)
    assert scores.dtype == torch.float32
    assert int(scores[0].argmax()) == labels[0]
    assert float(scores[1].max() - scores[1].min()) == 0
