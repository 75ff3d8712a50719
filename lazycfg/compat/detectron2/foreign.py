"""What programs take from fvcore beside detectron2."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

from lazycfg.engine.hooks import update_bn_stats as update_bn_stats
from lazycfg.layers import c2_msra_fill as c2_msra_fill
from lazycfg.layers import c2_xavier_fill as c2_xavier_fill
from lazycfg.layers import sigmoid_focal_loss
from lazycfg.layers import smooth_l1_loss as _smooth_l1_loss

sigmoid_focal_loss_jit = sigmoid_focal_loss

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def smooth_l1_loss(
    input: torch.Tensor, target: torch.Tensor, beta: float, reduction: str = "none"
) -> torch.Tensor:
    """Return the Huber loss divided by `beta`; the distance for `beta` 0."""
    return _smooth_l1_loss(input, target, beta, reduction)


def sigmoid_focal_loss_star(
    inputs: torch.Tensor, targets: torch.Tensor, alpha: float = -1, gamma: float = 1, reduction: str = "none"
) -> torch.Tensor:
    """Return FL*, of the RetinaNet paper's appendix."""
    from lazycfg.projects.tensormask import focal_star_loss

    loss: torch.Tensor = focal_star_loss(inputs, targets, alpha=alpha, gamma=gamma)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


sigmoid_focal_loss_star_jit = sigmoid_focal_loss_star


def get_bn_modules(model: nn.Module) -> list[nn.Module]:
    """Return the batch normalisations of a model that are in training mode."""
    return [module for module in model.modules() if isinstance(module, _NORMS) and module.training]


class Timer:
    """A clock that can be stopped."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._start = time.perf_counter()
        self._paused: float | None = None
        self._total_paused = 0.0
        self._count_start = 1

    def pause(self) -> None:
        """Stop.

        Raises:
            ValueError: it is stopped already.
        """
        if self._paused is not None:
            raise ValueError("trying to pause a Timer that is already paused")
        self._paused = time.perf_counter()

    def is_paused(self) -> bool:
        """Return whether it is stopped."""
        return self._paused is not None

    def resume(self) -> None:
        """Go on.

        Raises:
            ValueError: it is not stopped.
        """
        if self._paused is None:
            raise ValueError("trying to resume a Timer that is not paused")
        self._total_paused += time.perf_counter() - self._paused
        self._paused = None
        self._count_start += 1

    def seconds(self) -> float:
        """Return the seconds without those in which it was stopped."""
        end = time.perf_counter() if self._paused is None else self._paused
        return end - self._start - self._total_paused

    def avg_seconds(self) -> float:
        """Return the mean seconds between starts."""
        return self.seconds() / self._count_start


def timeit(num_iters: int = -1, warmup_iters: int = 0) -> Any:
    """Return a decorator that does nothing."""
    return lambda function: function


def benchmark(
    func: Any, bm_name: str, kwargs_list: Any, *, num_iters: int = 100, warmup_iters: int = 2
) -> None:
    """Print how long a function takes with each of some arguments."""
    for arguments in kwargs_list:
        prepared = func(**arguments)
        for _ in range(warmup_iters):
            prepared()
        start = time.perf_counter()
        for _ in range(num_iters):
            prepared()
        print(f"{bm_name} {arguments}: {(time.perf_counter() - start) / num_iters * 1e3:.3f} ms")


def to_float_tensor(numpy_array: np.ndarray) -> torch.Tensor:
    """Return an image (H, W, C) or (H, W) as a floating point tensor (1, C, H, W)."""
    array = numpy_array if numpy_array.ndim == 3 else numpy_array[..., None]
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1))).float()[None]


def to_numpy(tensor: torch.Tensor, target_shape: Any, target_dtype: Any) -> np.ndarray:
    """Return a tensor (1, C, H, W) as an array of a shape and type, (H, W, C) or (H, W)."""
    array = tensor[0].permute(1, 2, 0).numpy().astype(target_dtype)
    return array if len(target_shape) == 3 else array[..., 0]
