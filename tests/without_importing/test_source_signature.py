"""Signatures read from source agree with those of the imported objects, or are left open."""

import ast
import sys

import pytest

from lazycfg import LazyCall as L
from lazycfg import Node, explain
from lazycfg.cli.common import load_config, zoo_folder
from lazycfg.config.signatures.binding import node_signature, why_not
from lazycfg.config.signatures.callables import signature_of
from lazycfg.config.tree.node import is_call, raw_get
from lazycfg.config.tree.traversal import walk
from lazycfg.inspection.docstrings import parameter_doc, target_doc
from lazycfg.without_importing.source import forget_sources, source_signature
from lazycfg.without_importing.stand_ins import StandIn

CODE = '''
import abc
import dataclasses
import enum
import functools
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar, overload

T = TypeVar("T")

def plain(a, b: int = 1, *args, c, d="x", **kw): """Args:\\n    a: the first.\\n    """
def only(a, /, b): pass
async def later(a): pass
def decorate(f):
    @functools.wraps(f)
    def inner(*args): return f(*args)
    return inner
@decorate
def decorated(a): pass
if True:
    def inside(a): pass
else:
    def inside(b): pass
lambda_ = lambda x: x
alias = plain

class Base(Generic[T]):
    """A base.

    Args:
        x: an x.
    """
    def __init__(self, x, y=(1, 2), *, z: "str | None" = None, w=len): pass
    @classmethod
    def build(cls, size=3): pass
    @staticmethod
    def make(size): pass
    def method(self, q): pass

class Child(Base[int]): pass
class GrandChild(Child, abc.ABC):
    """Below.

    Args:
        x: what a grandchild makes of it.
    """
class Two(Child, dict): pass
class Meta(type):
    def __call__(cls, anything): pass
class WithMeta(metaclass=Meta):
    def __init__(self, a): pass
class BelowMeta(WithMeta):
    def __init__(self, b): pass
class WithNew:
    def __new__(cls, n): pass
class BelowNew(WithNew):
    def __init__(self, m): pass
class Assigned:
    def _init(self, k): pass
    __init__ = _init
class NoInit: pass
@dataclass(frozen=True)
class Data:
    """Args:
        a: one.
    """
    a: int
    b: str = "x"
@dataclasses.dataclass
class Fielded:
    a: list = field(default_factory=list)
@dataclass(kw_only=True)
class KwOnly:
    a: int
@dataclass
class Inherited(Data if False else object):
    c: int
class Named(NamedTuple):
    a: int
class Colour(enum.Enum):
    RED = 1
class Proto(Protocol):
    def __call__(self, a): ...
class Twice:
    def __init__(self, a): pass
class Twice:
    def __init__(self, b): pass
'''


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    package = folder / "lz_source"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from .code import *\nfrom .code import Base as Renamed\nfrom . import code as inner\n"
    )
    (package / "code.py").write_text(CODE)
    sys.path.insert(0, str(folder))
    yield "lz_source"
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "lz_source"]:
        del sys.modules[name]


SURE = ["plain", "only", "later", "Base", "Base.build", "Base.make", "Child", "GrandChild", "NoInit", "Data"]
SURE += ["Child.build"]
OPEN = ["decorated", "inside", "lambda_", "alias", "Two", "WithMeta", "BelowMeta", "WithNew", "BelowNew"]
OPEN += ["Assigned", "Fielded", "KwOnly", "Inherited", "Named", "Colour", "Proto", "Twice", "Base.method"]


def agree(read, real):
    assert list(read.parameters) == list(real.parameters)
    assert [p.kind for p in read.parameters.values()] == [p.kind for p in real.parameters.values()]
    assert (read.required, read.names, read.positional) == (real.required, real.names, real.positional)


@pytest.mark.parametrize("name", SURE)
def test_what_is_sure(library, name):
    for module in ("lz_source.code", "lz_source"):
        read = source_signature(f"{module}.{name}")
        assert read is not None
        agree(read, signature_of(f"lz_source.code.{name}"))
        assert read.definition.file.endswith("code.py")


