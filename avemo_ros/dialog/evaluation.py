"""Scripted conversations with known emotions through the whole path, and what is measured.

docs/dialog.md defines each measure.  All of the result but `latency_ms` is the same each time,
unless a chat endpoint makes the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.agent import Agent, Answer
from avemo_ros.dialog.answer_scoring import (
    claims_too_much,
    false_reactions,
    known_emotion,
    measure_reactions,
    strategy_for_words,
)
from avemo_ros.dialog.conversation import Turn
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.policy import Policy
from avemo_ros.dialog.responder import Backend
from avemo_ros.dialog.scenario import (
    NO_KIND,
    Feeling,
    Line,
    Sayings,
    SayingSet,
    Scenario,
)
from avemo_ros.dialog.scenario_estimates import (
    START_NS,
    recorded_estimates,
    synthetic_estimates,
    synthetic_yaw,
)
from avemo_ros.errors import DialogError
from avemo_ros.labels import UNKNOWN
from avemo_ros.settings import did_you_mean
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.timing import to_ns

_SENSED_S: Final = 6.0
"""Of a feeling before a single answer."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is evaluated."""

    table: Policy
    config: DialogConfig
    steady: SteadyConfig
    back_end: Backend | None = None
    """None: the offline responder answers."""

    def agent(self, *, use_emotion: bool = True) -> Agent:
        """A new agent that has seen nobody."""
        return Agent(
            self.config,
            self.table,
            self.back_end,
            use_emotion=use_emotion,
            steady=self.steady,
        )

    def probe(self) -> Agent:
        """A new agent of which only the strategy is asked; it remembers no more than that
        needs."""
        memory_s = max(self.config.trend_window_s, self.config.engaged_s)
        steady = self.steady.replace(memory_s=min(memory_s, self.steady.memory_s))
        return replace(self, back_end=None, steady=steady).agent()


@dataclass(frozen=True, slots=True)
class Judged:
    """One turn and whether its strategy is right."""

    turn: Turn
    right: str
    """Strategy that the table has for the known emotion; "" where nobody knows it."""
    claimed: bool
    """The answer names an emotion of too little confidence."""
    fallback: bool
    latency_ms: float


@dataclass(frozen=True, slots=True)
class ScoredScenario:
    """One scenario with its turns."""

    scenario: Scenario
    turns: tuple[Judged, ...]


def converse(scenario: Scenario, setup: Setup) -> ScoredScenario:
    """Play one scenario, with the emotion cues and without them.

    Raises:
        DialogError: its recorded states cannot be read.
    """
    agent, blind = setup.agent(), setup.agent(use_emotion=False)
    turns = []
    for line in _spoken(scenario, (agent, blind)):
        stamp_ns = START_NS + to_ns(line.at_s)
        started = time.perf_counter()
        answer = agent.answer(line.text, "", stamp_ns)
        latency_ms = 1e3 * (time.perf_counter() - started)
        other = blind.answer(line.text, "", stamp_ns)
        turns.append(_judged(scenario, line, answer, other, latency_ms, setup))
    return ScoredScenario(scenario, tuple(turns))


def evaluate(
    scenarios: Sequence[Scenario],
    setup: Setup,
    *,
    rounds: int = 2,
    hours: float = 0.5,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Any], tuple[ScoredScenario, ...]]:
    """All measures, and the conversations that they rest on.

    Args:
        scenarios: each is played once.
        setup: what is evaluated.
        rounds: of the changes of feeling, 42 each, at each level of confidence; 0: none.
        hours: simulated without a change, at each level of confidence; 0: none.
        progress: told what is done next.

    Returns:
        The result, ready for JSON, and the conversations in the order of the scenarios.

    Raises:
        DialogError: recorded states cannot be read.
    """
    conversations = []
    for scenario in scenarios:
        progress(scenario.name)
        conversations.append(converse(scenario, setup))
    turns = [judged for one in conversations for judged in one.turns]
    known = [judged for judged in turns if judged.right]
    claimed = sum(judged.claimed for judged in turns)
    progress("changes of feeling")
    changes = measure_reactions(setup.probe, setup.table, rounds) if rounds else []
    progress("steady feelings")
    steady = false_reactions(setup.probe, setup.table, hours) if hours else []
    result = {
        "strategy_accuracy": _share(judged.turn.strategy == judged.right for judged in known),
        "strategy_accuracy_without_cues": _share(
            judged.turn.baseline_strategy == judged.right for judged in known
        ),
        "emotion_accuracy": _share(
            judged.turn.emotion == judged.turn.truth for judged in known
        ),
        "turns": len(turns),
        "judged_turns": len(known),
        "claims_below_limit": {"answers": claimed, "share": _share(j.claimed for j in turns)},
        "fallbacks": sum(judged.fallback for judged in turns),
        "reaction": changes,
        "steady": steady,
        "scenarios": [_described(one) for one in conversations],
        "latency_ms": _latency([judged.latency_ms for judged in turns]),
    }
    return result, tuple(conversations)


def _spoken(scenario: Scenario, agents: Iterable[Agent]) -> Iterator[Line]:
    """The lines of a scenario, each when its time has come for the agents."""
    waiting = list(scenario.lines)
    for step in _steps(scenario):
        while waiting and START_NS + to_ns(waiting[0].at_s) < step.stamp_ns:
            yield waiting.pop(0)
        # As the node has it with use_head_pose; recordings hold no poses.
        turned = None if scenario.states is not None else synthetic_yaw(scenario, step.stamp_ns)
        for agent in agents:
            if turned is not None:
                agent.look(turned[0], step.stamp_ns, turned[1], 0.0)
            agent.observe(step)
    yield from waiting


