"""`avemo dialog`: conversations in the terminal, and their evaluation."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_endpoint import Server, answer, hang, respond

from avemo_ros.cli.main import main
from avemo_ros.dialog.intent import HAND_OVER, INFORM
from avemo_ros.dialog.policy import Policy
from avemo_ros.dialog.scenario import Feeling, Scenario
from avemo_ros.dialog.scenario_estimates import START_NS, synthetic_estimates
from avemo_ros.sink.jsonl import JsonLines

SCRIPT = """\
title: A test & more
duration_s: 20
confidence: 0.95
noise: 0.0
feelings:
  - {at: 0, emotion: angry}
words:
  - {at: 10, say: "I went for a walk."}
  - {at: 18, say: "It rained."}
"""
KEY = "sk-secret-0123456789"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*args: str | Path) -> tuple[int, str, str]:
        status = main(["dialog", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def say(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(words: bytes, *args: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(words)))
        return run("chat", *args)

    return call


def evaluated(run: Run, script: Path, *args: str | Path) -> tuple[int, str, str]:
    return run("evaluate", "--scenarios", script, "--rounds", "0", "--hours", "0", *args)


# --- evaluate


def test_figures_and_report_are_written(run: Run, script: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    status, text, _ = evaluated(run, script, "--json", out, "--report", page)
    assert status == 0
    assert "strategy accuracy    100.0%" in text
    result = json.loads(out.read_text())
    assert result["strategy_accuracy"] == 1.0
    assert result["back_end"] == "offline"
    (scenario,) = result["scenarios"]
    assert [turn["emotion"] for turn in scenario["turns"]] == ["angry", "angry"]
    assert "A test &amp; more" in page.read_text()
    assert "I went for a walk." in page.read_text()


def test_the_json_is_the_same_but_for_the_latency(
    run: Run, script: Path, tmp_path: Path
) -> None:
    kept = []
    for name in ("a.json", "b.json"):
        evaluated(run, script, "--json", tmp_path / name, "--quiet")
        result = json.loads((tmp_path / name).read_text())
        assert set(result.pop("latency_ms")) == {"answers", "median", "p90", "largest"}
        kept.append(json.dumps(result))
    assert kept[0] == kept[1]


def test_streams_are_measured_where_they_are_asked_for(
    run: Run, script: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    status, text, _ = run(
        "evaluate", "--scenarios", script, "--rounds", "0", "--hours", "0.01", "--json", out
    )
    assert status == 0
    rows = json.loads(out.read_text())["steady"]
    assert [row["hours"] for row in rows] == [0.01, 0.01, 0.01]
    assert "false and" in text


def test_the_documentation_names_every_key_and_every_strategy(
    run: Run, script: Path, tmp_path: Path, repository: Path
) -> None:
    out = tmp_path / "out.json"
    evaluated(run, script, "--json", out, "--quiet")
    text = (repository / "docs" / "dialog.md").read_text()
    first = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")}
    known = {name for cell in first for name in re.findall(r"`([a-z_]+)`", cell)}
    keys = set(json.loads(out.read_text())) - {"version", "back_end", "turns", "judged_turns"}
    assert keys <= known
    assert {*Policy.read().strategies, HAND_OVER, INFORM} <= known


def test_the_scenario_of_the_documentation_can_be_played(
    run: Run, tmp_path: Path, repository: Path
) -> None:
    text = (repository / "docs" / "dialog.md").read_text()
    (block,) = [
        part for part in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "words:" in part
    ]
    path = tmp_path / "documented.yaml"
    path.write_text(block)
    assert evaluated(run, path, "--json", tmp_path / "out.json", "--quiet")[0] == 0


def test_nothing_is_replaced_unasked(run: Run, script: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("mine")
    status, _, err = evaluated(run, script, "--json", out)
    assert status == 2
    assert "--force" in err
    assert out.read_text() == "mine"
    assert evaluated(run, script, "--json", out, "--force")[0] == 0
    assert json.loads(out.read_text())["turns"] == 2


def test_quiet_says_nothing(run: Run, script: Path, tmp_path: Path) -> None:
    assert evaluated(run, script, "--json", tmp_path / "o.json", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--rounds", "-1"], "--rounds"),
        (["--hours", "nan"], "--hours"),
        (["--table", "no.yaml"], "no.yaml"),
        (["--config", "no.yaml"], "no.yaml"),
        (["--scenarios", "no_such_folder"], "no_such_folder"),
        (["--set", "dialog.no_such=1"], "dialog.no_such"),
        (["--set", "dialog.min_confidence=2"], "dialog.min_confidence"),
        (["--endpoint", "http://localhost:1/v1"], "endpoint.model"),
        (["--endpoint", "http://robot.example.org/v1", "--model", "m"], "allow_plain_http"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(
    run: Run, script: Path, tmp_path: Path, args: list[str], named: str
) -> None:
    out = tmp_path / "out.json"
    status, _, err = evaluated(run, script, "--json", out, *args)
    assert status == 2
    assert named in err
    assert not out.exists()


def test_a_key_in_the_wrong_place_is_not_shown(run: Run, script: Path, tmp_path: Path) -> None:
    for given in (
        ["--set", f"endpoint.api_key={KEY}"],
        ["--set", f"endpoint.key_variable={KEY}", "--model", "m"],
        ["--endpoint", f"http://me:{KEY}@localhost/v1", "--model", "m"],
    ):
        status, out, err = evaluated(run, script, "--json", tmp_path / "o.json", *given)
        assert status == 2
        assert KEY not in out + err


def test_another_table_is_taken(
    run: Run, script: Path, tmp_path: Path, repository: Path
) -> None:
    for name in ("en.yaml", "rules.yaml"):
        text = (repository / "config" / "dialog" / name).read_text()
        (tmp_path / name).write_text(text.replace("de_escalate", "cool_down"))
    # The rules beside the file count before the shipped ones.
    (tmp_path / "en.yaml").rename(tmp_path / "own.yaml")
    out = tmp_path / "out.json"
    assert evaluated(run, script, "--json", out, "--table", tmp_path / "own.yaml")[0] == 0
    (scenario,) = json.loads(out.read_text())["scenarios"]
    assert {turn["strategy"] for turn in scenario["turns"]} == {"cool_down"}


def test_parameters_come_from_a_file_of_the_node(
    run: Run, script: Path, tmp_path: Path
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(
        "dialog:\n  ros__parameters:\n    dialog:\n      min_confidence: 1.0\n"
        "      high_confidence: 1.0\n      name_confidence: 1.0\n    speak: false\n"
    )
    out = tmp_path / "out.json"
    assert evaluated(run, script, "--json", out, "--config", params)[0] == 0
    (scenario,) = json.loads(out.read_text())["scenarios"]
    assert {turn["emotion"] for turn in scenario["turns"]} == {"unknown"}


def test_an_endpoint_answers(run: Run, script: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with Server(respond(answer("Please go on."))) as server:
        status, _, _ = evaluated(
            run, script, "--json", out, "--endpoint", server.url, "--model", "tiny"
        )
    assert status == 0
    result = json.loads(out.read_text())
    assert result["back_end"] == "tiny"
    assert result["fallbacks"] == 0
    turns = result["scenarios"][0]["turns"]
    assert {turn["answer"] for turn in turns} == {"Please go on."}


# --- reply and check


def test_one_saying_is_answered_and_why(run: Run) -> None:
    status, out, _ = run("reply", "--emotion", "happy", "--json", "My grandma passed")
    assert status == 0
    shown = json.loads(out)
    assert (shown["kind"], shown["strategy"]) == ("bereavement", "acknowledge")
    assert (shown["handed_over"], shown["emotion"]) == (False, "happy")
    assert "my grandma passed" in shown["why"]
    status, out, _ = run("reply", "--emotion", "happy", "My grandma passed")
    assert out == shown["text"] + "\n"


def test_a_hand_over_is_told(run: Run) -> None:
    shown = json.loads(run("reply", "--json", "I want to disappear")[1])
    assert shown["handed_over"]
    assert shown["strategy"] == HAND_OVER
    assert not json.loads(run("reply", "--json", "I read a book")[1])["handed_over"]


SAYINGS = """\
sets:
  - kind: bereavement
    handed_over: false
    emotion: [happy, sad]
    say: ["My dad died", "I read a book"]
  - kind: none
    say: ["My phone died"]
