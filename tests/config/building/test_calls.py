"""A tree that is built and checked again and again, and changed in between: nothing is remembered of it."""

import copy
import dataclasses
import gc
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, Node, check, instantiate
from lazycfg.config import CycleError
from lazycfg.config.tree.node import raw_pop, raw_replace, raw_set


class Part:
    def __init__(self, **parts):
        self.parts = parts


@dataclasses.dataclass
class Plain:
    x: object


def built_often(node):
    for _ in range(4):
        instantiate(node)
        check(node, raises=False)
    return node


def shape(value):
    """A built tree as nested tuples that can be compared."""
    if isinstance(value, Part):
        return ("part", *((name, shape(part)) for name, part in value.parts.items()))
    if isinstance(value, dict):
        return ("dict", *((name, shape(part)) for name, part in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(shape, value))
    return (type(value).__name__, value)


def tree():
    return L(Part)(
        one=L(Part)(x=1, sizes=[1, 2]),
        many=[L(Part)(x=2), L(Part)(x=3)],
        named={"a": L(Part)(x=4), "b": 5},
        pair=(L(Part)(x=6), [7]),
        plain=Node(y=8, z=L(Part)(x=9)),
    )


def test_what_is_built_is_new_each_time():
    node = built_often(tree())
    first, second = instantiate(node).parts, instantiate(node).parts
    assert shape(first) == shape(second) == shape(instantiate(tree()).parts)
    assert first["one"] is not second["one"]
    assert first["one"].parts["sizes"] is not second["one"].parts["sizes"]
    assert first["many"] is not second["many"]
    assert first["named"] is not second["named"]
    first["one"].parts["sizes"].append(3)
    first["many"].clear()
    first["plain"]["y"] = 0
    assert shape(instantiate(node).parts) == shape(second)
    assert node.one.sizes == [1, 2]


EDITS = {
    "attribute": lambda n: setattr(n.one, "x", "new"),
    "item": lambda n: n["one"].__setitem__("x", "new"),
    "new argument": lambda n: setattr(n.one, "other", 1),
    "delete": lambda n: n.one.__delattr__("x"),
    "pop": lambda n: n.one.pop("x"),
    "update": lambda n: n.one.update(x=0),
    "clear": lambda n: n.plain.clear(),
    "or": lambda n: n.__ior__({"more": 1}),
    "root": lambda n: setattr(n, "one", None),
    "in a list": lambda n: setattr(n.many[1], "x", 0),
    "in a dict": lambda n: setattr(n.named["a"], "x", 0),
    "in a tuple": lambda n: setattr(n.pair[0], "x", 0),
    "list": lambda n: n.one.sizes.append(3),
    "list element": lambda n: n.one.sizes.__setitem__(0, True),  # equal to 1, but not the same
    "list of nodes": lambda n: n.many.reverse(),
    "list in a tuple": lambda n: n.pair[1].append(1),
    "dict": lambda n: dict.__setitem__(n.named, "b", 6),
    "dict key": lambda n: n.named.pop("b"),
    "target": lambda n: setattr(n.one, "_target_", dict),
    "override": lambda n: LazyConfig.apply_overrides(n, ["many.0.x=20"]),
    "raw_set": lambda n: raw_set(n.one, "x", 0),
    "raw_pop": lambda n: raw_pop(n.one, "x"),
    "raw_replace": lambda n: raw_replace(n.plain, {"y": 0}),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_edit_is_seen(edit):
    node = built_often(tree())
    before = shape(instantiate(node))
    edit(node)
    assert shape(instantiate(node)) == shape(instantiate(copy.deepcopy(node)))
    assert shape(instantiate(node)) != before


def test_an_edit_in_one_tree_is_seen_in_every_tree_with_that_node():
    part = L(Part)(x=1)
    first, second = built_often(L(Part)(part=part)), built_often(L(Part)(parts=[part]))
    part.x = 2
    assert instantiate(first).parts["part"].parts["x"] == 2
    assert instantiate(second).parts["parts"][0].parts["x"] == 2


def test_a_part_and_the_whole():
    node = tree()
    for _ in range(5):
        assert instantiate(node.one).parts["x"] == instantiate(node).parts["one"].parts["x"]
    node.one.x = 2
    assert instantiate(node.one).parts["x"] == instantiate(node).parts["one"].parts["x"] == 2


def test_what_a_changed_tree_held_is_freed():
    class Live:
        pass

    live = Live()
    seen = weakref.ref(live)
    node = built_often(L(Part)(inner=L(Part)(live=live)))
    node.inner.live = None
    del live
    gc.collect()
    assert seen() is None


def test_a_check_sees_what_is_new():
    node = tree()
    for _ in range(5):
        assert check(node) == []
    node.one.x = "???"
    assert [p.kind for p in check(node, raises=False)] == ["required"]
    node.one.x = 1
    assert check(node) == []


def typed(*, size: int):
    return size


def test_building_does_not_vouch_for_what_check_looks_at():
    node = built_often(L(typed)(size="large"))
    assert [p.kind for p in check(node, raises=False)] == ["type"]


def test_what_may_change_without_a_word_is_looked_at_each_time(monkeypatch):
    monkeypatch.setenv("LAZYCFG_VALUE", "a")
    holder = Plain(1)
    node = L(Part)(text="${oc.env:LAZYCFG_VALUE}", list=["${.0}", "${..text}"][1:], plain=holder)
    for _ in range(5):
        assert instantiate(node).parts["text"] == "a"
    monkeypatch.setenv("LAZYCFG_VALUE", "b")
    assert instantiate(node).parts["text"] == "b"
    assert instantiate(node).parts["list"] == ["b"]
    holder.x = L(Part)(y=1)
    assert type(instantiate(node).parts["plain"].x) is Part
    text = L("fractions.Fraction")(numerator=1)
    for _ in range(5):
        assert instantiate(text) == 1
    monkeypatch.setattr("fractions.Fraction", lambda numerator: "other")
    assert instantiate(text) == "other"


def test_extra_arguments_are_for_one_time():
    node = built_often(L(Part)(x=[1]))
    assert instantiate(node, x=2, y=3).parts == {"x": 2, "y": 3}
    assert instantiate(node).parts == {"x": [1]}


def test_the_path_in_an_error_is_that_of_the_place_it_is_built_from():
    def fails():
        raise ValueError("no")

    part = L(fails)()
    for cfg, path in ((Node(a=part), "a"), (Node(b=[part]), "b.0")):
        for _ in range(2):
            with pytest.raises(ValueError, match="no") as caught:
                instantiate(cfg)
            assert f"config path '{path}'" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="no") as caught:
        instantiate(part)
    assert "config path 'a'" in caught.value.__notes__[0]


def test_a_constructor_may_change_the_config():
    node = L(Part)()

    def changes(x):
        node.inner.x = x + 1
        return x

    node.inner = L(changes)(x=0)
    assert [instantiate(node).parts["inner"] for _ in range(6)] == list(range(6))


def test_edits_from_another_thread():
    node = L(Part)(parts=[L(Part)(x=0) for _ in range(200)])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for part in node.parts:
                part.x += 1

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(200):
        instantiate(node)
    stop.set()
    thread.join()
    assert [p.parts["x"] for p in instantiate(node).parts["parts"]] == [p.x for p in node.parts]


@dataclasses.dataclass(frozen=True)
class Equal:
    """Callables that are equal, but not the same."""

    name: object = dataclasses.field(compare=False)

    def __call__(self, x):
        return self


def test_equal_targets_are_not_mixed_up():
    first, second = Equal("first"), Equal("second")
    assert first == second
    assert instantiate(L(first)(x=1)) is first
    assert instantiate(L(second)(x=1)) is second


def test_every_kind_of_container_is_shared():
    part = L(Part)()
    many, pair, named = [part], (part, 1), {"part": part}
    parts = instantiate(L(Part)(a=many, b=many, c=pair, d=pair, e=named, f=named, g=part)).parts
    assert parts["a"] is parts["b"]
    assert parts["c"] is parts["d"]
    assert parts["e"] is parts["f"]
    assert parts["a"][0] is parts["c"][0] is parts["e"]["part"] is parts["g"]


@pytest.mark.parametrize("depth", [1, 60, 1000, 10_000])
def test_any_depth(depth):
    node = L(Part)(x=None)
    for _ in range(depth):
        node = L(Part)(x=[node])
    assert check(node) == []
    built, levels = instantiate(node), 0
    while built.parts["x"]:
        built, levels = built.parts["x"][0], levels + 1
    assert levels == depth


def test_little_room_on_the_stack():
    node = L(Part)(x=0)
    for _ in range(100):
        node = L(Part)(x=node)

    def down(levels):
        return down(levels - 1) if levels else (check(node), instantiate(node))

    problems, built = down(850)
    assert problems == []
    assert type(built) is Part


def positional(a, /, b):
    return a, b


def test_the_number_of_unnamed_arguments_counts():
    assert instantiate([L(positional)(1, 2), L.partial(positional)(1)])[0] == (1, 2)
    for _ in range(2):
        assert check(L(positional)(1, b=2)) == []
        node = L(positional)(1)
        node["_args_"] = (1, 2)
        assert check(node) == []
        node["_args_"] = (1,)
        assert [p.path for p in check(node, raises=False)] == [("b",)]
        node = L.partial(positional)(1)
        assert check(node) == []
        node["_partial_"] = False
        assert [p.path for p in check(node, raises=False)] == [("b",)]


def literal(*, size: tuple[int, int], name: str = ""):
    return size


def test_literals_of_one_type_are_looked_at_each_time():
    assert check([L(literal)(size=(1, 2)), L(literal)(size=(3, 4))]) == []
    tree = [L(literal)(size=(1, 2)), L(literal)(size=(3, "4")), L(literal)(size=(1, 2), name="${x}")]
    assert [p.kind for p in check(tree, raises=False)] == ["type", "interpolation"]


def test_circles():
    node = L(Part)(x=[])
    dict.__getitem__(node, "x").append((L(Part)(y=node),))
    with pytest.raises(CycleError):
        instantiate(node)
    assert [p.kind for p in check(node, raises=False)] == ["cycle"]


@pytest.mark.parametrize("root", [(), (1, 2), [], {}, [1], ("a",), {"a": (1,)}])
def test_containers_of_plain_values_come_back(root):
    built = instantiate(root)
    assert built == root
    assert type(built) is type(root)


def test_extra_arguments_of_plain_and_call_nodes():
    live = [1]
    assert instantiate(L(Part)(x=2), x=live).parts["x"] is live
    assert instantiate(Node(a=1), b=live)["b"] is live


def test_threads():
    tree = L(Part)(parts=[L(Part)(x=i) for i in range(300)])
    counts = []

    def work():
        for _ in range(10):
            counts.append(len(instantiate(tree).parts["parts"]) - len(check(tree)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [300] * 40


leaves = st.one_of(st.none(), st.integers(0, 3), st.text("ab", max_size=2), st.just("${.x}"))
names = st.sampled_from(["x", "y", "z"])
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(names, inner, max_size=3),
        st.dictionaries(names, inner, max_size=3).map(lambda items: L(Part)(**items)),
    ),
    max_leaves=12,
)


def containers_of(value, found):
    if isinstance(value, (list, tuple, dict)):
        if not isinstance(value, tuple):
            found.append(value)
        for child in list(dict.values(value) if isinstance(value, dict) else value):
            containers_of(child, found)
    return found


def outcome(node):
    try:
        return shape(instantiate(node))
    except Exception as error:
        return type(error).__name__


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, trees, min_size=1, max_size=3), st.data())
def test_random_edits_of_random_trees(items, data):
    node = L(Part)(**items)
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(0, 4))):
            outcome(node)
            check(node, raises=False)
        holder = data.draw(st.sampled_from(containers_of(node, [])))
        value = data.draw(trees)
        if isinstance(holder, list):
            holder.insert(data.draw(st.integers(0, len(holder))), value)
        else:
            holder[data.draw(names)] = value
        fresh = copy.deepcopy(node)
        assert outcome(node) == outcome(fresh)
        assert [p.path for p in check(node, raises=False)] == [p.path for p in check(fresh, raises=False)]
