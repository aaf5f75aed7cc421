"""One recording of a study as rows of its tables: steps, segments, events and their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from avemo_ros.annotations.segments import Segment, TruthRule
from avemo_ros.errors import LabelError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.replay.matching import PersonMatcher, check_ranges, match_recording
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.replay.stream_predictions import distribution, status_of
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep
from avemo_ros.study.phases import FACTORS, Phases, StudyMark
from avemo_ros.study.study_table import StudyRow
from avemo_ros.timing import NS_PER_S, mean_step_s, to_ns, to_s

Row = dict[str, Any]
"""Values by column; None is missing."""
Key = tuple[str, str, str, str]
"""Participant, session, condition and phase."""
_DATED_NS: Final = 946_684_800 * NS_PER_S
"""The year 2000: bags that are made of clips begin in 1970, which is no date [ns]."""
_DIGITS: Final = 6
_S_PER_MIN: Final = 60


@dataclass(slots=True)
class Totals:
    """Sums over the steps of a participant, from which every measure follows."""

    recordings: set[str] = field(default_factory=set)
    steps: int = 0
    seconds: float = 0.0
    true: Counter[str] = field(default_factory=Counter)
    """Labelled steps by class."""
    hits: Counter[str] = field(default_factory=Counter)
    claims: Counter[str] = field(default_factory=Counter)
    distributions: int = 0
    probabilities: list[float] = field(default_factory=lambda: [0.0] * len(EMOTIONS))
    circumplex: list[float] = field(default_factory=lambda: [0.0, 0.0])
    valid: int = 0
    """Steps with valence and arousal."""
    speaking: int = 0
    changes: int = 0
    followed_s: float = 0.0
    """Time for which changes are known: recorded states do not tell them [s]."""

    def add(self, other: Totals) -> None:
        """Take the sums of further steps."""
        self.recordings |= other.recordings
        self.steps += other.steps
        self.seconds += other.seconds
        for mine, theirs in (
            (self.true, other.true),
            (self.hits, other.hits),
            (self.claims, other.claims),
        ):
            mine.update(theirs)
        self.distributions += other.distributions
        self.valid += other.valid
        self.speaking += other.speaking
        self.changes += other.changes
        self.followed_s += other.followed_s
        self.probabilities = [
            a + b for a, b in zip(self.probabilities, other.probabilities, strict=True)
        ]
        self.circumplex = [
            a + b for a, b in zip(self.circumplex, other.circumplex, strict=True)
        ]

    def take(self, row: Row) -> None:
        """Take a row of `steps`."""
        self.recordings.add(row["recording"])
        self.steps += 1
        if row["truth"] is not None:
            self.true[row["truth"]] += 1
            self.hits[row["truth"]] += row["right"]
        if row["label"] is not None:
            self.claims[row["label"]] += 1
        if row["predicted"] is not None:
            self.distributions += 1
            for place, name in enumerate(EMOTIONS):
                self.probabilities[place] += row[f"p_{name}"]
        if row["valence"] is not None:
            self.valid += 1
            self.circumplex[0] += row["valence"]
            self.circumplex[1] += row["arousal"]
        self.speaking += row["speaking"] or 0

    def measures(self) -> Row:
        """Columns of the summary without the keys; None where nothing is there to divide by."""
        labelled, claims = self.true.total(), self.claims.total()
        recalls = [self.hits[name] / count for name, count in self.true.items()]
        minutes = self.followed_s / _S_PER_MIN
        return {
            "recordings": len(self.recordings),
            "steps": self.steps,
            "seconds": rounded(self.seconds),
            "labelled_steps": labelled,
            "accuracy": _share(self.hits.total(), labelled),
            "ua": rounded(sum(recalls) / len(recalls)) if recalls else None,
            "coverage": _share(claims, self.steps),
            **{f"share_{name}": _share(self.claims[name], claims) for name in EMOTIONS},
            **{
                f"p_{name}": _share(value, self.distributions)
                for name, value in zip(EMOTIONS, self.probabilities, strict=True)
            },
            "valence": _share(self.circumplex[0], self.valid),
            "arousal": _share(self.circumplex[1], self.valid),
            "speaking": _share(self.speaking, self.steps),
            "changes": self.changes if minutes else None,
            "changes_per_minute": _share(self.changes, minutes),
        }


class JudgedPiece(NamedTuple):
    """A label of one annotator, within one condition and phase."""

    condition: str
    phase: str
    """"" for none."""
    label: Segment


@dataclass(slots=True)
class StudyPart:
    """What a row of the study's table gives."""

    recording: Row
    """For the table `recordings`."""
    segments: list[Row]
    events: list[Row]
    totals: dict[Key, Totals]
    judged: list[JudgedPiece]
    """For the agreement."""


