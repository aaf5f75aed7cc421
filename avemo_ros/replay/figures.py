"""The figures of an evaluation that have a short name: for limits, tables and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from avemo_ros.labels import EMOTIONS

SCHEMA: Final = "avemo-replay-1"
"""Layout of the JSON of an evaluation; another layout gets another name."""
SHARE: Final = "share"
"""A rate, 0 to 1, that is shown in percent."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number among the figures of `score`."""

    name: str
    """As `--fail-below` takes it."""
    text: str
    """What it is, for a table."""
    path: tuple[str, ...]
    """Keys that lead to it."""
    better: str
    """'high', 'low', or '' where neither is better by itself."""
    unit: str = SHARE


def _figures() -> tuple[Figure, ...]:
    made = []
    for prefix, part, text in (("", "frames", "frames"), ("segment_", "segments", "segments")):
        made += [
            Figure(f"{prefix}accuracy", f"accuracy, {text}", (part, "accuracy"), "high"),
            Figure(f"{prefix}ua", f"UA, {text}", (part, "ua"), "high"),
            Figure(f"{prefix}macro_f1", f"macro F1, {text}", (part, "macro_f1"), "high"),
        ]
    made += [
        Figure("coverage", "coverage", ("coverage", "share"), "high"),
        Figure("claim_accuracy", "accuracy of claims", ("coverage", "accuracy"), "high"),
        Figure("ece", "ECE", ("calibration", "ece"), "low"),
        Figure("nll", "NLL", ("calibration", "nll"), "low", "nat"),
        Figure("brier", "Brier score", ("calibration", "brier"), "low", ""),
    ]
    for name, text in (
        ("changes", "changes of label"),
        ("false_changes", "false changes"),
        ("lost_claims", "lost claims"),
    ):
        key = f"{name}_per_minute"
        better = "" if name == "changes" else "low"
        made.append(Figure(key, text, ("stability", key), better, "/min"))
    made += [
        Figure("reaction_median", "time to detect a change, median", ("reaction", "median_s"),
               "low", "s"),
        Figure("reaction_p90", "time to detect a change, 90 %", ("reaction", "p90_s"),
               "low", "s"),
        Figure("missed_changes", "changes never detected", ("reaction", "missed"), "low", ""),
        Figure("id_switches", "id switches", ("tracking", "id_switches"), "low", ""),
        Figure("fragmentations", "fragmentations of tracks", ("tracking", "fragmentations"),
               "low", ""),
        Figure("track_coverage", "coverage by tracks", ("tracking", "coverage"), "high"),
        Figure("valence_ccc", "valence CCC", ("valence_arousal", "valence", "ccc"),
               "high", ""),
        Figure("arousal_ccc", "arousal CCC", ("valence_arousal", "arousal", "ccc"),
               "high", ""),
        Figure("latency_p50", "recorded latency, median", ("latency", "p50_s"), "low", "s"),
        Figure("latency_p95", "recorded latency, 95 %", ("latency", "p95_s"), "low", "s"),
        Figure("kappa", "agreement of annotators, kappa", ("agreement", "kappa", "value"),
               "", ""),
    ]  # fmt: skip
    made += [
        Figure(
            f"recall_{name}", f"recall of {name}, frames", ("frames", "recalls", name), "high"
        )
        for name in EMOTIONS
    ]
    return tuple(made)


FIGURES: Final = {figure.name: figure for figure in _figures()}
"""Every figure by name, in the order in which tables show them."""


def value_of(overall: Mapping[str, Any], figure: Figure) -> float | None:
    """The figure's value; None where it could not be measured.

    Args:
        overall: as `score` gives it.
        figure: one of FIGURES.
    """
    found: Any = overall
    for key in figure.path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return float(found) if isinstance(found, int | float) else None


def as_shown(value: float, unit: str) -> float:
    """A value to the digits that people are shown; a share in percent."""
    return round(100 * value, 1) if unit == SHARE else float(f"{value:.3g}")


def in_words(value: float | None, unit: str) -> str:
    """A value as people read it: '61.3 %', '4.2 /min', '-'."""
    if value is None:
        return "-"
    if unit == SHARE:
        return f"{100 * value:.1f} %"
    text = f"{value:.0f}" if not unit and value.is_integer() else f"{value:.3g}"
    return f"{text} {unit}".strip()
