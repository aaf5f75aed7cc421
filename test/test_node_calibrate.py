"""The service `calibrate`: whom it takes, what it answers, and what is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from state_scene import SceneReader, play
from test_state_landmarks import stage_of, talker

from avemo_ros.config import PipelineConfig
from avemo_ros.engine.emotion_stage import EmotionStage

ros = pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
CalibrateNeutral = pytest.importorskip("avemo_ros.srv").CalibrateNeutral
emotion = pytest.importorskip("avemo_ros.nodes.emotion")
start_graph = ros.start_graph
pytestmark = pytest.mark.ros

Request = CalibrateNeutral.Request
Start = Callable[..., Any]


def test_the_largest_face_is_looked_at_for_five_seconds_unless_one_is_named() -> None:
    stage, _ = stage_of()
    play(stage, 1.0, lambda t: [talker(t, x=0.1), talker(t, "f0002", x=0.6, size=0.3)])
    done, message = emotion.calibrate(stage, Request())
    assert (done, message) == (True, "the resting face of f0002 is taken over the next 5 s")
    done, message = emotion.calibrate(stage, Request(person="f0001", duration=2.0))
    assert (done, message) == (True, "the resting face of f0001 is taken over the next 2 s")
    play(stage, 3.0, lambda t: [talker(t, x=0.1), talker(t, "f0002", x=0.6)], start=1.0)
    faces = stage.resting_faces()
    assert faces["f0001"].is_calibrated
    assert not faces["f0002"].is_calibrated


def test_undo_and_forget_say_whether_there_was_something() -> None:
    stage, _ = stage_of()
    play(stage, 1.0, lambda t: [talker(t)])
    undo, forget = Request(action=Request.UNDO), Request(action=Request.FORGET)
    assert emotion.calibrate(stage, undo) == (
        False,
        "the resting face of f0001 was not calibrated",
    )
    emotion.calibrate(stage, Request(duration=1.0))
    play(stage, 2.0, lambda t: [talker(t)], start=1.0)
    assert emotion.calibrate(stage, undo)[0]
    assert emotion.calibrate(stage, forget)[0]
    emotion.calibrate(stage, Request(duration=1.0))
    play(stage, 2.0, lambda t: [talker(t)], start=3.0)
    assert stage.resting_faces()["f0001"].is_calibrated
    stage.forget_everybody()
    assert not stage.resting_faces()["f0001"].is_calibrated


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request(person="f0009"), "nobody with id 'f0009' is in view; in view: f0001"),
        (Request(duration=0.5), r"duration is 0.5 s; allowed: 1 to 60, or 0 for 5"),
        (Request(duration=float("nan")), "duration is nan s"),
        (Request(action=7), "action is 7; allowed: 0"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(request_: Any, why: str) -> None:
    stage, _ = stage_of()
    play(stage, 1.0, lambda t: [talker(t)])
    done, message = emotion.calibrate(stage, request_)
    assert not done
    assert why in message


def test_nobody_in_view_and_a_model_that_reads_no_landmarks() -> None:
    stage, _ = stage_of()
    assert emotion.calibrate(stage, Request())[1] == "nobody is in view"
    assert "in view: nobody" in emotion.calibrate(stage, Request(person="f0001"))[1]
    plain = EmotionStage(PipelineConfig(), SceneReader())
    assert "scene-reader does not compare" in emotion.calibrate(plain, Request())[1]


def test_the_node_answers_the_service(start_graph: Start) -> None:
    graph = start_graph()
    graph.add(emotion.Emotion)
    answer = graph.call(CalibrateNeutral, "calibrate", Request())
    assert not answer.success
    assert answer.message == "nobody is in view"
