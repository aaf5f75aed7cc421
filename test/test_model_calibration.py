import pytest
import torch

from avemo_ros.model.calibration import calibration_error, fit_temperature


def overconfident(factor: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose softmax is right when divided by `factor`."""
    chance = torch.Generator().manual_seed(0)
    honest = 1.5 * torch.randn(6000, 5, generator=chance)
    labels = torch.multinomial(torch.softmax(honest, 1), 1, generator=chance).flatten()
    return honest * factor, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(factor: float) -> None:
    logits, labels = overconfident(factor)
    assert fit_temperature(logits, labels) == pytest.approx(factor, rel=0.05)


def test_the_calibration_error_falls_by_temperature_scaling() -> None:
    logits, labels = overconfident(3.0)
    before = calibration_error(torch.softmax(logits, 1), labels)
    temperature = fit_temperature(logits, labels)
    after = calibration_error(torch.softmax(logits / temperature, 1), labels)
    assert before > 0.15
    assert after < 0.03


def test_the_error_is_the_gap_of_confidence_and_accuracy() -> None:
    sure = torch.tensor([[0.9, 0.1]] * 10)
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert calibration_error(sure, labels) == pytest.approx(0.3, abs=1e-6)


def test_full_confidence_falls_into_the_last_bin() -> None:
    assert calibration_error(torch.tensor([[1.0, 0.0]]), torch.tensor([0])) == 0.0
