"""What an LLM agent may know of the people in front of the robot, as tools.

They only read.  They listen to `steady_states`, `emotion_events`, `sensing` and
`forgotten_person`, keep what is true now in RAM, and give numbers and labels: never words,
images or sound.  Where sensing is switched off they say so, and give nothing.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, Field
from rclpy.node import Node
from std_msgs.msg import Bool, String

from avemo_ros.bag import message_content
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.policy import NEGATIVE, Trend, mood_of
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.msg import EmotionEvent, EmotionStateArray
from avemo_ros.nodes import qos, sensing
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.state.estimate import EmotionEstimate
from avemo_ros.state.smoothing import key_of
from avemo_ros.timing import to_ns, to_s

_QUIET_S: Final = 3.0
"""Without states for this long nothing is known of now."""
_FOUND_S: Final = 3.0
"""The emotion nodes are found within this time of the start, if they run."""
_LONGEST_WAIT_S: Final = 600.0

Emotion = Literal["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
assert get_args(Emotion) == EMOTIONS
Whose = Annotated[
    str, Field(description="A person's id, as who_is_there gives it; empty: everybody.")
]


class Sensing(BaseModel):
    """Whether people are sensed."""

    sensing: Literal["on", "off", "no data"] = Field(
        description=(
            "on: states arrive. off: it is switched off, and nothing is known of anybody. "
            "no data: no states arrive, so nobody knows who is there."
        )
    )
    note: str = Field("", description="What to know about this answer; empty: nothing.")


class PersonThere(BaseModel):
    """Somebody in front of the robot."""

    person: str = Field(description="Id; says nothing about who it is.")
    distance_m: float | None = Field(description="From the camera [m]; null: not known.")
    engagement: Literal["unknown", "disengaged", "engaging", "engaged", "disengaging"] = Field(
        description="Whether the person turns to the robot."
    )
    speaking: bool = Field(description="Is speaking now.")


class WhoIsThere(Sensing):
    """Everybody in front of the robot."""

    people: list[PersonThere]


class PersonFeeling(BaseModel):
    """How somebody seems to feel: an estimate, which can be wrong."""

    person: str = Field(description="Id; says nothing about who it is.")
    emotion: Emotion | Literal["unknown"] = Field(description="Smoothed, steady emotion.")
    confidence: float = Field(ge=0, le=1, description="Of the emotion; 0: unknown.")
    since_s: float | None = Field(
        description="How long the emotion has been steady [s]; null: unknown."
    )
    since_at_least: bool = Field(
        description="It was already so when this server first saw the person."
    )
    trend: Literal["improving", "steady", "worsening", "unknown"] = Field(
        description="Where the mood is going, towards pleasant or unpleasant."
    )
    mood_per_s: float | None = Field(
        description="Slope of the mood, which is -1 to 1 [1/s]; null: unknown."
    )


class HowTheyFeel(Sensing):
    """How people feel."""

    people: list[PersonFeeling]


class Upset(Sensing):
    """Whether somebody is upset."""

    upset: bool
    who: PersonFeeling | None = Field(description="The first person who is; null: nobody.")
    waited_s: float = Field(description="How long it took [s].")


@dataclass(slots=True)
class _Seen:
    """Somebody who is there."""

    estimate: EmotionEstimate
    since_ns: int
    at_least: bool
    moods: deque[tuple[int, float]] = field(default_factory=deque)
    """Stamps [ns] and moods of the trend's window."""


