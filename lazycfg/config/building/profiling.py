"""What `instantiate` can do around every call: seed the random generators by config path, measure time and
memory.
"""

from __future__ import annotations

import sys
from time import perf_counter

from lazycfg.config.tree.node import Node, raw_get
from lazycfg.config.tree.paths import format_path, unlink
from lazycfg.config.tree.targets import target_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lazycfg.config.tree.paths import Link


def seed_for(seed: int, path: str) -> int:
    """Return the 64-bit seed of the node at `path`: the same on every machine, for every process."""
    from hashlib import blake2b

    return int.from_bytes(blake2b(f"{seed}\0{path}".encode(), digest_size=8).digest(), "little")


class Seeder:
    """Seeds `random`, and numpy's and torch's global generators where these are imported, before each call;
    puts all of them back afterwards, so that building has no effect on the random numbers drawn later.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self._before: list[Callable[[], Any]] = []

    def __enter__(self) -> Seeder:
        import random

        state = random.getstate()
        self._before = [lambda: random.setstate(state)]
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None:
            numbers = numpy.random.get_state()
            self._before.append(lambda: numpy.random.set_state(numbers))
        torch: Any = sys.modules.get("torch")
        if torch is not None:
            cpu = torch.get_rng_state()
            self._before.append(lambda: torch.set_rng_state(cpu))
            if torch.cuda.is_available() and torch.cuda.is_initialized():
                devices = torch.cuda.get_rng_state_all()
                self._before.append(lambda: torch.cuda.set_rng_state_all(devices))
        return self

    def __exit__(self, *exc: object) -> None:
        for put_back in self._before:
            put_back()

    def before_call(self, link: Link) -> None:
        """Seed for the node at the end of `link`."""
        import random

        seed = seed_for(self.seed, format_path(unlink(link)))
        random.seed(seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(seed % 2**32)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(seed % 2**63)

    def after_call(self, node: Node, link: Link) -> None:
        """Do nothing: see `Profile`."""


class ProfileRow:
    """One call: its config path, target, seconds and bytes; those of its arguments are not counted in."""

    __slots__ = ("memory", "path", "seconds", "target")

    def __init__(self, path: str, target: str, seconds: float, memory: int):
        self.path = path
        self.target = target
        self.seconds = seconds
        self.memory = memory

    def __repr__(self) -> str:
        name = self.path or "(the root)"
        return f"{self.seconds * 1e3:10.2f} ms {self.memory / 2**20:+10.2f} MiB  {name}  {self.target}"


class Profile:
    """Time and memory of every call of one `instantiate(cfg, profile=Profile())`.

    Memory is the growth of the resident set of the process, which counts tensors too; it is 0 where the
    system does not tell (only Linux does). `str()` gives the table, the slowest first.

    Attributes:
        rows: one `ProfileRow` for each call, in the order of building.
    """

    def __init__(self) -> None:
        self.rows: list[ProfileRow] = []
        self._start = 0.0
        self._memory = 0

    def before_call(self, link: Link) -> None:
        """Note time and memory before a call."""
        self._memory = _resident_bytes()
        self._start = perf_counter()

    def after_call(self, node: Node, link: Link) -> None:
        """Add the row of a call."""
        seconds = perf_counter() - self._start
        memory = _resident_bytes() - self._memory
        name = target_name(raw_get(node, "_target_"), full=True)
        self.rows.append(ProfileRow(format_path(unlink(link)), name, seconds, memory))

    def table(self, count: int | None = 30) -> str:
        """Return the slowest calls as text, `count` of them, and the sum of all."""
        rows = sorted(self.rows, key=lambda row: -row.seconds)
        lines = [repr(row) for row in rows[:count]]
        seconds, memory = sum(row.seconds for row in rows), sum(row.memory for row in rows)
        lines.append(f"{seconds * 1e3:10.2f} ms {memory / 2**20:+10.2f} MiB  in {len(rows)} calls")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as stream:
            pages = int(stream.read().split()[1])
    except OSError:
        return 0
    import resource

    return pages * resource.getpagesize()
