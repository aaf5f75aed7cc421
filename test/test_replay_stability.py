from __future__ import annotations

from dataclasses import replace

import pytest
from made_sessions import seg, session, stream

from avemo_ros.config import SteadyConfig
from avemo_ros.replay.matching import match_recording
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.replay.stability import reaction, stability, steady
from avemo_ros.state.smoothing import StateSmoother


def runs(*parts: tuple[int, str]) -> list[str]:
    return [label for count, label in parts for _ in range(count)]


def changing() -> EvaluatedRecording:
    # 0 to 2 s sad, 2 to 4 s happy, 4 to 6 s fear is true.
    labels = runs(
        (10, "sad"), (2, "happy"), (8, "sad"),  # two changes, one of them false
        (5, "sad"), (3, "unknown"), (12, "happy"),  # one, after a claim was lost
        (20, "happy"),  # missed
    )  # fmt: skip
    return session(stream(labels), seg(0, 2, "sad"), seg(2, 4, "happy"), seg(4, 6, "fear"))


def test_changes_are_counted_where_the_truth_is_known() -> None:
    found = stability([match_recording(changing())], 0.1)
    assert found == {
        "minutes": pytest.approx(0.1),
        "changes": 3,
        "truth_changes": 2,
        "false_changes": 1,
        "lost_claims": 1,
        "changes_per_minute": pytest.approx(30),
        "truth_changes_per_minute": pytest.approx(20),
        "false_changes_per_minute": pytest.approx(10),
        "lost_claims_per_minute": pytest.approx(10),
    }


def test_what_happens_without_truth_does_not_count() -> None:
    steps = stream(runs((5, "sad"), (1, "happy"), (1, "fear"), (5, "sad")))
    found = stability(
        [match_recording(session(steps, seg(0, 0.5, "sad"), seg(0.7, 2, "sad")))], 0.1
    )
    assert (found["changes"], found["truth_changes"]) == (0, 0)


def test_people_and_sessions_are_followed_apart() -> None:
    one = session(stream(["sad"] * 5), seg(0, 1, "sad"))
    other = session(stream(["happy"] * 5), seg(0, 1, "happy"), name="two")
    found = stability([match_recording(one), match_recording(other)], 0.1)
    assert (found["changes"], found["truth_changes"]) == (0, 0)


def test_without_any_claim_nothing_changes() -> None:
    found = stability(
        [match_recording(session(stream(["unknown"] * 600), seg(0, 60, "sad")))], 0.1
    )
    assert found["changes_per_minute"] == 0
    assert found["lost_claims"] == 0


def test_a_change_is_detected_when_its_label_is_claimed() -> None:
    # Happy from 2.0 s on is first claimed at 2.8 s; fear never.
    assert reaction([match_recording(changing())]) == {
        "changes": 2,
        "detected": 1,
        "missed": 1,
        "median_s": pytest.approx(0.8),
        "p90_s": pytest.approx(0.8),
    }


def test_median_and_ninth_decile_are_over_all_sessions() -> None:
    judged = [
        match_recording(
            session(
                stream(runs((10 + late, "sad"), (10 - late, "happy"))),
                seg(0, 1, "sad"),
                seg(1, 2, "happy"),
                name=f"s{late}",
            )
        )
        for late in (1, 2, 3, 4, 5)
    ]
    found = reaction(judged)
    assert found["median_s"] == pytest.approx(0.3)
    assert found["p90_s"] == pytest.approx(0.46)  # between the fourth and the fifth


def test_the_same_label_again_is_no_change() -> None:
    steps = stream(["unknown"] * 20)
    found = reaction([match_recording(session(steps, seg(0, 1, "sad"), seg(1, 2, "sad")))])
    assert found == {"changes": 0, "detected": 0, "missed": 0, "median_s": None, "p90_s": None}


# --- the steady labels


def remembered(labels: list[str]) -> EvaluatedRecording:
    """Sad for 3 s and then happy, with the steady labels that the engine gives to it."""
    memory = StateSmoother(SteadyConfig(time_constant_s=0.0, debounce_s=0.5))
    steps = [replace(step, changes=memory.push(step)) for step in stream(labels)]
    return session(steps, seg(0, 3, "sad"), seg(3, 6, "happy"))


def test_steady_labels_are_scored_as_those_of_the_estimates() -> None:
    # Two errors are too short to become steady; the true change becomes so after 0.5 s.
    labels = runs(
        (15, "sad"), (2, "fear"), (13, "sad"), (10, "happy"), (2, "fear"), (18, "happy")
    )
    matched = [match_recording(remembered(labels))]
    assert stability(matched, 0.1)["false_changes"] == 2
    found = steady(matched, 0.1)
    assert found is not None
    assert (found["stability"]["changes"], found["stability"]["false_changes"]) == (1, 0)
    assert found["reaction"]["median_s"] == pytest.approx(0.5)
    # Nothing is steady in the first half second, and "sad" for that long after the change.
    assert (found["steps"], found["claimed"]) == (60, 55)
    assert found["accuracy"] == pytest.approx(50 / 60)


def test_recorded_states_have_no_steady_labels() -> None:
    one = remembered(runs((60, "sad")))
    states = replace(one, replayed=replace(one.replayed, source="states"))
    assert steady([match_recording(states)], 0.1) is None
