import numpy as np
import pytest
import torch

from avemo_ros.audio.spectrogram import LogSpectrogram
from avemo_ros.data.features import Features
from avemo_ros.evaluate.corruption import noisy
from avemo_ros.model.network import SNR_FEATURES, EmotionNet, snr_features
from avemo_ros.model.preprocess import spectrogram_tensor


def spoken() -> np.ndarray:
    """(T, 200) of something like speech: harmonics in syllables, with pauses."""
    time = np.arange(3 * 16000) / 16000
    tone = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, 1)
    return LogSpectrogram().push((0.1 * tone * syllables).astype(np.float32))


def test_noise_lowers_every_figure_but_the_mean_level() -> None:
    clean = spoken()
    before = snr_features(spectrogram_tensor(clean))[0]
    for ratio in (10, 0):
        heard = noisy(ratio)(Features(spectrogram=clean.astype(np.float16)), "key").spectrogram
        assert heard is not None
        after = snr_features(spectrogram_tensor(heard.astype(np.float32)))[0]
        assert float(after[0]) > float(before[0])
        assert bool((after[1:] < before[1:]).all())
        before = after


def test_a_flat_spectrogram_has_a_finite_slope() -> None:
    flat = torch.zeros(2, 1, 63, 200, requires_grad=True)
    figures = snr_features(flat)
    assert figures.shape == (2, SNR_FEATURES)
    figures.sum().backward()
    assert flat.grad is not None
    assert bool(torch.isfinite(flat.grad).all())


@pytest.mark.parametrize(("fusion", "extra"), [("evidence", 0), ("clarity", 4)])
def test_only_a_fusion_that_reads_the_clarity_is_given_it(fusion: str, extra: int) -> None:
    torch.manual_seed(0)
    network = EmotionNet(fusion=fusion).eval()
    given = torch.randn(2, 1, 100, 200)
    with torch.inference_mode():
        heard = network.encode_audio(given)
        log, _ = network.fuse(heard, network.face_log(torch.randn(2, network.face.width)))
        vectors = heard[:, : network.speech.width]
        assert torch.equal(network.speech_log(heard), network.speech_log(vectors))
    assert heard.shape == (2, network.speech.width + extra) == (2, network.audio_width)
    assert torch.allclose(log.exp().sum(1), torch.ones(2), atol=1e-5)


def test_the_gate_acts_upon_the_clarity() -> None:
    torch.manual_seed(0)
    network = EmotionNet(fusion="clarity").eval()
    torch.nn.init.normal_(network.fusion.weigh.weight)
    heard, face = torch.randn(1, network.audio_width), torch.randn(1, network.face.width)
    muddy = heard.clone()
    muddy[:, -4:] = 0.0
    with torch.inference_mode():
        _, share = network.fuse(heard, network.face_log(face))
        _, other = network.fuse(muddy, network.face_log(face))
    assert not torch.allclose(share, other)
