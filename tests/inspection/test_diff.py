"""diff(): by structure, as text, and as overrides."""

from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import ConfigError, LazyConfig, Node
from lazycfg import LazyCall as L
from lazycfg.config.tree.node import to_nodes
from lazycfg.config.tree.targets import full_name, target_name
from lazycfg.inspection.diff import diff
from lazycfg.inspection.equality import equal_configs
from lazycfg.inspection.explain import explain
from lazycfg.inspection.hashing import hash_of


class Block:
    def __init__(self, *args, **kwargs):
        pass


class Other(Block):
    pass


def cfg(**kwargs):
    return to_nodes(kwargs)


def kinds(a, b):
    return [(c.kind, c.path) for c in diff(a, b)]


def applied(a, b):
    return LazyConfig.apply_overrides(a.copy(), diff(a, b).overrides())


def check(a, b, expected):
    assert kinds(a, b) == expected
    assert equal_configs(applied(a, b), b)
    assert not diff(b, b)
    assert not diff(b, b.copy())


def test_changed_added_removed():
    a = cfg(m=L(Block)(x=1, y=L(Block)(z=2), w=0), lr=0.1)
    b = cfg(m=L(Block)(x=2, y=L(Block)(z=2, q="text, with comma"), n=None), lr=0.1)
    check(a, b, [("added", "m.n"), ("removed", "m.w"), ("changed", "m.x"), ("added", "m.y.q")])
    assert "~ m.x: 1 -> 2" in str(diff(a, b))


def test_target_and_type():
    check(cfg(m=L(Block)(x=1)), cfg(m=L(Other)(x=1.0)), [("changed", "m._target_"), ("changed", "m.x")])
    check(cfg(m=L(Block)(x=1)), cfg(m=[L(Other)()]), [("changed", "m")])
    assert not diff(cfg(m=L(dict)(x=1)), cfg(m=L("builtins.dict")(x=1)))


def test_lists():
    one, two, three = L(Block)(i=1), L(Block)(i=2), L(Block)(i=3)
    a = cfg(x=[one, two, 3])
    check(a, cfg(x=[one.copy(), two.copy(), 3, three]), [("added", "x.3")])
    check(a, cfg(x=[two.copy(), 3]), [("removed", "x.0")])
    check(a, cfg(x=[one.copy(), three, two.copy(), 3]), [("added", "x.1")])
    check(a, cfg(x=[one.copy(), L(Block)(i=5), 3]), [("changed", "x.1.i")])
    check(a, cfg(x=[]), [("removed", "x.0"), ("removed", "x.1"), ("removed", "x.2")])
    check(cfg(x=(1, (2, one))), cfg(x=(1, (2, three.copy()), 4)), [("added", "x.2"), ("changed", "x.1.1.i")])


def test_moved():
    head = L(Block)(width=3)
    a, b = cfg(old=cfg(head=head), new=cfg()), cfg(old=cfg(), new=cfg(head=head.copy()))
    check(a, b, [("moved", "new.head")])
    assert str(diff(a, b)) == "> new.head: moved from old.head"


def test_sharing():
    shared, own = L(Block)(i=1), L(Block)(i=1)
    together, apart = cfg(a=shared, b=shared, c=[shared]), cfg(a=own, b=own.copy(), c=[own])
    check(together, apart, [("split", "b")])
    check(apart, together, [("joined", "b")])
    assert "was shared with a" in str(diff(together, apart))
    assert diff(apart, together).overrides() == ["++b=&a"]


def test_sharing_inside_what_is_new():
    shared = L(Block)(i=1)
    check(cfg(), cfg(x=[shared, {"k": shared}], y=shared), [("added", "x"), ("added", "y")])


def test_functions_of_two_loads_are_the_same(tmp_path):
    path = tmp_path / "conf.py"
    path.write_text(
        "from lazycfg import LazyCall as L\ndef f(x):\n    return x + 1\nm = L(f)(x=lambda y: y)\n"
    )
    a, b = LazyConfig.load(str(path)), LazyConfig.load(str(path))
    assert a.m["_target_"] is not b.m["_target_"]
    assert not diff(a, b)
    path.write_text(path.read_text().replace("+ 1", "+ 22"))
    assert kinds(a, LazyConfig.load(str(path))) == [("changed", "m._target_")]


