"""Score recordings: all metrics, their intervals, and measured latency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
import torch

from avemo_ros.annotations.segments import (
    MAJORITY,
    Segment,
    TruthRule,
    agreement,
    majority_vote,
)
from avemo_ros.errors import LabelError
from avemo_ros.evaluate.bootstrap import LEAST, LEVEL, NO_SPREAD, TOO_FEW
from avemo_ros.evaluate.metric_tables import as_json
from avemo_ros.evaluate.metrics import NO_PREDICTION, macro_f1, macro_f1_all, never_true
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.matching import (
    MatchedRecording,
    MatchedStep,
    copies,
    first_copies,
    match_recording,
)
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.replay.stability import reaction, stability, steady
from avemo_ros.replay.stream_metrics import (
    USED,
    Bootstrap,
    brief_metrics,
    by_name,
    by_part,
    calibration,
    classification_metrics,
    coverage,
    modality_used,
    valence_arousal_metrics,
)
from avemo_ros.replay.stream_predictions import (
    StreamPredictions,
    emitted_labels,
    segment_predictions,
    status_of,
    step_predictions,
)
from avemo_ros.replay.tracking import tracking
from avemo_ros.sink.presentation import counted
from avemo_ros.state.estimate import Status
from avemo_ros.timing import mean_step_s, to_s

ROUNDS: Final = 1000
WORST: Final = 20
"""Segments that are listed as worst."""


def recorded_latency(recordings: Sequence[EvaluatedRecording]) -> dict[str, Any] | None:
    """Latency that recorded states tell of themselves [s]; None where none does.

    It is part of the recording and so the same in every run.
    """
    found = [value for recording in recordings for value in recording.replayed.latencies_s]
    if not found:
        return None
    p50, p95 = np.percentile(found, (50, 95)).tolist()
    return {"states": len(found), "p50_s": p50, "p95_s": p95, "max_s": max(found)}


def stage_times(recordings: Sequence[EvaluatedRecording]) -> dict[str, Any]:
    """Measured durations of every stage [ms], over all recordings and for each.

    Those are the newest ones that the stages keep, and others in every run.
    """
    stages: dict[str, list[float]] = {}
    for recording in recordings:
        for name, values in recording.replayed.stages_ms.items():
            stages.setdefault(name, []).extend(values)
    return {
        "stages_ms": {name: _summary(values) for name, values in stages.items() if values},
        "bags": {
            recording.name: {
                "seconds": recording.replayed.seconds,
                "stages_ms": {
                    name: _summary(values)
                    for name, values in recording.replayed.stages_ms.items()
                    if values
                },
            }
            for recording in recordings
        },
    }


def _summary(values: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(values, (50, 95)).tolist()
    return {"count": len(values), "p50": p50, "p95": p95, "max": max(values)}


def score(
    recordings: Sequence[EvaluatedRecording],
    *,
    rounds: int = ROUNDS,
    rule: TruthRule = MAJORITY,
    unscored: Sequence[EvaluatedRecording] = (),
    only_labelled: Sequence[Iterable[Segment]] = (),
) -> dict[str, Any]:
    """Metrics with names as in the JSON report; rates are shares, 0 to 1.

    `frames` scores every labelled step, so a long segment weighs more than a short one.
    `segments` has one prediction for each, from its mean distribution.  Both score the
    likeliest class, emitted or not; `coverage` scores the emitted labels.
    `frames_after_warm_up` are the `frames` without those at which a person or voice was not yet
    observed for long enough.  The same recordings give the same metrics, bit for bit.

    Args:
        recordings: with different names.
        rounds: of the bootstrap; 0: no intervals.
        rule: what is true where annotators differ.
        unscored: recordings that cannot be scored by this rule, but whose annotators are
            compared, and whose ties are counted.
        only_labelled: labels of recordings that could not be replayed; their annotators are
            compared.

    Raises:
        LabelError: no recording has a label that can be judged; names why for each.
    """
    matched, notes = _match_all(recordings, rule)
    kept = [one.recording for one in matched]
    people = [[one.who(place) for place in range(len(one.annotations))] for one in matched]
    steps = [(at, step) for at, one in enumerate(matched) for step in one.steps]
    asked = [(at, place) for at, one in enumerate(matched) for place in _asked(one)]
    persons = {people[at][place] for at, place in asked if matched[at].named(place)}
    unnamed = sum(not matched[at].named(place) for at, place in asked)
    first = first_copies(matched)
    notes += copies(matched, first)
    over = bootstrap_unit(len(persons), unnamed, len({first[at] for at, _ in asked}))
    bootstrap = Bootstrap(over, rounds)

    def group(at: int, place: int) -> str:
        bag, own = str(first[at]), matched[at].annotations[place]
        # Soft labels of one stretch are one segment.
        since_ns = own.start_ns - matched[at].recording.replayed.zero_ns
        segment = f"{bag} {since_ns} {own.person}"
        return {"persons": people[at][place], "bags": bag}.get(over, segment)

    frames = step_predictions(matched, (group(at, step.segment) for at, step in steps))
    segments = segment_predictions(matched, (group(at, place) for at, place in asked))
    statuses = [status_of(step.estimate) for _, step in steps]
    warm = frames.only(torch.tensor([name != Status.WARMING_UP.name for name in statuses]))
    estimates = [step.estimate for _, step in steps]
    step_s = mean_step_s(
        *([step.stamp_ns for step in recording.replayed.steps] for recording in kept)
    )
    listed = _listed(matched, segments, step_s)
    ties = _ties([*kept, *unscored], rule, step_s)
    notes = [*_ties_in_words(ties), *_never_true(frames, "frames"), *notes]
    undisputed = [one.undisputed() for one in matched]
    return as_json(
        {
            "classes": EMOTIONS,
            "sessions": len(kept),
            "persons": len(persons),
            "unnamed": unnamed,
            "hop_s": step_s,
            "labelled_s": frames.count() * step_s,
            "bootstrap": {
                "over": over,
                "groups": len(set(segments.groups)),
                "least": LEAST[over],
                "rounds": rounds,
                "level": LEVEL,
            },
            "frames": classification_metrics(frames, bootstrap),
            "frames_after_warm_up": {
                **classification_metrics(warm, bootstrap),
                "coverage": warm.count(warm.y_emitted >= 0) / warm.count()
                if len(warm)
                else None,
            },
            "segments": {**classification_metrics(segments, bootstrap), "list": listed},
            "worst": _worst(listed),
            "calibration": calibration(frames, bootstrap),
            "coverage": coverage(frames, statuses, bootstrap),
            "stability": stability(undisputed, step_s),
            "reaction": reaction(undisputed),
            "steady": steady(undisputed, step_s),
            "tracking": tracking(matched),
            "valence_arousal": valence_arousal_metrics(kept, rule.adjudicated),
            "by_modality": by_name(frames, [modality_used(item) for item in estimates], USED),
            "by_status": by_name(frames, statuses),
            "by_session": by_part(
                frames,
                segments,
                [matched[at].recording.name for at, _ in steps],
                [matched[at].recording.name for at, _ in asked],
            ),
            "by_person": by_part(
                frames,
                segments,
                [people[at][step.segment] for at, step in steps],
                [people[at][place] for at, place in asked],
            ),
            "agreement": compare_annotators([*recordings, *unscored], rule, only_labelled),
            "ties": ties,
            "notes": notes,
        }
    )


def bootstrap_unit(persons: int, unnamed: int, bags: int) -> str:
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


def _match_all(
    recordings: Sequence[EvaluatedRecording], rule: TruthRule
) -> tuple[list[MatchedRecording], list[str]]:
    """Those that can be judged, and what cannot."""
    matched: list[MatchedRecording] = []
    notes: list[str] = []
    for recording in recordings:
        try:
            found = match_recording(recording, rule)
        except LabelError as error:
            notes.append(str(error))
            continue
        notes += found.notes
        matched.append(found)
    if (
        not any(one.steps for one in matched)
        and not valence_arousal_metrics([one.recording for one in matched])["hops"]
    ):
        # What was left out may well be why.
        notes += [problem for one in recordings for problem in one.replayed.problems]
        raise LabelError(
            "nothing can be evaluated; " + "; ".join(notes or ["there are no sessions"])
        )
    return matched, notes


def _asked(matched: MatchedRecording) -> list[int]:
    """Places of the annotations that have steps."""
    return sorted({step.segment for step in matched.steps})


def _listed(
    matched: Sequence[MatchedRecording], segments: StreamPredictions, step_s: float
) -> list[dict[str, Any]]:
    """What was predicted for each segment, in the order of `segments`."""
    shares = segments.log_probabilities.exp()
    predicted, has_prediction = segments.y_pred.tolist(), segments.has_prediction.tolist()
    rows: list[dict[str, Any]] = []
    for one in matched:
        steps: dict[int, list[MatchedStep]] = {}
        for step in one.steps:
            steps.setdefault(step.segment, []).append(step)
        zero_ns = one.recording.replayed.zero_ns
        for place in _asked(one):
            at, truth, own = len(rows), one.annotations[place], steps[place]
            silent = sum(
                step.estimate is None or step.estimate.label not in EMOTIONS for step in own
            )
            start_s = to_s(truth.start_ns - zero_ns)
            answer = "" if predicted[at] == NO_PREDICTION else EMOTIONS[predicted[at]]
            row = shares[at].tolist() if has_prediction[at] else None
            rows.append(
                {
                    "session": one.recording.name,
                    "person": truth.person,
                    "start_s": start_s,
                    "end_s": to_s(truth.end_ns - zero_ns),
                    "truth": truth.label,
                    "share": truth.weight,
                    "answer": answer,
                    "right": answer == truth.label,
                    "truth_probability": row[EMOTIONS.index(truth.label)] if row else None,
                    "confidence": max(row) if row else None,
                    "hops": len(own),
                    "unknown": silent / len(own),
                    "claims": emitted_labels(own, zero_ns, start_s, step_s),
                }
            )
    return rows


def _worst(listed: Sequence[dict[str, Any]]) -> list[int]:
    """Places of the wrong ones whose truth was held for least likely; no answer comes last.
    Where several labels are true, nothing can be right by all of them."""
    wrong = [
        place for place, row in enumerate(listed) if not row["right"] and row["share"] == 1
    ]
    return sorted(
        wrong,
        key=lambda place: (
            listed[place]["truth_probability"] is None,
            listed[place]["truth_probability"] or 0.0,
            place,
        ),
    )[:WORST]


def compare_annotators(
    recordings: Sequence[EvaluatedRecording],
    rule: TruthRule = MAJORITY,
    only_labelled: Sequence[Iterable[Segment]] = (),
) -> dict[str, Any] | None:
    """How far the annotators agree over all that two or more have labelled, scored or not.

    Args:
        recordings: that were replayed.
        rule: who was no annotator, but knew what the others said.
        only_labelled: labels of others.

    Returns:
        As `agreement`, and `ties_s`, how long the votes are tied; None of one annotator.
    """
    labels = [recording.segments for recording in recordings]
    found = agreement([*labels, *only_labelled], rule.adjudicated)
    if found is None:
        return None
    plain = TruthRule(adjudicated=rule.adjudicated)
    tied_ns = sum(majority_vote(part, plain).tied_ns for part in [*labels, *only_labelled])
    return {**found, "ties_s": to_s(tied_ns)}


LEFT_OUT: Final = "left out"
SOFT: Final = "soft labels"


def _ties(
    recordings: Sequence[EvaluatedRecording], rule: TruthRule, step_s: float
) -> dict[str, Any] | None:
    """What becomes of the moments at which the votes are tied, and of the metrics either way.

    Returns:
        `seconds` (of estimates), `hops` and their `share` of all labelled ones, the `treatment`
        that was chosen, and `frames` for each: `hops`, `accuracy`, `ua` and `macro_f1` where
        they are left out, by soft labels, and by each annotator as the lead.  None without.
    """
    plain = TruthRule(adjudicated=rule.adjudicated)
    tied = [one for one in recordings if majority_vote(one.segments, plain).tied_ns]
    if not tied:
        return None
    names = {segment.annotator for one in tied for segment in one.segments if segment.label}
    rules = {LEFT_OUT: plain, SOFT: TruthRule(adjudicated=rule.adjudicated, soft=True)}
    rules |= {
        name: TruthRule(lead=name, adjudicated=rule.adjudicated)
        for name in sorted(names - {"", rule.adjudicated})
    }
    found: dict[str, Any] = {}
    for name, other in rules.items():
        matched = []
        for one in recordings:
            with suppress(LabelError):
                matched.append(match_recording(one, other))
        frames = step_predictions(matched, ("" for one in matched for _ in one.steps))
        found[name] = {"hops": frames.count(), **brief_metrics(frames)}
    hops = found[SOFT]["hops"] - found[LEFT_OUT]["hops"]
    if not hops:
        return None
    return {
        "seconds": hops * step_s,
        "hops": hops,
        "share": hops / found[SOFT]["hops"],
        "treatment": SOFT if rule.soft else rule.lead or LEFT_OUT,
        "frames": found,
    }


def _ties_in_words(ties: Mapping[str, Any] | None) -> list[str]:
    """How many moments are left out or decided, and the accuracy either way."""
    if ties is None:
        return []
    treatment = ties["treatment"]
    what = {LEFT_OUT: "these are left out", SOFT: "soft labels are used"}
    where = (
        f"the annotators' votes are tied in {ties['seconds']:.1f} s "
        f"({counted(ties['hops'], 'estimate')}, {100 * ties['share']:.1f} % of those labelled)"
        f"; {what.get(treatment, f'{treatment} decides')}"
    )
    ways = [
        (
            {LEFT_OUT: "without them", SOFT: "by soft labels"}.get(name, f"if {name} decides"),
            "-" if part["accuracy"] is None else f"{100 * part['accuracy']:.1f} %",
        )
        for name, part in ties["frames"].items()
    ]
    told = ", ".join(f"{share} {way}" for way, share in ways)
    return [f"{where}. Accuracy of frames: {told} (see --lead, --adjudicated, --soft-labels)"]


def _never_true(given: StreamPredictions, what: str) -> list[str]:
    """Of classes that are predicted and never true, and what they would do to the macro F1."""
    if not len(given):
        return []
    told = (given.y_pred, given.y_true)
    lost = never_true(*told, EMOTIONS, given.weights)
    if not lost:
        return []
    names = ", ".join(f"{name} ({count:g})" for name, count in lost.items())
    return [
        f"predicted for some {what}, but never labelled: {names}. These count as wrong. Macro "
        "F1 is over the classes that are true: "
        f"{100 * macro_f1(*told, given.weights):.1f} %, and "
        f"{100 * macro_f1_all(*told, given.weights):.1f} % with these as well"
    ]


def interval_text(overall: Mapping[str, Any], part: str, key: str) -> str:
    """The range of a metric in percent, or why there is none; '' without the metric.

    Args:
        overall: as `score` gives it.
        part: 'frames', 'frames_after_warm_up', 'segments', 'calibration' or 'coverage'.
        key: the metric in it.
    """
    found, boot = overall[part], overall["bootstrap"]
    if found[key] is None or not boot["rounds"]:
        return ""
    if found["intervals"] is None:
        return TOO_FEW
    ends = found["intervals"][key]
    return NO_SPREAD if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def intervals_in_words(overall: Mapping[str, Any]) -> str:
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
    text = (
        f"Ranges are {level} intervals, bootstrapped over {boot['groups']} {over} in "
        f"{boot['rounds']} rounds."
    )
    if over != "persons":
        text += " They say nothing of other people: " + (
            "not all have names, so persons cannot be counted."
            if overall["unnamed"]
            else f"for that it takes {LEAST['persons']} persons."
        )
    return text


def people_in_words(overall: Mapping[str, Any]) -> str:
    """How many people were judged, as far as that is known."""
    if not overall["unnamed"]:
        return counted(overall["persons"], "person", "people")
    if not overall["persons"]:
        return "people without names"
    return f"{counted(overall['persons'], 'person', 'people')} and others without names"
