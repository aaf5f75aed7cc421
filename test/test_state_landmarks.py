"""Landmarks in the estimates: of faces that talk, and with the resting face of one person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from state_scene import SceneReader, face, frame, play

from avemo_ros.config import EmotionConfig, PipelineConfig
from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.model.face_points import LEAST_FRAMES, POINTS, RATE_HZ, VALUES
from avemo_ros.state.history import RestingFace
from avemo_ros.timing import to_ns
from avemo_ros.vision.face import FaceTrack

SHAPE = 2 * POINTS


def mesh(wide: float) -> np.ndarray:
    """A mesh of one shape; `wide` makes it another person's."""
    points = np.random.default_rng(3).uniform(0.3, 0.6, (468, 3)).astype(np.float32)
    points[[33, 133]], points[[362, 263]] = (0.4, 0.4, 0), (0.5, 0.4, 0)
    points[152, 1] += wide
    return points


def talker(
    t: float, face_id: str = "f0001", *, wide: float = 0.0, moves: bool = True, x=0.4, size=0.2
):
    opening = 0.1 + 0.1 * np.sin(14 * t) if moves else 0.1
    return replace(face(face_id, mouth=opening, x=x, size=size), landmarks=mesh(wide))


def stage_of(neutral: str = "fast", **settings) -> tuple[EmotionStage, SceneReader]:
    reader = SceneReader(reads_landmarks=True)
    config = PipelineConfig(emotion=EmotionConfig(personal_neutral=neutral, **settings))
    return EmotionStage(config, reader), reader


def test_a_face_that_talks_is_followed_and_a_still_one_is_not() -> None:
    stage, reader = stage_of()
    play(stage, 4.0, lambda t: [talker(t, moves=False)])
    assert reader.landmarks
    assert all(window is None for window in reader.landmarks)
    stage, reader = stage_of()
    play(stage, 5.0, lambda t: [talker(t)])
    newest = reader.landmarks[-1]
    assert newest.frames.shape == (pytest.approx(3.0 * RATE_HZ, abs=1), VALUES)
    assert np.isfinite(newest.frames).all()


def test_without_a_mesh_or_with_a_face_that_cannot_be_read_there_are_none() -> None:
    for changed in (
        lambda t: replace(talker(t), landmarks=None),
        lambda t: replace(talker(t), quality=0.05),
    ):
        stage, reader = stage_of()
        play(stage, 4.0, lambda t, changed=changed: [changed(t)], lambda _: 0.9)
        assert all(window is None for window in reader.landmarks)


def test_a_model_that_reads_none_is_given_none() -> None:
    reader = SceneReader()
    play(EmotionStage(PipelineConfig(), reader), 4.0, lambda t: [talker(t)])
    assert reader.landmarks
    assert all(window is None for window in reader.landmarks)


def test_the_resting_face_is_of_what_was_seen_before_the_window() -> None:
    stage, reader = stage_of()
    play(stage, 2.5, lambda t: [talker(t)])
    assert all(window is None for window in reader.landmarks)
    play(stage, 17.5, lambda t: [talker(t)], start=2.5)
    newest = reader.landmarks[-1]
    seen_s = 60 * (1 - np.exp(-17.0 / 60))
    assert newest.neutral_weight == pytest.approx(seen_s / (seen_s + 5.0), abs=0.02)
    assert np.allclose(newest.neutral, newest.frames[-1, :SHAPE], atol=1e-4)


@pytest.mark.parametrize(("neutral", "prior_s"), [("fast", 5.0), ("slow", 30.0)])
def test_how_fast_it_is_trusted_is_a_parameter(neutral: str, prior_s: float) -> None:
    stage, reader = stage_of(neutral)
    play(stage, 13.0, lambda t: [talker(t)])
    seen_s = 60 * (1 - np.exp(-10.0 / 60))
    weight = reader.landmarks[-1].neutral_weight
    assert weight == pytest.approx(seen_s / (seen_s + prior_s), abs=0.02)


def test_none_means_that_landmarks_are_not_read() -> None:
    stage, reader = stage_of("none")
    play(stage, 6.0, lambda t: [talker(t)])
    assert all(window is None for window in reader.landmarks)


def test_two_people_never_share_a_resting_face() -> None:
    stage, reader = stage_of()

    def both(t: float) -> list[FaceTrack]:
        return [talker(t, x=0.1), talker(t, "f0002", wide=0.2, x=0.6)]

    play(stage, 8.0, both)
    first, second = reader.landmarks[-2:]
    assert not np.allclose(first.neutral, second.neutral, atol=0.1)
    for window in (first, second):
        assert np.allclose(window.neutral, window.frames[-1, :SHAPE], atol=1e-4)


def test_who_left_and_everyone_after_a_reset_is_a_stranger_again() -> None:
    stage, reader = stage_of()
    play(stage, 8.0, lambda t: [talker(t)])
    assert reader.landmarks[-1] is not None
    stage.push_tracks(frame(0.5), to_ns(0.5))  # time begins anew
    reader.landmarks.clear()
    play(stage, 2.5, lambda t: [talker(t)], start=1.0)
    assert reader.landmarks
    assert all(window is None for window in reader.landmarks)


def test_after_a_gap_only_the_frames_behind_it_count() -> None:
    stage, reader = stage_of()
    play(stage, 6.0, lambda t: [] if 3.0 < t < 3.6 else [talker(t)])
    assert LEAST_FRAMES <= len(reader.landmarks[-1].frames) <= 2.5 * RATE_HZ


def resting_of(stage: EmotionStage) -> RestingFace:
    (resting,) = stage.resting_faces().values()
    return resting


def test_a_look_on_request_is_the_resting_face_until_it_is_undone() -> None:
    stage, reader = stage_of()
    play(stage, 6.0, lambda t: [talker(t)])
    before = reader.landmarks[-1]
    assert 0 < before.neutral_weight < 1
    resting_of(stage).look(2.0)
    play(stage, 1.5, lambda t: [talker(t, wide=0.1)], start=6.0)
    assert not resting_of(stage).is_calibrated
    play(stage, 1.5, lambda t: [talker(t, wide=0.1)], start=7.5)
    assert resting_of(stage).is_calibrated
    play(stage, 1.5, lambda t: [talker(t)], start=9.0)
    looked = reader.landmarks[-1]
    assert looked.neutral_weight == 1.0
    assert np.abs(looked.neutral - before.neutral).max() > 0.1
    assert resting_of(stage).undo()
    assert not resting_of(stage).undo()
    play(stage, 0.5, lambda t: [talker(t)], start=10.5)
    assert reader.landmarks[-1].neutral_weight < 1.0


def test_a_look_that_is_not_over_can_be_undone_and_all_is_forgotten_on_request() -> None:
    stage, _ = stage_of()
    play(stage, 6.0, lambda t: [talker(t)])
    resting_of(stage).look(1.0)
    assert resting_of(stage).undo()
    play(stage, 2.0, lambda t: [talker(t)], start=6.0)
    assert not resting_of(stage).is_calibrated
    resting_of(stage).forget()
    play(stage, 0.1, lambda t: [talker(t)], start=8.0)
    assert resting_of(stage).mean(5.0)[1] < 0.1
