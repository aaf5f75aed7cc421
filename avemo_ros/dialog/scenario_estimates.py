"""The estimates of a scenario: synthetic ones, with the errors of a calibrated classifier, or
recorded ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from avemo_ros.config import EmotionConfig
from avemo_ros.dialog.context import YAW
from avemo_ros.dialog.scenario import Feeling, Scenario
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status, recorded_status
from avemo_ros.timing import to_ns, to_s
from avemo_ros.untrusted import parse_json, read_text

START_NS: Final = to_ns(1_000.0)
"""Sensor time at which every conversation begins."""
_LASTS_S: Final = 1.0
"""A draw is kept for this long on average, as windows overlap: the autocorrelation of the live
model's log-probabilities on the sample clip falls to 1/e within about this time."""
_EMOTION: Final = EmotionConfig()
_GONE: Final = (Status.NOBODY, Status.STALE_INPUT)
_SPEECH_S: Final = 0.06
"""Time that a sign takes to be said."""
_LONGEST_SPEECH_S: Final = 6.0
_VOICE_SHARE: Final = 0.4


def synthetic_yaw(scenario: Scenario, stamp_ns: int) -> tuple[str, float] | None:
    """Whose head is seen at the moment of a step, and how far it is turned [rad].

    Returns:
        None where no face is seen.
    """
    feeling = scenario.feeling_at(to_s(stamp_ns - START_NS))
    if feeling is None or feeling.by == "voice" or feeling.status in _GONE:
        return None
    return feeling.person, math.radians(feeling.turned)


def synthetic_estimates(scenario: Scenario) -> Iterator[EmotionStep]:
    """The estimates of a conversation, ten a second, from its script.

    The same scenario gives the same estimates.
    """
    source = _Source(scenario)
    steps = math.floor(scenario.duration_s / _EMOTION.hop_s + 1e-9)
    for step in range(1, steps + 1):
        yield source.step(step * _EMOTION.hop_s)


@dataclass(frozen=True, slots=True)
class _Draw:
    """A distribution and for whom it was drawn."""

    person: str
    confidence: float
    noise: float
    probabilities: tuple[float, ...]


class _Source:
    """Draws the distributions in the order of time."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._random = random.Random(f"{scenario.name} {scenario.seed}")  # noqa: S311  noise
        self._keep = math.exp(-_EMOTION.hop_s / _LASTS_S)
        self._draw: _Draw | None = None
        self._person = ""
        self._since_s = 0.0
        self._speech = [
            (line.at_s - min(_SPEECH_S * len(line.text), _LONGEST_SPEECH_S), line.at_s)
            for line in scenario.lines
        ]

    def step(self, t_s: float) -> EmotionStep:
        feeling = self._scenario.feeling_at(t_s)
        assert feeling is not None  # scripts begin at 0
        there = feeling.status not in _GONE
        person = feeling.person if there else ""
        if person != self._person:
            self._person, self._since_s, self._draw = person, feeling.at_s, None
        stamp_ns = START_NS + to_ns(t_s)
        estimate = self._estimate(t_s, stamp_ns, feeling)
        return EmotionStep(stamp_ns, (estimate,) if there else (), estimate, stamp_ns)

    def _estimate(self, t_s: float, stamp_ns: int, feeling: Feeling) -> EmotionEstimate:
        status = feeling.status
        if status is Status.OK and t_s - self._since_s < _EMOTION.warm_up_s:
            status = Status.WARMING_UP
        if status is not Status.OK:
            return _no_claim(stamp_ns, self._person, feeling.by, status)
        probabilities = self._distribution(t_s, feeling)
        confidence = max(probabilities)
        label = EMOTIONS[probabilities.index(confidence)]
        voice = self._voice_share(t_s, feeling)
        if confidence < _EMOTION.min_confidence:
            label, status = UNKNOWN, Status.UNCERTAIN
        elif feeling.by == "voice":
            status = Status.NO_FACE
        elif voice == 0.0:
            status = Status.NO_VOICE
        return EmotionEstimate(
            stamp_ns=stamp_ns,
            window_start_ns=stamp_ns - to_ns(_EMOTION.window_s),
            person_id="",
            face_id="" if feeling.by == "voice" else self._person,
            voice_id=self._person if feeling.by == "voice" else "",
            label=label,
            confidence=confidence,
            probabilities=probabilities,
            face_share=1.0 - voice,
            voice_share=voice,
            status=status,
            box=None,
            speaking=not _away(feeling)
            and any(start <= t_s <= end for start, end in self._speech),
            model_id="scripted",
        )

    def _voice_share(self, t_s: float, feeling: Feeling) -> float:
        if feeling.by == "voice":
            return 1.0
        heard = any(start <= t_s < end + _EMOTION.window_s for start, end in self._speech)
        return _VOICE_SHARE if feeling.by == "both" and heard and not _away(feeling) else 0.0

    def _distribution(self, t_s: float, feeling: Feeling) -> tuple[float, ...]:
        draw = self._draw
        kept = (
            draw is not None
            and (draw.confidence, draw.noise) == (feeling.confidence, feeling.noise)
            and self._random.random() < self._keep
        )
        if draw is None or not kept:
            # An estimate rests on a whole window: after a change it tells of the past, too.
            seen_s = max(t_s - _EMOTION.window_s * self._random.random(), self._since_s)
            past = self._scenario.feeling_at(seen_s)
            known = past is not None and past.emotion != UNKNOWN
            emotion = past.emotion if past is not None and known else feeling.emotion
            probabilities = drawn(emotion, feeling.confidence, feeling.noise, self._random)
            draw = _Draw(self._person, feeling.confidence, feeling.noise, probabilities)
            self._draw = draw
        return draw.probabilities


def drawn(
    emotion: str, confidence: float, noise: float, source: random.Random
) -> tuple[float, ...]:
    """What a classifier says of someone who feels `emotion`.

    Args:
        emotion: one of EMOTIONS.
        confidence: mean probability of it, above 1/7, at most 1.
        noise: 0 gives the mean itself, 1 the spread of a calibrated classifier, more than 1 one
            that is too sure of itself.
        source: of the randomness.

    Returns:
        Probabilities in the order of EMOTIONS; they sum to 1.
    """
    count = len(EMOTIONS)
    mean = [
        confidence if name == emotion else (1 - confidence) / (count - 1) for name in EMOTIONS
    ]
    if noise == 0.0 or confidence >= 1.0:
        return tuple(mean)
    prior = (1 - confidence) / (count * confidence - 1)
    shapes = [(prior + (name == emotion)) / noise for name in EMOTIONS]
    weights = [source.gammavariate(shape, 1.0) for shape in shapes]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights) if total > 0.0 else tuple(mean)


def _away(feeling: Feeling) -> bool:
    """Whether the mouth is not seen to speak: a voice is not taken for this person's."""
    return math.radians(feeling.turned) > YAW


