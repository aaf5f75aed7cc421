"""EmoDB, URDU and nEMO: sound only."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.corpus_check import check
from avemo_ros.data.registry import DATASETS, list_items
from avemo_ros.errors import DataError


def test_emodb_names_give_speaker_and_emotion(tmp_path: Path) -> None:
    items = list_items("emodb", data_trees.emodb(tmp_path)).items
    assert [(item.key, item.label, item.subject, item.sex) for item in items] == [
        ("03a01Fa", "happy", "emodb-03", "male"),
        ("03a01Wa", "angry", "emodb-03", "male"),
        ("08b02Na", "neutral", "emodb-08", "female"),
        ("08b02Tb", "sad", "emodb-08", "female"),
    ]
    assert not any(item.has_face for item in items)


def test_emodb_boredom_is_left_out_by_design_and_the_rest_is_a_problem(tmp_path: Path) -> None:
    problems = list_items("emodb", data_trees.emodb(tmp_path)).problems
    assert [(p.path.name, p.what, p.by_design) for p in problems] == [
        ("03a04Lc.wav", "boredom: not one of the classes", True),
        ("08a01Ea.wav", "truncated: shorter than its header says", False),
        ("99a01Fa.wav", "not a name of EmoDB", False),
    ]


def test_urdu_folder_gives_the_emotion_and_name_the_speaker(tmp_path: Path) -> None:
    listing = list_items("urdu", data_trees.urdu(tmp_path))
    assert [(item.label, item.subject, item.sex) for item in listing.items] == [
        ("sad", "urdu-SF10", "female"),
        ("happy", "urdu-SF2", "female"),
        ("angry", "urdu-SM1", "male"),
        ("neutral", "urdu-SM1", "male"),
    ]


def test_urdu_utterance_in_the_wrong_folder_is_left_out(tmp_path: Path) -> None:
    problems = list_items("urdu", data_trees.urdu(tmp_path)).problems
    assert [(p.path.name, p.what) for p in problems] == [
        ("SM4_F2_A054.wav", "the emotion in the name is not the folder's")
    ]


def test_nemo_is_what_its_table_says_without_the_spaces(tmp_path: Path) -> None:
    items = list_items("nemo", data_trees.nemo(tmp_path)).items
    assert [(item.key, item.label, item.subject, item.sex) for item in items] == [
        ("EB0_neutral_13", "neutral", "nemo-EB0", "female"),
        ("WR0_surprised_64", "surprise", "nemo-WR0", "male"),
    ]


def test_nemo_names_what_is_in_the_table_only_and_what_is_not(tmp_path: Path) -> None:
    problems = list_items("nemo", data_trees.nemo(tmp_path)).problems
    assert [(p.path.name, p.what) for p in problems] == [
        ("EB0_anger_2.wav", "in data.tsv, but missing"),
        ("EB0_fear_9.wav", "not in data.tsv"),
    ]


def test_nemo_without_its_table_is_refused_with_the_layout(tmp_path: Path) -> None:
    data_trees.wav(tmp_path / "samples" / "EB0_anger_2.wav")
    with pytest.raises(DataError, match=r"no data\.tsv(.|\n)*samples/<file_id>"):
        list_items("nemo", tmp_path)


def test_an_unknown_emotion_in_nemos_table_is_a_problem(tmp_path: Path) -> None:
    root = data_trees.nemo(tmp_path)
    table = root / "data.tsv"
    table.write_text(table.read_text().replace("\tneutral\t", "\tbored\t"))
    whats = [problem.what for problem in list_items("nemo", root).problems]
    assert "data.tsv says 'bored': not an emotion of nEMO" in whats


@pytest.mark.parametrize(
    ("name", "archive"), [("emodb", "emodb_16k.tar"), ("urdu", "urdu_16k.tar")]
)
def test_the_recordings_at_hand_are_as_published(
    name: str, archive: str, shared_data: Path, tmp_path: Path
) -> None:
    with tarfile.open(shared_data / archive) as tar:
        names = [member for member in tar.getnames() if member.endswith(".flac")]
    for member in names:
        data_trees.put(tmp_path / member, b"fLaC".ljust(1000, b"\x01"))
    checked = check(DATASETS[name], tmp_path)
    assert checked.as_published
    assert sum(Counter(item.label for item in checked.listing.items).values()) == (
        len(names) - len(checked.by_design)
    )
