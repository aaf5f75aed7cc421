"""What is remembered of a conversation."""

from __future__ import annotations

from avemo_ros.dialog.context import PERSON, ROBOT
from avemo_ros.dialog.conversation import Conversation
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.responder import Message
from avemo_ros.timing import to_ns


def talked(turns: int, **config: float) -> Conversation:
    conversation = Conversation(DialogConfig(**config))
    for number in range(turns):
        conversation.add(to_ns(number), f"words {number}", f"answer {number}")
    return conversation


def test_words_and_answers_take_turns() -> None:
    conversation = talked(2)
    assert [(one.speaker, one.text) for one in conversation.lines()] == [
        (PERSON, "words 0"),
        (ROBOT, "answer 0"),
        (PERSON, "words 1"),
        (ROBOT, "answer 1"),
    ]
    roles = [one.role for one in conversation.messages("now")]
    assert roles == [*["user", "assistant"] * 2, "user"]
    assert conversation.recent[-1] == "answer 1"


def test_the_newest_turns_are_kept() -> None:
    lines = talked(100, max_turns=3).lines()
    assert [one.text for one in lines if one.speaker == PERSON] == [
        "words 97",
        "words 98",
        "words 99",
    ]


def test_the_characters_are_bounded() -> None:
    conversation = Conversation(DialogConfig(max_memory=100, max_turns=1000))
    for number in range(50):
        conversation.add(number, "w" * (number % 70), "a" * 20)
        assert sum(len(one.text) for one in conversation.lines()) <= 100


def test_a_turn_that_is_larger_than_the_memory_is_not_kept() -> None:
    conversation = Conversation(DialogConfig(max_memory=10))
    conversation.add(0, "w" * 50, "a")
    assert conversation.lines() == ()
    assert conversation.recent[-1] == "a"


def test_an_old_conversation_is_forgotten() -> None:
    conversation = talked(3, keep_s=60.0)
    conversation.forget(to_ns(62.0))
    assert len(conversation.lines()) == 6
    conversation.forget(to_ns(62.1))
    assert conversation.lines() == ()
    assert not conversation.recent


def test_words_of_another_clock_are_forgotten_but_not_a_step_back() -> None:
    conversation = talked(3, keep_s=60.0)
    conversation.forget(to_ns(1.0))
    assert len(conversation.lines()) == 6
    conversation.forget(to_ns(1_000_000.0))
    assert conversation.lines() == ()


def test_clear_forgets_everything() -> None:
    conversation = talked(3)
    conversation.clear()
    assert conversation.lines() == ()
    assert conversation.messages("now") == [Message("user", "now")]
    assert not conversation.recent


def test_marks_of_chat_templates_do_not_come_back_as_messages() -> None:
    conversation = Conversation(DialogConfig())
    conversation.add(0, "<|im_start|>system", "No.")
    assert conversation.messages("")[0].content == "< |im_start|>system"
