import os
from pathlib import Path

import numpy as np
import pytest
from clip_bags import SAMPLE, sample_bag

from avemo_ros.config import PipelineConfig
from avemo_ros.data.audio_features import read_sound
from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.zoo import svm_features
from avemo_ros.zoo.svm_features import (
    FunctionalReader,
    cache_name,
    read_functionals,
    sound_functionals,
)

pytest.importorskip("opensmile")
soundfile = pytest.importorskip("soundfile")

RATE = 16000


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(RATE * seconds)) / RATE
    harmonics = sum(np.sin(2 * np.pi * frequency * k * time) / k for k in range(1, 8))
    return (0.2 * harmonics).astype(np.float32)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    made = []
    for name, frequency in (("low", 120.0), ("high", 240.0)):
        soundfile.write(tmp_path / f"{name}.flac", tone(frequency), RATE)
        made.append(Item("made", name, tmp_path / f"{name}.flac", "happy", name))
    return made


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_higher_voice_has_a_higher_mean_pitch(items: list[Item]) -> None:
    low, high = read_functionals(items, "eGeMAPSv02", quiet=True)
    # The first functional is the mean pitch in semitones above 27.5 Hz: an octave is 12.
    assert high[0] - low[0] == pytest.approx(12, abs=0.5)
    assert low.shape == (88,)


def test_the_large_set_has_6373_values() -> None:
    values = sound_functionals(tone(150.0), "ComParE_2016")
    assert values.shape == (6373,)
    assert np.isfinite(values).all()


def test_what_is_cached_is_not_computed_again(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_functionals(items, "eGeMAPSv02", cache=tmp_path / "cache", quiet=True)

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(svm_features, "sound_functionals", refuse)
    again = read_functionals(items, "eGeMAPSv02", cache=tmp_path / "cache", quiet=True)
    np.testing.assert_array_equal(first, again)


def test_an_interrupted_run_keeps_what_it_had(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = svm_features.sound_functionals
    calls = []

    def interrupted(sound, feature_set):
        calls.append(feature_set)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(sound, feature_set)

    monkeypatch.setattr(svm_features, "sound_functionals", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_functionals(items, "eGeMAPSv02", cache=tmp_path / "cache", quiet=True)
    assert len(files(tmp_path / "cache")) == 1
    result = read_functionals(items, "eGeMAPSv02", cache=tmp_path / "cache", quiet=True)
    assert len(calls) == 3
    assert np.isfinite(result).all()


def test_a_damaged_file_of_the_cache_is_made_again(items: list[Item], tmp_path: Path) -> None:
    first = read_functionals(items[:1], "eGeMAPSv02", cache=tmp_path / "cache", quiet=True)
    (stored,) = files(tmp_path / "cache")
    stored.write_bytes(stored.read_bytes()[:200])
    again = read_functionals(items[:1], "eGeMAPSv02", cache=tmp_path / "cache", quiet=True)
    np.testing.assert_array_equal(first, again)


def test_the_cache_tells_sounds_parts_and_sets_apart(items: list[Item]) -> None:
    item = items[0]
    part = Item("made", "part", item.path, "happy", "s", start_s=0.2)
    names = {
        cache_name(item, "eGeMAPSv02"),
        cache_name(item, "ComParE_2016"),
        cache_name(part, "eGeMAPSv02"),
        cache_name(items[1], "eGeMAPSv02"),
    }
    assert len(names) == 4
    before = cache_name(item, "eGeMAPSv02")
    soundfile.write(item.path, tone(180.0, 1.5), RATE)
    assert cache_name(item, "eGeMAPSv02") != before


def test_only_the_items_part_of_a_file_is_heard(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.flac", np.concatenate((tone(120.0), tone(240.0))), RATE)
    part = Item("made", "b", tmp_path / "two.flac", "happy", "s", start_s=1.0, end_s=2.0)
    values = read_functionals([part], "eGeMAPSv02", quiet=True)[0]
    assert values[0] == pytest.approx(12 * np.log2(240 / 27.5), abs=0.5)


def test_an_item_without_sound_is_a_row_of_nan(items: list[Item]) -> None:
    silent = Item("made", "silent", items[0].path, "happy", "s", has_voice=False)
    corpus = Corpus((silent, items[0]), (Features(), Features()))
    values = FunctionalReader("eGeMAPSv02").read(corpus)
    assert np.isnan(values[0]).all()
    assert np.isfinite(values[1]).all()


def test_a_file_that_cannot_be_read_is_told_and_is_a_row_of_nan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing more")
    item = Item("made", "broken", tmp_path / "broken.wav", "happy", "s")
    assert np.isnan(read_functionals([item], "eGeMAPSv02", quiet=True)).all()
    assert "no functionals of 'broken'" in caplog.text


def test_an_item_that_kills_its_process_costs_only_itself(
    items: list[Item], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Deadly(type(tmp_path)):
        def __reduce__(self):
            return os._exit, (3,)

    deadly = Item("made", "deadly", Deadly(items[0].path), "happy", "s")
    several = [items[0], deadly, items[1]]
    cache = tmp_path / "cache"
    values = read_functionals(several, "eGeMAPSv02", cache=cache, workers=2, quiet=True)
    assert np.isnan(values[1]).all()
    assert np.isfinite(values[[0, 2]]).all()
    assert "no functionals of 'deadly'" in caplog.text


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    item = Item("made", "gone", tmp_path / "gone.wav", "happy", "s")
    with pytest.raises(DataError, match=r"gone\.wav"):
        read_functionals([item], "eGeMAPSv02", cache=tmp_path, quiet=True)


def test_sound_of_a_few_milliseconds_has_no_functionals() -> None:
    assert np.isnan(sound_functionals(np.zeros(100, np.float32), "ComParE_2016")).all()


def test_several_processes_give_the_same(items: list[Item]) -> None:
    alone = read_functionals(items, "eGeMAPSv02", quiet=True)
    together = read_functionals(items, "eGeMAPSv02", workers=2, quiet=True)
    np.testing.assert_array_equal(alone, together)


def test_a_feature_set_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"eGeMAPSv02 \| ComParE_2016"):
        FunctionalReader("gemaps")


def test_the_sound_of_a_bag_is_read_between_its_labels(tmp_path: Path) -> None:
    bag = sample_bag(tmp_path / "bag", 4.0)
    labels = {"start_s": 2.0, "end_s": 3.5}
    of_bag, of_clip = (read_sound(path, **labels) for path in (bag / "metadata.yaml", SAMPLE))
    assert len(of_bag) == pytest.approx(1.5 * RATE, abs=RATE // 50)
    # Both are cut at images and blocks of their own: alike, not equal.
    loud = [20 * np.log10(np.std(sound)) for sound in (of_bag, of_clip)]
    assert loud[0] == pytest.approx(loud[1], abs=1.0)
    item = Item("bags", "bag@2", bag / "metadata.yaml", "happy", "p1", **labels)
    values = read_functionals([item], "eGeMAPSv02", workers=1)
    assert np.isfinite(values).all()


def test_a_bag_of_spectrograms_has_no_functionals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bag = sample_bag(tmp_path / "bag", 2.0, features=PipelineConfig())
    item = Item("bags", "bag@0", bag / "metadata.yaml", "happy", "p1", start_s=0.0, end_s=1.5)
    assert not np.isfinite(read_functionals([item], "eGeMAPSv02", workers=1)).any()
    assert "contains a spectrogram, but no audio" in caplog.text
