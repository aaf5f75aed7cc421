"""Whether a person is with the robot."""

from __future__ import annotations

import math

import pytest
from made_dialog import feeling
from made_steps import START_NS, estimate, nobody, step_of

from avemo_ros.dialog.context import Presence
from avemo_ros.dialog.dialog_config import DialogConfig
from avemo_ros.dialog.policy import Engagement
from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import EmotionStep, Status


def at(t: float) -> int:
    return START_NS + round(t * 1e9)


def seen(*steps: EmotionStep) -> Presence:
    attention = Presence(DialogConfig())
    for one in steps:
        attention.push(one)
    return attention


def turned_away(start: float, end: float) -> list[EmotionStep]:
    return feeling(UNKNOWN, start, end, status=Status.LOW_QUALITY)


def test_a_face_that_can_be_read_is_engaged() -> None:
    assert seen(*feeling("happy", 0, 3)).of("p1", at(3)) is Engagement.ENGAGED


def test_a_silent_face_that_is_turned_away_is_distracted() -> None:
    attention = seen(*feeling("happy", 0, 3), *turned_away(3, 8))
    assert attention.of("p1", at(8)) is Engagement.DISTRACTED


def test_a_face_of_a_recording_without_boxes_is_no_voice() -> None:
    silent = feeling(UNKNOWN, 0, 8, status=Status.LOW_QUALITY, box=None)
    assert seen(*silent).of("p1", at(8)) is Engagement.DISTRACTED


def test_who_speaks_is_engaged_even_when_turned_away() -> None:
    talking = feeling(UNKNOWN, 0, 3, status=Status.LOW_QUALITY, speaking=True, voice="v1")
    assert seen(*talking).of("p1", at(3)) is Engagement.ENGAGED


def test_a_voice_without_a_face_is_engaged() -> None:
    heard = feeling("sad", 0, 3, face="", voice="v1", speaking=True, status=Status.NO_FACE)
    assert seen(*heard).of("v1", at(3)) is Engagement.ENGAGED


def test_a_look_away_for_a_moment_does_not_count() -> None:
    attention = seen(*feeling("happy", 0, 5), *turned_away(5, 6))
    assert attention.of("p1", at(6)) is Engagement.ENGAGED


def test_who_was_not_seen_for_a_while_is_absent() -> None:
    gone = [step_of(t=3 + step / 10) for step in range(1, 40)]
    attention = seen(*feeling("happy", 0, 3), *gone)
    assert attention.of("p1", at(4.9)) is Engagement.ENGAGED
    assert attention.of("p1", at(5.2)) is Engagement.ABSENT
    assert attention.of("", at(5.2)) is Engagement.ABSENT


def test_without_states_or_with_old_ones_nothing_is_said() -> None:
    assert seen().of("p1", at(0)) is Engagement.UNKNOWN
    assert seen(*feeling("happy", 0, 3)).of("p1", at(6.5)) is Engagement.UNKNOWN


def test_a_camera_that_stopped_is_not_an_absent_person() -> None:
    stopped = [
        EmotionStep(at(3 + step / 10), (), nobody(3 + step / 10, Status.STALE_INPUT), None)
        for step in range(1, 60)
    ]
    attention = seen(*feeling("happy", 0, 3), *stopped)
    assert attention.of("p1", at(8.9)) is Engagement.UNKNOWN


@pytest.mark.parametrize(
    ("yaw", "pitch", "engagement"),
    [
        (0.0, 0.0, Engagement.ENGAGED),
        (24.0, -19.0, Engagement.ENGAGED),
        (26.0, 0.0, Engagement.DISTRACTED),
        (-40.0, 0.0, Engagement.DISTRACTED),
        (0.0, 21.0, Engagement.DISTRACTED),
    ],
)
def test_a_head_pose_tells_better_who_faces_the_robot(
    yaw: float, pitch: float, engagement: Engagement
) -> None:
    attention = Presence(DialogConfig())
    for one in feeling("happy", 0, 3):
        attention.look("f1", one.stamp_ns, math.radians(yaw), math.radians(pitch))
        attention.push(one)
    assert attention.of("p1", at(3)) is engagement


def test_an_old_pose_does_not_count() -> None:
    attention = Presence(DialogConfig())
    attention.look("f1", at(0), math.radians(60), 0.0)
    for one in feeling("happy", 1, 6):
        attention.push(one)
    assert attention.of("p1", at(6)) is Engagement.ENGAGED


def test_a_clock_that_jumps_back_makes_everyone_new() -> None:
    attention = seen(*feeling("happy", 10, 13))
    attention.push(step_of(estimate("happy", t=1.0, face="f2")))
    assert attention.of("p1", at(1.0)) is Engagement.ABSENT
    assert attention.of("p2", at(1.0)) is Engagement.ENGAGED
