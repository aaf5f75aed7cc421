"""Compare evaluations of the same bags: models, settings, before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from avemo_ros.errors import DataError
from avemo_ros.evaluate.bootstrap import LEVEL, Array, draws, enough, percentiles
from avemo_ros.evaluate.metric_tables import as_json
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.named_metrics import METRICS, SCHEMA, Metric, rounded
from avemo_ros.replay.scoring import bootstrap_unit
from avemo_ros.untrusted import parse_json, read_text

PAIRED_ROUNDS: Final = 1000
_RATES: Final = ("segment_accuracy", "segment_ua")
COMPARISON: Final = "avemo-replay-compare-1"
"""Layout of the JSON."""
_OF_BAGS: Final = ("segment_accuracy", "accuracy", "coverage", "changes_per_minute")
_NEEDED: Final = ("passed", "thresholds", "figures", "overall", "bags", "failed", "model",
                  "settings")  # fmt: skip


def paired(segments: Sequence[Mapping[str, Any]], place: int, *, named: bool) -> dict[str, Any]:
    """Differences of a run from the first, over the segments that both have judged.

    Of a hard segment both runs make errors, so both get the same segments in every round:
    the interval of the difference is then narrower than those of the runs let expect.

    Args:
        segments: judged by every run, each with `session`, `person`, `truth`, `answers` and
            `confidences`.
        place: of the run.
        named: whether all persons have names, so that they can be counted.

    Returns:
        What was drawn in `over` (as for the metrics of one run), `groups`, `rounds` and
        `level`, and for `segment_accuracy` and `segment_ua` the `difference` and its
        `interval`; None for what is undefined.
    """
    bags = _first_copies(segments)
    over = bootstrap_unit(
        len({item["person"] for item in segments}) if named else 0,
        0 if named else len(segments),
        len(set(bags.values())),
    )
    units = [
        {"persons": item["person"], "bags": bags[item["session"]]}.get(over, f"{bag} {at}")
        for item, (bag, at) in zip(segments, _numbered(segments, bags), strict=True)
    ]
    names, members = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    found: dict[str, Any] = {
        "over": over,
        "groups": len(names),
        "rounds": PAIRED_ROUNDS,
        "level": LEVEL,
        **{name: {"difference": None, "interval": None} for name in _RATES},
    }
    if not segments:
        return found
    counts = _counts(segments, place, members, len(names))
    all_of = _differences(counts.sum(0, keepdims=True))
    for name, difference in zip(_RATES, all_of, strict=True):
        found[name]["difference"] = float(difference[0])
    if enough(over, len(names)):
        flat = counts.reshape(len(names), -1)
        rounds = np.concatenate([picked @ flat for picked in draws(len(names), PAIRED_ROUNDS)])
        many = _differences(rounds.reshape(-1, *counts.shape[1:]))
        for name, values in zip(_RATES, many, strict=True):
            found[name]["interval"] = percentiles(values)
    return found


def covers_zero(interval: Sequence[float]) -> bool:
    """Whether an interval of a difference holds 0, so that chance alone may explain it."""
    return interval[0] <= 0.0 <= interval[1]


def _first_copies(segments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """For each bag the first with the same segments and answers: copies count once."""
    content: dict[str, list[str]] = {}
    predicted: set[str] = set()
    for item in segments:
        own = {key: value for key, value in item.items() if key != "session"}
        content.setdefault(item["session"], []).append(repr(sorted(own.items())))
        if any(sure is not None for sure in item["confidences"]):
            predicted.add(item["session"])
    seen: dict[str, str] = {}
    return {
        bag: seen.setdefault("".join(rows), bag) if bag in predicted else bag
        for bag, rows in content.items()
    }


def _numbered(
    segments: Sequence[Mapping[str, Any]], bags: Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    """Of each segment its bag, or the one that it copies, and its place in there."""
    count: Counter[str] = Counter()
    for item in segments:
        yield bags[item["session"]], count[item["session"]]
        count[item["session"]] += 1


def _counts(
    segments: Sequence[Mapping[str, Any]], place: int, members: NDArray[Any], groups: int
) -> Array:
    """(G, 3, C): of each unit and true class the segments, and how many of them the first run
    and this one have right; each as far as its class is true."""
    counts = np.zeros((groups, 3, len(EMOTIONS)))
    for item, member in zip(segments, members.tolist(), strict=True):
        truth, share = EMOTIONS.index(item["truth"]), item.get("share", 1)
        counts[member, 0, truth] += share
        counts[member, 1, truth] += share * (item["answers"][0] == item["truth"])
        counts[member, 2, truth] += share * (item["answers"][place] == item["truth"])
    return counts


def _differences(counts: Array) -> tuple[Array, Array]:
    """(N,) of accuracy and of UA, over the classes that occur.

    Args:
        counts: (N, 3, C) as `_counts` gives them, of N draws.
    """
    items, gained = counts[:, 0], counts[:, 2] - counts[:, 1]
    recalls = np.divide(gained, items, out=np.zeros_like(gained), where=items > 0)
    return gained.sum(1) / items.sum(1), recalls.sum(1) / (items > 0).sum(1)


def read_result(path: Path) -> dict[str, Any]:
    """What `avemo bag evaluate --json` wrote.

    Raises:
        DataError: the file cannot be read, or is something else.
    """
    try:
        content = parse_json(read_text(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DataError(f"{path} is not a result of `avemo bag evaluate --json` ({SCHEMA})")
    lacking = [name for name in _NEEDED if name not in content]
    if lacking:
        raise DataError(f"{path} has no {', '.join(lacking)}; evaluate again")
    if content["overall"] is None:
        raise DataError(f"{path} contains no metrics to compare: no bag could be evaluated")
    try:
        _Result.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise DataError(
            f"{path} is not as `avemo bag evaluate --json` writes it: {place}: {first['msg']}; "
            "evaluate again"
        ) from error
    return content


# --- what is read of a result; whatever else is in it is left alone

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Seconds = Annotated[float, Field(ge=-1e9, le=1e9)]
_Count = Annotated[int, Field(ge=0, le=2**53)]
_Weight = Annotated[float, Field(ge=0.0, le=2.0**53)]


class _Read(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Claim(_Read):
    start_s: _Seconds
    end_s: _Seconds
    label: str


class _Segment(_Claim):
    label: str = ""
    session: str
    person: str
    truth: Literal[EMOTIONS]  # type: ignore[valid-type]
    share: _Share = 1.0
    answer: str
    right: bool
    truth_probability: _Share | None
    confidence: _Share | None
    claims: list[_Claim] = []


class _Judged(_Read):
    items: _Count
    unanswered: _Count
    accuracy: _Share | None
    confusion: list[list[_Weight]]


class _Segments(_Judged):
    list: list[_Segment]


class _Bins(_Read):
    counts: list[_Count]
    confidence: list[_Share | None]
    accuracy: list[_Share | None]

    @model_validator(mode="after")
    def _alike(self) -> _Bins:
        if not len(self.counts) == len(self.confidence) == len(self.accuracy):
            raise ValueError("its lists are of different lengths")
        return self


class _Calibration(_Read):
    ece: _Number | None
    bins: _Bins | None


class _Point(_Read):
    coverage: _Share
    accuracy: _Share | None


class _Coverage(_Read):
    share: _Share | None
    accuracy: _Share | None
    curve: list[_Point]


class _Overall(_Read):
    classes: list[str]
    unnamed: _Count | None = None
    frames: _Judged
    segments: _Segments
    calibration: _Calibration
    coverage: _Coverage
    worst: list[_Count]

    @model_validator(mode="after")
    def _fits(self) -> _Overall:
        size = len(self.classes)
        for part in (self.frames, self.segments):
            if [len(row) for row in part.confusion] != [size] * size:
                raise ValueError(f"its confusion is not {size} by {size}")
        if any(place >= len(self.segments.list) for place in self.worst):
            raise ValueError("one of its worst segments is not listed")
        if self.coverage.accuracy is not None and self.coverage.share is None:
            raise ValueError("its coverage has an accuracy, but no share")
        return self


class _Bag(_Read):
    name: str
    seconds: Annotated[float, Field(ge=0.0, le=1e9)]
    figures: dict[str, _Number | None]


class _Failed(_Read):
    name: str


class _ModelFile(_Read):
    ids: list[str]
    sha256: str
    precision: list[str] = []


class _Limit(_Read):
    figure: str
    fails: str
    limit: _Number
    value: _Number | None
    passed: bool


class _Result(_Read):
    passed: bool
    thresholds: list[_Limit]
    figures: dict[str, _Number | None]
    overall: _Overall
    bags: list[_Bag]
    failed: list[_Failed]
    model: _ModelFile
    settings: dict[str, Any]


def compare(names: Sequence[str], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All differences from the first run, ready for JSON.

    Args:
        names: of the runs, all different.
        results: of each; at least two.
    """
    figures = [_metric(item, [run["figures"] for run in results]) for item in METRICS.values()]
    segments = _segments(results)
    # Files of older versions do not say how many segments are of people without names.
    named = all(run["overall"].get("unnamed") == 0 for run in results)
    found = {
        "schema": COMPARISON,
        "runs": [
            _run(name, run, results[0], segments, place)
            | {"paired": paired(segments, place, named=named) if place else None}
            for place, (name, run) in enumerate(zip(names, results, strict=True))
        ],
        "figures": [item for item in figures if any(v is not None for v in item["values"])],
        "bags": _bags(results),
        "segments": [
            {key: value for key, value in item.items() if key != "right"}
            for item in segments
            if any(change for change in item["changes"])
        ],
        "notes": _notes(names, results, len(segments)),
    }
    return as_json(found)


