"""The resting face of a person, from the items before."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny
import torch
from made_landmarks import sequence

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.evaluate.personal_neutral import PRIOR_S, with_personal_neutral
from avemo_ros.model.face_points import POINTS, normalise_points
from avemo_ros.zoo.classifier import collate

SHAPE = 2 * POINTS


def clip(actor: int, emotion: int, take: int, seed: int) -> tuple[Item, Features]:
    key = f"03-01-{emotion:02d}-01-01-{take:02d}-{actor:02d}"
    item = Item("ravdess", key, Path(key), "happy", f"ravdess-{actor:02d}")
    times = (np.arange(61) / 30).astype(np.float32)
    return item, Features(points=sequence(61, seed=seed), point_times_s=times)


def corpus() -> Corpus:
    """Two people; file names in another order than takes."""
    clips = [clip(2, 3, 2, 2), clip(2, 5, 1, 1), clip(3, 3, 1, 5), clip(2, 3, 1, 0)]
    return Corpus(tuple(item for item, _ in clips), tuple(made for _, made in clips))


def shape(seed: int) -> np.ndarray:
    return normalise_points(sequence(61, seed=seed))[:, :SHAPE].mean(axis=0)


def test_an_item_gets_the_mean_of_those_before_it_of_the_same_person() -> None:
    given = corpus()
    made = with_personal_neutral(given, math.inf)
    assert made.items == given.items
    third, second, other, first = made.features
    assert first.neutral is None
    assert other.neutral is None
    assert np.allclose(second.neutral, shape(0), atol=1e-5)
    assert np.allclose(third.neutral, (shape(0) + shape(1)) / 2, atol=1e-5)
    assert second.neutral_weight == pytest.approx(2 / (2 + PRIOR_S), abs=1e-3)
    assert third.neutral_weight == pytest.approx(4 / (4 + PRIOR_S), abs=1e-3)


def test_no_more_than_the_newest_seconds_count() -> None:
    third, *_ = with_personal_neutral(corpus(), 1.0).features
    assert np.allclose(third.neutral, shape(1), atol=1e-5)
    assert third.neutral_weight == pytest.approx(1 / (1 + PRIOR_S), abs=1e-3)
    none = with_personal_neutral(corpus(), 0.0).features
    assert all(made.neutral is None for made in none)


def test_a_person_with_a_known_resting_face_is_seen_as_everybody() -> None:
    model = tiny.made(tiny.LANDMARKS)
    model.standardisation.mean[:SHAPE] = torch.from_numpy(shape(7))
    given = with_personal_neutral(corpus(), math.inf)
    batch = collate(given, [0, 2], "landmarks")
    assert batch.neutral.shape == (2, SHAPE)
    assert batch.neutral_weight[1] == 0
    seen = model.standardisation.at_rest(batch.points, batch.neutral, torch.tensor([1.0, 0.0]))
    expected = batch.points[0, 0, :SHAPE] - batch.neutral[0] + torch.from_numpy(shape(7))
    assert torch.allclose(seen[0, 0, :SHAPE], expected, atol=1e-5)
    assert torch.equal(seen[0, :, SHAPE:], batch.points[0, :, SHAPE:])
    assert torch.equal(seen[1], batch.points[1])
    with torch.inference_mode():
        assert not torch.allclose(
            model(batch).logits[0], model(collate(corpus(), [0], "landmarks")).logits[0]
        )
