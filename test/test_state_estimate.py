"""Whom a robot attends to, told from the estimates of one moment."""

from __future__ import annotations

from made_steps import estimate

from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import Status, attended, nobody

LARGE = estimate("happy", face="f1")
SMALL = estimate("sad", face="f2")
TALKS = estimate("sad", face="f2", voice="v1", speaking=True)
VOICE = estimate("angry", face="", voice="v1", speaking=True)


def test_who_speaks_is_attended_to_before_who_is_near() -> None:
    assert attended((LARGE, TALKS)) is TALKS


def test_while_nobody_speaks_the_largest_face_is_attended_to() -> None:
    assert attended((LARGE, SMALL)) is LARGE


def test_a_voice_without_a_face_is_attended_to_where_no_face_is_seen() -> None:
    assert attended((LARGE, VOICE)) is LARGE
    assert attended((VOICE,)) is VOICE


def test_nobody_is_attended_to_in_an_empty_room() -> None:
    assert attended(()) is None
    empty = nobody(7, Status.NOBODY, "made-1")
    assert (empty.stamp_ns, empty.status, empty.label) == (7, Status.NOBODY, UNKNOWN)
    assert {empty.face_id, empty.voice_id, empty.person_id} == {""}
    assert not empty.probabilities
