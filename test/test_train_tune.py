import csv
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from made_units import make_tree

from avemo_ros.cli.main import main
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.sink.output_file import OutputError, locked
from avemo_ros.train.config_file import dump, load_config
from avemo_ros.train.search_space import Choices, Figures, Range, TrialError, Watch, read_tune
from avemo_ros.train.training_config import TrainConfig
from avemo_ros.train.tuning import Plan, Result, search, value_of

pytest.importorskip("optuna")

SPACE = {
    "training.rate": Range(1e-5, 1e-1, log=True),
    "training.batch": Range(8, 64, whole=True),
    "training.balance": Choices(('"classes"', '"none"')),
}


def base(epochs: int = 4) -> str:
    model = {"kind": "au_svm"}
    return dump(
        TrainConfig.from_mapping({"name": "x", "model": model, "training": {"epochs": epochs}})
    )


def plan(trials: int, **options: object) -> Plan:
    return Plan(base(), SPACE, trials=trials, **options)


class Curves:
    """Learning curves that end higher the nearer the rate is to 1e-3."""

    def __init__(self, out: Path, *, stop_in: int = -1, fail: Sequence[int] = ()) -> None:
        self.out, self.calls, self.folders = out, 0, []
        self._stop_in, self._fail = stop_in, fail

    def __call__(
        self, changes: Sequence[str], folder: Path, fold: str, watch: Watch
    ) -> Sequence[Figures] | None:
        call, self.calls = self.calls, self.calls + 1
        self.folders.append(folder)
        config = load_config(self.out / "base.yaml", changes)
        height = 1 - 0.1 * abs(math.log10(config.training.rate) + 3)
        history = []
        for epoch in range(1, config.training.epochs + 1):
            if call == self._stop_in:
                raise KeyboardInterrupt
            if call in self._fail:
                raise TrialError("the loss is nan")
            history.append({"epoch": epoch, "ua": height * epoch / config.training.epochs})
            if watch(epoch, history[-1]):
                return None
        return history


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "trials.csv").open(newline="") as table:
        return list(csv.DictReader(table))


def test_the_search_finds_about_the_best_rate(tmp_path: Path) -> None:
    found = search(plan(14), tmp_path, Curves(tmp_path))
    assert found.trials == 14
    assert found.best is not None
    best = load_config(tmp_path / "best.yaml")
    assert 1e-4 < best.training.rate < 1e-2
    assert 8 <= best.training.batch <= 64
    assert found.best == pytest.approx(1 - 0.1 * abs(math.log10(best.training.rate) + 3))
    assert (tmp_path / "trials.png").read_bytes().startswith(b"\x89PNG")
    states = {row["state"] for row in rows(tmp_path)}
    assert states == {"complete", "pruned"}, "the worst are ended early"


def test_a_figure_that_shall_be_small_is_made_small(tmp_path: Path) -> None:
    def run_trial(
        changes: Sequence[str], folder: Path, fold: str, watch: Watch
    ) -> Sequence[Figures] | None:
        rate = load_config(tmp_path / "base.yaml", changes).training.rate
        return [{"nll": abs(math.log10(rate) + 3)}]

    found = search(plan(4, objective="nll"), tmp_path, run_trial)
    figures = [float(row["nll"]) for row in rows(tmp_path)]
    assert found.best == pytest.approx(min(figures), rel=1e-4)


def test_a_second_call_goes_on_to_the_number_of_trials(tmp_path: Path) -> None:
    search(plan(2), tmp_path, Curves(tmp_path))
    before = rows(tmp_path)
    curves = Curves(tmp_path)
    assert search(plan(3), tmp_path, curves).trials == 3
    assert curves.calls == 1
    assert rows(tmp_path)[:2] == before
    assert len({row["training.rate"] for row in rows(tmp_path)}) == 3


