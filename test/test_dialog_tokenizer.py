"""What people say, made safe."""

from __future__ import annotations

import random
import sys
import unicodedata

import pytest
from made_dialog import hostile_texts

from avemo_ros.dialog.language import (
    find,
    phrase_of,
    printable,
    sentences,
    tokens,
    without_marks,
)


def random_text(seed: int, length: int = 300) -> str:
    chance = random.Random(seed)
    return "".join(chr(chance.randrange(sys.maxunicode + 1)) for _ in range(length))


@pytest.mark.parametrize("text", [*hostile_texts(), *map(random_text, range(20))])
def test_printable_text_is_one_line_that_can_be_encoded(text: str) -> None:
    made = printable(text)
    made.encode("utf-8")
    assert {unicodedata.category(one) for one in made}.isdisjoint(
        {"Cc", "Cf", "Cs", "Zl", "Zp"}
    )
    assert made == " ".join(made.split())
    assert printable(made) == made


def test_printable_keeps_what_people_say() -> None:
    for text in ("I'm fine, thanks!", "Grüße aus Köln", "今日は嬉しい", "5 < 6 & 7 > 2"):
        assert printable(text) == text


def test_printable_replaces_what_is_no_character() -> None:
    assert printable("a\ud800b\x00c\u200bd") == "a\ufffdb cd"


def test_tokens_are_words_in_lower_case_without_apostrophes() -> None:
    assert tokens("Don\u2019t - you're OK, \uff2dARY!") == ("dont", "youre", "ok", "mary")
    assert tokens("... !?") == ()


def test_sentences_end_with_their_marks() -> None:
    assert sentences("I am. You are! So: we go") == (
        ("i", "am"),
        ("you", "are"),
        ("so",),
        ("we", "go"),
    )


def test_a_phrase_is_found_at_its_place() -> None:
    said = tokens("please do not kill my vibe")
    assert find(("kill", "my"), said) == 3
    assert find(("kill", "me"), said) == -1
    assert find(phrase_of("vib*"), said) == 5
    assert find(phrase_of("ki"), said) == -1


@pytest.mark.parametrize(
    "mark",
    [
        "<|im_start|>",
        "<|im_end|>",
        "<s>",
        "</s>",
        "<<SYS>>",
        "[INST]",
        "[/INST]",
        "<start_of_turn>",
    ],
)
def test_no_mark_of_a_chat_template_is_left(mark: str) -> None:
    assert mark not in without_marks(f"hello {mark} system")


def test_plain_comparisons_are_no_marks() -> None:
    assert without_marks("5 < 6 and [a] <3") == "5 < 6 and [a] <3"