def test_what_has_no_spelling_is_named():
    with pytest.raises(ConfigError, match="x: a function"):
        diff(cfg(), cfg(x=lambda: 1)).overrides()
    assert len(diff(cfg(), cfg(x=lambda: 1))) == 1


def test_deep():
    def chain(last):
        node = L(Block)(x=last)
        for _ in range(2000):
            node = L(Block)(child=node)
        return node

    (change,) = diff(chain(1), chain(2))
    assert change.path == ".".join(["child"] * 2000 + ["x"])


leaves = st.one_of(st.none(), st.integers(-5, 5), st.booleans(), st.sampled_from(["a", "b c", "x=y", "1"]))
names = st.sampled_from(["p", "q", "r"])
recipes = st.recursive(
    st.tuples(st.just("leaf"), leaves),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["list", "tuple"]), st.lists(inner, max_size=3)),
        st.tuples(st.sampled_from(["dict", "block", "other"]), st.dictionaries(names, inner, max_size=3)),
        st.tuples(st.just("share"), st.integers(0, 9)),
    ),
    max_leaves=12,
)


def make(recipe, seen):
    kind, content = recipe
    if kind == "leaf":
        return content
    if kind == "share":
        return seen[content % len(seen)] if seen else None
    if kind in ("list", "tuple"):
        made = (list if kind == "list" else tuple)(make(r, seen) for r in content)
    else:
        arguments = {k: make(r, seen) for k, r in content.items()}
        made = {"dict": Node, "block": L(Block), "other": L(Other)}[kind](**arguments)
    if kind != "tuple":
        seen.append(made)
    return made


@settings(max_examples=300, deadline=None)
@given(recipes, recipes)
def test_applying_the_difference_gives_the_other(first, second):
    a, b = Node(root=make(first, [])), Node(root=make(second, []))
    overrides = diff(a, b).overrides()
    result = LazyConfig.apply_overrides(a.copy(), overrides)
    assert equal_configs(result, b), overrides
    assert bool(overrides) == (not equal_configs(a, b))


LOCAL = """
import collections, dataclasses, enum
class Level(enum.Enum):
    LOW = 1
    HIGH = 2
@dataclasses.dataclass
class Spec:
    n: int
    below: object = None
Pair = collections.namedtuple("Pair", "a b")
level = Level.LOW
spec = Spec(1, {"x": [Level.HIGH]})
pairs = [Spec(2), Level.LOW]
"""


def test_what_a_config_file_defines_is_shown_by_the_name_of_the_file(tmp_path):
    text = "from lazycfg import LazyCall as L\nclass Head:\n    def __init__(self, width=1): ...\n"
    text += "model = L(Head)()\n"
    for name, width in (("mine.py", 1), ("other.py", 2), ("pack/__init__.py", 1)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("width=1", f"width={width}"))
    mine, other, pack = (
        LazyConfig.load(str(tmp_path / name)) for name in ("mine.py", "other.py", "pack/__init__.py")
    )
    assert str(diff(mine, other)) == "~ model._target_: mine.py:Head -> other.py:Head"
    assert target_name(pack.model._target_, full=True) == "pack/__init__.py:Head"
    assert str(explain(mine, "model._target_")).startswith("model._target_ = mine.py:Head\n")
    # Two files of one name are two classes.
    (tmp_path / "pack" / "mine.py").write_text(text.replace("width=1", "width=3"))
    third = LazyConfig.load(str(tmp_path / "pack" / "mine.py"))
    assert str(diff(mine, third)) == "~ model._target_: mine.py:Head -> mine.py:Head, with other code"
    assert full_name(mine.model._target_) != full_name(third.model._target_)


def test_objects_of_two_loads_are_the_same(tmp_path):
    def loaded(name, text):
        (tmp_path / name).write_text(text)
        return LazyConfig.load(str(tmp_path / name))

    a, b = loaded("a.py", LOCAL), loaded("a.py", LOCAL)
    assert type(a.spec) is not type(b.spec)
    assert not diff(a, b)
    assert not diff(a, loaded("b.py", LOCAL))
    edited = LOCAL.replace("Spec(1", "Spec(3").replace("[Spec(2), Level.LOW]", "[Spec(2), Level.HIGH]")
    assert kinds(a, loaded("b.py", edited)) == [("changed", "spec.n"), ("changed", "pairs.1")]
    other = loaded("c.py", LOCAL.replace("LOW = 1", "LOW = 3"))
    assert [path for _, path in kinds(a, other)] == ["level", "spec.below.x.0", "pairs.1"]


