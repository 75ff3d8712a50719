"""Statistics of the GPU memory of a training, in the log."""

import logging

import torch

from lazycfg.utils import is_main_process

from .base import HookBase

__all__ = ["TorchMemoryStats"]

logger = logging.getLogger(__name__)


class TorchMemoryStats(HookBase):
    """Logs allocated and reserved GPU memory, in MiB, every ``period`` iterations, ``max_runs`` times.

    Args:
        period: iterations between two reports.
        max_runs: how many reports there will be.
    """

    def __init__(self, period: int = 20, max_runs: int = 10) -> None:
        self._period = period
        self._left = max_runs

    def after_step(self) -> None:
        """Log the memory of the GPU where a period ends."""
        device = self.trainer.device
        if device.type != "cuda" or self._left <= 0 or not is_main_process():
            return
        if self.is_due(self._period) or self.trainer.iter + 1 == self.trainer.max_iter:
            self._left -= 1
            mib = 1024.0 * 1024.0
            logger.info(
                "iter: %d  allocated: %.0f MiB (at most %.0f)  reserved: %.0f MiB (at most %.0f)",
                self.trainer.iter,
                torch.cuda.memory_allocated(device) / mib,
                torch.cuda.max_memory_allocated(device) / mib,
                torch.cuda.memory_reserved(device) / mib,
                torch.cuda.max_memory_reserved(device) / mib,
            )
