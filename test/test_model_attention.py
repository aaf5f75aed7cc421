import pytest
import torch

from avemo_ros.model.attention import (
    CellAttention,
    CellMean,
    FrameAttention,
    FrameMean,
    RelationAttention,
    SelfAttention,
    TimeAttention,
)


def test_weights_follow_the_formula_of_zhang_2018() -> None:
    torch.manual_seed(0)
    attention = FrameAttention(6)
    items = torch.randn(2, 5, 6)
    w, b, u = attention.project.weight, attention.project.bias, attention.score.weight[0]
    energy = torch.stack(
        [torch.stack([u @ torch.tanh(w @ a + b) for a in row]) for row in items]
    )
    alpha = torch.exp(0.3 * energy) / torch.exp(0.3 * energy).sum(1, keepdim=True)
    pooled, weights = attention(items)
    assert torch.allclose(weights, alpha, atol=1e-6)
    assert torch.allclose(pooled, (alpha[..., None] * items).sum(1), atol=1e-6)


def test_sharpness_zero_is_the_plain_mean() -> None:
    items = torch.randn(3, 7, 4)
    pooled, weights = FrameAttention(4, sharpness=0.0)(items)
    assert torch.allclose(weights, torch.full((3, 7), 1 / 7))
    assert torch.allclose(pooled, items.mean(1), atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 15, 90])
def test_any_number_of_frames_from_1_to_90_is_pooled(frames: int) -> None:
    pooled, weights = FrameAttention(8)(torch.randn(1, frames, 8))
    assert pooled.shape == (1, 8)
    assert torch.allclose(weights.sum(1), torch.ones(1))


def test_frames_without_a_face_do_not_count() -> None:
    torch.manual_seed(1)
    attention = FrameAttention(4)
    seen = torch.randn(1, 3, 4)
    padded = torch.cat((seen, torch.full((1, 2, 4), 1e3)), 1)
    mask = torch.tensor([[True, True, True, False, False]])
    pooled, weights = attention(padded, mask)
    assert torch.allclose(pooled, attention(seen)[0], atol=1e-5)
    assert torch.equal(weights[0, 3:], torch.zeros(2))


def test_a_row_without_any_frame_gives_zeros_and_finite_gradients() -> None:
    attention = FrameAttention(4)
    pooled, weights = attention(torch.randn(1, 3, 4), torch.zeros(1, 3, dtype=torch.bool))
    assert torch.equal(pooled, torch.zeros(1, 4))
    assert torch.equal(weights, torch.zeros(1, 3))
    pooled.sum().backward()
    assert all(bool(p.grad is None or p.grad.isfinite().all()) for p in attention.parameters())


def test_cells_are_weighed_over_time_and_frequency() -> None:
    torch.manual_seed(2)
    attention = CellAttention(4)
    cells = torch.randn(2, 4, 3, 5)
    pooled, weights = attention(cells)
    assert weights.shape == (2, 3, 5)
    assert torch.allclose(weights.sum((1, 2)), torch.ones(2))
    assert torch.allclose(pooled, (weights[:, None] * cells).sum((2, 3)), atol=1e-6)


@pytest.mark.parametrize("sharpness", [-0.1, 1.1])
def test_a_sharpness_outside_0_to_1_is_refused(sharpness: float) -> None:
    with pytest.raises(ValueError, match="sharpness"):
        FrameAttention(4, sharpness=sharpness)


def test_self_attention_follows_the_formula_of_fan() -> None:
    torch.manual_seed(3)
    attention = SelfAttention(5).eval()
    frames = torch.randn(2, 4, 5)
    alpha = torch.sigmoid(frames @ attention.score.weight[0] + attention.score.bias)
    expected = (alpha[..., None] * frames).sum(1) / alpha.sum(1, keepdim=True)
    pooled, weights = attention(frames)
    assert torch.allclose(pooled, expected, atol=1e-6)
    assert torch.allclose(weights.sum(1), torch.ones(2))


def test_relation_attention_follows_the_formula_of_fan() -> None:
    torch.manual_seed(4)
    attention = RelationAttention(5).eval()
    frames = torch.randn(2, 4, 5)
    q0, q1 = attention.alone.score, attention.score
    alpha = torch.sigmoid(frames @ q0.weight[0] + q0.bias)
    overall = (alpha[..., None] * frames).sum(1) / alpha.sum(1, keepdim=True)
    both = torch.cat((frames, overall[:, None].expand(-1, 4, -1)), 2)
    beta = torch.sigmoid(both @ q1.weight[0] + q1.bias)
    share = alpha * beta
    expected = (share[..., None] * both).sum(1) / share.sum(1, keepdim=True)
    pooled, _ = attention(frames)
    assert attention.width == 10
    assert torch.allclose(pooled, expected, atol=1e-6)


@pytest.mark.parametrize("kind", [FrameMean, SelfAttention, RelationAttention])
def test_other_frame_poolings_leave_out_what_is_masked(kind: type[torch.nn.Module]) -> None:
    torch.manual_seed(5)
    attention = kind(6).eval()
    frames = torch.randn(3, 4, 6)
    mask = torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    pooled, weights = attention(frames, mask)
    alone, _ = attention(frames[1:2, [0, 2]])
    assert torch.allclose(pooled[1], alone[0], atol=1e-6)
    assert bool((weights[~mask] == 0).all())
    assert bool((pooled[2] == 0).all()), "no frame, no vector, and no NaN"


def test_attention_over_time_averages_over_frequency_first() -> None:
    torch.manual_seed(6)
    cells = torch.randn(2, 8, 5, 3)
    attention = TimeAttention(8)
    pooled, weights = attention(cells)
    expected, along = FrameAttention.pool(attention, cells.mean(3).transpose(1, 2))
    assert torch.allclose(pooled, expected)
    assert torch.allclose(weights.sum(2), along)
    assert weights.shape == (2, 5, 3)


def test_the_mean_over_cells_weighs_all_alike() -> None:
    cells = torch.randn(2, 8, 5, 3)
    pooled, weights = CellMean(8)(cells)
    assert torch.allclose(pooled, cells.flatten(2).mean(2), atol=1e-6)
    assert torch.allclose(weights, torch.full((2, 5, 3), 1 / 15))
