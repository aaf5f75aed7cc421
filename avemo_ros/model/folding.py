"""Networks made ready for inference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from avemo_ros.model.audio_fcn import AudioFCN

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy in eval mode with batch norm folded into the convolutions, laid out for the
    CPU's kernels."""
    return fold(copy.deepcopy(network))


def fold(network: Network) -> Network:
    """As `folded`, but the network itself is changed, and returned."""
    network.eval().requires_grad_(False)
    for module in list(network.modules()):
        _fold(module)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fold(module: nn.Module) -> None:
    """Fold each batch norm of a module that directly follows a convolution of its."""
    named = list(module.named_children())
    for (_, layer), (after, norm) in pairwise(named):
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None  # our networks keep statistics
            assert norm.running_var is not None
            layer.weight, layer.bias = fuse_conv_bn_weights(
                layer.weight,
                layer.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            setattr(module, after, nn.Identity())


def to_bfloat16(network: nn.Module) -> bool:
    """Let the convolutions of a folded network compute in bfloat16.

    They are the picture network (to its embedding) and the layers of the speech network (to
    the cells); each takes and gives float32 as before.  What comes after (attention, heads,
    fusion, temperatures) stays float32: it costs little, and rounds more visibly.

    Args:
        network: changed in place.

    Returns:
        Whether the network has such convolutions.
    """
    stacks = [
        module.layers if isinstance(module, AudioFCN) else getattr(module, "cnn", None)
        for module in network.modules()
    ]
    for stack in stacks:
        if isinstance(stack, nn.Module):
            # Casting once here is faster than autocast, which casts the weights at every call.
            stack.to(torch.bfloat16)
            stack.register_forward_pre_hook(_to(torch.bfloat16))
            stack.register_forward_hook(_back_to(torch.float32))
    return any(isinstance(stack, nn.Module) for stack in stacks)


def _to(kind: torch.dtype) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    return lambda _, given: tuple(one.to(kind) for one in given)


def _back_to(kind: torch.dtype) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    return lambda _, __, made: made.to(kind)


def has_fast_bfloat16() -> bool:
    """Whether this CPU is of a kind on which bfloat16 was measured to be faster.

    These are CPUs with matrix tiles for it (Intel AMX) and AMD's with AVX-512's bfloat16
    instructions (Zen 4 on); on an Intel CPU held to those instructions it is slower than
    float32 (docs/export.md).
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        found = capabilities()
        tiles = bool(found.get("amx_bf16")) and bool(found.get("amx_tile"))
        of_amd = str(found.get("cpu_name", "")).startswith("AMD")
        return tiles or (of_amd and bool(found.get("avx512_bf16")))
    # Older torch has no such list; every CPU with tiles so far has them for bfloat16.
    older = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return older is not None and bool(older())
