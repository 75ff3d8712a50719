"""The construction core against direct construction, and against other config systems where they are
installed.

All figures of one table come from one run, as ratios to calling the constructors directly.
"""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from lazycfg import LazyCall as L
from lazycfg import check, instantiate

__all__ = ["main"]


class Norm:
    def __init__(self, *, channels: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True):
        if channels <= 0:
            raise ValueError("channels")
        self.channels, self.eps, self.momentum, self.affine = channels, eps, momentum, affine


class Conv:
    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        norm: Norm | None = None,
    ):
        if in_channels % groups or out_channels % groups:
            raise ValueError("groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.padding = kernel_size, stride, kernel_size // 2
        self.shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.bias, self.norm = bias, norm


class Block:
    def __init__(self, *, first: Conv, second: Conv, name: str, dropout: float = 0.0):
        self.first, self.second, self.name, self.dropout = first, second, name, dropout
        self.out_channels = second.out_channels


class Net:
    def __init__(self, *, blocks: list[Block], classes: int = 10):
        self.blocks, self.classes = blocks, classes


NODES_PER_BLOCK = 5


def direct(blocks: int) -> Any:
    """The tree by direct calls."""
    return Net(
        blocks=[
            Block(
                first=Conv(
                    in_channels=64, out_channels=64, kernel_size=3, bias=False, norm=Norm(channels=64)
                ),
                second=Conv(
                    in_channels=64, out_channels=256, kernel_size=1, stride=1, norm=Norm(channels=256)
                ),
                name="block",
                dropout=0.1,
            )
            for _ in range(blocks)
        ],
        classes=80,
    )


def lazy(blocks: int) -> Any:
    """The same calls, recorded."""
    return L(Net)(
        blocks=[
            L(Block)(
                first=L(Conv)(
                    in_channels=64, out_channels=64, kernel_size=3, bias=False, norm=L(Norm)(channels=64)
                ),
                second=L(Conv)(
                    in_channels=64, out_channels=256, kernel_size=1, stride=1, norm=L(Norm)(channels=256)
                ),
                name="block",
                dropout=0.1,
            )
            for _ in range(blocks)
        ],
        classes=80,
    )


def seconds(function: Callable[[], Any], budget: float = 1.0) -> float:
    """The best time of one call, of as many as fit into `budget` seconds (3 at least)."""
    best = float("inf")
    runs, spent = 0, 0.0
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        while runs < 3 or (spent < budget and runs < 500):
            start = time.perf_counter()
            result = function()
            taken = time.perf_counter() - start
            del result
            best, spent, runs = min(best, taken), spent + taken, runs + 1
    finally:
        if enabled:
            gc.enable()
    return best


def bytes_per_node(blocks: int) -> float:
    """Memory of a recorded tree, per node."""
    import tracemalloc

    lazy(1)
    gc.collect()
    tracemalloc.start()
    tree = lazy(blocks)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    count = blocks * NODES_PER_BLOCK + 1
    del tree
    return size / count


def import_time(statement: str) -> float:
    """CPU milliseconds of an import in a fresh process, without what starting Python costs; the best of
    seven.
    """
    code = f"import time; s = time.process_time(); {statement}; print(time.process_time() - s)"
    times = []
    for _ in range(7):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(float(done.stdout) * 1e3)
    return min(times)


def own_rows(nodes: int) -> dict[str, str]:
    """What is measured of lazycfg for a tree of so many nodes."""
    blocks = max(1, nodes // NODES_PER_BLOCK)
    budget = 1.0 if nodes <= 10_000 else 3.0
    base = seconds(lambda: direct(blocks), budget)
    tree = lazy(blocks)
    return {
        "direct": f"{base * 1e3:.2f} ms",
        "build": f"{seconds(lambda: lazy(blocks), budget) / base:.2f}x",
        "check": f"{seconds(lambda: check(tree), budget) / base:.2f}x",
        "instantiate": f"{seconds(lambda: instantiate(tree), budget) / base:.2f}x",
        "deepcopy": f"{seconds(lambda: copy.deepcopy(tree), budget) / base:.2f}x",
        "bytes/node": f"{bytes_per_node(blocks):.0f}",
    }


def access() -> dict[str, str]:
    """Nanoseconds of one read and one write, as ratios to those of a plain object."""
    import timeit

    node = lazy(1)
    plain = direct(1)

    def best(statement: str) -> float:
        timer = timeit.Timer(statement, globals={"node": node, "plain": plain})
        return min(timer.repeat(7, 50_000)) / 50_000 * 1e9

    return {
        "read a.b": f"{best('node.classes'):.0f} ns (plain object {best('plain.classes'):.0f} ns)",
        "write a.b": f"{best('node.classes = 5'):.0f} ns (plain object {best('plain.classes = 5'):.0f} ns)",
    }


def chain(depth: int) -> float:
    """Microseconds per node of building a chain."""
    node = L(Net)(blocks=[])
    for _ in range(depth):
        node = L(Net)(blocks=node)
    return seconds(lambda: instantiate(node)) / depth * 1e6


def compare(nodes: int) -> None:
    """Print one line for each system that is installed."""
    from benchmarks.config_others import SYSTEMS

    blocks = max(1, nodes // NODES_PER_BLOCK)
    tree = lazy(blocks)
    own = {
        "build": lambda: lazy(blocks),
        "instantiate": lambda: instantiate(tree),
        "deepcopy": lambda: copy.deepcopy(tree),
        "read": lambda: tree.blocks[0].first.in_channels,
    }
    base = seconds(lambda: direct(blocks), 0.5)
    print(f"\nagainst others at {nodes} nodes, ratios to direct construction ({base * 1e3:.2f} ms)")
    print(f"{'':>18} {'build':>9} {'instantiate':>12} {'deepcopy':>9} {'read a.b.c.d':>13}")
    for name, make in {"lazycfg": lambda _: own, **SYSTEMS}.items():
        try:
            operations = make(blocks)
        except ImportError as error:
            print(f"{name:>18} not installed ({error.name})")
            continue
        cells = []
        for operation, width in (("build", 9), ("instantiate", 12), ("deepcopy", 9), ("read", 13)):
            function = operations.get(operation)
            if function is None:
                cells.append(f"{'-':>{width}}")
            elif operation == "read":
                cells.append(f"{seconds(function, 0.05) * 1e6:>{width - 3}.2f} us")
            else:
                cells.append(f"{seconds(function, 0.5) / base:>{width - 1}.1f}x")
        print(f"{name:>18} {' '.join(cells)}")


def main(sizes: list[int]) -> None:
    """Print the tables."""
    rows = [own_rows(size) for size in sizes]
    names = list(rows[0])
    print("lazycfg, ratios to direct construction of the same tree")
    print(f"{'nodes':>8} " + " ".join(f"{name:>12}" for name in names))
    for size, row in zip(sizes, rows, strict=True):
        print(f"{size:>8} " + " ".join(f"{row[name]:>12}" for name in names))
    for name, value in access().items():
        print(f"{name}: {value}")
    print(f"chain of 100, 1000, 10000: {chain(100):.2f}, {chain(1000):.2f}, {chain(10_000):.2f} us a node")
    print(f"import lazycfg: {import_time('import lazycfg'):.1f} ms CPU")
    names = "from lazycfg import LazyCall, LazyConfig, check, instantiate"
    print(f"{names}: {import_time(names):.1f} ms CPU")
    compare(sizes[0])
