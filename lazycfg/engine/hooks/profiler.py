"""Traces of torch's profiler, for some iterations of a training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .base import HookBase

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["TorchProfiler"]

logger = logging.getLogger(__name__)


class TorchProfiler(HookBase):
    """Profiles chosen iterations with ``torch.profiler``: a table into the log, a trace for chrome://tracing.

    Args:
        enable_predicate: called with the trainer; whether to profile this iteration. The second ten
            when left out.
        output_dir: traces go to ``<output_dir>/traces/iter<N>.json``.
        activities: what to profile; CPU, and CUDA where there is one, when left out.
    """

    def __init__(
        self,
        enable_predicate: Callable[[Trainer], bool] | None = None,
        output_dir: str | Path = ".",
        *,
        activities: Sequence[torch.profiler.ProfilerActivity] | None = None,
    ) -> None:
        self._enabled = enable_predicate or (lambda trainer: 10 <= trainer.iter - trainer.start_iter < 20)
        self._folder = Path(output_dir) / "traces"
        self._activities = activities
        self._profiler: torch.profiler.profile | None = None

    def before_step(self) -> None:
        """Start the profiler where it is to run."""
        if self._enabled(self.trainer):
            self._profiler = torch.profiler.profile(activities=self._activities)
            self._profiler.__enter__()

    def after_step(self) -> None:
        """End the profile of the step, write its trace and log the costliest operations."""
        if self._profiler is None:
            return
        profiler, self._profiler = self._profiler, None
        profiler.__exit__(None, None, None)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"iter{self.trainer.iter}.json"
        profiler.export_chrome_trace(str(path))
        sort = "self_cuda_time_total" if self.trainer.device.type == "cuda" else "self_cpu_time_total"
        logger.info("profile %s\n%s", path, profiler.key_averages().table(sort_by=sort, row_limit=15))