def _run(
    name: str,
    run: Mapping[str, Any],
    first: Mapping[str, Any],
    segments: Sequence[Mapping[str, Any]],
    place: int,
) -> dict[str, Any]:
    changes = [item["changes"][place] for item in segments]
    better, worse = changes.count("better"), changes.count("worse")
    return {
        "name": name,
        "models": run["model"]["ids"],
        "sha256": run["model"]["sha256"],
        "precision": run["model"].get("precision", []),
        "passed": run["passed"],
        "thresholds": run["thresholds"],
        "failed_bags": [bag["name"] for bag in run["failed"]],
        "settings": {
            key: value
            for key, value in run["settings"].items()
            if place and first["settings"].get(key) != value
        },
        "segments_better": better,
        "segments_worse": worse,
        "sign_test": _sign_test(better, worse) if place else None,
    }


def _metric(metric: Metric, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values of all runs, differences from the first, and which way they go."""
    values = [run.get(metric.name) for run in runs]
    return {
        "name": metric.name,
        "values": values,
        "differences": [_less(value, values[0]) for value in values],
        "verdicts": [verdict(metric, value, values[0]) for value in values],
    }


def _less(value: float | None, first: float | None) -> float | None:
    return None if value is None or first is None else value - first


def verdict(metric: Metric, value: float | None, first: float | None) -> str:
    """'better', 'worse', 'same', or '' where that is undefined.

    Same is what reads the same: less than the digits that are shown is no difference.
    """
    if value is None or first is None:
        return ""
    if rounded(value, metric.unit) == rounded(first, metric.unit):
        return "same"
    if not metric.better:
        return ""
    return "better" if (value > first) == (metric.better == "high") else "worse"


def _bags(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Metrics of each bag in every run; None where a run has not got the bag."""
    by_name = [{bag["name"]: bag["figures"] for bag in run["bags"]} for run in results]
    names = list(dict.fromkeys(name for run in by_name for name in run))
    return [
        {
            "name": name,
            "figures": [
                _metric(METRICS[key], [run.get(name, {}) for run in by_name])
                for key in _OF_BAGS
            ],
        }
        for name in names
    ]


def _segments(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Segments that every run has judged, and whether each run does better than the first."""
    by_place = [
        {place_of(item): item for item in run["overall"]["segments"]["list"]} for run in results
    ]
    compared = []
    for place, first in by_place[0].items():
        items = [run.get(place) for run in by_place]
        judged = [item for item in items if item is not None]
        if len(judged) < len(items):
            continue
        compared.append(
            {
                "session": first["session"],
                "person": first["person"],
                "start_s": first["start_s"],
                "end_s": first["end_s"],
                "truth": first["truth"],
                # Files of older versions have no soft labels.
                "share": first.get("share", 1),
                "answers": [item["answer"] for item in judged],
                "confidences": [item["confidence"] for item in judged],
                "right": [item["right"] for item in judged],
                "changes": [_change(first, item) for item in judged],
            }
        )
    return compared


def place_of(item: Mapping[str, Any]) -> tuple[object, ...]:
    """Of which stretch a row of `segments.list` is: the same in every run."""
    return (
        item["session"],
        item["person"],
        round(item["start_s"], 2),
        round(item["end_s"], 2),
        item["truth"],
    )


def _change(first: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    if first.get("share", 1) < 1:
        return ""  # several labels are true: what is better by one is worse by another
    if first["right"] != item["right"]:
        return "better" if item["right"] else "worse"
    return "" if first["answer"] == item["answer"] else "other"


def _sign_test(better: int, worse: int) -> float | None:
    """Probability of so uneven a split or more if both were alike likely; two-sided."""
    count = better + worse
    if count == 0:
        return None
    tail = sum(comb(count, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / 2**count))


def _notes(
    names: Sequence[str], results: Sequence[Mapping[str, Any]], compared: int
) -> list[str]:
    """What makes a comparison unfair; `compared` segments are in all runs."""
    notes = []
    first = {bag["name"] for bag in results[0]["bags"]}
    counts = results[0]["overall"]["segments"]["items"]
    for name, run in zip(names[1:], results[1:], strict=True):
        bags = {bag["name"] for bag in run["bags"]}
        if bags != first:
            lacking, more = len(first - bags), len(bags - first)
            notes.append(
                f"{name} lacks {lacking} {'bag' if lacking == 1 else 'bags'} of {names[0]} "
                f"and has {more} {'other' if more == 1 else 'others'}: the overall metrics "
                "are not about the same bags"
            )
        elif run["overall"]["segments"]["items"] != counts:
            notes.append(
                f"{name} has {run['overall']['segments']['items']} labelled segments, "
                f"{names[0]} {counts}: the labels differ"
            )
    if not notes and compared < counts:
        notes.append(
            f"{counts - compared} of {counts} labelled segments have different times in the "
            "runs and are not compared one by one"
        )
    return notes
