"""All figures of some replayed recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from avemo_ros.clock import to_s
from avemo_ros.errors import LabelError
from avemo_ros.evaluate.measure import as_json
from avemo_ros.evaluate.metrics import NO_ANSWER
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.affect import affect
from avemo_ros.replay.answers import Answers, of_hops, of_segments, status_of
from avemo_ros.replay.claims import claims
from avemo_ros.replay.copies import copies, first_alike
from avemo_ros.replay.matching import Judged, JudgedHop, judge
from avemo_ros.replay.parts import USED, by_name, by_part, used
from avemo_ros.replay.rates import LEAST, LEVEL, Bootstrap, calibration, coverage, rates
from avemo_ros.replay.session import Session
from avemo_ros.replay.stability import reaction, stability
from avemo_ros.replay.tracking import tracking
from avemo_ros.timing import mean_step_s
from avemo_ros.truth.agreement import agreement

ROUNDS: Final = 1000
WORST: Final = 20
"""Segments that are listed as worst."""


def score(sessions: Sequence[Session], *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Figures with names as in the JSON report; rates are shares, 0 to 1.

    `frames` judges every hop with truth, so a long segment weighs more than a short one;
    `segments` gives each one answer, from its mean distribution.  Both judge the likeliest
    class, claimed or not; `coverage` judges the claims.  The same sessions give the same
    figures, bit for bit.

    Args:
        sessions: with different names.
        rounds: of the bootstrap; 0: no intervals.

    Raises:
        LabelError: no session has a label that can be judged; names why for each.
    """
    judged, notes = _judge_all(sessions)
    kept = [one.session for one in judged]
    people = [[one.who(place) for place in range(len(one.truth))] for one in judged]
    hops = [(at, hop) for at, one in enumerate(judged) for hop in one.hops]
    asked = [(at, place) for at, one in enumerate(judged) for place in _asked(one)]
    persons = {people[at][place] for at, place in asked if judged[at].named(place)}
    unnamed = sum(not judged[at].named(place) for at, place in asked)
    first = first_alike(judged)
    notes += copies(judged, first)
    over = drawn(len(persons), unnamed, len({first[at] for at, _ in asked}))
    bootstrap = Bootstrap(over, rounds)

    def group(at: int, place: int) -> str:
        bag = str(first[at])
        return {"persons": people[at][place], "bags": bag}.get(over, f"{bag} {place}")

    frames = of_hops(judged, (group(at, hop.segment) for at, hop in hops))
    segments = of_segments(judged, (group(at, place) for at, place in asked))
    estimates = [hop.estimate for _, hop in hops]
    hop_s = mean_step_s(*([hop.stamp_ns for hop in session.replayed.hops] for session in kept))
    listed = _listed(judged, segments, hop_s)
    return as_json(
        {
            "classes": EMOTIONS,
            "sessions": len(kept),
            "persons": len(persons),
            "unnamed": unnamed,
            "hop_s": hop_s,
            "labelled_s": len(hops) * hop_s,
            "bootstrap": {
                "over": over,
                "groups": len(set(segments.groups)),
                "least": LEAST[over],
                "rounds": rounds,
                "level": LEVEL,
            },
            "frames": rates(frames, bootstrap),
            "segments": {**rates(segments, bootstrap), "list": listed},
            "worst": _worst(listed),
            "calibration": calibration(frames, bootstrap),
            "coverage": coverage(frames, [status_of(item) for item in estimates], bootstrap),
            "stability": stability(judged, hop_s),
            "reaction": reaction(judged),
            "tracking": tracking(judged),
            "valence_arousal": affect(kept),
            "by_modality": by_name(frames, [used(item) for item in estimates], USED),
            "by_status": by_name(frames, [status_of(item) for item in estimates]),
            "by_session": by_part(
                frames,
                segments,
                [judged[at].session.name for at, _ in hops],
                [judged[at].session.name for at, _ in asked],
            ),
            "by_person": by_part(
                frames,
                segments,
                [people[at][hop.segment] for at, hop in hops],
                [people[at][place] for at, place in asked],
            ),
            "agreement": _agreement(judged),
            "notes": notes,
        }
    )


def drawn(persons: int, unnamed: int, bags: int) -> str:
    """What the bootstrap draws: the largest units of which there are enough.

    Answers on one person are alike, and those of one recording.  Who has no name may be the
    same one in every bag, so persons are counted only where all are named.

    Args:
        persons: with names.
        unnamed: segments of others.
        bags: with segments.
    """
    if not unnamed and persons >= LEAST["persons"]:
        return "persons"
    return "bags" if bags >= LEAST["bags"] else "segments"


def _judge_all(sessions: Sequence[Session]) -> tuple[list[Judged], list[str]]:
    """Those that can be judged, and what cannot."""
    judged: list[Judged] = []
    notes: list[str] = []
    for session in sessions:
        try:
            found = judge(session)
        except LabelError as error:
            notes.append(str(error))
            continue
        notes += found.notes
        judged.append(found)
    if (
        not any(one.hops for one in judged)
        and not affect([one.session for one in judged])["hops"]
    ):
        # What was left out may well be why.
        notes += [problem for one in sessions for problem in one.replayed.problems]
        raise LabelError(
            "nothing can be judged; " + "; ".join(notes or ["there are no sessions"])
        )
    return judged, notes


def _asked(judged: Judged) -> list[int]:
    """Places of the truths that have hops."""
    return sorted({hop.segment for hop in judged.hops})


def _listed(judged: Sequence[Judged], segments: Answers, hop_s: float) -> list[dict[str, Any]]:
    """What was said of each segment, in the order of `segments`."""
    shares = segments.log_probabilities.exp()
    said, told = segments.said.tolist(), segments.told.tolist()
    rows: list[dict[str, Any]] = []
    for one in judged:
        hops: dict[int, list[JudgedHop]] = {}
        for hop in one.hops:
            hops.setdefault(hop.segment, []).append(hop)
        zero_ns = one.session.replayed.zero_ns
        for place in _asked(one):
            at, truth, own = len(rows), one.truth[place], hops[place]
            silent = sum(
                hop.estimate is None or hop.estimate.label not in EMOTIONS for hop in own
            )
            start_s = to_s(truth.start_ns - zero_ns)
            answer = "" if said[at] == NO_ANSWER else EMOTIONS[said[at]]
            row = shares[at].tolist() if told[at] else None
            rows.append(
                {
                    "session": one.session.name,
                    "person": truth.person,
                    "start_s": start_s,
                    "end_s": to_s(truth.end_ns - zero_ns),
                    "truth": truth.label,
                    "answer": answer,
                    "right": answer == truth.label,
                    "truth_probability": row[EMOTIONS.index(truth.label)] if row else None,
                    "confidence": max(row) if row else None,
                    "hops": len(own),
                    "unknown": silent / len(own),
                    "claims": claims(own, zero_ns, start_s, hop_s),
                }
            )
    return rows


def _worst(listed: Sequence[dict[str, Any]]) -> list[int]:
    """Places of the wrong ones whose truth was held for least likely; no answer comes last."""
    wrong = [place for place, row in enumerate(listed) if not row["right"]]
    return sorted(
        wrong,
        key=lambda place: (
            listed[place]["truth_probability"] is None,
            listed[place]["truth_probability"] or 0.0,
            place,
        ),
    )[:WORST]


def _agreement(judged: Sequence[Judged]) -> dict[str, Any] | None:
    found = agreement([one.session.segments for one in judged])
    if found is None:
        return None
    return {**found, "ties_s": to_s(sum(one.tied_ns for one in judged))}
