from __future__ import annotations

import argparse
import json
from pathlib import Path

import data_trees
import pytest

from avemo_ros.cli import data
from avemo_ros.data.registry import DATASETS
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.sink.output_file import OutputError


def _run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    return data.run(parser.parse_args([str(argument) for argument in arguments]))


def test_list_shows_every_data_set_with_classes_licence_and_layout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run("list") == 0
    out = capsys.readouterr().out
    for dataset in DATASETS.values():
        assert f"{dataset.name}: {dataset.title}" in out
        assert dataset.licence in out
        assert dataset.layout.splitlines()[0] in out
        assert ", ".join(dataset.classes) in out


def test_list_says_what_other_words_count_as(capsys: pytest.CaptureFixture[str]) -> None:
    _run("list")
    out = capsys.readouterr().out
    assert "excited = happy" in out
    assert "left out  boredom" in out
    assert "the robot counts it as neutral" in out


def test_list_of_one_shows_only_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("list", "savee") == 0
    out = capsys.readouterr().out
    assert "SAVEE" in out
    assert "EmoDB" not in out


def test_list_of_an_unknown_one_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="allowed: afew"):
        _run("list", "mead")


def test_check_returns_1_and_writes_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data_trees.ravdess(tmp_path / "ravdess")
    assert _run("check", "ravdess", root, "--json", tmp_path / "out.json") == 1
    assert "differs from what is published" in capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["items"] == 6
    assert len(written["missing"]) == 1434
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "ravdess"]


def test_check_returns_0_when_nothing_is_broken(tmp_path: Path) -> None:
    assert _run("check", "clips", data_trees.clips(tmp_path)) == 0


def test_check_with_all_names_every_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("check", "ravdess", data_trees.ravdess(tmp_path), "--all")
    assert "--all" not in capsys.readouterr().out


def test_check_passes_options_to_the_loader(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = data_trees.cremad_votes(data_trees.cremad(tmp_path))
    options = ("--option", "labels=perceived", "--option", "modality=video")
    assert _run("check", "cremad", root, *options) == 1
    assert "6968" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["labels", "labels=guessed", "colour=red"])
def test_an_option_that_is_not_there_is_refused(option: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allowed"):
        _run("check", "cremad", data_trees.cremad(tmp_path), "--option", option)


def test_check_of_a_folder_without_the_data_set_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected:\nActor_XX/"):
        _run("check", "ravdess", tmp_path)


@pytest.mark.parametrize(
    "words", [("check", "clips", "ROOT"), ("prepare", "clips", "ROOT", "--cache", "CACHE")]
)
def test_a_result_that_cannot_be_written_is_found_out_before_the_work(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    paths = {"ROOT": data_trees.clips(tmp_path / "clips"), "CACHE": tmp_path / "cache"}
    with pytest.raises(OutputError, match="there is no folder"):
        _run(*(paths.get(word, word) for word in words), "--json", tmp_path / "no" / "out.json")
    assert not (tmp_path / "cache").exists()


def test_an_option_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'--option' is '=fer'; allowed: NAME=VALUE"):
        _run("check", "clips", data_trees.clips(tmp_path), "--option", "=fer")
