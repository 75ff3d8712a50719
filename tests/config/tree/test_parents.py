"""Where a node stands: reading, `check` and `instantiate` agree in every kind of container."""

import pickle
import sys
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import LazyCall as L
from lazycfg.config import Node, check, get_path, instantiate
from lazycfg.config.tree import placed
from lazycfg.config.tree.containers import inner_values
from lazycfg.config.tree.placed import parent_of


@dataclass
class Data:
    v: Any


class Attrs:
    """As attrs makes them: slots, and `__attrs_attrs__`."""

    __slots__ = ("v",)
    __attrs_attrs__ = (SimpleNamespace(name="v", init=True, alias="v"),)

    def __init__(self, v):
        self.v = v


Pair = namedtuple("Pair", ["v", "w"])


class Thing:
    def __init__(self, w=None, x=None, y=None):
        self.w, self.x, self.y = w, x, y


HOLDERS = {
    "dataclass": Data,
    "attrs": Attrs,
    "named tuple": lambda v: Pair(v, 0),
    "ordered dict": lambda v: OrderedDict(v=v),
    "default dict": lambda v: defaultdict(list, v=v),
    "dict": lambda v: {"v": v},
    "list": lambda v: [v],
    "tuple": lambda v: (v,),
    "list in a dataclass": lambda v: Data([v]),
    "dataclass in a list": lambda v: [Data(v)],
    "call": lambda v: L(Thing)(x=v),
}


def inside(value):
    """The part that one of the holders was given, from what reading or building gave."""
    if isinstance(value, Thing):
        return value if value.w is not None else inside(value.x)
    if isinstance(value, Node):
        return value if "w" in value else inside(value["x"] if "_target_" in value else value["v"])
    return inside(next(iter(inner_values(value))))


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_node_in_any_container_stands_in_the_config(kind):
    cfg = Node(w=5, s=HOLDERS[kind](L(Thing)(w=1, x="${w}")))
    assert check(cfg) == []
    assert inside(cfg.s).x == 5
    assert inside(instantiate(cfg)["s"]).x == 5
    changed = Node(w=7)
    changed.s = HOLDERS[kind](L(Thing)(w=1, x="${w}"))
    assert inside(changed.s).x == 7 == inside(instantiate(changed)["s"]).x
    copied = cfg.copy()
    copied.w = 6
    assert inside(copied.s).x == 6
    assert inside(cfg.s).x == 5


@pytest.mark.parametrize("kind", HOLDERS)
def test_relative_interpolations_count_every_container(kind):
    dots = {"list in a dataclass": 3, "dataclass in a list": 3}.get(kind, 2) + 1
    cfg = L(Thing)(w=5, x=HOLDERS[kind](L(Thing)(w=1, y="${" + "." * dots + "w}")))
    node = inside(dict.get(cfg, "x")) if kind != "call" else cfg.x.x
    assert node.y == 5
    built = instantiate(cfg)
    assert inside(built.x).y == 5
    assert check(cfg) == []


def test_a_node_stands_where_it_was_put_first_also_in_an_object():
    part = L(Thing)(w=1, y="${..w}")
    first, second = L(Thing)(w=2, x=part), Data(part)
    cfg = Node(w=3, a=first, b=second)
    assert cfg.b.v.y == 2 == instantiate(cfg)["b"].v.y
    del first["x"]
    assert cfg.b.v is part
    with pytest.raises(Exception, match="has no 'w'"):
        _ = part.y  # `${..w}` is in the object now, which has no w
    moved = L(Thing)(w=4, x=part)
    second.v = None
    assert moved.x.y == 4


def test_named_tuples_and_dicts_of_other_classes_are_read_resolved():
    cfg = Node(n=3, p=Pair("${n}", [1, "${n}"]), o=OrderedDict(a="${n}"), d=defaultdict(list, a="${n}"))
    assert cfg.p == Pair(3, [1, 3])
    assert type(cfg.p) is Pair
    assert cfg.o == {"a": 3}
    assert cfg.d == {"a": 3}
    built = instantiate(cfg)
    assert built["p"] == Pair(3, [1, 3])
    assert type(built["o"]) is OrderedDict


VALUES = st.sampled_from([1, "text", None, "${top}", "${.w}", "${..w}", "${...w}", "${a.w}"])
PLACES = (
    "dataclass",
    "attrs",
    "named tuple",
    "ordered dict",
    "default dict",
    "dict",
    "list",
    "tuple",
    "call",
)


