"""The hook that passes recorded values on to the writers (log, JSON, TensorBoard)."""

from collections.abc import Sequence

from lazycfg.utils import is_main_process

from ..writers import EventWriter
from .base import HookBase

__all__ = ["PeriodicWriter"]


class PeriodicWriter(HookBase):
    """Lets writers write after every log period and at the end, in the main process.

    Args:
        writers: see `EventWriter`.
    """

    def __init__(self, writers: Sequence[EventWriter]) -> None:
        for writer in writers:
            if not isinstance(writer, EventWriter):
                raise TypeError(f"a writer must be an EventWriter, got {type(writer).__name__}")
        self._writers = list(writers)

    def before_train(self) -> None:
        """Start the writers."""
        for writer in self._writers:
            writer.start(self.trainer.storage, self.trainer.start_iter, self.trainer.max_iter)

    def after_step(self) -> None:
        """Write where a period ends, and after the last step."""
        if self.is_due(self.trainer.log_period) or self.trainer.iter + 1 == self.trainer.max_iter:
            self._write()

    def after_train(self) -> None:
        # Evaluation results that came after the last period; then, error or not, the files are closed
        """Write what is left and close the writers."""
        self._write()
        for writer in self._writers:
            writer.close()

    def _write(self) -> None:
        if is_main_process():
            for writer in self._writers:
                writer.write(self.trainer.storage)
