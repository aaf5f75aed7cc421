"""Comparing evaluations."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import show
from made_evaluations import claims_turned, outcome, seg, session
from report_page import Figure, Page, without_library

from avemo_ros.cli.bag_compare import summary
from avemo_ros.errors import DataError
from avemo_ros.replay.bag_evaluation import BagEvaluation
from avemo_ros.replay.compare import compare, read_result, verdict
from avemo_ros.replay.named_metrics import METRICS, read_thresholds, value_text
from avemo_ros.report.compare_page import render, write_comparison

KITCHEN = session(
    "kitchen",
    [seg(0, 3, "neutral", "Anna"), seg(3, 6, "happy", "Anna"), seg(6, 9, "fear", "Anna")],
)
HALL = session("hall", [seg(0, 9, "happy", "Anna")])


def run(*sessions: Any, limit: str = "ua=0.3") -> BagEvaluation:
    return outcome(sessions, thresholds=read_thresholds([limit], []))


def page(names: list[str], results: list[dict[str, Any]]) -> str:
    return without_library(render(compare(names, results), results))


@pytest.fixture(scope="module")
def before() -> dict[str, Any]:
    """Says surprise for the fear of the kitchen."""
    return run(KITCHEN, HALL).result


@pytest.fixture(scope="module")
def after() -> dict[str, Any]:
    """Says fear there, and sad for happy."""
    turned = [
        claims_turned(claims_turned(one, "surprise", "fear"), "happy", "sad")
        for one in (KITCHEN, HALL)
    ]
    return run(*turned, limit="ua=0.99").result


@pytest.fixture(scope="module")
def found(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return compare(["before", "after"], [before, after])


def test_segments_that_became_right_and_wrong_are_told(found: dict[str, Any]) -> None:
    changes = {
        (item["session"], item["truth"]): (item["answers"], item["changes"][1])
        for item in found["segments"]
    }
    assert changes["kitchen", "fear"] == (["surprise", "fear"], "better")
    assert changes["kitchen", "happy"] == (["happy", "sad"], "worse")
    assert ("kitchen", "neutral") not in changes
    first, second = found["runs"]
    assert (first["segments_better"], first["segments_worse"]) == (0, 0)
    better = sum(change == "better" for _, change in changes.values())
    assert second["segments_better"] == better
    assert second["segments_worse"] == sum(c == "worse" for _, c in changes.values())


def test_segments_at_other_times_are_not_compared_and_it_is_said(
    before: dict[str, Any],
) -> None:
    moved = copy.deepcopy(before)
    for item in moved["overall"]["segments"]["list"]:
        item["start_s"] += 0.5
    found = compare(["before", "moved"], [before, moved])
    assert found["segments"] == []
    count = before["overall"]["segments"]["items"]
    assert f"{count} of {count} labelled segments have different times" in found["notes"][0]


def test_differences_are_from_the_first_run(
    found: dict[str, Any], before: dict[str, Any], after: dict[str, Any]
) -> None:
    by_name = {item["name"]: item for item in found["figures"]}
    for name in ("ua", "segment_accuracy", "coverage", "ece"):
        values = [before["figures"][name], after["figures"][name]]
        assert by_name[name]["values"] == values
        assert by_name[name]["differences"] == pytest.approx(
            [0, values[1] - values[0]], abs=2e-6
        )
    assert by_name["coverage"]["verdicts"] == ["same", "same"]
    # What no run could measure is left out.
    assert "valence_ccc" not in by_name


def test_each_bag_has_its_differences(found: dict[str, Any]) -> None:
    assert [bag["name"] for bag in found["bags"]] == ["kitchen", "hall"]
    hall = {item["name"]: item for item in found["bags"][1]["figures"]}
    assert hall["accuracy"]["differences"][1] < 0
    assert hall["accuracy"]["verdicts"][1] == "worse"


def test_limits_of_every_run_are_shown(
    found: dict[str, Any], before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert [run["thresholds"][0]["passed"] for run in found["runs"]] == [True, False]
    text = render(found, [before, after])
    assert "ua not below 0.99" in text
    assert ">failed<" in text


def test_more_is_better_or_worse_as_the_figure_says() -> None:
    assert verdict(METRICS["ua"], 0.6, 0.5) == "better"
    assert verdict(METRICS["ece"], 0.2, 0.1) == "worse"
    assert verdict(METRICS["changes_per_minute"], 3.0, 1.0) == ""
    assert verdict(METRICS["ua"], None, 0.5) == ""


def test_what_reads_the_same_is_the_same(before: dict[str, Any]) -> None:
    """And what reads otherwise differs by what can be read."""
    assert verdict(METRICS["ece"], 0.1784, 0.1776) == "same"
    assert verdict(METRICS["nll"], 1.2304, 1.2296) == "same"
    assert verdict(METRICS["ece"], 0.1785001, 0.1784) == "worse"
    other = copy.deepcopy(before)
    other["figures"]["ece"] = before["figures"]["ece"] + 2e-5
    other["figures"]["ua"], before = 0.30051, copy.deepcopy(before)
    before["figures"]["ua"] = 0.30049
    text = page(["a", "b"], [before, other])
    assert ">+0.1 points<" in text
    assert "0.0 points" not in text


def test_of_three_runs_each_has_its_own_verdict(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    found = compare(["before", "same", "after"], [before, before, after])
    lines = summary(found)
    (line,) = [text for text in lines if text.startswith("ECE")]
    names, ece = lines[0], METRICS["ece"]
    assert names.split() == ["before", "same", "after"]
    values = [value_text(run["figures"]["ece"], ece.unit) for run in (before, before, after)]
    assert line.split("ECE")[1].split("  ")[-1].strip().startswith(values[2])
    assert f"{values[1]} same" in line
    # Right below its run's name.
    assert names.index("same") + len("same") == line.index(" same")
    assert "Difference of after" in render(found, [before, before, after])


def test_a_run_against_itself_differs_nowhere(before: dict[str, Any]) -> None:
    found = compare(["a", "b"], [before, before])
    assert found["segments"] == []
    assert found["notes"] == []
    assert found["runs"][1]["sign_test"] is None
    assert found["runs"][1]["settings"] == {}
    for item in found["figures"]:
        assert item["verdicts"][1] == "same"
    assert "every segment gets the same answer" in render(found, [before, before])


def test_the_sign_test_is_that_of_a_fair_coin(before: dict[str, Any]) -> None:
    worse = copy.deepcopy(before)
    was_right = [item for item in worse["overall"]["segments"]["list"] if item["right"]]
    assert len(was_right) == 2
    for item in was_right:
        item["right"] = False
    found = compare(["a", "b"], [before, worse])
    assert (found["runs"][1]["segments_better"], found["runs"][1]["segments_worse"]) == (0, 2)
    # Both fall on the one side: two ways of four.
    assert found["runs"][1]["sign_test"] == 0.5


def test_other_settings_and_models_are_named(before: dict[str, Any]) -> None:
    other = copy.deepcopy(before)
    other["settings"]["emotion.hop_s"] = 0.5
    other["model"]["ids"] = ["made-2"]
    text = page(["a", "b"], [before, other])
    assert "emotion.hop_s = 0.5" in text
    assert "made-2" in text


def test_runs_on_other_bags_and_other_labels_are_told(before: dict[str, Any]) -> None:
    fewer = run(KITCHEN).result
    found = compare(["a", "b"], [before, fewer])
    assert "b lacks 1 bag of a and has 0 others" in found["notes"][0]
    assert found["bags"][1]["figures"][0]["values"][1] is None
    relabelled = run(KITCHEN, session("hall", [seg(0, 4, "happy"), seg(4, 9, "sad")])).result
    assert "the labels differ" in compare(["a", "b"], [before, relabelled])["notes"][0]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a result of `avemo bag evaluate"),
        ('{"schema": "other"}', "is not a result of `avemo bag evaluate"),
        ('{"schema": "avemo-replay-1", "bags": []}', "has no passed, thresholds"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(DataError, match=complaint):
        read_result(path)
    with pytest.raises(DataError, match="cannot read"):
        read_result(tmp_path / "gone.json")


def test_a_result_comes_back_from_its_file(tmp_path: Path, before: dict[str, Any]) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(before))
    assert read_result(path) == before


def part(text: str, title: str) -> str:
    """A section of the page."""
    begin = text.index(f"<h2>{title}</h2>")
    return text[begin : text.index("</section>", begin)]


def figures(text: str, title: str) -> list[Figure]:
    """The figures of a section of the page."""
    numbers = re.findall(r'class="figure" id="figure-(\d+)"', part(text, title))
    everything = Page(text).figures
    return [everything[int(number) - 1] for number in numbers]


def test_plots_of_the_runs_are_side_by_side(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    text = page(["before", "after"], [before, after])
    for title in ("Confusion", "Confidence"):
        names = re.findall("<h3>(before|after)</h3>", part(text, title))
        assert names == ["before", "after"] * 2
        assert len(figures(text, title)) == 4
    first, second, *_ = figures(text, "Confusion")
    classes = list(first.data[0]["x"])
    fear, surprise = classes.index("fear"), classes.index("surprise")
    assert first.data[0]["customdata"][fear][surprise] == 1
    assert first.data[0]["customdata"][fear][fear] == 0
    assert second.data[0]["customdata"][fear][fear] == 1


def test_claims_of_the_runs_are_below_one_truth(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    (kitchen,) = figures(page(["before", "after"], [before, after]), "Timeline of kitchen")
    assert kitchen.rows == ["annotated", "before", "", "after", ""]
    assert [bar.label for bar in kitchen.bars(0)] == ["neutral", "happy", "fear"]
    for row, run in ((1, before), (3, after)):
        claims = [
            claim["label"]
            for item in run["overall"]["segments"]["list"]
            if item["session"] == "kitchen"
            for claim in item["claims"]
        ]
        assert [bar.label for bar in kitchen.bars(row)] == [
            name or "no label" for name in claims
        ]
    assert "surprise" in [bar.label for bar in kitchen.bars(1)]
    assert "fear" in [bar.label for bar in kitchen.bars(3)]
    judged = {bar.told.split("s: ")[1] for row in (2, 4) for bar in kitchen.bars(row)}
    assert {"right; annotated fear", "wrong; annotated fear"} <= judged


def test_runs_of_other_labels_show_each_its_truth(before: dict[str, Any]) -> None:
    other = run(KITCHEN, session("hall", [seg(0, 9, "sad", "Anna")])).result
    (hall,) = figures(page(["a", "b"], [before, other]), "Timeline of hall")
    assert hall.rows == ["annotated", "a", "", "annotated, b", "b", ""]
    assert [bar.label for bar in (*hall.bars(0), *hall.bars(3))] == ["happy", "sad"]
    fewer = run(KITCHEN).result
    (hall,) = figures(page(["a", "b"], [fewer, before]), "Timeline of hall")
    assert hall.rows == ["annotated", "b", ""]


def test_a_file_without_claims_shows_its_answers_and_says_so(before: dict[str, Any]) -> None:
    old = copy.deepcopy(before)
    for item in old["overall"]["segments"]["list"]:
        del item["claims"]
    text = page(["old", "new"], [old, before])
    assert "A file of an older version contains no predictions over time" in text
    assert "older version" not in page(["a", "b"], [before, before])
    (kitchen,) = figures(text, "Timeline of kitchen")
    assert [bar.label for bar in kitchen.bars(1)] == ["neutral", "happy", "surprise"]
    assert "predicted for the whole segment: neutral" in kitchen.bars(1)[0].told


def test_the_worst_segments_of_any_run_are_listed_with_all_answers(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    worst = part(page(["before", "after"], [before, after]), "Worst segments")
    rows = [re.sub("<[^>]+>", "", row) for row in worst.split("<tr>")]
    (fear,) = [row for row in rows if row.startswith("kitchen, 6.0 to 9.0 s")]
    assert "surprise wrong" in fear
    assert "fear right" in fear


def test_names_with_markup_are_shown_and_not_run(before: dict[str, Any]) -> None:
    evil = "<script>alert(1)</script>"
    other = run(session(evil, [seg(0, 9, "sad", "Anna")])).result
    text = page([evil, "b"], [other, before])
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert Page(text).events == []


def test_the_page_opens_in_a_browser_without_complaint_or_request(
    found: dict[str, Any], before: dict[str, Any], after: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    write_comparison(path, found, [before, after])
    shown = show(path, tmp_path)
    assert shown.complaints == []
    assert shown.requests == set()
    assert "Figures of all bags</h2>" in shown.document
