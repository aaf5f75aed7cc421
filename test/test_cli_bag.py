"""`avemo bag`: its actions, and the way through evaluate and compare."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from made_evaluations import LABELS, states_bag

from avemo_ros.cli.main import main
from avemo_ros.replay.bag_evaluation import BagRequest
from avemo_ros.sink.output_file import locked


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return states_bag(tmp_path_factory.mktemp("bags") / "kitchen")


def evaluate(bags: Path | list[Path], out: Path, *more: str) -> int:
    names = [str(bag) for bag in (bags if isinstance(bags, list) else [bags])]
    return main(
        ["bag", "evaluate", *names, "--use", "states", "--json", str(out), "--quiet",
         "--rounds", "100", *more]
    )  # fmt: skip


def test_help_names_every_action_without_loading_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bag", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for name in ("check", "evaluate", "compare", "labels", "play", "record", "from-clips"):
        assert f"    {name}" in out


@pytest.mark.parametrize(
    "name", ["check", "evaluate", "compare", "labels", "play", "record", "from-clips"]
)
def test_every_action_tells_its_options_and_exit_statuses(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bag", name, "--help"])
    assert ended.value.code == 0
    assert "exit status" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["evaluate", "x"], ["compare"]])
def test_wrong_usage_ends_with_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bag", *arguments])
    assert ended.value.code == 2


def test_two_evaluations_are_the_same_file_but_for_the_speed(bag: Path, tmp_path: Path) -> None:
    texts = []
    for name in ("a.json", "b.json"):
        assert evaluate(bag, tmp_path / name) == 0
        lines = (tmp_path / name).read_text().splitlines()
        texts.append([line for line in lines if '"realtime_factor"' not in line])
        assert len(texts[-1]) == len(lines) - 1
    assert texts[0] == texts[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_everything_that_is_asked_for_is_written(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = {name: tmp_path / name for name in ("a.json", "a.html", "a.xml", "t.json")}
    code = main(
        ["bag", "evaluate", str(bag), "--use", "states", "--rounds", "100",
         "--json", str(out["a.json"]), "--report", str(out["a.html"]),
         "--junit", str(out["a.xml"]), "--timings", str(out["t.json"]),
         "--fail-below", "coverage=0.99", "--fail-above", "changes_per_minute=100"]
    )  # fmt: skip
    assert code == 1
    told = capsys.readouterr()
    assert "coverage is 0." in told.err
    assert "FAILED: coverage not below 0.99: it is 0." in told.out
    assert "No 95 % intervals: 3 segments are too few to tell" in told.out
    assert "passed: changes_per_minute not above 100" in told.out
    assert json.loads(out["a.json"].read_text())["passed"] is False
    assert "<h2>Limits</h2>" in out["a.html"].read_text()
    suite = ET.parse(out["a.xml"]).getroot().find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "1"
    assert json.loads(out["t.json"].read_text())["bags"]["kitchen"]["seconds"] > 0


def test_a_folder_of_bags_is_evaluated_with_all_that_is_in_it(tmp_path: Path) -> None:
    for name in ("hall", "kitchen"):
        (tmp_path / "day").mkdir(exist_ok=True)
        states_bag(tmp_path / "day" / name)
    assert evaluate(tmp_path / "day", tmp_path / "a.json") == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert [bag["name"] for bag in found["bags"]] == ["hall", "kitchen"]
    assert main(["bag", "check", str(tmp_path / "day")]) == 0


def test_a_bag_that_cannot_be_evaluated_is_status_1_and_is_named(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate([bag, tmp_path / "none"], tmp_path / "a.json") == 1
    assert "none not evaluated: " in capsys.readouterr().err


def test_what_is_wrong_with_a_bag_is_printed_with_its_figures(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = Path(shutil.copytree(bag, tmp_path / "cut"))
    (file,) = cut.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-2000])
    labels = str(bag.with_name("kitchen.labels.csv"))
    words = ["--labels", labels, "--use", "states", "--json", str(tmp_path / "a.json")]
    assert main(["bag", "evaluate", str(cut), *words]) == 0
    assert "note: cut: the file was cut off: its end is missing" in capsys.readouterr().out


def test_if_no_bag_can_be_evaluated_the_files_of_this_run_say_so(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And those of an earlier run are not left for CI to upload."""
    out, junit, page = (tmp_path / name for name in ("a.json", "a.xml", "a.html"))
    more = ["--junit", str(junit), "--report", str(page), "--timings", str(tmp_path / "t.json")]
    assert evaluate(bag, out, *more) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before) == 4
    more += ["--force", "--fail-below", "ua=0.1"]
    assert evaluate([tmp_path / "none", tmp_path / "gone"], out, *more) == 2
    err = capsys.readouterr().err
    assert "none of 2 bags could be evaluated: " in err
    assert f"wrote {junit}, without metrics" in err
    assert sorted(tmp_path.iterdir()) == sorted(before)
    assert all(path.read_bytes() != text for path, text in before.items())
    suite = ET.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("3", "2", "1")
    result = json.loads(out.read_text())
    assert (result["passed"], result["overall"], result["bags"]) == (False, None, [])
    assert [item["name"] for item in result["failed"]] == ["none", "gone"]
    assert set(result["figures"].values()) == {None}
    assert "No bag could be evaluated</h1>" in page.read_text()
    assert main(["bag", "compare", str(out), str(out)]) == 2
    assert "contains no metrics to compare" in capsys.readouterr().err


