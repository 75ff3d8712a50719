# ruff: noqa: E501
"""What is written as Python holds nothing but imports, assignments and calls of what was imported, whatever
the names in a config are: texts of a data file never become code."""

import ast
import dataclasses
import enum
import functools
import keyword
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.config.formats.python_io import to_py
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.required import REQUIRED
from lazycfg.inspection.equality import equal_configs
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import Box2BoxTransform, Matcher

SHAPES = (ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.Assign, ast.Name, ast.Attribute, ast.Call)
SHAPES += (ast.keyword, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.USub)
SHAPES += (ast.Load, ast.Store, ast.Subscript)
CODE = "__import__('os').system('touch marker')"
ODD_NAMES = [
    f"a={CODE}, b", f"a): {CODE}", f"a\n{CODE}", f"a#{CODE}", f"{CODE}", "a b", "1", "", "a.b", "a-b", "a\\", "'", '"',
    "__debug__", "__class__", "__config__", "self", "Ｌ", "ﬁ", "ſ", "ｃｌａｓｓ", "𝐞𝐯𝐚𝐥", "K", "ª", "dict", "set", "L",
    "REQUIRED", "partial", "Node", "LazyCall", "ShapeSpec", "Matcher", "float", "print", "_", "_x", "x_2", "é", "名",
    *keyword.kwlist, *keyword.softkwlist,
]  # fmt: skip
names = st.one_of(st.sampled_from(ODD_NAMES), st.text(max_size=8), st.from_regex(r"\A[a-z_]\w{0,5}\Z"))
atoms = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.binary(max_size=6),
    st.complex_numbers(allow_nan=False), st.sampled_from([CODE, REQUIRED, Path("a/b"), Matcher, Box2BoxTransform, ..., "${a}"]),
)  # fmt: skip
hashable = st.one_of(st.none(), st.booleans(), st.integers(), names, st.binary(max_size=3))
special = ("_target_", "_args_", "_partial_")


def composed(children):
    keywords = st.dictionaries(names.filter(lambda n: n not in special), children, max_size=4)
    arguments = st.lists(children, max_size=2).map(tuple)
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        keywords.map(Node),
        keywords.map(lambda kw: dict.__or__(Node(_target_=Matcher), kw)).map(Node),
        st.tuples(arguments, keywords).map(lambda p: functools.partial(dict, **p[1])),
        st.tuples(st.sampled_from(["pkg.mod.Name", "pkg.ｆ", f"pkg.{CODE}", "x"]), keywords).map(
            lambda p: Node({"_target_": p[0], **p[1]})
        ),
        st.sets(hashable, max_size=3),
        st.frozensets(hashable, max_size=3),
        st.integers(1, 9).map(lambda n: ShapeSpec(channels=n)),
        st.dictionaries(hashable, children, max_size=3).map(Node),
    )


trees = st.dictionaries(
    names.filter(lambda n: n not in special), st.recursive(atoms, composed, max_leaves=8)
).map(Node)


def assert_harmless(text):
    tree = ast.parse(text)
    bound = {"dict", "set", "frozenset", "float", "complex", "list", "tuple", "int", "str", "bool"}
    for node in ast.walk(tree):
        assert isinstance(node, SHAPES), (type(node).__name__, text)
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or node.names[0].name
            assert module.partition(".")[0] in (
                "lazycfg",
                "functools",
                "pathlib",
                "builtins",
                "test_written_python",
            )
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            assert [type(target) for target in node.targets] == [ast.Name]
            bound.add(node.targets[0].id)
        elif isinstance(node, ast.Name):
            assert node.id in bound, (node.id, text)
        elif isinstance(node, ast.Attribute):
            assert node.attr in ("attr", "method", "make_stage") or not node.attr.startswith("_"), text


@settings(max_examples=300, deadline=None)
@given(tree=trees)
def test_no_text_of_a_config_becomes_code(tmp_path_factory, tree):
    text = to_py(tree)
    assert_harmless(text)
    file = tmp_path_factory.mktemp("written") / "x.py"
    file.write_text(text, encoding="utf-8")
    assert equal_configs(LazyConfig.load(file), tree), text


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_odd_names_at_every_place(tmp_path, odd):
    tree = Node({odd: 1, "m": Node({"_target_": Matcher, odd: 2}), "n": Node({odd: Node({odd: 3})})})
    tree["p"] = functools.partial(dict, **{odd: 4})
    tree["q"] = Node({"_target_": f"pkg.{odd}", "a": 1})
    shared = Node({odd: 5})
    tree["r"] = [shared, shared, {odd: shared}]
    text = to_py(tree)
    assert_harmless(text)
    (tmp_path / "x.py").write_text(text, encoding="utf-8")
    again = LazyConfig.load(tmp_path / "x.py")
    assert equal_configs(again, tree), text
    assert again.p.keywords == {odd: 4}


Odd = enum.Enum("Odd", {"a b": 1, "class": 2, "plain": 3})  # type: ignore[misc]


def test_members_with_odd_names(tmp_path):
    tree = Node(a=list(Odd))
    text = to_py(tree)
    assert_harmless(text)
    assert 'Odd["a b"]' in text
    assert 'Odd["class"]' in text
    assert "Odd.plain" in text


@dataclasses.dataclass
class Held:
    value: object


@pytest.mark.parametrize("shared", [{"c": {"d": 1}}, {1: 2}, Node(c=1)])
def test_what_an_object_and_the_tree_around_it_share_stays_one(shared, tmp_path):
    cfg = Node(a=(shared, L(dict)(x=(shared,))), b=Held(shared))
    LazyConfig.save(cfg, tmp_path / "x.py")
    loaded = LazyConfig.load(tmp_path / "x.py")
    assert loaded.a[0] is loaded.a[1].x[0] is loaded.b.value
    assert loaded.b.value == shared
    assert equal_configs(loaded, cfg)
