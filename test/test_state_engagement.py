"""Levels of engagement: what follows what, and when."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import pytest
from state_scene import SceneReader, face, play

from avemo_ros.config import EngagementConfig, PipelineConfig
from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.errors import ConfigError
from avemo_ros.state.engagement import EngagementLevel as Level
from avemo_ros.state.engagement import FaceEngagement

STEP_NS = 66_666_667


def follow(
    looks: Iterable[tuple[float, float]], config: EngagementConfig | None = None
) -> list[tuple[float, Level]]:
    """The levels of (look, seconds) in turn, each with when it came [s]."""
    face = FaceEngagement(config or EngagementConfig())
    now_ns, found = 10**18, [(0.0, Level.UNKNOWN)]
    start_ns = now_ns
    for look, seconds in looks:
        for _ in range(round(seconds * 15)):
            now_ns += STEP_NS
            face.see(now_ns, look)
            level = face.at(now_ns)
            if level is not found[-1][1]:
                found.append(((now_ns - start_ns) / 1e9, level))
    return found


def names(found: list[tuple[float, Level]]) -> str:
    return " ".join(level.name for _, level in found)


def test_who_comes_looks_and_goes_passes_every_level() -> None:
    found = follow([(0.0, 2.0), (1.0, 4.0), (0.0, 5.0)])
    assert names(found) == "UNKNOWN DISENGAGED ENGAGING ENGAGED DISENGAGING DISENGAGED"
    times = [at for at, _ in found]
    # Engaged after a second of looking, disengaged after two of looking away.
    assert times[3] - times[2] == pytest.approx(1.0, abs=0.1)
    assert times[5] - times[4] == pytest.approx(2.0, abs=0.1)
    assert 2.0 < times[2] < 2.5
    assert 6.0 < times[4] < 6.5


def test_a_glance_away_is_forgiven_at_once() -> None:
    found = follow([(1.0, 3.0), (0.0, 1.0), (1.0, 2.0)])
    assert names(found) == "UNKNOWN ENGAGING ENGAGED DISENGAGING ENGAGED"


def test_a_glance_at_the_robot_does_not_engage() -> None:
    found = follow([(0.0, 2.0), (1.0, 0.7), (0.0, 3.0)])
    assert names(found) == "UNKNOWN DISENGAGED ENGAGING DISENGAGED"


@pytest.mark.parametrize("rest", [1.0, 0.0])
def test_between_the_limits_nothing_changes(rest: float) -> None:
    found = follow([(rest, 3.0), (0.5, 20.0)])
    assert len(found) == (3 if rest else 2)


def test_a_single_odd_image_changes_nothing() -> None:
    away = [(1.0, 3.0)] + 20 * [(0.0, 0.07), (1.0, 0.8)]
    assert names(follow(away)) == "UNKNOWN ENGAGING ENGAGED"


def test_what_is_not_known_says_nothing_and_in_the_end_nothing_is_known() -> None:
    face = FaceEngagement(EngagementConfig())
    for number in range(30):
        face.see(number * STEP_NS, 1.0)
    end_ns = 29 * STEP_NS
    for number in range(30, 40):
        face.see(number * STEP_NS, math.nan)
    assert face.at(end_ns + 10**9) is Level.ENGAGED
    assert face.at(end_ns + 10**9 + 1) is Level.UNKNOWN


def test_who_is_known_to_be_far_away_does_not_engage() -> None:
    face = FaceEngagement(EngagementConfig(max_distance_m=2.0))
    for number, distance in enumerate(30 * [2.5] + 30 * [1.5] + 30 * [math.nan]):
        face.see(number * STEP_NS, 1.0, distance)
        level = face.at(number * STEP_NS)
        assert number >= 30 or level is Level.DISENGAGED
    assert level is Level.ENGAGED


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"engagement\.leave_look.*engagement\.enter_look"):
        PipelineConfig(engagement=EngagementConfig(enter_look=0.3))


def test_the_engine_tells_each_persons_level_look_and_distance() -> None:
    def faces(t: float) -> tuple:
        near = dataclasses.replace(
            face("f0001", x=0.1), looks_at_robot=1.0 if t < 4 else 0.0, distance=1.2
        )
        return (near, face("f0002", x=0.6)) if t < 8 else (near,)

    stage = EmotionStage(PipelineConfig(), SceneReader())
    steps = play(stage, 9.0, faces)
    changes = [change for step in steps for change in step.engagement_changes]
    assert [(change.previous.name, change.level.name) for change in changes] == [
        ("UNKNOWN", "ENGAGING"),
        ("ENGAGING", "ENGAGED"),
        ("ENGAGED", "DISENGAGING"),
        ("DISENGAGING", "DISENGAGED"),
    ]
    assert {change.face_id for change in changes} == {"f0001"}
    for step in steps:
        for one in step.estimates:
            if one.face_id == "f0001":
                assert one.looks_at_robot == (1.0 if step.stamp_ns < 4 * 10**9 else 0.0)
                assert one.distance == 1.2
            else:
                assert one.looks_at_robot is one.distance is None
                assert one.engagement is Level.UNKNOWN
    assert steps[30].estimates[0].engagement is Level.ENGAGED


def test_who_leaves_is_not_engaged_any_more() -> None:
    here = dataclasses.replace(face(), looks_at_robot=1.0)
    stage = EmotionStage(PipelineConfig(), SceneReader())
    steps = play(stage, 6.0, lambda t: (here,) if t < 3 else ())
    changes = [change for step in steps for change in step.engagement_changes]
    assert [change.level.name for change in changes] == ["ENGAGING", "ENGAGED", "UNKNOWN"]
    assert 3.0 < changes[-1].stamp_ns / 1e9 < 4.5
