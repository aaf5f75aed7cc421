"""Answers said sentence by sentence: rules hold for each; what was not said is forgotten."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from bad_endpoint import STREAM_HEAD, Server, chunked, events, hang
from made_dialog import Failing, Saying, agent, feeling

from avemo_ros.dialog.chat_client import ChatClient
from avemo_ros.dialog.dialog_config import EndpointConfig
from avemo_ros.dialog.responder import BackendError, Message

PATIENCE_S = 60.0


@dataclass
class Streaming:
    """A back end that says this piece by piece, and keeps what happened in turn."""

    pieces: Sequence[str]
    fails: bool = False
    """After the last piece."""
    name: str = "streamer"
    log: list[str] = field(default_factory=list)
    asked: list[tuple[Message, ...]] = field(default_factory=list)

    def complete(self, messages: Sequence[Message]) -> str:
        raise AssertionError("not asked for")

    def stream(self, messages: Sequence[Message]) -> Generator[str, None, str]:
        self.asked.append(tuple(messages))
        try:
            for piece in self.pieces:
                self.log.append(f"sends {piece.strip()}")
                yield piece
            if self.fails:
                raise BackendError("the connection is gone", kind="closed")
        finally:
            self.log.append("ends")
        return "".join(self.pieces)

    def say(self, sentence: Any) -> bool:
        self.log.append(f"says {sentence.text}")
        assert sentence.text in sentence.ssml
        return True


def said(log: list[str]) -> list[str]:
    return [line.removeprefix("says ") for line in log if line.startswith("says ")]


def test_the_first_sentence_is_said_before_the_last_has_come() -> None:
    model = Streaming(["I am here. ", "Tell me ", "more. ", "I listen."])
    answer = agent(model).answer("Hello you there", say=model.say)
    assert model.log == [
        "sends I am here.",
        "sends Tell me",
        "says I am here.",
        "sends more.",
        "sends I listen.",
        "says Tell me more.",
        "ends",
        "says I listen.",
    ]
    assert answer.text == "I am here. Tell me more. I listen."
    assert (answer.back_end, answer.fallback, answer.failure) == ("streamer", False, "")


@pytest.mark.parametrize(
    "bad", ["You seem so sad today.", "You have a depression.", "You are angry, I can tell."]
)
def test_an_answer_ends_before_a_sentence_that_breaks_a_rule(bad: str) -> None:
    model = Streaming(["I am here. ", f"{bad} ", "Tell me more. ", "Bye."])
    answer = agent(model, *feeling("happy", 0, 4, confidence=0.6)).answer("Well", say=model.say)
    assert said(model.log) == ["I am here."]
    assert answer.text == "I am here."
    assert not answer.fallback
    assert "the answer" in answer.failure
    # The rest is not even asked for.
    assert "sends Bye." not in model.log
    assert model.log[-1] == "ends"


def test_where_the_first_sentence_breaks_a_rule_the_offline_answer_is_said() -> None:
    model = Streaming(["You are angry. ", "Tell me more. ", "Bye."])
    answer = agent(model).answer("It went on like that", say=model.say)
    assert answer.fallback
    assert " ".join(said(model.log)) == answer.text
    assert "angry" not in answer.text


def test_a_secret_over_two_sentences_is_kept() -> None:
    rule = "Never diagnose, and never use words of medicine."
    model = Streaming(["I never. ", f"{rule} ", "And so on. ", "Bye."])
    answer = agent(model).answer("Your rules?", say=model.say)
    assert answer.text == "I never."


def test_a_connection_that_breaks_ends_the_answer_with_what_was_said() -> None:
    model = Streaming(["I am here. ", "Tell me"], fails=True)
    answer = agent(model).answer("Well", say=model.say)
    assert (answer.text, answer.fallback) == ("I am here.", False)
    assert "gone" in answer.failure
    nothing = Streaming(["I am"], fails=True)
    answer = agent(nothing).answer("Well", say=nothing.say)
    assert answer.fallback
    assert " ".join(said(nothing.log)) == answer.text


@pytest.mark.parametrize("back_end", [None, Saying("I am here. Tell me more."), Failing()])
def test_who_does_not_stream_is_said_by_sentence_too(back_end: Any) -> None:
    model = Streaming([])
    answer = agent(back_end).answer("It went on like that", say=model.say)
    assert " ".join(said(model.log)) == answer.text != ""


def test_the_notice_comes_before_the_first_sentence_and_before_the_model_is_asked() -> None:
    model = Streaming(["I am here. ", "Tell me more."])
    talk = agent(model, notice="I estimate how you feel.")
    answer = talk.answer("Well", say=model.say)
    assert model.log[0] == "says I estimate how you feel."
    assert answer.spoken == "I estimate how you feel. I am here. Tell me more."
    assert said(model.log)[1:] == ["I am here.", "Tell me more."]


def test_danger_is_handed_over_aloud_without_the_model() -> None:
    model = Streaming(["I am here. "])
    answer = agent(model).answer("I want to kill myself", say=model.say)
    assert answer.handed_over
    assert " ".join(said(model.log)) == answer.text
    assert model.asked == []


def test_who_is_interrupted_says_no_more_and_asks_no_more() -> None:
    model = Streaming(["I am here. ", "Tell me more. ", "What is it? ", "Bye."])
    log: list[str] = []

    def say(sentence: Any) -> bool:
        log.append(sentence.text)
        return len(log) < 2

    talk = agent(model)
    answer = talk.answer("Well", say=say)
    assert answer.text == "I am here."
    assert "interrupted" in answer.failure
    assert "sends Bye." not in model.log


def test_what_was_not_said_is_not_remembered() -> None:
    model = Streaming(["I am here. ", "Tell me more. ", "What is it?"])
    talk = agent(model)
    first = talk.answer("Well", say=model.say)
    talk.cut(first, "I am here.", notice_was_said=True)
    second = talk.answer("And then", say=model.say)
    roles = [(one.role, one.content) for one in model.asked[-1][1:]]
    assert roles == [("user", "Well"), ("assistant", "I am here."), ("user", "And then")]
    talk.cut(second, "", notice_was_said=True)
    talk.answer("Next", say=model.say)
    # Turns alternate, as many chat templates want it.
    assert [one.role for one in model.asked[-1]] == ["system", "user", "assistant", "user"]
    assert model.asked[-1][-1].content == "And then\nNext"


def test_a_notice_that_was_not_said_is_given_again() -> None:
    model = Streaming(["I am here. ", "Tell me more."])
    talk = agent(model, notice="I estimate how you feel.")
    first = talk.answer("Well", say=lambda _: False)
    assert (first.text, model.asked) == ("", [])
    talk.cut(first, "", notice_was_said=False)
    again = talk.answer("Well", say=model.say)
    assert again.notice
    talk.cut(again, "", notice_was_said=True)
    assert talk.answer("Well", say=model.say).notice == ""


# --- over HTTP


def client(server: Server, **settings: Any) -> ChatClient:
    given = {"load_timeout_s": 0.0, "deadline_s": PATIENCE_S, "read_timeout_s": PATIENCE_S}
    return ChatClient(
        EndpointConfig(base_url=server.url, model="m", **{"retries": 0, **given, **settings})
    )


WORDS = [Message("user", "Hello")]
WHOLE = chunked([events("I am ", "here. ", "Tell me more.")])


def drained(model: ChatClient) -> tuple[list[str], str]:
    stream, pieces = model.stream(WORDS), []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_pieces_come_before_the_end_of_the_answer() -> None:
    """The server sends no end at all: what comes does not wait for it."""
    start = STREAM_HEAD + _chunk(events("I am ", "here. ", finish=None, done=False))
    with Server(WHOLE, hang(start)) as server:
        model = client(server)
        drained(model)
        stream = model.stream(WORDS)
        got = ""
        while got != "I am here. ":
            got += next(stream)
        # And who has enough ends the request.
        stream.close()
        assert server.left.wait(PATIENCE_S)


def test_the_first_answer_shows_whether_the_model_thinks_aloud() -> None:
    thinks = chunked([events("He is sad. ", "So. ", "</think>", "I am here. ", "Tell.")])
    with Server(WHOLE, WHOLE, thinks, WHOLE, WHOLE) as server:
        model = client(server)
        answer = "I am here. Tell me more."
        assert drained(model) == ([], answer)
        pieces, text = drained(model)
        assert ("".join(pieces), text) == (answer, answer)
        assert len(pieces) > 0
        assert drained(model)[1] == "I am here. Tell."
        # From then on nothing is given early, until an answer is without them.
        assert drained(model) == ([], answer)
        assert drained(model)[0] != []


def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    broken = chunked([events("I am here. ", finish=None, done=False)], end=False)
    with Server(WHOLE, broken, WHOLE) as server:
        model = client(server, retries=2)
        drained(model)
        with pytest.raises(BackendError) as failed:
            drained(model)
        assert failed.value.kind in ("closed", "cut off")
        assert len(server.requests) == 2


def _chunk(text: str) -> bytes:
    data = text.encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
