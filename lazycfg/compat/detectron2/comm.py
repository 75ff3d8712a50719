"""``detectron2.utils.comm``."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist

from lazycfg.utils import all_gather as _all_gather
from lazycfg.utils import gather as _gather
from lazycfg.utils import get_local_rank as get_local_rank
from lazycfg.utils import get_rank as get_rank
from lazycfg.utils import get_world_size as get_world_size
from lazycfg.utils import is_main_process as is_main_process
from lazycfg.utils import reduce_dict as _reduce_dict
from lazycfg.utils import shared_random_seed as shared_random_seed
from lazycfg.utils import synchronize as synchronize

_LOCAL_PROCESS_GROUP = None


def get_local_size() -> int:
    """Return the number of processes of this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def create_local_process_group(num_workers_per_machine: int) -> None:
    """Make a group of the processes of each machine, for `get_local_process_group`."""
    global _LOCAL_PROCESS_GROUP
    machines = get_world_size() // num_workers_per_machine
    for machine in range(machines):
        first = machine * num_workers_per_machine
        group = dist.new_group(list(range(first, first + num_workers_per_machine)))
        if machine == get_rank() // num_workers_per_machine:
            _LOCAL_PROCESS_GROUP = group


def get_local_process_group() -> Any:
    """Return the group of the processes of this machine.

    Raises:
        AssertionError: `create_local_process_group` was not called.
    """
    if _LOCAL_PROCESS_GROUP is None:
        raise AssertionError("call create_local_process_group first")
    return _LOCAL_PROCESS_GROUP


def all_gather(data: Any, group: Any = None) -> list[Any]:
    """Return what each process gives, in all processes.

    Raises:
        NotImplementedError: a group of some processes was given.
    """
    _refuse(group)
    return _all_gather(data)


def gather(data: Any, dst: int = 0, group: Any = None) -> list[Any]:
    """Return what each process gives, in one of them; [] in the others.

    Raises:
        NotImplementedError: a group of some processes was given.
    """
    _refuse(group)
    return _gather(data, dst=dst)


def reduce_dict(input_dict: dict[str, torch.Tensor], average: bool = True) -> dict[str, torch.Tensor]:
    """Return the means (or sums) of tensors over the processes; complete in the main one."""
    return _reduce_dict(input_dict, average=average)


def _refuse(group: Any) -> None:
    if group is not None:
        raise NotImplementedError("a group of some processes: use torch.distributed.all_gather_object")


def differentiable_all_gather(input: torch.Tensor) -> list[torch.Tensor]:
    """Return the tensor of each process; gradients flow back to each."""
    if get_world_size() == 1:
        return [input]
    from torch.distributed.nn.functional import all_gather as gather_tensors

    return list(gather_tensors(input))


def differentiable_all_reduce(input: torch.Tensor) -> torch.Tensor:
    """Return the sum of the tensors of all processes; gradients flow back to each."""
    if get_world_size() == 1:
        return input
    from torch.distributed.nn.functional import all_reduce

    summed: torch.Tensor = all_reduce(input)
    return summed
