"""`drift`: what of a saved config no longer fits the code, all at once."""

import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, Node, drift
from lazycfg.config.trust import UntrustedError

OLD = """
import dataclasses

@dataclasses.dataclass
class Shape:
    channels: int
    width: int = 1

class Net:
    def __init__(self, depth: int, inner=None, norm="BN"): pass

class Head:
    def __init__(self, shape, classes=3): pass
    @classmethod
    def build(cls, size=1): pass

def make(a, b=2): pass
def loss(x): pass
"""
NEW = """
import dataclasses

@dataclasses.dataclass
class Shape:
    chans: int
    width: int = 1

class Net:
    def __init__(self, depth: str, inner=None, *, norm_kind): pass

class Haed:
    def __init__(self, shape, classes=3): pass
"""
MOVED = "def make(a, b=2): pass\n"
CONFIG = """
import functools
from lazycfg import LazyCall as L
from drift_lib.parts import Head, Net, Shape, loss, make

shared = L(Net)(depth=3, norm="GN")
model = L(Net)(depth=5, inner=[shared, L(Head)(shape=Shape(channels=4, width=2))], norm="BN")
other = dict(call=L(make)(a=shared), head=L(Head.build)(size=2), loss=loss)
other["part"] = functools.partial(make, 1, b=3)
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A package whose code can be exchanged."""
    folder = tmp_path / "lib" / "drift_lib"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def put(parts, **others):
        for old in folder.glob("*.py"):
            old.unlink()
        for name, text in {"__init__": "", "parts": parts, **others}.items():
            (folder / f"{name}.py").write_text(text)
        for name in [name for name in sys.modules if name.partition(".")[0] == "drift_lib"]:
            del sys.modules[name]
        import importlib

        from lazycfg.inspection import moved

        importlib.invalidate_caches()
        moved._definitions.cache_clear()

    put(OLD)
    yield put
    for name in [name for name in sys.modules if name.partition(".")[0] == "drift_lib"]:
        del sys.modules[name]


@pytest.fixture
def saved(code, tmp_path, request):
    """The config, saved with the old code in a format."""
    (tmp_path / "cfg.py").write_text(CONFIG)
    suffix = getattr(request, "param", "py")
    file = tmp_path / f"saved.{suffix}"
    LazyConfig.save(LazyConfig.load(tmp_path / "cfg.py"), str(file))
    return file


FORMATS = pytest.mark.parametrize("saved", ["py", "yaml", "json"], indirect=True)


@FORMATS
def test_nothing_has_changed(saved):
    found = drift(saved, trusted=True)
    assert found == []
    assert str(found) == f"{saved}: no drift, all {found.calls} calls fit the code"
    assert found.calls >= 6


@FORMATS
def test_everything_has_changed(code, saved):
    code(NEW, elsewhere=MOVED)
    found = drift(saved, trusted=True)
    by_path = {(f.kind, ".".join(map(str, f.path))): f for f in found}
    assert set(by_path) == {
        ("type", "shared.depth"),
        ("renamed argument", "shared.norm"),
        ("type", "model.depth"),
        ("renamed argument", "model.norm"),
        ("target", "model.inner.1"),
        ("renamed argument", "model.inner.1.shape.channels"),
        ("target", "other.call"),
        ("target", "other.head"),
        ("target", "other.loss"),
        ("target", "other.part"),
    }
    assert "needs 'norm_kind' now; is that its new name?" in by_path["renamed argument", "model.norm"].message
    assert "did you mean 'Haed'?" in by_path["target", "model.inner.1"].message
    assert "it is 'drift_lib.elsewhere.make' now" in by_path["target", "other.call"].message
    lines = saved.read_text().splitlines()
    for (_, path), finding in by_path.items():
        assert finding.origin.file == str(saved)
        assert finding.origin.line, path
    norm = by_path["renamed argument", "model.norm"].origin
    assert "norm" in lines[norm.line - 1][norm.column - 1 :].lstrip()[:8]
    assert str(found).startswith(f"{saved}: 10 things no longer fit the code\n")


@FORMATS
def test_a_module_that_is_gone(code, saved):
    code("", others=OLD)
    found = drift(saved, trusted=True)
    assert {f.kind for f in found} == {"target"}
    assert all("it is 'drift_lib.others." in f.message for f in found)


def test_a_package_that_is_gone(code, tmp_path):
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\nfrom no_such_package.deep import Thing\nimport nor_this_one\n"
        "a = L(Thing)(x=1)\nb = L(nor_this_one.f)(a=a)\n"
    )
    found = drift(tmp_path / "c.py")
    assert [(f.kind, f.path, f.origin.line) for f in found] == [("target", ("a",), 4), ("target", ("b",), 5)]


