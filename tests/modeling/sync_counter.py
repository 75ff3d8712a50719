"""Counts the places where a program waits for its device, and its ops, on any device: on the CPU too."""

from collections import Counter
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# ops whose result's shape or value the host must learn
WAITING = {
    "aten._local_scalar_dense",
    "aten.nonzero",
    "aten.masked_select",
    "aten._unique2",
    "aten.unique_dim",
    "aten.unique_consecutive",
    "torchvision.nms",
}


class SyncCounter(TorchDispatchMode):
    """Within the block, `syncs` counts by name what makes the host wait, `ops` all that is dispatched.

    Copies to the host are seen as calls of ``Tensor.cpu`` and ``Tensor.tolist``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.syncs: Counter[str] = Counter()
        self.ops: Counter[str] = Counter()
        self._patches: list[Any] = []

    def waits(self) -> dict[str, int]:
        """The waits by kind. A suppression is one: a kernel, or (many boxes, CPU) a mask read at its end."""
        kinds = {"torchvision.nms": "nms", "aten.index": "nms"}
        total: Counter[str] = Counter()
        for name, n in self.syncs.items():
            total[kinds.get(name, name)] += n
        return total

    def __enter__(self) -> "SyncCounter":
        for name in ("cpu", "tolist"):
            self._patches.append(patch.object(Tensor, name, self._counted(name, getattr(Tensor, name))))
        for p in self._patches:
            p.start()
        return super().__enter__()

    def __exit__(self, *args: Any) -> None:
        for p in self._patches:
            p.stop()
        self._patches.clear()
        super().__exit__(*args)

    def _counted(self, name: str, original: Any) -> Any:
        def call(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            self.syncs[name] += 1
            return original(tensor, *args, **kwargs)

        return call

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(func.overloadpacket)
        self.ops[name] += 1
        if name in WAITING or self._reads_mask(name, args) or self._reads_repeats(name, kwargs):
            self.syncs[name] += 1
        return func(*args, **kwargs)

    @staticmethod
    def _reads_mask(name: str, args: Any) -> bool:
        if name not in ("aten.index", "aten.index_put", "aten.index_put_"):
            return False
        return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])

    @staticmethod
    def _reads_repeats(name: str, kwargs: Any) -> bool:
        return name == "aten.repeat_interleave" and kwargs.get("output_size") is None
