"""Landmark sequences in training: what is shown of them, and how they are changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_landmarks import sequence

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.model.emotion_model import Batch
from avemo_ros.model.face_points import POINTS, RATE_HZ, VALUES, normalise_points
from avemo_ros.train.augmentation import degrade_points, mirror_points
from avemo_ros.train.loop import EpochRng
from avemo_ros.train.optimisation import Processes
from avemo_ros.train.sample_bank import PointBank
from avemo_ros.train.sampler import Sampler, heard_span
from avemo_ros.train.training_batch import TrainingBatch, drop_modality, mix_rows
from avemo_ros.train.training_config import LandmarkAugment, TrainConfig

PLAIN = LandmarkAugment(
    mirror=0, person=0, crop_low=1, tempo=0, thin=0, drop=0, noise=0, offset=0, stretch=0
)


def item(number: int, label: str = "happy") -> Item:
    return Item("ravdess", f"k{number}", Path(f"k{number}"), label, f"ravdess-{number}")


def points(frames: int, seed: int = 0) -> Features:
    return Features(
        points=sequence(frames, opens=20.0, seed=seed),
        point_times_s=(np.arange(frames) / 30).astype(np.float32),
    )


def voice(columns: int) -> Features:
    return Features(spectrogram=np.full((columns, 200), -20, np.float16))


def both(seen: Features, heard: Features) -> Features:
    return Features(
        points=seen.points,
        point_times_s=seen.point_times_s,
        spectrogram=heard.spectrogram,
    )


def bank(*features: Features) -> PointBank:
    return PointBank(Corpus(tuple(item(n) for n in range(len(features))), features))


def lots(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, PointBank.LOTS))


def test_a_sequence_is_shown_whole_or_in_part() -> None:
    made = bank(points(91), points(31, 1), Features())
    shown, mask = made.pick([0, 1, 2], [None] * 3, lots(3), PLAIN)
    assert shown.shape == (3, 46, VALUES)
    assert mask.sum(1).tolist() == [46, 16, 0]
    half = PLAIN.replace(crop_low=0.5)
    lengths = [int(made.pick([0], [None], lots(1, n), half)[1].sum()) for n in range(40)]
    assert 22 <= min(lengths) < 30
    assert 40 < max(lengths) <= 46


def test_of_a_heard_sequence_the_frames_of_the_window_are_shown() -> None:
    made = bank(points(91))
    shown, mask = made.pick([0], [(1.0, 2.0)], lots(1), PLAIN)
    whole, _ = made.pick([0], [None], lots(1), PLAIN)
    assert int(mask.sum()) == pytest.approx(15, abs=1)
    assert torch.allclose(shown[0, 2:12], whole[0, 17:27], atol=1e-3)
    assert not bool(made.pick([0], [(3.5, 4.5)], lots(1), PLAIN)[1].any())


def test_a_slower_camera_and_another_tempo_keep_the_rate() -> None:
    made = bank(points(91))
    slow = made.pick([0], [None], lots(1), PLAIN.replace(thin=1.0))
    assert int(slow[1].sum()) == pytest.approx(46, abs=4)
    fast = [made.pick([0], [None], lots(1, n), PLAIN.replace(tempo=0.5)) for n in range(20)]
    counts = [int(mask.sum()) for _, mask in fast]
    assert min(counts) < 40 < 55 < max(counts)


def test_a_face_gets_the_resting_shape_of_another_person() -> None:
    made = bank(points(31, 0), points(31, 5))
    how = PLAIN.replace(person=1.0, person_share=1.0)
    chance = lots(1)
    chance[0, 6], chance[0, 7] = 0.99, 1.0
    shift = made.person_shifts([0], chance, how)
    means = [
        normalise_points(sequence(31, opens=20.0, seed=seed))[:, : 2 * POINTS].mean(0)
        for seed in (0, 5)
    ]
    assert np.allclose(shift[0], means[1] - means[0], atol=1e-5)
    assert not bool(made.person_shifts([0, 1], lots(2), PLAIN).any())


def test_plain_settings_change_nothing_and_every_row_keeps_a_frame() -> None:
    shown = torch.randn(6, 9, VALUES)
    mask = torch.rand(6, 9, generator=torch.Generator().manual_seed(0)) > 0.2
    chance = torch.Generator().manual_seed(0)
    shown = shown * mask.unsqueeze(2)
    made = degrade_points(shown, mask, torch.zeros(6, 2 * POINTS), chance, PLAIN)
    assert torch.allclose(made["points"], shown)
    assert torch.equal(made["points_mask"], mask)
    hidden = PLAIN.replace(drop=0.9)
    kept = degrade_points(shown, mask, torch.zeros(6, 2 * POINTS), chance, hidden)
    assert bool(kept["points_mask"].any(1).all())
    assert int(kept["points_mask"].sum()) < int(mask.sum())


def test_the_mirror_image_is_that_of_the_mirrored_face() -> None:
    given = sequence(5, opens=9.0).astype(np.float64)
    given[2:] += (0.3, 0.1)
    turned = given * (-1, 1)
    from avemo_ros.model.face_points import MIRRORED

    expected = normalise_points(turned[:, list(MIRRORED)])
    made = mirror_points(torch.from_numpy(normalise_points(given)))
    assert np.allclose(made.numpy(), expected, atol=1e-4)


def sampler(corpus: Corpus, modality: str, **data: str) -> Sampler:
    config = TrainConfig.from_mapping(
        {
            "data": {"train": [{"name": "ravdess"}], "window_low_s": 1, **data},
            "training": {"batch": 8, "draws": 16},
            "augment": {"mixup": 1.0, "shift_s": 0.1},
        }
    )
    classes = ("angry", "calm", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    return Sampler(corpus, config, modality, classes, 48, Processes(torch.device("cpu")))


def lessons(made: Sampler) -> list[TrainingBatch]:
    chance = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    return list(made.epoch(0, EpochRng(*chance)))


def test_batches_hold_the_landmarks_of_items_that_have_some() -> None:
    items = tuple(item(n, label) for n, label in enumerate(("happy", "sad", "angry")))
    given = Corpus(items, (points(60), points(90, 1), Features()))
    for one in lessons(sampler(given, "landmarks")):
        assert one.batch.points is not None
        assert one.batch.points.shape[0::2] == (8, VALUES)
        assert bool(one.batch.points_mask.any(1).all())
        assert bool(one.batch.points.isfinite().all())
        assert one.batch.speech is None


def test_landmarks_and_voice_are_of_one_time() -> None:
    items = (item(0), item(1, "sad"))
    given = Corpus(items, (both(points(120), voice(400)), voice(300)))
    for one in lessons(sampler(given, "landmarks+audio")):
        columns = one.batch.speech.shape[2]
        heard = one.batch.points_mask.sum(1)
        longest = (columns / 100 * np.exp(0.2)) * RATE_HZ + 2
        assert int(heard.max()) <= longest
        assert bool(one.batch.speech_mask.all())
    assert heard_span(100, 200, 0.5, 0.5) == (1.0, 3.0)
    assert heard_span(100, 200, 0.5, 1.0) == (1.5, 3.5)


def test_pairs_are_made_of_landmarks_and_voices_of_different_people() -> None:
    given = Corpus((item(0), item(1)), (points(60), voice(200)))
    made = sampler(given, "landmarks+audio", pairing="label")
    assert made.paired
    one = lessons(made)[0].batch
    assert bool(one.points_mask.any(1).all())
    assert bool(one.speech_mask.all())


def test_modality_dropout_hides_landmarks_or_voice_but_not_both() -> None:
    batch = Batch(
        points=torch.zeros(400, 3, VALUES),
        points_mask=torch.ones(400, 3, dtype=torch.bool),
        speech=torch.zeros(400, 1, 63, 200),
        speech_mask=torch.ones(400, dtype=torch.bool),
    )
    dropped = drop_modality(batch, 0.3, torch.Generator().manual_seed(0))
    seen = dropped.points_mask.any(1)
    assert bool((seen | dropped.speech_mask).all())
    assert float((~seen).float().mean()) == pytest.approx(0.3, abs=0.1)
    assert float((~dropped.speech_mask).float().mean()) == pytest.approx(0.3, abs=0.1)


def test_rows_are_mixed_where_both_have_frames() -> None:
    mask = torch.tensor([[True, True, False], [True, True, True], [False] * 3])
    values = torch.tensor([1.0, 2.0, 0.0]).view(3, 1, 1).expand(3, 3, VALUES)
    rows = TrainingBatch(
        Batch(points=values * mask.unsqueeze(2), points_mask=mask),
        torch.eye(3),
        torch.ones(3, 3, dtype=torch.bool),
        torch.ones(3),
    )
    config = TrainConfig.from_mapping({"augment": {"mixup": 1.0}})
    for seed in range(20):
        mixed = mix_rows(rows, config, torch.Generator().manual_seed(seed))
        assert not bool(mixed.batch.points_mask[2].any())
        kept = mixed.batch.points_mask
        share = (mixed.targets * torch.tensor([1.0, 2.0, 0.0])).sum(1)
        shown = mixed.batch.points[:, 0, 0]
        assert torch.allclose(shown[kept[:, 0]], share[kept[:, 0]])
