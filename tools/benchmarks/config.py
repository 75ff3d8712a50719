"""The construction core against direct construction, and against other config systems where they are
installed.

All figures of a table come from one run, in which everything is measured in turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.config_files import loaders
from benchmarks.config_others import IMPORTS, SYSTEMS
from benchmarks.config_tree import NODES_PER_BLOCK, blocks_for
from benchmarks.config_zoo import zoo
from benchmarks.timing import Fresh, bytes_of, import_time, in_turn

__all__ = ["main"]

RATIOS = ("build", "check", "instantiate", "deepcopy")
COLUMNS = (*RATIOS, "10 overrides", "read", "write")
ONCE = ("load 6 files", "import", "bytes/node")  # in the first table only
TOO_LONG = 10.0  # seconds: an operation that must be expected to take longer is not measured
DASH = "-"


def _tell(seconds: float) -> str:
    unit, size = next((u for u in (("s", 1.0), ("ms", 1e-3)) if seconds >= u[1]), ("us", 1e-6))
    value = seconds / size
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _print(rows: list[list[str]]) -> None:
    """A table as Markdown."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        first = row[0].ljust(widths[0])
        print(f"| {first} | {' | '.join(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))} |")
        if index == 0:
            print(f"|{'-' * (widths[0] + 2)}|{'|'.join('-' * (w + 1) + ':' for w in widths[1:])}|")


def once() -> dict[tuple[str, str], str]:
    """What does not depend on the size of a tree: loading a file, importing the system."""
    cells = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, taken in in_turn(loaders(Path(folder)), 1.0).items():
            cells[name, "load 6 files"] = _tell(taken)
    installed = {}
    for name, statement in IMPORTS.items():
        try:
            exec(statement, {})
        except ImportError:
            continue
        installed[name] = statement
    for name, taken in import_time(installed).items():
        cells[name, "import"] = _tell(taken)
    return cells


class Table:
    """Measures the systems for one size after the other, and leaves out what took too long before."""

    def __init__(self) -> None:
        self.absent: dict[str, str] = {}
        self.before: dict[tuple[str, str], float] = {}
        self.size = 0

    def _can_wait_for(self, name: str, operation: str, growth: float) -> bool:
        return self.before.get((name, operation), 0.0) * growth < TOO_LONG

    def rows(self, nodes: int, more: dict[tuple[str, str], str]) -> list[list[str]]:
        blocks = blocks_for(nodes)
        growth = nodes / self.size if self.size else 1.0
        functions: dict[tuple[str, str], Callable[[], Any] | Fresh] = {}
        for name, make in SYSTEMS.items():
            if name in self.absent or not self._can_wait_for(name, "build", growth):
                continue
            try:
                operations = make(blocks)
            except ImportError as error:
                self.absent[name] = error.name or str(error)
                continue
            for operation, function in operations.items():
                if self._can_wait_for(name, operation, growth):
                    functions[name, operation] = function
        times = in_turn(functions, 0.5 if nodes < 100_000 else 2.0)
        base = times["direct calls", "build"]
        self.before, self.size = {**{key: float("inf") for key in self.before}, **times}, nodes
        table = [[f"{nodes:,} calls", *COLUMNS, *(ONCE if more else ())]]
        for name in SYSTEMS:
            if name in self.absent:
                continue
            cells = [self._cell(name, operation, times, base) for operation in RATIOS]
            cells += [
                self._cell(name, operation, times, None) for operation in ("overrides", "read", "write")
            ]
            if more and (name, "build") in functions:
                size = bytes_of(functions[name, "build"]) / (blocks * NODES_PER_BLOCK + 1)
                more[name, "bytes/node"] = f"{size:,.0f}"
            table.append([name, *cells, *(more.get((name, column), DASH) for column in ONCE if more)])
        return table

    def _cell(
        self, name: str, operation: str, times: dict[tuple[str, str], float], base: float | None
    ) -> str:
        if name == "direct calls" and operation == "build":
            return _tell(times[name, operation])
        if (name, operation) not in times:
            return "too long" if self.before.get((name, operation)) == float("inf") else DASH
        taken = times[name, operation]
        if base is None:
            return _tell(taken)
        ratio = taken / base
        return f"{ratio:.1f}x" if ratio < 100 else f"{ratio:,.0f}x"


def depth() -> list[str]:
    """How the time of a chain of calls grows with its depth."""
    from lazycfg import LazyCall, check, instantiate

    def chain(size: int) -> Any:
        node: Any = LazyCall(dict)(x=None)
        for _ in range(size):
            node = LazyCall(dict)(x=node)
        return node

    lines = []
    sizes = (100, 1000, 10_000)
    chains = {size: chain(size) for size in sizes}
    for name, run in (("build", None), ("check", check), ("instantiate", instantiate)):
        functions = {
            size: (lambda size=size: chain(size)) if run is None else (lambda node=node, run=run: run(node))
            for size, node in chains.items()
        }
        times = in_turn(functions, 0.5)
        each = ", ".join(f"{size:,}: {_tell(taken / size)}" for size, taken in times.items())
        lines.append(f"{name} a chain, per call, by depth: {each}")
    return lines


def modules() -> str | None:
    """The same measure with components that do something: blocks of `torch.nn` on the meta device."""
    try:
        import torch
        from torch import nn
    except ImportError:
        return None
    from lazycfg import LazyCall as L
    from lazycfg import instantiate

    def tree(call: Callable[[Any], Any]) -> Any:
        blocks = (
            call(nn.Sequential)(
                call(nn.Conv2d)(in_channels=64, out_channels=64, kernel_size=3, bias=False),
                call(nn.BatchNorm2d)(num_features=64, eps=1e-3),
                call(nn.Conv2d)(in_channels=64, out_channels=256, kernel_size=1),
                call(nn.BatchNorm2d)(num_features=256, momentum=0.01),
            )
            for _ in range(40)
        )
        return call(nn.Sequential)(*blocks)

    recorded = tree(L)
    with torch.device("meta"):
        times = in_turn({"direct": lambda: tree(lambda f: f), "lazy": lambda: instantiate(recorded)}, 2.0)
    ratio = times["lazy"] / times["direct"]
    return f"instantiate 201 modules of torch.nn (meta device): {ratio:.2f}x of {_tell(times['direct'])}"


def main(sizes: list[int]) -> None:
    """Print the tables."""
    table = Table()
    for row in zoo():
        print(row)
    print()
    print("Ratios (x) are to direct calls. -: it has no such operation; too long: see the smaller tables.")
    more = once()
    for index, nodes in enumerate(sizes):
        print()
        _print(table.rows(nodes, more if index == 0 else {}))
    print()
    for name, module in table.absent.items():
        print(f"{name} is not installed ({module})")
    for line in (*depth(), modules()):
        if line is not None:
            print(line)
