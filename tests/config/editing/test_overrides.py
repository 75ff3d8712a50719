"""Overrides of a command line: every form, all mistakes at once, nothing applied when one is wrong."""

import collections
import copy
import dataclasses
import math
import sys
import types
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.config.building.build import instantiate
from lazycfg.config.editing.overrides import OverrideError, apply_overrides, matched_paths
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node, to_nodes
from lazycfg.config.tree.paths import format_path, parse_path
from lazycfg.config.tree.position import CommandLine, writes_of
from lazycfg.inspection.diff import diff


class Conv:
    def __init__(self, *, width: int, norm: str = "", bias: bool = True, sizes: list[int] = (), act=None):
        self.width, self.norm, self.bias, self.sizes, self.act = width, norm, bias, sizes, act


class Conv2(Conv):
    """The same arguments, another class."""


class Tiny:
    def __init__(self, *, width: int):
        self.width = width


def anything(**kwargs):
    return kwargs


class Pair(NamedTuple):
    first: int
    second: int


@dataclasses.dataclass
class Spec:
    channels: int
    stride: int = 1


@dataclasses.dataclass(frozen=True)
class Frozen:
    channels: int


def make():
    shared = L(Conv)(width=1, norm="BN")
    return Node(
        model=L(Conv)(width=3, norm="BN", sizes=[1, 2], act=shared),
        second=shared,
        free=L(anything)(x=1),
        train=Node(iters=5, lr=0.1, amp=Node(on=False), out="x", steps=[1, 2, {"k": 3}], seed=None),
        pair=(1, [2, 3], Pair(4, 5)),
        spec=Spec(channels=3),
        frozen=Frozen(channels=3),
        copy_of="${train.iters}",
        link="${train}",
    )


def applied(*overrides):
    cfg = make()
    assert apply_overrides(cfg, list(overrides)) is cfg
    return cfg


def problems(*overrides):
    cfg = make()
    with pytest.raises(OverrideError) as caught:
        apply_overrides(cfg, list(overrides))
    assert cfg == make()
    assert not writes_of(cfg)
    assert not writes_of(cfg.model)
    return [problem.message for problem in caught.value.problems]


# ------------------------------------------------------------------------------- what works


def test_set():
    cfg = applied("model.width=7", "train.out=a=b", "train.amp.on=true", 'second.norm="x=y"')
    assert (cfg.model.width, cfg.train.out, cfg.train.amp.on, cfg.second.norm) == (7, "a=b", True, "x=y")
    assert cfg.model.act is cfg.second


def test_an_optional_parameter_of_the_signature_can_be_set():
    assert applied("model.bias=False").model.bias is False


def test_values_of_any_kind():
    cfg = applied("model.sizes=[3,4]", "train.seed=7", "+train.x={a:1,b:[c,(1,2)]}", "train.out=null")
    assert cfg.model.sizes == [3, 4]
    assert type(cfg.train.x) is Node
    assert cfg.train.x == {"a": 1, "b": ["c", (1, 2)]}
    assert cfg.train.out is None


def test_add_and_force():
    cfg = applied("+train.new.deep.er=1", "+free.y=2", "++train.iters=many", "++model.unknown=1")
    assert cfg.train.new.deep.er == 1
    assert cfg.free.y == 2
    assert cfg.train.iters == "many"
    assert cfg.model.unknown == 1


def test_later_overrides_see_earlier_ones():
    cfg = applied(
        "+train.x={}", "+train.x.y=[1]", "train.x.y+=[2]", "train.x.y.0=5", "~train.iters", "+train.iters=9"
    )
    assert cfg.train.x.y == [5, 2]
    assert cfg.train.iters == 9


def test_delete():
    cfg = applied("~model.norm", "~train.steps.0", "~train.steps.-1", "~train.lr=0.1", "~pair.0")
    assert "norm" not in cfg.model
    assert cfg.train.steps == [2]
    assert "lr" not in cfg.train
    assert cfg.pair[0] == [2, 3]


def test_append():
    cfg = applied("model.sizes+=[3]", "train.steps+=(4,)", "pair+=[9]", "train.amp+={level:2}")
    assert cfg.model.sizes == [1, 2, 3]
    assert cfg.train.steps[-1] == 4
    assert cfg.pair[-1] == 9
    assert type(cfg.pair) is tuple
    assert cfg.train.amp == {"on": False, "level": 2}


