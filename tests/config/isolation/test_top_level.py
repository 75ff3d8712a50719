"""Which top-level names of a config file are its config: nothing that may be meant is dropped."""

import subprocess
import sys

import pytest

from lazycfg.config.lazy import LazyConfig
from lazycfg.config.loading.load import left_out, load
from lazycfg.config.tree.node import Node
from lazycfg.without_importing.files import deferred_import

DATA = """
import collections, datetime, decimal, enum, fractions, re
import numpy as np, torch
from torch import nn
class Colour(enum.Enum):
    RED = 1
class Thing:
    def __reduce__(self):
        return Thing, ()
    def __eq__(self, other):
        return type(other).__name__ == "Thing"
    def __hash__(self):
        return 1
dtype = torch.float16
day = datetime.date(2026, 11, 28)
steps = range(3)
tensor = torch.ones(2)
array = np.arange(3)
scalar = np.float32(0.5)
money = decimal.Decimal("0.1")
half = fractions.Fraction(1, 2)
pattern = re.compile("a+")
part = slice(1, 2)
queue = collections.deque([1, 2])
colour = Colour.RED
names = {"a", "b"}
raw = b"\\x00"
whole = bytearray(b"ab")
thing = Thing()
lr_multiplier = lambda where: 1.0 - where
a, (b, *c) = 1, (2, 3)
if (walrus := 5): pass
nothing = None
builtin = len
"""
NAMES = [
    *("dtype", "day", "steps", "tensor", "array", "scalar", "money", "half", "pattern", "part", "queue"),
    *("colour", "names", "raw", "whole", "thing", "lr_multiplier", "a", "b", "c", "walrus", "nothing"),
    "builtin",
]


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_all_kinds_of_data_are_config(tmp_path):
    write(tmp_path, c=DATA)
    cfg = LazyConfig.load(tmp_path / "c.py")
    assert list(cfg) == NAMES
    assert load(tmp_path / "c.py", import_absolute=deferred_import).keys() == cfg.keys()
    assert cfg.lr_multiplier(0.25) == 0.75


@pytest.mark.parametrize(
    "suffix", ["py", *(pytest.param(name, marks=pytest.mark.slow) for name in ("yaml", "json"))]
)
def test_what_was_loaded_is_saved_in_another_process(tmp_path, suffix):
    write(tmp_path, c=DATA)
    code = (
        "import sys; from lazycfg import LazyConfig; from lazycfg.inspection.hashing import hash_of\n"
        "cfg = LazyConfig.load(sys.argv[1], trusted=True)\n"
        "print(*sorted(cfg), cfg.lr_multiplier(0.25), hash_of(cfg))\n"
        "if len(sys.argv) > 2: LazyConfig.save(cfg, sys.argv[2])\n"
    )
    saved = tmp_path / "out" / f"c.{suffix}"
    saved.parent.mkdir()
    said = []
    for arguments in ([tmp_path / "c.py", saved], [saved]):
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]


def test_what_is_left_out_has_a_reason(tmp_path):
    write(
        tmp_path,
        c="import math\nfrom math import pi\nfrom lazycfg import LazyCall as L\nfrom typing import Any\n"
        "Boxes = dict[str, Any]\nclass Head: pass\nAlias = Head\n_hidden = 1\n"
        "def make(n): return [n]\nstages = make(3)\n"
        "for i in range(3): stages.append(i)\n"
        "with open(__file__) as stream: pass\n"
        "def lr_multiplier(where): return 1 - where\n"
        "def recursive(n): return n and recursive(n - 1)\n",
    )
    cfg = LazyConfig.load(tmp_path / "c.py")
    assert list(cfg) == ["stages", "lr_multiplier", "recursive"]
    reasons = left_out(cfg)
    assert reasons == {
        "math": "it is a module",
        "pi": "it is imported from the module math",
        "L": "it is imported from the module lazycfg",
        "Any": "it is imported from the module typing",
        "Boxes": "it is a type",
        "Head": "it is a class",
        "Alias": "it is a class",
        "make": "it is a function that the file uses itself",
        "i": "it is the variable of a loop or a with statement",
        "stream": "it is the variable of a loop or a with statement",
    }
    deferred = load(tmp_path / "c.py", import_absolute=deferred_import)
    assert list(deferred) == list(cfg)
    assert left_out(deferred) == reasons
    assert left_out(Node()) == {}
    assert LazyConfig.load(tmp_path / "c.py", "i") == 2


@pytest.mark.parametrize("line", ["from .base import *", "from .base import schedule, also, helper, data"])
def test_names_of_other_config_files_count_as_there(tmp_path, line):
    write(
        tmp_path,
        base="__all__ = ['schedule', 'also', 'helper', 'data']\nfrom .deep import also\n"
        "def schedule(where): return where\ndef helper(n): return n\n"
        "data = dict(n=helper(1))\n",
        deep="def also(where): return 2 * where\n",
        c=f"{line}\n",
        d="from .base import schedule as lr_multiplier, also as helper\nn = helper(1)\n",
    )
    assert sorted(LazyConfig.load(tmp_path / "c.py")) == ["also", "data", "schedule"]
    cfg = LazyConfig.load(tmp_path / "d.py")
    assert sorted(cfg) == ["lr_multiplier", "n"]
    assert cfg.lr_multiplier(0.5) == 0.5


def test_a_name_bound_twice_is_config_when_it_is_assigned_once(tmp_path):
    write(
        tmp_path,
        base="train = dict(lr=1)\n",
        c="from .base import train\nfrom math import pi\npi = 3\ntrain = dict(train)\n"
        "for n in range(3): pass\nn = n + 1\n",
    )
    assert LazyConfig.load(tmp_path / "c.py") == Node(train=Node(lr=1), pi=3, n=3)
