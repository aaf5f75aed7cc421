"""What is right: the strategy that the table has for a known emotion, and no claim too many."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from avemo_ros.dialog.about_robot import INFORM
from avemo_ros.dialog.answer import Answer
from avemo_ros.dialog.config import DialogConfig
from avemo_ros.dialog.crisis import HAND_OVER
from avemo_ros.dialog.scenario import Feeling
from avemo_ros.dialog.situation import Band, Situation, Trend
from avemo_ros.dialog.strategy import StrategyTable
from avemo_ros.labels import UNKNOWN

_WORDS: Final = (
    "angry|mad|furious|annoyed|irritated|disgusted|afraid|scared|frightened|anxious|worried|"
    "nervous|happy|glad|joyful|cheerful|delighted|sad|unhappy|upset|miserable|down|gloomy|"
    "surprised|shocked|astonished|amazed"
)
_CLAIM: Final = re.compile(
    rf"\byou(?:r\s+\w+)?(?:['\u2019]\w+)?(?:\s+(?!i\b|me\b|we\b|us\b)\w+){{0,4}}?\s+(?:{_WORDS})\b",
    re.IGNORECASE,
)
"""'You seem rather sad': an emotion said of the person.  It is not the list by which the agent
refuses answers, so that the two check one another."""


def strategy_for(table: StrategyTable, situation: Situation, truth: str) -> str:
    """The strategy that the table has where the person is known to feel `truth`.

    Args:
        table: of strategies.
        situation: as the agent took it; words, engagement and trend are taken over, and the
            confidence if its emotion is the true one.
        truth: one of EMOTIONS, or 'unknown' where nothing may be claimed.
    """
    if truth == UNKNOWN:
        situation = replace(
            situation, emotion=UNKNOWN, confidence=Band.NONE, trend=Trend.UNKNOWN
        )
    elif truth != situation.emotion:
        situation = replace(situation, emotion=truth, confidence=Band.HIGH)
    return table.choose(situation).strategy


def strategy_for_words(
    table: StrategyTable, situation: Situation, truth: str, words: str
) -> str:
    """The same for an answer to words; crisis words and questions about the robot come before
    the table."""
    if table.crisis.found_in(words):
        return HAND_OVER
    if table.about_robot.rules(words) is not None:
        return INFORM
    return strategy_for(table, situation, truth)


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
