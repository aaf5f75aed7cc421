"""Limits that an evaluation's figures must keep, for the user's own CI."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avemo_ros.errors import ConfigError
from avemo_ros.replay.figures import FIGURES, SHARE, value_of


@dataclass(frozen=True, slots=True)
class Threshold:
    """One figure and the limit that it must not pass."""

    figure: str
    """One of FIGURES."""
    limit: float
    fails_below: bool
    """True: less is a failure; False: more is."""

    @property
    def text(self) -> str:
        """What is asked for: 'ua not below 0.6'."""
        return f"{self.figure} not {'below' if self.fails_below else 'above'} {self.limit:g}"


def read_thresholds(below: Sequence[str], above: Sequence[str]) -> tuple[Threshold, ...]:
    """Limits as the command line gives them.

    Args:
        below: each `NAME=NUMBER`; a figure below fails.
        above: each `NAME=NUMBER`; a figure above fails.

    Raises:
        ConfigError: one is no `NAME=NUMBER`, or no figure has that name.
    """
    made = [_read("--fail-below", text, fails_below=True) for text in below]
    made += [_read("--fail-above", text, fails_below=False) for text in above]
    return tuple(made)


def _read(argument: str, text: str, *, fails_below: bool) -> Threshold:
    name, _, number = text.partition("=")
    if name not in FIGURES:
        raise ConfigError(argument, text, f"NAME=NUMBER with one of {', '.join(FIGURES)}")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise ConfigError(argument, text, f"{name}=NUMBER, e.g. {name}=0.5")
    if FIGURES[name].unit == SHARE and not 0 <= limit <= 1:
        raise ConfigError(argument, text, f"a share from 0 to 1, e.g. {name}=0.5 for 50 %")
    return Threshold(name, limit, fails_below)


def judge_thresholds(
    thresholds: Sequence[Threshold], overall: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Whether each limit is kept; a figure that could not be measured does not keep it.

    Args:
        thresholds: what is asked for.
        overall: as `score` gives it.

    Returns:
        Of each: `figure`, `fails` ('below' or 'above'), `limit`, `value` (None where it could
        not be measured), `passed`, and `reason`, a sentence where it failed.
    """
    return [_judge(item, value_of(overall, FIGURES[item.figure])) for item in thresholds]


def _judge(threshold: Threshold, value: float | None) -> dict[str, Any]:
    limit = threshold.limit
    passed = value is not None and (value >= limit if threshold.fails_below else value <= limit)
    reason = ""
    if value is None:
        reason = f"{threshold.figure} could not be measured; asked for: {threshold.text}"
    elif not passed:
        reason = f"{threshold.figure} is {value:g}; asked for: {threshold.text}"
    return {
        "figure": threshold.figure,
        "fails": "below" if threshold.fails_below else "above",
        "limit": limit,
        "value": value,
        "passed": passed,
        "reason": reason,
    }
