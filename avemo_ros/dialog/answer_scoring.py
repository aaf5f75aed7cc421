"""Scores of the dialog: right strategies, statements that go too far, and reaction times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from avemo_ros.dialog.agent import Agent, Answer
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.intent import INFORM
from avemo_ros.dialog.policy import Band, DialogState, Policy, Trend
from avemo_ros.dialog.scenario import Feeling, Scenario
from avemo_ros.dialog.scenario_estimates import START_NS, synthetic_estimates
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.timing import to_s

_WORDS: Final = (
    "angry|mad|furious|annoyed|irritated|disgusted|afraid|scared|frightened|anxious|worried|"
    "nervous|happy|glad|joyful|cheerful|delighted|sad|unhappy|upset|miserable|down|gloomy|"
    "surprised|shocked|astonished|amazed"
)
_CLAIM: Final = re.compile(
    rf"\byou(?:r\s+\w+)?(?:['\u2019]\w+)?(?:\s+(?!i\b|me\b|we\b|us\b)\w+){{0,4}}?\s+(?:{_WORDS})\b",
    re.IGNORECASE,
)
"""'You seem rather sad': an emotion ascribed to the person.  It is not the list by which the
agent refuses answers, so that the two check one another."""


def strategy_for(table: Policy, dialog_state: DialogState, truth: str) -> str:
    """The strategy that the table has where the person is known to feel `truth`.

    Args:
        table: of strategies.
        dialog_state: as the agent took it; words, engagement and trend are taken over, and the
            confidence if its emotion is the true one.
        truth: one of EMOTIONS, or 'unknown' where nothing may be claimed.
    """
    if truth == UNKNOWN:
        dialog_state = replace(
            dialog_state, emotion=UNKNOWN, confidence=Band.NONE, trend=Trend.UNKNOWN
        )
    elif truth != dialog_state.emotion:
        dialog_state = replace(dialog_state, emotion=truth, confidence=Band.HIGH)
    return table.choose(dialog_state).strategy


def strategy_for_words(
    table: Policy, dialog_state: DialogState, truth: str, words: str, dwelling: str = ""
) -> str:
    """The same for an answer to words; what comes before the table is answered alike, whatever
    the person feels."""
    meaning = table.meaning(words)
    if meaning.concern is not None:
        return table.respond(meaning.concern.concern).strategy
    if table.about_robot.rules(words) is not None:
        return INFORM
    follow = table.follow("" if meaning.everyday else dwelling, meaning.intent)
    return follow.strategy if follow else strategy_for(table, dialog_state, truth)


def known_emotion(feeling: Feeling, config: DialogConfig) -> str:
    """The truth by which a strategy is judged: the script's emotion, or 'unknown' where it
    cannot be seen well enough to claim anything."""
    return UNKNOWN if feeling.confidence < config.min_confidence else feeling.emotion


def claims_too_much(answer: Answer, config: DialogConfig) -> bool:
    """Whether an answer rests on or tells of an emotion that is not sure enough for it."""
    rests = answer.emotion != UNKNOWN and answer.confidence < config.min_confidence
    return rests or (answer.confidence < config.name_confidence and names_emotion(answer.text))


def names_emotion(text: str) -> bool:
    """Whether a text tells a person what they feel."""
    return _CLAIM.search(text) is not None


LEVELS: Final = (0.55, 0.65, 0.8)
"""Mean probability of the true emotion; that of the live model's own top class on the sample
clip is 0.62."""
_CHANGE_EVERY_S: Final = 20.0
_SETTLES_S: Final = 10.0
"""The first part of a stretch belongs to the reaction, not to the false ones."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What the agent would do at one moment."""

    t_s: float
    truth: str
    sensed: str
    strategy: str
    right: str
    """What the table has for the truth."""


MakeAgent = Callable[[], Agent]


def measure_reactions(
    make_agent: MakeAgent, table: Policy, rounds: int, levels: Sequence[float] = LEVELS
) -> list[dict[str, Any]]:
    """Times from a change in feeling to the strategy that fits it.

    Args:
        make_agent: a new agent that has seen nobody.
        table: of strategies.
        rounds: each goes once from every emotion to every other one, every 20 s.
        levels: of confidence.

    Returns:
        For each level: `confidence`, `changes` that call for another strategy, `missed` (not
        reached within 20 s), `median_s` and `p90_s` of those reached; None without any.
    """
    rows = []
    for level in levels:
        times: list[float | None] = []
        for number in range(rounds):
            order = circuit(number)
            feelings = [
                Feeling(place * _CHANGE_EVERY_S, emotion, level)
                for place, emotion in enumerate(order)
            ]
            script = _script(f"changes {level} {number}", feelings, _CHANGE_EVERY_S)
            times += reaction_times(list(probes(make_agent(), table, script)), script, table)
        rows.append({"confidence": level, **_spread(times)})
    return rows