def _steps(scenario: Scenario) -> Iterator[EmotionStep]:
    return (
        synthetic_estimates(scenario)
        if scenario.states is None
        else recorded_estimates(scenario.states)
    )


def _judged(
    scenario: Scenario,
    line: Line,
    answer: Answer,
    other: Answer,
    latency_ms: float,
    setup: Setup,
) -> Judged:
    feeling = scenario.feeling_at(line.at_s)
    right = truth = ""
    if feeling is not None:
        truth = known_emotion(feeling, setup.config)
        right = strategy_for_words(
            setup.table, answer.context.dialog_state, truth, line.text, answer.concern
        )
    turn = replace(
        turn_of(answer, line.at_s),
        truth=truth,
        baseline=other.text,
        baseline_strategy=other.strategy,
    )
    claimed = claims_too_much(answer, setup.config)
    return Judged(turn, right, claimed, answer.fallback, latency_ms)


def turn_of(answer: Answer, t_s: float) -> Turn:
    """An answer as a turn of a transcript.

    Args:
        answer: of an agent.
        t_s: time of the words since the conversation began [s].
    """
    return Turn(
        t=t_s,
        words=answer.utterance,
        emotion=answer.emotion,
        confidence=answer.confidence,
        strategy=answer.strategy,
        answer=answer.text,
        intensity=answer.intensity,
        rate=answer.rate,
        pitch=answer.pitch,
        volume=answer.volume,
        gesture=answer.gesture,
        context=answer.context.paragraph(),
        back_end=answer.back_end,
        failure=answer.failure,
        reason=answer.reason,
    )


def _described(one: ScoredScenario) -> dict[str, Any]:
    known = [judged for judged in one.turns if judged.right]
    return {
        "name": one.scenario.name,
        "title": one.scenario.title,
        "strategy_accuracy": _share(judged.turn.strategy == judged.right for judged in known),
        "turns": [
            {
                "t": judged.turn.t,
                "words": judged.turn.words,
                "truth": judged.turn.truth or None,
                "emotion": judged.turn.emotion,
                "confidence": round(judged.turn.confidence, 4),
                "right": judged.right or None,
                "strategy": judged.turn.strategy,
                "intensity": judged.turn.intensity,
                "answer": judged.turn.answer,
                "back_end": judged.turn.back_end,
                "failure": judged.turn.failure,
                "strategy_without_cues": judged.turn.baseline_strategy,
                "answer_without_cues": judged.turn.baseline,
            }
            for judged in one.turns
        ],
    }


def _share(held: Iterable[bool]) -> float | None:
    """None where there was nothing to judge."""
    values = list(held)
    return round(sum(values) / len(values), 4) if values else None


def _latency(measured: Sequence[float]) -> dict[str, float | int | None]:
    if not measured:
        return {"answers": 0, "median": None, "p90": None, "largest": None}
    median, p90, largest = np.percentile(measured, (50, 90, 100))
    return {
        "answers": len(measured),
        "median": round(float(median), 3),
        "p90": round(float(p90), 3),
        "largest": round(float(largest), 3),
    }


@dataclass(frozen=True, slots=True)
class CheckedSaying:
    """One saying of a table, and how it was met."""

    asked: SayingSet
    words: str
    emotion: str
    answer: Answer

    @property
    def kind(self) -> str:
        """What it was recognised as."""
        return self.answer.concern or NO_KIND

    @property
    def right(self) -> bool:
        """Whether that is what the table says."""
        over = self.asked.handed_over
        return self.kind in self.asked.kind and over in (None, self.answer.handed_over)


def reply(
    words: str, setup: Setup, emotion: str = UNKNOWN, before: Sequence[str] = ()
) -> Answer:
    """One answer to somebody who clearly feels something.

    Args:
        words: of the person.
        setup: what answers.
        emotion: one of EMOTIONS, or 'unknown': nothing is sensed.
        before: what the person says first.
    """
    agent = setup.agent()
    if emotion != UNKNOWN:
        felt = (Feeling(0.0, emotion, confidence=0.9, noise=0.0),)
        for step in synthetic_estimates(Scenario("reply", "", _SENSED_S, (), felt)):
            agent.observe(step)
    for one in before:
        agent.answer(one)
    return agent.answer(words)


def check_sayings(sayings: Sayings, setup: Setup) -> Iterator[CheckedSaying]:
    """Answer every saying, each in a conversation of its own.

    Raises:
        DialogError: the table names a kind that the strategies do not have.
    """
    kinds = (NO_KIND, *setup.table.concerns.kinds)
    for number, one in enumerate(sayings.sets, 1):
        for kind in one.kind:
            if kind not in kinds:
                raise DialogError(
                    f"sets[{number}].kind is '{kind}'; allowed: {' | '.join(kinds)}"
                    f"{did_you_mean(kind, kinds)}"
                )
    for one in sayings.sets:
        for emotion in sorted(one.emotion):
            for words in one.say:
                answer = reply(words, setup, emotion, one.before)
                yield CheckedSaying(one, words, emotion, answer)
