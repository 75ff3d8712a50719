"""What a config means is one thing: reading, check and instantiate agree, whatever was read before."""

import contextlib
import copy
import pickle
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import (
    REQUIRED,
    CheckError,
    ConfigError,
    InterpolationError,
    LazyConfig,
    Node,
    check,
    instantiate,
)
from lazycfg import LazyCall as L
from lazycfg.config import RequiredError, get_path, to_nodes
from lazycfg.config.building.check import examine


def make(**kwargs):
    return kwargs


class Part:
    def __init__(self, x=0, y=2, **more):
        self.x, self.y, self.more = x, y, more


# ---------------------------------------------------------------- parents


def shared_config():
    part = L(make)(x="${..v}")
    return L(make)(a=L(make)(v=1, part=part), b=L(make)(v=2, part=part))


def test_reading_does_not_change_what_a_shared_node_means():
    cfg = shared_config()
    part = cfg.b.part
    for _ in range(2):
        assert (part.x, cfg.a.part.x, cfg.b.part.x, get_path(cfg, "b.part.x")) == (1, 1, 1, 1)
    cfg.a.v = 5
    assert cfg.b.part.x == 5


def test_two_threads_read_the_same():
    cfg = shared_config()
    wrong = []

    def read(side):
        for _ in range(5000):
            if getattr(cfg, side).part.x != 1:
                wrong.append(side)

    threads = [threading.Thread(target=read, args=(side,)) for side in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("refuse", [check, instantiate])
def test_a_shared_node_with_two_meanings_is_refused(refuse):
    cfg = shared_config()
    with pytest.raises(CheckError) as caught:
        refuse(cfg)
    (problem,) = caught.value.problems
    assert (problem.kind, problem.path) == ("interpolation", ("b", "part", "x"))
    assert "means int 1 in a.part, where this node was put first, and int 2 here" in str(problem)
    assert ".copy()" in str(problem)
    cfg.b.part = cfg.b.part.copy()
    assert (cfg.a.part.x, cfg.b.part.x) == (1, 2)
    assert refuse(cfg) in ([], {"a": {"v": 1, "part": {"x": 1}}, "b": {"v": 2, "part": {"x": 2}}})


def test_a_shared_node_with_one_meaning_is_shared():
    cfg = shared_config()
    cfg.b.v = 1
    assert check(cfg) == []
    built = instantiate(cfg)
    assert built["a"]["part"] is built["b"]["part"] == {"x": 1}
    del cfg.b.v  # there it would mean nothing: it has its meaning from the first place
    assert check(cfg) == []


def test_a_shared_list_with_two_meanings_is_refused():
    values = ["${..v}"]
    cfg = Node(a=L(make)(v=1, parts=values), b=L(make)(v=2, parts=values))
    assert [p.path for p in check(cfg, raises=False)] == [("b", "parts", 0)]


def test_a_node_that_was_moved_is_looked_at_where_it_is():
    cfg = Node(a=Node(v=1, head=L(make)(x="${..v}")), b=Node(v=2))
    cfg.b.head = cfg.a.head
    assert cfg.b.head.x == 1
    del cfg.a.head
    assert cfg.b.head.x == instantiate(cfg)["b"]["head"]["x"] == 2
    cfg.a = Node(v=3, inner=Node(v=4, head=cfg.b.pop("head")))
    assert cfg.a.inner.head.x == 4


def test_a_wrapper_takes_the_place_of_what_it_wraps():
    cfg = Node(model=L(make)(v=1, net=L(make)(x="${..v}", y="${w}")), w=7)
    cfg.model = L(make)(v=2, net=cfg.model.net)
    assert cfg.model.net == {"_target_": make, "x": "${..v}", "y": "${w}"}
    assert (cfg.model.net.x, cfg.model.net.y) == (2, 7)
    assert instantiate(cfg)["model"]["net"] == {"x": 2, "y": 7}
    assert instantiate(L(make)(module=cfg.model.net))["module"] == {"x": 2, "y": 7}


def test_nodes_that_list_methods_put_in_place():
    cfg = Node(n=3, hooks=[])
    cfg.hooks.append(L(make)(period="${n}"))
    cfg.hooks.insert(0, L(make)(period="${..1.period}"))
    assert [hook.period for hook in cfg.hooks] == [3, 3]
    assert instantiate(cfg.hooks) == [{"period": 3}, {"period": 3}]


def test_a_chain_of_parts_keeps_its_root():
    part = Node(n=3, m=L(make)(k=[L(make)(x="${n}")])).m
    assert part.k[0].x == 3
    assert instantiate(part) == {"k": [{"x": 3}]}


def test_the_parents_of_a_loaded_config_are_in_it(tmp_path):
    (tmp_path / "base.py").write_text(
        "from lazycfg import LazyCall as L\nwidth = 1\npart = L(dict)(x='${..width}', y='${width}')\n"
        "old = L(dict)(width=2, part=part)\n"
    )
    (tmp_path / "c.py").write_text(
        "from .base import old, part, width\nfrom lazycfg import LazyCall as L\nwidth = 3\n"
        "model = L(dict)(width=4, part=part)\ndel old, part\n"
    )
    cfg = LazyConfig.load(tmp_path / "c.py")
    assert (cfg.model.part.x, cfg.model.part.y) == (4, 3)
    assert instantiate(cfg)["model"]["part"] == {"x": 4, "y": 3}


def test_an_extra_argument_counts_for_what_is_inside():
    cfg = Node(opt=L(make)(lr=1, groups=[L(make)(lr="${...lr}")], inner=L(make)(lr="${..lr}")))
    assert instantiate(cfg.opt, lr=2) == {"lr": 2, "groups": [{"lr": 2}], "inner": {"lr": 2}}
    assert cfg.opt.inner.lr == 1


# ---------------------------------------------------------------- elements of lists


def test_elements_are_read_like_values_of_dicts():
    cfg = Node(n=5, steps=["${n}", 1, ("${..1}", {"a": "${n}", "b": ["${..a}"]})], model=L(make)(x=1))
    cfg.parts = ["${model}"]
    assert cfg.steps[0] == 5
    assert cfg.steps == instantiate(cfg)["steps"] == [5, 1, (1, {"a": 5, "b": [5]})]
    assert cfg.steps[2][1]["a"] == 5
    assert cfg.steps[2][1]["b"] == [5]
    assert cfg.parts[0] is cfg.model
    assert get_path(cfg, "steps")[0] == get_path(cfg, "steps.0") == 5
    assert L(make)(z={"a": "${.b}", "b": 1}).z["a"] == 1
    assert list(cfg.steps)[:2] == [5, 1]


def test_a_list_with_interpolations_is_not_changed_where_it_was_read():
    cfg = Node(n=5, steps=["${n}"], plain=[1])
    for change in (
        lambda steps: steps.append(1),
        lambda steps: steps.__setitem__(0, 1),
        lambda steps: steps.__iadd__([1]),
        lambda steps: steps.sort(),
    ):
        with pytest.raises(ConfigError, match=r"cfg.values = \[\*cfg.values, 1\]"):
            change(cfg.steps)
    with pytest.raises(ConfigError, match="dict of the config"):
        L(make)(z={"a": "${.b}", "b": 1}).z.update(a=3)
    cfg.steps = [*cfg.steps, 6]
    assert cfg.steps == [5, 6]
    cfg.plain.append(2)
    assert cfg.plain == [1, 2]


def test_a_list_that_was_read_and_put_elsewhere_is_a_list():
    cfg = Node(n=5, steps=["${n}", ["${n}"]])
    node = L(make)(steps=cfg.steps)
    node.more = cfg.steps
    for value in (*node.args().values(), pickle.loads(pickle.dumps(cfg.steps)), copy.deepcopy(cfg.steps)):
        assert type(value) is list
        assert value == [5, [5]]
        assert type(value[1]) is list


def test_lists_that_double_each_other_are_read_in_no_time():
    cfg = Node(a0=["x"], **{f"a{i}": [f"${{a{i - 1}}}", f"${{a{i - 1}}}"] for i in range(1, 40)})
    start = time.process_time()
    value = cfg.a39
    assert time.process_time() - start < 1
    for _ in range(39):
        assert value[0] is value[1]
        value = value[0]
    assert value == ["x"]


def test_a_circle_of_lists():
    cfg = Node(a=["${b}"], b=["${a}"])
    with pytest.raises(InterpolationError, match="circular"):
        _ = cfg.a
    with pytest.raises(ConfigError, match="leads back"):
        instantiate(cfg)


# ---------------------------------------------------------------- what is to be filled in


@pytest.mark.parametrize("missing", ["???", REQUIRED])
def test_reading_what_must_be_filled_in(missing):
    cfg = Node(train=Node(max_iter=missing, n=1), copy_of="${train.max_iter}")
    for read in (
        lambda: cfg.train.max_iter,
        lambda: cfg["train"]["max_iter"],
        lambda: dict(cfg.train),
        lambda: make(**cfg.train),
        lambda: cfg.copy_of,
    ):
        with pytest.raises(RequiredError, match="max_iter"):
            read()
    for text in ("every ${train.max_iter}", "${oc.select:train,${train.max_iter}}", "${.${train.max_iter}}"):
        cfg.text = text
        with pytest.raises(InterpolationError, match="filled in first"):
            _ = cfg.text
    del cfg.text
    with pytest.raises(RequiredError, match=r"train.max_iter must be filled in .* train.max_iter=VALUE"):
        _ = cfg.train.max_iter
    assert "max_iter" in cfg.train
    assert dict(cfg.train.items())["max_iter"] == missing
    assert list(cfg.train.values()) == [missing, 1]
    assert cfg.train.get("max_iter") == missing
    assert cfg.copy() == cfg
    assert [p.kind for p in check(cfg, raises=False)] == ["required", "required"]
    LazyConfig.apply_overrides(cfg, ["train.max_iter=5"])
    assert (cfg.train.max_iter, cfg.copy_of) == (5, 5)


# ---------------------------------------------------------------- dicts


def test_dicts_with_a_target_are_built():
    of_dict = {"_target_": f"{__name__}.Part", "x": {"_target_": Part, "y": 3}}
    for value, found in (
        (of_dict, lambda built: built),
        ([of_dict], lambda built: built[0]),
        ({"a": of_dict}, lambda built: built["a"]),
        (L(make)(h=of_dict), lambda built: built["h"]),
        (to_nodes(of_dict), lambda built: built),
    ):
        assert check(value) == []
        built = found(instantiate(value))
        assert type(built) is Part
        assert built.x.y == 3
    assert type(of_dict["x"]) is dict
    wrong = {"_target_": Part, "x": {"_target_": "collections.Countr"}}
    assert [p.path for p in check([wrong], raises=False)] == [(0, "x", "_target_")]
    with pytest.raises(CheckError, match="did you mean 'Counter'"):
        instantiate(wrong)
    part = {"_target_": Part}
    first, second = instantiate([part, part])
    assert first is second


def test_configs_of_omegaconf_are_built():
    omegaconf = pytest.importorskip("omegaconf").OmegaConf
    theirs = omegaconf.create(
        {"_target_": f"{__name__}.Part", "x": [{"_target_": f"{__name__}.Part"}], "y": 4}
    )
    built = instantiate(theirs)
    assert type(built) is type(built.x[0]) is Part
    assert type(built.x) is list
    assert check(theirs) == []
    assert type(instantiate(L(make)(h=theirs))["h"]) is Part


def test_a_dict_without_a_target_comes_back():
    plain = {"a": [1, {"b": 2}]}
    assert instantiate(plain) is plain
    assert instantiate({"a": L(Part)()})["a"].y == 2


def test_dicts_become_nodes():
    cfg = Node(train={"lr": 1, "amp": {"enabled": True}})
    assert cfg.train.amp.enabled is True
    assert type(instantiate(cfg)["train"]) is dict
    given = instantiate(L(make)(z={"q": {"r": 1}}))["z"]
    assert type(given) is type(given["q"]) is dict
    kept = {"k": 1}
    node = L(make)(plain=kept)
    kept["k"] = 2
    assert node.plain is kept
    assert instantiate(node) == {"plain": {"k": 2}}


# ---------------------------------------------------------------- slips of the pen


@pytest.mark.parametrize(
    ("cfg", "path"),
    [
        (L(make)(head=L(Part)), ("head",)),
        (L(make)(heads=[1, L(Part)]), ("heads", 1)),
        (L(Part), ()),
        ([L.partial(Part)], (0,)),
        (L(make)(p=L.method(L(Part)(), "go")), ("p",)),
        (L(make)(p=L(make)(q=1).values), ("p",)),
    ],
)
def test_a_call_that_lacks_its_second_half(cfg, path):
    (problem,) = check(cfg, raises=False)
    assert (problem.kind, problem.path) == ("call", path)
    with pytest.raises(CheckError, match=r"\(\)|method 'values'"):
        instantiate(cfg)


def test_a_target_that_lacks_its_second_half():
    with pytest.raises(TypeError, match=r"L\(Part\)\(\)"):
        L(L(Part))
    assert instantiate(L(make)(f=Part().__init__))["f"] is not None, "other methods are values"


def test_a_list_that_holds_one_call_several_times():
    cfg = Node(heads=[L(Part)()] * 3)
    with pytest.warns(UserWarning, match=r"heads holds one call of Part 3 times \(at 0, 1, 2\).*copy\(\)"):
        assert check(cfg) == []
    cfg.heads = [cfg.heads[0].copy() for _ in range(3)]
    cfg.more = ["${heads.0}", "${heads.0}"]
    assert check(cfg) == []


SHAPES = [5, None, "abc", {"a": 1}, 0.5, True, [], [1], "???", "${no}", "${n}"]


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_", "_convert_", "_target_"])
@pytest.mark.parametrize("value", SHAPES, ids=repr)
def test_odd_shapes_of_the_special_keys(key, value):
    cfg = to_nodes({"n": 7, "x": {"_target_": "torch.nn.ReLU", key: value}})
    problems = check(cfg, raises=False)
    assert all(p.path[:1] == ("x",) for p in problems)
    right = {"_args_": [[], [1]], "_partial_": [True], "_recursive_": [True]}.get(key, [])
    assert bool(problems) == (value not in right), problems
    if problems:
        with pytest.raises(CheckError):
            instantiate(cfg)
        with pytest.raises(CheckError):
            instantiate({"x": {"_target_": "torch.nn.ReLU", key: value}, "n": 7})


# ---------------------------------------------------------------- random trees

names = st.sampled_from(["a", "b", "c"])
texts = st.sampled_from(["${a}", "${.a}", "${..b}", "${...c}", "${.0}", "${..a}x", "${b.c}", "${..a.b}"])
leaves = st.one_of(st.integers(0, 3), texts)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(names, inner, max_size=3).map(lambda items: ("call", items)),
        st.lists(inner, max_size=3).map(lambda items: ("list", items)),
        st.dictionaries(names, inner, max_size=3).map(lambda items: ("dict", items)),
        st.just(("share", None)),
    ),
    max_leaves=12,
)


