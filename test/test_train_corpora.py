from pathlib import Path

import numpy as np
import pytest
import torch
from training_tree import write_sound, write_speech

from avemo_ros.labels import SPEECH_CLASSES
from avemo_ros.train.corpora import CLASSES, KEPT_APART, RAVDESS_FOLDS, read_corpus
from avemo_ros.train.speech_data import (
    crop,
    degrade,
    load_spectrograms,
    log_spectrogram,
    mask,
    read_sound,
    window,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    write_speech(folder)
    return folder


@pytest.mark.parametrize(
    ("corpus", "count", "speaker"),
    [
        ("ravdess", 32, "ravdess-02"),
        ("emodb", 6, "emodb-03"),
        ("urdu", 4, "urdu-SM1"),
        ("nemo", 6, "nemo-WR0"),
    ],
)
def test_each_corpus_is_read_from_its_layout(
    root: Path, corpus: str, count: int, speaker: str
) -> None:
    found = read_corpus(corpus, root)
    assert len(found) == count
    assert found[0].speaker == speaker
    assert {SPEECH_CLASSES[item.label] for item in found} == CLASSES[corpus]


def test_boredom_is_left_out(root: Path) -> None:
    assert not [item for item in read_corpus("emodb", root) if item.path.stem[5] == "L"]


def test_actors_of_the_final_test_songs_and_video_are_never_read(tmp_path: Path) -> None:
    for actor in KEPT_APART:
        name = f"ravdess/Actor_{actor:02d}/03-01-05-01-01-01-{actor:02d}.wav"
        write_sound(tmp_path / name, 100)
    write_sound(tmp_path / "ravdess/Actor_02/03-02-05-01-01-01-02.wav", 100)
    write_sound(tmp_path / "ravdess/Actor_02/01-01-05-01-01-01-02.wav", 100)
    with pytest.raises(FileNotFoundError, match="ravdess"):
        read_corpus("ravdess", tmp_path)


def test_the_folds_share_no_actor_and_none_is_kept_apart() -> None:
    actors = [actor for fold in RAVDESS_FOLDS for actor in fold]
    assert sorted((*actors, *KEPT_APART)) == list(range(1, 25))


def test_sound_comes_as_mono_16_khz_at_full_length(root: Path) -> None:
    samples = read_sound(read_corpus("emodb", root)[0].path)
    assert samples.dtype == np.float32
    assert len(samples) == 19_200
    assert 0.2 < np.abs(samples).max() <= 1.0


def test_short_sound_is_filled_up_to_the_least_length(tmp_path: Path) -> None:
    write_sound(tmp_path / "short.wav", 200, seconds=0.2)
    power_db = log_spectrogram(tmp_path / "short.wav")
    assert power_db.shape == (63, 200)
    assert float(power_db[-1].max()) == -100


def test_spectrograms_from_the_cache_equal_fresh_ones(root: Path, tmp_path: Path) -> None:
    utterances = read_corpus("emodb", root)
    fresh = load_spectrograms(utterances, tmp_path / "cache.pt")
    cached = load_spectrograms(utterances, tmp_path / "cache.pt")
    fewer = load_spectrograms(utterances[:2], tmp_path / "cache.pt")
    assert [len(item.power_db) for item in cached] == [len(item.power_db) for item in fresh]
    assert all(torch.equal(a.power_db, b.power_db) for a, b in zip(fresh, cached, strict=True))
    assert len(fewer) == 2, "a cache of other files is not used"


def test_degrading_and_masking_keep_shape_and_range_and_are_repeatable(root: Path) -> None:
    given = load_spectrograms(read_corpus("emodb", root))[:4]

    def made() -> torch.Tensor:
        chance = torch.Generator().manual_seed(5)
        cut = torch.stack([crop(item, 100, chance) for item in given])
        return mask(degrade(cut, chance).unsqueeze(1), chance)

    first, second = made(), made()
    assert first.shape == (4, 1, 100, 200)
    assert bool(first.isfinite().all())
    assert -101 <= float(first.min()) < float(first.max()) < 20
    assert torch.equal(first, second)


def test_a_window_beyond_the_ends_is_filled_with_silence() -> None:
    given = torch.full((10, 200), -20.0)
    cut = window(given, -5, 30)
    assert cut.shape == (30, 200)
    assert (cut[:, 0] > -50).tolist() == [False] * 5 + [True] * 10 + [False] * 15
