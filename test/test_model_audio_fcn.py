import pytest
import torch
from torch import nn

from avemo_ros.model.speech_encoder import CHANNELS, AudioFCN, LocalNorm, add_mean_and_delta


def test_the_three_views_are_the_spectrogram_less_its_mean_and_its_slope() -> None:
    torch.manual_seed(0)
    given = torch.randn(2, 1, 7, 5)
    views = add_mean_and_delta(given)
    assert views.shape == (2, 3, 7, 5)
    assert torch.equal(views[:, :1], given)
    assert torch.allclose(views[:, 1].mean(1), torch.zeros(2, 5), atol=1e-6)
    assert torch.allclose(views[:, 2, 3], given[:, 0, 4] - given[:, 0, 2])
    assert bool((views[:, 2, [0, -1]] == 0).all())


def test_the_mean_free_view_does_not_hear_the_microphone() -> None:
    given = torch.randn(1, 1, 50, 200)
    coloured = given + torch.linspace(-1, 1, 200)
    plain, other = add_mean_and_delta(given), add_mean_and_delta(coloured)
    assert torch.allclose(plain[:, 1:], other[:, 1:], atol=1e-5)


def test_local_norm_over_all_channels_divides_by_their_energy() -> None:
    cells = 30 * torch.randn(2, 6, 3, 3)
    energy = cells.square().sum(1, keepdim=True)
    expected = cells / (1 + 1e-4 / 6 * energy) ** 0.75
    assert torch.allclose(LocalNorm()(cells), expected, atol=1e-5)


def test_local_norm_over_some_channels_is_that_of_alexnet() -> None:
    cells = 30 * torch.randn(2, 8, 3, 3)
    expected = nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)(cells)
    assert torch.allclose(LocalNorm(5)(cells), expected)


@pytest.mark.parametrize("norm", ["batch", "local", "none"])
def test_weights_have_the_same_names_with_every_norm(norm: str) -> None:
    names = {name for name in AudioFCN((4, 4, 4, 4, 4)).state_dict() if "weight" in name}
    convolutions = {f"layers.{place}.weight" for place in (0, 4, 8, 11, 14)}
    assert convolutions <= names
    assert convolutions <= set(AudioFCN((4, 4, 4, 4, 4), norm=norm).state_dict())


@pytest.mark.parametrize("name", CHANNELS)
def test_the_network_of_alexnet_has_its_channels(name: str) -> None:
    network = AudioFCN(CHANNELS[name])
    assert tuple(layer.out_channels for layer in network.convolutions) == CHANNELS[name]
    assert network.width == 256
