"""Each person has a conversation of their own: nobody's words reach another's prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from bad_endpoint import Server, answer, respond
from made_dialog import TABLE, Saying, agent, feeling
from made_steps import estimate, nobody, step_of

from avemo_ros.dialog.agent import Agent
from avemo_ros.dialog.chat_client import ChatClient
from avemo_ros.dialog.dialog_config import DialogConfig, EndpointConfig
from avemo_ros.dialog.responder import Message
from avemo_ros.timing import to_ns

SECRET = "marmalade"
"""In no text of the package."""
A, B = "f1", "f2"


def together(start: float, end: float, speaks: str = "") -> list[Any]:
    """Steps in which two people stand in front of the robot; who speaks is attended to."""
    pairs = sorted(((A, "v1"), (B, "v2")), key=lambda pair: pair[0] != speaks)
    return [
        step_of(
            *(
                estimate("happy", t=step / 10, face=face, voice=voice, speaking=face == speaks)
                for face, voice in pairs
            )
        )
        for step in range(round(start * 10) + 1, round(end * 10) + 1)
    ]


def alone(start: float, end: float, face: str, person: str) -> list[Any]:
    """Steps with one person in view; "" for `person`: not recognised."""
    return [
        step_of(*(replace(one, person_id=person) for one in step.estimates))
        for step in feeling("happy", start, end, face=face)
    ]


def prompt(messages: Sequence[Message]) -> str:
    return "\n".join(one.content for one in messages)


def see(made: Agent, steps: Sequence[Any]) -> None:
    for one in steps:
        made.observe(one)


def test_what_one_visitor_says_is_in_no_request_for_another() -> None:
    """Looked at where it matters: in what a server is sent."""
    with Server(respond(answer("I see."))) as server:
        config = EndpointConfig(base_url=server.url, model="m", load_timeout_s=0.0)
        made = Agent(DialogConfig(notice=""), TABLE, ChatClient(config))
        see(made, together(0, 3))
        made.answer(f"I told nobody else: {SECRET}", A)
        made.answer("Hello there", B)
        see(made, together(3, 4, speaks=B))
        made.answer("It went on like that", "")
        made.answer("Do you know my voice", "v2")
        made.answer("I said something", A)
        bodies = [request.body.decode() for request in server.requests]
    assert [SECRET in body for body in bodies] == [True, False, False, False, True]
    # Each has all of their own.
    assert [len(request.content["messages"]) for request in server.requests] == [2, 2, 4, 6, 4]


def test_the_robots_answers_to_one_are_not_told_to_another() -> None:
    model = Saying(f"So it is {SECRET} that you like.")
    made = agent(model, *together(0, 3))
    made.answer("I like it", A)
    model.text = "I see."
    made.answer("What did the other one say", B)
    assert SECRET not in prompt(model.asked[-1])


def test_what_one_has_told_decides_no_answer_to_another() -> None:
    made = agent(None, *together(0, 3))
    assert made.answer("My grandma died", A).concern == "bereavement"
    assert made.answer("Well, that is how it is", B).concern == ""
    assert made.answer("Well, that is how it is", A).concern == "bereavement"


def test_each_is_told_of_the_sensing_and_each_may_refuse() -> None:
    made = agent(None, *together(0, 3), notice="I can see you.", ask_consent=True)
    assert made.answer("Hello", A).notice
    assert made.answer("Hello", B).notice
    made.answer("no", A)
    made.answer("yes", B)
    assert made.answer("It went on like that", A).emotion == "unknown"
    assert made.answer("It went on like that", B).emotion == "happy"


# --- who leaves


def test_who_has_left_for_good_is_forgotten() -> None:
    model = Saying("I see.")
    made = agent(model, *together(0, 3), away_s=20.0)
    made.answer(SECRET, A)
    made.answer("Hello", B)
    # A is gone; B stays, and is remembered.
    see(made, feeling("happy", 3, 24, face=B))
    made.answer("Hello again", A)
    assert SECRET not in prompt(model.asked[-1])
    made.answer("Hello again", B)
    assert len(model.asked[-1]) == 4


def test_who_looks_away_for_a_moment_is_not_forgotten() -> None:
    model = Saying("I see.")
    made = agent(model, *together(0, 3), away_s=20.0)
    made.answer(SECRET, A)
    see(made, [step_of(nobody(t=3 + step / 10)) for step in range(150)])
    see(made, together(18, 19))
    made.answer("Hello again", A)
    assert SECRET in prompt(model.asked[-1])


def test_whoever_speaks_when_the_last_one_has_gone_out_of_view_is_nobody_known() -> None:
    model = Saying("I see.")
    made = agent(model, *feeling("happy", 0, 3, face=A))
    made.answer(SECRET)
    see(made, [step_of(nobody(t=3 + step / 10)) for step in range(40)])
    made.answer("Hello")
    assert SECRET not in prompt(model.asked[-1])


def test_without_sensing_there_is_one_conversation() -> None:
    model = Saying("I see.")
    made = agent(model)
    made.answer(SECRET)
    made.answer("Hello")
    assert SECRET in prompt(model.asked[-1])


# --- who is recognised again


def test_a_recognised_person_goes_on_where_they_left_off() -> None:
    model = Saying("I see.")
    made = agent(model, *alone(0, 3, "f1", "p1"))
    made.answer(SECRET)
    see(made, [step_of(nobody(t=3 + step / 10)) for step in range(50)])
    # The same person under a new face id, recognised only after the first words.
    see(made, alone(8, 10, "f9", ""))
    made.answer("Hello")
    assert SECRET not in prompt(model.asked[-1])
    see(made, alone(10, 12, "f9", "p1"))
    made.answer("It went on like that")
    said = [one.content for one in model.asked[-1] if one.role == "user"]
    assert said == [SECRET, "Hello", "It went on like that"]


# --- who is to be forgotten


@pytest.mark.parametrize("by", ["p1", "f1", "v1"], ids=["person", "face", "voice"])
def test_by_whichever_id_only_that_one_is_forgotten(by: str) -> None:
    model = Saying("I see.")
    made = agent(model)
    see(made, together(0, 3))
    made.answer(f"One {SECRET}", "f1")
    made.answer(f"Two {SECRET}", "f2")
    made.forget(by)
    see(made, together(3, 4))
    made.answer("Hello", "f1")
    assert SECRET not in prompt(model.asked[-1])
    made.answer("Hello", "f2")
    assert f"Two {SECRET}" in prompt(model.asked[-1])


def test_who_asks_to_be_forgotten_is_and_nobody_else() -> None:
    model = Saying("I see.")
    made = agent(model, *together(0, 3))
    made.answer(f"One {SECRET}", A)
    made.answer(f"Two {SECRET}", B)
    made.answer("Please delete what you know about me", A)
    see(made, together(3, 4))
    made.answer("Hello", A)
    assert SECRET not in prompt(model.asked[-1])
    made.answer("Hello", B)
    assert f"Two {SECRET}" in prompt(model.asked[-1])


@pytest.mark.parametrize(
    "end", [lambda made: made.clear(), lambda made: made.forget(A)], ids=["all", "one"]
)
def test_an_answer_that_was_asked_for_before_is_not_remembered(
    end: Callable[[Agent], None],
) -> None:
    class Ending(Saying):
        def complete(self, messages: Sequence[Message]) -> str:
            if SECRET in messages[-1].content:
                end(made)
            return super().complete(messages)

    model = Ending("I see.")
    made = agent(model, *together(0, 3))
    made.answer(SECRET, A)
    see(made, together(3, 4))
    made.answer("Hello", A)
    assert SECRET not in prompt(model.asked[-1])


def test_many_visitors_need_no_more_memory() -> None:
    model = Saying("I see.")
    made = agent(model)
    for number in range(100):
        made.answer(SECRET, f"visitor{number}")
    made.answer("Hello", "visitor0")
    assert len(model.asked[-1]) == 2
    made.answer("Hello", "visitor99", to_ns(1))
    assert len(model.asked[-1]) == 4
