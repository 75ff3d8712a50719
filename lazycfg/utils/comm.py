"""Talk between processes; every function works without a process group too (as the only process)."""

import os
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "all_gather",
    "broadcast_object",
    "gather",
    "get_local_rank",
    "get_rank",
    "get_world_size",
    "is_main_process",
    "reduce_dict",
    "shared_random_seed",
    "synchronize",
]


def _ready() -> bool:
    return dist.is_available() and dist.is_initialized()


def get_world_size() -> int:
    """Number of processes in the job."""
    return dist.get_world_size() if _ready() else 1


def get_rank() -> int:
    """Number of this process among all, 0 for the main one."""
    return dist.get_rank() if _ready() else 0


def get_local_rank() -> int:
    """Number of this process on its machine, as the launcher (``torchrun``) gave it in ``LOCAL_RANK``."""
    return int(os.environ.get("LOCAL_RANK", 0)) if _ready() else 0


def is_main_process() -> bool:
    """Return whether this is the process that writes files and logs."""
    return get_rank() == 0


def synchronize() -> None:
    """Wait until all processes have come here."""
    if get_world_size() == 1:
        return
    if dist.get_backend() == dist.Backend.NCCL:
        dist.barrier(device_ids=[torch.cuda.current_device()])
    else:
        dist.barrier()


# Python objects travel over gloo: through NCCL they would pass over the GPU, one copy each way. The group is
# made at the first use, and made anew when the default group is another one.
_gloo: dict[int, dist.ProcessGroup] = {}


def _object_group() -> dist.ProcessGroup | None:
    if dist.get_backend() != dist.Backend.NCCL:
        return None
    key = id(dist.group.WORLD)
    if key not in _gloo:
        _gloo.clear()
        _gloo[key] = dist.new_group(backend="gloo")
    return _gloo[key]


def all_gather(data: Any) -> list[Any]:
    """Objects (anything that pickles) of all processes, by rank, on every process."""
    if get_world_size() == 1:
        return [data]
    gathered: list[Any] = [None] * get_world_size()
    dist.all_gather_object(gathered, data, group=_object_group())
    return gathered


def gather(data: Any, *, dst: int = 0) -> list[Any]:
    """Objects (anything that pickles) of all processes, by rank, on process ``dst``; elsewhere ``[]``."""
    if get_world_size() == 1:
        return [data]
    here = get_rank() == dst
    gathered: list[Any] | None = [None] * get_world_size() if here else None
    dist.gather_object(data, gathered, dst=dst, group=_object_group())
    return gathered or []


def broadcast_object(data: Any, *, src: int = 0) -> Any:
    """Return the object (anything that can be pickled) of process ``src`` on every process."""
    if get_world_size() == 1:
        return data
    box = [data]
    dist.broadcast_object_list(box, src=src, group=_object_group())
    return box[0]


def shared_random_seed() -> int:
    """Return a number that all processes agree on, from the operating system's entropy (no generator
    advances).
    """
    return int(broadcast_object(int.from_bytes(os.urandom(4), "little") & 0x7FFFFFFF))


@torch.no_grad()
def reduce_dict(values: Mapping[str, Tensor], *, average: bool = True) -> dict[str, Tensor]:
    """Return the sum or mean over the processes of tensors of shape (): one collective, on their device,
    nothing read.

    Args:
        values: scalar tensors; every process has the same names.
        average: mean over the processes instead of the sum.

    Returns:
        the same names with the reduced values, on every process.
    """
    names = sorted(values)
    if get_world_size() == 1 or not names:
        return {name: values[name].detach() for name in values}
    packed = torch.stack([values[name].detach().float().reshape(()) for name in names])
    dist.all_reduce(packed)
    if average:
        packed /= get_world_size()
    return dict(zip(names, packed.unbind(), strict=True))
