from __future__ import annotations

from collections import Counter
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.registry import list_items
from avemo_ros.data.video_corpora import SAVEE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return data_trees.savee(tmp_path)


def test_films_without_zeros_and_sound_with_them_are_the_same_sentence(root: Path) -> None:
    items = {item.key: item for item in list_items("savee", root).items}
    assert items["DC_a01"].path.name == "a1.avi"
    assert items["JE_a01"].path.name == "a01.wav"
    assert "KL_h02" in items


def test_sa_and_su_are_not_read_as_a_or_s(root: Path) -> None:
    labels = {item.key: item.label for item in list_items("savee", root).items}
    assert labels["JE_a01"] == "angry"
    assert labels["JE_sa01"] == "sad"
    assert labels["JE_su15"] == "surprise"
    assert labels["JE_n30"] == "neutral"


@pytest.mark.parametrize(
    ("modality", "suffixes"),
    [
        ("av", {".avi": 4, ".wav": 5}),
        ("audio", {".wav": 8, ".avi": 1}),
        ("video", {".avi": 4}),
    ],
)
def test_the_files_of_the_modality_are_taken(
    modality: str, suffixes: dict[str, int], root: Path
) -> None:
    items = list_items("savee", root, modality=modality).items
    assert Counter(item.path.suffix for item in items) == suffixes
    assert all(item.has_voice == (modality != "video") for item in items)
    assert all(
        item.has_face == (item.path.suffix == ".avi" and modality != "audio") for item in items
    )


def test_the_folder_in_itself_is_gone_into(root: Path) -> None:
    found = [
        item for item in list_items("savee", root).items if "AudioVisual" in str(item.path)
    ]
    assert len(found) == 4


def test_sentences_and_speakers_that_do_not_exist_are_problems(root: Path) -> None:
    whats = [problem.what for problem in list_items("savee", root).problems]
    assert whats == [
        "not a name of SAVEE",
        "unknown speaker: none in its name or folder (DC, JE, JK, KL)",
    ]


def test_the_flat_form_has_the_speaker_in_the_name(tmp_path: Path) -> None:
    items = list_items("savee", data_trees.savee_flat(tmp_path)).items
    assert [(item.key, item.subject, item.label) for item in items] == [
        ("DC_a01", "savee-DC", "angry"),
        ("DC_sa01", "savee-DC", "sad"),
        ("JE_n23", "savee-JE", "neutral"),
        ("JK_su02", "savee-JK", "surprise"),
        ("KL_d15", "savee-KL", "disgust"),
    ]
    assert {item.sex for item in items} == {"male"}


def test_a_whole_copy_has_480_sentences() -> None:
    published = SAVEE.published()
    assert published is not None
    assert published.total == len(SAVEE.missing(())) == 480
