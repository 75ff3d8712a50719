"""How far a training and its evaluations are, in the last lines of a terminal."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lazycfg.utils import get_world_size

from .hooks.base import HookBase
from .log import RunLog
from .writers import latest_losses, memory_text

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

__all__ = ["ProgressBar"]

_BETWEEN_DRAWINGS = 0.2  # seconds


class ProgressBar(HookBase):
    """Draws a bar with the time left, speed, losses, learning rate and memory below the messages of a run.

    It is drawn by the process that trains, not by a thread: workers of loaders that are forked meanwhile hold
    no lock of it. Losses are those of the last log period, so that nothing is read from the device for it.

    Args:
        log: of the run; the bar is drawn only where its messages go to a terminal.
        enabled: whether to draw at all.
        window_size: of medians and means.
    """

    def __init__(self, log: RunLog, *, enabled: bool = True, window_size: int = 20) -> None:
        self._log = log
        self._enabled = enabled and log.on_terminal
        self._window_size = window_size
        self._live: Live | None = None
        self._drawn = 0.0
        self._done = self._max_iter = 0
        self._seconds: float | None = None
        self._images: float | None = None
        self._seen = (0, 0)
        self._texts: list[str] = []
        self._evaluation: tuple[int, int | None, float] | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw the bar while the block runs; what is printed meanwhile comes above it."""
        if not self._enabled:
            yield
            return
        from rich.console import Console
        from rich.live import Live

        # Another stream than that of the messages may lead into a file
        same = sys.stdout.isatty()
        self._live = Live(
            get_renderable=self._table,
            console=Console(file=sys.stderr),
            auto_refresh=False,
            redirect_stdout=same,
        )
        try:
            with self._live, self._log.beside_bar():
                yield
        finally:
            self._live = None

    def before_train(self) -> None:
        """Show where the training begins."""
        self._done, self._max_iter = self.trainer.start_iter, self.trainer.max_iter
        self._seen = (self.trainer.images, self._done)
        self._draw(always=True)

    def after_step(self) -> None:
        """Count a step; where a period ends, also show the losses."""
        self._evaluation = None
        self._done = self.trainer.iter + 1
        if self._live is not None and (
            self.is_due(self.trainer.log_period) or self._done == self.trainer.max_iter
        ):
            self._read()
        self._draw()

    def evaluated(self, batches: int, total: int | None, seconds_left: float | None) -> None:
        """Show how far an evaluation is.

        Args:
            batches: done.
            total: batches in all, None where that is not known.
            seconds_left: an estimate.
        """
        self._evaluation = (batches, total, seconds_left or 0.0)
        self._draw()

    @property
    def evaluating(self) -> Any:
        """Return `evaluated` where the bar is drawn, else None: the log then tells how far it is."""
        return self.evaluated if self._enabled else None

    def _read(self) -> None:
        histories = self.trainer.storage.histories()
        window = self._window_size
        if "time" in histories:
            self._seconds = histories["time"].avg(window)
        images, done = self._seen
        self._seen = (self.trainer.images, self._done)
        if self._seconds and self._done > done and self.trainer.images > images:
            per_step = (self.trainer.images - images) / (self._done - done)
            self._images = per_step * get_world_size() / self._seconds
        texts = [f"{name} {value:.4g}" for name, value in latest_losses(histories, window).items()]
        if "lr" in histories:
            texts.append(f"lr {histories['lr'].latest():.5g}")
        if "data_time" in histories:
            texts.append(f"data {histories['data_time'].avg(window):.3g} s")
        self._texts = [*texts, *([f"memory {memory}"] if (memory := memory_text()) else [])]

    def _draw(self, *, always: bool = False) -> None:
        now = time.perf_counter()
        if self._live is not None and (always or now - self._drawn >= _BETWEEN_DRAWINGS):
            self._drawn = now
            self._live.refresh()

    def _table(self) -> "Table":
        """Return the lines as they are now."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(expand=True, padding=(0, 1, 0, 0))
        if self._max_iter:
            left = None if self._seconds is None else self._seconds * (self._max_iter - self._done)
            speed = [] if self._seconds is None else [_speed(self._seconds)]
            speed += [] if self._images is None else [f"{self._images:.3g} img/s"]
            table.add_row(_row("training", self._done, self._max_iter, left, speed))
        for line in _lines(self._texts, shutil.get_terminal_size().columns - 1):
            table.add_row(Text(line, no_wrap=True, overflow="ellipsis"))
        if self._evaluation is not None:
            batches, total, left = self._evaluation
            table.add_row(_row("evaluation", batches, total, left, []))
        return table


def _row(name: str, done: int, total: int | None, left: float | None, others: list[str]) -> "Table":
    from rich.progress_bar import ProgressBar as Bar
    from rich.table import Table

    row = Table.grid(expand=True, padding=(0, 2, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column(ratio=1, min_width=4)
    numbers = [f"{done}/{'?' if total is None else total}", f"left {'-' if left is None else _clock(left)}"]
    texts = [*numbers, *others]
    for _ in texts:
        row.add_column(no_wrap=True, justify="right")
    # A loader may count its batches wrongly
    row.add_row(name, Bar(total=max(total or 1, 1), completed=min(done, total or 0)), *texts)
    return row


def _lines(texts: list[str], width: int) -> list[str]:
    """Return the texts in as few lines as they fit in, none of them parted."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + 2 + len(text) <= width:
            lines[-1] += f"  {text}"
        else:
            lines.append(text)
    return lines


def _speed(seconds: float) -> str:
    return f"{1 / seconds:.3g} it/s" if 0 < seconds < 1 else f"{seconds:.3g} s/it"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
