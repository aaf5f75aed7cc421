"""The emotional context of a moment: what is sensed, who pays attention, what was said.

`rasa` gives it as Rasa takes it, metadata of a message (REST channel) and slots (tracker), and
`tool_definition` and `tool_call` as OpenAI-compatible chat endpoints do.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.language import Tone
from avemo_ros.dialog.policy import Band, DialogState, Engagement, Mismatch, Trend, mood_of
from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import Change, EmotionStep, Status
from avemo_ros.state.memory import EmotionMemory
from avemo_ros.state.smoothing import SmoothedState, key_of
from avemo_ros.timing import to_ns, to_s

PERSON: Final = "person"
ROBOT: Final = "robot"
"""Who said something."""


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """Words of the conversation."""

    stamp_ns: int
    """When they were said [ns]."""
    speaker: str
    """PERSON or ROBOT."""
    text: str


@dataclass(frozen=True, slots=True)
class EmotionalContext:
    """How one person feels, how that has changed, and whether the words fit."""

    stamp_ns: int = 0
    """Moment that this is about, sensor time [ns]."""
    person: str = ""
    """Face id, or voice id of a voice without a face; "" where nobody is known."""
    label: str = UNKNOWN
    """Steady emotion: one of EMOTIONS, or 'unknown' where nothing is claimed."""
    confidence: float = 0.0
    """Of the label, 0 to 1; 0 for 'unknown'."""
    band: Band = Band.NONE
    since_s: float = 0.0
    """How long the label has been steady [s]; 0 for 'unknown'."""
    trend: Trend = Trend.UNKNOWN
    mood_per_s: float = 0.0
    """Slope of the mood, pleasant (1) to unpleasant (-1) [1/s]."""
    last_change: Change | None = None
    """The change to the present label, if it is recent; None for 'unknown'."""
    preceding: tuple[SpokenLine, ...] = ()
    """What was said last before that change: the person's words and the robot's answer."""
    turns_ago: int = 0
    """How many turns ago that was: 1 is the last one; 0 where nothing was said."""
    words: Tone = Tone.NEUTRAL
    engagement: Engagement = Engagement.UNKNOWN
    observed_s: float = 0.0
    """Time of the last seconds in which the person could be judged [s]."""

    @property
    def dialog_state(self) -> DialogState:
        """What a strategy is chosen by."""
        return DialogState(self.label, self.band, self.trend, self.words, self.engagement)

    @property
    def mismatch(self) -> Mismatch:
        """Between words and what face and voice show."""
        return self.dialog_state.mismatch

    @property
    def change_s(self) -> float:
        """How long ago the last change was [s]; 0 without one."""
        change = self.last_change
        return 0.0 if change is None else max(to_s(self.stamp_ns - change.stamp_ns), 0.0)

    def paragraph(self) -> str:
        """One paragraph of plain English for a system prompt."""
        return " ".join((*self._feeling(), *_ENGAGED[self.engagement]))

    def _feeling(self) -> list[str]:
        if self.label == UNKNOWN:
            return ["Nothing is known of how the person feels; assume nothing about it."]
        sure = "clearly" if self.band is Band.HIGH else "probably"
        lines = [
            f"The person seems {_SEEMS[self.label]}, {sure} so (confidence "
            f"{self.confidence:.2f}), for {self.since_s:.0f} s now."
        ]
        change = self.last_change
        if change is not None:
            if change.previous != UNKNOWN:
                lines.append(
                    f"Until {self.change_s:.0f} s ago they seemed {_SEEMS[change.previous]}, "
                    f"for {change.lasted_s:.0f} s."
                )
            if self.preceding:
                lines.append(f"That came after your answer {_ago(self.turns_ago)}.")
        return [*lines, *_MOVED[self.trend], *_MISMATCHED[self.mismatch]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; the names are stable, times are in seconds."""
        change = self.last_change
        return {
            "stamp": to_s(self.stamp_ns),
            "person": self.person,
            "emotion": self.label,
            "confidence": round(self.confidence, 3),
            "confidence_band": self.band.value,
            "since": round(self.since_s, 3),
            "trend": self.trend.value,
            "mood_per_second": round(self.mood_per_s, 4),
            "last_change": None
            if change is None
            else {
                "from": change.previous,
                "to": change.label,
                "lasted": round(change.lasted_s, 3),
                "ago": round(self.change_s, 3),
            },
            "preceded_by": [{"who": one.speaker, "text": one.text} for one in self.preceding],
            "words": self.words.value,
            "mismatch": self.mismatch.value,
            "engagement": self.engagement.value,
            "observed": round(self.observed_s, 3),
        }