def test_an_interrupted_trial_comes_first_in_its_folder(tmp_path: Path) -> None:
    stopped = Curves(tmp_path, stop_in=1)
    with pytest.raises(KeyboardInterrupt):
        search(plan(3), tmp_path, stopped)
    assert (tmp_path / "best.yaml").is_file(), "what was found so far is kept"
    unfinished = rows(tmp_path)[1]
    assert unfinished["state"] == "running"
    again = Curves(tmp_path)
    assert search(plan(3), tmp_path, again).trials == 3
    assert again.folders[0] == stopped.folders[1]
    (resumed,) = [row for row in rows(tmp_path)[2:] if row["trial"] == "2"]
    assert resumed["training.rate"] == unfinished["training.rate"]


def test_a_trial_that_fails_does_not_end_the_search(tmp_path: Path) -> None:
    found = search(plan(3), tmp_path, Curves(tmp_path, fail=(1,)))
    assert found.trials == 3
    assert [row["state"] for row in rows(tmp_path)] == ["complete", "fail", *["complete"] * 2]


def test_several_failures_in_a_row_end_the_search(tmp_path: Path) -> None:
    curves = Curves(tmp_path, fail=range(9))
    with pytest.raises(TrialError, match=r"3 trials in a row failed.* loss is nan"):
        search(plan(9), tmp_path, curves)
    assert curves.calls == 3


def test_the_mean_over_folds_counts(tmp_path: Path) -> None:
    def run_trial(
        changes: Sequence[str], folder: Path, fold: str, watch: Watch
    ) -> Sequence[Figures] | None:
        return [{"ua": {"0": 0.2, "1": 0.6}[fold]}]

    found = search(plan(1, folds=("0", "1")), tmp_path, run_trial)
    assert found == Result(1, pytest.approx(0.4), 0, found.changes)


def test_a_folder_with_another_study_is_refused(tmp_path: Path) -> None:
    search(plan(1), tmp_path, Curves(tmp_path))
    with pytest.raises(ConfigError, match="has another space"):
        search(Plan(base(), {"training.rate": Range(1, 2)}), tmp_path, Curves(tmp_path))
    with pytest.raises(ConfigError, match="has another config"):
        search(Plan(base(9), SPACE), tmp_path, Curves(tmp_path))


def test_a_range_that_a_setting_has_not_is_refused_before_the_first_trial(
    tmp_path: Path,
) -> None:
    curves = Curves(tmp_path)
    for name, one in (
        ("training.smoothing", Range(0.0, 2.0)),
        ("training.colour", Range(0.0, 2.0)),
        ("model.kernel", Choices(('"rbf"', '"poly"'))),
    ):
        made = dump(TrainConfig.from_mapping({"name": "made", "model": {"kind": "au_svm"}}))
        with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
            search(Plan(made, {name: one}), tmp_path / name, curves)
    assert curves.calls == 0


@pytest.mark.parametrize("value", ["2001-01-01", "!!binary aGk=", "!!set {a, b}"])
def test_a_choice_that_is_no_setting_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "tune.yaml"
    path.write_text(f"base: au-svm\ntune:\n  model.cost: {{choices: [1, {value}]}}\n")
    with pytest.raises(ConfigError, match=r"tune\.model\.cost\.choices"):
        read_tune(str(path))


def test_the_figure_is_that_of_the_weights_that_are_kept() -> None:
    history = [{"ua": 0.5, "nll": 1.0}, {"ua": 0.7, "nll": 1.2}, {"ua": 0.6, "nll": 0.9}]
    last = TrainConfig.from_mapping({})
    assert value_of(history, last, "ua") == 0.6
    patient = TrainConfig.from_mapping({"training": {"patience": 2}})
    assert value_of(history, patient, "ua") == 0.7
    assert value_of(history, patient, "nll") == 1.2
    with pytest.raises(DataError, match="holds nothing out"):
        value_of([{"loss": 1.0}], last, "ua")