def test_elements():
    cfg = applied(
        "train.steps.0=9",
        "train.steps.-1.k=8",
        "train.steps[1]=7",
        "pair.1.0=6",
        "pair.0=5",
        "pair.2.first=3",
    )
    assert cfg.train.steps == [9, 7, {"k": 8}]
    assert cfg.pair == (5, [6, 3], Pair(3, 5))
    assert type(cfg.pair[2]) is Pair


def test_dataclasses():
    cfg = make()
    spec = cfg.spec
    apply_overrides(cfg, ["spec.channels=8", "frozen.channels=9"])
    assert cfg.spec is spec
    assert spec.channels == 8
    assert cfg.frozen == Frozen(channels=9)


def test_through_an_interpolation():
    assert applied("link.iters=8").train.iters == 8


def test_callables():
    cfg = applied("second.act=@math.sin", "+train.fns=[@math.cos,@math.tan]")
    assert cfg.second.act is math.sin
    assert cfg.train.fns == [math.cos, math.tan]


def test_a_callable_replaces_the_target_of_a_call(monkeypatch):
    module = types.ModuleType("overrides_targets")
    module.Conv2, module.Tiny = Conv2, Tiny
    monkeypatch.setitem(sys.modules, "overrides_targets", module)
    cfg = make()
    node = cfg.model
    apply_overrides(cfg, ["model=@overrides_targets.Conv2"])
    assert cfg.model is node
    assert node["_target_"] is Conv2
    assert node.width == 3
    assert type(instantiate(cfg.model)) is Conv2
    with pytest.raises(OverrideError, match=r"keeps its arguments.*Tiny takes no argument 'norm'"):
        apply_overrides(cfg, ["model=@overrides_targets.Tiny"])
    assert node["_target_"] is Conv2
    apply_overrides(cfg, ["++model=@overrides_targets.Tiny"])
    assert cfg.model is Tiny


def test_share():
    cfg = applied("+third=&model", "train.steps.0=&second", "+list=[&second,&second]")
    assert cfg.third is cfg.model
    assert cfg.train.steps[0] is cfg.second is cfg.list[0] is cfg.list[1]


def test_wildcards():
    cfg = applied("**.norm=GN")
    assert (cfg.model.norm, cfg.second.norm) == ("GN", "GN")
    assert applied("train.*.on=true").train.amp.on is True
    assert applied("**.Conv.bias=False").model.act.bias is False
    assert applied("model.**.Conv.width=9").model.width == 3
    assert applied("*.wid*=9").model.width == 9
    assert applied("+**.bias=False").second.bias is False
    assert "norm" not in applied("~**.norm").model
    assert matched_paths(make(), "**.norm=GN") == ["model.norm", "model.act.norm"]


def test_writes_are_remembered_with_their_place():
    cfg = applied("model.width=1", "train.steps.0=4", "~train.lr")
    (write,) = writes_of(cfg.model)
    assert write.key == "width"
    assert isinstance(write.origin, CommandLine)
    assert (write.origin.index, write.origin.text) == (1, "model.width=1")
    assert [w.key for w in writes_of(cfg.train)] == ["steps.0", "lr"]


