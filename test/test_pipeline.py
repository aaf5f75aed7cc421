"""The whole engine on real input: media file in, estimates out, without ROS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import SAMPLE, sample_items

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.config import ModelConfig, PipelineConfig
from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.model.predictor import Predictor
from avemo_ros.pipeline import Pipeline
from avemo_ros.source.media_file import MediaFile
from avemo_ros.state.estimate import EmotionStep, Status
from avemo_ros.timing import to_ns

# RAVDESS names: the third field is the emotion; all of Actor 01, who is in no training set.
CLIPS = {
    "neutral": [
        "01-01-01-01-01-01-01",
        "01-01-01-01-01-02-01",
        "01-01-01-01-02-01-01",
        "01-01-01-01-02-02-01",
    ],
    "surprise": ["01-01-08-01-01-02-01", "01-01-08-01-02-02-01", "01-01-08-02-02-02-01"],
}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(ModelConfig())


def run(
    path: Path, predictor: Predictor, *, frames=True, sound=True, until_s: float = 7.0
) -> list[EmotionStep]:
    """Everything the pipeline says of a file's first seconds."""
    pipeline = Pipeline(PipelineConfig(), predictor)
    steps: list[EmotionStep] = []
    with MediaFile(path) as media:
        for item in media:
            if item.stamp_ns >= to_ns(until_s):
                break
            if isinstance(item, AudioBlock):
                steps += pipeline.push_audio(item) if sound else []
            elif frames:
                steps += pipeline.push_frame(item.stamp_ns, item.image)
    steps += pipeline.flush()
    pipeline.close()
    return steps


@pytest.fixture(scope="module")
def sample_steps(predictor: Predictor, found_once: Callable[..., Any]) -> list[EmotionStep]:
    steps: list[EmotionStep] = found_once("pipeline-sample", lambda: run(SAMPLE, predictor))
    return steps


def test_the_sample_gives_one_person_ten_times_a_second(sample_steps):
    assert len(sample_steps) == pytest.approx(70, abs=2)
    steps = np.diff([step.stamp_ns for step in sample_steps])
    # Images of 15 Hz lie on no grid of 10 Hz.
    assert steps.min() > 0.6 * to_ns(0.1)
    assert steps.max() < 1.4 * to_ns(0.1)
    assert {state.face_id for step in sample_steps for state in step.estimates} == {"f0001"}


def test_the_first_claim_comes_after_one_second(sample_steps):
    first = next(step for step in sample_steps if step.attended.status != Status.WARMING_UP)
    assert first.stamp_ns == pytest.approx(to_ns(1.0), abs=to_ns(0.11))


def test_the_speech_of_the_sample_is_the_faces_voice(sample_steps):
    statuses = [step.attended.status for step in sample_steps]
    assert Status.NO_VOICE in statuses  # silence at the start
    fused = [step.attended for step in sample_steps if step.attended.voice_id]
    assert len(fused) > 30
    assert all(state.face_id == "f0001" for state in fused)
    assert any(state.speaking for state in fused)


def test_every_distribution_is_one(sample_steps):
    for step in sample_steps:
        for state in step.estimates:
            if not state.probabilities:
                assert state.label == UNKNOWN
                continue
            assert sum(state.probabilities) == pytest.approx(1.0, abs=1e-6)
            assert state.confidence == max(state.probabilities)
            assert state.face_share + state.voice_share == pytest.approx(1.0)
            if state.label != UNKNOWN:
                assert state.label == EMOTIONS[int(np.argmax(state.probabilities))]


@pytest.mark.slow
def test_the_same_file_gives_the_same_estimates(sample_steps, predictor):
    part = run(SAMPLE, predictor, until_s=3.5)
    assert len(part) > 30
    # What is said at the end of a file rests on what a longer one goes on with.
    assert part[:-3] == sample_steps[: len(part) - 3]


def test_without_sound_the_face_is_read_alone(predictor):
    steps = run(SAMPLE, predictor, sound=False, until_s=3.0)
    claims = [step.attended for step in steps if step.attended.probabilities]
    assert claims
    assert all((s.face_share, s.voice_share, s.voice_id) == (1.0, 0.0, "") for s in claims)


