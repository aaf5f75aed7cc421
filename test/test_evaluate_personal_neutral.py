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
from avemo_ros.evaluate.evaluation_data import PRIOR_S, with_personal_neutral
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


SEEDS = (2, 1, 5, 0)
"""Of the clips of `corpus`."""


def in_order(made: Corpus) -> list[int]:
    """Places of the first person's clips, in the order in which they were seen."""
    rows = sorted((0, 1, 3), key=lambda row: made.features[row].neutral_weight)
    weights = [made.features[row].neutral_weight for row in rows]
    assert weights == pytest.approx([0.0, 2 / (2 + PRIOR_S), 4 / (4 + PRIOR_S)], abs=1e-3)
    return rows


def test_an_item_gets_the_mean_of_those_before_it_of_the_same_person() -> None:
    given = corpus()
    made = with_personal_neutral(given, math.inf)
    assert made.items == given.items
    assert made.features[2].neutral is None, "the only one of its person"
    first, second, third = in_order(made)
    assert np.allclose(made.features[second].neutral, shape(SEEDS[first]), atol=1e-5)
    mean = (shape(SEEDS[first]) + shape(SEEDS[second])) / 2
    assert np.allclose(made.features[third].neutral, mean, atol=1e-5)


def test_no_more_than_the_newest_seconds_count() -> None:
    _, second, third = in_order(with_personal_neutral(corpus(), math.inf))
    made = with_personal_neutral(corpus(), 1.0).features[third]
    assert np.allclose(made.neutral, shape(SEEDS[second]), atol=1e-5)
    assert made.neutral_weight == pytest.approx(1 / (1 + PRIOR_S), abs=1e-3)
    none = with_personal_neutral(corpus(), 0.0).features
    assert all(made.neutral is None for made in none)


def test_the_order_says_nothing_of_the_emotion_in_the_name() -> None:
    clips = [clip(5, emotion, take, 0) for emotion in range(1, 9) for take in (1, 2)]
    given = Corpus(tuple(item for item, _ in clips), tuple(made for _, made in clips))
    made = with_personal_neutral(given, math.inf)
    weights = [one.neutral_weight for one in made.features]
    assert len(set(weights)) == len(clips)
    later = np.corrcoef(np.argsort(np.argsort(weights)), np.arange(len(clips)))[0, 1]
    assert abs(later) < 0.6
    again = with_personal_neutral(Corpus(given.items[::-1], given.features[::-1]), math.inf)
    assert [one.neutral_weight for one in again.features[::-1]] == weights


def test_a_person_with_a_known_resting_face_is_seen_as_everybody() -> None:
    model = tiny.made(tiny.LANDMARKS)
    model.standardisation.mean[:SHAPE] = torch.from_numpy(shape(7))
    given = with_personal_neutral(corpus(), math.inf)
    last = in_order(given)[-1]
    batch = collate(given, [last, 2], "landmarks")
    assert batch.neutral.shape == (2, SHAPE)
    assert batch.neutral_weight[1] == 0
    seen = model.standardisation.at_rest(batch.points, batch.neutral, torch.tensor([1.0, 0.0]))
    expected = batch.points[0, 0, :SHAPE] - batch.neutral[0] + torch.from_numpy(shape(7))
    assert torch.allclose(seen[0, 0, :SHAPE], expected, atol=1e-5)
    assert torch.equal(seen[0, :, SHAPE:], batch.points[0, :, SHAPE:])
    assert torch.equal(seen[1], batch.points[1])
    with torch.inference_mode():
        assert not torch.allclose(
            model(batch).logits[0], model(collate(corpus(), [last], "landmarks")).logits[0]
        )
