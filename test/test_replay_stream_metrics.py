from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from made_sessions import said, seg, session, stream

from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.matching import match_recording
from avemo_ros.replay.stream_metrics import (
    Bootstrap,
    calibration,
    classification_metrics,
    coverage,
)
from avemo_ros.replay.stream_predictions import (
    StreamPredictions,
    distribution,
    step_predictions,
)

NONE = Bootstrap("segments", 0)
SURE = 0.7
REST = (1 - SURE) / 6


def answers(said: str, truth: str, groups: str = "") -> StreamPredictions:
    """Answers by the first letters of the classes; '-': unknown, and no distribution."""
    words = {name[:2]: name for name in EMOTIONS}
    steps = stream([words.get(word, "unknown") for word in said.split()])
    labels = [
        seg(step / 10, (step + 1) / 10, words[word]) for step, word in enumerate(truth.split())
    ]
    count = len(labels)
    return step_predictions(
        [match_recording(session(steps, *labels))], groups.split() or [""] * count
    )


# Eight steps: sad is found 2 of 4 times, happy 2 of 3 times, fear 0 of 1.
TRUTH = "sa sa sa sa ha ha ha fe"
SAID = "sa sa ha -- ha ha -- ha"


def test_rates_are_those_counted_by_hand() -> None:
    found = classification_metrics(answers(SAID, TRUTH), NONE)
    assert (found["items"], found["unanswered"]) == (8, 2)
    assert found["accuracy"] == 4 / 8
    assert found["ua"] == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)
    # F1 of sad 2*2/(4+2), of happy 2*2/(3+4), of fear 0
    assert found["macro_f1"] == pytest.approx((4 / 6 + 4 / 7 + 0) / 3)
    assert found["recalls"]["happy"] == pytest.approx(2 / 3)
    assert math.isnan(found["recalls"]["angry"])
    assert found["truth"] == {
        name: {"sad": 4, "happy": 3, "fear": 1}.get(name, 0) for name in EMOTIONS
    }
    sad, happy, fear = (EMOTIONS.index(name) for name in ("sad", "happy", "fear"))
    assert found["confusion"][sad][sad] == 2
    assert found["confusion"][sad][happy] == 1
    assert found["confusion"][fear][happy] == 1
    assert sum(map(sum, found["confusion"])) == 6
    assert found["intervals"] is None


def test_rates_of_nothing_cannot_be_told() -> None:
    nothing = answers(SAID, TRUTH).at([])
    found = classification_metrics(nothing, Bootstrap("segments", 100))
    assert (found["items"], found["accuracy"], found["ua"], found["macro_f1"]) == (
        0,
        None,
        None,
        None,
    )
    assert calibration(nothing, NONE)["ece"] is None
    assert coverage(nothing, [], NONE)["share"] is None


def test_calibration_is_of_the_steps_with_a_distribution() -> None:
    found = calibration(answers(SAID, TRUTH), NONE)
    # Six answers of confidence 0.7, four of them right.
    assert found["items"] == 6
    assert found["ece"] == pytest.approx(abs(4 / 6 - 0.7))
    assert found["nll"] == pytest.approx(-(4 * math.log(SURE) + 2 * math.log(REST)) / 6)
    right = (1 - SURE) ** 2 + 6 * REST**2
    wrong = (1 - REST) ** 2 + SURE**2 + 5 * REST**2
    assert found["brier"] == pytest.approx((4 * right + 2 * wrong) / 6)
    assert found["bins"]["counts"][10] == 6
    assert found["bins"]["accuracy"][10] == pytest.approx(4 / 6)


def test_coverage_is_the_share_of_claims_and_says_why_not() -> None:
    statuses = ["NO_VOICE"] * 3 + ["LOW_QUALITY"] + ["NO_VOICE"] * 2 + ["NO_FACE", "OK"]
    found = coverage(answers(SAID, TRUTH), statuses, NONE)
    assert (found["hops"], found["claimed"], found["share"]) == (8, 6, 0.75)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["why_not"] == {"LOW_QUALITY": 1, "NO_FACE": 1}
    curve = {point["threshold"]: point for point in found["curve"]}
    assert (curve[0.0]["coverage"], curve[0.0]["accuracy"]) == (0.75, pytest.approx(4 / 6))
    assert curve[0.65]["coverage"] == 0.75
    assert curve[0.75] == {"threshold": 0.75, "coverage": 0.0, "accuracy": None}