class PartMaker:
    """Turns one row of the study's table and its recording into rows.

    Args:
        row: of the study's table.
        recording: its replay and all its labels.
        phases: by the stamps of the replay; those of the row itself come first.
        marks: by the stamps of the replay.
        rule: what is true where annotators differ.

    Raises:
        LabelError: labels cannot be used, or it is not clear who the participant is.
    """

    def __init__(
        self,
        row: StudyRow,
        recording: EvaluatedRecording,
        phases: Phases,
        marks: Sequence[StudyMark],
        rule: TruthRule,
    ) -> None:
        self._row = row
        self._replayed = replayed = recording.replayed
        self._zero_ns = replayed.zero_ns
        self._phases, self._marks = phases, marks
        self._start_ns = self._zero_ns + to_ns(row.start_s)
        self._end_ns = (
            max(replayed.end_ns, replayed.steps[-1].stamp_ns if replayed.steps else 0) + 1
            if row.end_s is None
            else self._zero_ns + to_ns(row.end_s)
        )
        # Labels of the others tell that there are several people.
        self._matcher = PersonMatcher(recording)
        self.notes: list[str] = []
        person, own = self._own_labels(recording)
        if own:
            check_ranges(replace(recording, segments=tuple(own)))
        self._segments = tuple(
            replace(
                one,
                start_ns=max(one.start_ns, self._start_ns),
                end_ns=min(one.end_ns, self._end_ns),
            )
            for one in own
            if one.start_ns < self._end_ns and one.end_ns > self._start_ns
        )
        self._boxes = [one for one in own if one.box is not None]
        self._who = Segment(0, 1, "", person)
        if not self._boxes and not self._matcher.appears(self._who):
            known = ", ".join(sorted(self._matcher.ids)) or "none"
            raise LabelError(
                f"{person} never appears in the stream; ids there: {known}.  Name one of them "
                "in the column person, or map the name to ids with `people` in the labels"
            )
        self._truth: dict[int, str] = {}
        if self._segments:
            matched = match_recording(replace(recording, segments=self._segments), rule)
            self.notes += matched.notes
            self._truth = {
                step.stamp_ns: matched.annotations[step.segment].label for step in matched.steps
            }
        within = [step for step in replayed.steps if self._counts(step.stamp_ns)]
        self._steps = within
        self._estimates = [self._estimate(step) for step in within]
        self._step_s = mean_step_s([step.stamp_ns for step in replayed.steps])

    def steps(self) -> Iterator[Row]:
        """The rows of `steps`, oldest first."""
        for step, estimate in zip(self._steps, self._estimates, strict=True):
            yield {
                **self._keys(step.stamp_ns),
                **self._when(step.stamp_ns),
                "people": len(step.estimates),
                **_claim(estimate),
                **self._judged(step.stamp_ns, estimate),
            }

    def part(self, annotators: Sequence[str], problems: Sequence[str]) -> StudyPart:
        """All other rows, and the sums over `steps`.

        Args:
            annotators: who has labelled.
            problems: of the recording, besides those of the replay and the labels.
        """
        totals: dict[Key, Totals] = {}
        for row in self.steps():
            totals.setdefault(_key(row), Totals()).take(row)
        for one in totals.values():
            one.seconds = one.steps * self._step_s
            one.followed_s = 0.0 if self._replayed.source == "states" else one.seconds
        events = sorted(
            (*self._changes(), *self._marked()), key=lambda row: (row["t_s"], row["event"])
        )
        for row in events:
            if row["event"] == "label_change" and _key(row) in totals:
                totals[_key(row)].changes += 1
        pieces = list(self._pieces())
        return StudyPart(
            self._recording(annotators, [*self.notes, *problems]),
            [self._segment(piece) for piece in pieces if piece.label],
            events,
            totals,
            [
                JudgedPiece(keys["condition"] or "", keys["phase"] or "", piece)
                for piece in pieces
                if (keys := self._keys(piece.start_ns)) and piece.label
            ],
        )

    def _own_labels(self, recording: EvaluatedRecording) -> tuple[str, list[Segment]]:
        """Who the participant is, and the labels about them.

        Raises:
            LabelError: they name several people, and the row does not say which one it is.
        """
        row = self._row
        names = sorted({one.person for one in recording.segments} - {""})
        if not row.person and len(names) > 1:
            raise LabelError(
                f"the labels name {', '.join(names)}; say in the column person which of them "
                f"is {row.participant}"
            )
        person = row.person or next(iter(names), "")
        alike = {person, *(name for name in names if person in self._matcher.ids_of(name))}
        own = [one for one in recording.segments if not row.person or one.person in alike]
        if recording.segments and not own:
            others = ", ".join(names) or "whom the robot attends to"
            self.notes.append(f"no label is about {person}; they are about {others}")
        return person, own

    def _recording(self, annotators: Sequence[str], problems: Sequence[str]) -> Row:
        row, replayed = self._row, self._replayed
        return {
            **recording_row(row),
            "begins_at": _date(self._zero_ns),
            "seconds": rounded(max(0.0, to_s(replayed.end_ns - replayed.start_ns))),
            "source": replayed.source,
            "model": replayed.model_id or None,
            "steps": len(self._steps),
            "annotators": "; ".join(annotators) or None,
            "status": "ok",
            "problems": "; ".join([*replayed.problems, *problems]) or None,
        }

    def _counts(self, stamp_ns: int) -> bool:
        return self._start_ns <= stamp_ns < self._end_ns

    def _estimate(self, step: EmotionStep) -> EmotionEstimate | None:
        """That of the participant; None where the stream does not know them."""
        if not self._boxes:
            return self._matcher.find(self._who, step)
        here = next(
            (one for one in self._boxes if one.start_ns <= step.stamp_ns < one.end_ns), None
        )
        return None if here is None else self._matcher.find(here, step)

    def _keys(self, stamp_ns: int) -> Row:
        row = self._row
        return {
            "participant": row.participant,
            "session": row.session or None,
            "condition": row.condition or self._phases.at("condition", stamp_ns) or None,
            "phase": row.phase or self._phases.at("phase", stamp_ns) or None,
            "recording": row.recording,
        }

    def _when(self, stamp_ns: int) -> Row:
        return {"time": _date(stamp_ns), "t_s": self._seconds(stamp_ns)}

    def _seconds(self, stamp_ns: int) -> float:
        return rounded(to_s(stamp_ns - self._zero_ns))

    def _judged(self, stamp_ns: int, estimate: EmotionEstimate | None) -> Row:
        truth = self._truth.get(stamp_ns)
        right = None if truth is None else int(_likeliest(distribution(estimate)) == truth)
        return {"truth": truth, "right": right}

    def _pieces(self) -> Iterator[Segment]:
        """The labels, cut where a condition or a phase begins or ends."""
        for one in self._segments:
            for start_ns, end_ns in pairwise(self._phases.edges(one.start_ns, one.end_ns)):
                yield replace(one, start_ns=start_ns, end_ns=end_ns)

    def _segment(self, piece: Segment) -> Row:
        within = [
            estimate
            for step, estimate in zip(self._steps, self._estimates, strict=True)
            if piece.start_ns <= step.stamp_ns < piece.end_ns
        ]
        given = [row for one in within if (row := distribution(one))]
        mean = tuple(np.mean(given, axis=0).tolist()) if given else ()
        answer = _likeliest(mean)
        return {
            **self._keys(piece.start_ns),
            "annotator": piece.annotator or None,
            "start_s": self._seconds(piece.start_ns),
            "end_s": self._seconds(piece.end_ns),
            "label": piece.label,
            "valence": piece.valence,
            "arousal": piece.arousal,
            "steps": len(within),
            "predicted": answer,
            "confidence": rounded(max(mean)) if mean else None,
            "p_label": rounded(mean[EMOTIONS.index(piece.label)]) if mean else None,
            "coverage": _share(sum(_said(one) is not None for one in within), len(within)),
            "right": int(answer == piece.label) if mean else None,
        }

    def _changes(self) -> Iterator[Row]:
        """The participant's changes of the steady label."""
        for step, estimate in zip(self._steps, self._estimates, strict=True):
            if estimate is None:
                continue
            own = {estimate.face_id, estimate.voice_id} - {""}
            for change in step.changes:
                if own & {change.face_id, change.voice_id}:
                    yield {
                        **self._keys(change.stamp_ns),
                        **self._when(change.stamp_ns),
                        "event": "label_change",
                        "text": None,
                        "previous": _known(change.previous),
                        "label": _known(change.label),
                        "confidence": rounded(change.confidence),
                        "lasted_s": rounded(change.lasted_s),
                    }

    def _marked(self) -> Iterator[Row]:
        for mark in self._marks:
            if self._counts(mark.stamp_ns):
                yield {
                    **self._keys(mark.stamp_ns),
                    **self._when(mark.stamp_ns),
                    "event": mark.factor or "mark",
                    "text": mark.name or None,
                    **dict.fromkeys(("previous", "label", "confidence", "lasted_s")),
                }