def test_facade():
    assert LazyConfig.apply_overrides(make(), ["model.width=2"]).model.width == 2
    with pytest.raises(TypeError, match="a list"):
        apply_overrides(make(), "model.width=2")


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.widht=3", "did you mean 'width'"),
        ("modle.width=3", "did you mean 'model'"),
        ("model.act.wdth=3", "did you mean 'width'"),
        ("train.itrs=3", "did you mean 'iters'"),
        ("iters=3", r"did you mean 'train\.iters'"),
        ("amp.on=true", r"did you mean 'train\.amp\.on'"),
        ("train.brand_new=3", r"\+train\.brand_new"),
        ("free.z=3", r"\+free\.z"),
        ("model.width=abc", "expected int"),
        ("model.bias=maybe", "expected bool"),
        ("model.sizes=[1,x]", r"expected list\[int\]"),
        ("model.sizes.0=x", r"expected list\[int\]"),
        ("train.amp.on=ture", "did you mean 'true'"),
        ("train.iters=abc", "is the int 5"),
        ("train.iters.x=1", "not a container"),
        ("train.steps.7=1", "length 3"),
        ("train.steps.a=1", "length 3"),
        ("pair.2.third=1", "third"),
        ("spec.chanels=1", "did you mean 'channels'"),
        ("+train.iters=3", "is there already"),
        ("+model.widht=3", "takes no argument"),
        ("+train.iters.x=3", "not a container"),
        ("~train.itrs", "did you mean 'iters'"),
        ("~train.iters=4", "is 5, not 4"),
        ("~model._target_", "cannot be deleted"),
        ("model.sizes+=3", "appends a list"),
        ("train.out+=[3]", "appends a list"),
        ("model.act=@math.sinn", "did you mean 'sin'"),
        ("model.act=@no_such_module_x.f", "no_such_module_x"),
        ("model.act=@math.pi", "cannot be called"),
        ("model.act=&nowhere.x", "nowhere"),
        ("model.act=&model", "contain itself"),
        ("model.act.act=&model", "contain itself"),
        ("+train.self=[&train]", "contain itself"),
        ("**.norn=GN", "did you mean 'norm'"),
        ("**.zzz=GN", "matches nothing"),
        ("model.**=1", "cannot end"),
        ("model..width=1", "empty key"),
        ("model[width=1", "not closed"),
        ("model.width", "expected key=value"),
        ("=1", "missing key"),
        ("=", "missing key"),
        ("model.sizes=[1", "expected"),
    ],
)
def test_mistakes(override, message):
    (problem,) = problems(override)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["model.width", "3"], "; write model.width=3 without blanks"),
        (["model.width", "=", "3"], "; write model.width=3 without blanks"),
        (["model.width", "model.depth=3"], ""),
        (["--model.width", "3"], ""),
        (["model.width"], ""),
    ],
)
def test_a_key_and_its_value_in_two_words_are_put_together(words, meant):
    first = problems(*words)[0]
    assert first.partition("~key")[2].partition(" (")[0] == meant


def test_all_mistakes_are_reported_together_with_their_place():
    cfg = make()
    with pytest.raises(OverrideError) as caught:
        apply_overrides(cfg, ["model.width=9", "modle.x=1", "+train.y=1", "train.itrs=1", "nonsense"])
    assert [(p.place, p.text) for p in caught.value.problems] == [
        (2, "modle.x=1"),
        (4, "train.itrs=1"),
        (5, "nonsense"),
    ]
    text = str(caught.value)
    assert "3 of 5 overrides are wrong" in text
    assert "override 4 'train.itrs=1'" in text
    assert cfg == make()
    assert cfg.model.act is cfg.second


def test_nothing_is_applied_when_one_is_wrong():
    cfg = make()
    before = copy.deepcopy(cfg)
    order = list(cfg.train)
    wrong = [
        "~train.iters",
        "train.steps.0=5",
        "spec.channels=9",
        "pair.0=7",
        "**.norm=X",
        "+a.b=1",
        "nope.x=1",
    ]
    with pytest.raises(OverrideError):
        apply_overrides(cfg, wrong)
    assert cfg == before
    assert list(cfg.train) == order
    assert cfg.spec == Spec(channels=3)
    assert not writes_of(cfg.train)


# ------------------------------------------------------------------------------- fuzz

_KEYS = [
    "model",
    "width",
    "norm",
    "train",
    "iters",
    "amp",
    "on",
    "steps",
    "0",
    "-1",
    "pair",
    "x",
    "*",
    "**",
    "spec",
]
_TEXTS = st.builds(
    lambda prefix, keys, op, value: f"{prefix}{'.'.join(keys)}{op}{value}",
    st.sampled_from(["", "", "+", "++", "~"]),
    st.lists(st.sampled_from(_KEYS), min_size=1, max_size=4),
    st.sampled_from(["=", "=", "+=", ""]),
    st.sampled_from(
        ["1", "x", "[1]", "{a:1}", "@math.sin", "&model", "&train", "null", "true", "[1", "(1,2)"]
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_TEXTS, min_size=1, max_size=3))
def test_each_command_line_works_or_ends_in_our_error(overrides):
    cfg = make()
    wrong = None
    try:
        apply_overrides(cfg, overrides)
    except OverrideError as error:
        wrong = error
    if wrong is None:
        copy.deepcopy(cfg)  # still a tree without circles
        return
    assert 1 <= len(wrong.problems) <= len(overrides)
    assert cfg == make()
    assert cfg.model.act is cfg.second
    assert not writes_of(cfg)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_text_works_or_ends_in_our_error(text):
    cfg = make()
    try:
        apply_overrides(cfg, [text])
    except OverrideError:
        assert cfg == make()


