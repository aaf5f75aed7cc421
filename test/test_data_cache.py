"""The cache of prepared features."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_items import image, item, noise, voice, write_image, write_wav

from avemo_ros.config import AudioConfig, VisionConfig
from avemo_ros.data import file_reader
from avemo_ros.data.dataset import Item
from avemo_ros.data.feature_cache import DiskCache, ItemSource
from avemo_ros.data.features import Corpus, Features, Finding, PrepareConfig, PreparedItem
from avemo_ros.data.file_reader import PARTS, FileReader
from avemo_ros.data.prepare import PrepareReport, cache_folder, fill_cache, prepare
from avemo_ros.errors import DataError

SPEECH = frozenset({"speech"})
FACES = frozenset({"faces"})


@pytest.fixture
def voices(tmp_path: Path) -> list[Item]:
    """Three utterances."""
    return [voice(write_wav(tmp_path / f"{n}.wav", noise(1.0, n))) for n in range(3)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, as they are."""
    seen: list[str] = []
    read = FileReader.read

    def noted(self: FileReader, path: Path, items: Sequence[Item]) -> list[PreparedItem]:
        seen.append(path.name)
        return read(self, path, items)

    monkeypatch.setattr(FileReader, "read", noted)
    return seen


def run(
    items: Sequence[Item], cache: Path, want: frozenset[str] = SPEECH, **config: Any
) -> tuple[Corpus, PrepareReport]:
    return prepare(items, PrepareConfig(**config), cache, want=want)


def assert_same(one: Corpus, other: Corpus) -> None:
    for a, b in zip(one.features, other.features, strict=True):
        for name in Features.__slots__:
            first, second = getattr(a, name), getattr(b, name)
            assert (first is None) == (second is None), name
            if isinstance(first, float):
                assert first == second, name
            elif first is not None:
                assert first.dtype == second.dtype
                np.testing.assert_array_equal(first, second)


