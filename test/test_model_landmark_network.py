"""Models of landmark sequences: the network and the machine on statistics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny
import torch
from made_landmarks import sequence, write_landmarks

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.landmark_table import join_points
from avemo_ros.model.emotion_model import Batch, ModelSpec
from avemo_ros.model.face_points import HEAD, POINTS, VALUES, normalise_points
from avemo_ros.model.landmark_network import LandmarkSequence, frame_inputs, standardise_points
from avemo_ros.train.classical_training import train_svm
from avemo_ros.zoo.classical import open_classifier, reads_of
from avemo_ros.zoo.classifier import NetworkClassifier, collate
from avemo_ros.zoo.model_file import LoadedModel
from avemo_ros.zoo.svm_features import (
    MEASURES,
    SEQUENCE_SIZE,
    LandmarkMeasuresReader,
    LandmarkStatisticsReader,
    measures_of,
    statistics_of,
)

SHAPE = 2 * POINTS


def corpus(*frames: int, rate: float = 30.0) -> Corpus:
    items = tuple(Item("made", f"i{n}", Path(f"i{n}"), "happy", f"m-{n}") for n in frames)
    features = tuple(
        Features(
            points=sequence(count, opens=20.0, seed=0),
            point_times_s=(np.arange(count) / rate).astype(np.float32),
        )
        if count
        else Features()
        for count in frames
    )
    return Corpus(items, features)


def test_a_frame_is_read_as_shape_change_and_movement() -> None:
    points = torch.randn(2, 4, VALUES)
    mask = torch.tensor([[True] * 4, [True, False, True, True]])
    given = frame_inputs(points, mask)
    assert given.shape == (2, 4, 3 * SHAPE + 2 * HEAD)
    assert torch.equal(given[..., :SHAPE], points[..., :SHAPE])
    apart = given[..., SHAPE : SHAPE + VALUES]
    assert torch.allclose(apart[0].mean(0), torch.zeros(VALUES), atol=1e-6)
    assert torch.allclose(apart[1][mask[1]].mean(0), torch.zeros(VALUES), atol=1e-6)
    moved = given[..., SHAPE + VALUES :]
    assert torch.equal(moved[0, 2], points[0, 2] - points[0, 1])
    assert not bool(moved[1, :3].any()), "no movement after a frame that is missing"
    assert torch.equal(moved[1, 3], points[1, 3] - points[1, 2])


def test_a_network_is_told_what_its_training_frames_are_like() -> None:
    model = tiny.made(tiny.fused("concat", tiny.LANDMARKS))
    batch = collate(corpus(60, 30), [0, 1], "landmarks")
    assert standardise_points(model, batch.points, batch.points_mask)
    part = model.visual.standardisation
    frames = part(batch.points, batch.points_mask)[batch.points_mask]
    assert torch.allclose(frames.mean(0), torch.zeros(frames.shape[1]), atol=0.1)
    assert not standardise_points(tiny.made(tiny.UNITS), batch.points, batch.points_mask)


@pytest.mark.parametrize("attention", ["mean", "softmax", "self", "relation"])
@pytest.mark.parametrize("statistics", [True, False])
def test_frames_are_pooled_in_every_way(attention: str, statistics: bool) -> None:
    raw = {"kind": "landmark_sequence", "width": 8, "attention": attention}
    model = tiny.made({**raw, "statistics": statistics})
    assert isinstance(model, LandmarkSequence)
    given = tiny.batch()
    encoded = model.encode(given, segments=2)
    assert encoded.vector.shape == (4, model.width)
    assert encoded.segments.shape == (4, 2, model.segment_width)
    assert encoded.there.tolist() == [True, True, False, False]
    whole, parts = model.read(given.points[:1], 2)
    assert torch.allclose(whole[0], encoded.vector[0], atol=1e-5)
    assert torch.allclose(parts[0], encoded.segments[0], atol=1e-5)


def test_a_batch_holds_sequences_of_one_rate() -> None:
    given = corpus(91, 0, 31)
    batch = collate(given, [0, 1, 2], "landmarks")
    assert batch.points.shape == (3, 46, VALUES)
    assert batch.points_mask.sum(1).tolist() == [46, 0, 16]
    assert batch.faces is None


@pytest.mark.parametrize("rate", [5, 10, 15])
def test_a_slower_camera_gets_about_the_same_answer(rate: int) -> None:
    model = tiny.made({"kind": "landmark_sequence", "width": 16})
    full = corpus(91)
    batch = collate(full, [0], "landmarks")
    standardise_points(model, batch.points, batch.points_mask)
    step = 30 // rate
    one = full.features[0]
    slow = Features(points=one.points[::step], point_times_s=one.point_times_s[::step])
    classifier = NetworkClassifier(LoadedModel(model, tiny.spec(tiny.LANDMARKS), "m", {}, 1.0))
    before = classifier.scores(full).exp()
    after = classifier.scores(Corpus(full.items, (slow,))).exp()
    assert float((before - after).abs().max()) < 0.1


def test_statistics_are_those_of_the_frames() -> None:
    frames = np.zeros((30, VALUES), np.float32)
    frames[:, 0] = np.arange(30) / 15
    values = statistics_of(frames).reshape(5, VALUES)
    assert values.shape == (5, VALUES)
    assert values[0, 0] == pytest.approx(frames[:, 0].mean())
    assert values[1, 0] == pytest.approx(frames[:, 0].std())
    assert values[2, 0] == pytest.approx(0.8 * 29 / 15, abs=1e-4)
    assert values[3, 0] == pytest.approx(1.0, abs=1e-4)
    assert values[4, 0] == pytest.approx(frames[:, 0].mean() - frames[:8, 0].mean(), abs=1e-4)
    assert not values[:, 1:].any()
    assert np.isnan(statistics_of(frames[:0])).all()
    assert np.isfinite(statistics_of(frames[:1])).all()


def test_an_item_without_landmarks_has_no_statistics() -> None:
    values = LandmarkStatisticsReader().read(corpus(40, 0))
    assert values.shape == (2, SEQUENCE_SIZE)
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).all()


@pytest.mark.parametrize("kind", ["landmark_statistics_svm", "landmark_measures_svm"])
def test_a_machine_learns_what_mouths_say_and_is_opened_again(
    tmp_path: Path, kind: str
) -> None:
    file = write_landmarks(tmp_path / "a.npz", range(2, 10), takes=2)
    words = {1: "neutral", 3: "happy", 5: "angry"}
    names = [
        f"03-01-{emotion:02d}-01-01-{take:02d}-{actor:02d}"
        for actor in range(2, 10)
        for emotion in words
        for take in (1, 2)
    ]
    items = tuple(
        Item("ravdess", name, Path(name), words[int(name[6:8])], f"ravdess-{name[-2:]}")
        for name in names
    )
    joined, lacking = join_points(Corpus(items, (Features(),) * len(items)), file)
    assert not lacking
    held = np.array([item.subject in ("ravdess-02", "ravdess-03") for item in items])
    spec = ModelSpec(kind, {"cost": 3.0})
    train, rest = joined.only(~held), joined.only(held)
    out = tmp_path / "run"
    out.mkdir()
    figures = train_svm("made", spec, train, rest, out)
    assert figures["ua"] > 0.8
    opened = open_classifier(out)
    assert opened.modality == "landmarks"
    assert reads_of(opened) == {"points"}
    assert opened.scores(rest).shape == (12, 8)


def test_measures_see_a_mouth_a_side_and_a_smile() -> None:
    frames = np.zeros((1, VALUES), np.float32)
    shape = frames[:, : 2 * POINTS].reshape(1, POINTS, 2)
    shape[:, 66, 1] = 0.3  # the lower lip
    shape[:, [48, 54], 0] = (-0.4, 0.4)
    shape[:, 48, 1] = 0.1  # one corner hangs
    shape[:, [40, 41, 46, 47], 1] = 0.05
    found = dict(zip(MEASURES, measures_of(frames)[0].tolist(), strict=True))
    wanted = {
        "mouth open": 0.3,
        "mouth width": 0.8,
        "mouth askew": 0.1,
        "corners of the mouth": 0.05,
        "eyes open": 0.1,
    }
    for name, value in found.items():
        assert value == pytest.approx(wanted.get(name, 0.0), abs=1e-6), name


def test_a_machine_reads_faces_less_their_resting_shape() -> None:
    chance = np.random.default_rng(0)
    face = chance.normal(0, 30, (POINTS, 2)).astype(np.float32)
    moves = chance.normal(0, 1, (20, POINTS, 2)).astype(np.float32)
    times = np.arange(20) / 15
    points = face + moves
    item = Item("ravdess", "a", Path("a"), "happy", "ravdess-02")
    shape = normalise_points(points)[:, : 2 * POINTS].mean(0)
    reader = LandmarkMeasuresReader(shape)
    plain = Features(points=points, point_times_s=times)
    # Somebody with another face, whose resting face is known to be as far away.
    apart = chance.normal(0, 0.1, 2 * POINTS).astype(np.float32)
    known = replace(plain, neutral=shape + apart, neutral_weight=1.0)
    (as_it_is,), (rested,) = (
        reader.read(Corpus((item,), (given,))) for given in (plain, known)
    )
    moved = rested[: 2 * POINTS] - as_it_is[: 2 * POINTS]
    assert np.allclose(moved, -apart, atol=1e-5)
    # How it moves is the same.
    assert np.allclose(rested[VALUES : 5 * VALUES], as_it_is[VALUES : 5 * VALUES], atol=1e-4)


def test_a_fusion_with_landmarks_has_its_own_modality() -> None:
    model = tiny.made(tiny.fused("fbp", tiny.LANDMARKS))
    assert model.modality == "landmarks+audio"
    with torch.inference_mode():
        answer = model(tiny.batch())
        assert answer.parts.keys() == {"audio", "landmarks"}
        seen = model(Batch(points=tiny.batch().points))
    assert torch.equal(seen.logits.isfinite(), torch.ones_like(seen.logits) > 0)
