from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.corpus_check import as_json, check, report
from avemo_ros.data.dataset import DataSet, Published
from avemo_ros.data.registry import DATASETS
from avemo_ros.data.video_corpora import ENTERFACE, SAVEE


def _whole_savee(root: Path) -> Path:
    for entry in SAVEE.missing(()):
        data_trees.wav(root / f"{entry.split(': ')[1]}.wav")
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _whole_savee(tmp_path_factory.mktemp("savee"))


def test_a_whole_copy_is_as_published(whole: Path) -> None:
    checked = check(SAVEE, whole)
    assert checked.as_published
    assert report(checked).endswith("as published")


def test_one_recording_less_is_named_as_missing(tmp_path: Path) -> None:
    root = _whole_savee(tmp_path)
    (root / "KL_sa07.wav").unlink()
    checked = check(SAVEE, root)
    assert not checked.as_published
    assert checked.missing == ("savee-KL: KL_sa07",)
    text = report(checked)
    assert "missing: 1\n  1 x savee-KL\n      KL_sa07" in text
    assert text.endswith("differs from what is published")


def test_a_broken_recording_is_named_with_its_trouble(tmp_path: Path) -> None:
    root = _whole_savee(tmp_path)
    (root / "KL_sa07.wav").write_bytes(data_trees.LFS_POINTER)
    checked = check(SAVEE, root)
    assert not checked.as_published
    assert "1 x a git LFS pointer" in report(checked)
    assert "      KL_sa07.wav" in report(checked)


def test_a_recording_too_much_differs_too(tmp_path: Path) -> None:
    root = _whole_savee(tmp_path)
    data_trees.wav(root / "XX_sa07.wav")
    assert not check(SAVEE, root).as_published


def test_a_recording_in_place_of_a_missing_one_is_found_though_the_counts_agree(
    tmp_path: Path,
) -> None:
    for entry in ENTERFACE.missing(()):
        number, code, sentence = entry.split(": s")[1].split("_")
        emotion = next(word for word in ENTERFACE.words if word.startswith(code))
        folder = tmp_path / f"subject {int(number)}" / emotion / f"sentence {sentence}"
        data_trees.avi(folder / f"s{int(number)}_{code}_{sentence}.avi")
    assert check(ENTERFACE, tmp_path).as_published
    happy = tmp_path / "subject 23" / "happiness"
    (happy / "sentence 4").rename(happy / "sentence 1")
    checked = check(ENTERFACE, tmp_path)
    assert not any(count.differs for count in (*checked.classes, *checked.subjects))
    assert checked.missing == ("enterface-23: s23_ha_4",)
    assert not checked.as_published


def test_another_number_of_subjects_differs(whole: Path) -> None:
    published = SAVEE.published()
    assert published is not None

    def five(**_options: str) -> Published:
        return Published(published.classes, n_subjects=5)

    checked = check(replace(SAVEE, published=five), whole)
    assert "4 subjects (published: 5)" in report(checked)
    assert not checked.as_published


def test_the_table_is_aligned_and_shows_the_difference(tmp_path: Path) -> None:
    root = _whole_savee(tmp_path)
    for number in range(1, 16):
        (root / f"DC_h{number:02d}.wav").unlink()
    lines = report(check(SAVEE, root)).splitlines()
    table = [line for line in lines if line.startswith(("class", "happy", "neutral", "total"))]
    assert table == [
        "class       found  published  difference",
        "happy          45         60         -15",
        "neutral       120        120",
        "total         465        480         -15",
    ]


def test_a_subject_of_whom_nothing_is_there_takes_one_line(tmp_path: Path) -> None:
    root = _whole_savee(tmp_path)
    for path in root.glob("JK_*"):
        path.unlink()
    assert "  120 x savee-JK: all" in report(check(SAVEE, root)).splitlines()


def test_only_the_first_files_of_a_group_are_named_unless_all_are_asked_for(
    tmp_path: Path,
) -> None:
    root = data_trees.emodb(tmp_path)
    for number in range(8):
        data_trees.wav(root / f"x{number}.wav")
    checked = check(DATASETS["emodb"], root)
    assert "... and 4 more (--all)" in report(checked)
    assert "x7.wav" not in report(checked)
    assert "x7.wav" in report(checked, everything=True)
    assert "--all" not in report(checked, everything=True)


