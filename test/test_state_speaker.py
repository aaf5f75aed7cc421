"""Whose voice is heard: that of the mouth that moves with the sound."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import BINS, HOP_NS
from avemo_ros.state.history import FaceSample, SpeechWindow
from avemo_ros.state.speaker import SOUND_NS, Speakers, SpeakerTracker, recent_motion
from avemo_ros.vision.face import Box

START_NS = 10**12
LENGTH_S = 16.0
Mouth = Callable[[float], float]


def syllables(seed: int) -> NDArray[np.float64]:
    """(1 kHz) how far a mouth is open that says something: syllables of 0.12 to 0.3 s in
    phrases."""
    rng, parts = np.random.default_rng(seed), []
    while sum(map(len, parts)) < LENGTH_S * 1000:
        for _ in range(rng.integers(3, 9)):
            length = int(rng.uniform(120, 300))
            size = rng.uniform(0.4, 1.0)
            parts.append(size * np.sin(np.linspace(0, np.pi, length)))
        parts.append(np.zeros(int(rng.uniform(150, 500))))
    return np.concatenate(parts)


SAID, OTHER = syllables(1), syllables(2)


def says(words: NDArray[np.float64], late_s: float = 0.0) -> Mouth:
    return lambda t: 0.02 + 0.18 * float(words[max(0, int(1000 * (t + late_s)))])


def rests(_: float) -> float:
    return 0.02


def hidden(_: float) -> float:
    return math.nan


def sound_until(end_s: float) -> SpeechWindow:
    """Vowels whose loudness is the opening of the mouth that says SAID."""
    first = max(0, round((end_s * 1e9 - SOUND_NS) / HOP_NS))
    columns = np.arange(first, round(end_s * 100))
    times = (columns / 100 - 0.02).clip(0)
    loud = SAID[(times * 1000).astype(int)]
    shape = -40 * np.abs(np.arange(BINS) - 30) / BINS
    power = np.where(loud[:, None] > 0.1, -35 + shape + 20 * loud[:, None], -75)
    speech = np.where(loud > 0.05, 0.95, 0.5)
    return SpeechWindow(
        START_NS + int(columns[0]) * HOP_NS, power.astype(np.float32), speech.astype(np.float32)
    )


def samples(mouth: Mouth, now_s: float, rate_hz: float) -> list[FaceSample]:
    box, frame_ns = Box(0.4, 0.4, 0.2, 0.2), round(1e9 / rate_hz)
    times = np.arange(int(max(0, now_s - 3) * rate_hz), int(now_s * rate_hz)) / rate_hz
    return [
        FaceSample(START_NS + int(t * 1e9), box, mouth(t), True, frame_ns, None) for t in times
    ]


def play(
    mouths: dict[str, Mouth],
    *,
    rate_hz: float = 15.0,
    rule: str = "mouth",
    tracker: SpeakerTracker | None = None,
) -> list[Speakers]:
    """What is said of each tenth of a second from 3 s on."""
    tracker = tracker or SpeakerTracker(rule)
    said = []
    for now_s in np.arange(3.0, LENGTH_S - 1, 0.1):
        views = {name: samples(mouth, now_s, rate_hz) for name, mouth in mouths.items()}
        now_ns = START_NS + int(now_s * 1e9)
        heard = tracker.update(now_ns, now_ns - 10**8, views, sound_until(now_s - 0.1))
        assert heard is not None
        said.append(heard)
    return said


def share_of(said: list[Speakers], face_id: str | None) -> float:
    return float(np.mean([one.likeliest == face_id for one in said]))


@pytest.mark.parametrize("rate_hz", [30.0, 15.0])
def test_of_two_moving_mouths_the_one_speaks_that_moves_with_the_sound(rate_hz: float) -> None:
    said = play({"f1": says(OTHER), "f2": says(SAID)}, rate_hz=rate_hz)
    assert share_of(said, "f2") > 0.8
    assert share_of(said, "f1") < 0.1


def test_beside_a_mouth_at_rest_a_slow_camera_is_enough() -> None:
    assert share_of(play({"f1": rests, "f2": says(SAID)}, rate_hz=5.0), "f2") > 0.8


def test_a_voice_is_not_of_mouths_that_rest() -> None:
    assert share_of(play({"f1": rests}), None) > 0.9
    assert share_of(play({"f1": rests, "f2": rests}), None) > 0.9


def test_an_only_face_speaks_whose_mouth_is_hidden() -> None:
    said = play({"f1": hidden})
    assert share_of(said, "f1") == 1.0
    assert max(one.shares["f1"] for one in said) < 0.95


def test_the_rule_single_gives_the_only_face_every_voice() -> None:
    assert share_of(play({"f1": rests}, rule="single"), "f1") == 1.0
    assert share_of(play({"f1": rests, "f2": says(SAID)}, rule="single"), "f2") > 0.8


def test_scores_are_probabilities_and_quiet_is_nobodys() -> None:
    tracker = SpeakerTracker("mouth")
    for one in play({"f1": says(SAID), "f2": rests}, tracker=tracker):
        scores = [one.score("f1"), one.score("f2"), one.score("")]
        assert all(score is not None and 0 <= score <= 1 for score in scores)
        assert one.score("f3") is None
    power, nothing = np.full((500, BINS), -80.0, np.float32), np.zeros(500, np.float32)
    quiet = SpeechWindow(START_NS, power, nothing)
    now_ns = START_NS + 500 * HOP_NS
    said = tracker.update(now_ns, now_ns, {"f1": samples(rests, 5.0, 15.0)}, quiet)
    assert said is not None
    assert said.score("f1") == 0
    # Whose voice it was is not forgotten.
    assert said.shares["f1"] > 0.5


def test_without_sound_nothing_is_known() -> None:
    empty = SpeechWindow(START_NS, np.zeros((0, BINS), np.float32), np.zeros(0, np.float32))
    views = {"f1": samples(rests, 3.0, 15.0)}
    assert SpeakerTracker("mouth").update(START_NS, START_NS, views, empty) is None


@pytest.mark.parametrize("late_s", [0.15, -0.15])
def test_how_late_the_sound_is_is_learned_from_who_speaks(late_s: float) -> None:
    tracker = SpeakerTracker("mouth")
    play({"f1": says(SAID, late_s)}, rate_hz=30.0, tracker=tracker)
    assert tracker.offset_s == pytest.approx(late_s, abs=0.06)
    tracker.clear()
    assert tracker.offset_s == pytest.approx(0, abs=0.005)


def test_mouths_that_rest_teach_no_offset() -> None:
    tracker = SpeakerTracker("mouth")
    play({"f1": rests}, tracker=tracker)
    assert tracker.offset_s == pytest.approx(0, abs=0.005)


def motion(openings: list[float]) -> float | None:
    box = Box(0.4, 0.4, 0.2, 0.2)
    return recent_motion(
        [FaceSample(40_000_000 * k, box, one, False, 0, None) for k, one in enumerate(openings)]
    )


def test_the_motion_is_the_deviation_of_the_opening_while_it_was_seen() -> None:
    assert motion([0.1, 0.3] * 10) == pytest.approx(0.1)
    assert motion([0.1, 0.3, math.nan] * 8) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "openings", [[math.nan] * 20, [0.1, math.nan, math.nan] * 8, [0.1] * 4]
)
def test_a_mouth_that_is_hidden_most_of_the_time_is_not_still(openings: list[float]) -> None:
    assert motion(openings) is None