def test_a_named_tuple_is_not_appended_to():
    cfg = make()
    with pytest.raises(OverrideError, match="Pair"):
        apply_overrides(cfg, ["pair.-1+=[1]"])
    assert cfg == make()


def several(*args, **kwargs):
    return args, kwargs


@pytest.mark.parametrize(
    ("override", "args"),
    [
        ("~m.0", (2, 3)),
        ("~m.-1", (1, 2)),
        ("m.1=5", (1, 5, 3)),
        ("m.-1=5", (1, 2, 5)),
        ("m._args_.0=5", (5, 2, 3)),
        ("m._args_+=[4]", (1, 2, 3, 4)),
    ],
)
def test_positional_arguments(override, args):
    cfg = Node(m=L(several)(1, 2, 3))
    apply_overrides(cfg, [override])
    assert instantiate(cfg.m)[0] == args
    assert cfg.m["_args_"] == args


def test_named_arguments_are_not_set_by_position():
    for path in ("_args_", "m._args_"):
        cfg = L(dict)(m=L(math.isclose)(1, b=2)) if "m" in path else L(math.isclose)(1, 2)
        with pytest.raises(OverrideError, match="have names"):
            apply_overrides(cfg, [f"{path}=[1]"])


class Picky(dict):
    def __setitem__(self, key, value):
        if value == 13:
            raise RuntimeError("not 13")
        super().__setitem__(key, value)


def test_another_error_leaves_nothing_behind():
    cfg = Node(a=1, b=Picky(x=1))
    with pytest.raises(RuntimeError, match="not 13"):
        apply_overrides(cfg, ["a=2", "b.x=13"])
    assert cfg == {"a": 1, "b": {"x": 1}}


@pytest.mark.parametrize("wrong", [[], ["no.such=1"]])
def test_other_kinds_of_dicts_stay_whole(wrong):
    make = {
        "ordered": collections.OrderedDict(a=1, b=2),
        "default": collections.defaultdict(int, a=1, b=2),
        "counter": collections.Counter(a=1, b=2),
    }
    cfg = Node(**make)
    texts = [text for name in make for text in (f"+{name}.c=3", f"~{name}.a", f"{name}.b=4")]
    if wrong:
        with pytest.raises(OverrideError):
            apply_overrides(cfg, texts + wrong)
    else:
        apply_overrides(cfg, texts)
    for name, value in make.items():
        assert list(value) == (["a", "b"] if wrong else ["b", "c"])
        assert list(value.items()) == ([("a", 1), ("b", 2)] if wrong else [("b", 4), ("c", 3)])
        assert instantiate(cfg)[name] == value
        assert repr(value)


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab=*?+~-.[]'\"\\ &@1"), max_size=6), st.booleans())
def test_any_key_can_be_quoted(key, nested):
    keys = ("top", key) if nested else (key,)
    path = format_path(keys)
    assert parse_path(path) == keys
    inner = {key: 1, "other": 1, "ab": 1}
    cfg = to_nodes({"top": inner, "ab": 1} if nested else dict(inner))
    before = copy.deepcopy(cfg)
    apply_overrides(cfg, [f"{path}=2"])
    assert get_path(cfg, keys) == 2
    changed = [change.path for change in diff(before, cfg)]
    assert changed == [path]
    apply_overrides(before, diff(before, cfg).overrides())
    assert before == cfg
    apply_overrides(cfg, [f"~{path}"])
    assert key not in (cfg.top if nested else cfg)
    assert "other" in (cfg.top if nested else cfg) or key == "other"
    assert all(type(k) is str for k in dict.keys(cfg))


def test_indices_are_no_suggestions_for_a_pattern():
    with pytest.raises(OverrideError) as caught:
        apply_overrides(Node(a=[1, 2], b=Node(c=[3])), ["**.zz=1"])
    assert "'0'" not in str(caught.value)


def test_a_pattern_tells_in_the_log_how_many_places_it_set(caplog):
    with caplog.at_level("INFO"):
        applied("**.norm=GN", "train.lr=0.2")
    assert [record.getMessage() for record in caplog.records] == ["override '**.norm=GN': 2 places"]
