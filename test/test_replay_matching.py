from __future__ import annotations

from dataclasses import replace

import pytest
from made_sessions import said, seg, session, stream
from made_steps import BOX, START_NS, step_of

from avemo_ros.errors import LabelError
from avemo_ros.replay.matching import match_recording
from avemo_ros.replay.replayed import EvaluatedRecording
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.vision.face import Box

LEFT, RIGHT = Box(0.1, 0.2, 0.2, 0.4), Box(0.6, 0.2, 0.2, 0.4)


def two(count: int = 10) -> list[EmotionStep]:
    """Somebody happy at the left, who is attended to, and somebody sad at the right."""
    return [
        step_of(
            said(step / 10, "happy", "f1", box=LEFT, voice_id="v1", person_id="p1"),
            said(step / 10, "sad", "f2", box=RIGHT),
        )
        for step in range(count)
    ]


def labels(given: EvaluatedRecording) -> list[str]:
    return [
        step.estimate.label if step.estimate else "absent"
        for step in match_recording(given).steps
    ]


def test_without_a_name_it_is_about_whom_the_robot_attends_to() -> None:
    assert labels(session(two(), seg(0, 0.3, "sad"))) == ["happy"] * 3


@pytest.mark.parametrize(("person", "label"), [("f2", "sad"), ("v1", "happy"), ("p1", "happy")])
def test_an_id_of_the_stream_is_this_face_voice_or_person(person: str, label: str) -> None:
    assert labels(session(two(), seg(0, 0.3, "fear", person))) == [label] * 3


def test_a_name_has_the_ids_that_the_labels_give_it() -> None:
    people = {"Anna": ("f9", "f2"), "Bob": ("f1",)}
    given = session(two(), seg(0, 0.2, "sad", "Anna"), seg(0, 0.1, "sad", "Bob"), people=people)
    assert labels(given) == ["sad", "sad", "happy"]


def test_a_box_is_the_face_that_it_overlaps_most() -> None:
    near_right = Box(0.55, 0.25, 0.2, 0.4)
    given = session(two(), seg(0, 0.2, "sad", "Anna", box=near_right), seg(0, 0.1, "sad", "B"))
    assert labels(given) == ["sad", "sad"]


def test_a_box_that_no_face_overlaps_enough_is_nobody() -> None:
    away = Box(0.35, 0.2, 0.2, 0.4)
    assert labels(session(two(), seg(0, 0.2, "sad", "Anna", box=away))) == ["absent"] * 2


def test_a_person_who_is_away_for_a_moment_is_absent() -> None:
    steps = stream(["sad", "-", "sad"])
    assert labels(session(steps, seg(0, 1, "sad", "f1"))) == ["sad", "absent", "sad"]


def test_the_only_named_person_is_the_only_one_in_view() -> None:
    given = session(
        stream(["sad"] * 5), seg(0, 0.2, "sad", "Anna"), seg(0.3, 0.4, "sad", "Anna")
    )
    assert labels(given) == ["sad"] * 3
    assert match_recording(given).notes == ()


def test_a_passer_by_does_not_make_the_only_named_person_unknown() -> None:
    steps = [*stream(["sad"] * 19), step_of(said(1.9, "sad", "f1"), said(1.9, "happy", "f2"))]
    found = match_recording(session(steps, seg(0, 2, "sad", "Anna")))
    assert len(found.steps) == 20
    assert found.notes == (
        "one: the labels of Anna are matched to the attended person, although 5.0% of the "
        "estimates have two faces or more",
    )


def test_a_name_that_could_be_either_of_two_is_never_guessed() -> None:
    found = match_recording(session(two(), seg(0, 1, "sad", "Anna"), seg(0, 1, "sad")))
    assert {found.annotations[step.segment].person for step in found.steps} == {""}
    assert found.notes == (
        "one: Anna never appears in the stream, 1 label is left out; ids there: f1, f2, p1, "
        "v1 (map names to ids with `people`, or label boxes)",
    )