def grow(recipe, made):
    if not isinstance(recipe, tuple):
        return recipe
    kind, items = recipe
    if kind == "share":
        return made[len(made) // 2] if made else 0
    if kind == "list":
        return [grow(item, made) for item in items]
    grown = {key: grow(item, made) for key, item in items.items()}
    node = L(make)(**grown) if kind == "call" else Node(grown)
    made.append(node)
    return node


def read(value):
    """Everything in a tree, by attributes and items."""
    if isinstance(value, dict):
        return {key: read(value[key]) for key in value if key != "_target_"}
    return [read(element) for element in value] if isinstance(value, list) else value


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, trees, min_size=1), st.booleans())
def test_reading_check_and_instantiate_agree(recipe, before):
    cfg = grow(("dict", recipe), [])
    if before:
        with contextlib.suppress(ConfigError, RecursionError):
            read(cfg)
    problems = examine(cfg).problems
    if problems:
        with pytest.raises(ConfigError):
            instantiate(cfg)
        return
    built = instantiate(cfg)
    assert read(cfg) == built
    copied = cfg.copy()
    assert examine(copied).problems == []
    assert read(copied) == instantiate(copied) == built
    assert read(pickle.loads(pickle.dumps(cfg))) == built
    assert instantiate(cfg) == built