def test_without_images_the_voice_is_heard_alone(predictor):
    steps = run(SAMPLE, predictor, frames=False)
    claims = [step.attended for step in steps if step.attended.probabilities]
    assert claims
    assert all((s.face_share, s.voice_share, s.face_id) == (0.0, 1.0, "") for s in claims)


def test_a_bad_image_or_block_is_refused_and_the_stream_goes_on(predictor):
    pipeline = Pipeline(PipelineConfig(), predictor)
    assert pipeline.push_frame(0, np.zeros((0, 0, 3), np.uint8)) == []
    assert pipeline.push_frame(to_ns(0.1), np.zeros((48, 64), np.float32)) == []
    assert pipeline.push_audio(AudioBlock(0, 0, np.zeros((10, 1), np.float32))) == []
    counted = pipeline.counters()
    assert (counted["pictures_refused"], counted["sound_refused"]) == (2, 1)
    assert len(pipeline.findings.sentences()) == 2
    black = np.zeros((480, 640, 3), np.uint8)
    steps = [step for k in range(60) for step in pipeline.push_frame(to_ns(1 + k / 30), black)]
    pipeline.close()
    assert steps[-1].attended.status == Status.NOBODY


@pytest.mark.slow
def test_a_file_played_twice_starts_anew(predictor):
    pipeline = Pipeline(PipelineConfig(), predictor)
    for start_s, end_s in ((5.0, 7.0), (0.0, 2.5)):
        steps = []
        for item in sample_items(start_s, end_s):
            if isinstance(item, AudioBlock):
                steps += pipeline.push_audio(item)
            else:
                steps += pipeline.push_frame(item.stamp_ns, item.image)
    pipeline.close()
    ids = {state.face_id for step in steps for state in step.estimates}
    assert len(ids) == 1
    assert "f0001" not in ids  # an id is never given twice
    assert any(step.attended.probabilities for step in steps)
    assert steps[0].stamp_ns < to_ns(0.3)


@pytest.fixture(scope="module")
def clip_steps(
    shared_data: Path, predictor: Predictor, found_once: Callable[..., Any]
) -> Callable[[str], list[EmotionStep]]:
    """What is said of a clip."""

    def steps(name: str) -> list[EmotionStep]:
        clip = shared_data / "clips" / f"{name}.mp4"
        found: list[EmotionStep] = found_once(f"pipeline-{name}", lambda: run(clip, predictor))
        return found

    return steps


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for names in CLIPS.values() for name in names])
def test_a_real_clip_ends_with_one_person_seen_and_heard(clip_steps, name):
    steps = clip_steps(name)
    assert {state.face_id for step in steps for state in step.estimates} - {""} == {"f0001"}
    # First a warm-up, and in that time no claim of any kind.
    assert steps[0].attended.status == Status.WARMING_UP
    assert not any(s.probabilities for step in steps[:9] for s in step.estimates)
    with_both = [
        step.attended
        for step in steps
        if step.attended.face_id and step.attended.voice_id and step.attended.probabilities
    ]
    assert len(with_both) >= 5
    assert all(0.0 < state.face_share < 1.0 for state in with_both)


@pytest.mark.slow
def test_surprise_is_likelier_in_the_surprised_clips_than_in_the_neutral_ones(clip_steps):
    def surprise(name: str) -> float:
        index = EMOTIONS.index("surprise")
        return float(
            np.mean(
                [
                    step.attended.probabilities[index]
                    for step in clip_steps(name)
                    if step.attended.probabilities
                ]
            )
        )

    surprised = [surprise(name) for name in CLIPS["surprise"]]
    neutral = [surprise(name) for name in CLIPS["neutral"]]
    assert np.mean(surprised) > np.mean(neutral)


def test_a_recording_that_is_silent_has_no_voice_and_it_is_noted(predictor: Predictor) -> None:
    pipeline = Pipeline(PipelineConfig(), predictor)
    steps = []
    for number in range(50):
        samples = np.full((800, 1), 5e-4, np.float32) * (-1) ** np.arange(800)[:, None]
        block = AudioBlock(to_ns(10 + 0.05 * number), 16_000, samples.astype(np.float32))
        steps += pipeline.push_audio(block)
    steps += pipeline.flush()
    pipeline.close()
    assert {one.status for step in steps for one in step.estimates} <= {Status.NOBODY}
    assert pipeline.findings.sentences() == [
        "sound: no voice: its sound is never louder than -60 dB of full scale"
    ]