"""


def test_a_reply_is_given_in_german(run: Run) -> None:
    status, out, _ = run("reply", "--language", "de", "Meine Oma ist gestorben")
    assert (status, "leid" in out) == (0, True)
    status, _, err = run("reply", "--language", "dee", "Hallo")
    assert status == 2
    assert "did you mean 'de'?" in err


def test_a_table_of_sayings_is_checked(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "sayings.yaml"
    table.write_text(SAYINGS)
    status, out, _ = run("check", table)
    assert status == 1
    assert out.count("WRONG") == 2
    assert '"I read a book" (sad) is none' in out
    assert "3 of 5 sayings are met as the table says" in out
    table.write_text(SAYINGS.replace(', "I read a book"', ""))
    status, out, _ = run("check", table, "--all")
    assert status == 0
    assert out.count("right") == 3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("kind: none", "kind: nome"), "sets[2].kind is 'nome'"),
        (("kind: none", "kind: bereavment"), "did you mean 'bereavement'?"),
        (("[happy, sad]", "glad"), "sets[1].emotion is 'glad'"),
        (("sets:", "rows:"), "rows"),
    ],
)
def test_a_mistake_in_a_table_of_sayings_is_named(
    run: Run, tmp_path: Path, change: tuple[str, str], named: str
) -> None:
    table = tmp_path / "sayings.yaml"
    table.write_text(SAYINGS.replace(*change))
    status, _, err = run("check", table)
    assert status == 2
    assert named in err


def test_the_table_of_sayings_of_the_documentation_can_be_checked(
    run: Run, tmp_path: Path, repository: Path
) -> None:
    text = (repository / "docs" / "dialog.md").read_text()
    (block,) = [
        part for part in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "sets:" in part
    ]
    path = tmp_path / "documented.yaml"
    path.write_text(block)
    assert run("check", path)[0] == 0


# --- chat


def test_a_conversation_is_shown_and_kept(say: Run, tmp_path: Path) -> None:
    page = tmp_path / "talk.html"
    status, out, _ = say(b"Hello\nI won!\n", "--emotion", "happy", "--report", page)
    assert status == 0
    heads = [line.split() for line in out.split("\n") if line.startswith("time")]
    assert heads == [["time", "person", "sensed", "strategy", "robot"]]
    assert out.count("happy") >= 2
    assert "celebrate with" in out
    assert "I won!" in page.read_text()


def test_simulated_states_are_said_to_be_so_once_and_on_the_page(
    say: Run, tmp_path: Path
) -> None:
    page = tmp_path / "talk.html"
    _, out, _ = say(b"Hello\nWell\n", "--emotion", "happy", "--report", page)
    assert " ".join(out.split()).startswith("No camera and no microphone is used. ")
    assert out.count("simulated") == 1
    assert "feels happy" in out.split("time", 1)[0]
    assert "Nobody was seen or heard" in page.read_text()


def test_what_is_felt_can_be_changed(say: Run) -> None:
    _, out, err = say(b"Hello\n/feel angry\nWell\n/feel hungry\n", "--emotion", "happy")
    assert "celebrate with" in out
    assert "de escalate" in out
    assert "'hungry' is not an emotion" in err


def test_without_cues_nothing_is_claimed(say: Run) -> None:
    _, out, _ = say(b"Hello\n", "--emotion", "angry", "--no-emotion")
    assert "no label" in out
    assert "continue" in out


def test_recorded_states_are_used(say: Run, tmp_path: Path) -> None:
    states = tmp_path / "states.jsonl"
    felt = Scenario("sad", "", 20.0, (), (Feeling(0.0, "sad", 0.95, 0.0),))
    with JsonLines(states, START_NS) as lines:
        for step in synthetic_estimates(felt):
            lines.write(step)
    _, out, err = say(b"Hello\n/feel happy\nAnd?\n", "--states", states)
    assert out.count("sad") == 2
    assert "simulated" not in out
    assert "/feel does not work with --states" in err


def test_any_bytes_can_be_said(say: Run, tmp_path: Path) -> None:
    page = tmp_path / "talk.html"
    words = b"\xff\xfe\x00\x1b[2J\n\n" + b"x" * 5000 + b"\n<script>alert(1)</script>\nno end"
    status, out, _ = say(words, "--report", page)
    assert status == 0
    assert "\x1b" not in out
    assert "the words are empty" in out
    assert "cut off at 2000 characters" in page.read_text()
    assert "<script>" not in page.read_text()


def test_nobody_says_anything(say: Run, tmp_path: Path) -> None:
    assert say(b"", "--report", tmp_path / "talk.html")[0] == 0
    assert "Nothing was said." in (tmp_path / "talk.html").read_text()


def test_an_interrupted_conversation_is_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Keyboard(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            line = super().readline(size)
            if not line:
                raise KeyboardInterrupt
            return line

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Keyboard(b"Hello\n")))
    assert run("chat", "--report", tmp_path / "talk.html")[0] == 130
    assert "Hello" in (tmp_path / "talk.html").read_text()


def test_a_dead_endpoint_is_answered_offline(say: Run) -> None:
    with Server(hang()) as server:
        status, out, err = say(
            b"Hello\n",
            *("--endpoint", server.url, "--model", "m", "--set", "endpoint.deadline_s=0.3"),
            *("--set", "endpoint.load_timeout_s=0.3"),
        )
    assert status == 0
    assert "no answer within" in out
    assert "not loaded within 0.3 s (endpoint.load_timeout_s); answers are made offline" in err


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--states", "no.jsonl"], "no.jsonl"),
        (["--every", "0"], "--every"),
        (["--report", "no/such/folder.html"], "folder"),
    ],
)
def test_a_mistake_is_named(say: Run, args: list[str], named: str) -> None:
    status, _, err = say(b"Hello\n", *args)
    assert status == 2
    assert named in err


def test_talking_offline_loads_neither_ros_nor_torch_nor_a_client() -> None:
    code = (
        "import sys; from avemo_ros.cli.main import main; main(['dialog', 'chat']);"
        "heavy = {'rclpy', 'torch', 'openai', 'httpx2', 'cv2'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="Hello\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert done.stdout.splitlines()[-1] == "[]"
