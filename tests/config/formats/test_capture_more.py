"""Definitions whose source is not where one looks first: cells of notebooks, functions, reloaded modules."""

import ast
import importlib
import linecache
import sys
from collections import OrderedDict

import pytest

from lazycfg.config.building.build import instantiate
from lazycfg.config.formats.document import SaveError
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.targets import find_name

SUFFIXES = pytest.mark.parametrize("suffix", ["py", "yaml", "json"])


def run_cell(text, name):
    """Run a cell as IPython does: each statement is compiled for itself."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace = {"__name__": "__main__", "L": L, "Node": Node}
    for statement in ast.parse(text).body:
        exec(compile(ast.Module([statement], []), name, "exec"), namespace)
    return namespace


CELL = """
import math
from torch import nn
def f(x):
    return math.sqrt(x)
class Head(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.layer = nn.Linear(n, int(math.floor(2.5)))
@staticmethod
def unused(): pass
cfg = Node(m=L(f)(x=4), h=L(Head)(n=3), l=L(lambda x: math.sqrt(x))(x=9))
"""


@SUFFIXES
def test_definitions_of_a_notebook_cell(tmp_path, suffix):
    cfg = run_cell(CELL, f"/tmp/ipykernel_1/{suffix}.py")["cfg"]
    LazyConfig.save(cfg, tmp_path / f"c.{suffix}")
    again = LazyConfig.load(tmp_path / f"c.{suffix}", trusted=True)
    assert again.m["_target_"](4) == 2
    assert again.l["_target_"](9) == 3
    assert again.h["_target_"](3).layer.out_features == 2


def test_a_cell_that_was_changed_is_still_refused(tmp_path):
    name = "/tmp/ipykernel_1/changed.py"
    cfg = run_cell(CELL, name)["cfg"]
    text = CELL.replace("sqrt(x)\\n", "cbrt(x)\\n").replace("2.5", "3.5")
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    with pytest.raises(SaveError, match="edited after loading"):
        LazyConfig.save(cfg, tmp_path / "c.py")


@SUFFIXES
def test_lambdas_with_imports_and_with_lambdas_as_defaults(tmp_path, suffix):
    (tmp_path / "hlp.py").write_text("def helper(x): return 2 * x\n")
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\nfrom . import hlp\nimport math\n"
        "a = L(lambda x: hlp.helper(x))(x=1)\nb = L(lambda x, g=lambda y: y + 1: g(x))(x=1)\n"
        "c = L(lambda x: (lambda y: math.floor(y) + x))(x=1)\nd, e = L(lambda: 1)(), L(lambda: 2)()\n"
    )
    cfg = LazyConfig.load(tmp_path / "c.py", ["b", "c", "d", "e"])
    out = tmp_path / f"out.{suffix}"
    LazyConfig.save(dict(zip("bcde", cfg, strict=True)), out)
    again = LazyConfig.load(out, trusted=True)
    assert again.b["_target_"](1) == 2
    assert again.c["_target_"](1)(2.5) == 3
    assert (again.d["_target_"](), again.e["_target_"]()) == (1, 2)
    with pytest.raises(SaveError, match="a module that cannot be imported"):
        LazyConfig.save(LazyConfig.load(tmp_path / "c.py"), out)


@pytest.mark.parametrize(
    "body",
    [
        "class Sub(base):\n        def go(self): return 1",
        "class Sub(dict):\n        def go(self, x=base): return x",
        "class Sub(dict):\n        x = base\n        def go(self): return 1",
        "inner = base\n    class Sub(inner):\n        def go(self): return 1",
    ],
)
@SUFFIXES
def test_a_class_that_uses_variables_of_its_function_is_refused(tmp_path, suffix, body):
    (tmp_path / "c.py").write_text(
        "from collections import OrderedDict\nfrom lazycfg import LazyCall as L\nbase = list\ninner = list\n"
        f"def deco(base):\n    {body}\n    return Sub\nm = L(deco(OrderedDict))()\n"
    )
    cfg = LazyConfig.load(tmp_path / "c.py", "m")
    with pytest.raises(SaveError, match=r"it uses '(base|inner)', a variable of the function that makes it"):
        LazyConfig.save(Node(m=cfg), tmp_path / f"d.{suffix}")


@SUFFIXES
def test_a_class_made_in_a_function_keeps_what_its_methods_close_over(tmp_path, suffix):
    (tmp_path / "c.py").write_text(
        "from collections import OrderedDict\nfrom lazycfg import LazyCall as L\nn = 1\n"
        "def deco(n):\n    class Sub(OrderedDict):\n        x = 5\n        y = x\n"
        "        def go(self): return n + self.y\n    return Sub\nm = L(deco(7))()\n"
    )
    LazyConfig.save(Node(m=LazyConfig.load(tmp_path / "c.py", "m")), tmp_path / f"d.{suffix}")
    made = LazyConfig.load(tmp_path / f"d.{suffix}", trusted=True).m["_target_"]()
    assert made.go() == 12
    assert isinstance(made, OrderedDict)


def test_what_a_module_defined_before_it_was_reloaded_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "reloaded_mod.py").write_text("def f(x): return x\nclass C:\n    def go(self): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("reloaded_mod")
    try:
        f, c = module.f, module.C
        importlib.reload(module)
        assert f is not module.f
        assert str(find_name(f)) == "reloaded_mod.f"
        assert str(find_name(c)) == "reloaded_mod.C"
        (tmp_path / "reloaded_mod.py").write_text(
            "def f(x): return x + 1  # a change\nclass C:\n    def go(self): return 22\n"
        )
        importlib.reload(module)
        assert find_name(f) is None
        assert find_name(c) is None
    finally:
        del sys.modules["reloaded_mod"]


HELPERS = """
import functools
from lazycfg import LazyCall as L
g = lambda x: x + 1
def make(n):
    def inner(x): return x + n
    return inner
h = make(3)
def f(x): return g(h(x))
class C:
    s = h
    def go(self): return g(1)
m, c, n = L(f)(x=1), L(C)(), L(make(5))(x=1)
"""


@SUFFIXES
@pytest.mark.parametrize("names", ["m", "c", "n", "mcn"])
def test_what_is_written_for_functions_alone_is_no_config(tmp_path, suffix, names):
    (tmp_path / "e.py").write_text(HELPERS)
    whole = LazyConfig.load(tmp_path / "e.py")
    assert list(whole) == ["g", "h", "m", "c", "n"]
    for cfg in (Node({name: whole[name] for name in names}), whole):
        LazyConfig.save(cfg, tmp_path / f"out.{suffix}")
        again = LazyConfig.load(tmp_path / f"out.{suffix}", trusted=True)
        assert list(again) == list(cfg)
        assert instantiate(again.get("m", 5)) == 5
