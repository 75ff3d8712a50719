"""Where recorded events go: JSON lines, TensorBoard, the log."""

import datetime
import json
import logging
import math
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from lazycfg.reporting import read_metrics
from lazycfg.reporting.run_files import read_metric_lines
from lazycfg.utils import EventStorage, HistoryBuffer, atomic_write, is_main_process, open_for_appending

__all__ = [
    "CommonMetricPrinter",
    "EventWriter",
    "JSONWriter",
    "TensorboardWriter",
    "default_writers",
    "latest_losses",
    "memory_text",
    "read_metrics",
]

logger = logging.getLogger(__name__)


class EventWriter:
    """Base of writers: sends what a storage has recorded since the last time somewhere."""

    def start(self, storage: EventStorage, start_iter: int, max_iter: int) -> None:
        """Run once, before training from ``start_iter`` on."""

    def begin(self, output_dir: Path, config: Mapping[str, Any]) -> None:
        """Run after `start`, in the main process only.

        Args:
            output_dir: folder of the training.
            config: as `lazycfg.config.formats.flat.to_flat` gives it; empty where it cannot be kept.

        Raises:
            Exception: there is something wrong with this writer: the training does not begin.
        """

    def write(self, storage: EventStorage) -> None:
        """Write what is new.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Write what is buffered and let go of files."""


class JSONWriter(EventWriter):
    """Writes one JSON object per line, for every iteration at which something was written.

    Each has ``"iteration"`` and the scalars recorded since the line before, losses as their median over
    ``window_size``. In a resumed run the lines at or after its first iteration are dropped first: they are of
    steps that are done again. Numbers that JSON does not know (NaN, infinity) are null.

    Args:
        json_file: usually ``<output_dir>/metrics.json``.
        window_size: of the median.
    """

    def __init__(self, json_file: str | Path, *, window_size: int = 20) -> None:
        self._path = Path(json_file)
        self._window_size = window_size
        self._written: dict[str, int] = {}
        self._file: Any = None
        self._said = False

    def start(self, storage: EventStorage, start_iter: int, max_iter: int) -> None:
        """Drop lines of iterations that are trained again."""
        if not is_main_process():
            return
        if self._path.is_symlink() or (self._path.exists() and not self._path.is_file()):
            self._move_aside("is no ordinary file")
        # Values that a checkpoint brought along are for the next medians; single ones may still be to write
        latest, smoothed = storage.latest(), storage.smoothing_hints()
        self._written |= {name: at for name, (_, at) in latest.items() if smoothed.get(name, True)}
        if not self._path.is_file():
            return
        lines, broken = read_metric_lines(self._path)
        if broken:
            self._move_aside(f"has {broken} lines that are none of metrics")
        kept = [line for line in lines if line["iteration"] < start_iter]
        for line in kept:
            for name in line:
                self._written[name] = max(line["iteration"], self._written.get(name, -1))
        with atomic_write(self._path) as partial:
            partial.write_text("".join(f"{json.dumps(line)}\n" for line in kept))

    def _move_aside(self, why: str) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        while aside.exists() or aside.is_symlink():
            aside = aside.with_name(f"{aside.name}_")
        self._path.rename(aside)
        logger.warning("%s %s: it is now %s, and the run goes on", self._path, why, aside.name)

    def write(self, storage: EventStorage) -> None:
        """Append a line for each iteration with new values."""
        by_iteration: dict[int, dict[str, float | None]] = {}
        for name, (value, iteration) in storage.latest_with_smoothing_hint(self._window_size).items():
            if iteration > self._written.get(name, -1):
                self._written[name] = iteration
                by_iteration.setdefault(iteration, {})[name] = value if math.isfinite(value) else None
        if not by_iteration:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open_for_appending(self._path)
            for iteration in sorted(by_iteration):
                self._file.write(json.dumps({"iteration": iteration, **by_iteration[iteration]}) + "\n")
            self._file.flush()
        except OSError as error:
            if not self._said:
                self._said = True
                logger.warning("cannot write %s (the run goes on): %s", self._path, error)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # of a full disk, said already
                self._file.close()
            self._file = None


