"""Functions, lambdas and classes of config files as source: they survive every format, or are refused."""

import functools
import math
import subprocess
import sys

import pytest

from lazycfg.config.building.build import instantiate
from lazycfg.config.formats.class_changes import CaptureError
from lazycfg.config.formats.document import SaveError
from lazycfg.config.formats.source_capture import capture
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.node import Node
from lazycfg.config.trust import UntrustedError
from lazycfg.inspection.equality import equal_configs

HEAD = "from lazycfg import LazyCall as L, REQUIRED\nfrom fractions import Fraction\nimport math\n"


@pytest.fixture(params=["py", "yaml", "json"])
def saved(request, tmp_path):
    """Load a config text, save it in one of the formats, and give both configs."""

    def run(text, **others):
        for name, other in others.items():
            (tmp_path / f"{name}.py").write_text(other)
        (tmp_path / "a.py").write_text(HEAD + text)
        cfg = LazyConfig.load(tmp_path / "a.py")
        file = tmp_path / f"saved.{request.param}"
        LazyConfig.save(cfg, file)
        for path in tmp_path.glob("[!s]*.py"):
            path.unlink()  # what was saved stands on its own
        loaded = LazyConfig.load(file, trusted=True)
        again = tmp_path / f"again.{request.param}"
        LazyConfig.save(loaded, again)
        assert equal_configs(loaded, LazyConfig.load(again, trusted=True)), file.read_text()
        return cfg, loaded

    return run


@pytest.mark.parametrize(
    ("text", "argument", "result"),
    [
        ("def f(x): return x + 1\n", 1, 2),
        ("K = 3\ndef f(x):\n    # a comment\n    return x * K\n", 2, 6),
        ("f = lambda x: x + 1\n", 1, 2),
        ("fs = [lambda x: x + 1, lambda x: x + 2]; f = fs[1]\n", 1, 3),
        ("f = (lambda: lambda x: x * 10)()\n", 2, 20),
        ("def f(n): return 1 if n < 2 else n * f(n - 1)\n", 5, 120),
        (
            "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n > 0 and even(n - 1)\nf = even\n",
            10,
            True,
        ),
        ("def make(k):\n    def add(x):\n        return x + k\n    return add\nf = make(5)\n", 1, 6),
        ("f = [lambda x, i=i: x + i for i in range(3)][2]\n", 1, 3),
        ("def f(x, *, k=math.pi): return math.floor(x * k)\n", 1, 3),
        ("from math import floor as down\ndef f(x): return down(x)\n", 1.5, 1),
        ("import os.path as p\ndef f(x): return p.join('a', x)\n", "b", "a/b"),
        ("import functools\n@functools.lru_cache(maxsize=3)\ndef f(x): return x + 7\n", 1, 8),
        (
            "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def wrapper(x):\n"
            "        return g(g(x))\n"
            "    return wrapper\n@twice\ndef f(x): return x + 1\n",
            1,
            3,
        ),
        ("def f(x):\n    return [y + x for y in range(3) if (lambda z: z > 0)(y)]\n", 10, [11, 12]),
        ("def f(x: 'Fraction', y: Fraction = Fraction(1, 2)) -> Fraction: return x + y\n", 1, 1.5),
        ("table = {'a': [1, 2]}\ndef f(x): return table[x][1]\n", "a", 2),
        ('def f(x):\n    """A text\n  with odd indentation."""\n    return x\n', 4, 4),
        (
            "class A:\n    scale = 3\n    def __call__(self, x): return x * self.scale\n"
            "def f(x): return A()(x)\n",
            2,
            6,
        ),
    ],
)
def test_functions_survive(saved, text, argument, result):
    cfg, loaded = saved(text + "model = dict(f=f)\n")
    assert cfg.model.f(argument) == result
    assert loaded.model.f(argument) == result


