"""What `avemo bag evaluate` prints of its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from avemo_ros.replay.figures import FIGURES, in_words
from avemo_ros.replay.intervals import TOO_FEW, in_a_sentence, interval, of_whom
from avemo_ros.sink.wording import counted, lasting

_SHOWN: Final = (
    ("segment_accuracy", "segments", "accuracy"),
    ("segment_ua", "segments", "ua"),
    ("accuracy", "frames", "accuracy"),
    ("ua", "frames", "ua"),
    ("coverage", "coverage", "share"),
    ("claim_accuracy", "coverage", "accuracy"),
    ("ece", "calibration", "ece"),
)
"""Figures of the summary, each with the place of its interval."""
_MOST_NOTES: Final = 10
_ALSO_SHOWN: Final = ("changes_per_minute", "reaction_median")


def summary(result: Mapping[str, Any]) -> list[str]:
    """The figures in a few lines."""
    overall, bags = result["overall"], result["bags"]
    models = ", ".join(result["model"]["ids"]) or "-"
    length = lasting(sum(bag["seconds"] for bag in bags))
    lines = [
        f"{models} on {counted(len(bags), 'bag')}, {length}: "
        f"{counted(overall['segments']['items'], 'segment')} of "
        f"{of_whom(overall)}"
    ]
    notes = list(overall["notes"])
    notes += [f"{bag['name']}: {problem}" for bag in bags for problem in bag["problems"]]
    notes += [
        f"{bag['name']}: {note}"
        for bag in bags
        for source in bag["labels"]
        for note in source["notes"]
    ]
    lines += [f"note: {note}" for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        lines.append(f"note: and {len(notes) - _MOST_NOTES} more, in the JSON and on the page")
    for name, part, key in _SHOWN:
        value = in_words(result["figures"][name], FIGURES[name].unit)
        told = interval(overall, part, key)
        # Said once below, and not in each line.
        told = f"  {told}" if told and told != TOO_FEW else ""
        lines.append(f"{FIGURES[name].text:32} {value:>10}{told}")
    for name in _ALSO_SHOWN:
        value = in_words(result["figures"][name], FIGURES[name].unit)
        lines.append(f"{FIGURES[name].text:32} {value:>10}")
    lines += [told for told in [in_a_sentence(overall)] if told]
    lines += [
        f"{'passed' if item['passed'] else 'FAILED'}: {item['figure']} not {item['fails']} "
        f"{item['limit']:g}: it {_value(item['value'])}"
        for item in result["thresholds"]
    ]
    if result["realtime_factor"] is not None:
        lines.append(f"{result['realtime_factor']:.1f} times real time")
    return lines


def _value(value: float | None) -> str:
    return "could not be measured" if value is None else f"is {value:g}"
