import pytest
import torch

from avemo_ros.evaluate.metrics import (
    brier_score,
    calibration_error,
    cross_scaled,
    fit_temperature,
    likelihood_loss,
    reliability,
)


def overconfident(factor: float, count: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose softmax is right when divided by `factor`."""
    chance = torch.Generator().manual_seed(0)
    honest = 1.5 * torch.randn(count, 5, generator=chance)
    labels = torch.multinomial(torch.softmax(honest, 1), 1, generator=chance).flatten()
    return honest * factor, labels


def test_the_error_is_the_gap_of_confidence_and_accuracy() -> None:
    sure = torch.tensor([[0.9, 0.1]] * 10)
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert calibration_error(sure, labels) == pytest.approx(0.3, abs=1e-6)


def test_bins_are_weighted_by_their_items() -> None:
    shares = torch.tensor([[0.9, 0.1]] * 3 + [[0.6, 0.4]])
    labels = torch.tensor([0, 0, 1, 1])
    # |2/3 - 0.9| for three items, |0 - 0.6| for one
    expected = 0.75 * abs(2 / 3 - 0.9) + 0.25 * 0.6
    assert calibration_error(shares, labels) == pytest.approx(expected, abs=1e-6)
    found = reliability(shares, labels)
    assert found.counts[13] == 3
    assert found.counts[9] == 1
    assert found.accuracy[13] == pytest.approx(2 / 3)
    assert found.confidence[9] == pytest.approx(0.6)


def test_full_confidence_falls_into_the_last_bin() -> None:
    assert calibration_error(torch.tensor([[1.0, 0.0]]), torch.tensor([0])) == 0.0


def test_an_item_without_an_answer_is_wrong_with_the_least_confidence() -> None:
    assert calibration_error(torch.full((1, 4), 0.25), torch.tensor([0])) == pytest.approx(0.25)


def test_brier_and_nll_by_hand() -> None:
    shares = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    labels = torch.tensor([0, 1])
    assert brier_score(shares, labels) == pytest.approx((0.25 + 2 * 0.0625) / 2)
    log = shares.clamp_min(1e-9).log()
    assert likelihood_loss(log, labels) == pytest.approx(0.6931471805 / 2, abs=1e-6)


def test_the_calibration_error_falls_by_temperature_scaling() -> None:
    logits, labels = overconfident(3.0)
    groups = [str(index % 10) for index in range(len(labels))]
    found = cross_scaled(torch.log_softmax(logits, 1), labels, groups)
    assert found is not None
    scaled, temperatures = found
    assert temperatures == pytest.approx((3.0, 3.0), rel=0.1)
    assert calibration_error(torch.softmax(logits, 1), labels) > 0.15
    assert calibration_error(scaled.exp(), labels) < 0.03


def test_no_item_is_scaled_by_a_temperature_that_it_was_fitted_on() -> None:
    logits, labels = overconfident(2.0, count=200)
    log = torch.log_softmax(logits, 1)
    groups = ["a"] * 100 + ["b"] * 100
    found = cross_scaled(log, labels, groups)
    assert found is not None
    scaled, _ = found
    of_b = fit_temperature(log[100:], labels[100:])
    assert torch.allclose(scaled[:100], torch.log_softmax(log[:100] / of_b, 1))


def test_few_items_are_not_scaled() -> None:
    logits, labels = overconfident(2.0, count=45)
    assert cross_scaled(logits, labels, ["a"] * 45) is None
    assert cross_scaled(logits, labels, ["a"] * 30 + ["b"] * 15) is None
    assert cross_scaled(logits, labels, ["a"] * 25 + ["b"] * 20) is not None