def test_files_of_an_earlier_run_are_named_where_nothing_was_tried(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text("old")
    assert evaluate(bag, tmp_path / "a.json", "--force", "--labels", "gone.csv") == 2
    assert f"{tmp_path / 'a.json'} is from an earlier run" in capsys.readouterr().err
    assert (tmp_path / "a.json").read_text() == "old"


def test_replays_are_kept_where_only_the_labels_do_not_fit(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "far.csv"
    labels.write_text("person,start,end,label\n,1000,1001,happy\n")
    assert evaluate(bag, tmp_path / "a.json", "--labels", str(labels)) == 2
    assert "a.replays; the same command takes them" in capsys.readouterr().err
    assert list((tmp_path / "a.replays").iterdir())
    labels.write_text("person,start,end,label\n,3,6,happy\n")
    assert evaluate(bag, tmp_path / "a.json", "--labels", str(labels)) == 0
    assert not (tmp_path / "a.replays").exists()
    assert json.loads((tmp_path / "a.json").read_text())["realtime_factor"] is None


def test_a_run_that_could_evaluate_nothing_is_not_in_the_way_of_its_retry(
    bag: Path, tmp_path: Path
) -> None:
    named = {"--junit": "a.xml", "--report": "a.html", "--timings": "t.json"}
    outputs = {option: str(tmp_path / name) for option, name in named.items()}
    more = [word for output in outputs.items() for word in output]
    labels = tmp_path / "far.csv"
    labels.write_text("person,start,end,label\n,1000,1001,happy\n")
    more += ["--labels", str(labels)]
    for _ in range(2):
        assert evaluate(bag, tmp_path / "a.json", *more) == 2
        assert json.loads((tmp_path / "a.json").read_text())["overall"] is None
    labels.write_text("person,start,end,label\n,3,6,happy\n")
    assert evaluate(bag, tmp_path / "a.json", *more) == 0
    assert json.loads((tmp_path / "a.json").read_text())["passed"]
    # What has a result is kept.
    for output in outputs.items():
        assert evaluate(bag, tmp_path / "new.json", *output) == 2


def test_a_result_that_cannot_be_written_leaves_no_other(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    assert evaluate(bag, out, "--junit", "/dev/full") == 2
    assert not out.exists()
    assert evaluate(bag, out) == 0


def test_nothing_is_replaced_without_force(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.json", "a.xml"):
        (tmp_path / name).write_text("mine")
    assert evaluate(bag, tmp_path / "a.json") == 2
    assert evaluate(bag, tmp_path / "b.json", "--junit", str(tmp_path / "a.xml")) == 2
    assert capsys.readouterr().err.count("already exists; --force overwrites it") == 2
    assert (tmp_path / "a.json").read_text() == (tmp_path / "a.xml").read_text() == "mine"
    assert evaluate(bag, tmp_path / "a.json", "--force") == 0
    assert json.loads((tmp_path / "a.json").read_text())["passed"] is True


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--fail-below", "speed=1"], "--fail-below"),
        (["--rounds", "3"], "--rounds"),
        (["--workers", "-1"], "--workers"),
        (["--thumbnails"], "--thumbnails"),
        (["--set", "emotion.nothing=1"], "emotion.nothing"),
        (["--topic", "nonsense"], "--topic"),
        (["--labels", "gone.csv"], "gone.csv"),
    ],
)
def test_a_wrong_argument_is_one_line_before_any_work(
    bag: Path,
    tmp_path: Path,
    more: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(bag, tmp_path / "a.json", *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_goes_on_with_the_same_command(bag: Path, tmp_path: Path) -> None:
    """There are so many bags that some are still to be done when the first is kept."""
    many = [tmp_path / f"copy{number}" for number in range(60)]
    for copy in many:
        shutil.copytree(bag, copy)
        shutil.copy(bag.with_name("kitchen.labels.csv"), f"{copy}.labels.csv")
    out = tmp_path / "a.json"
    kept = tmp_path / "a.replays"
    arguments = ["bag", "evaluate", str(bag), *map(str, many), "--use", "states",
                 "--workers", "1", "--json", str(out), "--quiet"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "avemo_ros.cli.main", *arguments], stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    limit = time.monotonic() + 120
    # A whole one: what is just being written has a name that begins with a dot.
    while not any(kept.glob("[!.]*")) and time.monotonic() < limit:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "the same command continues with them" in err
    assert not out.exists()
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert before
    assert evaluate([bag, many[0]], out) == 0
    result = json.loads(out.read_text())
    assert len(result["bags"]) == 2
    assert not kept.exists()


def test_a_run_that_is_interrupted_at_once_leaves_and_promises_nothing(
    bag: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(request: BagRequest, _: object) -> None:
        assert request.cache is not None
        request.cache.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("avemo_ros.cli.bag_evaluate.evaluate_bags", interrupted)
    assert evaluate(bag, tmp_path / "a.json") == 130
    assert capsys.readouterr().err == "avemo: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_a_bag_that_is_named_twice_counts_once(
    bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    again = bag.parent / "." / ".." / bag.parent.name / bag.name
    assert evaluate([bag, again], tmp_path / "a.json") == 0
    assert len(json.loads((tmp_path / "a.json").read_text())["bags"]) == 1
    assert "is given twice; it counts once" in caplog.text


def test_of_labels_that_are_given_those_beside_a_bag_are_no_part(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = states_bag(tmp_path / "hall")
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "kitchen.csv").write_text(LABELS)
    assert evaluate([bag, other], tmp_path / "a.json", "--labels", str(folder)) == 1
    said = (
        "hall not evaluated: no labels: none of the given files is named after it (hall.labels"
    )
    assert said in capsys.readouterr().err


def test_pages_of_bags_without_images_say_so(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "a.html"
    assert evaluate(bag, tmp_path / "a.json", "--report", str(page), "--thumbnails") == 0
    assert "no thumbnails: no bag contains images" in capsys.readouterr().err
    assert "It contains no images to show." in page.read_text()
    assert "This page contains no images" in page.read_text()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("avemo-speech-0.4", "model 'avemo-speech-0.4' is for audio only"),
        ("nonsense", "no released model is called 'nonsense'"),
    ],
)
def test_a_model_that_is_not_live_is_one_line_with_those_that_are(
    bag: Path, tmp_path: Path, model: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bag", "evaluate", str(bag), "--json", str(tmp_path / "a.json")]
    assert main([*words, "--model", model]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    _, live = line.split("live models are: ")
    assert "avemo-0.5" in live
    assert "speech" not in live


def test_how_far_stamps_may_be_off_is_a_setting_as_of_the_nodes(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "emotion:\n  ros__parameters: {max_input_age_s: 2, vision.max_faces: 1}\n"
    )
    assert evaluate(bag, tmp_path / "a.json", "--config", str(config)) == 0
    assert json.loads((tmp_path / "a.json").read_text())["settings"]["max_input_age_s"] == 2
    more = ["--config", str(config), "--set", "max_input_age_s=0", "--force"]
    assert evaluate(bag, tmp_path / "a.json", *more) == 0
    assert json.loads((tmp_path / "a.json").read_text())["settings"]["max_input_age_s"] == 0
    for value in ("-1", "soon", ".inf", "true"):
        assert evaluate(bag, tmp_path / "b.json", "--set", f"max_input_age_s={value}") == 2
        assert "'max_input_age_s' is" in capsys.readouterr().err


def test_a_cache_of_the_users_own_is_kept(bag: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        assert evaluate(bag, tmp_path / name, "--cache", str(tmp_path / "cache")) == 0
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert json.loads((tmp_path / "a.json").read_text())["realtime_factor"] is not None
    assert json.loads((tmp_path / "b.json").read_text())["realtime_factor"] is None


def test_two_evaluations_are_compared(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(bag, tmp_path / "a.json") == 0
    relabelled = tmp_path / "other.csv"
    relabelled.write_text(LABELS.replace("fear", "surprise"))
    assert evaluate(bag, tmp_path / "b.json", "--labels", str(relabelled)) == 0
    capsys.readouterr()
    arguments = ["bag", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    page, differences = tmp_path / "c.html", tmp_path / "c.json"
    more = ["--report", str(page), "--json", str(differences)]
    assert main([*arguments, *more]) == 0
    out = capsys.readouterr().out
    assert "accuracy, segments" in out
    assert "better" in out
    assert json.loads(differences.read_text())["runs"][1]["name"] == "b"
    assert "<h1>a against b</h1>" in page.read_text()
    assert main([*arguments, *more]) == 2
    assert main([*arguments, *more, "--force"]) == 0
    capsys.readouterr()
    assert main([*arguments[:-1], str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().out.startswith("no metric differs\n")


def test_one_file_or_a_wrong_one_cannot_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "x.json"
    wrong.write_text("{}")
    assert main(["bag", "compare", str(wrong)]) == 2
    assert main(["bag", "compare", str(wrong), str(wrong)]) == 2
    assert "is not a result of `avemo bag evaluate" in capsys.readouterr().err


def test_the_replays_of_a_run_under_way_are_left_alone(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replays = tmp_path / "out.replays"
    with locked(replays, shared=True):
        (replays / "one.json.gz").touch()
        for option in ("--resume", "--force"):
            assert evaluate(bag, tmp_path / "out.json", option) == 2
            assert f"another process is writing {replays}" in capsys.readouterr().err
        assert (replays / "one.json.gz").exists()
