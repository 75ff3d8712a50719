"""Time, peak memory, ops, syncs and graph breaks of one call of a model."""

from __future__ import annotations

import gc
import logging
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch._dynamo

from lazycfg.utils import SyncCounter

__all__ = ["counts", "graph_breaks", "in_turn", "peak_memory"]

Call = Callable[[], object]


def in_turn(calls: Mapping[str, Call], repeats: int, device: torch.device) -> dict[str, float]:
    """Median milliseconds of each call; they are called in turn, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats + 1):
        for name, call in calls.items():
            wait(device)
            start = time.perf_counter()
            call()
            wait(device)
            if i > 0:
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(call: Call, device: torch.device) -> float | None:
    """MiB that a call needs at its peak above what was taken before; None where nobody can tell."""
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    except OSError:
        return None
    before = _resident("VmRSS")
    call()
    return (_resident("VmHWM") - before) / 2**10


def _resident(name: str) -> float:
    """A size in KiB, of Linux's record of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1])
    raise KeyError(name)


def counts(call: Call) -> SyncCounter:
    """Ops and syncs of a call: see `SyncCounter` for what is one."""
    call()
    with SyncCounter() as counter:
        call()
    return counter


def graph_breaks(model: torch.nn.Module, *inputs: object) -> int:
    """Times that torch.compile cuts a call of the model."""
    logger = logging.getLogger("torch._dynamo")
    level = logger.level
    logger.setLevel(logging.ERROR)
    torch._dynamo.reset()
    try:
        return torch._dynamo.explain(model)(*inputs).graph_break_count
    finally:
        torch._dynamo.reset()
        logger.setLevel(level)
