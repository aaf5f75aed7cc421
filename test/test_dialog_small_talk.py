"""Greetings, thanks, goodbyes and the like, and words of another language."""

from __future__ import annotations

import pytest
from made_dialog import TABLE, Failing, Saying, agent, feeling

from avemo_ros.dialog.intent import Moment

SAD = feeling("sad", 0, 8, confidence=0.85)
HAPPY = feeling("happy", 0, 8, confidence=0.9)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Hi there", "greeting"),
        ("HELLO!!!", "greeting"),
        ("Good morning, robot.", "greeting"),
        ("thanks", "thanks"),
        ("Oh, thank you so much!", "thanks"),
        ("Thanks for listening, bye", "goodbye"),
        ("Hello, how are you?", "how_are_you"),
        ("How are you doing today?", "how_are_you"),
        ("I\u2019m sorry...", "apology"),
        ("Yes.", "agreement"),
        ("Okay, yes please", "agreement"),
        ("No", "refusal"),
        ("no, thank you", "refusal"),
        ("I don't know.", "unsure"),
    ],
)
def test_small_talk_is_known_by_its_kind(words: str, kind: str) -> None:
    found = TABLE.small_talk.find(words)
    assert found is not None
    assert found.name == kind


@pytest.mark.parametrize(
    "words",
    [
        "Hi, my daughter and I want to look around.",
        "Thanks to you I missed the train.",
        "Yes, he died last night.",
        "I am sorry that my dog is ill",
        "Well",
        "you",
        "hi" * 500,
        "hi " * 500,
        "Hello, I want to die",
        "",
        "?!",
    ],
)
def test_words_that_say_more_are_no_small_talk(words: str) -> None:
    assert TABLE.small_talk.find(words) is None


@pytest.mark.parametrize("words", ["thanks", "Hi there", "bye", "sorry"])
def test_polite_words_are_answered_without_cheer_to_who_is_sad(words: str) -> None:
    sad = feeling("sad", 0, 8, confidence=0.9)
    happy = feeling("happy", 0, 8, confidence=0.9)
    to_sad, to_happy = agent(None, *sad).answer(words), agent(None, *happy).answer(words)
    assert (to_sad.emotion, to_happy.emotion) == ("sad", "happy")
    assert "!" not in to_sad.text
    assert not {"great", "wonderful", "nice"} & set(to_sad.text.lower().rstrip(".").split())
    assert to_sad.text != to_happy.text


def test_a_person_who_looks_sad_is_greeted_in_another_way() -> None:
    kind = TABLE.small_talk.find("hi")
    assert kind is not None
    texts = {name: set(kind.texts(Moment(name))) for name in ("sad", "happy", "neutral")}
    assert texts["sad"].isdisjoint(texts["happy"] | texts["neutral"])
    assert not any("!" in text for text in texts["sad"])


def test_politeness_is_not_taken_for_a_good_mood() -> None:
    # 'Thanks' is a pleasant word, and would ask a sad person what they mean by it.
    assert TABLE.lexicon.score("thanks") > 0
    answer = agent(None, *SAD).answer("Thanks!")
    assert answer.strategy == "acknowledge"
    assert answer.context.mismatch.value == "none"
    assert agent(None, *SAD).answer("It is all wonderful").strategy == "ask"


def test_answers_vary_and_the_same_conversation_gets_the_same_ones() -> None:
    words = ["hi", "hi", "thanks", "thanks", "yes", "yes", "bye", "bye"]
    one, two = agent(None, *SAD), agent(None, *SAD)
    said = [one.answer(text).text for text in words]
    assert said == [two.answer(text).text for text in words]
    assert len(set(said)) == len(said)


def test_crisis_words_come_before_small_talk() -> None:
    answer = agent(None, *HAPPY).answer("Hi. Better off dead. Thanks, bye")
    assert answer.text == TABLE.crisis.message


def test_a_back_end_words_small_talk_itself_and_the_table_does_where_it_fails() -> None:
    sayer = Saying("Nice to meet you.")
    assert agent(sayer, *SAD).answer("Hi there").text == "Nice to meet you."
    kind = TABLE.small_talk.find("Hi there")
    assert kind is not None
    assert agent(Failing(), *SAD).answer("Hi there").text in kind.texts(Moment("sad"))


# --- other languages


@pytest.mark.parametrize(
    "words",
    ["Ich bin so traurig", "Hallo", "Wie geht es dir?", "Je suis triste", "\u4f60\u597d"],
)
def test_words_of_another_language_are_owned_up_to(words: str) -> None:
    assert agent(None, *SAD).answer(words).text in TABLE.foreign.texts
    assert agent(Saying("Das tut mir leid."), *SAD).answer(words).text == "Das tut mir leid."


@pytest.mark.parametrize(
    "words",
    ["I went to Los Angeles", "He was here and I was mad", "We met at the cafe", "42", "?"],
)
def test_english_is_not_taken_for_another_language(words: str) -> None:
    assert not TABLE.foreign.found_in(words)


@pytest.mark.parametrize("word", ["you", "the", "i", "was", "so", "man", "hat", "die", "in"])
def test_frequent_english_words_are_in_no_list_of_another_language(word: str) -> None:
    assert word not in TABLE.foreign.tokens
