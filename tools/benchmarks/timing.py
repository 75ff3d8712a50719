"""Measuring: many functions in turn, so that what else the machine does hits all of them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

__all__ = ["Fresh", "bytes_of", "import_time", "in_turn"]

K = TypeVar("K", bound=Hashable)


class Fresh:
    """A function to be measured on something new each time: what `make` gives, which is not counted."""

    def __init__(self, make: Callable[[], Any], function: Callable[[Any], Any]):
        self.make = make
        self.function = function


def in_turn(functions: Mapping[K, Callable[[], Any] | Fresh], budget: float) -> dict[K, float]:
    """The best CPU time of one call of each function, in seconds.

    They are called in turn, each until it has taken `budget` seconds (twice at least, 300 times at most; but
    once when that takes longer than the budget). The garbage collector does not run inside a call; a
    function that takes microseconds is called many times in a row.
    """
    best: dict[K, float] = {}
    spent: dict[K, float] = {}
    repeat: dict[K, int] = {}
    runs = dict.fromkeys(functions, 1)
    gc.collect()
    gc.freeze()  # the trees are no garbage, and need not be gone through again and again
    gc.disable()
    try:
        for name, function in functions.items():
            best[name] = spent[name] = _seconds(function, 1)
            many = max(1, min(1000, int(2e-4 / max(best[name], 1e-9))))
            repeat[name] = 1 if isinstance(function, Fresh) else many
        waiting = [name for name in functions if spent[name] < budget]
        while waiting:
            for name in waiting:
                taken = _seconds(functions[name], repeat[name])
                best[name] = min(best[name], taken / repeat[name])
                spent[name] += taken
                runs[name] += 1
                if taken > 0.05:
                    gc.collect()
            gc.collect()
            waiting = [n for n in waiting if runs[n] < 3 or (spent[n] < budget and runs[n] < 300)]
    finally:
        gc.enable()
        gc.unfreeze()
    return best


def _seconds(function: Callable[[], Any] | Fresh, times: int) -> float:
    if isinstance(function, Fresh):
        given = function.make()
        gc.collect()
        start = time.process_time()
        function.function(given)
        return time.process_time() - start
    start = time.process_time()
    for _ in range(times):
        function()
    return time.process_time() - start


def bytes_of(make: Callable[[], Any]) -> int:
    """The memory of what `make` returns."""
    make()
    gc.collect()
    tracemalloc.start()
    kept = make()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return size


def import_time(statements: Mapping[K, str], runs: int = 5) -> dict[K, float]:
    """CPU seconds of imports in fresh processes, without what starting Python costs; the best of several, in
    turn, after one that writes the byte code.
    """
    best = dict.fromkeys(statements, float("inf"))
    with tempfile.TemporaryDirectory() as cache:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for run in range(runs + 1):
            for name, statement in statements.items():
                code = f"import time; s = time.process_time(); {statement}; print(time.process_time() - s)"
                command = [sys.executable, "-c", code]
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                if run:
                    best[name] = min(best[name], float(done.stdout.split()[-1]))
    return best
