from dataclasses import replace
from typing import Any

import pytest
import tiny_models as tiny
import torch

from avemo_ros.model.emotion_model import Batch, segment_shares, to_emotion_logits
from avemo_ros.zoo.fusion_models import FusedModel


def made(kind: str, **options: Any) -> FusedModel:
    model = tiny.made(tiny.fused(kind, **options))
    assert isinstance(model, FusedModel)
    return model


def only(given: Batch, row: int) -> Batch:
    return Batch(
        given.faces[row : row + 1],
        given.face_mask[row : row + 1],
        given.speech[row : row + 1],
        given.speech_mask[row : row + 1],
        given.units[row : row + 1],
        given.units_mask[row : row + 1],
    )


def test_parts_are_the_answers_of_the_parts_alone() -> None:
    model = made("fbp")
    given = tiny.batch()
    with torch.inference_mode():
        answer = model(given)
        assert torch.allclose(answer.parts["audio"], model.audio(given).logits)
        assert torch.allclose(answer.parts["face"], model.visual(given).logits)


def test_the_decision_is_the_weighted_sum_of_log_probabilities() -> None:
    model = made("decision", weights=[0.5, 2.0], learnt=False)
    with torch.inference_mode():
        answer = model(tiny.batch())
        said = torch.log_softmax(answer.parts["audio"], 1)
        seen = torch.log_softmax(answer.parts["face"], 1)
    assert torch.allclose(answer.logits[0], 0.5 * said[0] + 2.0 * seen[0], atol=1e-5)
    assert torch.allclose(answer.logits[1], 2.0 * seen[1], atol=1e-5)
    assert torch.allclose(answer.logits[2], 0.5 * said[2], atol=1e-5)
    assert answer.face_share.tolist() == pytest.approx([0.8, 1.0, 0.0, 0.0])


def test_fixed_weights_of_a_decision_do_not_learn() -> None:
    learnt = made("decision").fusion
    fixed = made("decision", learnt=False).fusion
    assert all(p.requires_grad for p in learnt.parameters())
    assert not any(p.requires_grad for p in fixed.parameters())


@pytest.mark.parametrize("kind", ["fbp", "adaptive_fbp", "multilevel_fbp"])
def test_with_decisions_an_untrained_fusion_is_the_sum_of_log_probabilities(kind: str) -> None:
    model = made(kind, decisions=True)
    with torch.inference_mode():
        answer = model(tiny.batch())
        said = torch.log_softmax(answer.parts["audio"], 1)
        seen = torch.log_softmax(answer.parts["face"], 1)
    assert torch.allclose(answer.logits[0], said[0] + seen[0], atol=1e-5)
    assert torch.allclose(answer.logits[1], seen[1], atol=1e-5)
    assert torch.allclose(answer.logits[2], said[2], atol=1e-5)


def test_the_gate_gives_all_to_the_only_one_there() -> None:
    model = made("adaptive_fbp")
    with torch.inference_mode():
        model.fusion.gate.weigh.bias.copy_(torch.tensor([1.0, -1.0]))
        share = model(tiny.batch()).face_share
    assert share[:3].tolist() == pytest.approx([1 / (1 + torch.e**2), 1.0, 0.0])


def test_bilinear_pooling_depends_on_both_at_once() -> None:
    model = made("fbp")
    given = tiny.batch()
    torch.manual_seed(5)
    # Additive in face and voice would make this mixed difference zero.
    faces, speech = torch.randn_like(given.faces), torch.randn_like(given.speech)
    with torch.inference_mode():
        model.fusion.head.weight.normal_()
        corners = [
            model(only(replace(given, faces=f, speech=s), 0)).logits
            for f in (given.faces, faces)
            for s in (given.speech, speech)
        ]
    mixed = corners[0] - corners[1] - corners[2] + corners[3]
    assert float(mixed.abs().max()) > 1e-3


@pytest.mark.parametrize("over", ["mean", "attention"])
def test_the_multi_level_form_sees_which_voice_goes_with_which_face(over: str) -> None:
    model = made("multilevel_fbp", segments=3, over_segments=over)
    given = replace(only(tiny.batch(), 0), speech=torch.randn(1, 1, 250, 200))
    with torch.inference_mode():
        before = model(given).logits
        turned = replace(given, faces=given.faces.flip(1))
        assert not torch.allclose(model(turned).logits, before, atol=1e-6)
        plain = made("fbp")
        assert torch.allclose(plain(turned).logits, plain(given).logits, atol=1e-5)


def test_eight_classes_of_the_voice_are_collapsed_for_a_fusion_over_seven() -> None:
    model = made("concat", classes="emotions")
    given = tiny.batch()
    with torch.inference_mode():
        answer = model(given)
        alone = model.audio(given).logits
    assert answer.logits.shape == (4, 7)
    assert torch.allclose(answer.parts["audio"][0], to_emotion_logits(alone)[0], atol=1e-6)
    assert bool((answer.parts["audio"][1] == 0).all())


@pytest.mark.parametrize(("steps", "segments"), [(1, 4), (4, 4), (5, 2), (9, 4)])
def test_segments_cover_every_step_and_are_means(steps: int, segments: int) -> None:
    mask = torch.zeros(2, steps + 2, dtype=torch.bool)
    mask[0, :steps] = True
    shares = segment_shares(mask, segments)
    assert shares.shape == (2, segments, steps + 2)
    assert torch.allclose(shares[0].sum(1), torch.ones(segments))
    assert bool((shares[0, :, :steps].sum(0) > 0).all())
    assert bool((shares[0, :, steps:] == 0).all())
    assert bool((shares[1] == 0).all())
    values = torch.randn(1, 1, steps)
    expected = torch.nn.functional.adaptive_avg_pool1d(values, segments)[0, 0]
    assert torch.allclose(shares[0, :, :steps] @ values[0, 0], expected, atol=1e-6)
