"""How fast the strategy follows a change of feeling, and how often it changes without one.

Both are measured on long made-up streams of one person, in sensor time, with the strategy that
the agent would follow at each estimate if neutral words came then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from avemo_ros.clock import to_s
from avemo_ros.dialog.agent import Agent
from avemo_ros.dialog.judging import strategy_for
from avemo_ros.dialog.made_hops import START_NS, made_hops
from avemo_ros.dialog.scenario import Feeling, Scenario
from avemo_ros.dialog.situation import Band, Situation, Trend
from avemo_ros.dialog.strategy import StrategyTable
from avemo_ros.labels import EMOTIONS, UNKNOWN

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


def reactions(
    make_agent: MakeAgent, table: StrategyTable, rounds: int, levels: Sequence[float] = LEVELS
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
    make_agent: MakeAgent, table: StrategyTable, hours: float, levels: Sequence[float] = LEVELS
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


def probes(agent: Agent, table: StrategyTable, script: Scenario) -> Iterator[Probe]:
    """What the agent would do at each estimate of a script."""
    for hop in made_hops(script):
        agent.observe(hop)
        situation = agent.context("", "", hop.stamp_ns).situation
        t_s = to_s(hop.stamp_ns - START_NS)
        feeling = script.feeling_at(t_s)
        truth = feeling.emotion if feeling is not None else UNKNOWN
        yield Probe(
            t_s=t_s,
            truth=truth,
            sensed=situation.emotion,
            strategy=table.choose(situation).strategy,
            right=strategy_for(table, situation, truth),
        )


def reaction_times(
    seen: Sequence[Probe], script: Scenario, table: StrategyTable
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


def _plain(table: StrategyTable, emotion: str) -> str:
    return table.choose(Situation(emotion, Band.HIGH, Trend.STEADY)).strategy


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
