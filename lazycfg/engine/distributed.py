"""The process itself: its place among others, its device, its random generators."""

import datetime
import gc
import hashlib
import inspect
import logging
import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from lazycfg.checkpoint import RandomState
from lazycfg.utils import all_gather, get_rank, get_world_size, synchronize

from .settings import SettingsError

__all__ = [
    "check_same_config",
    "create_ddp_model",
    "cudnn_benchmark",
    "distributed_session",
    "preserved_rng",
    "resolve_device",
    "seed_all",
]

logger = logging.getLogger(__name__)


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of this process: ``"auto"`` takes the GPU of its local rank, or MPS, or the CPU.

    Raises:
        SettingsError: a device that this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(
            f"device {name!r} is none: expected auto, cpu, cuda, cuda:1 (the second GPU) or mps"
        ) from error
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingsError(
            f"device {name!r} asked for, but this machine has none; 'auto' takes what is there"
        )
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise SettingsError(
                f"device {name!r} asked for, but torch sees no CUDA device; 'auto' takes what is there"
            )
        local_rank = int(os.environ.get("LOCAL_RANK", 0))
        if device.index is None:
            device = torch.device("cuda", local_rank)
        if device.index >= torch.cuda.device_count():
            raise SettingsError(
                f"process {local_rank} wants {device}, there are {torch.cuda.device_count()} GPUs"
            )
    return device


@contextmanager
def distributed_session(device: torch.device, *, timeout_minutes: float = 30) -> Iterator[None]:
    """Join the processes that ``torchrun`` started, for the time of the block.

    Does nothing where there is one process, or when the caller has set up a process group already.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if dist.is_initialized() or int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    dist.init_process_group(
        backend="nccl" if device.type == "cuda" else "gloo",
        timeout=datetime.timedelta(minutes=timeout_minutes),
        device_id=device if device.type == "cuda" else None,
    )
    try:
        yield
        # A process that ends is often the end of all: not before the main one has written its last files
        synchronize()
    finally:
        leave_process_group()


def leave_process_group() -> None:
    """End what `torch.distributed.init_process_group` began in this process."""
    dist.destroy_process_group()
    # A wrapped model, which lies in a circle of references, would keep the group's threads alive into the
    # end of the interpreter, where a thread that wants to release a tensor aborts the process.
    gc.collect()


def check_same_config(cfg: Any, **more: Any) -> None:
    """Refuse to run with configs that differ between processes: their models would drift apart.

    Args:
        cfg: the config of this process.
        **more: other values that must be the same.

    Raises:
        SettingsError: in every process; names the paths and values that differ.
    """
    if get_world_size() == 1:
        return
    mine = {**dict(_leaves(cfg, "")), **{name: repr(value) for name, value in more.items()}}
    digests = all_gather(hashlib.sha256(repr(sorted(mine.items())).encode()).hexdigest())
    if len(set(digests)) == 1:
        return
    everybody = all_gather(mine)
    paths = list(dict.fromkeys(path for leaves in everybody for path in leaves))
    told = []
    for path in paths:
        values = [leaves.get(path, "not there") for leaves in everybody]
        if len(set(values)) > 1:
            other = next(rank for rank, value in enumerate(values) if value != values[0])
            told.append(f"{path}: {values[0]} in process 0, {values[other]} in process {other}")
    listed = "\n  ".join([*told[:20], *([f"... and {len(told) - 20} more"] if len(told) > 20 else [])])
    raise SettingsError(f"the processes were started with configs that differ:\n  {listed}")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Return the values of a config as written, by path; the same text in every process."""
    if isinstance(value, dict):
        for key, item in dict.items(value):
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(list.__iter__(value) if isinstance(value, list) else value):
            yield from _leaves(item, f"{path}[{index}]")
    elif callable(value) and hasattr(value, "__qualname__"):
        yield path, f"{value.__module__}.{value.__qualname__}"
    else:
        yield path, re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:300]


@contextmanager
def cudnn_benchmark(enabled: bool) -> Iterator[None]:
    """Let cuDNN try its algorithms for each new input shape, for the time of the block."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = enabled
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def create_ddp_model(
    model: nn.Module,
    *,
    broadcast_buffers: bool = False,
    find_unused_parameters: bool = False,
    fp16_compression: bool = False,
    static_graph: bool = False,
) -> nn.Module:
    """Wrap the model for training in several processes; with one process it comes back as it is.

    Args:
        model: on the device of this process.
        broadcast_buffers: whether the main process's buffers overwrite the others' at every forward.
        find_unused_parameters: whether parameters may be left out of a step's graph.
        fp16_compression: send gradients as fp16.
        static_graph: whether every step uses the same parameters in the same way.
    """
    if get_world_size() == 1 or not any(p.requires_grad for p in model.parameters()):
        return model
    device = next(model.parameters()).device
    wrap = nn.parallel.DistributedDataParallel
    # Its newer name, where torch warns of the older one
    new_name = "forward_sync_buffers" in inspect.signature(wrap.__init__).parameters
    sync = {"forward_sync_buffers" if new_name else "broadcast_buffers": broadcast_buffers}
    ddp = wrap(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        **sync,
        find_unused_parameters=find_unused_parameters,
        static_graph=static_graph,
    )
    if fp16_compression:
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook

        ddp.register_comm_hook(state=None, hook=fp16_compress_hook)
    return ddp


def seed_all(seed: int, *, per_process: bool = False) -> None:
    """Seed Python, numpy and torch.

    Args:
        seed: the number.
        per_process: add the process's rank, so that every process draws its own numbers.
    """
    seed += get_rank() if per_process else 0
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def preserved_rng() -> Iterator[None]:
    """Give the random generators back as they were: what the block draws does not change the training run."""
    state = RandomState()
    before = state.state_dict()
    try:
        yield
    finally:
        state.load_state_dict(before)