class SensedPeople:
    """What is true now of everybody; may be used from several threads.

    Args:
        clock: steady time [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._dialog = DialogConfig()
        self._told: bool | None = None
        self._heard_s: float | None = None
        self._people: dict[str, _Seen] = {}
        self._events: dict[str, tuple[str, int]] = {}
        """Label and stamp [ns] of everybody's newest change."""
        self._listeners: list[Callable[[], None]] = []

    def tell(self, *, sensing_is_on: bool) -> None:
        """Take what `sensing` says; off forgets everybody."""
        with self._lock:
            self._told = sensing_is_on
            if not sensing_is_on:
                self._forget_all()
        self._changed()

    def forget(self, person: str) -> None:
        """Forget one person, by person, face or voice id."""
        with self._lock:
            for key in [*self._people]:
                if person in _ids(self._people[key].estimate):
                    del self._people[key]
                    self._events.pop(key, None)
            self._events.pop(person, None)
        self._changed()

    def see(self, estimates: Sequence[EmotionEstimate], stamp_ns: int) -> None:
        """Take everybody's steady state of one moment; who is not in it is gone.

        Args:
            estimates: label, confidence and distribution are the steady ones.
            stamp_ns: sensor time [ns].
        """
        with self._lock:
            if self._told is False:
                return
            self._heard_s = self._clock()
            before, self._people = self._people, {}
            for estimate in estimates:
                key = key_of(estimate)
                if key:
                    self._people[key] = self._seen(before.get(key), key, estimate, stamp_ns)
            self._events = {k: v for k, v in self._events.items() if k in self._people}
        self._changed()

    def change(self, key: str, label: str, stamp_ns: int) -> None:
        """Take a change of somebody's steady emotion.

        Args:
            key: person id, else face id, else voice id.
            label: the emotion now.
            stamp_ns: since when, sensor time [ns].
        """
        with self._lock:
            if self._told is False:
                return
            self._events[key] = (label, stamp_ns)
            seen = self._people.get(key)
            if seen is not None and seen.estimate.label == label:
                seen.since_ns, seen.at_least = stamp_ns, False

    def sensing(self) -> Sensing:
        """Whether people are sensed."""
        with self._lock:
            return self._sensing()

    def who_is_there(self) -> WhoIsThere:
        """Everybody, the largest face first."""
        with self._lock:
            now = self._sensing()
            there = [self._there(one.estimate) for one in self._now(now).values()]
            return WhoIsThere(**now.model_dump(), people=there)

    def how_they_feel(self, person: str = "") -> HowTheyFeel:
        """How one person or everybody feels.

        Args:
            person: person, face or voice id; "" for everybody.
        """
        with self._lock:
            now = self._sensing()
            seen = self._now(now)
            wanted = [one for one in seen.values() if person in ("", *_ids(one.estimate))]
            if person and not wanted and now.sensing == "on":
                now.note = f"nobody with the id {person!r} is there; who_is_there has the ids"
            people = [self._feeling(one) for one in wanted]
            return HowTheyFeel(**now.model_dump(), people=people)

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Meanwhile `listener` is called, on any thread, when something may have changed."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _changed(self) -> None:
        for listener in [*self._listeners]:
            listener()

    def _forget_all(self) -> None:
        self._people, self._events, self._heard_s = {}, {}, None

    def _now(self, now: Sensing) -> dict[str, _Seen]:
        return self._people if now.sensing == "on" else {}

    def _sensing(self) -> Sensing:
        if self._told is False:
            return Sensing(
                sensing="off",
                note="sensing is switched off (set_sensing); nothing is known of anybody",
            )
        if self._heard_s is not None and self._clock() - self._heard_s <= _QUIET_S:
            return Sensing(sensing="on", note="")
        running = "it is switched on, but" if self._told else "no emotion node was heard;"
        return Sensing(
            sensing="no data", note=f"{running} no states arrive, so nobody knows who is there"
        )

    def _seen(
        self, before: _Seen | None, key: str, estimate: EmotionEstimate, stamp_ns: int
    ) -> _Seen:
        label, since_ns = self._events.get(key, ("", 0))
        if label == estimate.label:
            seen = _Seen(estimate, since_ns, at_least=False)
        elif before is not None and before.estimate.label == estimate.label:
            seen = _Seen(estimate, before.since_ns, before.at_least)
        else:
            # Its event may still be on the way.
            seen = _Seen(estimate, stamp_ns, at_least=before is None)
        if before is not None:
            seen.moods = before.moods
        if estimate.probabilities:
            seen.moods.append((stamp_ns, mood_of(estimate.probabilities)))
        oldest_ns = stamp_ns - to_ns(self._dialog.trend_window_s)
        while seen.moods and not oldest_ns <= seen.moods[0][0] <= stamp_ns:
            seen.moods.popleft()
        return seen

    def _there(self, estimate: EmotionEstimate) -> PersonThere:
        return PersonThere.model_validate(
            {
                "person": key_of(estimate),
                "distance_m": _rounded(estimate.distance, 2),
                "engagement": estimate.engagement.name.lower(),
                "speaking": estimate.speaking,
            }
        )

    def _feeling(self, seen: _Seen) -> PersonFeeling:
        estimate = seen.estimate
        known = estimate.label in EMOTIONS
        slope = _slope(seen.moods) if known else None
        if slope is None:
            trend = Trend.UNKNOWN
        elif abs(slope) < self._dialog.trend_per_s:
            trend = Trend.STEADY
        else:
            trend = Trend.IMPROVING if slope > 0 else Trend.WORSENING
        since_s = max(0.0, to_s(estimate.stamp_ns - seen.since_ns))
        return PersonFeeling.model_validate(
            {
                "person": key_of(estimate),
                "emotion": estimate.label if known else UNKNOWN,
                "confidence": round(estimate.confidence, 3) if known else 0.0,
                "since_s": round(since_s, 1) if known else None,
                "since_at_least": known and seen.at_least,
                "trend": trend.value,
                "mood_per_s": _rounded(slope, 4),
            }
        )


def _ids(estimate: EmotionEstimate) -> tuple[str, ...]:
    return tuple(filter(None, (estimate.person_id, estimate.face_id, estimate.voice_id)))


def _rounded(value: float | None, digits: int) -> float | None:
    return round(value, digits) if value is not None and math.isfinite(value) else None


def _slope(moods: Sequence[tuple[int, float]]) -> float | None:
    """Least squares [1/s]; None where there are fewer than three moods."""
    if len(moods) < 3:
        return None
    times = [to_s(stamp_ns - moods[-1][0]) for stamp_ns, _ in moods]
    middle = sum(times) / len(times)
    spread = sum((t - middle) ** 2 for t in times)
    if spread == 0.0:
        return None
    return sum((t - middle) * mood for t, (_, mood) in zip(times, moods, strict=True)) / spread


