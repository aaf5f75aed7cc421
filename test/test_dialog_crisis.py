"""Crisis words, however they are written."""

from __future__ import annotations

import time

import pytest
from made_dialog import TABLE


def handed_over(text: str) -> bool:
    found = TABLE.concerns.find(text)
    return found is not None and found.concern.hand_over


@pytest.mark.parametrize(
    "text",
    [
        "I want to die",
        "i WANT   to\ndie!!!",
        "I don\u2019t want to live anymore",
        "I dont want to live",
        "sometimes I think of suicide.",
        "I feel suicidal",
        "I would be better off dead",
        "I could... kill... myself",
        "kill\u200b myself",
        "\uff4b\uff49\uff4c\uff4c myself",
        "self-harm",
        "x " * 30_000 + "kill myself",
    ],
)
def test_crisis_words_are_found_however_they_are_written(text: str) -> None:
    assert handed_over(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I want to diet",
        "this skill myself I taught",
        "I am dying to know",
        "kill the process, my self-esteem is fine",
        "Can you die of laughter?",
        "how do I end my lifetime subscription",
    ],
)
def test_words_that_only_look_alike_are_not(text: str) -> None:
    assert not handed_over(text)


def test_endless_words_are_searched_at_once() -> None:
    start = time.thread_time()
    assert not handed_over("kill " * 10_000_000)
    assert time.thread_time() - start < 20.0
