"""${...}: on reading, in instantiate, in check."""

import copy
import re

import pytest

from lazycfg import CheckError, InterpolationError, Node, check, get_path, instantiate
from lazycfg import LazyCall as L
from lazycfg.config.building.check import examine
from lazycfg.config.tree.chains import chain_of
from lazycfg.config.tree.node import to_nodes


def cfg(**kwargs):
    return to_nodes(kwargs)


def make(**kwargs):
    return kwargs


def test_absolute_relative_and_text():
    c = cfg(a={"b": 1, "c": "${.b}", "d": "${..e}", "f": "${e}", "g": "n${.b}-${e}"}, e="E")
    assert (c.a.c, c.a.d, c.a.f, c.a.g) == (1, "E", "E", "n1-E")
    assert c["a"]["c"] == 1
    assert c.a.get("c") == 1
    assert dict(c.a) == {"b": 1, "c": 1, "d": "E", "f": "E", "g": "n1-E"}
    assert instantiate(c) == {"a": {"b": 1, "c": 1, "d": "E", "f": "E", "g": "n1-E"}, "e": "E"}


def test_a_list_counts_as_a_level():
    c = cfg(x=[{"a": 1, "b": "${.a}", "c": "${..1.a}", "d": "${...y}"}, {"a": 2}, "${.0.a}", "${..y}"], y=9)
    first = c.x[0]
    assert (first.b, first.c, first.d) == (1, 2, 9)
    built = instantiate(c)
    assert built["x"][0] == {"a": 1, "b": 1, "c": 2, "d": 9}
    assert built["x"][2:] == [1, 9]
    assert get_path(c, "x.2") == 1
    assert get_path(c, "x.3") == 9


def test_the_same_meaning_as_omegaconf():
    from omegaconf import OmegaConf

    tree = {
        "a": {"b": [{"x": 1, "y": "${.x}", "z": "${..1.x}", "w": "${...c}"}, {"x": 5}], "c": "k"},
        "d": ["${a.b.0.x}", "${a.b[1].x}", "${.0}", "${..a.c}", "pre_${a.c}_${.1}"],
        "e": "${a.c}${a.c}",
        "f": "${d}",
        "g": "\\${a.c}",
        "h": "${a.${e2}.1.x}",
        "e2": "b",
    }
    theirs = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
    assert instantiate(to_nodes(tree)) == theirs


@pytest.mark.parametrize("before", ["", "x", "${b}", "x\\y", "${b}z"])
@pytest.mark.parametrize("after", ["", "y", "\\", "${b}", "\\\\${b}"])
def test_backslashes_before_an_interpolation_mean_the_same_as_in_omegaconf(before, after):
    from omegaconf import OmegaConf

    texts = [before + "\\" * count + "${a}" + after for count in range(5)]
    tree = {"a": 1, "b": "B", "t": texts}
    theirs = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
    assert instantiate(to_nodes(tree)) == theirs
    assert get_path(to_nodes(tree), "t.2") == theirs["t"][2]


def test_instantiate_resolves_and_shares():
    c = cfg(
        model=L(make)(depth="${train.depth}", self="${.depth}", opt="${optimizer}"),
        optimizer=L(make)(lr="${train.lr}", tag="lr_${.lr}"),
        train={"depth": 50, "lr": 0.1},
    )
    built = instantiate(c)
    assert built["model"]["depth"] == built["model"]["self"] == 50
    assert built["optimizer"] == {"lr": 0.1, "tag": "lr_0.1"}
    assert built["model"]["opt"] is built["optimizer"]


def test_instantiate_of_a_part_sees_the_whole():
    c = cfg(model=L(make)(depth="${train.depth}", up="${..train.depth}"), train={"depth": 50})
    assert instantiate(c.model) == {"depth": 50, "up": 50}
    part = c.model
    del c
    assert instantiate(part) == {"depth": 50, "up": 50}
    assert instantiate(part.copy())["depth"] == 50


@pytest.mark.parametrize(
    "wrap",
    [
        lambda node: [node],
        lambda node: (1, node),
        lambda node: [[1], [[node]]],
        lambda node: [*[node.copy() for _ in range(40)], node],
        lambda node: make_hooks({"key": node}),
    ],
    ids=["list", "tuple", "lists", "long list", "dict"],
)
def test_instantiate_and_check_of_a_list_see_the_whole(wrap):
    c = cfg(hooks=wrap(L(make)(period="${train.n}")), train={"n": 3})
    whole = instantiate(c)["hooks"]
    assert instantiate(c.hooks) == whole
    assert examine(c.hooks).problems == []
    part = c.hooks
    c.train.pop("n")
    (problem, *_) = examine(part).problems
    assert (problem.path[0], problem.path[-1]) == ("hooks", "period")
    c.train.n = 4
    assert get_path(part, [*problem.path[1:]]) == 4
    other = cfg(others=copy.deepcopy(part), train={"n": 5})
    assert instantiate(other.others) == instantiate(other)["others"] != whole


