"""The command `benchmark`: how fast the data, the training and the predictions of a config are here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lazycfg.cli.common import CommandError, load_config, loading_options, mistakes, say

if TYPE_CHECKING:
    from lazycfg.engine.benchmarking import Speed

__all__ = ["benchmark"]


def benchmark(arguments: argparse.Namespace) -> int:
    """Print a line for each task.

    Raises:
        CommandError: the options do not go together, or a part that is needed is not in the config.
    """
    if arguments.iterations < 1:
        raise CommandError(f"--iterations {arguments.iterations} must be at least 1")
    if arguments.warmup < 0:
        raise CommandError(f"--warmup {arguments.warmup} must be at least 0")
    cfg = load_config(arguments.config, arguments.words, real=True, **loading_options(arguments))
    with mistakes(arguments):
        from lazycfg.engine.benchmarking import TASKS
        from lazycfg.engine.benchmarking import benchmark as measure
        from lazycfg.engine.build import read_settings
        from lazycfg.engine.distributed import resolve_device

        device = resolve_device(read_settings(cfg).device)
        say(f"on {_named(device)}; {arguments.iterations} iterations, {arguments.warmup} before")
        say(f"{'task':8}{'images/s':>11}{'ms/iteration':>14}{'slowest ms':>12}{'batch':>8}{'GPU MiB':>10}")
        tasks = arguments.tasks or TASKS
        measure(cfg, tasks, iterations=arguments.iterations, warmup=arguments.warmup, tell=_tell)
    return 0


def _tell(speed: Speed) -> None:
    memory = f"{speed.memory / 2**20:,.0f}" if speed.memory else ""
    times = f"{1e3 * speed.seconds:>14,.1f}{1e3 * speed.slowest:>12,.1f}"
    say(f"{speed.task:8}{speed.images_per_second:>11,.1f}{times}{speed.images:>8g}{memory:>10}".rstrip())


def _named(device: object) -> str:
    import torch

    if str(device).startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(str(device)))
    return f"{device} with {torch.get_num_threads()} threads"
