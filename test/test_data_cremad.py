from __future__ import annotations

from collections import Counter
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.cremad import CREMAD
from avemo_ros.data.dataset import Item
from avemo_ros.data.registry import list_items
from avemo_ros.errors import DataError
from avemo_ros.labels import SPEECH_CLASSES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return data_trees.cremad(tmp_path)


def _by_key(root: Path, **options: str) -> dict[str, Item]:
    return {item.key: item for item in list_items("cremad", root, **options).items}


def test_a_clip_is_one_item_whichever_of_its_files_are_there(root: Path) -> None:
    items = _by_key(root)
    assert items["1001_IEO_ANG_MD"].path.suffix == ".flv"
    assert items["1001_IEO_ANG_MD"].label == "angry"
    assert items["1001_IEO_ANG_MD"].subject == "cremad-1001"


def test_a_level_with_one_x_is_the_level_xx(root: Path) -> None:
    item = _by_key(root)["1040_ITH_SAD_XX"]
    assert item.path.name == "1040_ITH_SAD_X.wav"
    assert item.label == "sad"


def test_a_level_that_does_not_exist_is_a_problem(root: Path) -> None:
    problems = list_items("cremad", root).problems
    assert [p.path.name for p in problems if p.what == "not a name of CREMA-D"] == [
        "1001_IEO_ANG_HIGH.wav"
    ]


def test_where_the_film_is_bad_a_good_wav_serves(root: Path) -> None:
    item = _by_key(root)["1076_MTI_NEU_XX"]
    assert item.path.suffix == ".wav"
    assert not item.has_face


@pytest.mark.parametrize(
    ("modality", "there"),
    [
        ("video", set()),
        ("audio", {"1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX"}),
        ("av", {"1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX"}),
    ],
)
def test_files_that_the_authors_call_bad_are_left_out_by_design(
    modality: str, there: set[str], root: Path
) -> None:
    listing = list_items("cremad", root, modality=modality)
    keys = {item.key for item in listing.items}
    assert {key for key in keys if key.startswith(("1064", "1076"))} == there
    bad = [problem for problem in listing.problems if problem.what.startswith("bad")]
    assert len(bad) == (4 if modality == "video" else 9)
    assert all(problem.by_design for problem in bad)


def test_lfs_pointers_are_named_and_what_is_there_is_used(root: Path) -> None:
    for path in (root / "VideoFlash").iterdir():
        path.write_bytes(data_trees.LFS_POINTER)
    listing = list_items("cremad", root)
    assert {item.path.suffix for item in listing.items} == {".wav"}
    pointers = [p for p in listing.problems if "git LFS pointer" in p.what]
    assert len(pointers) == 2
    assert not any(problem.by_design for problem in pointers)


def test_a_copy_of_nothing_but_lfs_pointers_says_what_to_do(tmp_path: Path) -> None:
    data_trees.put(tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav", data_trees.LFS_POINTER)
    with pytest.raises(DataError, match=r"1 x a git LFS pointer.*git lfs pull"):
        list_items("cremad", tmp_path)


def test_sex_age_and_race_are_those_of_the_table_and_unknown_without(root: Path) -> None:
    items = _by_key(root)
    assert items["1001_IEO_ANG_MD"].sex == "male"
    assert items["1040_ITH_SAD_XX"].sex == "female"
    assert items["1076_MTI_NEU_XX"].sex == ""
    assert items["1001_IEO_ANG_MD"].groups == (("age", "50 and over"), ("race", "Caucasian"))
    assert items["1040_ITH_SAD_XX"].groups == (("age", "20 to 29"),)
    assert items["1076_MTI_NEU_XX"].groups == ()


def test_intended_labels_come_with_the_votes_of_those_who_rated_the_same(root: Path) -> None:
    data_trees.cremad_votes(root)
    votes = _by_key(root)["1001_IEO_ANG_MD"].votes
    assert votes is not None
    assert dict(zip(SPEECH_CLASSES, votes, strict=True)) == {
        "angry": 6,
        "disgust": 2,
        "fear": 0,
        "happy": 0,
        "neutral": 1,
        "sad": 0,
        "surprise": 0,
        "calm": 0,
    }
    assert _by_key(root)["1040_ITH_SAD_XX"].votes is None


@pytest.mark.parametrize("tables", ["votes", "summary"])
@pytest.mark.parametrize(
    ("modality", "labels"),
    [
        ("av", {"1001_IEO_ANG_MD": "angry"}),
        ("audio", {"1001_IEO_HAP_HI": "neutral"}),
        ("video", {"1001_IEO_ANG_MD": "neutral", "1001_IEO_HAP_HI": "happy"}),
    ],
)
def test_perceived_labels_are_the_most_frequent_answer_and_ties_are_left_out(
    tables: str, modality: str, labels: dict[str, str], root: Path
) -> None:
    fill = data_trees.cremad_votes if tables == "votes" else data_trees.cremad_summary
    listing = list_items("cremad", fill(root), labels="perceived", modality=modality)
    assert {item.key: item.label for item in listing.items} == labels
    ties = [p for p in listing.problems if p.what == "the raters do not agree: a tie"]
    assert len(ties) == 2 - len(labels)
    assert all(problem.by_design for problem in ties)


def test_a_clip_without_ratings_is_a_problem_of_its_own(root: Path) -> None:
    listing = list_items("cremad", data_trees.cremad_votes(root), labels="perceived")
    unrated = Counter(p.what for p in listing.problems)["without ratings"]
    assert unrated == 4


def test_perceived_labels_without_tables_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"tabulatedVotes\.csv or summaryTable\.csv"):
        list_items("cremad", root, labels="perceived")


def test_votes_that_are_no_numbers_are_named(root: Path) -> None:
    table = data_trees.cremad_votes(root) / "processedResults" / "tabulatedVotes.csv"
    table.write_text(table.read_text().replace(",5,5,", ",five,5,"))
    with pytest.raises(DataError, match="1001_IEO_ANG_MD: votes are numbers"):
        list_items("cremad", root)


def test_an_answer_that_is_no_emotion_is_named(root: Path) -> None:
    table = data_trees.cremad_summary(root) / "processedResults" / "summaryTable.csv"
    table.write_text(table.read_text().replace('"H:N"', '"H:Q"'))
    with pytest.raises(DataError, match="multimodalvote is 'H:Q'"):
        list_items("cremad", root, labels="perceived")


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ({}, 7441),
        ({"modality": "audio"}, 7441),
        ({"modality": "video"}, 7438),
        ({"labels": "perceived"}, 7021),
        ({"labels": "perceived", "modality": "video"}, 6968),
    ],
)
def test_a_whole_copy_has_the_authors_clips_without_the_bad_ones(
    options: dict[str, str], total: int
) -> None:
    published = CREMAD.published(**options)
    assert published is not None
    assert published.total == total
    if published.subjects is not None:
        assert sum(published.subjects.values()) == total
