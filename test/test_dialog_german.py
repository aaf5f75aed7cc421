"""German beside English: recognised and answered as its table says, in files of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made_dialog import TABLE, Saying, feeling

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.agent import Agent
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.evaluation import Setup, check_sayings
from avemo_ros.dialog.guardrail import Guardrail
from avemo_ros.dialog.intent import Moment, all_texts
from avemo_ros.dialog.language import Tone
from avemo_ros.dialog.policy import Policy
from avemo_ros.dialog.scenario import NO_KIND, read_sayings
from avemo_ros.errors import ConfigError, DialogError

DATA = Path(__file__).parent / "data"
GERMAN = Policy.read(language="de")
SCREEN: Guardrail = GERMAN.guardrail
SAD = feeling("sad", 0, 8, confidence=0.9)
HAPPY = feeling("happy", 0, 8, confidence=0.9)


def agent(back_end: Any = None, *steps: Any, **config: Any) -> Agent:
    made = Agent(DialogConfig(**{"notice": "", **config}), GERMAN, back_end)
    for one in steps:
        made.observe(one)
    return made


def texts_of(table: Policy) -> set[str]:
    """Everything that a table can say."""
    said = {*table.quiet, *table.unheard, *table.foreign.texts, *table.feelings.values()}
    said |= {*table.crisis.again, table.crisis.message, table.notice, table.consent.question}
    said |= {*table.consent.accepted, *table.consent.refused}
    for strategy in table.strategies.values():
        given = (*strategy.templates, *strategy.pleasant, *strategy.unpleasant)
        said |= {one.text for one in given}
    for concern in table.concerns.kinds.values():
        said |= set(concern.sayings)
    for part in (table.small_talk.kinds, table.about_robot.subjects):
        said |= {text.text for _, text in all_texts(part.values())}
    return said - {""}


# --- the tables of sayings


@pytest.mark.parametrize("name", ["sayings_de.yaml", "sayings_de_more.yaml"])
def test_every_german_saying_is_met_as_its_table_says(name: str) -> None:
    setup = Setup(GERMAN, DialogConfig(), SteadyConfig())
    wrong = [
        f"{one.words} ({one.emotion}): {one.kind}, {one.answer.reason}"
        for one in check_sayings(read_sayings(DATA / name), setup)
        if not one.right
    ]
    assert wrong == []


def test_german_sayings_of_somebody_else_are_hardly_ever_taken_for_danger() -> None:
    rows = yaml.safe_load((DATA / "sayings_unseen_de.yaml").read_text("utf-8"))
    said = [row for texts in rows.values() for row in texts if not row.get("hand_over")]
    assert len(said) == 142
    found = [GERMAN.meaning(row["said"]).concern for row in said]
    assert sum(one is not None and one.concern.hand_over for one in found) <= 2


def test_the_german_table_is_large_has_sources_and_all_kinds() -> None:
    sayings = read_sayings(DATA / "sayings_de.yaml")
    assert sum(len(one.say) for one in sayings.sets) >= 200
    assert all(one.source for one in sayings.sets)
    tried = {kind for one in sayings.sets for kind in one.kind}
    assert tried == {NO_KIND, *GERMAN.concerns.kinds}


# --- the same rules in other words


def test_both_languages_have_the_same_kinds_in_the_same_order_met_alike() -> None:
    assert list(GERMAN.concerns.kinds) == list(TABLE.concerns.kinds)
    for name, concern in GERMAN.concerns.kinds.items():
        other = TABLE.concerns.kinds[name]
        for same in ("hand_over", "strategy", "intensity", "by_model", "mood", "lasts"):
            assert getattr(concern, same) == getattr(other, same), (name, same)
    assert GERMAN.table == TABLE.table
    assert list(GERMAN.about_robot.subjects) == list(TABLE.about_robot.subjects)
    assert list(GERMAN.small_talk.kinds) == list(TABLE.small_talk.kinds)


def test_no_english_is_left_in_what_is_said() -> None:
    shared = texts_of(GERMAN) & texts_of(TABLE)
    assert shared == set()
    english = {"the", "you", "your", "with", "please", "would", "there"}
    assert [one for one in texts_of(GERMAN) if english & set(one.lower().split())] == []


def test_the_voice_and_a_language_model_are_told_the_language() -> None:
    model = Saying("Ich höre dir zu.")
    answer = agent(model).answer("Es ging immer so weiter")
    assert 'xml:lang="de"' in answer.ssml
    assert "Answer in German" in model.asked[0][0].content
    assert "German" not in _english_prompt()


def _english_prompt() -> str:
    model = Saying("I see.")
    Agent(DialogConfig(notice=""), TABLE, model).answer("It went on like that")
    return model.asked[0][0].content


@pytest.mark.parametrize(
    ("language", "words"), [("en", "I am a robot."), ("de", "Ich bin ein Roboter.")]
)
def test_the_notice_is_in_the_language_unless_another_is_set(language: str, words: str) -> None:
    table = Policy.read(language=language)
    assert Agent(DialogConfig(), table).answer("Hm").notice.startswith(words)
    assert Agent(DialogConfig(notice="Na!"), table).answer("Hm").notice == "Na!"
    assert Agent(DialogConfig(notice=""), table).answer("Hm").notice == ""


# --- what is said


def test_danger_is_handed_over_with_the_numbers_of_the_country() -> None:
    answer = agent(None, *HAPPY).answer("Ich will nicht mehr leben")
    assert answer.handed_over
    assert "0800 111 0 111" in answer.text
    assert "112" in answer.text
    assert "{" not in "".join(texts_of(GERMAN) & {answer.text})


def test_a_happy_face_does_not_overrule_plain_words() -> None:
    said = [agent(None, *steps).answer("Meine Oma ist gestorben") for steps in (HAPPY, SAD)]
    assert said[0].text == said[1].text
    assert said[0].emotion == "happy"


def test_nothing_is_said_twice_in_ten_turns() -> None:
    made = agent(None, *SAD)
    words = ["Meine Oma ist gestorben", *["Sie hat immer Kuchen gebacken"] * 9]
    said = [made.answer(one).text for one in words]
    assert len(set(said)) == 10


def test_pleasant_and_unpleasant_words_are_told_apart() -> None:
    tone = GERMAN.lexicon.tone
    assert tone("Das war ein wunderschöner Tag") is Tone.POSITIVE
    assert tone("Das war schrecklich") is Tone.NEGATIVE
    assert tone("Das ist nicht schlecht") is not Tone.NEGATIVE
    # What is negated before an 'aber' is not after it.
    assert tone("Kein Geld, aber großartig") is Tone.POSITIVE
    assert tone("Ich gehe um acht zum Bäcker") is Tone.NEUTRAL


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Hallo!", "greeting"),
        ("Guten Morgen, lieber Roboter", "greeting"),
        ("Vielen Dank!", "thanks"),
        ("Tschüss, bis morgen", "goodbye"),
        ("Wie geht's dir?", "how_are_you"),
        ("Weiß nicht", "unsure"),
        ("Bist du ein Mensch?", "identity"),
        ("Sag mal, nimmst du das auf?", "kept"),
        ("Bitte lösch alles", "forget"),
        ("Mach die Kamera aus", "stop"),
        ("Hör auf, mich zu beobachten", "stop"),
        ("Bin ich depressiv?", "diagnosis"),
        ("Kannst du mich sehen?", "senses"),
        ("Erzähl mir einen Witz", "request"),
        ("Wie spät ist es?", "fact"),
        ("Warum ist das so?", "question"),
    ],
)
def test_small_talk_and_questions_about_the_robot_are_recognised(words: str, name: str) -> None:
    found = GERMAN.intent(words)
    assert GERMAN.concerns.find(words) is None
    assert found is not None
    assert found.name == name


def test_answers_about_the_robot_say_its_settings() -> None:
    moment = Moment(turns=1, keep_s=60.0, memory_s=120.0, units=GERMAN.units)
    (text,) = GERMAN.about_robot.subjects["kept"].texts(moment)
    assert "höchstens 1 Wortwechsel" in text
    assert "60 Sekunden lang" in text
    assert "2 Minuten lang" in text


def test_who_speaks_english_to_it_is_told_that_it_knows_german_only() -> None:
    answer = agent().answer("Hello, what are you doing with this thing")
    assert answer.text in GERMAN.foreign.texts


def test_a_no_to_the_question_for_consent_is_a_no() -> None:
    made = agent(None, *SAD, ask_consent=True, notice="standard")
    assert made.answer("Hallo").notice.endswith("Ist das in Ordnung für dich?")
    made.answer("Nein, lieber nicht")
    assert made.answer("Es ging immer so weiter").emotion == "unknown"


# --- what a language model may not say


@pytest.mark.parametrize(
    "text",
    [
        "Du wirkst traurig.",
        "Bist du wütend auf mich?",
        "Ich sehe, dass du Angst hast.",
        "Ich spüre deine Trauer.",
        "Deine Stimme klingt verzweifelt.",
    ],
)
def test_an_answer_that_names_the_persons_emotion_is_refused(text: str) -> None:
    reason = SCREEN.refusal(text, may_name="", most=600, secret="")
    assert reason == "the answer names the person's emotion"


@pytest.mark.parametrize("text", ["Du hast eine Depression.", "Das klingt nach Burnout."])
def test_a_diagnosis_is_refused(text: str) -> None:
    assert "clinical" in SCREEN.refusal(text, may_name="", most=600, secret="")


@pytest.mark.parametrize(
    "text",
    [
        "Ich bin froh, dass du da bist.",
        "Das macht mich traurig.",
        "Erzähl mir mehr, ich höre dir zu.",
        "Er war wütend, sagst du.",
    ],
)
def test_what_the_robot_or_somebody_else_feels_may_be_said(text: str) -> None:
    assert SCREEN.refusal(text, may_name="", most=600, secret="") == ""


def test_the_sensed_emotion_may_be_named_where_it_is_sure() -> None:
    assert SCREEN.refusal("Du wirkst traurig.", may_name="sad", most=600, secret="") == ""


# --- files that are based on others


def test_an_own_file_says_only_what_is_different(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "based_on: de.yaml\n"
        'numbers: {emergency: "144", crisis_line: "die Telefonseelsorge, 142"}\n'
        "strategies: {ask: {style: {rate: 0.7}}}\n"
        'quiet: ["Eins.", "Zwei."]\n'
    )
    table = Policy.read(own)
    assert "142" in table.crisis.message
    assert "0800" not in table.crisis.message
    assert table.strategies["ask"].style.rate == 0.7
    # The rest of the style is the shipped one's, lists are replaced as a whole.
    assert table.strategies["ask"].style.pitch == GERMAN.strategies["ask"].style.pitch
    assert table.quiet == ("Eins.", "Zwei.")
    assert table.unheard == GERMAN.unheard
    assert table.lexicon.tone("Das ist schön") is Tone.POSITIVE


def test_a_file_beside_it_counts_before_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "de.yaml").write_text('based_on: en.yaml\nquiet: ["A.", "B."]\n')
    own = tmp_path / "own.yaml"
    own.write_text("based_on: de.yaml\n")
    table = Policy.read(own)
    assert (table.language, table.quiet) == ("en", ("A.", "B."))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("based_on: own.yaml\n", "based_on"),
        ("based_on: 7\n", "based_on is 7"),
        ("based_on: none.yaml\n", "none.yaml"),
        ("based_on: rules.yaml\nlanguage: fr\n", "valence"),
        ("based_on: en.yaml\nnumbers: 5\n", "numbers"),
        ('based_on: en.yaml\ncrisis: {message: "Ruf {emergncy}!"}\n', "emergncy"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(DialogError, match=said):
        Policy.read(own)


def test_a_language_that_there_is_not_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as wrong:
        Policy.read(language="dee")
    assert wrong.value.name == "dialog.language"
    assert "de | en" in str(wrong.value)
    assert "did you mean 'de'" in str(wrong.value)


def test_an_own_file_in_another_language_than_asked_for_is_no_guess(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("based_on: en.yaml\n")
    with pytest.raises(ConfigError, match=r"'en', the language of own\.yaml"):
        Policy.read(own, "de")
    own.write_text("based_on: de.yaml\n")
    assert Policy.read(own, "de").language == Policy.read(own).language == "de"
