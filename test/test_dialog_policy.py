"""The policy from dialog state to strategy, and the file that holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_dialog import TABLE, changed

from avemo_ros.dialog.language import Tone
from avemo_ros.dialog.policy import (
    Band,
    DialogState,
    Engagement,
    Mismatch,
    Policy,
    Trend,
    all_states,
    default_path,
    mood_of,
)
from avemo_ros.errors import DialogError
from avemo_ros.labels import EMOTIONS, UNKNOWN

HIGH = Band.HIGH


def refused(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> str:
    with pytest.raises(DialogError) as caught:
        Policy.read(changed(tmp_path, change))
    return str(caught.value)


# --- choosing


@pytest.mark.parametrize(
    ("dialog_state", "strategy"),
    [
        (DialogState("angry", HIGH, Trend.STEADY), "de_escalate"),
        (DialogState("angry", Band.MEDIUM, Trend.WORSENING), "de_escalate"),
        (DialogState("angry", Band.MEDIUM, Trend.IMPROVING), "acknowledge"),
        (DialogState("fear", HIGH), "reassure"),
        (DialogState("sad", HIGH, Trend.WORSENING), "reassure"),
        (DialogState("sad", Band.MEDIUM), "acknowledge"),
        (DialogState("sad", HIGH, words=Tone.POSITIVE), "ask"),
        (DialogState("sad", HIGH, engagement=Engagement.DISTRACTED), "give_room"),
        (DialogState("happy", HIGH), "celebrate_with"),
        (DialogState("happy", HIGH, words=Tone.NEGATIVE), "ask"),
        (DialogState("surprise", HIGH), "ask"),
        (DialogState("neutral", HIGH), "continue"),
        (DialogState(), "continue"),
        (DialogState(words=Tone.NEGATIVE), "acknowledge"),
    ],
)
def test_the_shipped_table_chooses(dialog_state: DialogState, strategy: str) -> None:
    assert TABLE.choose(dialog_state).strategy == strategy


def test_every_situation_has_a_choice_and_every_row_and_strategy_its_use() -> None:
    choices = [TABLE.choose(one) for one in all_states()]
    assert {one.row for one in choices} == set(range(1, len(TABLE.rows) + 1))
    assert {one.strategy for one in choices} == set(TABLE.strategies)


def test_the_same_feeling_with_more_confidence_is_followed_as_strongly_or_more() -> None:
    for emotion in ("fear", "happy", "sad"):
        medium = TABLE.choose(DialogState(emotion, Band.MEDIUM))
        high = TABLE.choose(DialogState(emotion, HIGH))
        assert medium.strategy == high.strategy
        assert medium.intensity < high.intensity


def test_the_style_of_a_choice_is_scaled_by_its_intensity() -> None:
    choice = TABLE.choose(DialogState("fear", Band.MEDIUM))
    full = TABLE.strategies["reassure"].style
    assert choice.intensity == 0.6
    assert choice.style.pitch == pytest.approx(full.pitch * 0.6)
    assert choice.style.rate == pytest.approx(1 - (1 - full.rate) * 0.6)


def test_an_unknown_emotion_never_leads_to_a_strategy_for_a_feeling() -> None:
    for dialog_state in all_states():
        if dialog_state.emotion == UNKNOWN and dialog_state.words is not Tone.NEGATIVE:
            assert TABLE.choose(dialog_state).strategy == "continue"


def test_a_mismatch_is_one_of_words_and_feeling() -> None:
    assert DialogState("sad", HIGH, words=Tone.POSITIVE).mismatch is Mismatch.WORDS_BETTER
    assert DialogState("happy", HIGH, words=Tone.NEGATIVE).mismatch is Mismatch.WORDS_WORSE
    assert DialogState("sad", HIGH, words=Tone.NEGATIVE).mismatch is Mismatch.NONE
    assert DialogState(UNKNOWN, words=Tone.POSITIVE).mismatch is Mismatch.NONE


def test_the_mood_is_pleasant_less_unpleasant() -> None:
    values = dict.fromkeys(EMOTIONS, 0.0) | {"happy": 0.5, "sad": 0.2, "neutral": 0.3}
    assert mood_of(tuple(values.values())) == pytest.approx(0.3)
    assert mood_of(()) == 0.0


def test_every_choice_has_its_source() -> None:
    for strategy in TABLE.strategies.values():
        assert strategy.source
    for row in TABLE.rows:
        assert row.source


# --- the file


def test_the_shipped_file_can_be_named(tmp_path: Path) -> None:
    assert Policy.read(default_path()) == TABLE
    assert Policy.read("") == TABLE
    assert Policy.read(changed(tmp_path, lambda content: None)) == TABLE


def set_style(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["strategies"]["reassure"]["style"][key] = value

    return change


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rate", 5.0, "rate is 5.0; allowed: a number from 0.5 to 2"),
        ("rate", "fast", "rate is 'fast'; allowed: a number"),
        ("rate", True, "rate is True; allowed: a number"),
        ("rate", float("nan"), "rate is nan; allowed: a number"),
        ("pitch", -40, "pitch is -40; allowed: a number from -12 to 12"),
        ("picth", 1.0, "picth is 1.0; allowed: one of the names rate, pitch, volume (did you"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(
    tmp_path: Path, key: str, value: object, said: str
) -> None:
    message = refused(tmp_path, set_style(key, value))
    assert message.startswith("own.yaml: strategies.reassure.style")
    assert said in message


def set_row(number: int, **given: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["table"][number - 1].update(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"when": {"emotion": "angyr"}}, "did you mean 'angry'?"),
        ({"when": {"mood": "bad"}}, "table[3].when.mood is 'bad'; allowed: one of the names"),
        ({"when": {"confidence": "low"}}, "'low'; allowed: none | medium | high"),
        ({"when": {"emotion": []}}, "table[3].when.emotion is []"),
        ({"strategy": "hug"}, "table[3].strategy is 'hug'; allowed: acknowledge | reassure"),
        ({"intensity": 2}, "table[3].intensity is 2; allowed: a number from 0 to 1"),
        ({"gesture": "Wave!"}, "table[3].gesture is 'Wave!'"),
        ({"source": ""}, "table[3].source is ''; allowed: text that is not empty"),
        ({"colour": "red"}, "table[3].colour is 'red'; allowed: one of the names"),
    ],
)
def test_a_wrong_row_is_named_with_its_number(
    tmp_path: Path, given: dict[str, object], said: str
) -> None:
    assert said in refused(tmp_path, set_row(3, **given))


def test_a_table_without_a_last_row_for_all_else_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, lambda content: content["table"].pop())
    assert "table[17].when" in message
    assert "the last row covers everything else" in message


@pytest.mark.parametrize(
    "when",
    [
        {"emotion": "angry", "confidence": "high"},  # rows 1 to 3 take all of it
        {"emotion": "unknown", "confidence": "high"},  # there is no such situation
        {"emotion": "happy", "mismatch": "words_better"},
    ],
)
def test_a_row_that_can_never_be_reached_is_refused(
    tmp_path: Path, when: dict[str, str]
) -> None:
    message = refused(tmp_path, set_row(4, when=when))
    assert "table[4].when" in message
    assert "can never be reached" in message


def test_rows_after_the_one_for_all_else_are_refused(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["table"].insert(0, content["table"][-1])

    assert "table[2]" in refused(tmp_path, change)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("You are sad, I know.", "without words of emotion_words"),
        ("You may have a depression.", "clinical_words"),
        ("Tell me about {topic}.", "texts in which braces are {feeling}"),
        ("You seem {feeling.", "texts in which braces are {feeling}"),
        ("", "text in quotes that is not empty"),
        (5, "text in quotes"),
    ],
)
def test_a_template_that_breaks_a_limit_is_refused(
    tmp_path: Path, text: object, said: str
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["strategies"]["ask"]["templates"].append(text)

    message = refused(tmp_path, change)
    assert "strategies.ask.templates" in message
    assert said in message


def test_a_strategy_needs_two_texts_that_always_fit(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["strategies"]["ask"]["templates"] = [
            "What?",
            "Why {feeling}?",
            "How {feeling}?",
        ]

    assert "two or more texts without {slots}" in refused(tmp_path, change)


def test_a_designer_may_add_a_strategy_and_a_row(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        strategy = dict(content["strategies"]["ask"], gesture="wave")
        content["strategies"]["wake_up"] = strategy
        row = {"when": {"engagement": "absent"}, "strategy": "wake_up", "intensity": 1}
        content["table"].insert(0, row | {"source": "design choice"})

    table = Policy.read(changed(tmp_path, change))
    choice = table.choose(DialogState("sad", HIGH, engagement=Engagement.ABSENT))
    assert (choice.strategy, choice.gesture, choice.row) == ("wake_up", "wave", 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.pop("crisis"), "own.yaml: crisis is None"),
        (lambda content: content["crisis"].update(words=["die"]), "crisis.words is ['die']"),
        (lambda content: content.pop("concerns"), "own.yaml: concerns is None"),
        (lambda content: content.pop("quiet"), "own.yaml: quiet is None"),
        (lambda content: content["crisis"].pop("message"), "crisis.message is None"),
        (lambda content: content.update(language="english!"), "language is 'english!'"),
        (lambda content: content.update(valence="none.txt"), "`valence` of "),
        (lambda content: content["strategies"].pop("ask"), "one of them 'ask'"),
        (lambda content: content["strategies"].update({"Ask me": {}}), "names such as"),
        (lambda content: content["emotion_words"].pop("sad"), "emotion_words.sad is None"),
        (lambda content: content["feelings"].update(bored="bored"), "'bored'"),
        (lambda content: content.update(unheard=["What?"]), "unheard"),
        (lambda content: content.update(extra=1), "own.yaml: extra is 1"),
    ],
)
def test_whatever_is_missing_or_wrong_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    assert said in refused(tmp_path, change)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", "not valid YAML"),
        (b"- 1", "mapping of names"),
        (b"", "mapping of names"),
        (b"\xff\xfe", "UTF-8"),
        (b"language: en\nlanguage: de\n", "the key 'language' is given twice"),
        (b"!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(DialogError, match=said):
        Policy.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DialogError, match=r"none\.yaml"):
        Policy.read(tmp_path / "none.yaml")
