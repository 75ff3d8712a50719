"""Where nodes were written and who wrote to them."""

from inspect import currentframe

from lazycfg import LazyCall as L
from lazycfg import Node, attr
from lazycfg.config.signatures.places import argument_position
from lazycfg.config.tree.position import (
    CommandLine,
    FilePosition,
    Write,
    position_of,
    record_write,
    set_position,
    writes_of,
)


def here(offset=0):
    return currentframe().f_back.f_lineno + offset


def make(*, x=1, y=None):
    return x, y


def test_position_of_nested_nodes():
    line = here(1)
    node = L(make)(
        x=1,
        y=L(make)(x=2),
    )
    assert position_of(node).file == __file__
    assert (position_of(node).line, position_of(node).column) == (line, 12)
    assert (position_of(node.y).line, position_of(node.y).column) == (line + 2, 11)
    assert str(position_of(node)) == f"{__file__}:{line}:12"


def test_two_nodes_on_a_line_differ_by_column():
    a, b = L(make)(), L(make)()
    assert position_of(a).line == position_of(b).line
    assert position_of(a).column < position_of(b).column


def test_position_of_one_argument():
    line = here(1)
    node = L(make)(
        x=1,
        y=2,
    )
    assert argument_position(node, "y").line == line + 2
    assert argument_position(node, "y").column == 9
    node.y = 3
    assert argument_position(node, "y").line == here(-1)
    assert argument_position(node, "unknown") == position_of(node)


def test_positions_of_attr_nodes():
    node = L(make)()
    assert position_of(attr(node, "x")).line == here()
    assert position_of(L.attr(node, "x")).line == here()
    assert position_of(L.method(node, "x")()).line == here()


def test_every_way_to_write_is_remembered():
    node = L(make)(x=1)
    first = here(1)
    node.x = 2
    node["x"] = 3
    node.update(x=4)
    node.setdefault("y", 5)
    del node.x
    node |= {"x": 6}
    node.pop("x")
    log = writes_of(node)
    assert [(w.key, w.value) for w in log] == [
        ("x", 2),
        ("x", 3),
        ("x", 4),
        ("y", 5),
        ("x", Write.DELETED),
        ("x", 6),
        ("x", Write.DELETED),
    ]
    assert all(w.origin.file == __file__ for w in log)
    assert [w.origin.line for w in log] == list(range(first, first + 7))
    assert [w.value for w in writes_of(node, "y")] == [5]


def test_writes_from_elsewhere():
    node = L(make)(x=[1])
    record_write(node, "x.0", 5, CommandLine("x.0=5", 2))
    record_write(node, "y", 6, FilePosition("a.yaml", 3, 4))
    assert [str(w.origin) for w in writes_of(node)] == ["override 2 'x.0=5'", "a.yaml:3:4"]
    assert [w.key for w in writes_of(node, "x")] == ["x.0"]


def test_a_loop_that_writes_does_not_fill_the_memory():
    node = Node()
    for i in range(5000):
        node.x = i
    log = writes_of(node)
    assert len(log) < 1000
    assert log[0].value == 0
    assert log[-1].value == 4999


def test_set_position():
    node = Node()
    assert position_of(node) is None
    set_position(node, FilePosition("conf.yaml", 7))
    assert str(position_of(node)) == "conf.yaml:7"


def test_copies_keep_position_and_writes():
    node = L(make)(x=1)
    node.x = 2
    other = node.copy()
    assert position_of(other) == position_of(node)
    assert [w.value for w in writes_of(other)] == [2]
    other.x = 3
    assert len(writes_of(node)) == 1