@st.composite
def trees(draw):
    made = []

    def part(depth):
        if depth and made and draw(st.integers(0, 5)) == 0:
            return draw(st.sampled_from(made))
        node = L(Thing)(w=draw(st.integers(0, 9)), y=draw(VALUES))
        if depth:
            below = part(depth - 1)
            if draw(st.booleans()):
                below = HOLDERS[draw(st.sampled_from(PLACES))](below)
            node.x = below
        made.append(node)
        return node

    return Node(
        top=draw(st.integers(10, 20)), w=9, a=part(3), b=HOLDERS[draw(st.sampled_from(PLACES))](part(2))
    )


def as_read(value):
    """What reading gives, as tuples."""
    if type(value) is Node:
        names = ("w", "x", "y") if "_target_" in value else tuple(value)
        return tuple(as_read(value[name]) if name in value else None for name in names)
    values = inner_values(value)
    return value if values is None else tuple(map(as_read, values))


def as_built(value):
    if isinstance(value, Thing):
        return (as_built(value.w), as_built(value.x), as_built(value.y))
    values = inner_values(value)
    return value if values is None else tuple(map(as_built, values))


@settings(max_examples=150, deadline=None)
@given(trees())
def test_what_is_read_is_what_is_built(cfg):
    if check(cfg, raises=False):
        return  # an interpolation that leads nowhere, or that means two things
    before = as_read(cfg)
    assert before == as_built(instantiate(cfg))
    assert before == as_read(cfg)
    assert as_read(cfg.copy()) == before
    assert as_read(pickle.loads(pickle.dumps(cfg))) == before


def test_a_pickled_config_keeps_the_first_place_of_what_is_shared():
    node = L(Thing)(w=0, y="${..w}")
    cfg = Node(w=9, a=node, c=Node(w=7))
    cfg.b = Node(v=node)
    cfg.c.later = [part := L(Thing)(w=0, y="${...w}")]
    cfg.b.list = [part]
    again = pickle.loads(pickle.dumps(cfg))
    assert again.b.v is again.a
    assert again.b.v.y == 9
    assert again.b.list[0] is again.c.later[0]
    assert again.b.list[0].y == 7


@pytest.fixture
def counted(monkeypatch):
    """How many values are looked at to find out where nodes stand."""
    count = [0]
    original = placed.inner_values

    def counting(value):
        found = original(value)
        count[0] += 0 if found is None else len(found)
        return found

    monkeypatch.setattr(placed, "inner_values", counting)
    return count


def test_a_list_of_shared_nodes_is_searched_once(counted):
    size = 2000
    nodes = [L(Thing)(w=i) for i in range(size)]
    cfg = Node(a=list(nodes), b=[*nodes], c=Data([*nodes]))
    counted[0] = 0
    instantiate(cfg)
    check(cfg)
    assert counted[0] < 40 * size


def test_nodes_appended_one_by_one_know_their_place():
    cfg = Node(w=5, l=[])
    for _ in range(300):
        cfg.l.append(L(Thing)(y="${..w}", x="${w}"))
    assert all(part.x == 5 for part in cfg.l)
    cfg.l[7] = L(Thing)(x="${w}")
    assert cfg.l[7].x == 5
    assert parent_of(cfg.l[7])[0] is cfg.l


def test_a_deep_tree_is_pickled():
    node = L(Thing)(w=0)
    for depth in range(1, 10_000):
        node = L(Thing)(w=depth, x=node if depth % 3 else [node])
    cfg = Node(a=node, b=node.x if type(node.x) is Node else node.x[0])
    limit = sys.getrecursionlimit()
    again = pickle.loads(pickle.dumps(cfg))
    assert sys.getrecursionlimit() == limit
    assert again == cfg
    below = again.a.x
    assert again.b is (below if type(below) is Node else below[0])


def test_what_is_shared_by_two_roots_is_shared_after_pickling():
    part = L(Thing)(w=1)
    a, b = pickle.loads(pickle.dumps([Node(p=part), Node(q=[part])]))
    assert a.p is b.q[0]


def test_get_path_reads_the_fields_of_objects():
    cfg = Node(w=5, s=Data("${w}"), t=Data([1, "${w}"]))
    assert get_path(cfg, "s.v") == 5 == instantiate(cfg)["s"].v
    assert get_path(cfg, "t.v") == [1, 5] == instantiate(cfg)["t"].v
