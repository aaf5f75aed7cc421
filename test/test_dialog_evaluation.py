"""Whether the strategy follows the emotion: what is measured, on conversations with a truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from bad_endpoint import Server, answer, hang, respond

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.answer_scoring import (
    Probe,
    circuit,
    false_reactions,
    measure_reactions,
    names_emotion,
    probes,
    reaction_times,
    strategy_for,
    wrong_turns,
)
from avemo_ros.dialog.chat_client import ChatClient
from avemo_ros.dialog.dialog_config import DialogConfig, EndpointConfig
from avemo_ros.dialog.evaluation import Setup, converse, evaluate
from avemo_ros.dialog.policy import Band, DialogState, Policy, Trend
from avemo_ros.dialog.responder import Message
from avemo_ros.dialog.scenario import Feeling, Line, Scenario, read_scenario, read_scenarios
from avemo_ros.dialog.scenario_estimates import START_NS, synthetic_estimates
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.report.dialog_pages import render_dialog_evaluation
from avemo_ros.sink.jsonl import JsonLines


@pytest.fixture(scope="module")
def table() -> Policy:
    return Policy.read()


@pytest.fixture
def setup(table: Policy) -> Setup:
    return Setup(table, DialogConfig(), SteadyConfig(), None)


def turned(degrees: float) -> Scenario:
    felt = Feeling(0.0, "sad", 0.95, 0.0, turned=degrees)
    return Scenario("turned", "Turned", 20.0, (Line(15.0, "I went for a walk."),), (felt,))


def sure(
    *feelings: tuple[float, str], seconds: float = 60.0, lines: Sequence[Line] = ()
) -> Scenario:
    """A person whose feelings can be seen without doubt."""
    felt = tuple(Feeling(at_s, emotion, 0.95, 0.0) for at_s, emotion in feelings)
    return Scenario("sure", "Sure", seconds, tuple(lines), felt)


# --- the yardstick


@pytest.mark.parametrize(
    ("emotion", "strategy"),
    # As docs/dialog.md tells designers.
    [
        ("angry", "de_escalate"),
        ("disgust", "acknowledge"),
        ("fear", "reassure"),
        ("happy", "celebrate_with"),
        ("neutral", "continue"),
        ("sad", "acknowledge"),
        ("surprise", "ask"),
    ],
)
def test_the_right_strategy_is_that_of_the_true_emotion(
    table: Policy, emotion: str, strategy: str
) -> None:
    sensed = DialogState("happy", Band.HIGH, Trend.STEADY)
    assert strategy_for(table, sensed, emotion) == strategy


def test_with_an_unknown_truth_the_row_for_unknown_is_right(table: Policy) -> None:
    sensed = DialogState("angry", Band.HIGH, Trend.WORSENING)
    assert strategy_for(table, sensed, UNKNOWN) == table.choose(DialogState()).strategy


@pytest.mark.parametrize(
    "text",
    [
        "You seem sad.",
        "you are really very angry, are you not?",
        "It looks like you're afraid.",
        "I can tell that you feel happy about it",
        "Your face looks sad.",
        "Why are you so upset?",
    ],
)
def test_an_emotion_that_is_told_to_a_person_is_found(text: str) -> None:
    assert names_emotion(text)


@pytest.mark.parametrize(
    "text",
    [
        "I am happy to help you.",
        "I am glad that you came.",
        "You can tell me what you like.",
        "That is a sad story.",
        "You make me glad.",
    ],
)
def test_other_emotions_are_not_taken_for_that(text: str) -> None:
    assert not names_emotion(text)


# --- conversations


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_strategy_is_the_tables_where_the_emotion_is_plain(
    setup: Setup, emotion: str
) -> None:
    script = sure((0.0, emotion), seconds=20.0, lines=[Line(15.0, "I went for a walk.")])
    (judged,) = converse(script, setup).turns
    assert judged.turn.emotion == judged.turn.truth == emotion
    assert judged.turn.strategy == judged.right


def test_without_cues_the_strategy_does_not_know_the_emotion(setup: Setup) -> None:
    lines = [Line(15.0, "I went for a walk.")]
    got = {
        emotion: converse(sure((0.0, emotion), seconds=20.0, lines=lines), setup).turns[0].turn
        for emotion in ("angry", "happy", "sad")
    }
    assert len({turn.strategy for turn in got.values()}) == 3
    assert len({turn.baseline_strategy for turn in got.values()}) == 1
    assert len({turn.baseline for turn in got.values()}) == 1


def test_words_are_answered_by_what_was_felt_before_them(setup: Setup) -> None:
    lines = [Line(20.0, "Well."), Line(32.0, "Well then.")]
    script = sure((0.0, "happy"), (20.5, "angry"), seconds=34.0, lines=lines)
    first, second = converse(script, setup).turns
    assert (first.turn.emotion, second.turn.emotion) == ("happy", "angry")


def test_words_after_the_last_state_are_answered_too(setup: Setup) -> None:
    script = sure((0.0, "sad"), seconds=10.0, lines=[Line(5.0, "One."), Line(10.0, "Two.")])
    assert [judged.turn.words for judged in converse(script, setup).turns] == ["One.", "Two."]


def test_what_cannot_be_sure_is_judged_as_unknown(setup: Setup) -> None:
    feeling = Feeling(0.0, "sad", 0.3, 0.1)
    script = Scenario("dim", "Dim", 20.0, (Line(15.0, "I went for a walk."),), (feeling,))
    (judged,) = converse(script, setup).turns
    assert judged.turn.truth == UNKNOWN
    assert judged.turn.emotion == UNKNOWN
    assert judged.turn.strategy == judged.right


def test_crisis_words_are_handed_over_whatever_is_felt(repository: Path, setup: Setup) -> None:
    script = read_scenario(repository / "config" / "scenarios" / "crisis_words.yaml")
    said = [judged.turn for judged in converse(script, setup).turns]
    assert [turn.strategy for turn in said][1:] == ["hand_over", "hand_over"]
    assert [turn.baseline_strategy for turn in said][1:] == ["hand_over", "hand_over"]
    assert said[1].answer == setup.table.crisis.message


def test_who_turns_away_is_given_room_and_who_comes_back_is_not(
    repository: Path, setup: Setup
) -> None:
    script = read_scenario(repository / "config" / "scenarios" / "turned_away.yaml")
    said = [judged.turn for judged in converse(script, setup).turns]
    turned = [
        feeling.turned for feeling in map(script.feeling_at, [t.t for t in said]) if feeling
    ]
    assert [turn.strategy == "give_room" for turn in said] == [angle > 0 for angle in turned]
    assert not any(turn.baseline_strategy == "give_room" for turn in said)
    assert "turned away from you" in said[1].context


@pytest.mark.parametrize(("degrees", "strategy"), [(20.0, "acknowledge"), (30.0, "give_room")])
def test_a_head_counts_as_turned_away_from_the_limit_of_engagement_on(
    setup: Setup, degrees: float, strategy: str
) -> None:
    (judged,) = converse(turned(degrees), setup).turns
    assert judged.turn.strategy == strategy


def test_words_cannot_choose_the_strategy(repository: Path, setup: Setup) -> None:
    script = read_scenario(repository / "config" / "scenarios" / "prompt_injection.yaml")
    plain = replace(
        script, lines=tuple(replace(line, text="I went for a walk.") for line in script.lines)
    )
    injected = [judged.turn.strategy for judged in converse(script, setup).turns]
    assert injected == [judged.turn.strategy for judged in converse(plain, setup).turns]


def test_recorded_states_take_the_place_of_the_script(tmp_path: Path, setup: Setup) -> None:
    states = tmp_path / "states.jsonl"
    with JsonLines(states, START_NS) as lines:
        for step in synthetic_estimates(sure((0.0, "angry"), seconds=20.0)):
            lines.write(step)
    path = tmp_path / "recorded.yaml"
    path.write_text(
        "title: Recorded\nduration_s: 20\nstates: states.jsonl\n"
        'words:\n  - {at: 15, say: "I went for a walk."}\n'
    )
    (judged,) = converse(read_scenario(path), setup).turns
    assert judged.turn.emotion == "angry"
    assert judged.right == ""
    result, _ = evaluate([read_scenario(path)], setup, rounds=0, hours=0.0)
    assert result["turns"] == 1
    assert result["judged_turns"] == 0
    assert result["strategy_accuracy"] is None


# --- a back end


class _Bold:
    """Tells everyone what they feel."""

    name = "bold"

    def complete(self, messages: Sequence[Message]) -> str:
        return "You seem sad."


def test_an_answer_that_claims_too_much_never_gets_out(setup: Setup) -> None:
    feeling = Feeling(0.0, "sad", 0.3, 0.1)
    script = Scenario("dim", "Dim", 20.0, (Line(15.0, "I went for a walk."),), (feeling,))
    (judged,) = converse(script, replace(setup, back_end=_Bold())).turns
    assert judged.fallback
    assert not judged.claimed
    assert "sad" not in judged.turn.answer


def test_the_measure_finds_a_claim_that_the_limits_let_through(setup: Setup) -> None:
    # Limits that allow everything: the measure goes by those that are asked for.
    feeling = Feeling(0.0, "sad", 0.6, 0.0)
    script = Scenario("dim", "Dim", 20.0, (Line(15.0, "I went for a walk."),), (feeling,))
    lax = setup.config.replace(min_confidence=0.0, high_confidence=0.0, name_confidence=0.0)
    strict = DialogConfig()
    talk = converse(script, replace(setup, config=lax, back_end=_Bold()))
    said = talk.turns[0].turn
    assert said.answer == "You seem sad."
    assert said.confidence < strict.name_confidence
    assert names_emotion(said.answer)


def test_a_real_endpoint_is_asked_with_the_emotion_and_without(setup: Setup) -> None:
    script = sure((0.0, "angry"), seconds=20.0, lines=[Line(15.0, "I went for a walk.")])
    with Server(respond(answer("Please go on."))) as server:
        back_end = ChatClient(EndpointConfig(base_url=server.url, model="tiny"))
        (judged,) = converse(script, replace(setup, back_end=back_end)).turns
        prompts = [request.content["messages"][0]["content"] for request in server.requests]
    assert (judged.turn.answer, judged.turn.back_end) == ("Please go on.", "tiny")
    assert not judged.fallback
    assert ["angry" in prompt for prompt in prompts] == [True, False]


def test_a_dead_endpoint_is_counted_and_answered_offline(setup: Setup) -> None:
    script = sure((0.0, "angry"), seconds=20.0, lines=[Line(15.0, "I went for a walk.")])
    with Server(hang()) as server:
        config = EndpointConfig(base_url=server.url, model="tiny", deadline_s=0.3)
        result, (talk,) = evaluate(
            [script], replace(setup, back_end=ChatClient(config)), rounds=0, hours=0.0
        )
    assert result["fallbacks"] == 1
    assert result["latency_ms"]["largest"] >= 300
    assert talk.turns[0].turn.back_end == "offline"
    assert "0.3 s" in talk.turns[0].turn.failure
    assert talk.turns[0].turn.strategy == talk.turns[0].right


# --- streams


def test_every_emotion_follows_every_other_one_once() -> None:
    for number in range(8):
        pairs = list(pairwise(circuit(number)))
        assert len(pairs) == len(set(pairs)) == len(EMOTIONS) * (len(EMOTIONS) - 1)
    assert circuit(0) != circuit(1)


def _seen(*strategies: str, right: str = "a", sensed: str = "sad") -> list[Probe]:
    return [
        Probe(0.1 * step, "happy", sensed, strategy, right)
        for step, strategy in enumerate(strategies)
    ]


def test_a_wrong_strategy_counts_once_however_long_it_stays() -> None:
    assert len(list(wrong_turns(_seen("a", "b", "b", "b", "a", "a")))) == 1
    assert len(list(wrong_turns(_seen("a", "b", "a", "b")))) == 2
    assert len(list(wrong_turns(_seen("a", "b", "c")))) == 2
    assert not list(wrong_turns(_seen("a", "a", "a")))


def test_the_time_of_a_reaction_is_that_of_the_first_fitting_strategy(
    table: Policy,
) -> None:
    script = sure((0.0, "happy"), (10.0, "angry"), (20.0, "sad"), seconds=30.0)
    seen = [
        Probe(9.0, "happy", "happy", "celebrate_with", "celebrate_with"),
        Probe(11.0, "angry", "happy", "celebrate_with", "de_escalate"),
        Probe(12.5, "angry", "angry", "de_escalate", "de_escalate"),
        Probe(13.0, "angry", "angry", "de_escalate", "de_escalate"),
        Probe(25.0, "sad", "angry", "de_escalate", "acknowledge"),
    ]
    assert reaction_times(seen, script, table) == [2.5, None]


def test_a_change_that_calls_for_the_same_strategy_is_no_change(table: Policy) -> None:
    plain = [
        table.choose(DialogState(emotion, Band.HIGH, Trend.STEADY)).strategy
        for emotion in ("sad", "disgust")
    ]
    assert plain[0] == plain[1]
    script = sure((0.0, "sad"), (10.0, "disgust"), seconds=20.0)
    assert reaction_times([], script, table) == []


def test_the_strategy_follows_a_plain_change_after_the_window_and_before_long(
    setup: Setup,
) -> None:
    script = sure((0.0, "happy"), (20.0, "angry"), seconds=40.0)
    seen = list(probes(setup.probe(), setup.table, script))
    (time_s,) = reaction_times(seen, script, setup.table)
    assert time_s is not None
    assert 0.3 < time_s < 8.0
    assert not list(wrong_turns([probe for probe in seen if 10 < probe.t_s < 20]))


def test_what_a_probe_forgets_changes_no_strategy(setup: Setup) -> None:
    script = sure((0.0, "happy"), (15.0, "angry"), (30.0, "neutral"), seconds=45.0)
    kept = [probe.strategy for probe in probes(setup.agent(), setup.table, script)]
    assert [probe.strategy for probe in probes(setup.probe(), setup.table, script)] == kept
    assert len(set(kept)) >= 3


# 21 s of computing, which a busy machine takes ten times as long for.
@pytest.mark.timeout(900)
def test_more_smoothing_is_slower_and_steadier(setup: Setup) -> None:
    quick = replace(setup, steady=SteadyConfig(time_constant_s=0.2, debounce_s=0.0))
    slow = replace(setup, steady=SteadyConfig(time_constant_s=3.0, debounce_s=1.0))
    times = [
        measure_reactions(one.probe, one.table, 1, [0.65])[0]["median_s"]
        for one in (quick, slow)
    ]
    assert times[0] < times[1]
    wrong = []
    for one in (quick, slow):
        row = false_reactions(one.probe, one.table, 0.05, [0.65])[0]
        wrong.append(row["false_per_hour"] + row["lost_per_hour"])
    assert wrong[0] > wrong[1]


# --- the whole


def test_the_result_is_the_same_each_time_but_for_the_latency(
    repository: Path, setup: Setup
) -> None:
    scenarios = read_scenarios([repository / "config" / "scenarios"])[:4]
    results = [evaluate(scenarios, setup, rounds=0, hours=0.0)[0] for _ in range(2)]
    for result in results:
        latency = result.pop("latency_ms")
        assert latency["answers"] == result["turns"]
        assert 0 < latency["median"] <= latency["largest"]
    assert results[0] == results[1]
    streams = [false_reactions(setup.probe, setup.table, 0.01, [0.55]) for _ in range(2)]
    assert streams[0] == streams[1]


def test_the_packages_table_and_scenarios_keep_the_limits(
    repository: Path, setup: Setup
) -> None:
    scenarios = read_scenarios([repository / "config" / "scenarios"])
    result, talks = evaluate(scenarios, setup, rounds=0, hours=0.0)
    assert result["claims_below_limit"] == {"answers": 0, "share": 0.0}
    assert result["strategy_accuracy"] > result["strategy_accuracy_without_cues"] + 0.2
    assert result["strategy_accuracy"] >= 0.8
    page = render_dialog_evaluation({"version": "1", "back_end": "offline", **result}, talks)
    for one in scenarios:
        assert one.title in page