def make_hooks(hooks):
    """A dict in a list stays one that is no node, when it is no part of a config file."""
    node = Node()
    node.hooks = [0]
    node.hooks[0] = hooks
    return node.hooks


def test_a_list_that_contains_itself_has_nothing_above():
    circle: list = []
    circle.append(circle)
    assert chain_of(circle) == [circle]


def test_a_container_found_by_interpolation_keeps_its_own_surroundings():
    c = cfg(a={"b": {"x": "${..y}"}, "y": 1}, z={"w": "${a.b}", "y": 2})
    assert instantiate(c)["z"]["w"] == {"x": 1}
    assert c.z.w.x == 1
    assert get_path(c, "z.w.x") == 1


def test_a_node_is_resolved_where_it_was_put_first():
    shared = L(make)(n="${..name}")
    first, second = Node(child=shared, name="first"), Node(child=shared, name="second")
    for _ in range(2):
        assert second.child.n == "first"
        assert first.child.n == "first"
    assert instantiate(first)["child"] == {"n": "first"}
    for refuse in (check, instantiate):
        with pytest.raises(CheckError, match=r"text 'first' in child, where .* text 'second' here.*copy\(\)"):
            refuse(second)
    second.child = shared.copy()
    assert second.child.n == instantiate(second)["child"]["n"] == "second"


def test_environment(monkeypatch):
    monkeypatch.setenv("LAZYCFG_TEST", "value")
    c = cfg(
        a="${oc.env:LAZYCFG_TEST}",
        b="x/${oc.env:LAZYCFG_TEST}/y",
        c="${oc.env:LAZYCFG_NOPE,default}",
        d="${oc.env:LAZYCFG_NOPE,${a}}",
        e="${oc.env:LAZYCFG_NOPE,null}",
        f="${oc.env:LAZYCFG_NOPE}",
        g="${oc.env:LAZYCFG_NOPE,'a, b'}",
    )
    assert (c.a, c.b, c.c, c.d, c.e) == ("value", "x/value/y", "default", "value", None)
    assert c.g == "a, b"
    with pytest.raises(InterpolationError, match="LAZYCFG_NOPE"):
        _ = c.f


def test_resolvers_registered_with_omegaconf():
    from resolver_registry import register

    register("lazycfg_add", lambda *numbers: sum(numbers))
    register("lazycfg_pair", lambda a, b: {"a": a, "b": [b]})
    register("lazycfg_fail", lambda: 1 / 0)
    c = cfg(
        n=4,
        a="${lazycfg_add:1,2}",
        b="${lazycfg_add:${n},${.a},10}",
        c="${lazycfg_pair:x,${n}}",
        d="v${lazycfg_add:1,1}",
        e="${lazycfg_add:${lazycfg_add:1,1},${n}}",
        f="${lazycfg_fail:}",
        g="${lazycfg_nope:1}",
        h="${oc.select:nothing.here,5}",
        i="${oc.dict.keys:j}",
        j={"k": 1, "l": 2},
        k="${oc.dict.values:j}",
        m="${oc.decode:'[1, 2]'}",
    )
    assert (c.a, c.b, c.d, c.e, c.h) == (3, 17, "v2", 6, 5)
    assert c.c == {"a": "x", "b": [4]}
    assert type(c.c) is Node
    assert c.i == ["k", "l"]
    assert c.k == [1, 2]
    assert c.m == [1, 2]
    with pytest.raises(InterpolationError, match=r"ZeroDivisionError|division"):
        _ = c.f
    with pytest.raises(InterpolationError, match="no resolver 'lazycfg_nope'"):
        _ = c.g


def test_circles_are_refused_with_the_texts():
    c = cfg(a="${b}", b="${c}", c="x${a}", d="${d}")
    for key in "abcd":
        with pytest.raises(InterpolationError, match="circle"):
            _ = c[key]
    inside = cfg(m={"x": "${m}"})
    with pytest.raises(ValueError, match="leads back"):
        instantiate(inside)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${nope}", "did you mean 'note'"),
        ("${a.bb}", "did you mean 'b'"),
        ("${....x}", "goes up 4 containers"),
        ("${a.b", "'}' is missing"),
        ("x ${a}", "cannot be put into a text"),
        ("${}", "empty"),
        ("${a..b}", "empty key"),
    ],
)
def test_what_cannot_be_resolved(text, message):
    c = cfg(a={"b": 1}, note=1, x=text)
    with pytest.raises(InterpolationError) as caught:
        _ = c.x
    assert message in str(caught.value)
    assert issubclass(InterpolationError, ValueError)


def test_writes_keep_the_text():
    c = cfg(a=1, b="${a}")
    assert dict.__getitem__(c, "b") == "${a}"
    copied = c.copy()
    copied.a = 2
    assert copied.b == 2
    assert c.b == 1


