import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from avemo_ros.evaluate.bootstrap import (
    BOOTSTRAP_METRICS,
    bootstrap_metrics,
    differences,
    draws,
    enough,
    gaps,
    intervals,
    sums,
)
from avemo_ros.evaluate.metrics import (
    accuracy,
    calibration_error,
    likelihood_loss,
    macro_f1,
    predicted_classes,
    unweighted_recall,
)


def made(
    count: int = 300, classes: int = 4, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities that are right more often than not, with labels."""
    chance = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=chance)
    logits = torch.randn(count, classes, generator=chance, dtype=torch.float64)
    logits[torch.arange(count), labels] += 1.2
    return torch.log_softmax(logits, 1), labels


def interval_of(
    log: torch.Tensor, labels: torch.Tensor, groups: list[str]
) -> tuple[float, float]:
    """The interval of the accuracy."""
    found = intervals(log, labels, groups)["accuracy"]
    assert found is not None
    return found


def test_sums_give_the_same_figures_as_items() -> None:
    log, labels = made()
    log[7] = torch.log(torch.full((4,), 0.25, dtype=torch.float64))  # no answer
    groups = [str(index % 9) for index in range(len(labels))]
    found = bootstrap_metrics(sums(log, labels, groups), [np.ones((1, 9))])
    said = predicted_classes(log)
    expected = {
        "accuracy": accuracy(said, labels),
        "ua": unweighted_recall(said, labels),
        "macro_f1": macro_f1(said, labels),
        "ece": calibration_error(log.exp(), labels),
        "nll": likelihood_loss(log, labels),
    }
    assert {name: float(found[name][0]) for name in BOOTSTRAP_METRICS} == pytest.approx(
        expected
    )


def test_a_round_is_the_figure_of_the_drawn_subjects_items() -> None:
    log, labels = made(60)
    groups = np.array([f"s{index % 5}" for index in range(60)])
    (drawn,) = draws(5, rounds=3, seed=1)
    found = bootstrap_metrics(sums(log, labels, groups.tolist()), [drawn])
    for round_ in range(3):
        rows = np.concatenate(
            [
                np.tile(np.flatnonzero(groups == f"s{i}"), int(drawn[round_, i]))
                for i in range(5)
            ]
        )
        true, said = labels[rows].numpy(), log[rows].argmax(1).numpy()
        assert found["ua"][round_] == pytest.approx(balanced_accuracy_score(true, said))
        assert found["macro_f1"][round_] == pytest.approx(f1_score(true, said, average="macro"))
        assert found["ece"][round_] == pytest.approx(
            calibration_error(log[rows].exp(), labels[rows])
        )


def test_every_round_draws_as_many_subjects_as_there_are() -> None:
    drawn = np.concatenate(list(draws(7, rounds=400)))
    assert drawn.shape == (400, 7)
    assert (drawn.sum(1) == 7).all()
    assert drawn.mean() == 1.0
    assert (drawn > 1).any()


def test_many_subjects_are_drawn_in_pieces() -> None:
    pieces = list(draws(100_000, rounds=90))
    assert [len(piece) for piece in pieces] == [40, 40, 10]
    assert all((piece.sum(1) == 100_000).all() for piece in pieces)


def test_the_interval_over_speakers_is_wider_than_over_utterances() -> None:
    chance = np.random.default_rng(0)
    right = chance.random(300) < np.repeat(chance.random(10), 30)
    log = torch.log(torch.where(torch.from_numpy(right)[:, None], 1.0, 0.0) * 0.6 + 0.2)
    log = torch.cat((log, torch.log1p(-log.exp())), 1)
    labels = torch.zeros(300, dtype=torch.long)
    low, high = interval_of(log, labels, np.repeat(np.arange(10), 30).astype(str).tolist())
    near = interval_of(log, labels, np.arange(300).astype(str).tolist())
    assert low < float(right.mean()) < high
    assert high - low > 1.5 * (near[1] - near[0])


def test_the_interval_of_independent_items_is_that_of_the_binomial() -> None:
    log, labels = made(2000)
    low, high = interval_of(log, labels, [str(index) for index in range(2000)])
    share = accuracy(predicted_classes(log), labels)
    half = 1.96 * (share * (1 - share) / 2000) ** 0.5
    assert low == pytest.approx(share - half, abs=0.003)
    assert high == pytest.approx(share + half, abs=0.003)


def test_the_interval_is_the_same_every_time() -> None:
    log, labels = made()
    groups = [str(index % 20) for index in range(len(labels))]
    assert intervals(log, labels, groups, rounds=50) == intervals(
        log, labels, groups, rounds=50
    )


def test_a_figure_does_not_differ_from_itself_and_has_no_range() -> None:
    log, labels = made()
    groups = [str(index % 20) for index in range(len(labels))]
    for found in differences(log, log, labels, groups).values():
        assert (found.value, found.interval) == (0.0, None)


def test_the_paired_interval_is_narrower_than_the_two_apart() -> None:
    log, labels = made(600)
    better = log.clone()
    wrong = torch.nonzero(predicted_classes(log) != labels).flatten()[::3]
    better[wrong, labels[wrong]] = 5.0
    better = torch.log_softmax(better, 1)
    groups = [str(index % 30) for index in range(600)]
    found = differences(better, log, labels, groups)["accuracy"]
    assert found.value == pytest.approx(len(wrong) / 600)
    assert found.interval is not None
    least, most = found.interval
    assert 0 < least < found.value < most
    low, high = interval_of(log, labels, groups)
    assert most - least < high - low


@pytest.mark.parametrize("weight", [2, 3])
def test_an_item_of_a_whole_weight_is_as_many_items(weight: int) -> None:
    log, labels = made(60)
    groups = [str(index % 6) for index in range(60)]
    weights = torch.ones(60, dtype=torch.float64)
    weights[:20] = weight
    rows = [*range(60), *([*range(20)] * (weight - 1))]
    many = intervals(log[rows], labels[rows], [groups[row] for row in rows])
    found = intervals(log, labels, groups, weights=weights)
    for name, ends in found.items():
        assert ends == pytest.approx(many[name]), name


@pytest.mark.parametrize(
    ("over", "groups"), [("subjects", 5), ("items", 10), ("persons", 5), ("bags", 10)]
)
def test_of_too_few_groups_there_is_no_interval(over: str, groups: int) -> None:
    assert enough(over, groups)
    assert not enough(over, groups - 1)
    assert not enough(over, groups, rounds=0)


def test_a_gap_between_people_is_as_wide_as_theory_says() -> None:
    # 40 people of each part with 50 items; their shares vary by 0.1 about 0.8 and about 0.6.
    chance = np.random.default_rng(3)
    shares = np.concatenate((0.8 + 0.1 * chance.standard_normal(40), np.full(40, 0.6)))
    shares[40:] += 0.1 * chance.standard_normal(40)
    labels = torch.from_numpy(np.tile(np.arange(50) % 2, 80))
    right = chance.random(4000) < np.repeat(shares, 50)
    said = torch.where(torch.from_numpy(right), labels, 1 - labels)
    log = torch.log(0.1 + 0.8 * torch.nn.functional.one_hot(said, 2).double())
    people = [str(number // 50) for number in range(4000)]
    found = gaps(log, labels, people, [number < 2000 for number in range(4000)])["accuracy"]
    own = right.reshape(80, 50).mean(1)
    assert found.value == pytest.approx(own[:40].mean() - own[40:].mean())
    deviation = np.sqrt(own[:40].var(ddof=1) / 40 + own[40:].var(ddof=1) / 40)
    assert found.interval is not None
    low, high = found.interval
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
    assert low < 0.2 < high
