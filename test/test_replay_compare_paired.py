"""Intervals of the differences of two runs."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from made_evaluations import outcome, seg, session
from report_page import without_library

from avemo_ros.cli.bag_compare import summary
from avemo_ros.replay.compare import compare, covers_zero, paired
from avemo_ros.report.compare_page import render


def row(at: int, right: tuple[bool, bool], truth: str = "happy", **more: str) -> dict[str, Any]:
    answers = [truth if yes else "angry" for yes in right]
    sure = [0.5 + at / 1000, 0.4]
    own = {
        "session": "s",
        "person": "",
        "truth": truth,
        "answers": answers,
        "confidences": sure,
    }
    return own | more


def test_what_both_runs_have_wrong_makes_the_interval_no_wider() -> None:
    """The first is right in half of 100, the second in these and in four more."""
    rows = [row(at, (at % 2 == 0, at % 2 == 0 or at < 8)) for at in range(100)]
    found = paired(rows, 1, named=False)
    accuracy = found["segment_accuracy"]
    assert (found["over"], found["groups"]) == ("segments", 100)
    assert accuracy["difference"] == pytest.approx(0.04)
    low, high = accuracy["interval"]
    # Binomial of 4 in 100; of two runs apart it would be 0.04 -+ 0.14.
    assert 0 <= low <= 0.02
    assert 0.07 <= high <= 0.1
    assert paired([row(at, (False, True)) for at in range(20)], 1, named=False)[
        "segment_accuracy"
    ] == {"difference": 1.0, "interval": None}


def test_the_difference_of_ua_weighs_classes_alike() -> None:
    rows = [row(at, (False, at < 9)) for at in range(18)]
    rows += [row(at, (True, False), "fear") for at in range(2)]
    found = paired(rows, 1, named=False)
    assert found["segment_accuracy"]["difference"] == pytest.approx(7 / 20)
    assert found["segment_ua"]["difference"] == pytest.approx((0.5 - 1) / 2)
    low, high = found["segment_ua"]["interval"]
    assert low < -0.25 < high


@pytest.mark.parametrize(
    ("persons", "bags", "named", "over", "groups"),
    [
        (6, 3, True, "persons", 6),
        (6, 3, False, "segments", 60),
        (6, 12, False, "bags", 12),
        (4, 12, True, "bags", 12),
    ],
)
def test_units_are_those_of_intervals_of_one_run(
    persons: int, bags: int, named: bool, over: str, groups: int
) -> None:
    rows = [
        row(at, (False, at % 5 < 2), person=f"p{at % persons}", session=f"s{at % bags}")
        for at in range(60)
    ]
    found = paired(rows, 1, named=named)
    assert (found["over"], found["groups"]) == (over, groups)


def test_copies_of_a_bag_count_once() -> None:
    rows = [row(at, (False, at < 2), session=f"s{bag}") for bag in range(12) for at in range(4)]
    found = paired(rows, 1, named=False)
    assert (found["over"], found["groups"]) == ("segments", 4)
    assert found["segment_accuracy"] == {"difference": 0.5, "interval": None}
    # Where no run had an answer nothing says that they are copies.
    silent = [item | {"confidences": [None, None]} for item in rows]
    assert paired(silent, 1, named=False)["groups"] == 12


def test_segments_of_one_person_are_no_news_of_others() -> None:
    """Three of six persons gain everywhere, the others nowhere."""
    rows = [row(at, (False, at % 6 < 3), person=f"p{at % 6}") for at in range(120)]
    wide, narrow = (
        paired(rows, 1, named=named)["segment_accuracy"]["interval"] for named in (True, False)
    )
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_of_few_segments_there_is_a_difference_and_no_interval() -> None:
    found = paired([row(at, (False, at == 0)) for at in range(9)], 1, named=False)
    assert found["segment_accuracy"] == {"difference": pytest.approx(1 / 9), "interval": None}
    assert paired([], 1, named=False)["segment_ua"] == {"difference": None, "interval": None}


def test_page_and_summary_tell_the_interval() -> None:
    sessions = [
        replace(
            session(f"s{at}", [seg(0, 3, "neutral", f"P{at}"), seg(3, 6, "happy", f"P{at}")]),
            people={f"P{at}": ("f1",)},
        )
        for at in range(6)
    ]
    before = outcome(sessions).result
    after = copy.deepcopy(before)
    listed = after["overall"]["segments"]["list"]
    assert all(item["right"] for item in listed)
    for item in listed[:3]:
        item["answer"], item["right"] = "sad", False
    found = compare(["a", "b"], [before, after])
    assert found["runs"][0]["paired"] is None
    assert found["runs"][1]["paired"]["over"] == "persons"
    text = without_library(render(found, [before, after]))
    assert "over 6 persons in 1000 rounds" in text
    assert "-25.0 points (-58.3 to +0.0, covers 0)" in text
    assert (
        "accuracy of the same segments -25.0 points (-58.3 to +0.0, over 6 persons): "
        "the interval covers 0"
    ) in "\n".join(summary(found))
    few = compare(["a", "b"], [outcome(sessions[:2]).result] * 2)
    assert "4 segments are too few for intervals" in render(few, [before, before])


@pytest.mark.parametrize(
    ("interval", "covers"),
    [((-0.1, 0.2), True), ((0.0, 0.2), True), ((0.01, 0.2), False), ((-0.2, -0.01), False)],
)
def test_an_interval_that_covers_zero_is_recognised(
    interval: tuple[float, float], covers: bool
) -> None:
    assert covers_zero(interval) == covers
