"""A run begins in a folder of its own, and no two commands write into one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avemo_ros.errors import ConfigError, DataError
from avemo_ros.sink.output_file import OutputError, locked
from avemo_ros.train.config_file import load_config
from avemo_ros.train.run_folder import open_run, refuse_foreign
from avemo_ros.train.training_run import Place, run_task


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_other_files_is_refused_and_they_are_named(
    resume: bool, tmp_path: Path
) -> None:
    for name in ("thesis.tex", "holiday.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"holds other files: holiday\.jpg, thesis\.tex"):
        run_task(load_config("speech-fcn"), Place({}, tmp_path), resume=resume)
    assert len(list(tmp_path.iterdir())) == 2


def test_of_many_other_files_some_are_named(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(ConfigError, match=r"4\.txt, \.\.\."):
        refuse_foreign(tmp_path)


@pytest.mark.parametrize("known", ["config.yaml", "fold1", "final", "train.log"])
def test_a_run_to_go_on_with_may_hold_other_files(known: str, tmp_path: Path) -> None:
    (tmp_path / known).mkdir()
    if known != "train.log":  # a trial of a search has that before it begins
        (tmp_path / "notes.txt").touch()
    refuse_foreign(tmp_path, "config.yaml", "fold*", "final")


@pytest.mark.parametrize("fold", ["", "0"])
def test_a_run_that_another_process_writes_is_refused(fold: str, tmp_path: Path) -> None:
    place = Place({}, tmp_path / "run")
    config = load_config("speech-fcn")
    with locked(tmp_path / "run"), pytest.raises(OutputError, match="another process is wr"):
        run_task(config, place, fold=fold, resume=True)


def test_folds_may_be_trained_side_by_side_but_not_one_of_them_twice(tmp_path: Path) -> None:
    place = Place({}, tmp_path / "run")
    config = load_config("speech-fcn")
    with locked(place.out, shared=True), locked(place.out / "fold1"):
        with pytest.raises(OutputError, match="run/fold1"):
            run_task(config, place, fold="1")
        with pytest.raises(OutputError, match=r"is writing .*/run[ ;]"):
            run_task(config, place)
        with pytest.raises(DataError, match="add --root ravdess"):  # it got beyond the locks
            run_task(config, place, fold="0")


def test_a_failed_run_is_not_in_the_way_of_the_next_one(tmp_path: Path) -> None:
    first, second = load_config("speech-fcn"), load_config("speech-fcn", ["training.rate=0.1"])
    open_run(tmp_path, first, {"train": ["a"]}, resume=False)
    # Nothing was done yet, so nothing is lost.
    open_run(tmp_path, second, {"train": ["b"]}, resume=False)
    assert json.loads((tmp_path / "split.json").read_text()) == {"train": ["b"]}
    (tmp_path / "checkpoint.pt").write_text("of the second")
    with pytest.raises(ConfigError, match="a new folder, or --resume"):
        open_run(tmp_path, first, {"train": ["a"]}, resume=False)
    (tmp_path / "failed.txt").write_text("training has diverged")
    open_run(tmp_path, first, {"train": ["a"]}, resume=False)
    assert (tmp_path / "checkpoint.failed.pt").read_text() == "of the second"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.failed.pt",
        "config.yaml",
        "split.json",
    ]
