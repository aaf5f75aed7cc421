"""Sentences are given as soon as they are whole, and together they are the whole answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_ros.dialog.sentence_stream import SentenceStream, sentences_of
from avemo_ros.dialog.speech_text import speech_of


def streamed(pieces: list[str]) -> tuple[list[str], list[str]]:
    """The sentences that were given before the end, and those after."""
    stream = SentenceStream()
    early = [sentence for piece in pieces for sentence in stream.add(piece)]
    return early, stream.end(speech_of("".join(pieces)).text)


def test_a_sentence_is_given_when_the_next_one_begins() -> None:
    stream = SentenceStream()
    assert stream.add("I am sorry to") == []
    assert stream.add(" hear that.") == []
    assert stream.add(" Do") == ["I am sorry to hear that."]
    assert stream.add(" you want to talk? I") == ["Do you want to talk?"]
    answer = "I am sorry to hear that. Do you want to talk? I listen."
    assert stream.add(" listen.") == []
    assert stream.end(answer) == ["I listen."]


@pytest.mark.parametrize(
    ("answer", "sentences"),
    [
        ("No. I am here.", ["No.", "I am here."]),
        ("Dr. Smith is here. Come.", ["Dr. Smith is here.", "Come."]),
        ("At 3. Then we go. Now!", ["At 3. Then we go.", "Now!"]),
        ("Take e.g. Bread. Or not.", ["Take e.g. Bread.", "Or not."]),
        ("Wait... What? Oh!", ["Wait...", "What?", "Oh!"]),
        ('She said "Go. Now." Then she left.', ['She said "Go. Now."', "Then she left."]),
        ("It costs 3.50 in all. Really.", ["It costs 3.50 in all.", "Really."]),
        ("", []),
    ],
)
def test_where_a_sentence_ends(answer: str, sentences: list[str]) -> None:
    early, late = streamed([*answer])
    assert [*early, *late] == sentences
    assert " ".join(sentences_of(answer)) == answer


@pytest.mark.parametrize(
    "answer",
    [
        "The user is sad. I should be kind. </think>I am here. Tell me more.",
        '{"response": "I am here. Tell me more."}',
        "analysisThe user is sad. Be kind.assistantfinalI am here. Tell me more.",
        "**Thoughts:** He is sad. I am kind.\n**Answer:** I am here. Tell me more.",
        "```python\nx = f(1.) # One. Two.\nprint(x)\n```\nI am here. Tell me more.",
        "<think>He is sad. I am kind.</think>I am here. Tell me more.",
    ],
)
def test_thoughts_and_data_are_never_said(answer: str) -> None:
    """The first of these only looks like thoughts at its end: what was given before is not
    gone on with, and the client keeps such answers back (test_dialog_chat_client)."""
    early, late = streamed([*answer])
    if "</think>" in answer and "<think>" not in answer:
        assert late == []
        return
    assert [*early, *late] == ["I am here.", "Tell me more."]


@pytest.mark.parametrize(
    "answer",
    [
        "I *smile. And wave.* Hello there. How are you?",
        "Hello **my. Friend.** How are you? Fine.",
        "(He is. She is.) Hello. There.",
        "Hello [you. There.](http://x.org/a.b) Good. Bye.",
        "Two things. Here:\n\n1. Breathe. Slowly.\n2. Wait. Then go.\n\nGood. Bye.",
        "Hello \U0001f600. How are you? :) Good. Bye.",
        "# Title\n\nHello. There. And so on.",
    ],
)
def test_marks_are_cleaned_as_in_the_whole_answer(answer: str) -> None:
    early, late = streamed([*answer])
    assert " ".join([*early, *late]) == speech_of(answer).text


WORDS = st.lists(
    st.sampled_from(["Hello", "there", "friend", "*very*", "**good**", "(so)", '"yes"', "`x`"]),
    min_size=1,
    max_size=5,
).map(" ".join)
SENTENCES = st.lists(
    st.tuples(WORDS, st.sampled_from([". ", "! ", "? ", "... ", ".\n\n", "; "])).map("".join),
    min_size=1,
    max_size=6,
).map("".join)


@given(SENTENCES, st.lists(st.integers(0, 200), max_size=8))
def test_however_it_is_cut_the_sentences_are_the_whole_answer(
    answer: str, places: list[int]
) -> None:
    cuts = sorted({0, len(answer), *(min(place, len(answer)) for place in places)})
    early, late = streamed([answer[a:b] for a, b in pairwise(cuts)])
    assert " ".join([*early, *late]) == speech_of(answer).text


@given(st.text(max_size=300))
def test_whatever_comes_nothing_is_raised_and_nothing_said_twice(answer: str) -> None:
    early, late = streamed([*answer])
    whole = speech_of(answer).text
    if late:
        assert " ".join(" ".join([*early, *late]).split()) == " ".join(whole.split())
