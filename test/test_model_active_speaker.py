"""Who of several speaks, and what the network sees and hears of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from avemo_ros.audio.spectrogram import BINS, HOP_NS
from avemo_ros.model.active_speaker import (
    BANDS,
    FRAMES,
    RATE_HZ,
    active_speaker_network,
    bands,
    heard_columns,
    mouth_frames,
)


@pytest.mark.parametrize("odds", [[0.3], [2.0, -1.0], [-4.0, 0.5, 1.5], [30.0, 30.0]])
def test_the_shares_are_those_of_all_sets_of_speakers(odds: list[float]) -> None:
    network = active_speaker_network()
    weights = {(): math.exp(network.unseen)}
    for count in range(1, len(odds) + 1):
        for chosen in itertools.combinations(range(len(odds)), count):
            cost = network.overlap * (count - 1)
            weights[chosen] = math.exp(sum(odds[k] for k in chosen) - cost)
    total = sum(weights.values())
    shares, unseen = network.shares(odds)
    for face, share in enumerate(shares):
        wanted = sum(weight for chosen, weight in weights.items() if face in chosen) / total
        assert share == pytest.approx(wanted)
    assert unseen == pytest.approx(weights[()] / total)


def test_without_a_face_somebody_unseen_speaks() -> None:
    assert active_speaker_network().shares([]) == ([], 1.0)


def test_two_at_once_are_less_likely_than_one() -> None:
    assert active_speaker_network().overlap > 0


def test_bands_are_means_of_the_bins() -> None:
    power = np.repeat(np.arange(BINS, dtype=np.float32)[None], 2, axis=0)
    made = bands(power)
    assert made.shape == (2, BANDS)
    assert made[0, 0] == pytest.approx(np.mean(np.arange(4, 10)))  # 80 to 200 Hz
    assert (np.diff(made[0]) > 0).all()


def test_the_columns_of_a_time_are_centred_on_it() -> None:
    # Column 10 ends at 0.1 s and covers 0.06 to 0.1 s.
    (columns,) = heard_columns(np.array([80_000_000]), 0, 100)
    assert columns[5] == 10
    early, late = heard_columns(np.array([-HOP_NS * 100, HOP_NS * 500]), 0, 100)
    assert set(early) == {0}
    assert set(late) == {99}


@pytest.mark.parametrize("rate_hz", [30.0, 15.0, 10.0])
def test_a_slow_movement_looks_the_same_at_any_rate(rate_hz: float) -> None:
    def mouth(t: np.ndarray) -> np.ndarray:
        return 0.1 + 0.05 * np.sin(2 * np.pi * 1.0 * t)

    stamps = np.arange(0, 4, 1 / rate_hz)
    wanted = np.arange(1.0, 3.0, 1 / RATE_HZ)
    made = mouth_frames(
        mouth(stamps), (stamps * 1e9).astype(np.int64), (wanted * 1e9).astype(np.int64)
    )
    np.testing.assert_allclose(made, mouth(wanted), atol=0.004)


def test_a_face_costs_the_same_alone_and_among_others() -> None:
    network, rng = active_speaker_network(), np.random.default_rng(1)
    heard = network.hear(rng.normal(0, 1, (1, FRAMES, 112)).astype(np.float32))
    speech = rng.random((1, FRAMES)).astype(np.float32)
    mouths = rng.random((3, FRAMES + 6)).astype(np.float32)
    together = network.match(heard, speech, mouths)
    alone = [network.match(heard, speech, mouth[None])[0] for mouth in mouths]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
