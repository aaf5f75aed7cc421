import pytest
import torch

from avemo_ros.evaluate.metrics import fit_temperature


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
