"""The filter: scripted evidence in, what is believed of one person out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from state_scene import distribution

from avemo_ros.labels import EMOTIONS
from avemo_ros.model.predictor import Prediction
from avemo_ros.state.decision import EmotionFilter
from avemo_ros.timing import to_ns

T_S, HOLD_S = 0.5, 3.0


def says(label: str, confidence: float = 0.8, face_share: float = 0.5) -> Prediction:
    """The network's answer."""
    return Prediction(distribution(label, confidence), face_share, 1.0 - face_share, None)


def follow(
    filter_: EmotionFilter,
    seconds: float,
    evidence: Prediction | None,
    *,
    start: float = 0.0,
    step_s: float = 0.1,
) -> list[Prediction]:
    """Push the same evidence again and again; what is believed after each."""
    found = [
        filter_.push(to_ns(start + k * step_s), evidence)
        for k in range(round(seconds / step_s))
    ]
    return [one for one in found if one is not None]


def label(prediction: Prediction) -> str:
    return EMOTIONS[int(np.argmax(prediction.probabilities))]


def of(prediction: Prediction, name: str) -> float:
    return prediction.probabilities[EMOTIONS.index(name)]


def made(time_constant_s: float = T_S, hold_s: float = HOLD_S) -> EmotionFilter:
    return EmotionFilter(time_constant_s, hold_s)


@pytest.mark.parametrize(("confidence", "within_s"), [(0.9, 0.4), (0.7, 0.5), (0.5, 0.7)])
def test_a_change_is_followed(confidence: float, within_s: float) -> None:
    one = made()
    follow(one, 5.0, says("happy", confidence))
    after = follow(one, 2.0, says("sad", confidence), start=5.0)
    first = next(k for k, said in enumerate(after) if label(said) == "sad")
    assert 0.1 * (first + 1) <= within_s
    assert {label(said) for said in after[first:]} == {"sad"}


def test_a_short_error_changes_nothing() -> None:
    one = made()
    follow(one, 3.0, says("happy"))
    found = follow(one, 0.2, says("angry", 0.95), start=3.0)
    found += follow(one, 1.0, says("happy"), start=3.2)
    assert {label(said) for said in found} == {"happy"}


def test_noise_does_not_flip() -> None:
    """Seven of ten answers are right, the others are sure of anything else."""
    random = np.random.default_rng(3)
    names = [
        "happy" if random.random() < 0.7 else EMOTIONS[random.integers(len(EMOTIONS))]
        for _ in range(600)
    ]
    one = made()
    found = [one.push(to_ns(k / 10), says(name)) for k, name in enumerate(names)]
    flips = [sum(a != b for a, b in itertools.pairwise(names))]
    flips.append(sum(label(a) != label(b) for a, b in itertools.pairwise(found) if a and b))
    assert flips[1] < 0.1 * flips[0]


@pytest.mark.parametrize("confidence", [0.2, 0.3, 0.5, 0.7, 0.9])
def test_what_lasts_is_believed_about_as_much_as_the_network_does(confidence: float) -> None:
    last = follow(made(), 20.0, says("fear", confidence))[-1]
    assert of(last, "fear") == pytest.approx(confidence, abs=0.15)


def test_it_is_the_forward_algorithm() -> None:
    """Against the sum over all paths of a hidden Markov model."""
    count, step_s = len(EMOTIONS), 0.1
    random = np.random.default_rng(1)
    answers = random.dirichlet(np.ones(count), 4)
    one = made()
    for k, answer in enumerate(answers):
        last = one.push(to_ns(k * step_s), Prediction(tuple(answer.tolist()), 1.0, 0.0, None))
    stay = math.exp(-step_s / T_S)
    move = stay * np.eye(count) + (1.0 - stay) / count
    likely = np.maximum(answers, 1e-3) ** np.array([[0.5 / T_S]] + 3 * [[step_s / T_S]])
    total = np.zeros(count)
    for path in itertools.product(range(count), repeat=4):
        chance = likely[0, path[0]] / count
        for k in range(1, 4):
            chance *= move[path[k - 1], path[k]] * likely[k, path[k]]
        total[path[-1]] += chance
    assert last is not None
    assert last.probabilities == pytest.approx(total / total.sum())


def test_the_rate_of_steps_changes_little() -> None:
    def after(step_s: float) -> list[float]:
        one = made()
        follow(one, 3.0, says("happy"), step_s=step_s)
        found = follow(one, 1.2, says("sad"), start=3.0, step_s=step_s)
        return [of(found[round(t / step_s) - 1], "sad") for t in (0.4, 0.8, 1.2)]

    assert after(1 / 30) == pytest.approx(after(0.1), abs=0.06)
    assert after(0.2) == pytest.approx(after(0.1), abs=0.08)


def test_without_evidence_it_holds_and_then_fades() -> None:
    one = made()
    known = of(follow(one, 5.0, says("happy", 0.9))[-1], "happy")
    silent = [of(said, "happy") for said in follow(one, 20.0, None, start=5.0)]
    assert silent == sorted(silent, reverse=True)
    assert silent[9] > 0.7 * known
    assert silent[-1] == pytest.approx(1 / len(EMOTIONS), abs=0.01)


def test_what_was_long_ago_does_not_outlast_a_gap() -> None:
    one = made()
    follow(one, 5.0, says("happy", 0.9))
    after = one.push(to_ns(60.0), says("sad", 0.6))
    assert after is not None
    assert label(after) == "sad"


def test_before_any_evidence_nothing_is_known() -> None:
    one = made()
    assert one.push(0, None) is None
    assert one.push(to_ns(0.1), says("sad")) is not None


def test_time_that_goes_back_starts_from_nothing() -> None:
    one = made()
    follow(one, 5.0, says("happy", 0.9))
    assert one.push(to_ns(1.0), None) is None
    anew, fresh = (follow(it, 2.0, says("sad"), start=1.1) for it in (one, made()))
    assert [one.probabilities for one in anew] == [one.probabilities for one in fresh]


def test_a_time_constant_of_0_leaves_only_the_newest() -> None:
    one = made(0.0)
    follow(one, 1.0, says("happy", 0.9))
    newest = one.push(to_ns(1.1), says("sad", 0.6))
    assert newest is not None
    assert newest.probabilities == pytest.approx(distribution("sad", 0.6))


def test_the_shares_are_those_of_what_is_remembered() -> None:
    one = made()
    follow(one, 3.0, says("happy", face_share=0.4))
    shares = [
        said.face_share for said in follow(one, 3.0, says("happy", face_share=1.0), start=3.0)
    ]
    assert shares == sorted(shares)
    assert 0.4 < shares[2] < 1.0
    # The voice of long ago is forgotten, not only small.
    assert shares[-1] == 1.0


def test_one_answer_that_is_dead_sure_does_not_outweigh_seconds() -> None:
    one = made()
    follow(one, 3.0, says("happy", 0.9))
    after = one.push(to_ns(3.0), says("sad", 1.0))
    assert after is not None
    assert label(after) == "happy"
    assert all(value > 0.0 for value in after.probabilities)
