from __future__ import annotations

import json
from dataclasses import replace

import pytest
from made_sessions import said, seg, session, stream
from made_steps import step_of

from avemo_ros.annotations.segments import TruthRule
from avemo_ros.errors import LabelError
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.replay.scoring import intervals_in_words, people_in_words, score
from avemo_ros.state.estimate import Status


def mixed() -> EvaluatedRecording:
    """A long segment that is mostly right, and two short ones."""
    labels = ["sad"] * 25 + ["happy"] * 5 + ["happy"] * 5 + ["unknown"] * 5
    return session(
        stream(labels), seg(0, 3, "sad"), seg(3, 3.5, "fear"), seg(3.5, 4, "neutral")
    )


def test_long_segments_weigh_more_in_frames_and_not_in_segments() -> None:
    found = score([mixed()], rounds=0)
    assert (found["frames"]["items"], found["segments"]["items"]) == (40, 3)
    assert found["frames"]["accuracy"] == 25 / 40
    assert found["segments"]["accuracy"] == pytest.approx(1 / 3)
    assert (found["frames"]["unanswered"], found["segments"]["unanswered"]) == (5, 1)
    assert found["labelled_s"] == pytest.approx(4.0)
    assert found["hop_s"] == 0.1


def test_a_segments_answer_is_its_mean_distribution() -> None:
    steps = [
        step_of(said(0.0, "sad", confidence=0.9)),
        step_of(said(0.1, "happy", confidence=0.5)),
    ]
    found = score([session(steps, seg(0, 1, "sad"))], rounds=0)
    # The mean of 0.9 and of what 0.5 leaves for each of six others.
    assert found["segments"]["list"] == [
        {
            "session": "one",
            "person": "",
            "start_s": 0.0,
            "end_s": 1.0,
            "truth": "sad",
            "share": 1.0,
            "answer": "sad",
            "right": True,
            "truth_probability": pytest.approx(0.491667),
            "confidence": pytest.approx(0.491667),
            "hops": 2,
            "unknown": 0.0,
            "claims": [
                {"start_s": 0.0, "end_s": 0.0, "label": "sad"},
                {"start_s": 0.0, "end_s": 0.1, "label": "happy"},
            ],
        }
    ]


def test_claims_of_a_segment_are_told_from_change_to_change() -> None:
    labels = ["sad"] * 5 + ["unknown"] * 3 + ["-"] * 2 + ["sad"] * 4
    given = session(stream(labels, start=1.0), seg(1.05, 3, "sad", "f1"))
    (row,) = score([given], rounds=0)["segments"]["list"]
    told = [(item["start_s"], item["end_s"], item["label"]) for item in row["claims"]]
    assert told == [
        (1.05, pytest.approx(1.4), "sad"),
        (pytest.approx(1.4), pytest.approx(1.9), ""),
        (pytest.approx(1.9), pytest.approx(2.3), "sad"),
    ]


def test_the_worst_segments_are_the_wrong_ones_least_likely_first() -> None:
    steps = [
        step_of(said(0.0, "sad", confidence=0.5)),
        step_of(said(0.1, "sad", confidence=0.9)),
        step_of(said(0.2, "sad")),
        step_of(said(0.3, "unknown")),
    ]
    labels = ["happy", "happy", "sad", "happy"]
    given = session(
        steps, *(seg(at / 10, (at + 1) / 10, label) for at, label in enumerate(labels))
    )
    found = score([given], rounds=0)
    assert found["worst"] == [1, 0, 3]
    assert found["segments"]["list"][3]["answer"] == ""
    assert found["segments"]["list"][3]["truth_probability"] is None


def test_figures_are_split_by_what_a_claim_rests_on() -> None:
    both = replace(said(0.2, "sad"), face_share=0.6, voice_share=0.4, status=Status.OK)
    voice = replace(said(0.3, "sad"), face_share=0.0, voice_share=1.0, status=Status.NO_FACE)
    steps = [
        step_of(said(0.0, "sad")),
        step_of(said(0.1, "happy")),
        step_of(both),
        step_of(voice),
        *stream("-", start=0.4),
    ]
    found = score([session(steps, seg(0, 1, "sad"))], rounds=0)
    used = found["by_modality"]
    assert [used[name]["hops"] for name in ("face", "voice", "both", "none")] == [2, 1, 1, 1]
    assert (used["face"]["accuracy"], used["face"]["share"]) == (0.5, 0.4)
    assert used["none"]["claimed"] == 0
    statuses = found["by_status"]
    assert {name: row["hops"] for name, row in statuses.items()} == {
        "NO_FACE": 1,
        "NOBODY": 1,
        "NO_VOICE": 2,
        "OK": 1,
    }
    assert found["coverage"]["why_not"] == {"NOBODY": 1}


