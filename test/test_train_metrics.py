import numpy as np
import pytest
import torch

from avemo_ros.train.metrics import accuracy, confusion, interval, recalls, unweighted_recall

TRUE = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
GUESSED = torch.tensor([0, 0, 0, 1, 1, 1, 0, 2])


def test_rows_of_the_confusion_are_the_truth() -> None:
    assert confusion(GUESSED, TRUE, 3).tolist() == [[3, 1, 0], [0, 2, 0], [1, 0, 1]]


def test_wa_counts_answers_and_ua_counts_classes() -> None:
    assert accuracy(GUESSED, TRUE) == pytest.approx(6 / 8)
    assert recalls(GUESSED, TRUE, 3).tolist() == pytest.approx([0.75, 1.0, 0.5])
    assert unweighted_recall(GUESSED, TRUE) == pytest.approx(0.75)


def test_a_class_that_does_not_occur_does_not_count_in_ua() -> None:
    assert unweighted_recall(torch.tensor([0, 3]), torch.tensor([0, 0])) == pytest.approx(0.5)


def test_the_interval_over_speakers_is_wider_than_over_utterances() -> None:
    chance = np.random.default_rng(0)
    speakers = np.repeat(np.arange(10), 30)
    right = torch.from_numpy(chance.random(300) < np.repeat(chance.random(10), 30))

    def figure(rows: torch.Tensor) -> float:
        return float(right[rows].float().mean())

    low, high = interval(figure, speakers.astype(str), rounds=300)
    near_low, near_high = interval(figure, np.arange(300).astype(str), rounds=300)
    assert low < float(right.float().mean()) < high
    assert high - low > 1.5 * (near_high - near_low)


def test_the_interval_is_the_same_every_time() -> None:
    def figure(rows: torch.Tensor) -> float:
        return float(rows.float().mean())

    groups = np.arange(20).astype(str)
    assert interval(figure, groups, rounds=50) == interval(figure, groups, rounds=50)
