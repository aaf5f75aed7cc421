"""The page of `avemo bag evaluate`: a replay of bags, judged by their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from avemo_ros.replay.bag_evaluation import BagEvaluation
from avemo_ros.replay.named_metrics import METRICS, NOTHING, value_text
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.replay.scoring import interval_text, intervals_in_words, people_in_words
from avemo_ros.report import charts
from avemo_ros.report.charts import Chart
from avemo_ros.report.person_tracks import MOST, Shot, Track, chart_of, shots_of, tracks_of
from avemo_ros.report.rendering import number, percent, write
from avemo_ros.report.rendering import render as rendered
from avemo_ros.sink.presentation import Timeline, counted, lasting
from avemo_ros.timing import to_s

_MOST_NOTES: Final = 8
"""Remarks at the top of the page."""
_MOST_DRAWN: Final = 60
"""Bags whose timeline is drawn."""
_MOST_TRACKS: Final = 120
"""People whose timeline is drawn: the page stays small."""
_MOST_POINTS: Final = 1200
_ALL_POINTS: Final = 12_000
"""Points of a curve of one person, and of all together."""
_ALL_SHOTS: Final = 120
"""Small images of all bags together."""
_SOON_S: Final = 0.5
"""What begins sooner after the bag's first message begins with it, for who labels [s]."""
_SOURCES: Final = {
    "raw": "images and audio",
    "features": "recorded features",
    "states": "recorded states",
}
"""Where a replay came from, in words."""
_COUNTERS: Final = {
    "frames": "images",
    "late_pictures": "late images",
    "pictures_refused": "images refused",
    "frames_left_out": "images left out by rate",
    "hops": "estimates",
}
"""Counters of a replay as the page calls them: there a frame is an estimate with a label."""
_MODALITIES: Final = {
    "face": "face alone",
    "voice": "voice alone",
    "both": "face and voice",
    "none": "neither",
}


def write_report(path: Path, outcome: BagEvaluation, *, thumbnails: bool = False) -> bool:
    """Write the page; it takes the place of an older one when it is complete.

    Args:
        path: of the file.
        outcome: of the evaluation.
        thumbnails: with small images from the bags; without, the page holds none.

    Returns:
        Whether the page holds images; bags of features, say, have none to show.

    Raises:
        OutputError: the file cannot be written.
    """
    shots = _shots(outcome) if thumbnails else None
    write(path, render(outcome, shots))
    return any((shots or {}).values())


def render(outcome: BagEvaluation, shots: Mapping[str, Sequence[Shot]] | None = None) -> str:
    """The page as text.

    Args:
        outcome: of the evaluation.
        shots: images of each bag by its name; None where none were asked for.
    """
    result, overall = outcome.result, outcome.result["overall"]
    common = {
        "result": result,
        "overall": overall,
        "images": any((shots or {}).values()),
        "facts": _facts(result),
        "settings": {name: str(value) for name, value in result["settings"].items()},
    }
    if overall is None:
        return rendered(
            "replay.html",
            title=NOTHING,
            subtitle=f"{counted(len(result['failed']), 'bag')} tried",
            **common,
        )
    timelines = _timelines(outcome, shots)
    return rendered(
        "replay.html",
        title=f"Replay of {counted(len(result['bags']), 'bag')}",
        subtitle=_subtitle(result),
        notes=_notes(result),
        tiles=_tiles(result),
        ranges=intervals_in_words(overall),
        worst=[overall["segments"]["list"][place] | {"place": place}
               for place in overall["worst"]],
        bags=_bags(result, len(timelines)),
        timelines=timelines,
        confusions=_confusions(overall),
        reliability=reliability_chart(overall),
        coverage=coverage_chart(overall),
        unclaimed=_unclaimed(overall),
        modalities=_modalities(overall),
        people=_people(overall),
        changes=_changes(overall),
        times=_times(outcome.recordings),
        has_stages=any(session.replayed.stages_ms for session in outcome.recordings),
        **common,
    )  # fmt: skip


def reliability_chart(overall: Mapping[str, Any]) -> Chart | None:
    """The reliability diagram; None without any distribution."""
    bins = overall["calibration"]["bins"]
    if not bins:
        return None
    count = len(bins["counts"])
    edges = [place / count for place in range(count + 1)]
    return charts.reliability(edges, bins["counts"], bins["confidence"], bins["accuracy"])


def coverage_chart(overall: Mapping[str, Any]) -> Chart | None:
    """Accuracy over coverage; None without any distribution."""
    found = overall["coverage"]
    at = None if found["accuracy"] is None else (found["share"], found["accuracy"])
    return charts.coverage_curve(found["curve"], at)