class SensedPeopleNode(Node):
    """Fills a SensedPeople from the topics of the emotion nodes."""

    def __init__(self, name: str, people: SensedPeople) -> None:
        """Set up.

        Args:
            name: of the node.
            people: to fill.
        """
        super().__init__(name)
        self._people = people
        self._trouble = ThrottledLog(self.get_logger(), "steady_states")
        latched = qos.result(1, latched=True)
        for kind, topic, take, profile in (
            (Bool, sensing.TOPIC, self._take_sensing, latched),
            (EmotionEvent, "emotion_events", self._take_event, qos.result(20)),
            (EmotionStateArray, "steady_states", self._take_states, latched),
            (String, sensing.FORGOTTEN, self._take_forgotten, qos.result(10)),
        ):
            self.create_subscription(kind, topic, take, profile)

    def _take_sensing(self, message: Any) -> None:
        self._people.tell(sensing_is_on=bool(message.data))

    def _take_states(self, message: Any) -> None:
        try:
            estimates = message_content.estimates(message)
        except ValueError as error:
            self._trouble.report("malformed", f"malformed: {error}; left out")
            return
        self._trouble.good()
        self._people.see(estimates, message_content.stamp_ns(message.header.stamp))

    def _take_event(self, message: Any) -> None:
        key = message.person_id or message.face_id or message.voice_id
        self._people.change(key, message.label, message_content.stamp_ns(message.header.stamp))

    def _take_forgotten(self, message: Any) -> None:
        self._people.forget(message.data)


class PeopleTools:
    """The tools; their names, arguments and docstrings are what an agent reads."""

    def __init__(self, people: SensedPeople) -> None:
        """Set up; people are what the tools tell of."""
        self._people = people
        self._found_s = time.monotonic() + _FOUND_S

    async def is_sensing_on(self) -> Sensing:
        """Whether the robot senses people now. If it is off, the other tools give nothing."""
        await self._find()
        return self._people.sensing()

    async def who_is_there(self) -> WhoIsThere:
        """Who is in front of the robot: ids, distance, and whether they turn to it."""
        await self._find()
        return self._people.who_is_there()

    async def how_do_they_feel(self, person: Whose = "") -> HowTheyFeel:
        """How somebody seems to feel, since when, and where their mood goes. These are
        estimates from face and voice, and can be wrong: do not diagnose, and do not tell people
        how they feel."""
        await self._find()
        return self._people.how_they_feel(person)

    async def wait_until_upset(
        self,
        timeout_s: Annotated[
            float,
            Field(ge=0.0, le=_LONGEST_WAIT_S, description="Longest wait [s], up to 600."),
        ] = 30.0,
        person: Whose = "",
        emotions: Annotated[
            list[Emotion] | None,
            Field(description="What counts as upset; null: angry, disgust, fear and sad."),
        ] = None,
    ) -> Upset:
        """Wait until somebody is upset; a person who already is counts at once. Ends early
        if sensing is switched off. Keep timeout_s below your own time limit for a call."""
        wanted = frozenset(NEGATIVE if emotions is None else emotions)
        begun_s = time.monotonic()

        def answer(felt: HowTheyFeel, who: PersonFeeling | None) -> Upset:
            waited_s = round(time.monotonic() - begun_s, 2)
            now = Sensing(sensing=felt.sensing, note=felt.note)
            if who is None and felt.sensing == "on" and not now.note:
                now.note = "the time is over"
            return Upset(**now.model_dump(), upset=who is not None, who=who, waited_s=waited_s)

        async for felt in self._whenever_changed(timeout_s, person):
            who = next((one for one in felt.people if one.emotion in wanted), None)
            if who is not None or felt.sensing == "off":
                return answer(felt, who)
        return answer(self._people.how_they_feel(person), None)

    @property
    def all(self) -> tuple[Callable[..., Awaitable[Sensing]], ...]:
        """Every tool."""
        return (
            self.is_sensing_on,
            self.who_is_there,
            self.how_do_they_feel,
            self.wait_until_upset,
        )

    async def _find(self) -> None:
        """Just after the start: wait until the emotion nodes are found, for a client asks at
        once."""
        left_s = self._found_s - time.monotonic()
        if left_s > 0.0:
            async for felt in self._whenever_changed(left_s):
                if felt.sensing != "no data":
                    return

    async def _whenever_changed(
        self, timeout_s: float, person: str = ""
    ) -> AsyncIterator[HowTheyFeel]:
        """How they feel, now and whenever something may have changed, until the time is
        over."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        end_s = loop.time() + timeout_s
        with self._people.listening(lambda: _call(loop, changed.set)):
            while True:
                changed.clear()
                yield self._people.how_they_feel(person)
                try:
                    await asyncio.wait_for(changed.wait(), end_s - loop.time())
                except asyncio.TimeoutError:
                    return


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what)


INSTRUCTIONS: Final = (
    "A social robot estimates from face and voice how the people in front of it feel. The "
    "tools only read. The estimates can be wrong: let them shape how you behave, never state "
    "them as facts about a person. If sensing is off, respect that, and do not work around it."
)
"""For the agent."""