def shards(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.npz"))


def test_what_was_made_is_not_made_again(
    voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    made, first = run(voices, tmp_path / "cache")
    assert reads == ["0.wav", "1.wav", "2.wav"]
    kept, second = run(voices[::-1], tmp_path / "cache")
    assert len(reads) == 3
    assert (first.computed, second.computed, second.speech) == (3, 0, 3)
    assert second.length_s == first.length_s
    assert_same(made, Corpus(kept.items[::-1], kept.features[::-1]))


def test_all_parts_come_back_as_they_were(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    given = [
        Features(
            faces=chance.integers(0, 256, (n, 24, 24), np.uint8),
            face_times_s=np.arange(n, dtype=np.float32),
            landmarks=chance.normal(size=(n, 468, 2)).astype(np.float32),
            spectrogram=chance.normal(size=(63 + n, 200)).astype(np.float16),
        )
        for n in (2, 1)
    ]
    given += [Features(), Features(spectrogram=given[0].spectrogram)]
    made = [
        PreparedItem(features, (Finding("silent", "it is"),) * n, float(n))
        for n, features in enumerate(given)
    ]
    cache = DiskCache(tmp_path / "cache", {})
    sources = [ItemSource(f"key-{n}", "state") for n in range(len(made))]
    cache.write(list(zip(sources, made, strict=True)))
    back = dict(cache.read(sources))
    for source, one in zip(sources, made, strict=True):
        assert (back[source].findings, back[source].length_s) == (one.findings, one.length_s)
    items = tuple(item(Path(source.key)) for source in sources)
    assert_same(
        Corpus(items, tuple(given)),
        Corpus(items, tuple(back[source].features for source in sources)),
    )
    assert dict(cache.read(sources[1:2])).keys() == set(sources[1:2])


def test_a_changed_file_is_made_again(
    voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    run(voices, tmp_path / "cache")
    write_wav(voices[1].path, noise(1.2, 9))
    corpus, report = run(voices, tmp_path / "cache")
    assert reads[3:] == ["1.wav"]
    assert report.computed == 1
    made = corpus.features[1].spectrogram
    assert made is not None
    assert len(made) == 117


def test_a_file_with_another_time_is_made_again(
    voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    run(voices, tmp_path / "cache")
    os.utime(voices[0].path, ns=(1, 1))
    run(voices, tmp_path / "cache")
    assert reads[3:] == ["0.wav"]


def test_another_part_of_a_file_is_another_source(
    voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    whole = voices[0]
    part = voice(whole.path, start_s=0.1, end_s=0.9)
    run([whole], tmp_path / "cache")
    corpus, _ = run([part, whole], tmp_path / "cache")
    assert reads == ["0.wav", "0.wav"]
    lengths = [len(one.spectrogram) for one in corpus.features if one.spectrogram is not None]
    assert lengths == [77, 97]


def test_a_shard_of_files_that_all_changed_is_deleted(
    voices: list[Item], tmp_path: Path
) -> None:
    run(voices[:1], tmp_path / "cache")
    (old,) = shards(tmp_path / "cache")
    write_wav(voices[0].path, noise(1.2, 9))
    run(voices, tmp_path / "cache")
    assert old not in shards(tmp_path / "cache")


def spoil_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def spoil_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def spoil_all(path: Path) -> None:
    path.write_bytes(b"")


def pickle_in(path: Path) -> None:
    np.savez(path, heads=np.array([{"key": "0"}], object))


@pytest.mark.parametrize("spoil", [spoil_end, spoil_middle, spoil_all, pickle_in])
def test_a_damaged_shard_is_made_again(
    spoil: Any, voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    expected, _ = run(voices, tmp_path / "cache")
    (shard,) = shards(tmp_path / "cache")
    spoil(shard)
    corpus, report = run(voices, tmp_path / "cache")
    assert report.computed == 3
    assert_same(corpus, expected)
    assert len(reads) == 6
    assert shard not in shards(tmp_path / "cache")
    run(voices, tmp_path / "cache")
    assert len(reads) == 6


def test_an_interruption_keeps_what_is_done(
    voices: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avemo_ros.data.prepare._SOUND_FILES", 1)
    read = FileReader.read

    def interrupted(self: FileReader, path: Path, items: Sequence[Item]) -> list[PreparedItem]:
        if path.name == "2.wav":
            raise KeyboardInterrupt
        return read(self, path, items)

    with monkeypatch.context() as patch:
        patch.setattr(FileReader, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(voices, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(".*"))
    _, report = run(voices, tmp_path / "cache")
    assert (report.items, report.computed) == (3, 1)


def test_what_is_broken_is_tried_again(tmp_path: Path, reads: list[str]) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"\1" * 100)
    for count in (1, 2):
        _, report = run([voice(bad)], tmp_path / "cache")
        assert len(report.of_kind("broken")) == 1
        assert len(reads) == count


def test_what_is_lacking_is_remembered(tmp_path: Path, reads: list[str]) -> None:
    silent = item(write_wav(tmp_path / "a.wav", noise(1.0)))
    reports = [run([silent], tmp_path / "cache", PARTS)[1] for _ in range(2)]
    assert len(reads) == 1
    kinds = [[one.finding.kind for one in report.troubles] for report in reports]
    assert kinds == [["no face"], ["no face"]]


def test_each_configuration_has_a_folder_of_its_own(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [image(write_image(tmp_path / "a.png"))]
    cache = tmp_path / "cache"
    run(given, cache, FACES)
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    run(given, cache, FACES, min_quality=0.1)
    run(given, cache, FACES, vision=VisionConfig(crop_size=64))
    run([image(given[0].path, dataset="other")], cache, FACES)
    monkeypatch.setattr("avemo_ros.data.prepare.VERSION", file_reader.VERSION + 1)
    run(given, cache, FACES)
    assert len(reads) == 5
    assert len(list(cache.iterdir())) == 5
    assert {path: path.read_bytes() for path in before} == before
    about = json.loads(next(cache.glob("other-*/about.json")).read_text())
    assert about["config"]["vision"]["crop_size"] == 96


def test_sound_does_not_ask_how_faces_are_cut_out(
    voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    run(voices, tmp_path / "cache")
    run(voices, tmp_path / "cache", fps=5.0)
    assert len(reads) == 3


def test_a_cache_with_more_parts_will_do(
    voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    given = [item(voices[0].path), *voices[1:]]
    _, report = run(given, tmp_path / "cache", PARTS)
    assert [one.finding.kind for one in report.troubles] == ["no face"]
    corpus, report = run(given, tmp_path / "cache", SPEECH)
    assert len(reads) == 3
    assert (report.computed, report.speech, report.troubles) == (0, 3, ())
    assert all(one.spectrogram is not None for one in corpus.features)
    seen, report = run(given, tmp_path / "cache", FACES)
    assert len(reads) == 3
    assert all(one.spectrogram is None for one in seen.features)
    assert [one.finding.kind for one in report.troubles] == ["no face"]


def test_many_images_are_few_files(tmp_path: Path) -> None:
    given = [image(write_image(tmp_path / f"{n}.png", n)) for n in range(40)]
    corpus, _ = run(given, tmp_path / "cache", FACES)
    assert len(shards(tmp_path / "cache")) == 1
    kept, report = run(given, tmp_path / "cache", FACES)
    assert report.computed == 0
    assert_same(corpus, kept)


def test_the_cache_can_be_filled_without_keeping_anything(
    voices: list[Item], tmp_path: Path, reads: list[str]
) -> None:
    report = fill_cache(voices, None, tmp_path / "cache", want=SPEECH)
    assert (report.items, report.computed, report.speech) == (3, 3, 3)
    assert report.as_dict()["counts"]["broken"] == 0
    run(voices, tmp_path / "cache")
    assert len(reads) == 3


def test_a_place_that_cannot_be_written_is_named(voices: list[Item], tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(DataError, match=r"cannot write the cache '.*taken"):
        run(voices, taken)


def test_a_full_disk_is_told(
    voices: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any, **_arrays: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DataError, match="No space left on device"):
        run(voices, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(".*"))


def test_the_folder_is_named_by_all_that_matters(tmp_path: Path) -> None:
    folder, about = cache_folder(tmp_path, "ravdess", PrepareConfig(), PARTS)
    assert folder.parent == tmp_path
    assert folder.name.startswith("ravdess-")
    assert about["want"] == ["faces", "landmarks", "speech"]
    again, _ = cache_folder(tmp_path, "ravdess", PrepareConfig(fps=0.0), set(PARTS))
    assert again == folder


def test_the_robots_image_rate_does_not_make_what_is_prepared_anew(tmp_path: Path) -> None:
    folders = {
        cache_folder(tmp_path, "ravdess", PrepareConfig(vision=vision), PARTS)[0]
        for vision in (VisionConfig(), VisionConfig(max_rate_hz=30.0))
    }
    assert len(folders) == 1
    other = PrepareConfig(vision=VisionConfig(crop_size=64))
    assert cache_folder(tmp_path, "ravdess", other, PARTS)[0] not in folders


def test_how_sound_is_heard_matters_to_sound_alone(tmp_path: Path) -> None:
    def folders(audio: AudioConfig) -> list[Path]:
        config = PrepareConfig(audio=audio)
        return [
            cache_folder(tmp_path, "ravdess", config, parts)[0]
            for parts in ({"faces"}, {"speech"}, PARTS)
        ]

    usual, chosen = folders(AudioConfig()), folders(AudioConfig(channel=2))
    assert [one == other for one, other in zip(usual, chosen, strict=True)] == [
        True,
        False,
        False,
    ]
    assert folders(AudioConfig(chunk_s=0.1, level_floor_dbfs=-50.0)) == usual