def _subtitle(result: Mapping[str, Any]) -> str:
    bags, overall = result["bags"], result["overall"]
    length = lasting(sum(bag["seconds"] for bag in bags))
    sources = ", ".join(sorted({_SOURCES.get(bag["source"], bag["source"]) for bag in bags}))
    return (
        f"{', '.join(result['model']['ids']) or 'no model'}; {length}; {sources}; "
        f"{counted(overall['segments']['items'], 'labelled segment')} of "
        f"{people_in_words(overall)}"
    )


def _notes(result: Mapping[str, Any]) -> list[str]:
    notes = list(result["overall"]["notes"])
    failed = sum(not item["passed"] for item in result["thresholds"])
    if failed:
        notes.insert(0, f"{failed} of {len(result['thresholds'])} limits missed.")
    if result["failed"]:
        notes.insert(0, f"{counted(len(result['failed']), 'bag')} could not be evaluated.")
    more = len(notes) - _MOST_NOTES
    if more > 0:
        notes[_MOST_NOTES:] = [f"{counted(more, 'more note')} below, with the bags."]
    return notes


def _tiles(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    overall, found = result["overall"], result["figures"]
    shown = [
        (
            METRICS[name].text,
            value_text(found[name], METRICS[name].unit),
            interval_text(overall, part, key),
        )
        for name, part, key in (
            ("segment_ua", "segments", "ua"),
            ("segment_accuracy", "segments", "accuracy"),
            ("ua", "frames", "ua"),
            ("accuracy", "frames", "accuracy"),
            ("accuracy_after_warm_up", "frames_after_warm_up", "accuracy"),
            ("coverage", "coverage", "share"),
            ("claim_accuracy", "coverage", "accuracy"),
            ("ece", "calibration", "ece"),
        )
    ]
    changes = f"{number(overall['stability']['truth_changes_per_minute'], 1)} annotated"
    shown.append(("changes a minute", number(found["changes_per_minute"], 1), changes))
    if found["reaction_median"] is not None:
        missed = f"{counted(overall['reaction']['missed'], 'change')} never"
        shown.append(("time to detect", number(found["reaction_median"], 2, "s"), missed))
    if result["realtime_factor"] is not None:
        speed = number(result["realtime_factor"], 1)
        shown.append(("speed", f"{speed} x", "of real time, all bags together"))
    return shown


def _bags(result: Mapping[str, Any], drawn: int) -> list[dict[str, Any]]:
    """One line a bag; the first ones have a timeline."""
    by_session = result["overall"]["by_session"]
    return [
        {
            "name": bag["name"],
            "drawn": place < drawn,
            "figures": bag["figures"],
            "remarks": len(bag["problems"]) + len(bag["notes"]),
            "segments": by_session.get(bag["name"], {}).get("segments", 0),
            "seconds": bag["seconds"],
            "source": _SOURCES.get(bag["source"], bag["source"]),
        }
        for place, bag in enumerate(result["bags"])
    ]


def _shots(outcome: BagEvaluation) -> dict[str, tuple[Shot, ...]]:
    """Images of every bag whose timeline is drawn, by its name."""
    sessions = outcome.recordings[:_MOST_DRAWN]
    most = min(MOST, max(1, _ALL_SHOTS // len(sessions)))
    return {
        session.name: shots_of(session, outcome.paths[session.name], outcome.topics, most)
        for session in sessions
    }


def _timelines(
    outcome: BagEvaluation, shots: Mapping[str, Sequence[Shot]] | None
) -> list[dict[str, Any]]:
    """Predictions in each bag beside its labels, with its remarks and counters."""
    listed = outcome.result["overall"]["segments"]["list"]
    found: list[tuple[EvaluatedRecording, list[Track]]] = []
    count = 0
    for session in outcome.recordings[:_MOST_DRAWN]:
        tracks = tracks_of(
            session, listed, tuple((shots or {}).get(session.name, ())), outcome.truth
        )
        count += len(tracks)
        if found and count > _MOST_TRACKS:
            break
        found.append((session, tracks))
    total = sum(len(tracks) for _, tracks in found)
    most = max(60, min(_MOST_POINTS, _ALL_POINTS // max(total, 1)))
    return [
        _timeline(session, tracks, outcome.result["bags"][place], most, shots is not None)
        for place, (session, tracks) in enumerate(found)
    ]


def _timeline(
    session: EvaluatedRecording,
    tracks: Sequence[Track],
    bag: Mapping[str, Any],
    most: int,
    asked: bool,
) -> dict[str, Any]:
    timeline = Timeline(session.name, session.replayed.zero_ns)
    for step in session.replayed.steps:
        timeline.add(step)
    timeline.duration_s = max(
        timeline.duration_s, to_s(session.replayed.end_ns - session.replayed.zero_ns)
    )
    drawn = []
    seen: set[str] = set()
    for track in tracks:
        chart, step_s = chart_of(track, timeline, most)
        drawn.append(
            {
                "name": track.name,
                "chart": chart,
                "step_s": step_s,
                "places": [mark for mark in track.annotations["annotated"] if mark.anchor],
            }
        )
        seen |= {item.face_id or item.person_id or item.voice_id for item in track.estimates}
    begins_s = to_s(session.replayed.start_ns - session.replayed.zero_ns)
    remarks = [*bag["notes"], *bag["problems"]]
    for source in bag["labels"]:
        remarks += [f"{source['name']}: {note}" for note in source["notes"]]
    return {
        "name": session.name,
        "seconds": bag["seconds"],
        "source": _SOURCES.get(bag["source"], bag["source"]),
        "labels": bag["labels"],
        "begins_s": begins_s if begins_s >= _SOON_S else None,
        "lacks_images": asked and not any(track.shots for track in tracks),
        "others": [name for name in timeline.people if name not in seen],
        "tracks": drawn,
        "remarks": remarks,
        "counters": {
            _COUNTERS.get(name, name.replace("_", " ")): f"{value:g}"
            for name, value in bag["counters"].items()
        },
    }  # fmt: skip


def _confusions(overall: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was taken for what: segments, and frames."""
    return [
        {
            "part": part,
            "items": overall[part]["items"],
            "lost": overall[part]["unanswered"],
            "chart": charts.confusion(overall["classes"], overall[part]["confusion"], part),
        }
        for part in ("segments", "frames")
        if overall[part]["items"]
    ]


def _unclaimed(overall: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Why nothing was claimed, the most frequent reason first."""
    coverage = overall["coverage"]
    return [
        (name.lower().replace("_", " "), count, percent(count / coverage["hops"]))
        for name, count in sorted(coverage["why_not"].items(), key=lambda item: -item[1])
        if count
    ]


def _modalities(overall: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """How right the claims are by what they rest on."""
    return [
        (
            _MODALITIES.get(name, name),
            found["hops"],
            *(percent(found[key]) for key in ("share", "accuracy", "ua", "macro_f1")),
        )
        for name, found in overall["by_modality"].items()
        if found["hops"]
    ]


def _people(overall: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Figures of each person where there are several."""
    found = overall["by_person"]
    if len(found) < 2:
        return []
    return [
        (
            name or "(the attended person)",
            one["segments"],
            *(percent(one[key]) for key in ("segment_accuracy", "ua", "coverage")),
        )
        for name, one in found.items()
    ]


def _changes(overall: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """How often something changed."""
    found = overall["stability"]
    return [
        (text, found[key], number(found[f"{key}_per_minute"], 1))
        for text, key in (
            ("true changes", "truth_changes"),
            ("changes of the label", "changes"),
            ("of these to a wrong label", "false_changes"),
            ("labels lost", "lost_claims"),
        )
    ]


def _times(sessions: Sequence[EvaluatedRecording]) -> list[dict[str, Any]]:
    """Durations of each stage, measured while replaying, and latencies of recorded states."""
    found: dict[str, list[float]] = {}
    recorded: list[float] = []
    for session in sessions:
        recorded += [1e3 * value for value in session.replayed.latencies_s]
        for name, durations_ms in session.replayed.stages_ms.items():
            found.setdefault(name, []).extend(durations_ms)
    if recorded:
        found["recorded, end to end"] = recorded
    times = []
    for name, measured in found.items():
        if measured:
            p50, p95 = np.percentile(measured, (50, 95)).tolist()
            cells = (f"{value:.1f} ms" for value in (p50, p95, max(measured)))
            chart = charts.histogram(measured, "ms", f"Histogram of the time of {name}")
            times.append({"name": name, "row": (name, len(measured), *cells), "chart": chart})
    return times


def _facts(result: Mapping[str, Any]) -> dict[str, str]:
    model = result["model"]
    versions = (f"{name} {value}" for name, value in result["versions"].items() if value)
    return {
        "model": ", ".join(model["ids"]),
        "weights": model["file"],
        "SHA-256": model["sha256"],
        "arithmetic": ", ".join(model["precision"]),
        "versions": ", ".join(versions),
    }