def test_what_is_odd_but_used_and_what_is_left_out_by_design_break_nothing(
    tmp_path: Path,
) -> None:
    checked = check(DATASETS["enterface"], data_trees.enterface(tmp_path))
    assert len(checked.odd) == 2
    assert len(checked.by_design) == 2
    assert not checked.broken
    assert "unusual, but used: 2" in report(checked)
    assert "left out by design: 2" in report(checked)


def test_parts_are_counted_apart(tmp_path: Path) -> None:
    checked = check(DATASETS["afew"], data_trees.afew(tmp_path))
    found = {(count.part, count.name): count.found for count in checked.classes if count.found}
    assert found == {
        ("train", "angry"): 1,
        ("train", "fear"): 2,
        ("validation", "happy"): 1,
        ("validation", "surprise"): 1,
    }


def test_where_nobody_knows_who_is_who_no_subjects_are_listed(tmp_path: Path) -> None:
    checked = check(DATASETS["fer2013"], data_trees.fer2013_csv(tmp_path))
    assert checked.subjects == ()
    assert "subjects are unknown" in report(checked)


def test_people_whom_the_table_names_are_known_though_each_has_one_item(
    tmp_path: Path,
) -> None:
    data_trees.wav(tmp_path / "a.wav")
    data_trees.wav(tmp_path / "b.wav")
    table = data_trees.put(
        tmp_path / "clips.csv", "file,label,subject\na.wav,sad,Eve\nb.wav,sad,Bob\n"
    )
    text = report(check(DATASETS["clips"], table))
    assert "subjects are unknown" not in text
    assert "2 subjects" in text.splitlines()
    table.write_text("file,label,subject\na.wav,sad,Eve\n")
    assert "1 subject" in report(check(DATASETS["clips"], table)).splitlines()


def test_options_of_the_loader_change_what_is_expected(tmp_path: Path) -> None:
    root = data_trees.enterface(tmp_path)
    usual = check(DATASETS["enterface"], root)
    kept = check(DATASETS["enterface"], root, long_takes="keep")
    assert usual.total.published == 1257
    assert kept.total.published == 1263
    assert kept.total.found == usual.total.found + 2


def test_own_clips_have_no_published_counts_and_pass_when_whole(tmp_path: Path) -> None:
    root = data_trees.clips(tmp_path)
    dataset: DataSet = DATASETS["clips"]
    assert check(dataset, root).as_published
    assert report(check(dataset, root)).endswith("no file is broken")
    (root / "three.jpg").unlink()
    assert not check(dataset, root).as_published


def test_the_json_has_counts_missing_and_problems(tmp_path: Path) -> None:
    result = as_json(check(DATASETS["emodb"], data_trees.emodb(tmp_path)))
    assert result["items"] == 4
    assert result["published"] == 454
    assert result["as_published"] is False
    classes = result["classes"]
    assert isinstance(classes, list)
    assert {"part": "", "label": "sad", "found": 1, "published": 62} in classes
    problems = result["problems"]
    assert isinstance(problems, list)
    assert [problem["by_design"] for problem in problems] == [True, False, False]


def test_broken_rows_of_a_table_do_not_fill_the_screen(tmp_path: Path) -> None:
    rows = [(0, "Training")] + [(9, "Training")] * 30
    root = data_trees.fer2013_csv(tmp_path, rows)
    checked = check(DATASETS["fer2013"], root)
    text = report(checked)
    assert text.count("emotion is '9'") == 20
    assert "... and 10 more kinds (--all)" in text
    assert report(checked, everything=True).count("emotion is '9'") == 30


def test_rows_of_one_table_name_it_once(tmp_path: Path) -> None:
    root = data_trees.ferplus(data_trees.fer2013_csv(tmp_path))
    text = report(check(DATASETS["fer2013"], root, labels="ferplus"))
    assert "  2 x not a face: not one of the classes\n      fer2013.csv\n  1 x" in text


def test_names_that_are_no_text_can_be_printed(tmp_path: Path) -> None:
    root = data_trees.emodb(tmp_path)
    data_trees.wav(root / os.fsdecode(b"\xfcbel.wav"))
    checked = check(DATASETS["emodb"], root)
    assert "\\xfcbel.wav" in report(checked)
    report(checked).encode()
    json.dumps(as_json(checked)).encode()
