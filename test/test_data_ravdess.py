from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.data.ravdess import KEPT_APART, RAVDESS, RAVDESS_FOLDS
from avemo_ros.data.registry import list_items


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return data_trees.ravdess(tmp_path)


def _troubles(root: Path, **options: str) -> Counter[str]:
    return Counter(problem.what for problem in list_items("ravdess", root, **options).problems)


def test_a_take_is_one_item_whichever_of_its_files_are_there(root: Path) -> None:
    items = list_items("ravdess", root).items
    assert [item.key for item in items] == [
        "01-01-01-01-01-01-01",
        "01-01-01-01-01-01-02",
        "01-01-06-02-02-01-01",
        "01-01-06-02-02-01-02",
        "03-01-02-01-01-01-18",
        "03-01-08-02-02-02-18",
    ]


def test_name_gives_label_actor_and_sex(root: Path) -> None:
    item = list_items("ravdess", root).items[3]
    assert (item.label, item.raw_label) == ("fear", "fearful")
    assert (item.subject, item.sex, item.dataset) == ("ravdess-02", "female", "ravdess")
    calm = list_items("ravdess", root).items[4]
    assert (calm.label, calm.sex) == ("calm", "female")
    assert list_items("ravdess", root).items[0].sex == "male"


@pytest.mark.parametrize(
    ("modality", "kinds", "has"),
    [
        ("av", {"01": 4, "03": 2}, None),
        ("audio", {"03": 6}, (False, True)),
        ("video", {"02": 4}, (True, False)),
    ],
)
def test_the_files_of_the_modality_are_taken(
    modality: str, kinds: dict[str, int], has: tuple[bool, bool] | None, root: Path
) -> None:
    items = list_items("ravdess", root, modality=modality).items
    assert Counter(item.key[:2] for item in items) == kinds
    if has is not None:
        assert {(item.has_face, item.has_voice) for item in items} == {has}


def test_what_an_item_has_is_what_its_file_has(root: Path) -> None:
    by_key = {item.key: item for item in list_items("ravdess", root).items}
    film, sound = by_key["01-01-01-01-01-01-01"], by_key["03-01-02-01-01-01-18"]
    assert (film.has_face, film.has_voice) == (True, True)
    assert (sound.has_face, sound.has_voice) == (False, True)


def test_sound_of_a_film_serves_where_there_is_no_other(root: Path) -> None:
    for path in root.glob("Actor_01/03-*"):
        path.unlink()
    items = list_items("ravdess", root, modality="audio").items
    first = next(item for item in items if item.subject == "ravdess-01")
    assert first.path.suffix == ".mp4"
    assert (first.has_face, first.has_voice) == (False, True)


def test_a_silent_film_serves_where_there_is_nothing_else(root: Path) -> None:
    for pattern in ("Actor_01/01-*", "Actor_01/03-*"):
        for path in root.glob(pattern):
            path.unlink()
    items = [item for item in list_items("ravdess", root).items if item.subject == "ravdess-01"]
    assert {(item.key[:2], item.has_face, item.has_voice) for item in items} == {
        ("02", True, False)
    }


def test_a_broken_film_is_replaced_by_its_sound(root: Path) -> None:
    (root / "Actor_01" / "01-01-01-01-01-01-01.mp4").write_bytes(data_trees.LFS_POINTER)
    keys = [item.key for item in list_items("ravdess", root).items]
    assert "03-01-01-01-01-01-01" in keys
    assert "01-01-01-01-01-01-01" not in keys


def test_songs_are_left_out_and_actor_18_has_none(root: Path) -> None:
    problems = list_items("ravdess", root).problems
    songs = [problem for problem in problems if problem.what == "a song, not speech"]
    assert len(songs) == 6
    assert all(song.by_design for song in songs)
    assert not any("Actor_18" in str(song.path) for song in songs)


def test_a_tree_that_is_there_twice_counts_once(root: Path) -> None:
    assert _troubles(root)["a copy of another recording"] == 1


def test_names_that_are_not_ravdess_and_empty_files_are_problems(root: Path) -> None:
    troubles = _troubles(root)
    assert troubles["not a name of RAVDESS"] == 1
    assert troubles["not a name of RAVDESS: there is no strong neutral"] == 1
    assert troubles["an empty file"] == 1


def test_a_file_in_another_actors_folder_keeps_the_actor_of_its_name(root: Path) -> None:
    data_trees.wav(root / "Actor_18" / "03-01-05-01-01-01-24.wav")
    listing = list_items("ravdess", root)
    assert "ravdess-24" in {item.subject for item in listing.items}
    assert [p.left_out for p in listing.problems if "another actor" in p.what] == [False]


def test_the_actors_kept_apart_are_listed_and_in_no_fold(root: Path) -> None:
    assert "ravdess-01" in {item.subject for item in list_items("ravdess", root).items}
    actors = [actor for fold in RAVDESS_FOLDS for actor in fold]
    assert sorted((*actors, *KEPT_APART)) == list(range(1, 25))


def test_every_take_has_one_name_and_a_whole_copy_1440() -> None:
    missing = RAVDESS.missing(())
    assert len(set(missing)) == len(missing) == 1440
    published = RAVDESS.published()
    assert published is not None
    assert published.total == 1440
    assert published.classes[""]["neutral"] == 96
    assert published.subjects is not None
    assert sum(published.subjects.values()) == 1440


def test_takes_that_are_there_in_any_file_are_not_missing(root: Path) -> None:
    items: tuple[Item, ...] = list_items("ravdess", root, modality="audio").items
    assert len(RAVDESS.missing(items)) == 1440 - 6
    assert "ravdess-01: ??-01-01-01-01-01-01" not in RAVDESS.missing(items)


def test_the_recordings_at_hand_are_those_of_twenty_actors(
    shared_data: Path, tmp_path: Path
) -> None:
    with tarfile.open(shared_data / "ravdess_speech_16k.tar") as archive:
        names = [name for name in archive.getnames() if name.endswith(".flac")]
    for name in names:
        data_trees.put(tmp_path / name, b"fLaC".ljust(1000, b"\x01"))
    listing = list_items("ravdess", tmp_path)
    assert not listing.problems
    assert set(Counter(item.subject for item in listing.items).values()) == {60}
    assert not {f"ravdess-{actor:02d}" for actor in KEPT_APART} & {
        item.subject for item in listing.items
    }
    assert Counter(item.label for item in listing.items)["neutral"] == 80
