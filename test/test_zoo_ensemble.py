import numpy as np
import pytest
import torch
from torch import Tensor

from avemo_ros.data.dataset import Item
from avemo_ros.data.features import Corpus, Features
from avemo_ros.errors import ConfigError, DataError
from avemo_ros.labels import EMOTIONS, SPEECH_CLASSES
from avemo_ros.zoo.ensemble import (
    Ensemble,
    Member,
    combine,
    joint_modality,
    learn_weights,
    nested,
    reconcile,
)

CALM, NEUTRAL = SPEECH_CLASSES.index("calm"), SPEECH_CLASSES.index("neutral")


class Fixed:
    """A classifier that says the same whatever it is given."""

    def __init__(
        self, scores: Tensor, modality: str = "audio", classes: tuple[str, ...] = SPEECH_CLASSES
    ) -> None:
        self.name, self.modality, self.classes = "fixed", modality, classes
        self._scores = scores

    def scores(self, corpus: Corpus) -> Tensor:
        return self._scores


def answers(rows: int, classes: int, seed: int) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(rows, classes, generator=chance).log_softmax(1)


def noisy(labels: Tensor, strength: float, seed: int, classes: int = 4) -> Tensor:
    """Answers that know about the labels, more of it with more strength."""
    hint = torch.nn.functional.one_hot(labels, classes) * strength
    chance = torch.Generator().manual_seed(seed)
    return (hint + torch.randn(len(labels), classes, generator=chance)).log_softmax(1)


def nll(scores: Tensor, labels: Tensor) -> float:
    return float(torch.nn.functional.nll_loss(scores, labels))


def corpus(rows: int) -> Corpus:
    item = Item("made", "a", __file__, "happy", "s")
    return Corpus((item,) * rows, (Features(),) * rows)


def test_a_log_sum_is_the_normalised_product_of_powers() -> None:
    a, b = answers(5, 4, 0), answers(5, 4, 1)
    expected = a.exp() ** 0.5 * b.exp() ** 2
    expected = expected / expected.sum(1, keepdim=True)
    assert torch.allclose(combine([a, b], [0.5, 2.0]).exp(), expected, atol=1e-5)


def test_a_linear_sum_is_the_weighted_mean_of_probabilities() -> None:
    a, b = answers(5, 4, 0), answers(5, 4, 1)
    expected = (a.exp() + 3 * b.exp()) / 4
    assert torch.allclose(combine([a, b], [1.0, 3.0], kind="linear").exp(), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["log", "linear"])
def test_a_member_that_says_nothing_is_left_out_and_its_weight_goes_to_the_others(
    kind: str,
) -> None:
    a, b, c = (answers(3, 4, seed) for seed in range(3))
    b[1] = torch.full((4,), 0.25).log()
    fused = combine([a, b, c], [1.0, 2.0, 1.0], kind=kind)
    without = combine([a[1:2], c[1:2]], [2.0, 2.0], kind=kind)
    assert torch.allclose(fused[1:2], without, atol=1e-5)
    a[2] = b[2] = c[2] = torch.full((4,), 0.25).log()
    nothing = combine([a, b, c], [1.0, 2.0, 1.0], kind=kind)[2]
    assert torch.allclose(nothing.exp(), torch.full((4,), 0.25))


def test_calm_counts_as_neutral_where_a_member_cannot_tell_them_apart() -> None:
    eight = answers(4, 8, 0)
    seven = reconcile(eight, SPEECH_CLASSES, EMOTIONS)
    both = eight[:, CALM].exp() + eight[:, NEUTRAL].exp()
    assert torch.allclose(seven[:, NEUTRAL].exp(), both, atol=1e-6)
    assert torch.allclose(seven[:, 0], eight[:, 0], atol=1e-5)
    nothing = torch.full((1, 8), 1 / 8).log()
    assert torch.allclose(reconcile(nothing, SPEECH_CLASSES, EMOTIONS).exp(), torch.ones(7) / 7)


def test_neutral_cannot_be_parted_into_neutral_and_calm() -> None:
    with pytest.raises(ConfigError, match="calm"):
        reconcile(answers(1, 7, 0), EMOTIONS, SPEECH_CLASSES)