def _ago(turns: int) -> str:
    return "before these words" if turns == 1 else f"{turns} answers ago"


_SEEMS: Final = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised",
}
_MOVED: Final = {
    Trend.IMPROVING: ("Their mood is getting better.",),
    Trend.STEADY: ("Their mood is steady.",),
    Trend.WORSENING: ("Their mood is getting worse.",),
    Trend.UNKNOWN: (),
}
_MISMATCHED: Final = {
    Mismatch.NONE: (),
    Mismatch.WORDS_BETTER: (
        "Their words sound pleasant, but face and voice do not: do not take the words alone.",
    ),
    Mismatch.WORDS_WORSE: (
        "Their words sound unpleasant, but face and voice do not: they may be joking.",
    ),
}
_ENGAGED: Final = {
    Engagement.ENGAGED: ("They are turned to you.",),
    Engagement.DISTRACTED: ("They are turned away from you.",),
    Engagement.ABSENT: ("They are not in view at the moment.",),
    Engagement.UNKNOWN: (),
}


YAW: Final = math.radians(25.0)
PITCH: Final = math.radians(20.0)
"""Largest turn of a head that faces the robot, whose camera is near its face."""
_POSE_HOLDS_NS: Final = to_ns(0.5)
"""A pose says something of the steps up to this much later."""
_MOST_PEOPLE: Final = 32
_MOST_STEPS: Final = 2000


class Presence:
    """Who is there, and with the robot; not for several threads at once."""

    def __init__(self, config: DialogConfig) -> None:
        self._engaged_ns = to_ns(config.engaged_s)
        self._absent_ns = to_ns(config.absent_after_s)
        self._stale_ns = to_ns(config.stale_after_s)
        self.clear()

    def clear(self) -> None:
        """Forget everyone."""
        self._people: dict[str, _Seen] = {}
        """By key; who was seen longest ago first."""
        self._now_ns: int | None = None

    def forget(self, key: str) -> None:
        """Forget one person."""
        self._people.pop(key, None)

    def look(self, face_id: str, stamp_ns: int, yaw: float, pitch: float) -> None:
        """Take a head pose.

        Args:
            face_id: whose it is.
            stamp_ns: sensor time [ns].
            yaw: turn to the side [rad]; 0 looks into the camera.
            pitch: turn up or down [rad].
        """
        seen = self._seen(face_id)
        seen.posed_ns = stamp_ns
        seen.faces = abs(yaw) <= YAW and abs(pitch) <= PITCH

    def push(self, step: EmotionStep) -> None:
        """Take one moment; with a stamp that goes back everyone is new."""
        if self._now_ns is not None and step.stamp_ns < self._now_ns:
            self.clear()
        if step.attended.status is Status.STALE_INPUT and not step.estimates:
            return
        self._now_ns = step.stamp_ns
        for estimate in step.estimates:
            key = key_of(estimate)
            if not key:
                continue
            seen = self._seen(key)
            # Recordings hold no boxes.
            has_face = bool(estimate.face_id)
            faces = has_face and estimate.status is not Status.LOW_QUALITY
            # Poses come by the face, whoever it is.
            pose = self._people.get(estimate.face_id, seen)
            if pose.posed_ns is not None and step.stamp_ns - pose.posed_ns <= _POSE_HOLDS_NS:
                faces = pose.faces
            speaks = estimate.speaking or not has_face
            seen.moments.append(_Moment(step.stamp_ns, speaks, faces))

    def of(self, key: str, stamp_ns: int) -> Engagement:
        """A person's engagement.

        Args:
            key: person id, face id, or voice id of a voice without a face; "" where nobody is
                known.
            stamp_ns: the moment [ns].
        """
        if self._now_ns is None or stamp_ns - self._now_ns > self._stale_ns:
            return Engagement.UNKNOWN
        seen = self._people.get(key)
        if seen is None or not seen.moments:
            return Engagement.ABSENT
        if stamp_ns - seen.moments[-1].stamp_ns > self._absent_ns:
            return Engagement.ABSENT
        since_ns = seen.moments[-1].stamp_ns - self._engaged_ns
        recent = [one for one in seen.moments if one.stamp_ns > since_ns]
        facing = sum(one.faces for one in recent)
        if any(one.speaks for one in recent) or 2 * facing >= len(recent):
            return Engagement.ENGAGED
        return Engagement.DISTRACTED

    def _seen(self, key: str) -> _Seen:
        seen = self._people.pop(key, None) or _Seen()
        self._people[key] = seen
        if len(self._people) > _MOST_PEOPLE:
            del self._people[next(iter(self._people))]
        return seen