def test_the_likeliest_class_counts_though_it_is_not_claimed() -> None:
    given = answers("sa sa", "sa sa")
    unsure = replace(given, y_emitted=torch.tensor([-1, -1]))
    assert classification_metrics(unsure, NONE)["accuracy"] == 1.0
    assert coverage(unsure, ["UNCERTAIN"] * 2, NONE)["accuracy"] is None


def test_the_bootstrap_draws_groups_and_not_steps() -> None:
    # Half of the ten groups are right throughout, the others wrong.
    said, truth = ("sa " * 10 + "ha " * 10) * 5, "sa " * 100
    groups = " ".join(f"g{place // 10}" for place in range(100))
    given = answers(said, truth, groups)
    by_groups = classification_metrics(given, Bootstrap("segments", 400))["intervals"][
        "accuracy"
    ]
    # Ten draws of 1 or 0: 95 % of the means are between 0.2 and 0.8.
    assert by_groups == pytest.approx((0.2, 0.8), abs=0.101)
    steps = answers(said, truth, " ".join(f"h{place}" for place in range(100)))
    low, high = classification_metrics(steps, Bootstrap("segments", 400))["intervals"][
        "accuracy"
    ]
    assert high - low < 0.25 < by_groups[1] - by_groups[0]


@pytest.mark.parametrize(("over", "least"), [("segments", 10), ("persons", 5)])
def test_too_few_groups_have_no_interval(over: str, least: int) -> None:
    bootstrap = Bootstrap(over, 100)

    def of(groups: int) -> list[Any]:
        names = " ".join(f"g{place % groups}" for place in range(20))
        given = answers("sa ha " * 10, "sa " * 20, names)
        return [
            classification_metrics(given, bootstrap)["intervals"],
            calibration(given, bootstrap)["intervals"],
            coverage(given, ["OK"] * 20, bootstrap)["intervals"],
        ]

    assert of(1) == of(least - 1) == [None, None, None]
    assert None not in of(least)


def test_groups_that_are_all_alike_make_no_figure_certain() -> None:
    given = answers("sa " * 12, "sa " * 12, " ".join(f"g{place}" for place in range(12)))
    found = classification_metrics(given, Bootstrap("segments", 100))
    assert found["accuracy"] == 1
    assert found["intervals"] == dict.fromkeys(("accuracy", "ua", "macro_f1"))
    claims = coverage(given, ["OK"] * 12, Bootstrap("segments", 100))["intervals"]
    assert claims == {"share": None, "accuracy": None}


def test_no_claim_at_all_is_wrong_everywhere() -> None:
    given = answers("-- " * 10, "sa ha " * 5, "a b c d e f g h i j")
    bootstrap = Bootstrap("segments", 100)
    found = classification_metrics(given, bootstrap)
    assert (found["accuracy"], found["ua"], found["macro_f1"]) == (0, 0, 0)
    assert found["intervals"]["accuracy"] is None
    assert calibration(given, bootstrap) == {
        "items": 0,
        **dict.fromkeys(("ece", "nll", "brier", "bins", "intervals")),
    }
    claims = coverage(given, ["LOW_QUALITY"] * 10, bootstrap)
    assert claims["intervals"] == {"share": None, "accuracy": None}


@pytest.mark.parametrize(
    "probabilities",
    [(), (0.5, 0.5), (0.0,) * 7, (math.nan,) + (0.1,) * 6, (1.5, -0.5, *(0.0,) * 5)],
    ids=["none", "two", "zeros", "nan", "negative"],
)
def test_what_is_no_distribution_is_no_answer(probabilities: tuple[float, ...]) -> None:
    assert distribution(said(0, "sad", probabilities=probabilities)) == ()


def test_a_distribution_sums_to_one() -> None:
    given = distribution(said(0, "sad", probabilities=(2.0,) * 6 + (4.0,)))
    assert given == pytest.approx((0.125,) * 6 + (0.25,))
