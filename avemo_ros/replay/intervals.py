"""What is told of the intervals of figures, and of those that cannot be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from avemo_ros.replay.rates import LEAST
from avemo_ros.sink.wording import counted

TOO_FEW: Final = "too few to tell"
_NO_SPREAD: Final = "no range: no spread"
"""Whatever is drawn, the figure is the same: of some class all are right, or all wrong."""


def interval(overall: Mapping[str, Any], part: str, key: str) -> str:
    """The range of a figure in percent, or why there is none; '' without the figure.

    Args:
        overall: as `score` gives it.
        part: 'frames', 'segments', 'calibration' or 'coverage'.
        key: the figure in it.
    """
    found, boot = overall[part], overall["bootstrap"]
    if found[key] is None or not boot["rounds"]:
        return ""
    if found["intervals"] is None:
        return TOO_FEW
    ends = found["intervals"][key]
    return _NO_SPREAD if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def in_a_sentence(overall: Mapping[str, Any]) -> str:
    """What the ranges are, or that there are none and what it would take."""
    boot = overall["bootstrap"]
    if not boot["rounds"] or not boot["groups"]:
        return ""
    over, level = str(boot["over"]), f"{100 * boot['level']:.0f} %"
    units = over if boot["groups"] != 1 else over.removesuffix("s")
    if boot["groups"] < boot["least"]:
        verb = "are" if boot["groups"] != 1 else "is"
        return (
            f"No {level} intervals: {boot['groups']} {units} {verb} {TOO_FEW}; it takes "
            f"{LEAST['segments']} segments, or {LEAST['persons']} persons with names."
        )
    told = (
        f"Ranges are {level} intervals, bootstrapped over {boot['groups']} {over} in "
        f"{boot['rounds']} rounds."
    )
    if over != "persons":
        told += " They say nothing of other people: " + (
            "not all have names, so persons cannot be counted."
            if overall["unnamed"]
            else f"for that it takes {LEAST['persons']} persons."
        )
    return told


def of_whom(overall: Mapping[str, Any]) -> str:
    """How many people were judged, as far as that is known."""
    if not overall["unnamed"]:
        return counted(overall["persons"], "person", "people")
    if not overall["persons"]:
        return "people without names"
    return f"{counted(overall['persons'], 'person', 'people')} and others without names"
