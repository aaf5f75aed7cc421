"""The estimator: what is claimed when, from which input, and why nothing is claimed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from state_scene import SceneReader, face, frame, play, sound

from avemo_ros.audio.spectrogram import SpectrogramChunk
from avemo_ros.config import EmotionConfig, PipelineConfig, VisionConfig
from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.state.estimate import Status
from avemo_ros.timing import to_ns, to_s


def estimator(reader=None, track_timeout_s=0.7, **settings) -> EmotionStage:
    config = PipelineConfig(
        emotion=EmotionConfig(**settings), vision=VisionConfig(track_timeout_s=track_timeout_s)
    )
    return EmotionStage(config, reader or SceneReader())


def talking_mouth(t: float) -> float:
    return 0.1 + 0.1 * math.sin(2 * math.pi * 4 * t)


def test_a_face_alone_is_read_after_the_warm_up():
    steps = play(estimator(), 3, lambda t: [face()])
    states = [(to_s(step.stamp_ns), step.attended) for step in steps]
    assert {s.status for t, s in states if t < 0.99} == {Status.WARMING_UP}
    later = [s for t, s in states if t >= 1.0]
    assert {(s.status, s.label, s.face_id, s.voice_id) for s in later} == {
        (Status.NO_VOICE, "happy", "f0001", "")
    }
    assert all(s.face_share == 1.0 and s.voice_share == 0.0 for s in later)


def test_a_step_is_made_at_an_image_and_at_most_once_a_hop():
    steps = play(estimator(hop_s=0.2), 4, lambda t: [face()], lambda t: 0.0)
    stamps = [step.stamp_ns for step in steps]
    assert stamps == [step.frame_ns for step in steps]
    assert np.diff(stamps).min() > 0.7 * to_ns(0.2)
    assert len(steps) == pytest.approx(4 / 0.2, abs=1)


def test_a_camera_slower_than_the_hop_is_helped_by_the_sound():
    stage = estimator()
    steps = []
    for k in range(400):
        if k % 50 == 0:  # two images a second
            steps += stage.push_tracks(frame(k / 100, face()))
        if k % 3 == 0:
            steps += stage.push_speech(sound(k / 100, 0.03, 0.0))
    stamps = [to_s(step.stamp_ns) for step in steps]
    assert len(steps) > 25
    assert stamps == sorted(set(stamps))
    assert steps[-1].attended.label == "happy"


def test_face_and_voice_together_share_the_decision():
    steps = play(estimator(), 3, lambda t: [face(mouth=talking_mouth(t))], lambda t: 0.9)
    last = steps[-1].attended
    assert (last.status, last.face_id, last.voice_id) == (Status.OK, "f0001", "v0001")
    assert last.speaking
    assert last.face_share == last.voice_share == 0.5


def test_a_voice_without_a_face_is_a_person_of_its_own():
    steps = play(estimator(), 3, lambda t: [], lambda t: 0.9)
    (state,) = steps[-1].estimates
    assert (state.status, state.label) == (Status.NO_FACE, "angry")
    assert (state.face_id, state.voice_id, state.box) == ("", "v0001", None)
    assert steps[-1].attended == state


def test_a_still_mouth_does_not_get_the_voice():
    steps = play(estimator(), 3, lambda t: [face(mouth=0.05)], lambda t: 0.9)
    seen, heard = steps[-1].estimates
    assert (seen.status, seen.label, seen.voice_id) == (Status.NO_VOICE, "happy", "")
    assert (heard.status, heard.label, heard.face_id) == (Status.NO_FACE, "angry", "")
    assert steps[-1].attended == seen


def test_attribution_single_gives_the_voice_to_the_only_face():
    scene = estimator(attribution="single")
    steps = play(scene, 3, lambda t: [face(mouth=0.05)], lambda t: 0.9)
    (state,) = steps[-1].estimates
    assert (state.status, state.face_id, state.voice_id) == (Status.OK, "f0001", "v0001")


def test_of_two_faces_the_one_whose_mouth_moves_speaks_and_is_attended():
    def faces(t):
        return [
            face("f0001", "happy", x=0.1, size=0.3, mouth=0.05),
            face("f0002", "sad", x=0.6, size=0.2, mouth=talking_mouth(t)),
        ]

    steps = play(estimator(), 3, faces, lambda t: 0.9)
    large, small = steps[-1].estimates
    assert (large.face_id, large.status, large.voice_id) == ("f0001", Status.NO_VOICE, "")
    assert (small.face_id, small.status, small.voice_id) == ("f0002", Status.OK, "v0001")
    assert steps[-1].attended == small


def test_the_floor_changes_hands_within_a_window():
    def faces(t):
        first, second = (talking_mouth(t), 0.05) if t < 3 else (0.05, talking_mouth(t))
        return [face("f0001", mouth=first, size=0.3), face("f0002", x=0.7, mouth=second)]

    steps = play(estimator(), 6, faces, lambda t: 0.9)
    speakers = {round(to_s(step.stamp_ns), 1): step.attended.face_id for step in steps}
    assert speakers[2.9] == "f0001"
    assert speakers[4.7] == "f0002"


def test_without_speech_the_largest_face_is_attended():
    steps = play(estimator(), 2, lambda t: [face("f0001", size=0.1), face("f0002", size=0.3)])
    assert [state.face_id for state in steps[-1].estimates] == ["f0002", "f0001"]
    assert steps[-1].attended.face_id == "f0002"


def test_an_unusable_face_makes_no_claim():
    steps = play(estimator(), 3, lambda t: [face(quality=0.1)], lambda t: 0.0)
    state = steps[-1].attended
    assert (state.status, state.label, state.probabilities) == (
        Status.LOW_QUALITY,
        "unknown",
        (),
    )


def test_an_unusable_face_that_speaks_is_heard():
    steps = play(estimator(), 3, lambda t: [face(quality=0.1)], lambda t: 0.9)
    state = steps[-1].attended
    assert (state.status, state.label, state.face_id) == (Status.NO_FACE, "angry", "f0001")
    assert state.voice_share == 1.0


def test_a_low_confidence_gives_the_distribution_but_no_label():
    steps = play(estimator(SceneReader(confidence=0.3), filter_s=0.0), 2, lambda t: [face()])
    state = steps[-1].attended
    assert (state.status, state.label) == (Status.UNCERTAIN, "unknown")
    assert state.confidence == pytest.approx(0.3)
    assert sum(state.probabilities) == pytest.approx(1.0)


def test_nobody_in_view_is_said_and_no_one_is_listed():
    steps = play(estimator(), 3, lambda t: [], lambda t: 0.0)
    assert steps[-1].estimates == ()
    assert (steps[-1].attended.status, steps[-1].attended.label) == (Status.NOBODY, "unknown")


def test_short_noise_taken_for_speech_is_no_voice():
    steps = play(
        estimator(),
        3,
        lambda t: [face(mouth=talking_mouth(t))],
        lambda t: 0.9 if 2.0 <= t < 2.3 else 0.0,
    )
    assert {step.attended.status for step in steps if to_s(step.stamp_ns) >= 1.0} == {
        Status.NO_VOICE
    }


def test_a_face_that_left_is_not_listed_any_more():
    scene = estimator(track_timeout_s=0.5)
    steps = play(scene, 4, lambda t: [face()] if t < 2 else [], lambda t: 0.0)
    listed = {round(to_s(step.stamp_ns), 1): len(step.estimates) for step in steps}
    assert listed[2.4] == 1
    assert listed[2.6] == 0


def test_a_new_voice_after_silence_has_a_new_id():
    scene = estimator()
    steps = play(scene, 9, lambda t: [], lambda t: 0.9 if t < 2 or t > 6 else 0.0)
    ids = [step.attended.voice_id for step in steps if step.attended.voice_id]
    assert sorted(set(ids)) == ["v0001", "v0002"]


def test_the_face_network_looks_at_most_as_often_as_configured():
    reader = SceneReader()
    play(estimator(reader, face_rate_hz=10.0), 3, lambda t: [face()])
    assert reader.calls.count("face") == pytest.approx(30, abs=2)


def test_the_speech_network_runs_no_more_than_once_a_hop_however_many_faces():
    reader = SceneReader()
    scene = estimator(reader)
    steps = play(scene, 3, lambda t: [face(f"f{k:04d}") for k in range(4)], lambda t: 0.9)
    assert 0 < reader.calls.count("speech") <= len(steps)


@pytest.mark.parametrize(("rate_hz", "heard"), [(5.0, 24), (2.5, 12), (50.0, 48)])
def test_the_speech_network_hears_as_often_as_configured(rate_hz, heard):
    reader = SceneReader()
    steps = play(estimator(reader, voice_rate_hz=rate_hz), 6, None, lambda t: 0.9)
    with_voice = [step for step in steps if step.attended.voice_id]
    assert reader.calls.count("speech") == pytest.approx(heard * len(with_voice) / 48, abs=1.5)


def test_between_two_hearings_a_step_uses_the_newest():
    class Hearing(SceneReader):
        """Hears something new whenever it is asked, and tells it on."""

        def speech_evidence(self, power_db):
            super().speech_evidence(power_db)
            return -60.0 + self.calls.count("speech") % 7

    scene = estimator(Hearing(), voice_rate_hz=5.0, filter_s=0.0)
    steps = play(scene, 6, None, lambda t: 0.9)
    labels = [step.attended.label for step in steps if step.attended.probabilities]
    pairs = [len(list(same)) for _, same in itertools.groupby(labels)]
    assert set(pairs[1:-1]) == {2}


def test_when_a_voice_begins_it_is_heard_at_once():
    def first(begin: float) -> float:
        steps = play(
            estimator(voice_rate_hz=0.5), 9, None, lambda t: 0.9 if t >= begin else 0.0
        )
        return next(to_s(step.stamp_ns) for step in steps if step.attended.voice_id) - begin

    # 0.6 s of speech are needed, wherever that lies within two seconds.
    assert first(3.0) == pytest.approx(first(4.1), abs=0.11)
    assert first(3.0) == pytest.approx(0.6, abs=0.21)


def test_when_the_network_hears_depends_on_the_time_and_not_on_the_beginning():
    class Hearing(SceneReader):
        """Says when the window ended that it heard."""

        def speech_evidence(self, power_db):
            super().speech_evidence(power_db)
            return float(power_db[-1, 0])

    def chunk(k: int) -> SpectrogramChunk:
        made = sound(k / 10, 0.1, 0.9)
        made.power_db[:] = -60.0 + k // 2 % 7
        return made

    def labels(begin: int) -> dict[int, str]:
        scene = estimator(Hearing(), voice_rate_hz=2.0, filter_s=0.0)
        steps = [step for k in range(begin, 80) for step in scene.push_speech(chunk(k))]
        return {
            step.stamp_ns: step.attended.label for step in steps if step.attended.probabilities
        }

    whole, late = labels(0), labels(7)
    common = sorted(set(whole) & set(late))[5:]
    assert len(common) > 30
    assert [whole[stamp] for stamp in common] == [late[stamp] for stamp in common]


def test_the_order_of_arrival_does_not_change_the_estimates():
    def run(delay: float):
        scene = estimator()
        events = [
            (
                k / 30,
                lambda k=k: scene.push_tracks(frame(k / 30, face(mouth=talking_mouth(k / 30)))),
            )
            for k in range(120)
        ] + [
            (k / 10 + 0.1 + delay, lambda k=k: scene.push_speech(sound(k / 10, 0.1, 0.9)))
            for k in range(40)
        ]
        steps = [step for _, push in sorted(events, key=lambda e: e[0]) for step in push()]
        return steps + scene.flush()

    assert run(0.0) == run(0.08)


def test_an_estimate_does_not_wait_for_sound_longer_than_allowed():
    scene = estimator(max_wait_s=0.2)
    play(scene, 2, lambda t: [face()], lambda t: 0.0)
    steps = play(scene, 0.5, lambda t: [face()], start=2.0)  # the microphone hangs
    assert to_s(steps[-1].stamp_ns) == pytest.approx(2.5 - 0.2, abs=0.11)


def test_a_dead_microphone_is_not_waited_for():
    scene = estimator(stale_after_s=1.0)
    play(scene, 2, lambda t: [face()], lambda t: 0.0)
    steps = play(scene, 2, lambda t: [face()], start=2.0)
    assert to_s(steps[-1].stamp_ns) == pytest.approx(3.9, abs=0.11)
    assert steps[-1].attended.status == Status.NO_VOICE


def test_a_dead_camera_leaves_the_voice():
    scene = estimator()
    play(scene, 2, lambda t: [face()], lambda t: 0.9)
    steps = play(scene, 4, None, lambda t: 0.9, start=2.0)
    state = steps[-1].attended
    assert (state.status, state.face_id, state.label) == (Status.NO_FACE, "", "angry")


def test_a_dead_camera_is_not_an_empty_room():
    scene = estimator()
    play(scene, 2, lambda t: [face()], lambda t: 0.0)
    steps = play(scene, 4, None, lambda t: 0.0, start=2.0)
    assert (steps[-1].attended.status, steps[-1].estimates) == (Status.STALE_INPUT, ())


def test_sound_alone_from_the_start_is_no_stale_input():
    steps = play(estimator(), 3, None, lambda t: 0.0)
    assert steps[-1].attended.status == Status.NOBODY


def test_stopped_input_is_said_until_it_comes_back():
    stage = estimator(stale_after_s=1.0)
    play(stage, 2, lambda t: [face()], lambda t: 0.0)
    ticks = {k: stage.tick(to_ns(k / 10)) for k in range(21, 40)}
    assert not any(ticks[k] for k in range(21, 30))
    said = [step for k in range(31, 40) for step in ticks[k]]
    assert len(said) == pytest.approx(9, abs=1)
    assert {step.attended.status for step in said} == {Status.STALE_INPUT}
    assert {(step.attended.label, step.estimates) for step in said} == {("unknown", ())}
    assert stage.tick(to_ns(3.92)) == []  # once a step
    steps = play(stage, 2, lambda t: [face()], lambda t: 0.0, start=4.0)
    assert steps[-1].attended.label == "happy"


def test_input_that_never_came_is_said_once_a_hop():
    stage = estimator(stale_after_s=1.0, hop_s=1.0)
    steps = [step for k in range(1000, 1030) for step in stage.tick(to_ns(k / 10))]
    assert {step.attended.status for step in steps} == {Status.STALE_INPUT}
    assert len(steps) in (2, 3)
    assert len({step.stamp_ns for step in steps}) == len(steps)


def test_a_clock_that_leaps_ahead_once_silences_nothing():
    """Two players of /clock, or a spike."""
    stage = estimator()
    play(stage, 2, lambda t: [face()], lambda t: 0.0)
    assert stage.tick(to_ns(2000.0)) == []
    assert stage.tick(to_ns(2.1)) == []
    steps = play(stage, 1, lambda t: [face()], lambda t: 0.0, start=2.1)
    assert to_s(steps[0].stamp_ns) < 2.3
    assert steps[-1].attended.label == "happy"


def test_a_looping_bag_resets_once_and_leftovers_are_ignored():
    scene = estimator()
    play(scene, 5, lambda t: [face()], lambda t: 0.0)
    scene.push_tracks(frame(0.0, face("f0009")))
    assert scene.push_speech(sound(5.0, 0.1, 0.0)) == []  # was under way at the jump
    steps = play(scene, 3, lambda t: [face("f0009")] if t else [], lambda t: 0.0)
    assert scene.counters.resets == 1
    assert scene.counters.late_chunks == 1
    assert "back by" in scene.last_reset
    assert steps[-1].attended.face_id == "f0009"
    assert to_s(steps[-1].stamp_ns) < 3.01


def test_a_frame_out_of_order_is_left_out():
    scene = estimator()
    play(scene, 2, lambda t: [face()])
    assert scene.push_tracks(frame(1.9, face("f0007"))) == []
    assert scene.counters.late_frames == 1
    assert scene.counters.resets == 0


def test_a_jump_ahead_makes_no_states_of_the_hole():
    stage = estimator(stale_after_s=1.0)
    play(stage, 2, lambda t: [face()], lambda t: 0.0)
    steps = play(stage, 2, lambda t: [face()], lambda t: 0.0, start=3600.0)
    assert len(steps) == pytest.approx(2 / 0.1, abs=2)
    assert to_s(steps[0].stamp_ns) >= 3600.0
    assert steps[-1].attended.label == "happy"


def test_different_clocks_of_camera_and_microphone_do_not_reset_for_ever():
    scene = estimator()
    for k in range(30):
        scene.push_tracks(frame(k / 10, face()))
        scene.push_speech(sound(1000.0 + k / 10, 0.1, 0.0))
    assert scene.counters.resets == 0
    assert scene.audio_lead_ns == pytest.approx(to_ns(1000.0), rel=0.01)


def test_lost_sound_empties_the_window_of_the_voice():
    scene = estimator()
    play(scene, 2, lambda t: [], lambda t: 0.9)
    steps = play(scene, 0.5, lambda t: [], lambda t: 0.9, start=3.0)
    after = [step for step in steps if step.stamp_ns > to_ns(3.1)]
    assert after
    assert all(not step.estimates for step in after)


def test_an_empty_chunk_is_nothing():
    empty = np.zeros(0, np.float32)
    chunk = SpectrogramChunk(0, np.zeros((0, 200), np.float32), empty, empty, True)
    assert estimator().push_speech(chunk) == []


def test_flush_gives_the_states_that_wait():
    scene = estimator(max_wait_s=0.2)
    steps = play(scene, 2, lambda t: [face()])
    steps += scene.flush()
    assert to_s(steps[-1].stamp_ns) == pytest.approx(1.9, abs=0.01)


# --- one moment after the other


def labels(steps, start, end, key="f0001"):
    """What is claimed of a person from `start` to `end` [s], in order, without repeats."""
    found = [
        state.label
        for step in steps
        for state in step.estimates
        if start <= to_s(step.stamp_ns) < end and key in (state.face_id, state.voice_id)
    ]
    return [label for label, _ in itertools.groupby(found)]


def test_a_face_that_changes_is_followed_and_stays_followed():
    steps = play(estimator(), 8, lambda t: [face(emotion="happy" if t < 4 else "neutral")])
    assert labels(steps, 1.0, 4.0) == ["happy"]
    assert labels(steps, 4.0, 5.0) == ["happy", "neutral"]
    assert labels(steps, 5.0, 8.0) == ["neutral"]


def test_a_face_that_is_misread_for_a_moment_is_not_followed():
    def faces(t):
        return [face(emotion="neutral" if 3.0 <= t < 3.2 else "happy")]

    assert labels(play(estimator(), 6, faces), 1.0, 6.0) == ["happy"]


def test_of_two_people_each_keeps_their_own():
    def faces(t):
        first, second = ("happy", "neutral") if t < 4 else ("neutral", "happy")
        return [face("f0001", first, x=0.1), face("f0002", second, x=0.6)]

    steps = play(estimator(), 7, faces)
    assert labels(steps, 1.0, 7.0, "f0001") == ["happy", "neutral"]
    assert labels(steps, 1.0, 7.0, "f0002") == ["neutral", "happy"]
    # The one is what the other would be: nothing passes over.
    alone = play(estimator(), 7, lambda t: faces(t)[:1])
    of_first = [
        [state.probabilities for step in run for state in step.estimates[:1]]
        for run in (steps, alone)
    ]
    assert of_first[0] == of_first[1]


def test_who_comes_after_somebody_starts_from_nothing():
    def faces(t):
        return [face("f0001", "happy")] if t < 3 else [face("f0002", quality=0.1)]

    steps = play(estimator(track_timeout_s=0.3), 6, faces)
    later = [state for step in steps for state in step.estimates if state.face_id == "f0002"]
    assert later
    assert not any(state.probabilities for state in later)


def test_a_face_that_turns_away_is_remembered_for_a_while_and_less_and_less():
    steps = play(estimator(), 8, lambda t: [face(quality=0.9 if t < 3 else 0.1)])
    away = [step.attended for step in steps if to_s(step.stamp_ns) >= 3.6]
    known = [state.confidence for state in away if state.probabilities]
    assert known == sorted(known, reverse=True)
    assert len(known) == pytest.approx(24, abs=6)  # as long as the window holds enough of it
    assert {state.label for state in away[:10]} == {"happy"}
    assert away[-1].status == Status.LOW_QUALITY


def test_a_voice_that_pauses_is_remembered_for_a_while_and_less_and_less():
    steps = play(estimator(), 7, None, lambda t: 0.9 if t < 3 else 0.0)
    silent = [step.attended for step in steps if to_s(step.stamp_ns) >= 4.2]
    known = [state.confidence for state in silent if state.probabilities]
    assert known == sorted(known, reverse=True)
    assert len(known) >= 8
    assert {state.label for state in silent[:5]} == {"angry"}
    assert silent[-1].status == Status.NOBODY


def test_nothing_is_remembered_over_a_clock_that_is_set_back():
    scene = estimator()
    play(scene, 5, lambda t: [face()], lambda t: 0.0)
    steps = play(scene, 3, lambda t: [face(quality=0.1)], lambda t: 0.0)
    assert scene.counters.resets == 1
    assert not any(state.probabilities for step in steps for state in step.estimates)
