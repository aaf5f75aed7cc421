from __future__ import annotations

import json
import re

import pytest

from avemo_ros.annotations.segments import Segment
from avemo_ros.annotations.yaml_labels import segments_of_events
from avemo_ros.errors import LabelError

START_NS = 1_700_000_000_000_000_000
END_NS = START_NS + 10 * 10**9


def said(at_s: float, **values: object) -> tuple[int, str]:
    return START_NS + round(at_s * 1e9), json.dumps(values)


def span(start_s: float, end_s: float, label: str, person: str = "", **more: object) -> Segment:
    start, end = START_NS + round(start_s * 1e9), START_NS + round(end_s * 1e9)
    return Segment(start, end, label, person, **more)  # type: ignore[arg-type]


def test_a_label_holds_until_the_next_of_its_person_or_the_end() -> None:
    events = [
        said(1, person="A", label="happy"),
        said(2, person="B", label="sad"),
        said(3.5, person="A", label="neutral"),
    ]
    found = segments_of_events(events, END_NS, START_NS)
    assert found.segments == (
        span(1, 3.5, "happy", "A"),
        span(2, 10, "sad", "B"),
        span(3.5, 10, "neutral", "A"),
    )


def test_annotators_do_not_end_each_others_labels() -> None:
    events = [said(1, label="happy", annotator="x"), said(2, label="sad", annotator="y")]
    found = segments_of_events(events, END_NS, START_NS)
    assert [segment.end_ns for segment in found.segments] == [END_NS, END_NS]


def test_an_empty_label_ends_and_a_word_without_a_class_does_too() -> None:
    events = [
        said(1, label="happy"),
        said(2, label=""),
        said(3, label="sad"),
        said(4, label="bored"),
    ]
    found = segments_of_events(events, END_NS, START_NS)
    assert found.segments == (span(1, 2, "happy"), span(3, 4, "sad"))
    assert found.notes == ("labels: 1 label is left out: 'bored' is not a class",)


def test_a_message_may_hold_a_list_and_stretches_of_its_own() -> None:
    labels = [
        {"person": "A", "label": "sad", "valence": -0.5},
        {"start": 4, "end": 5, "label": "fear"},
    ]
    text = json.dumps(labels)
    found = segments_of_events([(START_NS, text)], END_NS, START_NS)
    assert found.segments == (span(0, 10, "sad", "A", valence=-0.5), span(4, 5, "fear"))


def test_the_order_of_the_messages_is_their_time() -> None:
    events = [said(3, label="sad"), said(1, label="happy")]
    found = segments_of_events(events, END_NS, START_NS)
    assert found.segments == (span(1, 3, "happy"), span(3, 10, "sad"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "topic labels, message 2 .1.000 s.: the message is empty"),
        ("{", "message 2 .1.000 s., line 1: not readable as YAML"),
        ("happy", "message 2 .*: a label must be a mapping with keys of person"),
        ('{"label": "hapy"}', "message 2 .*: label is 'hapy'; allowed: angry"),
        ('{"label": "sad", "valence": 7}', "message 2 .*: valence is '7'; allowed: -1 to 1"),
        ('{"lable": "sad"}', "message 2 .*: a label has the key 'lable'; allowed"),
        ('{"label": "sad", "start": 2}', "message 2 .*: end is ''; allowed: seconds"),
    ],
)
def test_a_wrong_message_is_left_out_and_named_with_its_field(text: str, message: str) -> None:
    events = [said(0, label="sad"), (START_NS + 10**9, text), said(2, label="happy")]
    found = segments_of_events(events, END_NS, START_NS)
    (note,) = found.notes
    assert re.match(f"left out: .*{message}", note)
    # What is true from the wrong message on is not known, unless it is of other times.
    end = 2 if "start" in text else 1
    assert found.segments == (span(0, end, "sad"), span(2, 10, "happy"))


def test_a_wrong_message_ends_the_labels_of_whom_it_names_alone() -> None:
    events = [
        said(0, person="A", label="sad"),
        said(0, person="B", label="sad"),
        said(4, person="A", label="hapy"),
    ]
    found = segments_of_events(events, END_NS, START_NS)
    assert found.segments == (span(0, 4, "sad", "A"), span(0, 10, "sad", "B"))
    # Of one that cannot be read nobody knows whom it was about.
    found = segments_of_events([*events, (START_NS + 6 * 10**9, "?{")], END_NS, START_NS)
    assert found.segments == (span(0, 4, "sad", "A"), span(0, 6, "sad", "B"))


def test_one_wrong_label_of_a_list_leaves_the_message_out() -> None:
    text = json.dumps([{"person": "A", "label": "sad"}, {"person": "B", "label": "saad"}])
    found = segments_of_events([(START_NS, text), said(3, label="happy")], END_NS, START_NS)
    assert found.segments == (span(3, 10, "happy"),)
    assert "label is 'saad'" in found.notes[0]


def test_what_overlaps_an_earlier_message_is_left_out() -> None:
    events = [said(0, label="sad"), said(1, label="happy", start=2, end=3)]
    found = segments_of_events(events, END_NS, START_NS)
    assert found.segments == (span(0, 10, "sad"),)
    (note,) = found.notes
    assert "message 2" in note
    assert "overlap" in note


def test_many_wrong_messages_are_counted() -> None:
    events = [said(0, label="sad"), *(said(1 + at / 10, label="no") for at in range(30))]
    found = segments_of_events(events, END_NS, START_NS)
    assert len(found.notes) == 21
    assert found.notes[-1] == "left out: 10 more invalid labels"


def test_if_every_message_is_wrong_it_is_said_what_is() -> None:
    with pytest.raises(LabelError, match=r"contains no labels; left out: .*label is 'saad'"):
        segments_of_events([said(1, label="saad")], END_NS, START_NS)


def test_a_topic_without_labels_is_said() -> None:
    with pytest.raises(LabelError, match="labels contains no labels"):
        segments_of_events([said(1, label="")], END_NS, START_NS)
