"""``detectron2.utils.logger``."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from lazycfg.utils import create_small_table, log_every_n, log_every_n_seconds, log_first_n

__all__ = [
    "create_small_table",
    "log_every_n",
    "log_every_n_seconds",
    "log_first_n",
    "logger_of",
    "setup_logger",
]

_FORMAT = "[%(asctime)s] %(name)s %(levelname)s: %(message)s"


def logger_of(name: str) -> logging.Logger:
    """Return the logger of a module of this package."""
    return logging.getLogger(name)


def setup_logger(
    output: str | os.PathLike[str] | None = None,
    distributed_rank: int = 0,
    *,
    color: bool = True,
    name: str = "detectron2",
    abbrev_name: str | None = None,
    enable_propagation: bool = False,
    configure_stdout: bool = True,
) -> logging.Logger:
    """Let a logger, and lazycfg's, write to the terminal (in the first process) and to a file.

    Args:
        output: a file that ends in ".txt" or ".log", or a folder, in which it is ``log.txt``.
        color, abbrev_name: have no effect.

    Returns:
        the logger.
    """
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = enable_propagation
    ours = logging.getLogger("lazycfg")
    if name == "detectron2":
        ours.setLevel(logging.INFO)
    handlers: list[logging.Handler] = []
    if configure_stdout and distributed_rank == 0 and not _has(logger, None):
        handlers.append(logging.StreamHandler(sys.stdout))
        handlers[-1].setLevel(logging.DEBUG)
    if output is not None:
        path = Path(output) if str(output).endswith((".txt", ".log")) else Path(output) / "log.txt"
        if distributed_rank > 0:
            path = path.with_name(f"{path.name}.rank{distributed_rank}")
        if not _has(logger, path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(path))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%m/%d %H:%M:%S"))
        logger.addHandler(handler)
        if name == "detectron2":
            ours.addHandler(handler)
    return logger


def _has(logger: logging.Logger, path: Path | None) -> bool:
    if path is None:
        return any(type(h) is logging.StreamHandler for h in logger.handlers)
    return any(
        isinstance(h, logging.FileHandler) and h.baseFilename == os.path.abspath(path)
        for h in logger.handlers
    )


def _log_api_usage(identifier: str) -> None:
    """Do nothing: nobody is told."""
