"""Configs of fiddle as config files of ours: what is built is what fiddle builds."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import REQUIRED, LazyConfig, instantiate
from lazycfg.config.tree.node import raw_get
from lazycfg.convert import ConvertError, convert

fdl = pytest.importorskip("fiddle")

MODULE = '''
import fiddle as fdl
from dataclasses import dataclass, field
from fiddle.experimental import auto_config


class Rate(fdl.Tag):
    """A learning rate."""


@dataclass
class Layer:
    width: int
    names: list = field(default_factory=list)


def net(first, *others, norm=None, **more):
    return {"first": first, "others": others, "norm": norm, **more}


def config(width=4):
    shared = fdl.Config(Layer, width=width, names=["a"])
    return fdl.Config(
        net, shared, shared, fdl.Config(Layer, 2),
        norm=fdl.Partial(Layer, names=("x", {"y": shared})), rate=Rate.new(0.1),
    )


def required():
    return fdl.Config(net, Rate.new(), x=Rate.new())


def factory():
    return fdl.Config(net, fdl.Partial(Layer, names=fdl.ArgFactory(list)))


@auto_config.auto_config
def auto(width=3):
    layer = Layer(width)
    return net(layer, layer, Layer(width=5))
'''
NAMES = iter(range(1000))


@pytest.fixture
def module(tmp_path, monkeypatch):
    name = f"fiddle_configs_{next(NAMES)}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def load(converted, tmp_path):
    (tmp_path / "out.py").write_text(converted.text)
    return LazyConfig.load(tmp_path / "out.py")


@pytest.mark.parametrize(
    ("function", "words"), [("config", ["width=6"]), ("auto", []), ("auto", ["width=9"])]
)
def test_what_is_built_is_fiddles(module, tmp_path, function, words):
    from importlib import import_module
    from pathlib import Path

    cfg = load(convert(Path(f"{module}:{function}"), words), tmp_path)
    made = getattr(import_module(module), function)
    arguments = {word.split("=")[0]: int(word.split("=")[1]) for word in words}
    wanted = fdl.build(getattr(made, "as_buildable", made)(**arguments))
    built = instantiate(cfg.config)
    assert built["first"] is built["others"][0]
    if function == "config":
        ours, theirs = built.pop("norm"), wanted.pop("norm")
        assert (ours.func, ours.keywords) == (theirs.func, theirs.keywords)
        assert ours.keywords["names"][1]["y"] is built["first"]
    assert built == wanted


def test_tags(module, tmp_path):
    from pathlib import Path

    converted = convert(Path(f"{module}:required"))
    cfg = load(converted, tmp_path)
    assert raw_get(cfg.config, "x") is REQUIRED
    assert "REQUIRED" in converted.text
    assert any("the tags Rate are left out" in remark for remark in converted.remarks)


def test_what_has_no_counterpart(module):
    from pathlib import Path

    with pytest.raises(ConvertError, match=r"config.first.names: an fdl.ArgFactory is called anew"):
        convert(Path(f"{module}:factory"))
    with pytest.raises(ConvertError, match=r"no attribute 'nothing'"):
        convert(Path(f"{module}:nothing"))
    with pytest.raises(ConvertError, match=r"returns no fdl.Config, but"):
        convert(Path("os:getcwd"))
    with pytest.raises(ConvertError, match="write name=value"):
        convert(Path(f"{module}:config"), ["width"])


trees = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2).map(lambda d: fdl.Config(dict, **d)),
        inner.map(lambda v: fdl.Config(complex, 1, 2) if isinstance(v, int) else v),
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(tree=trees)
def test_any_tree_builds_what_fiddle_builds(tmp_path_factory, tree):
    from lazycfg.config import Node
    from lazycfg.convert.fiddle import _Reading
    from lazycfg.convert.trees import config_text

    shared = fdl.Config(dict, tree=tree)
    config = fdl.Config(dict, one=shared, two=[shared], three=tree)
    text = config_text("A tree.", Node(config=_Reading(fdl).convert(config, "config")))
    file = tmp_path_factory.mktemp("t") / "c.py"
    file.write_text(text)
    built = instantiate(LazyConfig.load(file).config)
    assert built == fdl.build(config)
    assert built["one"] is built["two"][0]
