"""The quick way through trees, where it must not take one node for another."""

import dataclasses
import threading

import pytest

from lazycfg import LazyCall as L
from lazycfg import Node, check, instantiate
from lazycfg.config import CycleError
from lazycfg.config.gathering import gather
from lazycfg.config.node import raw_set
from lazycfg.config.sound import is_sound


class Part:
    def __init__(self, **parts):
        self.parts = parts


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


@pytest.mark.parametrize("depth", [1, 59, 60, 61, 119, 120, 121, 122, 1000])
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


def test_edits_give_another_form():
    node = L(literal)(size=(1, 2))
    assert is_sound(node, None)
    node.name = "???"
    assert [p.kind for p in check(node, raises=False)] == ["required"]
    node.name = "a"
    assert is_sound(node, None)
    raw_set(node, "nmae", "b")
    assert [p.kind for p in check(node, raises=False)] == ["unknown argument"]


def test_circles_are_left_to_the_slow_way():
    node = L(Part)(x=[])
    dict.__getitem__(node, "x").append((L(Part)(y=node),))
    with pytest.raises(CycleError):
        instantiate(node)
    assert [p.kind for p in check(node, raises=False)] == ["cycle"]


@dataclasses.dataclass
class Shape:
    channels: object
    sizes: tuple = (1, 2)


def test_objects_with_plain_fields_are_no_reason_to_go_slowly():
    shape = Shape(3)
    node = L(Part)(shape=shape, all=[shape], pair=(1, shape))
    assert is_sound(node, None)
    assert gather(node, None) is not None
    parts = instantiate(node).parts
    assert parts["shape"] is parts["all"][0] is parts["pair"][1] is shape
    for inside, kind in ((L(Part)(), None), ("${no}", "interpolation"), ("???", "required")):
        node = L(Part)(shape=Shape(inside))
        assert gather(node, None) is None
        assert [p.kind for p in check(node, raises=False)] == ([] if kind is None else [kind])
    assert type(instantiate(L(Part)(shape=Shape(L(Part)()))).parts["shape"].channels) is Part


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