def false_reactions(
    make_agent: MakeAgent, table: Policy, hours: float, levels: Sequence[float] = LEVELS
) -> list[dict[str, Any]]:
    """Changes to a strategy that does not fit while the feeling stays.

    Args:
        make_agent: a new agent that has seen nobody.
        table: of strategies.
        hours: simulated at each level, shared by the emotions.
        levels: of confidence.

    Returns:
        For each level: `confidence`, `hours`, and per hour `false_per_hour` (to a strategy that
        rests on a wrong emotion) and `lost_per_hour` (to the one for an unknown emotion, where
        that is another one); `right_share` of the time with the fitting strategy.
    """
    rows = []
    for level in levels:
        false = lost = right = total = 0
        seconds = 0.0
        for emotion in EMOTIONS:
            length_s = 3600.0 * hours / len(EMOTIONS)
            script = _script(
                f"stays {level} {emotion}",
                [Feeling(0.0, emotion, level)],
                _SETTLES_S + length_s,
            )
            stretch = [
                probe for probe in probes(make_agent(), table, script) if probe.t_s > _SETTLES_S
            ]
            wrong = list(wrong_turns(stretch))
            false += sum(probe.sensed != UNKNOWN for probe in wrong)
            lost += sum(probe.sensed == UNKNOWN for probe in wrong)
            right += sum(probe.strategy == probe.right for probe in stretch)
            total += len(stretch)
            seconds += length_s
        rows.append(
            {
                "confidence": level,
                "hours": round(seconds / 3600.0, 4),
                "false_per_hour": round(3600.0 * false / seconds, 2),
                "lost_per_hour": round(3600.0 * lost / seconds, 2),
                "right_share": round(right / max(total, 1), 4),
            }
        )
    return rows


def probes(agent: Agent, table: Policy, script: Scenario) -> Iterator[Probe]:
    """What the agent would do at each estimate of a script."""
    for step in synthetic_estimates(script):
        agent.observe(step)
        dialog_state = agent.context("", "", step.stamp_ns).dialog_state
        t_s = to_s(step.stamp_ns - START_NS)
        feeling = script.feeling_at(t_s)
        truth = feeling.emotion if feeling is not None else UNKNOWN
        yield Probe(
            t_s=t_s,
            truth=truth,
            sensed=dialog_state.emotion,
            strategy=table.choose(dialog_state).strategy,
            right=strategy_for(table, dialog_state, truth),
        )


def reaction_times(
    seen: Sequence[Probe], script: Scenario, table: Policy
) -> list[float | None]:
    """For each change of a script that calls for another strategy the time until it is
    followed [s]; None where it was not before the next change."""
    times: list[float | None] = []
    ends = [feeling.at_s for feeling in script.feelings[1:]] + [script.duration_s]
    for before, after, end in zip(
        script.feelings[:-1], script.feelings[1:], ends[1:], strict=True
    ):
        if _plain(table, before.emotion) == _plain(table, after.emotion):
            continue
        during = [probe for probe in seen if after.at_s < probe.t_s <= end]
        reached = [probe.t_s for probe in during if probe.strategy == probe.right]
        times.append(round(reached[0] - after.at_s, 6) if reached else None)
    return times


def wrong_turns(seen: Sequence[Probe]) -> Iterator[Probe]:
    """Where the strategy changes to one that does not fit."""
    before = ""
    for probe in seen:
        if probe.strategy not in (probe.right, before):
            yield probe
        before = probe.strategy


def circuit(number: int) -> list[str]:
    """Emotions in an order in which each follows each other one once.

    Args:
        number: another one gives another order of the names.
    """
    count = len(EMOTIONS)
    names = EMOTIONS[number % count :] + EMOTIONS[: number % count]
    left = {name: [other for other in names if other != name] for name in names}
    # Hierholzer: the complete graph with both directions has a circuit of all its edges.
    path, done = [names[0]], []
    while path:
        if left[path[-1]]:
            path.append(left[path[-1]].pop())
        else:
            done.append(path.pop())
    return done[::-1]


def _plain(table: Policy, emotion: str) -> str:
    return table.choose(DialogState(emotion, Band.HIGH, Trend.STEADY)).strategy


def _script(name: str, feelings: Sequence[Feeling], last_s: float) -> Scenario:
    return Scenario(name, name, feelings[-1].at_s + last_s, (), tuple(feelings))


def _spread(times: Sequence[float | None]) -> dict[str, Any]:
    reached = [time for time in times if time is not None]
    median, p90 = np.percentile(reached, (50, 90)) if reached else (None, None)
    return {
        "changes": len(times),
        "missed": len(times) - len(reached),
        "median_s": None if median is None else round(float(median), 3),
        "p90_s": None if p90 is None else round(float(p90), 3),
    }