@dataclass(frozen=True, slots=True)
class _Moment:
    stamp_ns: int
    speaks: bool
    """Is heard, with or without a face."""
    faces: bool
    """The face is turned to the robot."""


@dataclass(slots=True)
class _Seen:
    moments: deque[_Moment] = field(default_factory=lambda: deque(maxlen=_MOST_STEPS))
    posed_ns: int | None = None
    faces: bool = False


_LEAST_S: Final = 1.0
"""Less observed time than this has no trend."""


class Observer:
    """Everyone's feelings over time; not for several threads at once."""

    def __init__(self, config: DialogConfig, steady: SteadyConfig) -> None:
        self._config = config
        self.memory = EmotionMemory(steady)
        self.attention = Presence(config)

    def clear(self) -> None:
        """Forget everyone."""
        self.memory.clear()
        self.attention.clear()

    def forget(self, key: str) -> None:
        """Forget one person.

        Args:
            key: person id, face id, or voice id of a voice without a face.
        """
        self.memory.forget(key)
        self.attention.forget(key)

    def push(self, step: EmotionStep) -> tuple[Change, ...]:
        """Take one moment; returns the changes that became certain with it."""
        self.attention.push(step)
        return self.memory.push(step)

    def moment(self, stamp_ns: int | None) -> int:
        """A stamp [ns]; None: that of the newest step, 0 before the first."""
        return stamp_ns if stamp_ns is not None else self.memory.now_ns or 0

    def engagement(self, person: str, stamp_ns: int | None) -> Engagement:
        """A person's engagement; arguments as for `context`."""
        key = self.memory.steady.find(person)
        return self.attention.of(key, self.moment(stamp_ns))

    def context(
        self, person: str, stamp_ns: int | None, words: Tone, conversation: Sequence[SpokenLine]
    ) -> EmotionalContext:
        """What is known of a person at a moment.

        Args:
            person: person, face or voice id; "" for the one attended to, or attended to last.
            stamp_ns: the moment, sensor time [ns]; None: that of the newest step.
            words: tone of what the person says now.
            conversation: so far, oldest first.
        """
        now_ns = self.moment(stamp_ns)
        key = self.memory.steady.find(person)
        state = self.memory.steady.of(key) if key else None
        engagement = self.attention.of(key, now_ns)
        if state is None or not self._is_claim(state, now_ns):
            return EmotionalContext(now_ns, key, words=words, engagement=engagement)
        trend, mood_per_s, observed_s = self._trend(key)
        change = self._change(key, state.label, now_ns)
        preceding, turns_ago = (
            ((), 0) if change is None else self._preceding(change, conversation)
        )
        return EmotionalContext(
            stamp_ns=now_ns,
            person=key,
            label=state.label,
            confidence=state.confidence,
            band=self._band(state.confidence),
            since_s=max(to_s(now_ns - state.since_ns), 0.0),
            trend=trend,
            mood_per_s=mood_per_s,
            last_change=change,
            preceding=preceding,
            turns_ago=turns_ago,
            words=words,
            engagement=engagement,
            observed_s=observed_s,
        )

    def _is_claim(self, state: SmoothedState, now_ns: int) -> bool:
        sure = state.label != UNKNOWN and state.confidence >= self._config.min_confidence
        return sure and now_ns - state.stamp_ns <= to_ns(self._config.stale_after_s)

    def _band(self, confidence: float) -> Band:
        return Band.HIGH if confidence >= self._config.high_confidence else Band.MEDIUM

    def _trend(self, key: str) -> tuple[Trend, float, float]:
        """The trend, the mood's slope [1/s] and the observed time [s]."""
        history = self.memory.history(key, self._config.trend_window_s)
        if history is None:
            return Trend.UNKNOWN, 0.0, 0.0
        if not history.trend or history.observed_s < _LEAST_S:
            return Trend.UNKNOWN, 0.0, history.observed_s
        slope = mood_of(history.trend)
        if abs(slope) < self._config.trend_per_s:
            trend = Trend.STEADY
        else:
            trend = Trend.IMPROVING if slope > 0.0 else Trend.WORSENING
        return trend, slope, history.observed_s

    def _change(self, key: str, label: str, now_ns: int) -> Change | None:
        change = self.memory.last_change(key)
        if change is None:
            return None
        recent = now_ns - change.stamp_ns <= to_ns(self._config.change_window_s)
        return change if recent and change.label == label else None

    def _preceding(
        self, change: Change, conversation: Sequence[SpokenLine]
    ) -> tuple[tuple[SpokenLine, ...], int]:
        """The turn before a change, and how many turns ago it was."""
        since_ns = change.stamp_ns - to_ns(self._config.change_window_s)
        stamps = sorted({one.stamp_ns for one in conversation}, reverse=True)
        for turns_ago, stamp_ns in enumerate(stamps, 1):
            if since_ns <= stamp_ns <= change.stamp_ns:
                return tuple(one for one in conversation if one.stamp_ns == stamp_ns), turns_ago
        return (), 0


