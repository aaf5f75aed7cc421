"""Convolutions with fewer multiplications give what convolutions give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from avemo_ros.model.audio_fcn import AudioFCN
from avemo_ros.model.folding import folded
from avemo_ros.model.winograd import WinogradConv2d, use_winograd


def convolution(size: int, padding: int = 1, **more) -> nn.Conv2d:
    torch.manual_seed(3)
    return nn.Conv2d(7, 9, size, padding=padding, **more)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("shape", [(1, 17, 11), (3, 12, 12), (2, 5, 6)])
def test_it_gives_what_the_convolution_gives(size, padding, shape):
    batch, height, width = shape
    layer = convolution(size, padding)
    given = torch.randn(batch, 7, height, width).to(memory_format=torch.channels_last)
    with torch.no_grad():
        made, right = WinogradConv2d(layer)(given), layer(given)
    assert made.shape == right.shape
    assert float((made - right).abs().max()) < 2e-5


def test_without_a_bias_and_in_any_layout_it_is_the_same():
    layer = convolution(3, bias=False)
    given = torch.randn(1, 7, 9, 8)
    with torch.no_grad():
        assert torch.allclose(WinogradConv2d(layer)(given), layer(given), atol=2e-5)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 11, 4, 2),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, (3, 5)),
        nn.Conv2d(4, 4, 3, padding=(1, 0)),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    ],
)
def test_other_convolutions_stay_as_they_are(layer):
    layers = nn.Sequential(layer)
    assert use_winograd(layers) == 0
    assert layers[0] is layer


@pytest.mark.parametrize("columns", [63, 157, 300])
def test_the_speech_network_gives_the_same_vectors(columns):
    torch.manual_seed(4)
    plain = folded(AudioFCN())
    fast = folded(AudioFCN())
    fast.load_state_dict(plain.state_dict())
    assert use_winograd(fast.layers) == 4
    given = torch.randn(1, 1, columns, 200).to(memory_format=torch.channels_last)
    with torch.no_grad():
        right, made = plain(given), fast(given)
    assert float((made - right).abs().max()) < 1e-4 * float(right.abs().max())


def test_the_same_input_gives_the_same_bits():
    layer = WinogradConv2d(convolution(3))
    given = torch.randn(1, 7, 17, 11)
    with torch.no_grad():
        assert all(torch.equal(layer(given), layer(given)) for _ in range(5))
