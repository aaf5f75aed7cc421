"""Scripted conversations: their files, and the estimates that are made of them."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import mean

import pytest

from avemo_ros.dialog.scenario import Feeling, Scenario, read_scenario, read_scenarios
from avemo_ros.dialog.scenario_estimates import (
    START_NS,
    drawn,
    recorded_estimates,
    synthetic_estimates,
)
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.sink.jsonl import JsonLines
from avemo_ros.state.estimate import EmotionStep, Status

GOOD = """\
title: A test
duration_s: 20
feelings:
  - {at: 0, emotion: neutral}
  - {at: 10, emotion: sad, confidence: 0.8}
words:
  - {at: 5, say: "Hello."}
"""


def scenario(tmp_path: Path, text: str = GOOD, name: str = "one") -> Scenario:
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    return read_scenario(path)


def steps(*feelings: Feeling, seconds: float = 20.0, seed: int = 0) -> list[EmotionStep]:
    return list(synthetic_estimates(Scenario("made", "Made", seconds, (), feelings, seed)))


def seconds(step: EmotionStep) -> float:
    return (step.stamp_ns - START_NS) / 1e9


# --- files


def test_a_file_gives_its_words_and_feelings(tmp_path: Path) -> None:
    read = scenario(tmp_path)
    assert (read.name, read.title, read.duration_s) == ("one", "A test", 20.0)
    assert [(line.at_s, line.text) for line in read.lines] == [(5.0, "Hello.")]
    before, after = read.feeling_at(9.9), read.feeling_at(10.0)
    assert before is not None
    assert after is not None
    assert (before.emotion, before.confidence) == ("neutral", 0.7)
    assert (after.emotion, after.confidence) == ("sad", 0.8)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("emotion: sad", "emotion: gloomy", "feelings[2].emotion is 'gloomy'"),
        ("emotion: sad", "emotion: [sad, happy]", "feelings[2].emotion"),
        ("confidence: 0.8", "confidence: 1.5", "feelings[2].confidence is 1.5"),
        ("confidence: 0.8", "confidence: .nan", "feelings[2].confidence"),
        ("confidence: 0.8", "sureness: 0.8", "sureness"),
        ("emotion: sad", "emotion: sad, turned: 100", "feelings[2].turned is 100"),
        ("emotion: sad", "emotion: sad, by: voice, turned: 9", "feelings[2].turned is 9"),
        ("emotion: sad", "status: ASLEEP", "feelings[2].status"),
        ("emotion: sad", "emotion: sad, status: NOBODY", "feelings[2].emotion"),
        ("emotion: sad", "emotion: sad, by: smell", "feelings[2].by"),
        ("{at: 0,", "{at: 1,", "feelings[1].at is 1"),
        ("{at: 10,", "{at: 0,", "feelings[2].at is 0"),
        ("{at: 10,", "{at: 21,", "feelings[2].at is 21"),
        ("duration_s: 20", "duration_s: -1", "duration_s is -1"),
        ("duration_s: 20", "duration_s: 1e9", "duration_s"),
        ('"Hello."', '""', "words[1].say"),
        ("words:", "words: []\nmore:", "words"),
        ("title: A test", "titel: A test", "title"),
        ("title: A test", "title: A test\nseed: -3", "seed is -3"),
        ("title: A test", "title: A test\nstates: no.jsonl", "states"),
        ("title: A test", "title: [", "not valid YAML"),
        ("title: A test", "title: A\ntitle: B", "twice"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    with pytest.raises(DialogError) as caught:
        scenario(tmp_path, GOOD.replace(old, new))
    assert named in str(caught.value)


def test_feelings_or_states_are_needed(tmp_path: Path) -> None:
    without = GOOD.split("feelings:")[0] + "words:" + GOOD.split("words:")[1]
    with pytest.raises(DialogError, match="feelings"):
        scenario(tmp_path, without)


def test_a_folder_gives_its_files_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        scenario(tmp_path, name=name)
    assert [one.name for one in read_scenarios([tmp_path])] == ["a", "b"]


def test_a_folder_without_files_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DialogError, match=r"no \.yaml file"):
        read_scenarios([tmp_path])
    (tmp_path / "more").mkdir()
    scenario(tmp_path)
    scenario(tmp_path / "more")
    with pytest.raises(DialogError, match="two scenarios are named 'one'"):
        read_scenarios([tmp_path, tmp_path / "more"])


def test_the_scenarios_of_the_package_cover_what_they_should(repository: Path) -> None:
    given = read_scenarios([repository / "config" / "scenarios"])
    assert len(given) >= 12
    feelings = [feeling for one in given for feeling in one.feelings]
    assert {feeling.emotion for feeling in feelings} == {*EMOTIONS, UNKNOWN}
    assert {feeling.by for feeling in feelings} >= {"both", "voice"}
    assert {"crisis_words", "prompt_injection", "uncertain", "two_people"} <= {
        one.name for one in given
    }


# --- estimates


def test_the_same_script_gives_the_same_estimates() -> None:
    sad = Feeling(0.0, "sad")
    assert steps(sad) == steps(sad)
    assert steps(sad) != steps(sad, seed=1)


def test_estimates_come_ten_times_a_second_to_the_end() -> None:
    times = [seconds(step) for step in steps(Feeling(0.0, "sad"), seconds=2.0)]
    assert times == pytest.approx([0.1 * step for step in range(1, 21)])


@pytest.mark.parametrize("confidence", [0.3, 0.55, 0.7, 0.9])
def test_the_made_classifier_is_calibrated(confidence: float) -> None:
    source = random.Random(1)
    draws = [drawn("sad", confidence, 1.0, source) for _ in range(6000)]
    truth = EMOTIONS.index("sad")
    assert mean(draw[truth] for draw in draws) == pytest.approx(confidence, abs=0.02)
    # How sure it is on average is how often it is right.
    right = mean(max(draw) == draw[truth] for draw in draws)
    assert mean(max(draw) for draw in draws) == pytest.approx(right, abs=0.03)
    assert all(sum(draw) == pytest.approx(1.0) for draw in draws)


def test_without_noise_every_estimate_is_the_mean() -> None:
    source = random.Random(1)
    assert drawn("fear", 0.4, 0.0, source) == pytest.approx([0.1, 0.1, 0.4, 0.1, 0.1, 0.1, 0.1])


def test_more_noise_strays_more() -> None:
    def spread(noise: float) -> float:
        source = random.Random(2)
        return mean(abs(drawn("fear", 0.6, noise, source)[2] - 0.6) for _ in range(500))

    assert spread(0.1) < spread(1.0) < spread(5.0)


def test_who_is_new_warms_up_first() -> None:
    made = steps(Feeling(0.0, "sad", person="f1"), Feeling(10.0, "happy", person="f2"))
    warming = [seconds(step) for step in made if step.attended.status is Status.WARMING_UP]
    assert max(time for time in warming if time < 5) < 1.0
    assert [time for time in warming if 9.95 < time < 10.05]
    assert {step.attended.face_id for step in made} == {"f1", "f2"}


def test_an_estimate_after_a_change_still_tells_of_the_past() -> None:
    made = steps(
        Feeling(0.0, "sad", 1.0, 0.0),
        Feeling(10.0, "happy", 1.0, 0.0),
        seconds=20.0,
    )
    labels = {seconds(step): step.attended.label for step in made}
    assert {labels[time] for time in labels if 5 < time <= 10} == {"sad"}
    assert {labels[time] for time in labels if 10 < time < 13} == {"sad", "happy"}


def test_a_voice_without_a_face_has_the_voice_only() -> None:
    made = steps(Feeling(0.0, "sad", by="voice", person="v1"))[-1]
    assert (made.attended.face_id, made.attended.voice_id) == ("", "v1")
    assert made.attended.status is Status.NO_FACE
    assert (made.attended.face_share, made.attended.voice_share) == (0.0, 1.0)


def test_a_status_makes_no_claim_and_nobody_is_nobody() -> None:
    made = steps(
        Feeling(0.0, UNKNOWN, status=Status.LOW_QUALITY),
        Feeling(10.0, UNKNOWN, status=Status.NOBODY),
    )
    assert {step.attended.label for step in made} == {UNKNOWN}
    assert all(len(step.estimates) == 1 for step in made if seconds(step) < 9.9)
    assert all(step.estimates == () for step in made if seconds(step) > 10.1)


# --- recorded ones


def test_what_was_written_by_predict_comes_back(tmp_path: Path) -> None:
    made = steps(Feeling(0.0, "sad"), Feeling(10.0, UNKNOWN, status=Status.NOBODY))
    path = tmp_path / "states.jsonl"
    with JsonLines(path, START_NS) as lines:
        for step in made:
            lines.write(step)
    read = list(recorded_estimates(path))
    assert [step.stamp_ns for step in read] == [step.stamp_ns for step in made]
    assert [step.attended.label for step in read] == [step.attended.label for step in made]
    assert [step.attended.status for step in read] == [step.attended.status for step in made]
    assert [len(step.estimates) for step in read] == [len(step.estimates) for step in made]
    for one, other in zip(read, made, strict=True):
        assert one.attended.probabilities == pytest.approx(
            other.attended.probabilities, abs=1e-5
        )


def test_older_lines_called_nobody_no_face(tmp_path: Path) -> None:
    path = tmp_path / "states.jsonl"
    with JsonLines(path, START_NS) as lines:
        for step in steps(
            Feeling(0.0, "sad", by="voice", person="v1"),
            Feeling(5.0, UNKNOWN, status=Status.NOBODY),
            seconds=9.0,
        ):
            lines.write(step)
    path.write_text(path.read_text().replace('"NOBODY"', '"NO_FACE"'))
    read = list(recorded_estimates(path))
    assert {step.attended.status for step in read if 2 < seconds(step) < 4} == {Status.NO_FACE}
    assert {step.attended.status for step in read if seconds(step) > 6} == {Status.NOBODY}


@pytest.mark.parametrize(
    ("place", "line", "named"),
    [
        (0, "nonsense", "line 1: not a state"),
        (1, "[]", "line 2: not a state"),
        (1, '{"t": "soon"}', "line 2: not a state"),
        (1, '{"t": NaN}', "line 2: not a state"),
        (1, '{"t": 0.15, "attended": true}', "line 2: not a state"),
        (2, None, "it must rise"),
    ],
)
def test_a_line_that_is_no_state_is_named(
    tmp_path: Path, place: int, line: str | None, named: str
) -> None:
    path = tmp_path / "states.jsonl"
    with JsonLines(path, START_NS) as lines:
        for step in steps(Feeling(0.0, "sad"), seconds=0.5):
            lines.write(step)
    given = path.read_text().splitlines()
    given[place] = given[0] if line is None else line
    path.write_text("\n".join(given))
    with pytest.raises(DialogError) as caught:
        list(recorded_estimates(path))
    assert named in str(caught.value)


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "states.jsonl"
    with pytest.raises(DialogError, match="cannot read"):
        list(recorded_estimates(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DialogError, match="UTF-8"):
        list(recorded_estimates(path))