@pytest.mark.parametrize("name", [*OPEN, "nothing", "Base.build.x", "Base.nothing"])
def test_what_is_left_open(library, name):
    assert source_signature(f"lz_source.code.{name}") is None
    assert source_signature("no_such_package.x") is None
    assert source_signature("math.sqrt") is None


def test_other_names(library):
    agree(source_signature("lz_source.Renamed"), signature_of("lz_source.code.Base"))
    agree(source_signature("lz_source.inner.plain"), signature_of("lz_source.code.plain"))


def test_nothing_is_imported(library):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lz_source"]:
        del sys.modules[name]
    node = Node(_target_=StandIn(("lz_source", "Child")), x=1)
    assert why_not(node, "yy") == "Child takes no argument 'yy'; did you mean 'y'?"
    assert why_not(node, "z", 5) is not None
    assert why_not(node, "z", "text") is None
    assert why_not(node, "w", 5) is None
    assert "default  len" in parameter_doc(node, "w")
    assert "an x." in parameter_doc(node, "x")
    child = Node(_target_=StandIn(("lz_source", "GrandChild")), x=1)
    assert "what a grandchild makes of it." in parameter_doc(child, "x")
    assert target_doc(node).startswith("Child(x, y=(1, 2), *, z: ")
    step = explain(Node(a=node), "a.y").steps[-1]
    assert step.kind == "default"
    assert step.origin.file.endswith("code.py")
    assert "def __init__(self, x, y=(1, 2)" in CODE.splitlines()[step.origin.line - 1]
    assert not any(name.partition(".")[0] == "lz_source" for name in sys.modules)


def test_every_target_of_the_model_zoo():
    pytest.importorskip("torch")
    seen = {}
    for file in sorted(zoo_folder().glob("[!c]*/*.py")):
        for _, value in walk(load_config(str(file))):
            if is_call(value) and isinstance(raw_get(value, "_target_"), StandIn):
                seen.setdefault(str(raw_get(value, "_target_")), value)
    if not seen:  # torch is imported already: nothing is deferred
        seen = {"lazycfg.modeling.FPN": L("lazycfg.modeling.FPN")(), "lazycfg.layers.ShapeSpec": L(dict)()}
    seen.pop("torchvision.models.resnet50", None)  # a decorator changes what it takes
    for name in seen:
        read = source_signature(name)
        assert read is not None, name
        agree(read, signature_of(name))


def test_the_real_signature_is_taken_where_the_source_leaves_it_open(library):
    node = Node(_target_=StandIn(("lz_source.code", "decorated")))
    assert list(node_signature(node).parameters) == ["a"]


def test_annotations_are_not_run(tmp_path, monkeypatch):
    marker = tmp_path / "ran"
    (tmp_path / "annotated_of_this_test.py").write_text(
        "from __future__ import annotations\n"
        f"def f(a: open({str(marker)!r}, 'w'), b: __import__('os') | int,\n"
        "      c: int | None, d: dict[str, tuple[int, ...]], e: Unknown): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert source_signature("annotated_of_this_test.f").hints == {
        "c": int | None,
        "d": dict[str, tuple[int, ...]],
    }
    assert not marker.exists()


def test_sources_that_are_read_anew_are_parsed_only_where_they_changed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "lz_read_anew.py"
    text = "class First:\n    def __init__(self, a): ...\n\nclass Second:\n    def __init__(self, {}): ...\n"
    file.write_text(text.format("b"))

    def names():
        found = [source_signature(f"lz_read_anew.{name}") for name in ("First", "Second")]
        return [list(signature.parameters) for signature in found]

    parsed = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda text, *args, **kwargs: parsed.append(text) or parse(text))
    assert names() == [["a"], ["b"]]
    assert len(parsed) == 2
    file.write_text(text.format("c"))
    forget_sources()
    assert names() == [["a"], ["c"]]
    assert len(parsed) == 3
