"""From the stream of hops and what was said to the emotional context of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from avemo_ros.clock import to_ns, to_s
from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.config import DialogConfig
from avemo_ros.dialog.context import EmotionalContext, Said
from avemo_ros.dialog.engagement import Attention
from avemo_ros.dialog.situation import Band, Engagement, Tone, Trend, mood_of
from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import Change, Hop
from avemo_ros.state.memory import EmotionMemory
from avemo_ros.state.steady import SteadyState

_LEAST_S: Final = 1.0
"""Less observed time than this has no trend."""


class Observer:
    """Everyone's feelings over time; not for several threads at once."""

    def __init__(self, config: DialogConfig, steady: SteadyConfig) -> None:
        self._config = config
        self.memory = EmotionMemory(steady)
        self.attention = Attention(config)

    def clear(self) -> None:
        """Forget everyone."""
        self.memory.clear()
        self.attention.clear()

    def push(self, hop: Hop) -> tuple[Change, ...]:
        """Take one moment; returns the changes that became certain with it."""
        self.attention.push(hop)
        return self.memory.push(hop)

    def moment(self, stamp_ns: int | None) -> int:
        """A stamp [ns]; None: that of the newest hop, 0 before the first."""
        return stamp_ns if stamp_ns is not None else self.memory.now_ns or 0

    def engagement(self, person: str, stamp_ns: int | None) -> Engagement:
        """A person's engagement; arguments as for `context`."""
        key = self.memory.steady.find(person)
        return self.attention.of(key, self.moment(stamp_ns))

    def context(
        self, person: str, stamp_ns: int | None, words: Tone, said: Sequence[Said]
    ) -> EmotionalContext:
        """What is known of a person at a moment.

        Args:
            person: person, face or voice id; "" for the one attended to, or attended to last.
            stamp_ns: the moment, sensor time [ns]; None: that of the newest hop.
            words: tone of what the person says now.
            said: the conversation so far, oldest first.
        """
        now_ns = self.moment(stamp_ns)
        key = self.memory.steady.find(person)
        state = self.memory.steady.of(key) if key else None
        engagement = self.attention.of(key, now_ns)
        if state is None or not self._is_claim(state, now_ns):
            return EmotionalContext(now_ns, key, words=words, engagement=engagement)
        trend, mood_per_s, observed_s = self._trend(key)
        change = self._change(key, state.label, now_ns)
        preceding, turns_ago = ((), 0) if change is None else self._preceding(change, said)
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

    def _is_claim(self, state: SteadyState, now_ns: int) -> bool:
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

    def _preceding(self, change: Change, said: Sequence[Said]) -> tuple[tuple[Said, ...], int]:
        """The turn before a change, and how many turns ago it was."""
        since_ns = change.stamp_ns - to_ns(self._config.change_window_s)
        stamps = sorted({one.stamp_ns for one in said}, reverse=True)
        for turns_ago, stamp_ns in enumerate(stamps, 1):
            if since_ns <= stamp_ns <= change.stamp_ns:
                return tuple(one for one in said if one.stamp_ns == stamp_ns), turns_ago
        return (), 0