def test_imports_that_no_call_uses_and_base_classes(code, tmp_path):
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\nfrom drift_lib.parts import Gone, Net\n"
        "from drift_lib.nowhere import *\nfrom collections import Nothing\n"
        "class Mine(Gone):\n    def __init__(self, x): pass\n"
        "@Gone\ndef helper(): pass\n"
        "a = L(Mine)(y=1)\n"
    )
    found = drift(tmp_path / "c.py")
    assert [(f.kind, f.origin.line) for f in found] == [
        ("renamed argument", 9),
        ("import", 2),
        ("import", 3),
        ("import", 4),
    ]


def test_a_file_that_cannot_be_run_is_told_with_its_imports(code, tmp_path):
    (tmp_path / "c.py").write_text("from drift_lib.parts import Gone\nx = 1\nGone + 1\n")
    found = drift(tmp_path / "c.py")
    assert [f.kind for f in found] == ["import", "file"]
    assert found[1].origin.line == 3
    assert "no longer fit the code" in str(found)


def test_too_many_positional_arguments(code, tmp_path):
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\nfrom drift_lib.parts import make\na = [L(make)(1, 2)]\n"
    )
    assert drift(tmp_path / "c.py") == []
    code("def make(a): pass\n")
    (finding,) = drift(tmp_path / "c.py")
    assert finding.path == ("a", 0)
    assert "takes 1 positional arguments but 2 were given" in finding.message


def test_a_config_is_compared_as_it_is(code):
    cfg = Node(a=L("drift_lib.parts.Net")(depth=1, dept=2), b=[L(dict)(x="???", y="${nowhere}")])
    before = cfg.copy()
    (finding,) = drift(cfg)
    assert finding.path == ("a", "dept")
    assert cfg == before


def test_what_is_filled_in_later_is_no_drift(code):
    assert drift(Node(a=L("drift_lib.parts.Net")(depth="???"), b="${c}")) == []


FUNCTIONS = ["drift_lib.parts.make", "drift_lib.parts.loss", "drift_lib.parts.Head.build"]


@pytest.mark.parametrize("saved", ["yaml", "json"], indirect=True)
def test_a_data_file_is_not_trusted(saved):
    with pytest.raises(UntrustedError):
        drift(saved, allow=["torch.nn"])
    assert drift(saved, allow=["drift_lib", *FUNCTIONS]) == []


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "saved.py").write_text("x = 1\n")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'saved\.py'"):
        drift(tmp_path / "savde.py")
    with pytest.raises(FileNotFoundError):
        drift(tmp_path / "saved.json")


NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)


@settings(deadline=None, max_examples=60)
@given(given_names=NAMES, required=NAMES, optional=NAMES, shared=st.booleans())
def test_any_change_of_a_signature(given_names, required, optional, shared):
    """Every argument that is gone and every one that is newly needed is told, once for each call."""
    optional = [name for name in optional if name not in required]
    words = ", ".join(["*", *required, *(f"{name}=0" for name in optional)])
    library = types.ModuleType("drift_any")
    exec(f"def target({'' if words == '*' else words}): pass", vars(library))
    library.target.__module__ = "drift_any"
    sys.modules["drift_any"] = library
    try:
        call = L("drift_any.target")(**dict.fromkeys(given_names, 1))
        found = drift(Node(one=call, two=[call] if shared else [call.copy()]))
    finally:
        del sys.modules["drift_any"]
    gone = set(given_names) - {*required, *optional}
    needed = set(required) - set(given_names)
    told_gone = [
        (f.path[:-1], f.path[-1]) for f in found if f.kind in ("unknown argument", "renamed argument")
    ]
    told_needed = [(f.path[:-1], f.path[-1]) for f in found if f.kind == "missing argument"]
    renamed = [f for f in found if f.kind == "renamed argument"]
    places = [("one",)] if shared else [("one",), ("two", 0)]
    assert sorted(told_gone) == sorted((place, name) for place in places for name in gone)
    assert len(told_needed) + len(renamed) == len(places) * len(needed)
    named = {f.path[:-1]: f.message.split("needs ")[1].split("'")[1] for f in renamed}
    assert {name for _, name in told_needed} | set(named.values()) == needed


def test_only_allowed_modules_are_imported_to_say_where_something_is_now(code, tmp_path):
    code("", others=OLD)
    sys.modules.pop("drift_lib.others", None)
    (tmp_path / "c.yaml").write_text("a:\n  _target_: drift_lib.parts.make\n  a: 1\n")
    narrow = drift(tmp_path / "c.yaml", allow=["drift_lib.parts"])
    assert [f.kind for f in narrow] == ["target"]
    assert "drift_lib.others" not in sys.modules
    assert "drift_lib.others" not in str(narrow)
    wide = drift(tmp_path / "c.yaml", allow=["drift_lib"])
    assert "it is 'drift_lib.others.make' now" in str(wide)
