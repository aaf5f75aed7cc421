"""What comes before everything else: how it is recognised, and how it is met."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_dialog import TABLE, Failing, Saying, agent, changed, feeling

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.evaluation import Setup, check_sayings
from avemo_ros.dialog.intent import Concerns, Moment
from avemo_ros.dialog.policy import Policy
from avemo_ros.dialog.scenario import NO_KIND, read_sayings
from avemo_ros.errors import DialogError

HAPPY = feeling("happy", 0, 8, confidence=0.9)
SAD = feeling("sad", 0, 8, confidence=0.9)
DATA = Path(__file__).parent / "data"
SAYINGS = read_sayings(DATA / "sayings.yaml")


# --- the table of sayings


@pytest.mark.parametrize("name", ["sayings.yaml", "sayings_paraphrased.yaml"])
def test_every_saying_of_the_table_is_met_as_it_says(setup: Setup, name: str) -> None:
    wrong = [
        f"{one.words} ({one.emotion}): {one.kind}, {one.answer.reason}"
        for one in check_sayings(read_sayings(DATA / name), setup)
        if not one.right
    ]
    assert wrong == []


def test_the_table_is_large_has_sources_and_all_kinds() -> None:
    count = sum(len(one.say) for one in SAYINGS.sets)
    everyday = sum(len(one.say) for one in SAYINGS.sets if one.kind == (NO_KIND,))
    assert count >= 300
    assert everyday >= 100
    assert all(one.source for one in SAYINGS.sets)
    tried = {kind for one in SAYINGS.sets for kind in one.kind}
    assert tried == {NO_KIND, *TABLE.concerns.kinds}


def test_no_saying_stands_in_the_table_twice() -> None:
    said = [words for one in SAYINGS.sets for words in one.say]
    assert sorted(said) == sorted(set(said))


@pytest.fixture(scope="module")
def setup() -> Setup:
    return Setup(TABLE, DialogConfig(), SteadyConfig())


# --- what is said to them


@pytest.mark.parametrize("kind", TABLE.concerns.kinds)
def test_no_answer_praises_doubts_or_passes_over(kind: str) -> None:
    concern = TABLE.concerns.kinds[kind]
    said = " ".join((*concern.texts, *concern.then, concern.message)).lower()
    for words in ("good to know", "are you sure", "really?", "calm down", "at least"):
        assert words not in said
    if concern.strategy != "celebrate_with":
        for words in ("wonderful", "great", "lovely", "how nice", "!"):
            assert words not in said.replace("a great loss", "")


@pytest.mark.parametrize("words", ["My grandma died", "I feel hopeless", "I am so sad"])
def test_a_happy_face_does_not_overrule_plain_words(words: str) -> None:
    one, other = agent(None, *HAPPY).answer(words), agent(None, *SAD).answer(words)
    assert one.emotion == "happy"
    assert (one.text, one.strategy) == (other.text, other.strategy)
    assert "!" not in one.text


def test_who_hands_over_is_said_and_why() -> None:
    answer = agent(None, *HAPPY).answer("I want to disappear")
    assert answer.handed_over
    assert answer.concern == "danger_to_self"
    assert "want to disappear" in answer.reason
    assert answer.text == TABLE.crisis.message


def test_a_hand_over_is_said_again_rather_than_passed_over(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["crisis"]["again"] = ["Who could you call?"]

    table = Policy.read(changed(tmp_path, change))
    made = Setup(table, DialogConfig(), SteadyConfig()).agent()
    said = [made.answer("I want to die").text for _ in range(3)]
    assert said == [table.crisis.message, "Who could you call?", table.crisis.message]


def test_somebody_else_in_danger_is_handed_over_with_another_sentence() -> None:
    answer = agent().answer("My friend wants to kill herself")
    assert answer.handed_over
    assert answer.text != TABLE.crisis.message
    assert answer.text == TABLE.concerns.kinds["danger_of_another"].message


def test_what_is_said_next_stays_with_the_loss() -> None:
    made = agent(None, *HAPPY)
    made.answer("My grandma died")
    answer = made.answer("He used to sleep on my feet")
    assert answer.text in TABLE.concerns.kinds["bereavement"].then
    assert (answer.concern, answer.strategy) == ("bereavement", "acknowledge")
    made.clear()
    assert made.answer("He used to sleep on my feet").concern == ""


def test_the_loss_is_dwelt_on_for_some_turns_in_small_talk_too() -> None:
    made = agent(None, *HAPPY)
    made.answer("My grandma died")
    thanks = made.answer("thanks")
    kind = TABLE.small_talk.find("thanks")
    assert kind is not None
    assert thanks.text in kind.texts(Moment("sad"))
    assert (thanks.emotion, thanks.strategy) == ("happy", "acknowledge")
    lasts = TABLE.concerns.kinds["bereavement"].lasts
    kinds = [made.answer("It is raining").concern for _ in range(lasts + 1)]
    assert kinds[0] == "bereavement"
    assert kinds[-1] == ""


def test_who_asks_to_stop_is_asked_nothing() -> None:
    made = agent(None, *HAPPY)
    for words in ("stop asking", "I went for a walk", "It rained", "So", "Well then"):
        assert "?" not in made.answer(words).text


def kind_texts(kind: str) -> set[str]:
    return set(TABLE.concerns.kinds[kind].sayings)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("that helped a lot", "gratitude"),
        ("I was being rude", "ashamed"),
        ("it's easing off, I feel a bit better", "relief"),
        ("can I tell you about my cat", "story"),
        ("do you still remember what I said before", "recall"),
    ],
)
def test_who_speaks_again_after_a_stop_is_answered_warmly(words: str, kind: str) -> None:
    made = agent()
    made.answer("be quiet")
    answer = made.answer(words)
    assert answer.concern == kind
    assert answer.text in kind_texts(kind) | set(TABLE.quiet)
    assert "?" not in answer.text


@pytest.mark.parametrize("silence", ["...", "", "\u2026"])
def test_silence_after_a_promise_of_quiet_is_left_alone(silence: str) -> None:
    made = agent()
    made.answer("stop talking")
    answer = made.answer(silence)
    assert answer.text in TABLE.concerns.kinds["leave_me"].silence
    assert agent().answer(silence).text in TABLE.unheard


def test_an_overdose_stays_in_force_whatever_good_is_said() -> None:
    made = agent(None, *HAPPY)
    emergency, poison = "emergency number", "poison helpline"
    first = made.answer("I had a whole bottle of painkillers")
    assert first.handed_over
    assert emergency in first.text
    assert poison in first.text
    kind = TABLE.concerns.kinds["overdose"]
    said = [
        "I feel wonderful",
        "fifteen, maybe",
        "ok",
        "it's a lovely day",
        "no",
        "I'm not sad",
    ]
    for words in said:
        answer = made.answer(words)
        assert answer.concern == "overdose"
        assert answer.text in kind.then
        assert answer.strategy != "celebrate_with"
    # What has an answer of its own gets it, and a reminder.
    for words in ("thank you, that helped", "stay with me", "sorry", "good night robot"):
        assert made.answer(words).text.endswith(kind.reminder), words


def test_a_danger_is_asked_about_directly_and_not_celebrated_away() -> None:
    made = agent(None, *HAPPY)
    first = made.answer("I've made my peace with everything, gave my bike to my sister")
    assert first.handed_over
    assert "are you thinking of ending your life?" in first.text
    for words in ("I got the job", "I'm so happy", "I'm laughing so hard I could die laughing"):
        answer = made.answer(words)
        assert answer.gesture != "smile_wide"
        assert "!" not in answer.text


def test_what_was_taken_back_is_over() -> None:
    made = agent()
    assert made.answer("there's a weight on my chest").handed_over
    assert made.answer("false alarm").concern == "taken_back"
    assert made.answer("it is raining").concern == ""
    made.answer("I swallowed thirty tablets")
    assert made.answer("false alarm").concern == "overdose"


def test_the_wish_to_be_with_somebody_is_a_danger_only_after_a_loss() -> None:
    made = agent()
    assert not made.answer("I just want to be with him").handed_over
    made.answer("my husband died")
    assert made.answer("I just want to be with him").handed_over


def test_a_good_day_ends_a_sad_mood() -> None:
    made = agent(None, *HAPPY)
    made.answer("my aunt died in spring")
    assert made.answer("but today is a good day").concern == "brighter"
    assert made.answer("we went to the lake").concern == ""


def test_who_wants_to_call_nobody_is_not_asked_whom_to_call() -> None:
    made = agent(None, *SAD)
    made.answer("my brother died")
    made.answer("I don't want to call anyone")
    for words in ("it rained", "so", "he was tall", "he liked tea", "and jam", "that was it"):
        text = made.answer(words).text.lower()
        assert not any(part in text for part in ("somebody", "call", "who "))


def test_a_goodbye_after_distress_is_said_with_care() -> None:
    kind = TABLE.concerns.kinds["farewell"]
    assert agent(None, *HAPPY).answer("I've got to go, bye").text in kind.texts
    made = agent(None, *HAPPY)
    made.answer("my brother died")
    assert made.answer("I've got to go, bye").text in kind.distressed


def test_who_says_how_it_is_is_not_told_how_they_seem() -> None:
    made = agent(None, *HAPPY)
    made.answer("I am not sad!")
    for _ in range(3):
        assert "seem" not in made.answer("So that is how it went").text


def test_a_model_is_told_what_to_mind_and_never_words_a_script() -> None:
    sayer = Saying("I am so sorry.")
    made = agent(sayer)
    assert made.answer("My grandma died").text == "I am so sorry."
    assert TABLE.concerns.kinds["bereavement"].guidance in sayer.asked[0][0].content
    answer = made.answer("Can you help me breathe?")
    assert answer.text in TABLE.concerns.kinds["panic"].texts
    assert len(sayer.asked) == 1
    assert (
        agent(Failing()).answer("My grandma died").text
        in TABLE.concerns.kinds["bereavement"].texts
    )


# --- how phrases are written


def concerns(*words: str, unless: tuple[str, ...] = (), **more: Any) -> Concerns:
    kind = {
        "words": list(words),
        "strategy": "ask",
        "texts": ["One.", "Two."],
        "source": "a test",
    }
    if unless:
        kind["unless"] = list(unless)
    return Concerns.from_mapping({"kinds": {"kind": kind}, **more})


@pytest.mark.parametrize(
    ("phrase", "fits", "fits_not"),
    [
        ("cat", ["The CAT sat", "a cat."], ["cats", "concatenate"]),
        ("cat*", ["two cats", "category"], ["a dog"]),
        ("cat/dog sat", ["the cat sat", "a dog sat"], ["cat dog"]),
        ("(big cat/small dog) sat", ["a big cat sat", "small dog sat"], ["a big dog sat"]),
        ("[big] cat sat", ["cat sat", "big cat sat"], ["cat that sat"]),
        ("cat ... sat", ["cat sat", "cat on a mat sat"], ["cat. It sat", "cat a b c d e sat"]),
        ("cat .", ["I saw the cat", "A cat!"], ["cat food"]),
        (". cat", ["Cat food", "No. Cat!"], ["the cat"]),
        ("cat !dog", ["a cat"], ["a cat and a dog"]),
    ],
)
def test_a_phrase_finds_what_it_says(phrase: str, fits: list[str], fits_not: list[str]) -> None:
    known = concerns(phrase)
    for words in fits:
        assert known.find(words) is not None, words
    for words in fits_not:
        assert known.find(words) is None, words


def test_lists_stand_for_words_and_may_name_one_another() -> None:
    lists = {"pet": ["cat", "guinea pig"], "mine": ["my <pet>", "our <pet>"]}
    known = concerns("<mine> sat", lists=lists)
    assert known.find("My guinea pig sat down") is not None
    assert known.find("the cat sat down") is None


def test_what_means_something_else_is_not_looked_at() -> None:
    known = concerns("cat", unless=["cat food"])
    assert known.find("I bought cat food") is None
    assert known.find("I bought cat food for my cat") is not None


def test_many_ways_to_write_are_one() -> None:
    known = concerns(
        "i do not want to",
        same={"do not": ["dont", "don t"], "want to": ["wanna"]},
        skipped=["really", "kind of"],
    )
    for words in ("I don't want to", "i DONT wanna", "I kind of don\u2019t really want to"):
        assert known.find(words) is not None, words


def test_ways_that_lead_in_circles_come_to_an_end() -> None:
    known = concerns("dog", same={"cat": ["dog"], "dog": ["cat"], "a lot more": ["more"]})
    assert known.find("more and more of it") is None


@pytest.mark.parametrize("words", ["sucidal", "suiicidal", "suicidla", "suicidall", "suucidal"])
def test_one_wrong_letter_is_forgiven(words: str) -> None:
    known = concerns("suicidal", mended=["suicidal"])
    assert known.find(words) is not None
    assert concerns("suicidal").find(words) is None


def test_a_word_that_only_looks_like_it_is_left_alone() -> None:
    assert concerns("hopeless", mended=["hopeless"]).find("homeless") is not None
    known = concerns("hopeless", mended=["hopeless"], correct=["homeless"])
    assert known.find("homeless") is None


@pytest.mark.parametrize("words", ["hat", "deed"])
def test_short_words_have_to_be_right(words: str) -> None:
    assert concerns("cat", "dead", mended=["cat", "dead"]).find(words) is None


def change_kind(kind: str, **given: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["concerns"]["kinds"][kind].update(given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_kind("panic", words=["<kim> died"]), "did you mean 'kin'?"),
        (change_kind("panic", words=["[may be]"]), "phrases with a word that must be there"),
        (change_kind("panic", words=["so hard"]), "without words that are `skipped`"),
        (change_kind("panic", strategy="reasure"), "did you mean 'reassure'?"),
        (change_kind("panic", texts=["One."]), "a list of 2 or more texts"),
        (change_kind("panic", strategy=""), "a strategy, unless hand_over is true"),
        (change_kind("panic", texts=["You are sad.", "Hm."]), "emotion_words"),
        (change_kind("panic", lasts=1000), "a whole number from 0 to 100"),
        (change_kind("panic", outlasts=["good_nws"]), "did you mean 'good_news'?"),
        (change_kind("panic", after=["greif"]), "concerns.kinds.panic.after"),
        (change_kind("panic", colour="red"), "concerns.kinds.panic.colour is 'red'"),
        (lambda content: content["concerns"].update(kinds={}), "concerns.kinds is {}"),
        (
            lambda content: content["concerns"]["lists"].update(has=["<kin>"]),
            "phrases with the lists",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(DialogError) as caught:
        Policy.read(changed(tmp_path, change))
    assert said in str(caught.value)
