"""The figures of a part of the answers: of a session, a person, a status, a modality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from avemo_ros.replay.answers import Answers
from avemo_ros.replay.rates import short_rates
from avemo_ros.state.estimate import EmotionEstimate

USED: Final = ("face", "voice", "both", "none")
"""What an estimate can rest on."""


def used(estimate: EmotionEstimate | None) -> str:
    """What a distribution rests on, one of USED."""
    if estimate is None or estimate.face_share == estimate.voice_share == 0:
        return "none"
    if estimate.face_share > 0 and estimate.voice_share > 0:
        return "both"
    return "face" if estimate.face_share > 0 else "voice"


def by_name(
    frames: Answers, names: Sequence[str], all_names: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Figures of the hops of each name.

    Args:
        frames: one question a hop.
        names: (N,) of each hop.
        all_names: those to tell of, in order; default: all that occur.

    Returns:
        For each `hops, share, claimed, accuracy, ua, macro_f1`.
    """
    parts: dict[str, dict[str, Any]] = {}
    places = _places(names)
    for name in all_names or sorted(places):
        part = frames.at(places.get(name, []))
        parts[name] = {
            "hops": len(part),
            "share": len(part) / len(frames) if len(frames) else None,
            "claimed": int((part.claimed >= 0).sum()),
            **short_rates(part),
        }
    return parts


def by_part(
    frames: Answers,
    segments: Answers,
    names_of_hops: Sequence[str],
    names_of_segments: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Figures of each session or person.

    Args:
        frames: one question a hop.
        segments: one question a segment.
        names_of_hops: (N,) of each hop.
        names_of_segments: (M,) of each segment.

    Returns:
        For each `hops, segments, accuracy, ua, macro_f1, segment_accuracy, coverage`.
    """
    parts: dict[str, dict[str, Any]] = {}
    of_frames, of_wholes = _places(names_of_hops), _places(names_of_segments)
    for name in sorted(of_frames):
        hops, whole = frames.at(of_frames[name]), segments.at(of_wholes[name])
        parts[name] = {
            "hops": len(hops),
            "segments": len(whole),
            **short_rates(hops),
            "segment_accuracy": short_rates(whole)["accuracy"],
            "coverage": int((hops.claimed >= 0).sum()) / len(hops),
        }
    return parts


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    """Where each name is."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found