def test_functions_of_several_files_with_equal_names(saved):
    cfg, loaded = saved(
        "from .b import f as g, helper as hb\nK = 1\ndef helper(x): return x + K\n"
        "def f(x): return helper(x) * 10\n"
        "model = dict(f=f, g=g, h=helper, hb=hb)\n",
        b="K = 100\ndef helper(x): return x + K\ndef f(x): return helper(x) * 2\n",
    )
    for name in ("f", "g", "h", "hb"):
        assert cfg.model[name](1) == loaded.model[name](1)
    assert "helper" not in loaded


def test_classes(saved):
    cfg, loaded = saved(
        "from dataclasses import dataclass, field\nimport enum\n"
        "class Base:\n    def __init__(self, x): self.x = x\n"
        "class Derived(Base):\n    LIMIT = 4\n    def __init__(self, x, y=Fraction(1, 2)):\n"
        "        super().__init__(x)\n        self.y = y\n    @property\n"
        "    def z(self): return helper(self.x)\n"
        "    @staticmethod\n    def s(x): return x\n    @classmethod\n    def c(cls): return cls(1)\n"
        "def helper(x): return x + Derived.LIMIT\n"
        "@dataclass\nclass Spec:\n    a: int\n    b: list = field(default_factory=list)\n"
        "class Color(enum.Enum):\n    RED = 1\n    BLUE = 2\n"
        "model = L(Derived)(x=3)\nsame = dict(cls=Derived, base=Base)\nspec = Spec(1, [2])\n"
        "color = Color.BLUE\n"
    )
    built = instantiate(loaded.model)
    assert (built.x, built.y, built.z) == (3, instantiate(cfg.model).y, 7)
    assert type(built) is loaded.same.cls
    assert isinstance(built, loaded.same.base)
    assert loaded.spec.b == [2]
    assert loaded.color.name == "BLUE"


def test_a_function_may_use_a_node_of_the_config(tmp_path):
    (tmp_path / "a.py").write_text(
        HEAD
        + "model = L(Fraction)(numerator=3)\ndef f(): return model\nrun = dict(f=f, inner=dict(m=model))\n"
    )
    cfg = LazyConfig.load(tmp_path / "a.py")
    for suffix in ("py", "yaml", "json"):
        LazyConfig.save(cfg, tmp_path / f"b.{suffix}")
        loaded = LazyConfig.load(tmp_path / f"b.{suffix}", trusted=True)
        assert loaded.run.f() is loaded.model is loaded.run.inner.m


def test_a_part_of_the_config_that_a_definition_needs(tmp_path):
    (tmp_path / "a.py").write_text("table = [1, 2]\ndef f(x=table): return x\nrun = dict(f=f)\n")
    cfg = LazyConfig.load(tmp_path / "a.py")
    LazyConfig.save(cfg, tmp_path / "b.py")
    loaded = LazyConfig.load(tmp_path / "b.py")
    assert loaded.run.f() is loaded.table
    for suffix in ("yaml", "json"):
        with pytest.raises(SaveError, match=r"'table' is needed while"):
            LazyConfig.save(cfg, tmp_path / f"b.{suffix}")


def test_postponed_annotations_stay_text(saved):
    cfg, loaded = saved(
        "def f(x: int) -> Fraction: return x\nmodel = dict(f=f)\n",
    )
    assert cfg.model.f.__annotations__["x"] is loaded.model.f.__annotations__["x"] is int


def test_source_in_data_needs_trust(tmp_path):
    (tmp_path / "a.py").write_text("f = lambda x: x\nmodel = dict(f=f)\n")
    cfg = LazyConfig.load(tmp_path / "a.py")
    for suffix in ("yaml", "json"):
        LazyConfig.save(cfg, tmp_path / f"b.{suffix}")
        with pytest.raises(UntrustedError, match="trusted=True"):
            LazyConfig.load(tmp_path / f"b.{suffix}")


