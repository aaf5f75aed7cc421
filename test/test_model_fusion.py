import torch

from avemo_ros.zoo.fusion_models import FactorizedBilinearPooling, signed_root


def pooling(seed: int = 0, **kwargs: float) -> FactorizedBilinearPooling:
    torch.manual_seed(seed)
    return FactorizedBilinearPooling(5, 7, outputs=6, factors=3, **kwargs).eval()


def test_it_is_the_bilinear_form_whose_matrix_has_the_rank_of_its_factors() -> None:
    """PyTorch's own bilinear layer, with the whole matrix, says the same."""
    fbp = pooling()
    speech, face = torch.randn(2, 5), torch.randn(2, 7)
    u = torch.cat((fbp.speech.weight, fbp.speech.bias[:, None]), 1).view(6, 3, 6)
    v = torch.cat((fbp.face.weight, fbp.face.bias[:, None]), 1).view(6, 3, 8)
    whole = torch.nn.Bilinear(6, 8, 6, bias=False)
    with torch.no_grad():
        whole.weight.copy_(u.mT @ v)
    one = torch.ones(2, 1)
    pooled = whole(torch.cat((speech, one), 1), torch.cat((face, one), 1))
    expected = fbp.scale * torch.nn.functional.normalize(signed_root(pooled))
    assert torch.allclose(fbp(speech, face), expected, atol=1e-6)
    assert int(torch.linalg.matrix_rank(whole.weight[0])) == 3


def test_a_missing_modality_does_not_wipe_out_the_other() -> None:
    fbp = pooling()
    faces = torch.randn(8, 7)
    alone = fbp(torch.zeros(8, 5), faces).detach()
    assert float(alone.norm(dim=1).min()) > 1.0
    assert float(torch.cdist(alone, alone).sum()) > 1.0, "the face must still be told apart"
    voices = torch.randn(8, 5)
    heard = fbp(voices, torch.zeros(8, 7)).detach()
    assert float(torch.cdist(heard, alone).min()) > 0.1


def test_the_signed_root_is_odd_and_grows_like_a_root() -> None:
    z = torch.tensor([-4.0, -1.0, 0.0, 1.0, 4.0])
    assert torch.allclose(signed_root(z), torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]), atol=0.02)


def test_gradients_are_finite_where_the_pooled_vector_is_zero() -> None:
    z = torch.zeros(4, requires_grad=True)
    signed_root(z).sum().backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())
    fbp = pooling()
    torch.nn.init.zeros_(fbp.speech.bias)
    torch.nn.init.zeros_(fbp.face.bias)
    fbp(torch.zeros(2, 5), torch.zeros(2, 7)).sum().backward()
    assert all(bool(p.grad is not None and p.grad.isfinite().all()) for p in fbp.parameters())


def test_the_scale_after_the_norm_is_learned() -> None:
    fbp = pooling()
    out = fbp(torch.randn(3, 5), torch.randn(3, 7))
    assert torch.allclose(out.norm(dim=1), fbp.scale.detach().expand(3), atol=1e-4)
    out[:, 0].sum().backward()
    assert fbp.scale.grad is not None
    assert float(fbp.scale.grad.abs()) > 0


def test_dropout_acts_in_training_only() -> None:
    fbp = pooling(dropout=0.5)
    speech, face = torch.randn(2, 5), torch.randn(2, 7)
    assert torch.equal(fbp(speech, face), fbp(speech, face))
    fbp.train()
    assert not torch.equal(fbp(speech, face), fbp(speech, face))
