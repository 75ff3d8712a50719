"""The hook that passes recorded values on to the writers (log, JSON, TensorBoard)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lazycfg.utils import is_main_process

from ..writers import EventWriter
from .base import HookBase

__all__ = ["PeriodicWriter"]


class PeriodicWriter(HookBase):
    """Runs writers after every log period and at the end, in the main process.

    Args:
        writers: see `EventWriter`.
        output_dir: folder of the training, for `EventWriter.begin`.
        config: gives the config for it; None does not call it.
    """

    def __init__(
        self,
        writers: Sequence[EventWriter],
        output_dir: str | Path | None = None,
        config: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        for writer in writers:
            if not isinstance(writer, EventWriter):
                raise TypeError(f"a writer must be an EventWriter, got {type(writer).__name__}")
        self._writers = list(writers)
        self._output_dir = Path(output_dir or ".")
        self._config = config

    def before_train(self) -> None:
        """Start the writers."""
        for writer in self._writers:
            writer.start(self.trainer.storage, self.trainer.start_iter, self.trainer.max_iter)
        if self._config is not None and is_main_process():
            config = self._config()
            for writer in self._writers:
                writer.begin(self._output_dir, config)

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
        self.trainer.storage.clear_images()
        self.trainer.storage.clear_histograms()