def _no_claim(stamp_ns: int, person: str, by: str, status: Status) -> EmotionEstimate:
    return EmotionEstimate(
        stamp_ns=stamp_ns,
        window_start_ns=stamp_ns,
        person_id="",
        face_id="" if by == "voice" else person,
        voice_id=person if by == "voice" else "",
        label=UNKNOWN,
        confidence=0.0,
        probabilities=(),
        face_share=0.0,
        voice_share=0.0,
        status=status,
        box=None,
        speaking=False,
        model_id="scripted",
    )


def recorded_estimates(path: Path) -> Iterator[EmotionStep]:
    """The steps of a JSON Lines file, oldest first; `t` = 0 becomes START_NS.

    Raises:
        DialogError: the file cannot be read, or a line is not as `avemo predict` writes it.
    """
    before = -math.inf
    for t, group in groupby(_records(path), key=lambda item: item[1]["t"]):
        rows = list(group)
        number = rows[0][0]
        if not t > before:
            raise DialogError(
                f"{path}, line {number}: t is {t:g} after {before:g}; it must rise"
            )
        before = t
        estimates = [_estimate(path, number, row) for number, row in rows]
        attended = [
            one for one, (_, row) in zip(estimates, rows, strict=True) if row["attended"]
        ]
        if len(attended) != 1:
            raise DialogError(
                f"{path}, line {number}: {len(attended)} people are marked as attended at t = "
                f"{t:g}; allowed: 1"
            )
        people = tuple(one for one in estimates if one.face_id or one.voice_id)
        yield EmotionStep(estimates[0].stamp_ns, people, attended[0], estimates[0].stamp_ns)


_FARTHEST_S: Final = 1e9
"""Of a state from the first: thirty years."""


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and content of each line."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DialogError(f"cannot read {path}: {why}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        time = row.get("t") if isinstance(row, dict) else None
        # NaN is not between, and whole numbers may be too large for a float.
        if not isinstance(time, int | float) or not -_FARTHEST_S < time < _FARTHEST_S:
            raise DialogError(f"{path}, line {number}: not a state written by `avemo predict`")
        yield number, row


def _estimate(path: Path, number: int, row: dict[str, Any]) -> EmotionEstimate:
    try:
        probabilities: tuple[float, ...] = ()
        if row["probabilities"] is not None:
            shares = [float(row["probabilities"][label]) for label in EMOTIONS]
            total = math.fsum(shares)
            if min(shares) < 0.0 or not math.isclose(total, 1.0, abs_tol=1e-3):
                raise ValueError
            # Six decimals do not sum to 1 exactly.
            probabilities = tuple(share / total for share in shares)
        if row["label"] not in (*EMOTIONS, UNKNOWN):
            raise ValueError
        return EmotionEstimate(
            stamp_ns=START_NS + to_ns(float(row["t"])),
            window_start_ns=START_NS + to_ns(float(row["window_start"])),
            person_id=str(row["person_id"]),
            face_id=str(row["face_id"]),
            voice_id=str(row["voice_id"]),
            label=row["label"],
            confidence=float(row["confidence"]),
            probabilities=probabilities,
            face_share=float(row["face_share"]),
            voice_share=float(row["voice_share"]),
            status=recorded_status(Status[row["status"]], (row["face_id"], row["voice_id"])),
            box=None,
            speaking=bool(row["speaking"]),
            model_id=str(row["model_id"]),
        )
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DialogError(
            f"{path}, line {number}: not a state written by `avemo predict` ({error!r})"
        ) from error