class TensorboardWriter(EventWriter):
    """Writes scalars, images and histograms for TensorBoard.

    Args:
        log_dir: folder of the event files.
        window_size: of the median that stands for a loss.

    Raises:
        ImportError: TensorBoard is not installed; the message has the line that installs it.
    """

    def __init__(self, log_dir: str | Path, *, window_size: int = 20) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorboardWriter needs TensorBoard: pip install 'lazycfg[tensorboard]'"
            ) from error
        self._new = lambda purge_step: SummaryWriter(str(log_dir), purge_step=purge_step)
        self._writer: Any = None
        self._start_iter = 0
        self._window_size = window_size
        self._written: dict[str, int] = {}

    def start(self, storage: EventStorage, start_iter: int, max_iter: int) -> None:
        """Note what a resumed run has written before."""
        self._start_iter = start_iter
        # What a checkpoint brought along was written by the run before
        self._written = {name: iteration for name, (_, iteration) in storage.latest().items()}

    def begin(self, output_dir: Path, config: Mapping[str, Any]) -> None:
        """Write the config, as JSON in a block of code."""
        text = json.dumps(config, indent=1, ensure_ascii=False)
        self._open().add_text("config", "    " + text.replace("\n", "\n    "), self._start_iter)

    def _open(self) -> Any:
        if self._writer is None:
            # Only the writing process makes a file; in a resumed run TensorBoard hides what is done again
            self._writer = self._new(self._start_iter or None)
        return self._writer

    def write(self, storage: EventStorage) -> None:
        """Write the scalars, images and histograms that are new."""
        self._open()
        for name, (value, iteration) in storage.latest_with_smoothing_hint(self._window_size).items():
            if iteration > self._written.get(name, -1):
                self._written[name] = iteration
                self._writer.add_scalar(name, value, iteration)
        for name, image, iteration in storage.images():
            self._writer.add_image(name, image, iteration)
        for name, counts, edges, iteration in storage.histograms():
            _add_histogram(self._writer, name, counts.double().cpu(), edges.double().cpu(), iteration)

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _add_histogram(writer: Any, name: str, counts: torch.Tensor, edges: torch.Tensor, iteration: int) -> None:
    middles = (edges[1:] + edges[:-1]) / 2
    writer.add_histogram_raw(
        name,
        min=edges[0].item(),
        max=edges[-1].item(),
        num=counts.sum().item(),
        sum=(counts * middles).sum().item(),
        sum_squares=(counts * middles**2).sum().item(),
        bucket_limits=edges[1:].tolist(),
        bucket_counts=counts.tolist(),
        global_step=iteration,
    )


class CommonMetricPrinter(EventWriter):
    """Logs one line: time left, losses, seconds per iteration and for data, learning rate, memory.

    Args:
        window_size: of medians and means.
    """

    def __init__(self, *, window_size: int = 20) -> None:
        self._window_size = window_size
        self._max_iter = 0
        self._last = -1

    def start(self, storage: EventStorage, start_iter: int, max_iter: int) -> None:
        """Note the length of the training; what a checkpoint brought along was logged before."""
        self._max_iter, self._last = max_iter, start_iter - 1

    def write(self, storage: EventStorage) -> None:
        """Log a line with the time left, losses, times, learning rate and memory."""
        histories = storage.histories()
        if "total_loss" not in histories or histories["total_loss"].latest_iter() <= self._last:
            return
        iteration = self._last = histories["total_loss"].latest_iter()
        window = self._window_size
        parts = []
        if "time" in histories:
            # The mean, not the median: on a GPU most steps only queue work and one of them waits for it
            seconds = histories["time"].avg(window)
            left = datetime.timedelta(seconds=int(seconds * (self._max_iter - iteration - 1)))
            parts.append(f"eta: {left}")
        parts.append(f"iter: {iteration}/{self._max_iter}")
        parts += [f"{name}: {value:.4g}" for name, value in latest_losses(histories, window).items()]
        if "time" in histories:
            parts.append(f"time: {seconds:.4f}")
        if "data_time" in histories:
            parts.append(f"data_time: {histories['data_time'].avg(window):.4f}")
        if "lr" in histories:
            parts.append(f"lr: {histories['lr'].latest():.5g}")
        if memory := memory_text():
            parts.append(f"max_mem: {memory}")
        logger.info("  ".join(parts), extra={"in_bar": True})


def latest_losses(histories: Mapping[str, HistoryBuffer], window: int) -> dict[str, float]:
    """Return the median of each loss over the last ``window`` values, their sum first."""
    losses = [name for name in histories if "loss" in name and "/" not in name]
    ordered = sorted(losses, key=lambda name: name != "total_loss")
    return {name: histories[name].median(window) for name in ordered}


def memory_text() -> str:
    """Return the most memory that this process has used, of the GPU if it uses one; "" if that is unknown."""
    if torch.cuda.is_initialized():
        return f"{torch.cuda.max_memory_allocated() / 2**20:.0f}M"
    try:
        import resource
    except ImportError:  # Windows
        return ""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:.0f}M"


def default_writers(output_dir: str | Path, *, log_period: int = 20) -> list[EventWriter]:
    """Return the writers of every run: the log and ``metrics.json``."""
    return [
        CommonMetricPrinter(window_size=log_period),
        JSONWriter(Path(output_dir) / "metrics.json", window_size=log_period),
    ]