def people(count: int) -> list[EvaluatedRecording]:
    return [
        session(
            stream(["sad"] * 8 + ["happy"] * 2),
            seg(0, 0.5, "sad", f"P{number}"),
            seg(0.5, 1, "sad" if number else "happy", f"P{number}"),
            name=f"s{number}",
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "over", "groups", "least"),
    [(4, "segments", 8, 10), (5, "persons", 5, 5), (6, "persons", 6, 5)],
)
def test_intervals_are_over_persons_where_there_are_enough(
    count: int, over: str, groups: int, least: int
) -> None:
    found = score(people(count), rounds=200)
    assert found["bootstrap"] == {
        "over": over,
        "groups": groups,
        "least": least,
        "rounds": 200,
        "level": 0.95,
    }
    if groups < least:
        assert found["frames"]["intervals"] is None
        return
    low, high = found["frames"]["intervals"]["accuracy"]
    assert low <= found["frames"]["accuracy"] <= high


def clips(count: int, person: str = "", shift: float = 0.001) -> list[EvaluatedRecording]:
    """Bags of three segments, of which nobody says whom they are about."""
    return [
        session(
            stream(["sad"] * 9, start=shift * number),
            *(seg(at * 0.3, at * 0.3 + 0.3, label, person)
              for at, label in enumerate(("sad", "happy" if number % 2 else "sad", "fear"))),
            name=f"c{number}",
        )
        for number in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("person", ["", "f0001", "f1"])
def test_who_has_no_name_is_not_another_person_in_each_bag(person: str) -> None:
    found = score(clips(5, person), rounds=100)
    assert (found["persons"], found["unnamed"]) == (0, 15)
    assert (found["bootstrap"]["over"], found["bootstrap"]["groups"]) == ("segments", 15)
    assert "over 15 segments" in intervals_in_words(found)
    assert "not all have names" in intervals_in_words(found)
    assert people_in_words(found) == "people without names"


def test_copies_of_one_recording_count_once_for_intervals() -> None:
    """Five of two clips with three segments each: these are six, and too few."""
    found = score(clips(5, shift=0.0), rounds=100)
    assert found["segments"]["items"] == 15
    assert (found["bootstrap"]["over"], found["bootstrap"]["groups"]) == ("segments", 6)
    assert found["segments"]["intervals"] is None
    assert "c4: labels and estimates equal those of c0, as in a copy" in found["notes"][-1]
    assert len(found["notes"]) == 3
    found = score(clips(12, shift=0.0), rounds=100)
    assert found["bootstrap"]["over"] == "segments"
    # Nothing was read from these, so nothing says that they are one.
    silent = [session(stream(["unknown"] * 9), seg(0, 1, "sad"), name=name) for name in "ab"]
    assert score(silent, rounds=100)["bootstrap"]["groups"] == 2
    # What is of other people is no copy, though all else is alike.
    named = [*clips(1, "Ada"), replace(clips(1, "Eve")[0], name="eve")]
    assert score(named, rounds=100)["notes"] == []


def test_one_segment_without_a_name_is_enough_to_count_no_persons() -> None:
    found = score([*people(6), *clips(1)], rounds=100)
    assert (found["persons"], found["unnamed"]) == (6, 3)
    assert found["bootstrap"]["over"] == "segments"
    assert people_in_words(found) == "6 people and others without names"


@pytest.mark.parametrize("person", ["", "Ada"])
def test_of_ten_bags_whole_ones_are_drawn(person: str) -> None:
    """A bag's segments are alike: five of ten are right in two of three, the rest in one."""
    found = score(clips(10, person), rounds=400)
    assert (found["bootstrap"]["over"], found["bootstrap"]["groups"]) == ("bags", 10)
    low, high = found["segments"]["intervals"]["accuracy"]
    # Every bag is right in one of three or in two of three, and so is any draw of them.
    assert 1 / 3 <= low < 0.5 < high <= 2 / 3
    assert found["segments"]["items"] == 30


def test_a_person_of_two_sessions_is_one_person() -> None:
    one, other = people(2)
    other = replace(other, segments=(seg(0, 1, "sad", "P0"),))
    found = score([one, other], rounds=0)
    assert found["persons"] == 1
    assert found["by_person"]["P0"]["hops"] == 20
    assert found["by_person"]["P0"]["segments"] == 3
    assert found["by_session"]["s1"]["accuracy"] == 0.8


def test_the_same_sessions_give_the_same_bytes() -> None:
    first, second = (json.dumps(score(people(6), rounds=300)) for _ in range(2))
    assert first == second
    assert "NaN" not in first


def test_annotators_agreement_and_ties_are_told() -> None:
    given = session(
        stream(["sad"] * 20),
        seg(0, 2, "sad", annotator="x"),
        seg(0, 1, "sad", annotator="y"),
        seg(1, 2, "happy", annotator="y"),
    )
    found = score([given], rounds=0)
    assert found["agreement"]["ties_s"] == 1.0
    assert found["agreement"]["kappa"] == {"name": "cohen", "value": 0.0, "why": ""}
    assert found["agreement"]["observed"] == 0.5
    assert found["agreement"]["labels"]["angry"] is None
    assert found["frames"]["items"] == 10
    told, note = found["notes"]
    assert note == "one: 1.0 s are left out: the annotators' votes are tied"
    # Every estimate is sad: right in the first second, and in the second one if x is believed.
    assert "tied in 1.0 s (10 estimates, 50.0 % of those labelled); these are left out" in told
    assert "100.0 % without them, 75.0 % by soft labels, 100.0 % if x decides, 50.0 %" in told
    ties = found["ties"]
    assert (ties["hops"], ties["share"], ties["treatment"]) == (10, 0.5, "left out")
    accuracies = {name: part["accuracy"] for name, part in ties["frames"].items()}
    assert accuracies == {"left out": 1.0, "soft labels": 0.75, "x": 1.0, "y": 0.5}


def test_a_session_without_usable_labels_is_noted_and_the_rest_judged() -> None:
    late = session(stream(["sad"] * 3), seg(500, 600, "sad"), name="late")
    found = score([mixed(), late], rounds=0)
    assert (found["sessions"], found["frames"]["items"]) == (1, 40)
    assert any(note.startswith("late: no label lies within") for note in found["notes"])


def test_nothing_to_judge_is_an_error_that_says_why() -> None:
    late = session(stream(["sad"] * 3), seg(500, 600, "sad"), name="late")
    crowd = session([step_of(said(0, "sad"), said(0, "sad", "f2"))], seg(0, 1, "sad", "Anna"))
    with pytest.raises(
        LabelError,
        match=r"nothing can be evaluated; late: no label lies .*; one: Anna never appears",
    ):
        score([late, crowd])
    with pytest.raises(LabelError, match="there are no sessions"):
        score([])


def test_valence_alone_can_be_scored() -> None:
    steps = [step_of(said(0, "sad", valence=0.5, valence_arousal_valid=True))]
    found = score([session(steps, seg(0, 1, "", valence=0.4))])
    assert found["valence_arousal"]["valence"]["rmse"] == pytest.approx(0.1)
    assert (found["frames"]["items"], found["frames"]["accuracy"]) == (0, None)
    assert found["segments"]["list"] == []


def test_one_class_only_and_no_claim_at_all_are_no_crash() -> None:
    found = score([session(stream(["unknown"] * 9), seg(0, 1, "sad"))], rounds=100)
    assert (found["frames"]["ua"], found["coverage"]["share"]) == (0.0, 0.0)
    assert found["calibration"]["bins"] is None
    assert found["frames"]["intervals"] is None


def test_segments_count_from_the_first_message_as_their_labels_do() -> None:
    given = session(stream(["happy"] * 20), seg(0.5, 1.5, "happy"))
    late = replace(given.replayed, start_ns=given.replayed.start_ns + 300_000_000)
    told = replace(late, first_ns=given.replayed.start_ns)
    rows = score([replace(given, replayed=told)], rounds=0)["segments"]["list"]
    assert (rows[0]["start_s"], rows[0]["end_s"]) == (0.5, 1.5)


def test_where_nothing_can_be_judged_what_was_left_out_is_told() -> None:
    given = session(stream(["sad"] * 5), seg(900, 901, "sad"))
    replayed = replace(given.replayed, problems=("12 inputs left out",))
    with pytest.raises(LabelError, match=r"no label lies within .*; 12 inputs left out"):
        score([replace(given, replayed=replayed)], rounds=0)


def disputed() -> EvaluatedRecording:
    """Two say sad for a second; then one says happy.  The stream says sad throughout."""
    return session(
        stream(["sad"] * 20),
        seg(0, 2, "sad", annotator="x"),
        seg(0, 1, "sad", annotator="y"),
        seg(1, 2, "happy", annotator="y"),
    )


def test_ties_are_decided_by_the_lead_or_count_as_soft_labels() -> None:
    for lead, accuracy in (("x", 1.0), ("y", 0.5)):
        found = score([disputed()], rounds=0, rule=TruthRule(lead=lead))
        assert (found["frames"]["items"], found["frames"]["accuracy"]) == (20, accuracy)
        assert f"{lead} decides. Accuracy of frames: 100.0 % without" in found["notes"][0]
    soft = score([disputed()], rounds=0, rule=TruthRule(soft=True))
    assert (soft["frames"]["items"], soft["frames"]["accuracy"]) == (20, 0.75)
    assert soft["frames"]["truth"]["sad"] == 15
    # Of 15 sad ones all are found, of 5 happy ones none.
    assert soft["frames"]["ua"] == 0.5
    assert (soft["segments"]["items"], soft["segments"]["accuracy"]) == (2, 0.75)
    assert (soft["coverage"]["hops"], soft["coverage"]["share"]) == (20, 1.0)
    assert (soft["worst"], soft["stability"]["minutes"]) == (
        [],
        pytest.approx(10 / 600, abs=1e-6),
    )
    assert [row["share"] for row in soft["segments"]["list"]] == [1, 0.5, 0.5]


def test_soft_labels_of_one_stretch_are_one_group_of_the_bootstrap() -> None:
    found = score([disputed()], rounds=10, rule=TruthRule(soft=True))
    assert found["bootstrap"]["groups"] == 2


def test_recordings_that_cannot_be_scored_tell_how_annotators_agree() -> None:
    never = session(
        stream(["sad"] * 10),
        seg(0, 1, "sad", annotator="x"),
        seg(0, 1, "fear", annotator="y"),
        name="never",
    )
    alone = [seg(0, 1, "sad", annotator="x"), seg(0, 1, "happy", annotator="y")]
    found = score([disputed()], rounds=0, unscored=[never], only_labelled=[alone])
    assert found["agreement"]["seconds"] == 4.0
    assert found["agreement"]["observed"] == 0.25
    assert found["agreement"]["ties_s"] == 3.0
    # Of recordings that were replayed it is known what the metrics would be either way.
    assert found["ties"]["hops"] == 20
    assert found["ties"]["frames"]["soft labels"]["hops"] == 30


def test_without_the_warm_up_only_what_could_be_answered_counts() -> None:
    cold = [replace(said(at / 10, "unknown"), status=Status.WARMING_UP) for at in range(10)]
    steps = [*map(step_of, cold), *stream(["sad"] * 9 + ["happy"], start=1.0)]
    found = score([session(steps, seg(0, 2, "sad"))], rounds=0)
    assert (found["frames"]["items"], found["frames"]["accuracy"]) == (20, 0.45)
    warm = found["frames_after_warm_up"]
    assert (warm["items"], warm["accuracy"], warm["coverage"]) == (10, 0.9, 1.0)
    assert found["coverage"]["share"] == 0.5


def test_a_class_without_truth_is_told_beside_macro_f1() -> None:
    found = score([session(stream(["sad"] * 9 + ["fear"]), seg(0, 1, "sad"))], rounds=0)
    frames = found["frames"]
    assert frames["never_true"] == {"fear": 1}
    assert frames["macro_f1"] == pytest.approx(18 / 19, abs=1e-6)
    assert frames["macro_f1_all"] == pytest.approx(9 / 19, abs=1e-6)
    (note,) = found["notes"]
    assert "fear (1)" in note
    assert "94.7 %, and 47.4 % with these as well" in note
