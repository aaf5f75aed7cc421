"""All that an evaluation of bags found, made of what became of each bag."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from avemo_ros import __version__
from avemo_ros.bag.topics import Topics
from avemo_ros.clock import to_s
from avemo_ros.evaluate.measure import as_json
from avemo_ros.replay.bag_job import Answer
from avemo_ros.replay.figures import FIGURES, SCHEMA, value_of
from avemo_ros.replay.latency import recorded_latency, stage_times
from avemo_ros.replay.request import Request
from avemo_ros.replay.score import score
from avemo_ros.replay.session import Session
from avemo_ros.replay.thresholds import judge_thresholds

_LIBRARIES: Final = ("numpy", "torch", "mediapipe", "opencv-contrib-python", "rosbags")
"""Whose versions the figures may depend on."""
_GROUPS: Final = ("vision", "audio", "emotion", "model")
"""Of settings that a replay depends on."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A bag that was replayed and can be judged."""

    answer: Answer
    own: Mapping[str, Any]
    """Figures of this bag alone, as `score` gives them, without intervals."""

    @classmethod
    def of(cls, answer: Answer) -> Scored:
        """Judge the bag by itself.

        Raises:
            LabelError: none of its labels can be judged; says why.
        """
        return cls(answer, score([answer.session], rounds=0))


@dataclass(frozen=True, slots=True)
class Lost:
    """A bag that could not be evaluated."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Weights:
    """The file of the model; both "" where none was used."""

    file: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What an evaluation found."""

    result: dict[str, Any]
    """Ready for JSON; the same in every run but for `realtime_factor`."""
    timings: dict[str, Any]
    """Ready for JSON; measured, so another in every run."""
    sessions: tuple[Session, ...]
    """Of the bags that could be evaluated, in the order of the request."""
    paths: Mapping[str, Path]
    """Of each session's bag."""
    topics: Topics

    @property
    def passed(self) -> bool:
        """All bags were evaluated and all limits are kept."""
        return bool(self.result["passed"])


def put_together(
    request: Request,
    scored: Sequence[Scored],
    lost: Sequence[Lost],
    weights: Weights,
    seconds: float,
    paths: Mapping[str, Path],
) -> Outcome:
    """Score the sessions and judge the limits.

    Args:
        request: what was asked for.
        scored: the bags that could be judged; none: `overall` is None.
        lost: of the others.
        weights: of the model.
        seconds: how long the replays took.
        paths: of the bags, by name.
    """
    answers = [one.answer for one in scored]
    sessions = tuple(answer.session for answer in answers)
    # Where no bag could be judged there are no figures, and no limit is kept.
    overall = score(sessions, rounds=request.rounds) if sessions else {}
    if sessions:
        overall["latency"] = recorded_latency(sessions)
    limits = judge_thresholds(request.thresholds, overall)
    fresh = sum(_length_s(answer.session) for answer in answers if not answer.stored)
    result = as_json(
        {
            "schema": SCHEMA,
            "passed": not lost and all(item["passed"] for item in limits),
            "realtime_factor": fresh / seconds if fresh else None,
            "thresholds": limits,
            "figures": {name: value_of(overall, item) for name, item in FIGURES.items()},
            "overall": overall or None,
            "bags": [_bag(one) for one in scored],
            "failed": [{"name": item.name, "reason": item.reason} for item in lost],
            "model": {
                "ids": sorted({answer.session.replayed.model_id for answer in answers}),
                "file": weights.file,
                "sha256": weights.sha256,
                "precision": sorted(
                    {answer.session.replayed.precision for answer in answers} - {""}
                ),
            },
            "settings": _settings(request),
            "versions": _versions(),
        }
    )
    timings = stage_times(sessions) | {"seconds": seconds}
    timings["realtime_factor"] = result["realtime_factor"]
    return Outcome(result, timings, sessions, paths, request.topics)


def _length_s(session: Session) -> float:
    return max(0.0, to_s(session.replayed.end_ns - session.replayed.start_ns))


def _bag(scored: Scored) -> dict[str, Any]:
    """What is told of one bag."""
    answer, session = scored.answer, scored.answer.session
    replayed = session.replayed
    own = {**scored.own, "latency": recorded_latency([session])}
    return {
        "name": session.name,
        "seconds": _length_s(session),
        "source": replayed.source,
        "model_id": replayed.model_id,
        "labels": [
            {item.name: getattr(source, item.name) for item in fields(source)}
            for source in answer.sources
        ],
        "agreement": own["agreement"],
        "figures": {name: value_of(own, item) for name, item in FIGURES.items()},
        "notes": own["notes"],
        "counters": dict(sorted(replayed.counters.items())),
        "problems": list(replayed.problems),
    }


def _settings(request: Request) -> dict[str, Any]:
    """What the figures depend on, without the paths of this machine."""
    found: dict[str, Any] = {"use": request.use, "rounds": request.rounds}
    found |= {
        name: value
        for name, value in request.config.flat().items()
        if name.split(".", 1)[0] in _GROUPS or "." not in name
    }
    found["model.weights"] = Path(request.config.model.weights).name
    for item in fields(request.topics):
        value = getattr(request.topics, item.name)
        found[f"topics.{item.name}"] = value if isinstance(value, str) else str(value or "")
    return found


def _versions() -> dict[str, str]:
    found = {"avemo_ros": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
