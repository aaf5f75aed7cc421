from __future__ import annotations

import json

import pytest

from avemo_ros.errors import LabelError
from avemo_ros.truth.events import segments_of_events
from avemo_ros.truth.segment import Segment

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
    assert found.notes == ("labels: 1 label is left out: 'bored' is no class",)


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
def test_a_wrong_message_is_named_with_its_field(text: str, message: str) -> None:
    events = [said(0, label="sad"), (START_NS + 10**9, text)]
    with pytest.raises(LabelError, match=message):
        segments_of_events(events, END_NS, START_NS)


def test_a_topic_without_labels_is_said() -> None:
    with pytest.raises(LabelError, match="labels holds no labels"):
        segments_of_events([said(1, label="")], END_NS, START_NS)
