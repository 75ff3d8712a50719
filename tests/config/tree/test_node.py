"""Nodes: dicts whose arguments are attributes too."""

import copy
import pickle
import warnings

import pytest

from lazycfg import REQUIRED, Node
from lazycfg import LazyCall as L


class Thing:
    def __init__(self, *, x=1, y=None, items=()):
        self.x, self.y, self.items = x, y, items


def test_attributes_and_items_are_the_same():
    node = L(Thing)(x=1, y=L(Thing)(x=2))
    assert node.x == node["x"] == 1
    node.y.x = 5
    assert node["y"]["x"] == 5
    node["y"]["new"] = 6
    assert node.y.new == 6
    del node.y.new
    assert "new" not in node.y
    del node["x"]
    assert list(node) == ["_target_", "y"]


def test_edit_after_nesting_is_seen_through_every_parent():
    inner = L(Thing)(x=1)
    first, second = L(Thing)(y=inner), L(Thing)(y=[inner])
    inner.x = 7
    assert first.y is inner
    assert first.y.x == second.y[0].x == 7


def test_plain_containers_stay_what_they_are():
    a_list, a_tuple, a_dict = [1], (1, 2), {"k": 1}
    node = L(Thing)(x=a_list, y=(a_tuple, a_dict))
    assert node.x is a_list
    assert node.y[0] is a_tuple
    assert node.y[1] is a_dict
    assert type(node.y[1]) is dict


def test_a_dict_assigned_into_a_node_becomes_a_node():
    node = Node()
    node.train = {"ddp": {"unused": True}, "lr": 0.1}
    assert node.train.ddp.unused is True
    node["other"] = {"a": 1}
    assert node.other.a == 1
    node.update(more={"b": 2})
    assert node.more.b == 2


def test_dict_methods():
    node = L(Thing)(x=1)
    assert node.get("x") == 1
    assert node.get("nope", 3) == 3
    assert node.setdefault("y", 4) == 4
    assert node.pop("y") == 4
    assert node.pop("y", None) is None
    assert len(node) == 2
    assert dict(node.items()) == {"_target_": Thing, "x": 1}
    assert list(node.values()) == [Thing, 1]
    node.update({"x": 2}, y=3)
    assert node.args() == {"x": 2, "y": 3}
    node |= {"x": 9}
    assert node.x == 9
    assert (node | {"x": 10}).x == 10
    assert node.x == 9
    assert node.popitem() == ("y", 3)
    node.clear()
    assert not node


def test_unpacking():
    node = Node(a=1, b="${.a}")
    assert dict(**node) == {"a": 1, "b": 1}
    assert {**node} == {"a": 1, "b": 1}


def test_missing_names_are_errors_with_a_suggestion():
    node = Node(in_channels=3)
    with pytest.raises(AttributeError, match="did you mean 'in_channels'"):
        _ = node.in_chanels
    with pytest.raises(KeyError, match="did you mean 'in_channels'"):
        _ = node["in_chanels"]
    with pytest.raises(AttributeError):
        del node.nope
    with pytest.raises(KeyError):
        node.pop("nope")
    assert not hasattr(node, "nope")


def test_argument_named_like_a_method_warns_and_is_an_item():
    with pytest.warns(UserWarning, match=r"node\['items'\]") as caught:
        node = L(Thing)(items=(1, 2))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert node["items"] == (1, 2)
    assert callable(node.items)
    assert dict(node.items())["items"] == (1, 2)


def test_ordinary_arguments_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        L(Thing)(x=1)


def test_deepcopy_keeps_sharing_inside_and_lets_go_outside():
    shared = L(Thing)(x=1)
    node = L(Thing)(x=[shared, (shared, {"k": shared})], y=shared)
    for other in (copy.deepcopy(node), node.copy()):
        assert other == node
        assert other.y is other.x[0] is other.x[1][0] is other.x[1][1]["k"]
        assert other.y is not shared
        other.y.x = 2
        assert shared.x == 1


def test_deepcopy_through_an_outer_object_keeps_sharing():
    shared = L(Thing)(x=1)
    outer = {"a": shared, "b": [L(Thing)(y=shared)]}
    other = copy.deepcopy(outer)
    assert other["a"] is other["b"][0].y


def test_deepcopy_copies_leaf_objects_once():
    class Leaf:
        pass

    leaf = Leaf()
    other = copy.deepcopy(L(Thing)(x=leaf, y=[leaf]))
    assert other.x is other.y[0]
    assert other.x is not leaf


def test_copy_is_shallow_by_the_copy_module():
    inner = L(Thing)(x=1)
    node = L(Thing)(y=inner)
    other = copy.copy(node)
    assert other == node
    assert other.y is inner
    other.x = 3
    assert "x" not in node


def test_pickle_keeps_arguments_and_position():
    from lazycfg.config.tree.position import position_of

    node = L(Thing)(x=1, y=[REQUIRED])
    other = pickle.loads(pickle.dumps(node))
    assert type(other) is Node
    assert other == node
    assert other.y[0] is REQUIRED
    assert str(position_of(other)) == str(position_of(node))


def test_equality_of_very_deep_trees():
    def chain(depth, last):
        node = L(Thing)(x=last)
        for _ in range(depth):
            node = L(Thing)(y=[node])
        return node

    assert chain(3000, 1) == chain(3000, 1)
    assert chain(3000, 1) != chain(3000, 2)
    assert L(Thing)(x=1) != 3
    assert Node(a=1) == {"a": 1}


def test_equality_with_arrays():
    import numpy as np

    assert Node(a=np.arange(3)) == Node(a=np.arange(3))
    assert Node(a=np.arange(3)) != Node(a=np.zeros(3))


def test_nodes_are_not_hashable():
    with pytest.raises(TypeError):
        hash(Node())


def test_repr_reads_like_the_source():
    node = L(Thing)(x=[L(Thing)(), (1,)], y={"k": "v"})
    assert repr(node) == "L(Thing)(x=[L(Thing)(), (1,)], y={'k': 'v'})"
    assert repr(Node(a=1)) == "{'a': 1}"


def test_repr_of_a_huge_or_circular_tree_is_short():
    node = L(Thing)(x=list(range(100_000)))
    assert len(repr(node)) < 10_000
    node.y = node
    assert "..." in repr(node)


def test_required_is_one_object():
    assert copy.deepcopy(REQUIRED) is REQUIRED
    assert copy.copy(REQUIRED) is REQUIRED
    assert pickle.loads(pickle.dumps(REQUIRED)) is REQUIRED
    assert repr(REQUIRED) == "REQUIRED"


def test_to_nodes_converts_each_dict_once():
    from lazycfg.config.tree.node import to_nodes

    shared = {"a": 1}
    root = to_nodes({"x": shared, "y": [shared, (shared, 2)], "z": L(Thing)(x=shared)})
    assert type(root) is Node
    assert type(root.x) is Node
    assert root.x is root.y[0] is root.y[1][0] is root.z.x
    assert type(root.y) is list
    assert type(root.y[1]) is tuple


def test_no_argument_name_clashes_with_what_the_node_remembers():
    with pytest.warns(UserWarning, match="named like"):
        node = L(Thing)(_lz_code=1, _lz_parent=2, __class__=3)
    assert node["_lz_code"] == 1
    assert type(node) is Node
