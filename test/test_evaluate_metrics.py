import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from avemo_ros.evaluate.metrics import (
    accuracy,
    confusion,
    macro_f1,
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
    assert macro_f1(given, truth) == pytest.approx(f1_score(true, guessed, average="macro"))
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
