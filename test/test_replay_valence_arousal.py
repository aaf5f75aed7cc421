from __future__ import annotations

import math

import numpy as np
import pytest
from made_sessions import said, seg, session
from made_steps import step_of

from avemo_ros.replay.stream_metrics import concordance, valence_arousal_metrics


def test_concordance_is_that_of_the_formula() -> None:
    # Means 2 and 3, variances 2/3 and 2/3, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7.
    first, second = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])
    assert concordance(first, second) == pytest.approx(4 / 7)
    assert concordance(first, first) == pytest.approx(1.0)
    assert concordance(first, 4 - first) == pytest.approx(-1.0)


def test_concordance_of_nothing_or_of_one_value_cannot_be_told() -> None:
    assert math.isnan(concordance(np.zeros(0), np.zeros(0)))
    assert math.isnan(concordance(np.ones(3), np.ones(3)))


def test_only_valid_values_count_and_annotators_are_averaged() -> None:
    values = {0.0: 0.1, 0.1: 0.3, 0.2: 0.5}
    steps = [
        step_of(said(t, "sad", valence=value, arousal=0.9, valence_arousal_valid=t < 0.2))
        for t, value in values.items()
    ]
    given = session(
        steps,
        seg(0, 0.1, "sad", valence=0.0, annotator="x"),
        seg(0, 0.1, "", valence=0.4, annotator="y"),
        seg(0.1, 0.3, "", valence=0.6, annotator="x"),
    )
    found = valence_arousal_metrics([given])
    # Truth 0.2 and 0.6, said 0.1 and 0.3: means 0.4 and 0.2, variances 0.04 and 0.01,
    # covariance 0.02; 0.04 / (0.05 + 0.04); rmse sqrt((0.01 + 0.09) / 2).
    assert (found["hops"], found["valid"], found["arousal"]) == (3, 2, None)
    assert found["valence"] == {
        "items": 2,
        "ccc": pytest.approx(4 / 9),
        "rmse": pytest.approx(math.sqrt(0.05)),
    }


def test_adjudicated_values_are_true_where_there_are_any() -> None:
    steps = [
        step_of(said(at / 10, "sad", valence=0.1, arousal=0.9, valence_arousal_valid=True))
        for at in range(2)
    ]
    given = session(
        steps,
        seg(0, 0.2, "", valence=0.0, annotator="x"),
        seg(0.1, 0.2, "", valence=0.5, annotator="final"),
    )
    found = valence_arousal_metrics([given], "final")["valence"]
    # Truth 0.0 and 0.5, said 0.1 twice.
    assert found["rmse"] == pytest.approx(math.sqrt((0.01 + 0.16) / 2))


def test_without_labels_of_valence_there_is_no_figure() -> None:
    given = session([step_of(said(0, "sad", valence_arousal_valid=True))], seg(0, 1, "sad"))
    assert valence_arousal_metrics([given]) == {
        "hops": 0,
        "valid": 0,
        "valence": None,
        "arousal": None,
    }