def test_a_list_that_was_read_from_a_config_knows_what_is_above_it():
    c = cfg(
        train={"n": 3},
        hooks=[L(dict)(period="${train.n}"), L(dict)(other="${..0.period}")],
        pair=(1, L(dict)(n="${train.n}")),
        deep=[["${train.n}", {"x": L(dict)(n="${train.n}")}]],
    )
    assert instantiate(c.hooks) == [{"period": 3}, {"other": 3}]
    assert instantiate(c.pair) == (1, {"n": 3})
    assert instantiate(c.deep) == [[3, {"x": {"n": 3}}]]
    assert instantiate(c.deep[0]) == [3, {"x": {"n": 3}}]
    assert check(c.deep) == []
    c.hooks[1].other = "${no}"
    assert [p.path for p in check(c.hooks, raises=False)] == [("hooks", 1, "other")]


@pytest.mark.parametrize("value", [["${.1}", 2], ("${.1}", 2), {"a": "${b}", "b": 2}])
def test_containers_that_no_node_holds(value):
    built = instantiate(value)
    assert type(built) is type(value)
    assert set(built.values() if isinstance(built, dict) else built) == {2}
    assert check(value) == []


@pytest.mark.parametrize("before", ["", "x", "x/", "${a}", "\\ ", "\\y"])
@pytest.mark.parametrize("count", range(6))
def test_backslashes_mean_what_they_mean_to_omegaconf(before, count):
    from omegaconf import OmegaConf

    text = f"{before}{chr(92) * count}${{a}}z"
    assert cfg(a="v", t=text).t == OmegaConf.create({"a": "v", "t": text}).t


def test_a_computed_text_is_no_interpolation(monkeypatch):
    from resolver_registry import register

    monkeypatch.setenv("LAZYCFG_SECRET", "secret")
    register("lazycfg_same", lambda text: text)
    for slashes in ("", "\\", "\\\\"):
        c = cfg(a="$", b=f"{slashes}${{a}}{{oc.env:LAZYCFG_SECRET}}", c="${lazycfg_same:${b}}")
        assert "secret" not in c.c
        assert c.c == c.b


def test_texts_that_double_each_other_end_in_an_error():
    cfg = Node(a0="xy", **{f"a{i}": f"${{a{i - 1}}}${{a{i - 1}}}" for i in range(1, 40)})
    assert cfg.a8 == "xy" * 256
    with pytest.raises(InterpolationError, match=r"'\$\{a38\}\$\{a38\}' leads to more than 2,500 others"):
        _ = cfg.a39
    cfg.a0 = "x" * 1000
    with pytest.raises(InterpolationError, match=r"gives a text of 2,048,000 characters"):
        _ = cfg.a11


def test_a_long_list_of_interpolations_is_read():
    cfg = Node(n=3, steps=["${n}"] * 6000, table=({"a": "${n}"},) * 2)
    assert check(cfg, raises=False) == []
    assert cfg.steps == instantiate(cfg)["steps"] == [3] * 6000


def test_many_texts_that_are_much_work_end_in_errors():
    """What is resolved stays in proportion to the size of the config."""
    wide = Node(x="", t="${x}" * 2000, b=["${t}"] * 4000)
    long = Node(x="x" * 1_000_000, b=["${x}y"] * 4000)
    keys = Node(x={f"k{i}": 1 for i in range(20_000)}, b=["${oc.dict.values:x}"] * 4000)
    for cfg in (wide, long, keys):
        problems = check(cfg, raises=False)
        assert 3000 < len(problems) < 4001
        expected = "lead to more than 20 others each, on average|give more than 64 MB together"
        assert re.search(expected, problems[-1].message)
        with pytest.raises(InterpolationError, match=expected):
            _ = cfg.b


def test_what_all_interpolations_of_a_config_give_is_bounded():
    big = {f"k{i}": 1 for i in range(1000)}
    cfg = Node(big=big, **{f"a{i}": "${oc.dict.values:big}" for i in range(3000)})
    assert cfg.a2999 == [1] * 1000
    expected = r"the interpolations of the config, up to .*, give more than 64 MB together"
    assert re.search(expected, check(cfg, raises=False)[-1].message)
    for walk in (instantiate, lambda node: dict(node.items()), lambda node: list(node.values()), Node.args):
        with pytest.raises(ValueError, match=expected):
            walk(cfg)


def test_nesting_without_end_is_an_error_of_its_own():
    cfg = Node(x=1, text="${oc.select:" * 3000 + "x" + "}" * 3000)
    with pytest.raises(InterpolationError, match="braces are nested more than 100 deep"):
        _ = cfg.text
    assert "more than 100 deep" in check(cfg, raises=False)[0].message
    cfg = Node(**{f"k{i}": [f"${{k{i + 1}}}"] for i in range(3000)}, k3000=1)
    with pytest.raises(InterpolationError, match="nested too deep to be read"):
        _ = cfg.k0


def test_a_long_way_from_text_to_text_ends_in_an_error():
    cfg = Node(a0=1, **{f"a{i}": f"${{a{i - 1}}}" for i in range(1, 1500)})
    assert cfg.a100 == 1
    with pytest.raises(
        InterpolationError, match=r"'\$\{a1498\}' leads through more than 100 others in a row"
    ):
        _ = cfg.a1499
    with pytest.raises(CheckError, match="a1499"):
        check(cfg)
