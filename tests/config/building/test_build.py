"""instantiate()."""

import collections
import dataclasses
import functools
import json
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import REQUIRED, CheckError, LazyPartial, Node, instantiate
from lazycfg import LazyCall as L
from lazycfg.config import CycleError
from lazycfg.config.tree.node import to_nodes


class Box:
    """Remembers how it was called."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def __eq__(self, other):
        return type(other) is type(self) and (self.args, self.kwargs) == (other.args, other.kwargs)

    __hash__ = object.__hash__

    def __repr__(self):
        return f"Box{self.args}{self.kwargs}"


class Strict:
    def __init__(self, *, x: int, y: str = "y", child=None):
        self.x, self.y, self.child = x, y, child


@dataclasses.dataclass
class Data:
    a: object
    b: int = 2


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: object


class Pair(typing.NamedTuple):
    left: object
    right: object


def test_what_is_written_arrives():
    obj = object()
    data = Data(1)
    built = instantiate(
        L(Box)(t=(1, [2]), l=[1, (2,)], d={"a": {"b": 1}, 3: 4}, o=obj, n=None, f=len, c=Box, data=data)
    )
    k = built.kwargs
    assert k["t"] == (1, [2])
    assert type(k["t"]) is tuple
    assert type(k["l"]) is list
    assert type(k["d"]) is dict
    assert type(k["d"]["a"]) is dict
    assert k["d"] == {"a": {"b": 1}, 3: 4}
    assert k["o"] is obj
    assert k["f"] is len
    assert k["c"] is Box
    assert k["data"] is data


def test_nodes_inside_containers_are_built():
    node = L(Box)(i=1)
    data, frozen, pair = Data(node), Frozen((node,)), Pair(node, 2)
    ordered = collections.OrderedDict(b=node, a=1)
    tree = {"l": [node], "t": (0, node), "d": {"k": node}, "data": data, "f": frozen, "p": pair, "o": ordered}
    built = instantiate(L(dict)(**tree))
    one = built["l"][0]
    assert one == Box(i=1)
    assert built["t"] == (0, one)
    assert built["d"] == {"k": one}
    assert built["data"] == Data(one)
    assert built["f"] == Frozen((one,))
    assert built["p"] == Pair(one, 2)
    assert type(built["p"]) is Pair
    assert list(built["o"].items()) == [("b", one), ("a", 1)]
    assert type(built["o"]) is collections.OrderedDict
    found = [
        built["t"][1],
        built["d"]["k"],
        built["data"].a,
        built["f"].a[0],
        built["p"].left,
        built["o"]["b"],
    ]
    assert all(f is one for f in found)
    assert data.a is node, "the config itself is left alone"


def test_loaded_dicts_are_built_as_plain_dicts():
    built = instantiate(to_nodes({"a": {"b": [L(Box)()]}}))
    assert type(built) is dict
    assert type(built["a"]) is dict
    assert built == {"a": {"b": [Box()]}}


def test_built_containers_are_not_those_of_the_config():
    values = [1, 2]
    node = L(Box)(first=values, same=values)
    built = instantiate(node)
    assert built.kwargs["first"] is built.kwargs["same"]
    built.kwargs["first"].append(3)
    assert values == [1, 2]
    assert instantiate(node).kwargs["first"] == [1, 2]


def test_a_shared_node_is_built_once_in_one_call():
    shared = L(Box)()
    node = L(Box)(shared, [shared], x={"k": shared})
    built = instantiate(node)
    assert built.args[0] is built.args[1][0] is built.kwargs["x"]["k"]
    assert instantiate(node).args[0] is not built.args[0]
    first, second = instantiate([shared, shared.copy()])
    assert first is not second


def test_edits_after_nesting_are_built():
    inner, plain = L(Box)(x=1), {"k": 1}
    node = L(Box)(inner=inner, plain=plain)
    inner.x = 2
    plain["k"] = 2
    built = instantiate(node)
    assert built.kwargs["inner"].kwargs["x"] == 2
    assert built.kwargs["plain"] == {"k": 2}


def test_order_is_that_of_the_source():
    order = []

    def note(name, *rest):
        order.append(name)

    instantiate(L(note)("root", L(note)("a", L(note)("b")), [L(note)("c"), (L(note)("d"),)]))
    assert order == ["b", "a", "c", "d", "root"]


def test_extra_arguments():
    live = [1]
    node = L(Box)(x=1)
    built = instantiate(node, x=2, y=live, z=[L(Box)(i=1)])
    assert built.kwargs["x"] == 2
    assert built.kwargs["y"] is live
    assert built.kwargs["z"] == [Box(i=1)]
    assert node.args() == {"x": 1}
    assert instantiate(L(Strict)(), x=3).x == 3
    with pytest.raises(CheckError, match="did you mean 'child'"):
        instantiate(L(Strict)(x=1), chil=3)
    with pytest.raises(TypeError):
        instantiate([1], x=2)


def test_what_is_no_node_is_returned():
    obj = object()
    assert instantiate(obj) is obj
    assert instantiate(3) == 3
    assert instantiate((L(Box)(), 1)) == (Box(), 1)


def test_live_objects_as_arguments():
    model = Box(1)
    node = L(Box)(model=L(Box)())
    node.model = model
    assert instantiate(node).kwargs["model"] is model


def test_partial_of_a_partial_and_of_text():
    built = instantiate(LazyPartial("builtins.int")(base=2))
    assert built("101") == 5
    built = instantiate(L.partial(functools.partial(Box, 1))(x=L(Box)()))
    assert built() == Box(1, x=Box())


def test_the_callee_may_be_any_callable():
    class Callable:
        def __call__(self, x):
            return x + 1

    assert instantiate(L(Callable())(x=1)) == 2
    assert instantiate(L(Box(1).__repr__)()) == "Box(1,){}"
    assert instantiate(L(lambda x: x * 2)(x=4)) == 8


def test_a_failing_constructor_keeps_its_error_and_says_where():
    class MyError(Exception):
        pass

    def fail(*, x):
        raise MyError("no good")

    cfg = to_nodes({"model": L(Box)(parts=[L(Box)(), L(fail)(x=1)])})
    cfg.model.kwargs_set_later = 1
    cfg.model.parts[1].x = 3
    with pytest.raises(MyError) as caught:
        instantiate(cfg.model)
    assert str(caught.value) == "no good"
    (note,) = caught.value.__notes__
    assert "config path 'model.parts.1'" in note
    assert "fail" in note
    assert f"written at {__file__}:" in note
    assert f"model.parts.1.x set at {__file__}:" in note


def test_an_error_names_the_line_of_the_users_own_code_once():
    def look_up(key):
        return {}[key]

    def made(*, key):
        return instantiate(L(look_up)(key=key))  # a note of its own

    with pytest.raises(KeyError) as caught:
        instantiate({"head": L(made)(key=1)})
    notes = "\n".join(caught.value.__notes__)
    line = look_up.__code__.co_firstlineno + 1
    assert notes.count("raised ") == 1
    assert f"\n  raised at {__file__}:{line}, in {look_up.__qualname__.replace('.<locals>', '')}" in notes


def test_what_a_library_raises_names_the_own_line_that_called_it():
    def parsed(*, text):
        return json.loads(text)

    with pytest.raises(json.JSONDecodeError) as caught:
        instantiate(L(parsed)(text="{"))
    (note,) = caught.value.__notes__
    assert f"\n  raised by a call at {__file__}:{parsed.__code__.co_firstlineno + 1}, in " in note
    with pytest.raises(json.JSONDecodeError) as caught:
        instantiate(L(json.loads)(s="{"))
    (note,) = caught.value.__notes__
    assert "raised" not in note


def test_a_failing_node_that_was_put_there_names_who_put_it():
    from lazycfg.config.tree.position import CommandLine, record_write

    def fail():
        raise OSError("disk")

    cfg = Node(model=L(Box)(head=L(fail)()))
    record_write(cfg, "model.head", "@fail", CommandLine("model.head=@fail", 1))
    with pytest.raises(OSError, match="disk") as caught:
        instantiate(cfg)
    assert "set by override 1 'model.head=@fail'" in caught.value.__notes__[0]


def test_problems_are_found_before_anything_is_built():
    built = []
    cfg = L(Box)(
        a=L(built.append)(1),
        b=L(Strict)(y="s"),
        c=L(Strict)(x=1, why=2),
        d=L(Strict)(x=REQUIRED),
        e=["???"],
        f="${nowhere}",
        g=L("collections.Countr")(),
    )
    with pytest.raises(CheckError) as caught:
        instantiate(cfg)
    assert built == []
    kinds = [p.kind for p in caught.value.problems]
    assert kinds == [
        "missing argument",
        "unknown argument",
        "required",
        "required",
        "interpolation",
        "target",
    ]


def test_a_decorator_that_fills_in_an_argument_is_not_second_guessed():
    def inject(function):
        @functools.wraps(function)
        def wrapper(**kwargs):
            return function(hidden=1, **kwargs)

        return wrapper

    @inject
    def make(*, hidden, x):
        return hidden, x

    assert instantiate(L(make)(x=2)) == (1, 2)


def test_cycles_are_refused_with_the_path():
    node = L(Box)(a=L(Box)(b=[1]))
    node.a.b.append(node)
    with pytest.raises(CycleError, match=r"'a\.b\.1' leads back to 'the root'"):
        instantiate(node)


def test_deep_chain():
    node = L(Box)(0)
    for _ in range(5000):
        node = L(Box)(node)
    built = instantiate(node)
    depth = 0
    while isinstance(built, Box):
        built, depth = built.args[0], depth + 1
    assert depth == 5001
    assert len(node.copy()) == 2


def test_a_hundred_thousand_nodes():
    node = L(Box)(children=[L(Box)(x=i, y=L(Strict)(x=i)) for i in range(50_000)])
    built = instantiate(node)
    assert len(built.kwargs["children"]) == 50_000
    assert built.kwargs["children"][-1].kwargs["y"].x == 49_999


def test_many_references_to_shared_nodes_stay_linear():
    node = L(Box)(0)
    for _ in range(200):
        node = L(Box)(node, [node], {"k": node})
    built = instantiate(node)
    assert built.args[0] is built.args[1][0] is built.args[2]["k"]


def test_torch_random_numbers_are_drawn_as_in_direct_construction():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    direct = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Linear(3, 1))
    torch.manual_seed(0)
    lazy = instantiate(
        L(nn.Sequential)(
            L(nn.Linear)(2, 3), L(nn.Sequential)(L(nn.Linear)(3, 3), L(nn.ReLU)()), L(nn.Linear)(3, 1)
        )
    )
    assert all(torch.equal(a, b) for a, b in zip(direct.parameters(), lazy.parameters(), strict=True))
    with torch.device("meta"):
        assert instantiate(L(nn.Linear)(2, 3)).weight.is_meta


# Random trees: a recipe is turned into a lazy tree and into objects directly.

leaves = st.one_of(
    st.none(), st.integers(), st.booleans(), st.text("ab", max_size=3), st.floats(allow_nan=False)
)
names = st.sampled_from(["x", "y", "z", "data"])


def extend(inner):
    return st.one_of(
        st.tuples(st.just("list"), st.lists(inner, max_size=3)),
        st.tuples(st.just("tuple"), st.lists(inner, max_size=3)),
        st.tuples(st.just("dict"), st.dictionaries(names, inner, max_size=3)),
        st.tuples(st.just("data"), inner),
        st.tuples(st.just("frozen"), inner),
        st.tuples(st.just("pair"), st.tuples(inner, inner)),
        st.tuples(
            st.just("call"), st.tuples(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=3))
        ),
        st.tuples(st.just("partial"), st.dictionaries(names, inner, max_size=3)),
        st.tuples(st.just("share"), st.integers(0, 20)),
    )


recipes = st.recursive(st.tuples(st.just("leaf"), leaves), extend, max_leaves=25)


class Partial(Box):
    """What both ways make of a partial, so that it can be compared."""


def make(recipe, call, partial, seen):
    """The value of a recipe; "share" is a call made before."""
    kind, content = recipe
    if kind == "leaf":
        return content
    if kind == "share":
        return seen[content % len(seen)] if seen else None
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(make(r, call, partial, seen) for r in content)
    if kind == "dict":
        return {k: make(r, call, partial, seen) for k, r in content.items()}
    if kind == "data":
        return Data(make(content, call, partial, seen))
    if kind == "frozen":
        return Frozen(make(content, call, partial, seen))
    if kind == "pair":
        return Pair(*(make(r, call, partial, seen) for r in content))
    if kind == "call":
        args = [make(r, call, partial, seen) for r in content[0]]
        made = call(*args, **{k: make(r, call, partial, seen) for k, r in content[1].items()})
    else:
        made = partial(**{k: make(r, call, partial, seen) for k, r in content.items()})
    seen.append(made)
    return made


def shape(value, numbers):
    """A value as nested tuples in which each object that can be shared has a number."""
    if isinstance(value, functools.partial):
        value = value()
        return ("partial", shape(value.kwargs, numbers))
    if isinstance(value, Box):
        new = id(value) not in numbers
        number = numbers.setdefault(id(value), len(numbers))
        inner = (shape(value.args, numbers), shape(value.kwargs, numbers)) if new else ()
        return ("box", number, *inner)
    if isinstance(value, dict):
        return ("dict", type(value), tuple((k, shape(v, numbers)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value), tuple(shape(v, numbers) for v in value))
    if isinstance(value, (Data, Frozen)):
        return (type(value), shape(value.a, numbers))
    return (type(value), value)


@settings(max_examples=150, deadline=None)
@given(recipes)
def test_random_trees_build_as_direct_construction(recipe):
    recipe = ("call", ([recipe], {}))
    direct = make(recipe, Box, lambda **k: functools.partial(Partial, **k), [])
    lazy = make(recipe, L(Box), LazyPartial(Partial), [])
    assert shape(instantiate(lazy), {}) == shape(direct, {})
    copied = lazy.copy()
    assert copied == lazy or "nan" in repr(lazy)
    assert shape(instantiate(copied), {}) == shape(direct, {})


class Stretched(dict):
    def __init__(self, *, width, scale=1.0):
        super().__init__(width=width, scale=scale)


class Smoothed(Stretched):
    def __init__(self, *, smoothing=0.1, **kwargs):
        super().__init__(**kwargs)


def test_a_misspelled_argument_that_a_class_hands_on_gets_the_nearest_name_of_its_bases():
    with pytest.raises(TypeError, match="'scal'") as error:
        instantiate({"head": L(Smoothed)(width=3, scal=2.0)})
    assert "'scal' is no argument of it; did you mean 'scale'?" in "\n".join(error.value.__notes__)


def test_a_misspelled_argument_of_something_else_gets_no_name_of_the_call():
    def inner(width):
        return Stretched(width=width, scal=2.0)

    with pytest.raises(TypeError) as error:
        instantiate({"head": L(inner)(width=3)})
    assert "did you mean" not in "\n".join(error.value.__notes__)
