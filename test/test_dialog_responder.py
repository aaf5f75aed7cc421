"""The offline responder."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from made_dialog import TABLE, agent, feeling

from avemo_ros.dialog.policy import Tone
from avemo_ros.dialog.responder import OfflineResponder
from avemo_ros.dialog.scenario import read_sayings

RESPONDER = OfflineResponder(TABLE)
SAID_BEFORE = 10
"""Turns in which nothing is said twice."""


@pytest.mark.parametrize("name", TABLE.strategies)
@pytest.mark.parametrize("tone", Tone)
def test_a_feeling_is_named_only_where_it_is_given(name: str, tone: Tone) -> None:
    strategy = TABLE.strategies[name]
    for text in strategy.texts(tone, ""):
        assert TABLE.guardrail.refusal(text, may_name="", most=600, secret="") == ""
    for text in strategy.texts(tone, "upset"):
        assert TABLE.guardrail.refusal(text, may_name="angry", most=600, secret="") == ""


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_said_twice_in_ten_turns_whatever_the_strategy(seed: int) -> None:
    chance = random.Random(seed)
    said: list[str] = []
    for turn in range(200):
        strategy = TABLE.strategies[chance.choice(list(TABLE.strategies))]
        texts = strategy.texts(chance.choice(list(Tone)), "")
        text = RESPONDER.say(texts, turn, said[-SAID_BEFORE:])
        assert text not in said[-SAID_BEFORE:]
        assert text == RESPONDER.say(texts, turn, said[-SAID_BEFORE:])
        said.append(text)


def test_a_list_that_is_used_up_gives_way_to_quiet_words() -> None:
    assert RESPONDER.say(["One.", "Two."], 7, ["One.", "Two."]) in TABLE.quiet


def test_where_all_was_said_the_oldest_is_said_again() -> None:
    recent = ["One.", *TABLE.quiet]
    assert RESPONDER.say(["One."], 3, recent) == "One."


def test_an_answer_about_the_robot_stays_true_when_it_is_given_again() -> None:
    first = RESPONDER.inform(["I am a robot."], 0, [])
    again = RESPONDER.inform(["I am a robot."], 1, [first])
    assert first == "I am a robot."
    assert again != first
    assert again.endswith(first)


TALKS = {
    "sad": ["He used to sleep on my feet", "It is raining", "So", "And that was that"],
    "happy": ["We had cake", "I am not sad!", "It is from the sea", "I won!"],
    "angry": ["Nobody told me", "stop asking", "Are you a robot?", "The shop is closed"],
    "fear": ["Can you help me breathe?", "I cannot", "ok", "my heart is racing"],
    "neutral": ["hi", "thanks", "", "Wie geht es dir heute?", "I want to die", "Why is that?"],
}


@pytest.mark.parametrize("emotion", TALKS)
def test_nothing_is_said_twice_in_ten_turns_of_a_talk(emotion: str) -> None:
    made = agent(None, *feeling(emotion, 0, 8, confidence=0.9))
    said: list[str] = []
    for turn in range(60):
        text = made.answer(TALKS[emotion][turn % len(TALKS[emotion])]).text
        assert text not in said[-SAID_BEFORE:]
        said.append(text)


SAYINGS = [
    words
    for one in read_sayings(Path(__file__).parent / "data" / "sayings.yaml").sets
    for words in one.say
]


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_said_twice_in_ten_turns_of_a_long_talk_about_everything(seed: int) -> None:
    chance = random.Random(seed)
    emotion = ("sad", "angry", "fear", "happy")[seed]
    made = agent(None, *feeling(emotion, 0, 8, confidence=0.9))
    said: list[str] = []
    for _ in range(300):
        text = made.answer(chance.choice(SAYINGS)).text
        assert text not in said[-SAID_BEFORE:]
        said.append(text)


def test_a_sentence_comes_back_late_where_there_are_others() -> None:
    texts = ["I am here. Go on.", "I am here. Tell me.", "Take your time."]
    assert RESPONDER.say(texts, 0, ["I am here. No hurry."]) == "Take your time."


@pytest.mark.parametrize("words", ["my grandma died", "stop asking", "I want to die", "thanks"])
def test_even_the_same_words_ten_times_get_ten_answers(words: str) -> None:
    made = agent(None, *feeling("sad", 0, 8, confidence=0.9))
    assert len({made.answer(words).text for _ in range(SAID_BEFORE)}) == SAID_BEFORE
