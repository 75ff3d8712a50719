"""Normalisation layers and the names that configs call them by."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.utils.suggest import closest


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation with fixed statistics and fixed affine parameters (all of them buffers).

    Nothing is counted in it. It has a ``num_batches_tracked``, as in detectron2, only where it was made of a
    layer that counts its batches, so that checkpoints have the same keys; else it leaves that of a checkpoint
    aside.

    Args:
        num_features: channels of the input (N, C, H, W).
        eps: added to the variance.
    """

    _version = 3

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features) - eps)
        self.register_buffer("num_batches_tracked", None)

    def scale_and_bias(self) -> tuple[Tensor, Tensor]:
        """Return the layer as ``y = x * scale + bias``; each of shape (C,)."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift the channels of a map (N, C, H, W)."""
        if x.requires_grad:
            # batch_norm's backward would also compute the gradients of weight and bias, which nobody wants
            scale, bias = self.scale_and_bias()
            return torch.addcmul(bias.to(x.dtype)[:, None, None], x, scale.to(x.dtype)[:, None, None])
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        version = local_metadata.get("version")
        if version is None or version < 2:  # files of converted Caffe2 models carry only the affine part
            state_dict.setdefault(prefix + "running_mean", torch.zeros_like(self.running_mean))
            state_dict.setdefault(prefix + "running_var", torch.ones_like(self.running_var))
        if self.num_batches_tracked is None:
            state_dict.pop(prefix + "num_batches_tracked", None)  # what a BatchNorm2d checkpoint has besides
        else:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return f"num_features={self.num_features}, eps={self.eps}"

    @classmethod
    def convert_frozen_batchnorm(cls, module: nn.Module) -> nn.Module:
        """Replace every BatchNorm and SyncBatchNorm in `module` by a frozen one of equal values."""
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            frozen = cls(module.num_features, module.eps)
            _copy_norm(module, frozen)
            return frozen
        return _convert_children(module, cls.convert_frozen_batchnorm)

    @classmethod
    def convert_frozenbatchnorm2d_to_batchnorm2d(cls, module: nn.Module) -> nn.Module:
        """Replace every frozen batch normalisation in `module` by an `nn.BatchNorm2d` of equal values."""
        if isinstance(module, cls):
            norm = nn.BatchNorm2d(module.num_features, module.eps)
            _copy_norm(module, norm)
            return norm
        return _convert_children(module, cls.convert_frozenbatchnorm2d_to_batchnorm2d)


