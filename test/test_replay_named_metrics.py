"""Limits of an evaluation's figures."""

from __future__ import annotations

import pytest

from avemo_ros.errors import ConfigError
from avemo_ros.replay.named_metrics import (
    METRICS,
    Threshold,
    check_thresholds,
    metric_value,
    read_thresholds,
    value_text,
)

OVERALL = {
    "frames": {"ua": 0.6, "recalls": {"happy": None, "sad": 0.25}},
    "coverage": {"share": 0.5},
    "stability": {"changes_per_minute": 12.0},
    "tracking": None,
}


def judged(below: list[str], above: list[str]) -> list[tuple[str, bool]]:
    found = check_thresholds(read_thresholds(below, above), OVERALL)
    return [(item["figure"], item["passed"]) for item in found]


def test_a_figure_on_its_limit_keeps_it_from_both_sides() -> None:
    assert judged(["ua=0.6"], ["ua=0.6"]) == [("ua", True), ("ua", True)]


def test_less_fails_below_and_more_fails_above() -> None:
    found = judged(["ua=0.61", "coverage=0.4"], ["changes_per_minute=10", "recall_sad=0.3"])
    assert found == [
        ("ua", False),
        ("coverage", True),
        ("changes_per_minute", False),
        ("recall_sad", True),
    ]


@pytest.mark.parametrize("name", ["recall_happy", "id_switches", "valence_ccc"])
def test_what_could_not_be_measured_keeps_no_limit(name: str) -> None:
    (item,) = check_thresholds(read_thresholds([], [f"{name}=1"]), OVERALL)
    assert item["value"] is None
    assert not item["passed"]
    assert f"{name} could not be measured" in item["reason"]


def test_a_failure_says_value_and_limit() -> None:
    (item,) = check_thresholds([Threshold("ua", 0.75, fails_below=True)], OVERALL)
    assert item["reason"] == "ua is 0.6; asked for: ua not below 0.75"


@pytest.mark.parametrize("text", ["ua", "ua=", "ua=high", "ua=nan", "ua=inf", "=0.5", "UA=0.5"])
def test_what_is_no_limit_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match="--fail-below"):
        read_thresholds([text], [])


@pytest.mark.parametrize("text", ["ua=60", "coverage=-0.1", "recall_sad=1.01"])
def test_a_share_in_percent_is_refused_as_it_could_never_be_kept(text: str) -> None:
    for given in ([text], []), ([], [text]):
        with pytest.raises(ConfigError, match="a share from 0 to 1"):
            read_thresholds(*given)
    assert len(read_thresholds(["ua=1"], ["coverage=0", "changes_per_minute=60"])) == 3


def test_an_unknown_figure_is_answered_with_all_names() -> None:
    with pytest.raises(ConfigError) as error:
        read_thresholds([], ["speed=10"])
    for name in METRICS:
        assert name in str(error.value)


def test_values_are_told_with_their_units() -> None:
    assert value_text(0.6134, METRICS["ua"].unit) == "61.3 %"
    assert value_text(12.0, METRICS["changes_per_minute"].unit) == "12 /min"
    assert value_text(3.0, METRICS["id_switches"].unit) == "3"
    assert value_text(None, "s") == "-"
    assert metric_value(OVERALL, METRICS["recall_sad"]) == 0.25


def test_whole_numbers_of_json_are_shown_like_others() -> None:
    assert [value_text(value, "") for value in (3, 3.0, 2.5, None)] == ["3", "3", "2.5", "-"]
