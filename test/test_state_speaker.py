"""Whose voice is heard: a moving mouth's, and that of the only face whose mouth is hidden."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avemo_ros.state.history import FaceSample, SpeechWindow
from avemo_ros.state.speaker import find_speaker, mouth_motion
from avemo_ros.vision.face import Box

FRAME_NS = 40_000_000
SPEECH = SpeechWindow(0, np.zeros((100, 200), np.float32), np.ones(100, np.float32))


def samples(openings: list[float]) -> list[FaceSample]:
    box = Box(0.4, 0.4, 0.2, 0.2)
    return [
        FaceSample(number * FRAME_NS, box, opening, False, FRAME_NS, None)
        for number, opening in enumerate(openings)
    ]


def motion(openings: list[float]) -> float | None:
    return mouth_motion(samples(openings), SPEECH, 0.5)


def test_the_motion_is_the_deviation_of_the_opening_while_it_was_seen() -> None:
    assert motion([0.1, 0.3] * 10) == pytest.approx(0.1)
    assert motion([0.1, 0.3, math.nan] * 8) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "openings", [[math.nan] * 20, [0.1, math.nan, math.nan] * 8, [0.1] * 4]
)
def test_a_mouth_that_is_hidden_most_of_the_time_is_not_still(openings: list[float]) -> None:
    assert motion(openings) is None


def test_the_only_face_in_view_has_the_voice_unless_its_mouth_is_seen_to_be_still() -> None:
    assert find_speaker({"f1": motion([math.nan] * 20)}, 0.02, "mouth") == "f1"
    assert find_speaker({"f1": motion([0.1] * 20)}, 0.02, "mouth") is None