def test_an_edited_file_is_refused(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("def f(x):\n    return x + 1\nmodel = dict(f=f, g=lambda x: x + 1)\n")
    cfg = LazyConfig.load(file)
    file.write_text("def f(x):\n    return x + 22\nmodel = dict(f=f, g=lambda x: x + 22)\n")
    with pytest.raises(SaveError) as caught:
        LazyConfig.to_py(cfg)
    assert len(caught.value.problems) == 2
    file.unlink()
    with pytest.raises(SaveError, match="no source file"):
        LazyConfig.to_py(cfg)


def test_what_has_no_source_is_refused():
    namespace = {}
    exec("def f(x): return x\nclass A: pass", namespace)
    with pytest.raises(SaveError) as caught:
        LazyConfig.to_py(Node(f=namespace["f"], a=namespace["A"]))
    assert len(caught.value.problems) == 2
    with pytest.raises(CaptureError, match="has no source"):
        capture(functools.partial(math.sin))


def test_what_a_function_closes_over_must_be_kept_too(tmp_path):
    (tmp_path / "a.py").write_text("thing = object()\ndef f(): return thing\nmodel = dict(f=f)\n")
    with pytest.raises(SaveError, match=r"f uses 'thing'"):
        LazyConfig.to_py(LazyConfig.load(tmp_path / "a.py"))


def test_functions_of_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from lazycfg import LazyConfig, LazyCall as L\n"
        "class Head:\n    def __init__(self, x): self.x = x\n"
        "def f(x): return x + 1\n"
        f"LazyConfig.save(LazyConfig and dict(model=L(Head)(x=f)), {str(tmp_path / 'out.py')!r})\n"
    )
    subprocess.run([sys.executable, str(script)], check=True)
    cfg = LazyConfig.load(tmp_path / "out.py")
    assert instantiate(cfg.model).x(1) == 2


def test_equality_of_functions_is_by_source(tmp_path):
    texts = {
        "a": "K = 1\ndef f(x): return x + K\nmodel = dict(f=f)\n",
        "b": "K = 1\ndef f(x):\n    # the same, written otherwise\n    return x + K\nmodel = dict(f=f)\n",
        "c": "K = 2\ndef f(x): return x + K\nmodel = dict(f=f)\n",
        "d": "K = 1\ndef f(x): return x - K\nmodel = dict(f=f)\n",
    }
    loaded = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
        loaded[name] = LazyConfig.load(tmp_path / f"{name}.py").model
    assert equal_configs(loaded["a"], loaded["b"])
    assert not equal_configs(loaded["a"], loaded["c"])
    assert not equal_configs(loaded["a"], loaded["d"])


@pytest.mark.parametrize(
    ("text", "argument", "result"),
    [
        ("f = lambda x: lambda y=1: (x, y, 'inner')\n", 5, (5, 1, "inner")),
        ("f = (lambda k: lambda x: lambda y=2: (k, x, y))(1)\n", 5, (1, 5, 2)),
        ("f = lambda x: (lambda: lambda y=3: (x, y))()\n", 5, (5, 3)),
    ],
)
def test_lambdas_in_lambdas(text, argument, result, saved):
    cfg, loaded = saved(text + "a = L(dict)(f=f)\n")
    for tree in (cfg, loaded):
        assert instantiate(tree.a)["f"](argument)() == result


def test_a_function_that_a_decorator_was_given_is_not_decorated_again(saved):
    text = (
        "def deco(f):\n    def g(x): return f(x) + 100\n    return g\n"
        "@deco\ndef k(x): return x\n"
        "a = L(dict)(k=k)\n"
    )
    cfg, loaded = saved(text)
    assert instantiate(cfg.a)["k"](1) == instantiate(loaded.a)["k"](1) == 101


