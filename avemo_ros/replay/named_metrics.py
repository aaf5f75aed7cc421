"""Metrics with a short name, limits on them, and what passed as JUnit XML."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from avemo_ros.errors import ConfigError
from avemo_ros.labels import EMOTIONS
from avemo_ros.sink.output_file import OutputError, replaced
from avemo_ros.untrusted import read_text

SCHEMA: Final = "avemo-replay-1"
"""Layout of the JSON of an evaluation; another layout gets another name."""
NOTHING: Final = "No bag could be evaluated"
"""Title of the page then."""
SHARE: Final = "share"
"""A rate, 0 to 1, that is shown in percent."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number among the metrics of `score`."""

    name: str
    """As `--fail-below` takes it."""
    text: str
    """What it is, for a table."""
    path: tuple[str, ...]
    """Keys that lead to it."""
    better: str
    """'high', 'low', or '' where neither is better by itself."""
    unit: str = SHARE


def _metrics() -> tuple[Metric, ...]:
    metrics = []
    warm = "frames after warm-up"
    for name, part, text in (
        ("{}", "frames", "frames"),
        ("{}_after_warm_up", "frames_after_warm_up", warm),
        ("segment_{}", "segments", "segments"),
    ):
        metrics += [
            Metric(name.format(key), f"{said}, {text}", (part, key), "high")
            for key, said in (("accuracy", "accuracy"), ("ua", "UA"), ("macro_f1", "macro F1"))
        ]
    metrics += [
        Metric("coverage", "coverage", ("coverage", "share"), "high"),
        Metric(
            "coverage_after_warm_up",
            "coverage after warm-up",
            ("frames_after_warm_up", "coverage"),
            "high",
        ),
        Metric("claim_accuracy", "accuracy of predictions", ("coverage", "accuracy"), "high"),
        Metric("ece", "ECE", ("calibration", "ece"), "low"),
        Metric("nll", "NLL", ("calibration", "nll"), "low", "nat"),
        Metric("brier", "Brier score", ("calibration", "brier"), "low", ""),
    ]
    for name, text in (
        ("changes", "changes of label"),
        ("false_changes", "false changes"),
        ("lost_claims", "labels lost"),
    ):
        key = f"{name}_per_minute"
        better = "" if name == "changes" else "low"
        metrics.append(Metric(key, text, ("stability", key), better, "/min"))
    metrics += [
        Metric("reaction_median", "time to detect a change, median", ("reaction", "median_s"),
               "low", "s"),
        Metric("reaction_p90", "time to detect a change, 90 %", ("reaction", "p90_s"),
               "low", "s"),
        Metric("missed_changes", "changes never detected", ("reaction", "missed"), "low", ""),
        Metric("id_switches", "id switches", ("tracking", "id_switches"), "low", ""),
        Metric("fragmentations", "fragmentations of tracks", ("tracking", "fragmentations"),
               "low", ""),
        Metric("track_coverage", "coverage by tracks", ("tracking", "coverage"), "high"),
        Metric("valence_ccc", "valence CCC", ("valence_arousal", "valence", "ccc"),
               "high", ""),
        Metric("arousal_ccc", "arousal CCC", ("valence_arousal", "arousal", "ccc"),
               "high", ""),
        Metric("latency_p50", "recorded latency, median", ("latency", "p50_s"), "low", "s"),
        Metric("latency_p95", "recorded latency, 95 %", ("latency", "p95_s"), "low", "s"),
        Metric("kappa", "agreement of annotators, kappa", ("agreement", "kappa", "value"),
               "", ""),
    ]  # fmt: skip
    metrics += [
        Metric(
            f"recall_{name}", f"recall of {name}, frames", ("frames", "recalls", name), "high"
        )
        for name in EMOTIONS
    ]
    return tuple(metrics)


METRICS: Final = {metric.name: metric for metric in _metrics()}
"""Every metric by name, in the order in which tables show them."""


def metric_value(overall: Mapping[str, Any], metric: Metric) -> float | None:
    """The metric's value; None where it could not be measured.

    Args:
        overall: as `score` gives it.
        metric: one of METRICS.
    """
    found: Any = overall
    for key in metric.path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return float(found) if isinstance(found, int | float) else None


def rounded(value: float, unit: str) -> float:
    """A value to the digits that people are shown; a share in percent."""
    return round(100 * value, 1) if unit == SHARE else float(f"{value:.3g}")


def value_text(value: float | None, unit: str) -> str:
    """A value as people read it: '61.3 %', '4.2 /min', '-'."""
    if value is None:
        return "-"
    if unit == SHARE:
        return f"{100 * value:.1f} %"
    text = f"{value:.0f}" if not unit and float(value).is_integer() else f"{value:.3g}"
    return f"{text} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Threshold:
    """One metric and the limit that it must not pass."""

    metric: str
    """One of METRICS."""
    limit: float
    fails_below: bool
    """True: less is a failure; False: more is."""

    @property
    def text(self) -> str:
        """What is asked for: 'ua not below 0.6'."""
        return f"{self.metric} not {'below' if self.fails_below else 'above'} {self.limit:g}"