def test_members_of_seven_and_eight_classes_make_an_ensemble_of_seven() -> None:
    face, voice = answers(2, 7, 0), answers(2, 8, 1)
    made = Ensemble(
        "both-1",
        [Member(Fixed(face, "face", EMOTIONS), 1.0), Member(Fixed(voice), 0.5)],
    )
    assert made.modality == "av"
    assert made.classes == EMOTIONS
    expected = combine([face, reconcile(voice, SPEECH_CLASSES, EMOTIONS)], [1.0, 0.5])
    assert torch.equal(made.scores(corpus(2)), expected)


def test_what_members_read_together_has_a_name() -> None:
    assert joint_modality(["audio", "audio"]) == "audio"
    assert joint_modality(["au", "audio"]) == "au+audio"
    assert joint_modality(["av", "face"]) == "av"
    with pytest.raises(ConfigError, match="au"):
        joint_modality(["face", "au"])


def test_learnt_weights_are_the_best_of_a_grid() -> None:
    labels = torch.arange(400) % 4
    members = [noisy(labels, 1.5, 0), noisy(labels, 0.7, 1)]
    weights = learn_weights(members, labels)
    best = nll(combine(members, weights), labels)
    grid = [(a / 10, b / 10) for a in range(25) for b in range(25) if a + b]
    assert best <= min(nll(combine(members, pair), labels) for pair in grid) + 1e-5
    assert weights[0] > weights[1] > 0, "the one who knows more counts more"


def test_learnt_weights_of_a_linear_sum_are_the_best_of_a_grid() -> None:
    labels = torch.arange(400) % 4
    members = [noisy(labels, 1.5, 0), noisy(labels, 1.2, 1)]
    weights = learn_weights(members, labels, kind="linear")
    best = nll(combine(members, weights, kind="linear"), labels)
    grid = [(a / 50, 1 - a / 50) for a in range(51)]
    others = [nll(combine(members, pair, kind="linear"), labels) for pair in grid]
    assert best <= min(others) + 1e-5
    assert sum(weights) == pytest.approx(1)


def test_a_member_that_misleads_gets_no_weight() -> None:
    labels = torch.arange(200) % 4
    liar = noisy((labels + 1) % 4, 2.0, 1)
    weights = learn_weights([noisy(labels, 2.0, 0), liar], labels)
    assert weights[1] == 0
    assert weights[0] > 0


def test_the_weights_of_a_fold_do_not_know_its_labels() -> None:
    labels = torch.arange(300) % 4
    members = [noisy(labels, 1.5, 0), noisy(labels, 0.7, 1)]
    folds = [np.arange(300) // 100 == place for place in range(3)]
    fused, weights = nested(members, labels, folds)
    wrong = labels.clone()
    wrong[:100] = (wrong[:100] + 1) % 4
    again, learnt = nested(members, wrong, folds)
    assert torch.equal(fused[:100], again[:100])
    assert weights[0] == learnt[0]
    assert weights[1] != learnt[1]
    expected = combine([given[:100] for given in members], weights[0])
    assert torch.equal(fused[:100], expected)


def test_folds_that_overlap_are_refused() -> None:
    labels = torch.zeros(4, dtype=torch.long)
    fold = np.array([True, True, False, False])
    with pytest.raises(DataError, match="each item in one"):
        nested([answers(4, 4, 0)], labels, [fold, ~fold | fold])


def test_weights_cannot_be_learnt_where_no_item_has_all_members() -> None:
    nothing = torch.full((2, 4), 0.25).log()
    with pytest.raises(DataError, match="all its members"):
        learn_weights([answers(2, 4, 0), nothing], torch.tensor([0, 1]))


@pytest.mark.parametrize("weights", [[], [-1.0], [0.0], [float("nan")]])
def test_weights_that_make_no_sum_are_refused(weights: list[float]) -> None:
    members = [Member(Fixed(answers(1, 8, 0)), weight) for weight in weights]
    with pytest.raises(ConfigError, match=r"model\.members"):
        Ensemble("none-1", members)
