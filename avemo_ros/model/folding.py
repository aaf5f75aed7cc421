"""Networks made ready for inference."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy in eval mode with batch norm folded into the convolutions, laid out for the
    CPU's kernels."""
    copied = copy.deepcopy(network)
    copied.eval().requires_grad_(False)
    for module in list(copied.modules()):
        _fold(module)
    return copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fold(module: nn.Module) -> None:
    """Fold each batch norm of a module that directly follows a convolution of its."""
    named = list(module.named_children())
    for (name, layer), (after, norm) in pairwise(named):
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(layer, norm))
            setattr(module, after, nn.Identity())
