"""Intervals of the means of conditions that the same people went through.

People differ in how they score throughout, and this says nothing about conditions.  So each
person's own mean is taken out first (Cousineau 2005, Tutorials in Quantitative Methods for
Psychology 1), and the spread that this makes too small is corrected (Morey 2008, in the same,
4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from avemo_ros.evaluate.bootstrap import LEAST, LEVEL, NO_SPREAD, TOO_FEW

ONE_CONDITION: Final = "one condition only"


@dataclass(frozen=True, slots=True)
class ConditionMean:
    """The mean of a measure over people, in one condition."""

    condition: str
    people: int
    """Who have the measure in every condition."""
    left_out: int
    """Who have it in some conditions only."""
    mean: float
    """NaN without anybody."""
    sd: float
    """Between people; NaN with fewer than two."""
    low: float
    high: float
    """Within-subject interval; NaN where there is none."""
    why: str
    """Why there is no interval; "" where there is one."""


def within_subject_means(
    values: Mapping[str, Mapping[str, float]], level: float = LEVEL
) -> list[ConditionMean]:
    """Mean, spread and within-subject interval of each condition.

    Only people count who have a value in every condition, so that all means are of the same
    people.

    Args:
        values: of each person the value in each condition; NaN, or none, where it is missing.
        level: of the interval, 0 to 1.

    Returns:
        One a condition, in the order in which they first appear.
    """
    conditions = list(dict.fromkeys(name for one in values.values() for name in one))
    rows = [[one.get(name, math.nan) for name in conditions] for one in values.values()]
    table = np.array(rows, np.float64).reshape(len(rows), len(conditions))
    known = np.isfinite(table)
    # Conditions in which nobody has the measure take nobody out.
    used: NDArray[np.bool_] = np.asarray(known.any(0))
    complete = known[:, used].all(1) & used.any()
    some = int(known.any(1).sum() - complete.sum())
    whole = table[complete]
    people = len(whole)
    means = whole.mean(0) if people else np.full(len(conditions), math.nan)
    spread = whole.std(0, ddof=1) if people > 1 else np.full(len(conditions), math.nan)
    count = int(used.sum())
    why = ""
    half = np.full(len(conditions), math.nan)
    if count < 2:
        why = ONE_CONDITION
    elif people < LEAST["persons"]:
        why = TOO_FEW
    else:
        own = whole[:, used]
        normalised = own - own.mean(1, keepdims=True) + own.mean()
        error = normalised.std(0, ddof=1) / math.sqrt(people)
        error *= math.sqrt(count / (count - 1))
        half[used] = error * student_t.ppf((1 + level) / 2, people - 1)
        if not error.any():
            why, half = NO_SPREAD, np.full(len(conditions), math.nan)
    return [
        ConditionMean(
            name,
            people if used[place] else 0,
            some,
            float(means[place]),
            float(spread[place]),
            float(means[place] - half[place]),
            float(means[place] + half[place]),
            why,
        )
        for place, name in enumerate(conditions)
    ]
