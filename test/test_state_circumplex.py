"""Valence and arousal come from the distribution, by the published values."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from avemo_ros.bag import message_content
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.predictor import Prediction
from avemo_ros.state.decision import PersonWindow, abstain, decide, valence_arousal
from avemo_ros.state.estimate import Status, plain_fields

SOMEBODY = PersonWindow(2_000_000_000, 1_000_000_000, "m", face_id="f1")


def shares(**given: float) -> tuple[float, ...]:
    return tuple(given.get(name, 0.0) for name in EMOTIONS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (shares(angry=1), (-0.51, 0.59)),
        (shares(disgust=1), (-0.60, 0.35)),
        (shares(fear=1), (-0.64, 0.60)),
        (shares(happy=1), (0.81, 0.51)),
        (shares(neutral=1), (0.0, 0.0)),
        (shares(sad=1), (-0.63, -0.27)),
        (shares(surprise=1), (0.40, 0.67)),
        (shares(happy=0.5, neutral=0.5), (0.405, 0.255)),
        ((1 / 7,) * 7, (-1.17 / 7, 2.45 / 7)),
    ],
)
def test_they_are_the_mean_of_the_published_values(given, expected) -> None:
    assert valence_arousal(given) == pytest.approx(expected)


@pytest.mark.parametrize(("least", "status"), [(0.5, Status.NO_VOICE), (0.9, Status.UNCERTAIN)])
def test_they_are_valid_where_there_is_a_distribution(least: float, status: Status) -> None:
    given = shares(sad=0.8, surprise=0.2)
    one = decide(SOMEBODY, Prediction(given, 1.0, 0.0, None), least)
    assert (one.status, one.valence_arousal_valid) == (status, True)
    assert (one.valence, one.arousal) == pytest.approx((-0.424, -0.082))
    assert one.valence_arousal_source == "distribution"


@pytest.mark.parametrize("status", [Status.LOW_QUALITY, Status.WARMING_UP])
def test_without_an_estimate_there_are_none(status: Status) -> None:
    one = abstain(SOMEBODY, status)
    assert (one.valence, one.arousal, one.valence_arousal_valid) == (0.0, 0.0, False)
    assert one.valence_arousal_source == ""


def test_states_recorded_before_the_field_was_there_are_read() -> None:
    one = decide(SOMEBODY, Prediction(shares(happy=1), 1.0, 0.0, None), 0.5)
    fields = plain_fields(one)
    stamp = SimpleNamespace(sec=2, nanosec=0)
    fields |= {"header": SimpleNamespace(stamp=stamp), "window_start": stamp, "box": None}
    now = message_content.estimate(SimpleNamespace(**fields))
    del fields["valence_arousal_source"]
    before = message_content.estimate(SimpleNamespace(**fields))
    assert (now.valence_arousal_source, before.valence_arousal_source) == ("distribution", "")
    assert before.valence == now.valence == 0.81
