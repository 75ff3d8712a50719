"""Conversion at the border to OmegaConf."""

import sys
from fractions import Fraction
from pathlib import Path

import pytest

from lazycfg import REQUIRED, ConfigError, Node, diff, from_omegaconf, hash_of, instantiate, to_omegaconf
from lazycfg import LazyCall as L
from lazycfg.config.tree.node import to_nodes

omegaconf = pytest.importorskip("omegaconf")
OmegaConf = omegaconf.OmegaConf


def make(**kwargs):
    return kwargs


def test_from_omegaconf():
    theirs = OmegaConf.create(
        {"a": {"b": [1, {"c": "${x}"}]}, "x": 3, "m": "???", "n": None, "_target_": "collections.Counter"}
    )
    ours = from_omegaconf(theirs)
    assert type(ours) is Node
    assert type(ours.a.b) is list
    assert ours.a.b[1].c == 3
    assert dict.__getitem__(ours, "m") == "???"
    assert ours.n is None
    assert from_omegaconf(OmegaConf.create([1, {"a": 2}])) == [1, {"a": 2}]


def test_from_omegaconf_inside_our_containers():
    theirs = OmegaConf.create({"k": 1})
    node = L(make)(x=theirs, y=[theirs, (theirs,)])
    ours = from_omegaconf(node)
    assert ours is node
    assert type(ours.x) is Node
    assert ours.x is ours.y[0] is ours.y[1][0]


def test_from_omegaconf_of_something_else():
    obj = object()
    assert from_omegaconf(obj) is obj
    assert from_omegaconf({"a": 1}) == {"a": 1}


def test_round_trip():
    ours = to_nodes({"a": {"b": [1, 2.5, "x", None, True]}, "c": "${a.b.0}", "d": REQUIRED})
    theirs = to_omegaconf(ours)
    assert theirs.c == 1
    assert OmegaConf.is_missing(theirs, "d")
    again = from_omegaconf(theirs)
    assert again.a == ours.a
    assert again.c == 1


def test_to_omegaconf_names_targets():
    node = L(make)(x=L("collections.Counter")(), t=(1, 2))
    theirs = to_omegaconf(node)
    assert theirs._target_ == f"{__name__}.make"
    assert theirs.x._target_ == "collections.Counter"
    assert list(theirs.t) == [1, 2]
    assert instantiate(from_omegaconf(theirs)["x"]) == {}
    with pytest.raises(ConfigError, match=r"'x\._target_'"):
        to_omegaconf(L(make)(x=L(lambda: 1)()))
    with pytest.raises(ConfigError, match="not int"):
        to_omegaconf(3)


def test_the_node_is_unchanged_by_conversion():
    node = to_nodes({"a": REQUIRED, "b": [REQUIRED]})
    to_omegaconf(node)
    assert dict.__getitem__(node, "a") is REQUIRED
    assert node.b[0] is REQUIRED


def test_importing_imports_nothing_heavy():
    import subprocess

    code = (
        "import sys, lazycfg; from lazycfg import LazyCall, LazyPartial, instantiate, check, REQUIRED;"
        "print([m for m in ('torch', 'omegaconf', 'yaml', 'numpy', 'cloudpickle') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    import lazycfg
    import lazycfg.config

    for module in (lazycfg, lazycfg.config):
        beside = {path.stem for path in Path(module.__file__).parent.iterdir()}
        assert not beside & set(module.__all__), "a module would hide a name once it is imported"
        for name in module.__all__:
            value = getattr(module, name)
            assert type(value).__name__ != "module", f"{name} is hidden by a module of that name"
        assert set(module.__all__) <= set(dir(module))
        with pytest.raises(AttributeError):
            _ = module.no_such_name


def test_there_and_back_is_an_equal_config():
    cfg = Node(
        n=4,
        part=L(Fraction)(numerator="${n}", denominator=L("fractions.Fraction")(numerator=1)),
        rest=[L(dict)(a=None), {"b": REQUIRED}, 1.5],
        some=L.partial(dict)(c=(1, 2)),
    )
    back = from_omegaconf(to_omegaconf(cfg))
    assert [str(change) for change in diff(cfg, back)] == [
        "~ some.c: (1, 2) -> [1, 2]"
    ]  # OmegaConf has no tuples
    cfg.some.c = [1, 2]
    assert not diff(cfg, from_omegaconf(to_omegaconf(cfg)))
    assert hash_of(cfg) == hash_of(from_omegaconf(to_omegaconf(cfg)))