def recording_row(row: StudyRow) -> Row:
    """A row of the study's table in `recordings`, with nothing of what became of it."""
    return {
        "participant": row.participant,
        "session": row.session or None,
        "condition": row.condition or None,
        "phase": row.phase or None,
        "recording": row.recording,
        "person": row.person or None,
        "start_s": row.start_s,
        "end_s": row.end_s,
        **{name: value or None for name, value in row.others.items()},
    }


def _key(row: Row) -> Key:
    return tuple(row[name] or "" for name in ("participant", "session", *FACTORS))  # type: ignore[return-value]


def _claim(estimate: EmotionEstimate | None) -> Row:
    """What is claimed of the participant."""
    given = distribution(estimate)
    valid = estimate is not None and estimate.valence_arousal_valid
    return {
        "face_id": (estimate.face_id or None) if estimate else None,
        "voice_id": (estimate.voice_id or None) if estimate else None,
        "status": status_of(estimate),
        "label": _said(estimate),
        "confidence": rounded(estimate.confidence) if estimate and given else None,
        "predicted": _likeliest(given),
        **{
            f"p_{name}": rounded(given[place]) if given else None
            for place, name in enumerate(EMOTIONS)
        },
        "valence": rounded(estimate.valence) if estimate and valid else None,
        "arousal": rounded(estimate.arousal) if estimate and valid else None,
        "face_share": rounded(estimate.face_share) if estimate else None,
        "voice_share": rounded(estimate.voice_share) if estimate else None,
        "speaking": int(estimate.speaking) if estimate else None,
    }


def _said(estimate: EmotionEstimate | None) -> str | None:
    return None if estimate is None else _known(estimate.label)


def _known(label: str) -> str | None:
    return label if label and label != UNKNOWN else None


def _likeliest(shares: Sequence[float]) -> str | None:
    return EMOTIONS[int(np.argmax(shares))] if len(shares) else None


def _share(part: float, whole: float) -> float | None:
    return rounded(part / whole) if whole else None


def rounded(value: float) -> float:
    """As it stands in a table."""
    return round(float(value), _DIGITS)


def _date(stamp_ns: int) -> str | None:
    """ISO 8601 in UTC, to the microsecond; None for what is no date."""
    if stamp_ns < _DATED_NS:
        return None
    whole, rest = divmod(stamp_ns, NS_PER_S)
    moment = datetime.fromtimestamp(whole, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def joined(parts: Iterable[StudyPart]) -> dict[Key, Totals]:
    """The sums over all parts, in the order in which their keys appear."""
    found: dict[Key, Totals] = {}
    for part in parts:
        for key, totals in part.totals.items():
            found.setdefault(key, Totals()).add(totals)
    return found
