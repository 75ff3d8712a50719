"""Batch normalisations folded into the convolutions before them: the same answers with less work."""

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn

from .batch_norm import FrozenBatchNorm2d
from .deform_conv import DeformConv, ModulatedDeformConv
from .wrappers import Conv2d

__all__ = ["fuse"]

Model = TypeVar("Model", bound=nn.Module)

# With fixed statistics all of these, SyncBatchNorm too, are a scale and a shift of each channel.
_NORMS = (FrozenBatchNorm2d, nn.modules.batchnorm._BatchNorm)
# A subclass with a forward of its own may use its norm in another way
_WITH_NORM = (Conv2d.forward, DeformConv.forward, ModulatedDeformConv.forward)


def fuse(model: Model, *, inplace: bool = False) -> Model:
    """Fold every batch normalisation, frozen or not, into the convolution whose output it is given.

    For inference: load the weights first. The outputs are the same up to the last digits. The result is in
    evaluation mode and cannot be trained (nothing in it requires gradients), and its ``state_dict`` is
    another one: a convolution has a ``bias`` where it had a ``norm``, and checkpoints do not load into it.

    Folded are layers with a ``norm`` of their own (`Conv2d`, `DeformConv`), neighbours in an `nn.Sequential`
    or in a traced network (`TorchvisionBackbone`), and the attributes that a module names in
    ``conv_norm_pairs``, as ``(("conv1", "bn1"), ("conv2", "bn2"))``. Other normalisations (group, layer,
    those that differ between levels) stay as they are.

    Args:
        model: any module.
        inplace: change and return the model itself. Otherwise a copy, and the model stays as it is.
    """
    model = model if inplace else copy.deepcopy(model)
    model.eval().requires_grad_(False)
    places = Counter(id(child) for module in model.modules() for child in module.children())
    for module in list(model.modules()):
        norm = getattr(module, "norm", None)
        if _is_conv(module) and type(module).forward in _WITH_NORM and _is_fixed(norm):
            _fold(module, norm)
            module.norm = None
        for conv, holder, name in _pairs(module):
            norm = getattr(holder, name)
            if places[id(conv)] == 1 and _is_plain(conv) and _is_fixed(norm):
                _fold(conv, norm)
                setattr(holder, name, nn.Identity())
    return model


def _pairs(module: nn.Module) -> Iterator[tuple[Any, nn.Module, str]]:
    """Yield convolutions, each with the holder and the name of the norm that alone is given its output."""
    for first, second in getattr(module, "conv_norm_pairs", ()):
        yield getattr(module, first), module, second
    if type(module).forward is nn.Sequential.forward:
        for first, second in pairwise(module._modules):
            yield module._modules[first], module, second
    if isinstance(module, fx.GraphModule):
        called = Counter(node.target for node in module.graph.nodes if node.op == "call_module")
        for node in module.graph.nodes:
            if node.op != "call_module" or not node.args or not isinstance(node.args[0], fx.Node):
                continue
            source = node.args[0]
            single = source.op == "call_module" and called[source.target] == called[node.target] == 1
            if single and len(source.users) == 1:
                holder, _, name = str(node.target).rpartition(".")
                yield module.get_submodule(str(source.target)), module.get_submodule(holder), name


def _is_conv(module: Any) -> bool:
    """Return whether its output is that of its weight and bias, which are plain parameters."""
    known = type(module).forward in (*_WITH_NORM, nn.Conv2d.forward)
    return known and not hasattr(module, "parametrizations")


def _is_plain(conv: Any) -> bool:
    """Return whether it is a convolution and nothing else."""
    extras = (getattr(conv, "norm", None), getattr(conv, "activation", None))
    return isinstance(conv, nn.Module) and _is_conv(conv) and extras == (None, None)


def _is_fixed(norm: Any) -> bool:
    """Return whether it has statistics, and does not take those of the batch."""
    return isinstance(norm, _NORMS) and norm.running_mean is not None and norm.running_var is not None


@torch.no_grad()
def _fold(conv: Any, norm: Any) -> None:
    """Return ``norm(conv(x))`` as ``conv(x)``; in double precision, as scales add up in a deep network."""
    weight = conv.weight
    scale = torch.rsqrt(_double(norm.running_var) + norm.eps)
    if norm.weight is not None:
        scale = scale * _double(norm.weight)
    shift = -_double(norm.running_mean) * scale
    if norm.bias is not None:
        shift = shift + _double(norm.bias)
    if conv.bias is not None:
        shift = shift + _double(conv.bias) * scale
    folded = (_double(weight) * scale[:, None, None, None]).to(weight.dtype)
    # Keeps the memory format
    conv.weight = nn.Parameter(torch.empty_like(weight).copy_(folded), requires_grad=False)
    conv.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)


def _double(x: Tensor) -> Tensor:
    return x.float() if x.device.type == "mps" else x.double()
