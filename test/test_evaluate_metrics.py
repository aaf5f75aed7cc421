import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
)

from avemo_ros.evaluate.metrics import (
    accuracy,
    brier_score,
    calibration_error,
    confusion,
    coverage_curve,
    likelihood_loss,
    macro_f1,
    macro_f1_all,
    never_true,
    predicted_classes,
    recalls,
    unweighted_recall,
)

TRUE = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
GUESSED = torch.tensor([0, 0, 0, 1, 1, 1, 0, 2])


def test_rows_of_the_confusion_are_the_truth() -> None:
    assert confusion(GUESSED, TRUE, 3).tolist() == [[3, 1, 0], [0, 2, 0], [1, 0, 1]]


def test_wa_counts_answers_and_ua_counts_classes() -> None:
    assert accuracy(GUESSED, TRUE) == pytest.approx(6 / 8)
    assert recalls(GUESSED, TRUE, 3).tolist() == pytest.approx([0.75, 1.0, 0.5])
    assert unweighted_recall(GUESSED, TRUE) == pytest.approx(0.75)


def test_macro_f1_is_the_mean_over_classes() -> None:
    # F1: 2*3/(4+4), 2*2/(2+3), 2*1/(2+1)
    assert macro_f1(GUESSED, TRUE) == pytest.approx((6 / 8 + 4 / 5 + 2 / 3) / 3)


def test_a_class_that_does_not_occur_does_not_count_in_ua() -> None:
    assert unweighted_recall(torch.tensor([0, 3]), torch.tensor([0, 0])) == pytest.approx(0.5)


def test_figures_agree_with_scikit_learn() -> None:
    chance = np.random.default_rng(0)
    true, guessed = chance.integers(0, 6, 500), chance.integers(0, 7, 500)
    given, truth = torch.from_numpy(guessed), torch.from_numpy(true)
    assert confusion(given, truth, 7).tolist() == confusion_matrix(true, guessed).tolist()
    assert macro_f1_all(given, truth) == pytest.approx(f1_score(true, guessed, average="macro"))
    among = f1_score(true, guessed, labels=range(6), average="macro")
    assert macro_f1(given, truth) == pytest.approx(among)
    fewer = guessed % 6  # scikit-learn warns of classes that are answered and never true
    expected = balanced_accuracy_score(true, fewer)
    assert unweighted_recall(torch.from_numpy(fewer), truth) == pytest.approx(expected)


def test_equal_scores_are_no_answer_and_count_as_wrong() -> None:
    scores = torch.tensor([[0.2, 0.2, 0.2], [0.0, 1.0, 0.5]])
    said = predicted_classes(scores)
    assert said.tolist() == [-1, 1]
    true = torch.tensor([0, 1])
    assert accuracy(said, true) == 0.5
    assert unweighted_recall(said, true) == 0.5
    assert macro_f1(said, true) == pytest.approx(0.5)
    assert confusion(said, true, 3).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_weighted_items_count_as_in_scikit_learn() -> None:
    chance = np.random.default_rng(0)
    log = torch.log_softmax(torch.from_numpy(chance.normal(size=(200, 5))), 1)
    true = torch.from_numpy(chance.integers(0, 5, 200))
    said = log.argmax(1)
    weights = torch.from_numpy(chance.choice([1, 1 / 2, 1 / 3], 200))
    share = {"sample_weight": weights.numpy()}
    assert accuracy(said, true, weights) == pytest.approx(accuracy_score(true, said, **share))
    assert unweighted_recall(said, true, weights) == pytest.approx(
        balanced_accuracy_score(true, said, **share)
    )
    assert macro_f1(said, true, weights) == pytest.approx(
        f1_score(true, said, average="macro", **share)
    )
    assert likelihood_loss(log, true, weights) == pytest.approx(
        log_loss(true, log.exp(), **share)
    )
    assert confusion(said, true, 5, weights).numpy() == pytest.approx(
        confusion_matrix(true, said, **share)
    )
    # An item of weight 2 is two items.
    twice = torch.cat((torch.arange(200), torch.arange(50)))
    double = torch.ones(200, dtype=torch.float64)
    double[:50] = 2
    assert calibration_error(log.exp(), true, double) == pytest.approx(
        calibration_error(log[twice].exp(), true[twice])
    )
    assert brier_score(log.exp(), true, double) == pytest.approx(
        brier_score(log[twice].exp(), true[twice])
    )


def test_a_class_that_is_never_true_does_not_lower_macro_f1_by_its_own() -> None:
    true = torch.tensor([0, 0, 0, 1, 1, 1])
    said = torch.tensor([0, 0, 2, 1, 1, 1])
    among = f1_score(true, said, labels=[0, 1], average="macro")
    assert macro_f1(said, true) == pytest.approx(among)
    assert macro_f1_all(said, true) == pytest.approx(f1_score(true, said, average="macro"))
    assert macro_f1_all(said, true) == pytest.approx(2 / 3 * among)
    assert never_true(said, true, ("a", "b", "c", "d")) == {"c": 1}
    assert never_true(true, true, ("a", "b", "c", "d")) == {}


def test_the_surest_answers_come_first_on_the_curve_of_coverage() -> None:
    shares = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.5, 0.5]])
    right = torch.tensor([True, True, False, True, False])
    answered = torch.tensor([True, True, True, True, False])
    curve = {one["threshold"]: one for one in coverage_curve(shares, right, answered)}
    assert curve[0.0] == {"threshold": 0.0, "coverage": 0.8, "accuracy": 0.75}
    assert curve[0.75] == {"threshold": 0.75, "coverage": 0.4, "accuracy": 1.0}
    assert curve[0.95] == {"threshold": 0.95, "coverage": 0.0, "accuracy": None}
    # Two halves of an item count as one.
    halves = coverage_curve(shares, right, answered, torch.tensor([1.0, 1.0, 0.5, 0.5, 1.0]))
    assert halves[0]["coverage"] == pytest.approx(0.75)
    assert halves[0]["accuracy"] == pytest.approx(2.5 / 3)


def test_without_items_there_is_no_coverage() -> None:
    nothing = torch.zeros(0, dtype=torch.bool)
    curve = coverage_curve(torch.zeros(0, 7), nothing, nothing)
    assert {(one["coverage"], one["accuracy"]) for one in curve} == {(None, None)}