def write(path: Path, content: dict) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_a_space_is_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\n"
        "model: {kind: au_svm}\n"
        "tune:\n"
        "  training.rate: {low: 1e-4, high: 3e-3, log: true}\n"
        "  training.batch: {low: 8, high: 64}\n"
        "  model.kernel: {choices: [rbf, linear]}\n"
        "  training.freeze: {choices: [[], [face]]}\n"
    )
    config, space = read_tune(str(path), ["training.epochs=7"])
    assert (config.name, config.training.epochs) == ("mine", 7)
    assert space == {
        "training.rate": Range(1e-4, 3e-3, log=True),
        "training.batch": Range(8, 64, whole=True),
        "model.kernel": Choices(('"rbf"', '"linear"')),
        "training.freeze": Choices(("[]", '["face"]')),
    }


def test_a_space_may_be_of_a_named_configuration() -> None:
    config, space = read_tune("functionals-svm")
    assert config.model["kind"] == "functionals_svm"
    assert "model.cost" in space


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({}, "tune"),
        ({"training.rate": 3}, r"tune\.training\.rate"),
        ({"training.rate": {"low": 1}}, "high"),
        ({"training.rate": {"low": 2, "high": 1}}, "low below high"),
        ({"training.rate": {"low": 0, "high": 1, "log": True}}, "above 0 with log"),
        ({"training.rate": {"choices": []}}, "choices"),
        ({"training.rate": {"low": 0, "high": 1, "steps": 3}}, r"tune\.training\.rate"),
    ],
)
def test_what_is_no_space_is_refused(tmp_path: Path, raw: dict, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        read_tune(str(write(tmp_path / "x.yaml", {"name": "x", "tune": raw})))


def test_a_configuration_without_a_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names with ranges"):
        read_tune(str(write(tmp_path / "x.yaml", {"name": "x"})))


def test_a_name_that_is_not_there_is_told_with_those_that_can_be_tuned() -> None:
    with pytest.raises(ConfigError, match=r"or one of functionals-svm, landmarks, speech-fcn$"):
        read_tune("speech-fnc")


def test_the_command_trains_and_writes_a_configuration_for_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    root = make_tree(tmp_path / "data", (2, 3, 5, 6))
    content = {
        "name": "made",
        "model": {"kind": "au_svm"},
        "data": {
            "train": [{"name": "ravdess", "options": {"modality": "audio"}}],
            "validation": {"name": "ravdess"},
            "folds": [[2, 3], [5, 6]],
        },
        "tune": {"model.cost": {"low": 0.1, "high": 10, "log": True}},
    }
    path, out = write(tmp_path / "mine.yaml", content), tmp_path / "study"
    given = ["tune", str(path), "--root", str(root), "--out", str(out), "--trials", "1"]
    assert main([*given, "--fold", "1", "--au", str(root / "units.csv")]) == 0
    assert "ua 0." in capsys.readouterr().out
    assert (out / "trials" / "0000" / "fold1" / "model.safetensors").is_file()
    assert load_config(out / "best.yaml").model["kind"] == "au_svm"
    with pytest.raises(ConfigError, match="has another config"):
        search(Plan(base(), {}), out, Curves(out))


def test_a_trial_that_cannot_begin_ends_the_search_with_what_it_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_tree(tmp_path / "data", (2, 3))
    content = {
        "name": "made",
        "model": {"kind": "au_svm"},
        "data": {"train": ["ravdess"], "validation": {"name": "ravdess", "subjects": [7]}},
        "tune": {"model.cost": {"low": 0.1, "high": 10}},
    }
    path = write(tmp_path / "mine.yaml", content)
    out = tmp_path / "study"
    given = ["tune", str(path), "--root", str(root), "--out", str(out), "--trials", "1"]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert "subject" in said
    assert "train.log" in said
    assert len(list((out / "trials").iterdir())) == 1, "the next trial would do no better"


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"holds other files: thesis\.tex"):
        search(plan(1), tmp_path, Curves(tmp_path))


def test_two_searches_in_one_folder_are_kept_apart(tmp_path: Path) -> None:
    with locked(tmp_path / "s"), pytest.raises(OutputError, match="another process is writing"):
        search(plan(1), tmp_path / "s", Curves(tmp_path))


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    out = tmp_path / "50% of a?b#c:d"
    assert search(plan(1), out, Curves(out)).trials == 1
    assert (out / "study.db").is_file()
