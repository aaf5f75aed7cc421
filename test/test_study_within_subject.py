"""Intervals of conditions that the same people went through."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from avemo_ros.study.within_subject import within_subject_means

LOFTUS = {
    # Loftus and Masson 1994, Psychonomic Bulletin & Review 1, table 2: words recalled by ten
    # people after 1, 2 and 5 s a word.
    1: (10, 13, 13),
    2: (6, 8, 8),
    3: (11, 14, 14),
    4: (22, 23, 25),
    5: (16, 18, 20),
    6: (15, 17, 17),
    7: (1, 1, 4),
    8: (12, 15, 17),
    9: (9, 12, 12),
    10: (8, 9, 12),
}
SECONDS = ("1 s", "2 s", "5 s")


def loftus() -> dict[str, dict[str, float]]:
    return {
        str(person): dict(zip(SECONDS, map(float, row), strict=True))
        for person, row in LOFTUS.items()
    }


def test_means_and_pooled_error_are_those_of_loftus_and_masson() -> None:
    """Their mean square of subjects times conditions is 0.61, and the means 11.0, 13.0, 14.2;
    the variances of Morey's intervals are on average that, divided by the people."""
    found = within_subject_means(loftus())
    assert [round(one.mean, 1) for one in found] == [11.0, 13.0, 14.2]
    half = np.array([one.high - one.mean for one in found])
    errors = half / stats.t.ppf(0.975, 9)
    assert round(float((errors**2).mean() * 10), 2) == 0.61


def test_of_two_conditions_the_interval_is_that_of_the_paired_t_test() -> None:
    """The interval of a difference is the square root of two times as wide (Morey 2008)."""
    rng = np.random.default_rng(3)
    first = rng.normal(0.5, 0.2, 12)
    second = first + rng.normal(0.1, 0.05, 12)
    values = {
        str(person): {"a": float(one), "b": float(other)}
        for person, (one, other) in enumerate(zip(first, second, strict=True))
    }
    a, b = within_subject_means(values)
    test = stats.ttest_rel(second, first).confidence_interval(0.95)
    assert (b.high - b.mean) * math.sqrt(2) == pytest.approx((test.high - test.low) / 2)
    assert a.high - a.mean == pytest.approx(b.high - b.mean)
    assert b.sd == pytest.approx(float(np.std(second, ddof=1)))


def test_who_differs_throughout_makes_no_interval_wider() -> None:
    found = within_subject_means(loftus())
    moved = {
        person: {name: value + 50 * int(person) for name, value in row.items()}
        for person, row in loftus().items()
    }
    for one, other in zip(found, within_subject_means(moved), strict=True):
        assert other.high - other.low == pytest.approx(one.high - one.low)


def test_who_lacks_a_condition_is_left_out_of_all_and_counted() -> None:
    values = loftus()
    del values["4"]["5 s"]
    values["7"]["1 s"] = math.nan
    found = within_subject_means(values)
    assert {(one.people, one.left_out) for one in found} == {(8, 2)}
    assert found[0].mean == pytest.approx(np.mean([10, 6, 11, 16, 15, 12, 9, 8]))


def test_of_few_people_or_one_condition_there_is_no_interval() -> None:
    few = within_subject_means({str(p): {"a": p, "b": 2.0 * p} for p in range(4)})
    assert {one.why for one in few} == {"too few to tell"}
    assert all(math.isnan(one.low) for one in few)
    (alone,) = within_subject_means({str(p): {"a": float(p)} for p in range(9)})
    assert alone.why == "one condition only"
    assert alone.mean == 4.0


def test_a_difference_that_is_the_same_in_everybody_has_no_spread() -> None:
    found = within_subject_means({str(p): {"a": float(p), "b": p + 1.0} for p in range(6)})
    assert {one.why for one in found} == {"no range: no spread"}


def test_a_condition_in_which_nobody_has_the_measure_takes_nobody_out() -> None:
    values = {str(p): {"a": float(p), "b": p * 1.5, "c": math.nan} for p in range(6)}
    a, b, c = within_subject_means(values)
    assert (a.people, b.people, c.people) == (6, 6, 0)
    assert a.low < a.mean < a.high
    assert math.isnan(c.mean)