def test_labels_beyond_the_recording_and_too_short_ones_are_said() -> None:
    given = session(
        stream(["sad"] * 10),
        seg(0.5, 20, "sad"),
        seg(0.31, 0.32, "happy"),
        seg(30, 40, "sad"),
        seg(50, 60, "sad"),
    )
    found = match_recording(given)
    assert len(found.steps) == 5
    assert found.notes == (
        "one: 2 labels lie beyond the recording",
        "one: 1 label has no estimate within",
        "one: 1 label goes on for 19.1 s after the recording's end; what lies within counts",
    )


def test_a_label_may_end_a_little_after_the_recording() -> None:
    assert match_recording(session(stream(["sad"] * 10), seg(0.5, 1.9, "sad"))).notes == ()


def test_an_id_of_another_replay_is_said_where_it_is_taken_for_the_only_person() -> None:
    found = match_recording(session(stream(["sad"] * 5), seg(0, 0.4, "sad", "f0009")))
    assert found.notes == (
        "one: there is no id f0009; its labels are matched to the attended person",
    )
    assert match_recording(session(stream(["sad"] * 5), seg(0, 0.4, "sad", "f1"))).notes == ()


def test_labels_of_another_time_are_an_error_with_both_ranges() -> None:
    given = session(stream(["sad"] * 11), seg(100, 200, "sad"), seg(300, 301.5, "sad"))
    with pytest.raises(
        LabelError,
        match=r"one: no label lies within the recording: labels from 100\.000 to 301\.500 s, "
        r"images and audio from 0\.000 to 1\.000 s, counted from the bag's first message",
    ):
        match_recording(given)


def later(given: EvaluatedRecording, seconds: float) -> EvaluatedRecording:
    """The same, of a bag whose first message came so long before what is used."""
    first_ns = given.replayed.start_ns - round(seconds * 1e9)
    return replace(given, replayed=replace(given.replayed, first_ns=first_ns))


def test_both_ranges_count_as_labels_do() -> None:
    given = session(stream(["sad"] * 11), seg(94.7, 114.7, "sad"))
    said = r"labels from 100\.000 to 120\.000 s, images and audio from 5\.300 to 6\.300 s"
    with pytest.raises(LabelError, match=said):
        match_recording(later(given, 5.3))


def test_where_nothing_was_used_there_is_no_range() -> None:
    for label in (seg(-9, -8, "sad"), seg(-1, 8, "sad")):
        given = session(stream(["sad"]), label)
        nothing = replace(given, replayed=replace(given.replayed, steps=()))
        with pytest.raises(LabelError, match="none of the images and audio could be used"):
            match_recording(nothing)


def test_labels_that_begin_before_the_first_image_are_said() -> None:
    """As those do that count from the first image and not from the bag's first message."""
    given = session(stream(["sad"] * 10), seg(-5.3, -2, "sad"), seg(-2, 0.5, "sad"))
    assert match_recording(later(given, 5.3)).notes == (
        "one: 1 label ends before the first image or audio",
        "one: 1 label begins 2.0 s before the first image or audio; what lies within counts",
    )
    near = session(stream(["sad"] * 10), seg(-0.9, 0.5, "sad"))
    assert match_recording(later(near, 5.3)).notes == ()


def test_a_recording_without_labels_is_an_error() -> None:
    with pytest.raises(LabelError, match="one: there are no labels"):
        match_recording(session(stream(["sad"])))


def test_tied_annotators_leave_the_stretch_out() -> None:
    given = session(
        stream(["sad"] * 10),
        seg(0, 1, "sad", annotator="x"),
        seg(0, 0.4, "sad", annotator="y"),
        seg(0.4, 1, "happy", annotator="y"),
    )
    found = match_recording(given)
    assert len(found.steps) == 4
    assert found.tied_ns == 600_000_000
    assert found.notes == ("one: 0.6 s are left out: the annotators' votes are tied",)


def test_names_go_from_session_to_session_and_ids_do_not() -> None:
    given = session(
        two(), seg(0, 1, "sad"), seg(0, 1, "sad", "f1"), seg(0, 1, "sad", "A", box=BOX)
    )
    found = match_recording(given)
    names = {found.annotations[place].person: found.who(place) for place in range(3)}
    assert names == {"": "one: the attended state", "f1": "one: f1", "A": "A"}
    assert found.steps[0].stamp_ns == START_NS
