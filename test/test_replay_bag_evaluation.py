"""Many bags, evaluated in parallel, again and again alike."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from made_evaluations import LABELS, outcome, seg, session, states_bag
from made_steps import clip
from sklearn.metrics import cohen_kappa_score
from tiny_bags import STATES, STORE, STRING, Row, new, write

from avemo_ros.annotations.segments import TruthRule
from avemo_ros.bag.writer import MessageEncoder
from avemo_ros.cli.bag_evaluate import evaluation_summary
from avemo_ros.errors import BagError, ConfigError, LabelError
from avemo_ros.replay.bag_evaluation import (
    BagEvaluation,
    BagRequest,
    FailedBag,
    NothingScoredError,
    evaluate_bags,
    split_workers,
)
from avemo_ros.replay.named_metrics import read_thresholds
from avemo_ros.report.replay_page import render


class Heard:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.bags = 0
        self.reached: list[tuple[float, int]] = []

    def begin(self, seconds: float, bags: int) -> None:
        self.seconds, self.bags = seconds, bags

    def reach(self, seconds: float, bags: int) -> None:
        self.reached.append((seconds, bags))


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Two that can be evaluated, and four that cannot."""
    folder = tmp_path_factory.mktemp("bags")
    (folder / "broken").mkdir()
    (folder / "broken" / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    return (
        states_bag(folder / "kitchen"),
        states_bag(folder / "silent", labels=""),
        states_bag(folder / "late", labels="person,start,end,label\n,900,903,happy\n"),
        states_bag(
            folder / "strangers",
            labels="person,start,end,label\nAda,0,9,happy\nEve,0,9,sad\n",
        ),
        folder / "broken",
        states_bag(folder / "hall", 12.0),
    )


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "deep" / "replays"


@pytest.fixture(scope="module")
def found(bags: tuple[Path, ...], heard: Heard, cache: Path) -> BagEvaluation:
    limits = read_thresholds(["coverage=0.2"], ["changes_per_minute=0"])
    request = BagRequest(bags, use="states", cache=cache, rounds=100, thresholds=limits)
    return evaluate_bags(request, heard)


def text_of(found: BagEvaluation) -> str:
    result: dict[str, Any] = dict(found.result)
    result.pop("realtime_factor")
    return json.dumps(result, indent=1)


def test_what_can_be_evaluated_is_and_the_rest_is_told(found: BagEvaluation) -> None:
    assert [bag["name"] for bag in found.result["bags"]] == ["kitchen", "hall"]
    reasons = {bag["name"]: bag["reason"] for bag in found.result["failed"]}
    assert list(reasons) == ["silent", "late", "strangers", "broken"]
    assert "silent.labels.csv" in reasons["silent"]
    assert "no label lies within the recording" in reasons["late"]
    assert "Ada never appears" in reasons["strangers"]
    assert not found.passed


def test_figures_of_each_bag_and_of_all_are_those_of_the_score(found: BagEvaluation) -> None:
    kitchen, hall = found.result["bags"]
    # Two of three segments of the kitchen are as the recorded states say.
    assert kitchen["figures"]["segment_accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert hall["figures"]["segment_accuracy"] < 1
    segments = found.result["overall"]["segments"]
    right = sum(item["right"] for item in segments["list"])
    assert found.result["figures"]["segment_accuracy"] == pytest.approx(
        right / segments["items"], abs=1e-6
    )
    assert kitchen["source"] == "states"
    assert kitchen["labels"] == [
        {"name": "kitchen.labels.csv", "annotators": [], "segments": 3, "notes": []}
    ]


def test_limits_are_judged(found: BagEvaluation) -> None:
    assert [item["passed"] for item in found.result["thresholds"]] == [True, False]


def test_the_progress_ends_with_everything_done(found: BagEvaluation, heard: Heard) -> None:
    assert found.recordings
    assert heard.bags == 6
    assert heard.reached[-1] == (pytest.approx(heard.seconds), 6)
    assert heard.reached == sorted(heard.reached)


def test_a_second_run_says_the_same_to_the_last_bit(
    found: BagEvaluation, bags: tuple[Path, ...]
) -> None:
    limits = read_thresholds(["coverage=0.2"], ["changes_per_minute=0"])
    again = evaluate_bags(
        BagRequest(bags, use="states", workers=1, rounds=100, thresholds=limits), None
    )
    assert text_of(again) == text_of(found)
    assert again.result["realtime_factor"] > 0


def test_bags_elsewhere_say_the_same(
    found: BagEvaluation, bags: tuple[Path, ...], tmp_path: Path
) -> None:
    shutil.copytree(bags[0].parent, tmp_path / "moved")
    moved = tuple(tmp_path / "moved" / bag.name for bag in bags)
    limits = read_thresholds(["coverage=0.2"], ["changes_per_minute=0"])
    again = evaluate_bags(BagRequest(moved, use="states", rounds=100, thresholds=limits))
    assert text_of(again) == text_of(found)
    assert str(tmp_path) not in text_of(again)


def test_what_was_replayed_before_is_not_replayed_again(
    found: BagEvaluation, bags: tuple[Path, ...], cache: Path
) -> None:
    kept = sorted(cache.iterdir())
    # One for each bag that could be replayed with labels at hand.
    assert len(kept) == 4
    before = {path: path.stat().st_mtime_ns for path in kept}
    limits = read_thresholds(["coverage=0.2"], ["changes_per_minute=0"])
    request = BagRequest(bags, use="states", cache=cache, rounds=100, thresholds=limits)
    again = evaluate_bags(request)
    assert text_of(again) == text_of(found)
    assert again.result["realtime_factor"] is None
    assert {path: path.stat().st_mtime_ns for path in sorted(cache.iterdir())} == before


def test_a_bag_that_has_changed_is_replayed_again(tmp_path: Path) -> None:
    bag = states_bag(tmp_path / "bag")
    request = BagRequest((bag,), use="states", cache=tmp_path / "cache", rounds=100)
    evaluate_bags(request)
    (file,) = bag.glob("*.mcap")
    os.utime(file, ns=(1, 1))
    assert evaluate_bags(request).result["realtime_factor"] is not None
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_labels_that_have_changed_need_no_new_replay(tmp_path: Path) -> None:
    bag = states_bag(tmp_path / "bag")
    request = BagRequest((bag,), use="states", cache=tmp_path / "cache", rounds=100)
    before = evaluate_bags(request)
    bag.with_name("bag.labels.csv").write_text(LABELS.replace("fear", "surprise"))
    after = evaluate_bags(request)
    assert after.result["realtime_factor"] is None
    assert after.result["figures"]["segment_accuracy"] == 1
    assert before.result["figures"]["segment_accuracy"] < 1


def test_labels_of_a_topic_and_of_files_are_those_of_several_annotators(
    tmp_path: Path,
) -> None:
    encoder = MessageEncoder(STORE)
    steps = clip(9.0)
    start = steps[0].stamp_ns
    rows = []
    for step in steps:
        message = STORE.deserialize_cdr(bytes(encoder.states(step)), STATES)
        for state in message.states:
            state.latency = 0.25
        rows.append(Row("/emotion_states", STATES, step.stamp_ns, message))
    told = new(STRING, '{"label": "neutral", "start": 0, "end": 3, "annotator": "anna"}')
    rows.append(Row("/labels", STRING, start, told))
    write(tmp_path / "bag", sorted(rows, key=lambda row: row.log_ns))
    given = tmp_path / "bag.ben.csv"
    given.write_text("person,start,end,label\n,0,2.5,neutral\n,2.5,3,happy\n,3,6,happy\n")
    found = evaluate_bags(
        BagRequest((tmp_path / "bag",), labels=(given,), use="states", rounds=100)
    )
    (bag,) = found.result["bags"]
    assert [(item["name"], item["segments"]) for item in bag["labels"]] == [
        ("bag.ben.csv", 3),
        ("labels", 1),
    ]
    assert bag["agreement"]["annotators"] == ["anna", "ben"]
    assert 0 < bag["agreement"]["observed"] < 1
    assert bag["figures"]["latency_p95"] == pytest.approx(0.25)


@pytest.mark.parametrize("beside", [False, True])
def test_a_wrong_message_among_labels_does_not_cost_the_bag(
    tmp_path: Path, *, beside: bool
) -> None:
    """Beside a file not even where it is the only one."""
    steps = clip(9.0)
    texts = ["hello"] if beside else ['{"label": "neutral"}', '{"label": "hapy"}']
    encoder = MessageEncoder(STORE)
    rows = []
    for step in steps:
        message = STORE.deserialize_cdr(bytes(encoder.states(step)), STATES)
        rows.append(Row("/emotion_states", STATES, step.stamp_ns, message))
    rows += [
        Row("/labels", STRING, steps[0].stamp_ns + at * 3 * 10**9, new(STRING, text))
        for at, text in enumerate(texts)
    ]
    write(tmp_path / "bag", sorted(rows, key=lambda row: row.log_ns))
    if beside:
        (tmp_path / "bag.labels.csv").write_text(LABELS)
    result = evaluate_bags(BagRequest((tmp_path / "bag",), use="states", rounds=100)).result
    (bag,) = result["bags"]
    *_, topic = bag["labels"]
    assert (topic["name"], topic["segments"]) == ("labels", 0 if beside else 1)
    assert result["overall"]["segments"]["items"] == (3 if beside else 1)
    (note,) = topic["notes"]
    assert ("message 1 (0.000 s)" if beside else "message 2 (3.000 s)") in note
    assert any(note in line for line in evaluation_summary(result))


def test_if_nothing_can_be_evaluated_every_reason_is_told(bags: tuple[Path, ...]) -> None:
    with pytest.raises(BagError, match=r"none of 2 bags.*silent: no labels.*broken: "):
        evaluate_bags(BagRequest((bags[1], bags[4]), use="states"))


def test_labels_that_are_missing_are_told_before_anything_is_read(
    bags: tuple[Path, ...],
) -> None:
    with pytest.raises(LabelError, match="gone"):
        evaluate_bags(BagRequest(bags, labels=(Path("gone.csv"),), use="states"))


def test_bags_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    bags = (states_bag(tmp_path / "a" / "run"), states_bag(tmp_path / "b" / "run"))
    found = evaluate_bags(BagRequest((*bags, bags[0]), use="states", rounds=100))
    assert [bag["name"] for bag in found.result["bags"]] == ["a/run", "b/run", "a/run (2)"]


@pytest.mark.parametrize(("bags", "workers"), [(1, 0), (1, 1), (1, 99), (3, 0), (9, 2), (2, 4)])
def test_processes_never_exceed_the_cores(bags: int, workers: int) -> None:
    at_once, each = split_workers(bags, workers)
    assert at_once >= 1
    assert each in (1, 2)
    assert at_once <= bags
    assert at_once * each <= len(os.sched_getaffinity(0))
    assert workers == 0 or at_once * each <= workers


def test_recorded_latency_is_a_figure_and_measured_time_is_not() -> None:
    made = session("a", [seg(0, 3, "neutral")], latencies_s=[0.1, 0.2, 0.4])
    found = outcome([made], lost=[FailedBag("b", "gone")])
    assert found.result["figures"]["latency_p50"] == pytest.approx(0.2)
    assert found.result["overall"]["latency"]["max_s"] == pytest.approx(0.4)
    assert "vision" not in json.dumps(found.result["bags"])
    assert found.timings["stages_ms"]["vision"]["p50"] == pytest.approx(6.0)
    assert found.timings["bags"]["a"]["seconds"] == pytest.approx(1.5)


def disputed_bags(folder: Path, alike: int, apart: int) -> tuple[Path, ...]:
    """Bags on which two annotators agree, and bags on which they never do."""
    bags = []
    for number in range(alike + apart):
        ben = "happy" if number < alike else "sad"
        ann = "neutral" if number % 2 else "happy"
        ben = ann if number < alike else ben
        rows = f"person,start,end,label,annotator\n,0,9,{ann},ann\n,0,9,{ben},ben\n"
        bags.append(states_bag(folder / f"b{number}", labels=rows))
    return tuple(bags)


def test_bags_on_which_nobody_agrees_count_for_the_agreement(tmp_path: Path) -> None:
    bags = disputed_bags(tmp_path, 2, 2)
    broken = tmp_path / "b4"
    broken.mkdir()
    (broken / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    given = "person,start,end,label,annotator\n,0,9,sad,ann\n,0,9,fear,ben\n"
    (tmp_path / "b4.labels.csv").write_text(given)
    limits = read_thresholds(["kappa=0.5"], [])
    request = BagRequest((*bags, broken), use="states", rounds=100, thresholds=limits)
    result = evaluate_bags(request).result
    assert [bag["name"] for bag in result["bags"]] == ["b0", "b1"]
    ann = ["happy", "neutral", "happy", "neutral", "sad"]
    ben = ["happy", "neutral", "sad", "sad", "fear"]
    expected = pytest.approx(cohen_kappa_score(ann, ben), abs=1e-6)
    assert result["figures"]["kappa"] == expected
    assert result["agreement"] == result["overall"]["agreement"]
    assert result["agreement"]["kappa"]["value"] == expected
    assert result["agreement"]["seconds"] == 45.0
    assert not result["thresholds"][0]["passed"]
    assert result["thresholds"][0]["value"] == expected


def test_if_nobody_ever_agrees_that_is_told_too(tmp_path: Path) -> None:
    bags = disputed_bags(tmp_path, 0, 2)
    limits = read_thresholds([], ["kappa=0.5"])
    request = BagRequest(bags, use="states", rounds=100, thresholds=limits)
    with pytest.raises(NothingScoredError) as nothing:
        evaluate_bags(request)
    result = nothing.value.evaluation.result
    assert result["overall"] is None
    expected = cohen_kappa_score(["happy", "neutral"], ["sad", "sad"])
    assert result["figures"]["kappa"] == pytest.approx(expected, abs=1e-6)
    assert result["thresholds"][0]["passed"]
    assert "kappa is 0.000" in render(nothing.value.evaluation)


def test_a_lead_makes_disputed_bags_count_and_must_be_an_annotator(tmp_path: Path) -> None:
    bags = disputed_bags(tmp_path, 1, 1)
    led = evaluate_bags(
        BagRequest(bags, use="states", rounds=100, truth=TruthRule(lead="ann"))
    ).result
    assert len(led["bags"]) == 2
    assert led["settings"]["lead"] == "ann"
    with pytest.raises(ConfigError, match=r"'--lead' is 'anne'.*ann, ben; did you mean ann"):
        evaluate_bags(BagRequest(bags, use="states", truth=TruthRule(lead="anne")))


def test_files_of_several_annotators_are_named_after_them(tmp_path: Path) -> None:
    bag = states_bag(tmp_path / "day1", labels="")
    for name, label in (("ann", "happy"), ("ben", "sad")):
        (tmp_path / f"day1.{name}.csv").write_text(f"person,start,end,label\n,3,6,{label}\n")
    labels = tuple(tmp_path / f"day1.{name}.csv" for name in ("ann", "ben"))
    rule = TruthRule(lead="ann")
    result = evaluate_bags(
        BagRequest((bag,), labels, use="states", rounds=100, truth=rule)
    ).result
    assert result["agreement"]["annotators"] == ["ann", "ben"]
    assert result["figures"]["segment_accuracy"] == 1
