"""What to do when a GPU has no memory left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

__all__ = ["retry_if_cuda_oom"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def retry_if_cuda_oom(func: Callable[P, R]) -> Callable[P, R]:
    """Return a function that tries again when the GPU's memory is not enough.

    It is called as it is; then after PyTorch has given back the memory that it keeps; then with all arguments
    that are on a GPU moved to the CPU (whatever has a ``to``, also in lists, tuples and dicts). The result of
    that last call is on the CPU: the caller has to move it. As the function may run three times, it must not
    change anything but its result; a module's own tensors are not moved.
    """

    @wraps(func)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        # Leaving each block lets go of what the traceback holds
        with _out_of_memory_passed_over():
            return func(*args, **kwargs)
        torch.cuda.empty_cache()
        with _out_of_memory_passed_over():
            return func(*args, **kwargs)
        name = getattr(func, "__qualname__", repr(func))
        logger.warning("no GPU memory left for %s: it is done on the CPU", name)
        return func(*_on_cpu(args), **_on_cpu(kwargs))

    return wrapped


@contextmanager
def _out_of_memory_passed_over() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # operators of others have no class of their own for it
        if not isinstance(error, torch.OutOfMemoryError) and "CUDA out of memory" not in str(error):
            raise


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _on_cpu(item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_on_cpu(item) for item in value)
    device = getattr(value, "device", None)
    is_on_gpu = getattr(device, "type", None) == "cuda" or (device is None and hasattr(value, "get_fields"))
    return value.to("cpu") if is_on_gpu and hasattr(value, "to") else value
