"""Gradient clipping: callables over parameters that change gradients in place and wait for no device."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["ClipGradNorm", "ClipGradNormPerParameter", "ClipGradValue"]


class ClipGradNorm:
    """Scale all gradients together so that their joint norm is at most ``max_norm``.

    Args:
        max_norm: the largest joint norm.
        norm_type: which p-norm.
    """

    def __init__(self, max_norm: float, norm_type: float = 2.0) -> None:
        self.max_norm = max_norm
        self.norm_type = norm_type

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Clip the gradients and return the joint norm before, a scalar on the device."""
        return nn.utils.clip_grad_norm_(parameters, self.max_norm, norm_type=self.norm_type)


class ClipGradNormPerParameter:
    """Scale each gradient so that its own norm is at most ``max_norm``.

    Args:
        max_norm: the largest norm of one parameter's gradient.
        norm_type: which p-norm.
    """

    def __init__(self, max_norm: float, norm_type: float = 2.0) -> None:
        self.max_norm = max_norm
        self.norm_type = norm_type

    @torch.no_grad()
    def __call__(self, parameters: Iterable[nn.Parameter]) -> None:
        """Clip each."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return
        scales = list(torch._foreach_norm(gradients, self.norm_type))
        torch._foreach_add_(scales, 1e-6)
        torch._foreach_reciprocal_(scales)
        torch._foreach_mul_(scales, self.max_norm)
        torch._foreach_clamp_max_(scales, 1.0)
        torch._foreach_mul_(gradients, scales)


class ClipGradValue:
    """Clamp every element of every gradient to ``[-clip_value, clip_value]``.

    Args:
        clip_value: the largest absolute value.
    """

    def __init__(self, clip_value: float) -> None:
        self.clip_value = clip_value

    def __call__(self, parameters: Iterable[nn.Parameter]) -> None:
        """Clamp each."""
        nn.utils.clip_grad_value_(parameters, self.clip_value)
