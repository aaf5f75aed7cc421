from __future__ import annotations

import pytest

from avemo_ros.annotations.segments import Segment, TruthRule, majority_vote


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


TWO = (seg(0, 10, "sad", "x"), seg(0, 6, "sad", "y"), seg(6, 10, "fear", "y"))


@pytest.mark.parametrize(("lead", "label"), [("x", "sad"), ("y", "fear")])
def test_the_lead_decides_ties_and_nothing_else(lead: str, label: str) -> None:
    found = majority_vote(TWO, TruthRule(lead=lead))
    labels = {(item.start_ns, item.end_ns): item.label for item in found.segments}
    assert labels in ({(0, 10): "sad"}, {(0, 6): "sad", (6, 10): label})
    assert found.tied_ns == 0
    outvoted = [*TWO, seg(0, 10, "happy", "lead"), seg(0, 6, "sad", "z")]
    first, *_ = majority_vote(outvoted, TruthRule(lead="lead")).segments
    assert first == seg(0, 6, "sad")


def test_a_lead_who_has_not_judged_a_tie_leaves_it_out() -> None:
    found = majority_vote([*TWO, seg(0, 2, "sad", "z")], TruthRule(lead="z"))
    assert found.segments == (seg(0, 6, "sad"),)
    assert found.tied_ns == 4


def test_adjudicated_labels_are_true_against_any_vote() -> None:
    final = seg(4, 8, "happy", "final")
    found = majority_vote([*TWO, final], TruthRule(adjudicated="final"))
    assert found.segments == (seg(0, 4, "sad"), seg(4, 8, "happy"))
    assert found.tied_ns == 2
    both = majority_vote([*TWO, final], TruthRule(adjudicated="final", lead="y"))
    assert both.segments == (seg(0, 4, "sad"), seg(4, 8, "happy"), seg(8, 10, "fear"))


def test_soft_labels_are_true_as_far_as_they_were_given() -> None:
    votes = [*TWO, seg(0, 10, "sad", "z")]
    found = majority_vote(votes, TruthRule(soft=True)).segments
    assert [(item.start_ns, item.end_ns, item.label) for item in found] == [
        (0, 6, "sad"),
        (6, 10, "sad"),
        (6, 10, "fear"),
    ]
    assert [item.weight for item in found] == [1, 2 / 3, 1 / 3]