def read_thresholds(below: Sequence[str], above: Sequence[str]) -> tuple[Threshold, ...]:
    """Limits as the command line gives them.

    Args:
        below: each `NAME=NUMBER`; a metric below fails.
        above: each `NAME=NUMBER`; a metric above fails.

    Raises:
        ConfigError: one is no `NAME=NUMBER`, or no metric has that name.
    """
    limits = [_read("--fail-below", text, fails_below=True) for text in below]
    limits += [_read("--fail-above", text, fails_below=False) for text in above]
    return tuple(limits)


def _read(argument: str, text: str, *, fails_below: bool) -> Threshold:
    name, _, number = text.partition("=")
    if name not in METRICS:
        raise ConfigError(argument, text, f"NAME=NUMBER with one of {', '.join(METRICS)}")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise ConfigError(argument, text, f"{name}=NUMBER, e.g. {name}=0.5")
    if METRICS[name].unit == SHARE and not 0 <= limit <= 1:
        raise ConfigError(argument, text, f"a share from 0 to 1, e.g. {name}=0.5 for 50 %")
    return Threshold(name, limit, fails_below)


def check_thresholds(
    thresholds: Sequence[Threshold], overall: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Whether each limit is kept; a metric that could not be measured does not keep it.

    Args:
        thresholds: what is asked for.
        overall: as `score` gives it.

    Returns:
        Of each: `figure`, `fails` ('below' or 'above'), `limit`, `value` (None where it could
        not be measured), `passed`, and `reason`, a sentence where it failed.
    """
    return [_check(item, metric_value(overall, METRICS[item.metric])) for item in thresholds]


def _check(threshold: Threshold, value: float | None) -> dict[str, Any]:
    limit = threshold.limit
    passed = value is not None and (value >= limit if threshold.fails_below else value <= limit)
    reason = ""
    if value is None:
        reason = f"{threshold.metric} could not be measured; asked for: {threshold.text}"
    elif not passed:
        reason = f"{threshold.metric} is {value:g}; asked for: {threshold.text}"
    return {
        "figure": threshold.metric,
        "fails": "below" if threshold.fails_below else "above",
        "limit": limit,
        "value": value,
        "passed": passed,
        "reason": reason,
    }


# What passed and what failed, as the JUnit XML that CI systems read.

_SUITE: Final = "avemo bag evaluate"
_OF_BAGS: Final = "avemo.bags"
_EVALUATED: Final = re.compile(rf'<testcase classname="{re.escape(_OF_BAGS)}"[^>]*/>')
"""The case of a bag that was evaluated: it holds no error."""
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold, not even escaped."""


def write_junit(path: Path, result: Mapping[str, Any]) -> None:
    """Write the file in one atomic step.

    Args:
        path: of the file.
        result: as `avemo bag evaluate --json` writes it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with replaced(path) as partial:
            partial.write_bytes(render(result))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def has_no_bag(path: Path) -> bool:
    """Whether a file is such XML of a run that could evaluate no bag."""
    try:
        text = read_text(path)
    except (OSError, ValueError):
        return False
    return f'<testsuite name="{_SUITE}"' in text and not _EVALUATED.search(text)


def render(result: Mapping[str, Any]) -> bytes:
    """The XML: one test case for each limit, and one for each bag.

    A limit that is not kept is a failure that says value and limit; a bag that could not be
    evaluated is an error that says why.  No times: the file is the same in every run.
    """
    limits, bags, lost = result["thresholds"], result["bags"], result["failed"]
    failures = sum(not item["passed"] for item in limits)
    suite = ET.Element(
        "testsuite",
        name=_SUITE,
        tests=str(len(limits) + len(bags) + len(lost)),
        failures=str(failures),
        errors=str(len(lost)),
        skipped="0",
    )
    for item in limits:
        name = f"{item['figure']} not {item['fails']} {item['limit']:g}"
        case = ET.SubElement(suite, "testcase", classname="avemo.limits", name=name)
        if not item["passed"]:
            reason = _text(item["reason"])
            ET.SubElement(case, "failure", type="limit", message=reason).text = reason
    for bag in bags:
        ET.SubElement(suite, "testcase", classname=_OF_BAGS, name=_text(bag["name"]))
    for bag in lost:
        case = ET.SubElement(suite, "testcase", classname=_OF_BAGS, name=_text(bag["name"]))
        reason = _text(bag["reason"])
        ET.SubElement(case, "error", type="bag", message=reason).text = reason
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
