"""One thread a test process: two of them share the two cores, and results are the same bit for bit.

What a test sets up for the whole process, the library's log and the alias of detectron2, is gone after it.
"""

import logging
import os
import sys
from collections.abc import Iterator

import pytest

# Read by torch when it is imported, and by the processes that tests start
os.environ["OMP_NUM_THREADS"] = "1"
# No test asks a server of weights for anything, but those that have a server of their own
os.environ["LAZYCFG_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Take back what a test, or a program that it runs, does to the loggers that `setup_logger` sets up."""
    loggers = [logging.getLogger(name) for name in ("lazycfg", "detectron2")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


@pytest.fixture
def alias_afresh() -> Iterator[None]:
    """Let ``import lazycfg.compat.detectron2`` switch the alias on, as in a new process; then off."""
    name = "lazycfg.compat.detectron2"
    sys.modules.pop(name, None)
    yield
    if (alias := sys.modules.get(name)) is not None:
        alias.switch_off()