CLASS = "class C:\n    x = 1\n    y: int = 2\n    z = w = [3]\n    def get(self): return 4\n    __p = 5\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{CLASS}C.x = 7\na = L(C)()\n", "'x' was changed"),
        (f"{CLASS}C.x = 1.0\na = L(C)()\n", "'x' was changed"),
        (f"{CLASS}C.w.append(4)\na = L(C)()\n", "'z' was changed"),
        (f"{CLASS}C.new = 1\na = L(C)()\n", "'new' was set"),
        (f"{CLASS}C.new = lambda self: 1\na = L(C)()\n", "'new' was set"),
        (f"{CLASS}C.__call__ = lambda self: 1\na = L(C)()\n", "'__call__' was set"),
        (f"{CLASS}def get(self): return 5\nC.get = get\na = L(C)()\n", "'get' was changed"),
        (f"{CLASS}del C.x\na = L(C)()\n", "'x' was deleted"),
        ("def f(): return 1\nf.tag = 5\na = L(f)()\n", "'tag'"),
        ("f = lambda: 1\nf.tag = 5\na = L(f)()\n", "'tag'"),
        (
            "import functools\n@functools.singledispatch\ndef f(x): return 'object'\n"
            "@f.register\ndef _(x: int): return 'int'\na = L(f)(x=1)\n",
            "registered",
        ),
        (
            "def make():\n    state = [0]\n    def f(): state[0] += 1\n    def g(): return state[0]\n"
            "    return f, g\nf, g = make()\na = L(dict)(f=f, g=g)\n",
            "one 'state'",
        ),
        (
            "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n        return n\n"
            "    def g():\n        nonlocal n\n        n -= 1\n        return n\n"
            "    return f, g\nf, g = make()\na = L(dict)(f=f, g=g)\n",
            "one 'n'",
        ),
        ("K = 5\nclass C: x = K\na = L(C)()\n", "'K'"),
        ("from enum import Enum\nK = 5\nclass E(Enum): A = K\na = L(dict)(e=E.A)\n", "'K'"),
        (
            "from collections import namedtuple\nP = namedtuple('P', 'u v')\na = L(P)(u=1, v=2)\n",
            "no class statement",
        ),
    ],
)
def test_what_would_change_silently_is_refused(text, reason, tmp_path):
    (tmp_path / "a.py").write_text(HEAD + text)
    cfg = LazyConfig.load(tmp_path / "a.py")
    with pytest.raises(SaveError, match=reason):
        LazyConfig.save(cfg, tmp_path / "b.py")
    assert not (tmp_path / "b.py").exists()


KINDS = """
import abc, dataclasses, enum, functools, typing
from torch import nn
class Slots:
    __slots__ = ('a',)
    def __init__(self): self.a = 1
class Abstract(abc.ABC):
    @abc.abstractmethod
    def f(self): ...
class Real(Abstract):
    def __new__(cls): return super().__new__(cls)
    def f(self): return 2
    @property
    def p(self): return 3
    @staticmethod
    def s(): return 4
    @classmethod
    def c(cls): return 5
    @functools.cached_property
    def q(self): return 6
    a, b = 1, 2
    if True:
        def maybe(self): return 7
    for i in range(2): pass
    class Inner:
        v = 8
@dataclasses.dataclass
class Data:
    a: int = 1
    b: list = dataclasses.field(default_factory=list)
    def total(self): return self.a + len(self.b)
class Row(typing.NamedTuple):
    a: int
    b: int = 2
    def s(self): return self.a + self.b
class Color(enum.Enum):
    RED = 1
    def show(self): return self.name
class Net(nn.Module):
    scale: float = 2.0
    def __init__(self):
        super().__init__()
        self.n = nn.Linear(1, 1)
a = L(dict)(c=L(C)(), s=L(Slots)(), r=L(Real)(), d=L(Data)(a=3), t=L(Row)(a=1), e=Color.RED, n=L(Net)())
"""


def test_classes_of_every_kind_are_kept(saved):
    for tree in saved(CLASS + KINDS):
        built = instantiate(tree.a)
        assert (built["c"].x, built["c"].w, built["c"].get(), built["s"].a) == (1, [3], 4, 1)
        real = built["r"]
        assert (real.f(), real.p, real.s(), real.c(), real.q, real.b) == (2, 3, 4, 5, 6, 2)
        assert (real.maybe(), real.Inner.v) == (7, 8)
        assert (built["d"].total(), built["t"].s(), built["e"].show()) == (3, 3, "RED")
        assert built["n"].scale == 2.0
