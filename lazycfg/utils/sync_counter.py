"""Counts the places where a program waits for its device, and its ops, on any device: on the CPU too."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["SyncCounter"]

# Ops whose result's shape or value the host must learn
WAITING = {
    "aten._local_scalar_dense",
    "aten.equal",
    "aten.nonzero",
    "aten.masked_select",
    "aten._unique2",
    "aten.unique_dim",
    "aten.unique_consecutive",
    "torchvision.nms",
}
# Views and host bookkeeping, of which no device sees anything
FREE = {
    "aten.alias",
    "aten.detach",
    "aten.expand",
    "aten.lift_fresh",
    "aten.select",
    "aten.slice",
    "aten.split",
    "aten.split_with_sizes",
    "aten.t",
    "aten.transpose",
    "aten.permute",
    "aten.squeeze",
    "aten.unbind",
    "aten.unsqueeze",
    "aten.view",
    "prim.device",
}
TO_HOST = ("cpu", "tolist")


class SyncCounter(TorchDispatchMode):
    """Within the block, `syncs` counts by name what makes the host wait, `ops` all that is dispatched.

    Copies to the host are seen as calls of ``Tensor.cpu`` and ``Tensor.tolist`` (on the CPU, where they copy
    nothing, too), and as copies of a device's tensors. The methods are replaced while the block runs: one
    block at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.syncs: Counter[str] = Counter()
        self.ops: Counter[str] = Counter()
        self._originals: dict[str, Any] = {}
        self._copying = False

    @property
    def num_syncs(self) -> int:
        """Times that the host waits for a device, or would if the model were on one."""
        return sum(self.waits().values())

    @property
    def num_ops(self) -> int:
        """Ops that do work: views are not counted."""
        return sum(n for name, n in self.ops.items() if name not in FREE)

    def waits(self) -> dict[str, int]:
        """Return the number of synchronizations of each kind.

        A suppression is one: a kernel, or (many boxes, CPU) a mask that is read at its end.
        """
        kinds = {"torchvision.nms": "nms", "aten.index": "nms"}
        total: Counter[str] = Counter()
        for name, n in self.syncs.items():
            total[kinds.get(name, name)] += n
        return dict(total)

    def __enter__(self) -> SyncCounter:
        for name in TO_HOST:
            self._originals[name] = getattr(Tensor, name)
            setattr(Tensor, name, self._counted(name, self._originals[name]))
        return super().__enter__()

    def __exit__(self, *args: Any) -> None:
        for name, original in self._originals.items():
            setattr(Tensor, name, original)
        self._originals.clear()
        super().__exit__(*args)

    def _counted(self, name: str, original: Any) -> Any:
        def call(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            self.syncs[name] += 1
            self._copying = True
            try:
                return original(tensor, *args, **kwargs)
            finally:
                self._copying = False

        return call

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(func.overloadpacket)
        self.ops[name] += 1
        if name in WAITING or _reads_mask(name, args) or _reads_repeats(name, kwargs):
            self.syncs[name] += 1
        elif not self._copying and _copies_to_host(name, args, kwargs):
            self.syncs["copy to host"] += 1
        return func(*args, **kwargs)


def _reads_mask(name: str, args: Any) -> bool:
    if name not in ("aten.index", "aten.index_put", "aten.index_put_"):
        return False
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])


def _reads_repeats(name: str, kwargs: Any) -> bool:
    return name == "aten.repeat_interleave" and kwargs.get("output_size") is None


def _copies_to_host(name: str, args: Any, kwargs: Any) -> bool:
    if name == "aten._to_copy":
        target = kwargs.get("device")
        return target is not None and target.type == "cpu" and args[0].device.type not in ("cpu", "meta")
    if name == "aten.copy_":
        return args[0].device.type == "cpu" and args[1].device.type not in ("cpu", "meta")
    return False
