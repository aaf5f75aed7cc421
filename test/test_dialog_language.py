"""The tone of words."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_dialog import TABLE

from avemo_ros.dialog.language import Tone, ValenceLexicon
from avemo_ros.errors import DialogError


@pytest.mark.parametrize(
    ("text", "tone"),
    [
        ("I am fine, everything is great", Tone.POSITIVE),
        ("I won the match!", Tone.POSITIVE),
        ("My dog died yesterday", Tone.NEGATIVE),
        ("I hate this, it is terrible", Tone.NEGATIVE),
        ("That is not good", Tone.NEGATIVE),
        ("I'm not happy about it", Tone.NEGATIVE),
        ("It isn't bad", Tone.POSITIVE),
        ("No, that is wonderful", Tone.POSITIVE),
        ("It was good but the end was terrible", Tone.NEUTRAL),
        ("Where is the station?", Tone.NEUTRAL),
        ("", Tone.NEUTRAL),
        ("?!", Tone.NEUTRAL),
    ],
)
def test_the_tone_of_english_sentences(text: str, tone: Tone) -> None:
    assert TABLE.lexicon.tone(text) is tone


def test_a_negation_turns_a_word_and_halves_it() -> None:
    lexicon = ValenceLexicon({"good": 2}, frozenset({"not"}))
    assert lexicon.score("good") == pytest.approx(2 / 3)
    assert lexicon.score("not really so good") == pytest.approx(-1 / 3)
    assert lexicon.score("not one two three good") == pytest.approx(2 / 3)
    assert lexicon.score("not here, good") == pytest.approx(2 / 3)


def test_the_list_is_balanced_and_of_the_size_that_it_says() -> None:
    weights = TABLE.lexicon.weights.values()
    assert 300 <= len(weights) <= 1000
    assert 0.5 <= sum(one > 0 for one in weights) / sum(one < 0 for one in weights) <= 2.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("+4 great", "line 1: '\\+4 great' is not an entry"),
        ("+0 so", "is not an entry"),
        ("great", "is not an entry"),
        ("+1 nice\n-1 nice", "line 2: 'nice' is given twice"),
        ("not no\n+1 no", "line 2: 'no' is given twice"),
    ],
)
def test_a_list_that_is_wrong_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "v.txt"
    path.write_text(text)
    with pytest.raises(DialogError, match=said):
        ValenceLexicon.read(path)


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DialogError, match=r"none\.txt"):
        ValenceLexicon.read(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DialogError, match="UTF-8"):
        ValenceLexicon.read(tmp_path / "b.txt")
