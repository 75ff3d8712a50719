"""Configs of mmengine as config files of ours: values are those that mmengine reads."""

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import LazyConfig, instantiate
from lazycfg.config.tree.node import raw_items
from lazycfg.convert import ConvertError, convert

mmengine = pytest.importorskip("mmengine")

BASE = """
norm = dict(type='Norm', eps=1e-5)
model = dict(type='Net', depth=50, norm=norm, heads=[dict(type='Head', width=w) for w in (1, 2)], size=(3, 4))
optimizer = dict(type='torch.optim.SGD', lr=0.1)
data = dict(kind=dict(type='plain', n=1))
"""
CHILD = """
_base_ = './base.py'
model = dict(depth=101, norm=dict(_delete_=True, type='Norm', eps=2.0))
rate = {{_base_.optimizer.lr}}
"""
LAZY = """
from mmengine.config import read_base
from fractions import Fraction

with read_base():
    from .lazy_base import model

model.update(dict(size=5))
ratio = dict(type=Fraction, numerator=3, denominator=4)
"""
SCOPE = """
from dataclasses import dataclass
from typing import Any


@dataclass
class Norm:
    eps: float


@dataclass
class Head:
    width: int


@dataclass
class Net:
    depth: int
    norm: Any
    heads: Any
    size: Any
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    files = {"base.py": BASE, "child.py": CHILD, "lazy.py": LAZY, "my_mm_models.py": SCOPE}
    files["lazy_base.py"] = "from fractions import Fraction\nmodel = dict(type=Fraction, numerator=1)\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def load(converted, folder):
    (folder / "out.py").write_text(converted.text)
    return LazyConfig.load(folder / "out.py")


def as_mmengine(value):
    """Return a tree of ours with `type` for the targets, as mmengine has it."""
    if isinstance(value, dict):
        items = {("type" if k == "_target_" else k): as_mmengine(v) for k, v in raw_items(value)}
        if "type" in items and isinstance(items["type"], type):
            items["type"] = items["type"].__name__
        return items
    return type(value)(map(as_mmengine, value)) if isinstance(value, list | tuple) else value


SCOPES = ["my_mm_models", "plain="]


@pytest.mark.parametrize("words", [[], ["model.depth=7", "optimizer.lr=0.5"]])
def test_values_are_mmengines(folder, words):
    converted = convert(folder / "child.py", words, scopes=SCOPES)
    cfg = load(converted, folder)
    wanted = mmengine.Config.fromfile(folder / "child.py")
    wanted.merge_from_dict({w.split("=")[0]: json.loads(w.split("=")[1]) for w in words})
    wanted = wanted.to_dict()
    wanted["optimizer"]["type"] = "SGD"
    assert as_mmengine(cfg) == wanted
    assert isinstance(cfg.model.size, tuple)
    built = instantiate(cfg.model)
    assert (built.norm.eps, [head.width for head in built.heads]) == (2.0, [1, 2])
    assert "from my_mm_models import" in converted.text
    assert any("the parts are built first" in remark for remark in converted.remarks)


def test_lazy_style(folder):
    cfg = load(convert(folder / "lazy.py", format="mmengine"), folder)
    assert instantiate(cfg.ratio) == Fraction(3, 4)
    assert cfg.model.size == 5


def test_data_files_and_their_recognition(folder):
    (folder / "c.json").write_text(json.dumps({"model": {"type": "fractions.Fraction", "numerator": 2}}))
    (folder / "c.yaml").write_text("model:\n  type: fractions.Fraction\n  numerator: 2\n")
    for name in ("c.json", "c.yaml"):
        assert instantiate(load(convert(folder / name), folder).model) == 2


def test_names_that_lead_nowhere_are_all_named(folder):
    with pytest.raises(ConvertError) as info:
        convert(folder / "base.py", scopes=["plain="])
    text = str(info.value)
    assert "norm: no class is known for type='Norm'" in text
    assert "model: no class is known for type='Net'" in text
    assert "model.heads.0: no class is known for type='Head'" in text
    assert "--scope Norm=package.module.Norm" in text
    with pytest.raises(ConvertError, match="--scope no_such_module"):
        convert(folder / "base.py", scopes=["no_such_module"])
    with pytest.raises(ConvertError, match="--scope is for names of mmengine"):
        convert(folder / "base.py", scopes=["a"], format="lazy")


trees = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), st.sampled_from(["x", "y z"]), st.floats(0, 1)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2).map(lambda d: {"type": "dict", **d}),
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(tree=st.dictionaries(st.sampled_from(["one", "two"]), trees, min_size=1))
def test_any_tree_keeps_its_values(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("t")
    (folder / "c.json").write_text(json.dumps(tree))
    cfg = load(convert(folder / "c.json", format="mmengine", scopes=["builtins"]), folder)
    assert as_mmengine(cfg) == mmengine.Config.fromfile(folder / "c.json").to_dict()