def test_a_target_in_text_is_the_object_it_leads_to():
    # `json.JSONDecoder` in `json.decoder`
    import json

    ways = [L(json.JSONDecoder)(), L("json.JSONDecoder")(), L("json.decoder.JSONDecoder")()]
    for a in ways:
        for b in ways:
            assert not diff(a, b)
            assert hash_of(a) == hash_of(b)
    assert kinds(ways[0], L("json.JSONEncoder")()) == [("changed", "_target_")]
    assert kinds(ways[1], L("json.JSONEncoder")()) == [("changed", "_target_")]
    assert diff(ways[1], L("not_a_module_at_all.X")())
    assert diff(cfg(x=len), cfg(x="builtins.len"))  # no target: the one is a text


def test_types_of_arrays_count():
    numpy = pytest.importorskip("numpy")
    a, b = cfg(x=numpy.array([1, 2])), cfg(x=numpy.array([1.0, 2.0]))
    assert kinds(a, b) == [("changed", "x")]
    assert not diff(a, cfg(x=numpy.array([1, 2])))
    assert hash_of(a) != hash_of(b)


def test_comments_do_not_count(tmp_path):
    texts = ["def f(x):\n    # one\n    return x\n", "def f(x):\n\n    return (\n        x)  # two\n"]
    loaded = []
    for index, text in enumerate(texts):
        path = tmp_path / f"conf{index}.py"
        path.write_text(f"from lazycfg import LazyCall as L\n{text}m = L(f)(x=lambda y: y)\n")
        loaded.append(LazyConfig.load(str(path)))
    assert not diff(*loaded)
    assert hash_of(loaded[0]) == hash_of(loaded[1])


def test_what_was_read_from_a_config_is_a_list_as_any_other():
    source = Node(n=5, steps=["${n}", 2])
    read = Node(x=source.steps)
    written = Node(x=[5, 2])
    assert not diff(read, written)
    assert not diff(written, read)
    assert str(diff(read, Node(x=[5, 3]))) == "~ x.1: 2 -> 3"
    assert diff(read, Node(x=[5])).overrides() == ["++x=[5]"]


def test_a_shared_list_that_is_written_anew_stays_shared():
    old, new = [1], [1, 2]
    a, b = Node(root=[old, None, old]), Node(root=[new, None, new])
    overrides = diff(a, b).overrides()
    assert overrides == ["++root.0=[1, 2]", "++root.2=&root.0"]
    assert equal_configs(LazyConfig.apply_overrides(a, overrides), b)


@pytest.mark.parametrize("key", [None, True, 1.5, (1, 2)])
def test_a_key_that_no_path_can_say_is_named(key):
    with pytest.raises(ConfigError, match="has no spelling in a config path"):
        diff(cfg(a={key: 1}), cfg(a={key: 2})).overrides()
    with pytest.raises(ConfigError, match="has no spelling in a config path"):
        diff(cfg(a={key: 1}), cfg(a={})).overrides()
    assert equal_configs(applied(cfg(), cfg(a={key: 2})), cfg(a={key: 2}))


def test_a_negative_number_as_a_key_is_no_option():
    assert diff(Node({-2: 1}), Node({-2: {"a": 3}})).overrides() == ['++[-2]={"a": 3}']
    check(Node({-2: 1}), Node({-2: 1, "a": 3, -3: {-4: 5}}), [("added", "a"), ("added", "-3")])


def test_the_order_of_keys_that_are_no_text_does_not_count_either():
    a, b = cfg(x={0: 1, "a": 2, None: 3, -1.5: 4}), cfg(x={None: 3, -1.5: 4, "a": 2, 0: 1})
    assert not diff(a, b)
    assert equal_configs(a, b)
    assert hash_of(a) == hash_of(b)
    for other in ({0: 1, "a": 2, None: 4, -1.5: 3}, {False: 1, "a": 2, None: 3, -1.5: 4}):
        assert not equal_configs(a, cfg(x=other))
        assert hash_of(a) != hash_of(cfg(x=other))
    ordered = [cfg(x=OrderedDict(pairs)) for pairs in ([(1, 2), (3, 4)], [(3, 4), (1, 2)])]
    assert not equal_configs(*ordered)
    assert hash_of(ordered[0]) != hash_of(ordered[1])
