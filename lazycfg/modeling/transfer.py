"""Copies between the host and a device that do not wait for the device."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["copy_over", "upload"]


def upload(values: Any, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return host numbers as a tensor of the same shape on the device, without waiting for what the device is
    doing.
    """
    host = torch.as_tensor(values, dtype=dtype)
    if device.type == "cuda" and host.device.type == "cpu" and not torch.compiler.is_compiling():
        host = host.pin_memory()  # which Dynamo cannot trace
    return host.to(device, non_blocking=True)


def copy_over(host: Tensor, device: torch.device) -> Tensor:
    """Return a copy of a tensor, of the same shape, on the device, without waiting for it."""
    if device.type == "cuda" and host.device.type == "cpu":
        host = host.pin_memory()
    return host.to(device, non_blocking=True)
