from __future__ import annotations

from collections import Counter
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.dataset import Item
from avemo_ros.data.iemocap import IEMOCAP
from avemo_ros.data.registry import list_items
from avemo_ros.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return data_trees.iemocap(tmp_path)


def _by_key(root: Path, **options: str) -> dict[str, Item]:
    return {item.key: item for item in list_items("iemocap", root, **options).items}


def test_the_speaker_is_the_letter_of_the_utterance_not_of_the_dialogue(root: Path) -> None:
    items = _by_key(root)
    assert items["Ses01F_impro01_M000"].subject == "iemocap-01M"
    assert items["Ses01F_impro01_M000"].sex == "male"
    assert items["Ses05M_script01_1b_F001"].subject == "iemocap-05F"
    assert items["Ses05M_script01_1b_F001"].sex == "female"


def test_happiness_and_excitement_are_one_class(root: Path) -> None:
    items = _by_key(root)
    assert items["Ses01F_impro01_M000"].label == "happy"
    assert items["Ses01F_impro01_M000"].raw_label == "happiness"
    assert items["Ses01F_impro01_F001"].label == "happy"
    assert items["Ses01F_impro01_F001"].raw_label == "excited"


def test_labels_that_are_none_of_the_four_are_left_out_and_counted(root: Path) -> None:
    problems = list_items("iemocap", root).problems
    assert Counter(p.what for p in problems if p.by_design) == {
        "no agreement: not one of the classes": 1,
        "frustration: not one of the classes": 1,
        "surprise: not one of the classes": 1,
    }


def test_files_of_macos_and_raters_own_tables_are_skipped(root: Path) -> None:
    listing = list_items("iemocap", root)
    assert not any("._" in item.path.name for item in listing.items)
    assert not any("._" in str(problem.path) for problem in listing.problems)
    assert len(listing.items) == 4


@pytest.mark.parametrize(
    ("part", "dialogues"),
    [
        ("all", {"Ses01F_impro01", "Ses05M_script01_1b"}),
        ("impro", {"Ses01F_impro01"}),
        ("scripted", {"Ses05M_script01_1b"}),
    ],
)
def test_scripted_and_improvised_scenes_can_be_had_apart(
    part: str, dialogues: set[str], root: Path
) -> None:
    assert {key.rsplit("_", 1)[0] for key in _by_key(root, part=part)} == dialogues


def test_sound_is_the_cut_utterance(root: Path) -> None:
    item = _by_key(root)["Ses01F_impro01_F000"]
    assert item.path.name == "Ses01F_impro01_F000.wav"
    assert (item.start_s, item.end_s) == (None, None)
    assert not item.has_face


def test_films_are_whole_dialogues_with_start_and_end(root: Path) -> None:
    items = _by_key(root, modality="av")
    assert {item.path.name for item in items.values()} == {"Ses01F_impro01.avi"}
    item = items["Ses01F_impro01_M000"]
    assert (item.start_s, item.end_s) == (10.01, 11.3925)
    assert item.has_face
    assert item.has_voice


def test_a_dialogue_without_its_film_is_one_problem(root: Path) -> None:
    problems = list_items("iemocap", root, modality="av").problems
    assert [p.path.name for p in problems if p.what == "labels, but no video"] == [
        "Ses05M_script01_1b.avi"
    ]


def test_a_label_without_its_recording_is_a_problem(root: Path) -> None:
    problems = list_items("iemocap", root).problems
    assert [p.path.name for p in problems if p.what == "a label, but no recording"] == [
        "Ses05M_script01_1b_M001.wav"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "[1.0 - 2.0]\tSes01F_impro02_F000\tneu\t[2.5, 2.5, 2.5]",  # another dialogue's
        "[1.0 - 2.0]\tSes01F_impro01_F009\tjoy\t[2.5, 2.5, 2.5]",
        "[1.0 - 2.0] Ses01F_impro01_F009 neu",
    ],
)
def test_a_line_that_is_not_understood_is_shown(line: str, root: Path) -> None:
    table = next(root.rglob("EmoEvaluation/Ses01F_impro01.txt"))
    table.write_bytes(table.read_bytes() + line.encode() + b"\n")
    listing = list_items("iemocap", root)
    shown = [p.what for p in listing.problems if "cannot read this line" in p.what]
    assert len(shown) == 1
    assert line[:20] in shown[0].replace("\\t", "\t")
    assert len(listing.items) == 4


def test_an_empty_label_file_is_a_problem(root: Path) -> None:
    table = next(root.rglob("EmoEvaluation/Ses05M_script01_1b.txt"))
    table.write_bytes(b"")
    assert "no labels in it" in [p.what for p in list_items("iemocap", root).problems]


def test_a_folder_without_labels_is_refused_with_the_layout(tmp_path: Path) -> None:
    data_trees.wav(tmp_path / "Session1" / "sentences" / "wav" / "a.wav")
    with pytest.raises(DataError, match=r"no dialog/EmoEvaluation(.|\n)*Session<1-5>"):
        list_items("iemocap", tmp_path)


@pytest.mark.parametrize(
    ("part", "total"), [("all", 5531), ("impro", 2943), ("scripted", 2588)]
)
def test_a_whole_copy_has_5531_utterances_of_ten_speakers(part: str, total: int) -> None:
    published = IEMOCAP.published(part=part)
    assert published is not None
    assert published.total == total
    assert published.n_subjects == 10
    if published.subjects is not None:
        assert sum(published.subjects.values()) == total