TOOL: Final = "get_emotional_context"
_SLOTS: Final = (
    "emotion",
    "confidence",
    "confidence_band",
    "trend",
    "words",
    "mismatch",
    "engagement",
)


def rasa(context: EmotionalContext) -> dict[str, Any]:
    """`metadata` for a message and `events` that set a slot each, ready for JSON.

    The slots are those of _SLOTS, each with 'emotional_' before its name.
    """
    values = context.as_dict()
    return {
        "metadata": {"emotional_context": values},
        "events": [
            {
                "event": "slot",
                "timestamp": None,
                "name": f"emotional_{name}",
                "value": values[name],
            }
            for name in _SLOTS
        ],
    }


def tool_definition() -> dict[str, Any]:
    """The tool that a model may call, ready for JSON."""
    return {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "How the person seems to feel, from face and voice: emotion with "
            "confidence ('unknown' if uncertain), trend of the mood, mismatch "
            "between words and tone, engagement.",
            "parameters": {
                "type": "object",
                "properties": {
                    "person": {
                        "type": "string",
                        "description": "Id of the person; empty for the attended person.",
                    }
                },
                "required": [],
                "additionalProperties": False,
            },
        },
    }


def tool_call(context: EmotionalContext, call_id: str = "emotion") -> list[dict[str, Any]]:
    """The call and its result as two messages of a chat, ready for JSON.

    What a person said is not in the result: a model takes results for true.
    """
    result = {key: value for key, value in context.as_dict().items() if key != "preceded_by"}
    call = {
        "id": call_id,
        "type": "function",
        "function": {"name": TOOL, "arguments": json.dumps({"person": context.person})},
    }
    content = json.dumps({**result, "summary": context.paragraph()})
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": content},
    ]