def _copy_norm(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            value = getattr(source, name)
            if value is not None:
                getattr(target, name).data = value.detach().clone()
        if source.num_batches_tracked is not None:
            target.num_batches_tracked = source.num_batches_tracked.detach().clone()


def _convert_children(module: nn.Module, convert: Callable[[nn.Module], nn.Module]) -> nn.Module:
    for name, child in module.named_children():
        new = convert(child)
        if new is not child:
            setattr(module, name, new)
    return module


class _AllReduceSum(torch.autograd.Function):
    """Sum over the processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the sum over the processes of a tensor (...,)."""
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the sum over the processes of the gradient (...,)."""
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad


class NaiveSyncBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over all processes, also on the CPU and with unequal batches.

    Args:
        stats_mode: "" counts every process equally whatever its batch; "N" weighs it by its number of
            elements, as if all images were on one device. Empty batches are allowed with "N".
    """

    def __init__(self, *args: Any, stats_mode: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if stats_mode not in ("", "N"):
            raise ValueError(f"NaiveSyncBatchNorm: stats_mode is '' or 'N', not {stats_mode!r}")
        self._stats_mode = stats_mode

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map (N, C, H, W), in training by the moments of all processes.

        Raises:
            ValueError: the batch is empty, and `stats_mode` is "".
        """
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(x)
        if self._stats_mode == "" and x.shape[0] == 0:
            raise ValueError("NaiveSyncBatchNorm: empty batch; use stats_mode='N' (norm 'naiveSyncBN_N')")
        dtype = x.dtype
        x = x.float()
        share = float(x.shape[0] * x.shape[2] * x.shape[3]) if self._stats_mode == "N" else 1.0
        empty = x.shape[0] == 0
        mean = x.sum(dim=(0, 2, 3)) * 0.0 if empty else x.mean(dim=(0, 2, 3))
        meansqr = mean if empty else (x * x).mean(dim=(0, 2, 3))
        packed = _AllReduceSum.apply(torch.cat([mean * share, meansqr * share, mean.new_full((1,), share)]))
        total = packed[-1].clamp(min=1.0)
        mean, meansqr = (packed[:-1] / total).split(self.num_features)
        var = meansqr - mean * mean
        momentum = 0.1 if self.momentum is None else self.momentum
        with torch.no_grad():
            self.running_mean += momentum * (mean - self.running_mean)
            self.running_var += momentum * (var - self.running_var)
        scale = self.weight * (var + self.eps).rsqrt()
        bias = self.bias - mean * scale
        return (x * scale[:, None, None] + bias[:, None, None]).to(dtype)


class CycleBatchNormList(nn.ModuleList):
    """Batch normalisations with one shared affine, used in turn: one set of statistics per feature level.

    Args:
        length: how many inputs are seen before the first comes again.
        bn_class: what is built; called with ``affine=False`` and `kwargs` (`num_features` among them).
    """

    def __init__(self, length: int, bn_class: type[nn.Module] = nn.BatchNorm2d, **kwargs: Any) -> None:
        self._affine = kwargs.pop("affine", True)
        super().__init__([bn_class(**kwargs, affine=False) for _ in range(length)])
        if self._affine:
            channels = self[0].num_features
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
        self._pos = 0

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map (N, C, H, W) by the next of the norms."""
        y = self[self._pos](x)
        self._pos = (self._pos + 1) % len(self)
        if self._affine:
            y = y * self.weight[:, None, None] + self.bias[:, None, None]
        return y

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return f"affine={self._affine}"


class LayerNorm(nn.Module):
    """Layer normalisation over the channels of (N, C, H, W), as ConvNeXt and ViTDet use it."""

    def __init__(self, normalized_shape: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(normalized_shape))
        self.bias = nn.Parameter(torch.zeros(normalized_shape))
        self.eps = eps
        self.normalized_shape = (normalized_shape,)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel of a map (N, C, H, W) over its channels."""
        mean = x.mean(1, keepdim=True)
        var = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(var + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(32, channels)


def _naive_sync_bn_n(channels: int) -> nn.Module:
    return NaiveSyncBatchNorm(channels, stats_mode="N")


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "BN": nn.BatchNorm2d,
    "SyncBN": nn.SyncBatchNorm,
    "FrozenBN": FrozenBatchNorm2d,
    "GN": _group_norm,
    "nnSyncBN": nn.SyncBatchNorm,
    "naiveSyncBN": NaiveSyncBatchNorm,
    "naiveSyncBN_N": _naive_sync_bn_n,
    "LN": LayerNorm,
}

Norm = str | Callable[[int], nn.Module] | None


def get_norm(norm: Norm, out_channels: int) -> nn.Module | None:
    """Return a normalisation layer for `out_channels` channels.

    Args:
        norm: one of "BN", "SyncBN", "FrozenBN", "GN" (32 groups), "nnSyncBN", "naiveSyncBN",
            "naiveSyncBN_N", "LN"; a callable that takes the number of channels; "" or None for no layer.

    Raises:
        ValueError: an unknown name.
    """
    if norm is None or norm == "":
        return None
    if isinstance(norm, str):
        if norm not in NORMS:
            known: Sequence[str] = list(NORMS)
            raise ValueError(f"unknown norm {norm!r}, expected one of {known}{closest(norm, known)}")
        return NORMS[norm](out_channels)
    return norm(out_channels)
