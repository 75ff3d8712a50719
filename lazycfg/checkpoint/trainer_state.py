"""What a training state may hold: tensors and plain values, so that reading it back runs no code."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["RandomState", "plain"]

_MAX_DEPTH = 32  # so that it can be read back, by a reader that is careful


def plain(value: Any, path: str = "state", *, depth: int = 0) -> Any:
    """Return a copy, on the CPU, that the reader of checkpoints and ``torch.load(weights_only=True)`` can
    read.

    Numpy arrays become tensors, numpy scalars Python numbers, mappings dicts.

    Raises:
        TypeError: naming the place of anything else, or of containers nested deeper than 32 levels.
    """
    if depth > _MAX_DEPTH:
        raise TypeError(f"{path[:200]}...: a training state is nested at most {_MAX_DEPTH} levels deep")
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if isinstance(value, Tensor):
        whole = (value.full_tensor() if hasattr(value, "full_tensor") else value).detach().cpu()
        return whole.clone() if whole.untyped_storage().nbytes() > whole.nbytes else whole
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {
            _key(key, path): plain(item, f"{path}[{key!r}]", depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        items = [plain(item, f"{path}[{index}]", depth=depth + 1) for index, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, (torch.dtype, torch.device)):
        return value
    raise TypeError(
        f"{path} is a {type(value).__module__}.{type(value).__qualname__}; a training state may hold "
        "tensors, numbers, texts, lists, tuples and dicts, so that reading it back runs no code"
    )


def _key(key: Any, path: str) -> Any:
    if isinstance(key, (str, float)) or key is None or (isinstance(key, int) and abs(key) < 2**60):
        return key
    raise TypeError(f"{path} has the key {key!r}; the keys of a training state are texts and small numbers")


class RandomState:
    """The random generators of this process: Python's, numpy's, and torch's on the CPU and on each GPU."""

    per_rank = True
    """Every process has its own; a checkpoint keeps them all."""

    def state_dict(self) -> dict[str, Any]:
        """Return the states of Python's, numpy's and torch's generators."""
        name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
        return {
            "python": random.getstate(),
            "numpy": (name, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, gauss),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the states of all generators."""
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
        torch.set_rng_state(state["torch"])
        if state["cuda"] and torch.cuda.is_available():
            for device, generator in enumerate(state["cuda"][: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(generator, device)
