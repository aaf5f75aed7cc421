from __future__ import annotations

from avemo_ros.annotations.segments import Segment, majority_vote


def seg(start: int, end: int, label: str, annotator: str = "", person: str = "A") -> Segment:
    return Segment(start, end, label, person, annotator)


def test_one_annotators_segments_stay_as_they_are() -> None:
    segments = (seg(0, 5, "sad"), seg(5, 9, "sad"), seg(2, 4, "happy", person="B"))
    found = majority_vote(segments)
    assert found.segments == (segments[0], segments[2], segments[1])
    assert found.tied_ns == 0


def test_two_of_three_decide_moment_by_moment() -> None:
    found = majority_vote(
        [
            seg(0, 10, "sad", "x"),
            seg(0, 4, "sad", "y"),
            seg(4, 10, "fear", "y"),
            seg(0, 7, "happy", "z"),
            seg(7, 10, "fear", "z"),
        ]
    )
    # 0-4 sad sad happy; 4-7 sad fear happy: tied; 7-10 sad fear fear.
    assert found.segments == (seg(0, 4, "sad"), seg(7, 10, "fear"))
    assert found.tied_ns == 3


def test_who_has_not_judged_has_no_vote() -> None:
    found = majority_vote([seg(0, 10, "sad", "x"), seg(4, 6, "fear", "y")])
    assert found.segments == (seg(0, 4, "sad"), seg(6, 10, "sad"))
    assert found.tied_ns == 2


def test_a_stretch_goes_on_while_one_of_its_judgements_does() -> None:
    found = majority_vote(
        [seg(0, 10, "sad", "x"), seg(2, 5, "sad", "y"), seg(5, 8, "sad", "y")]
    )
    assert found.segments == (seg(0, 10, "sad"),)


def test_a_cut_that_everybody_makes_stays() -> None:
    found = majority_vote(
        [
            seg(0, 5, "sad", "x"),
            seg(5, 9, "sad", "x"),
            seg(0, 5, "sad", "y"),
            seg(5, 9, "sad", "y"),
        ]
    )
    assert found.segments == (seg(0, 5, "sad"), seg(5, 9, "sad"))


def test_a_gap_is_neither_true_nor_tied() -> None:
    found = majority_vote([seg(0, 1, "sad", "x"), seg(3, 4, "sad", "y")])
    assert found.segments == (seg(0, 1, "sad"), seg(3, 4, "sad"))
    assert found.tied_ns == 0


def test_valence_alone_is_no_vote() -> None:
    assert majority_vote([Segment(0, 5, "", "A", valence=0.5)]).segments == ()
