"""Targets of all kinds: positional arguments, literal types, attrs objects, nodes handed on, memory."""

import collections
import dataclasses
import functools
import gc
import inspect
import operator
import subprocess
import sys
import types
import typing

import pytest

from lazycfg import (
    CheckError,
    ConfigError,
    LazyConfig,
    Node,
    check,
    from_omegaconf,
    instantiate,
    to_omegaconf,
)
from lazycfg import LazyCall as L
from lazycfg.config import dump_dataclass, get_path, origin
from lazycfg.config.building import built
from lazycfg.config.signatures.binding import node_signature
from lazycfg.config.signatures.types import fits


def make(**kwargs):
    return kwargs


class Part:
    def __init__(self, x=0, y=2):
        self.x, self.y = x, y


# ---------------------------------------------------------------- positional arguments


def inner(a, b=2, *rest):
    return a, b, rest


@functools.wraps(inner)
def wrapper(*args):
    return inner(*args)


@functools.singledispatch
def dispatched(value):
    return "any"


@dispatched.register
def _(value: int):
    return "int"


class Meta(type):
    def __call__(cls, *args):
        return ("meta", *args)


class Made(metaclass=Meta):
    def __init__(self, a, b):
        raise AssertionError("not called")


class Decorated:
    @functools.wraps(inner)
    def __init__(self, *args):
        self.args = args


class Callable:
    def __call__(self, *args):
        return args


def signed(*args):
    return args


signed.__signature__ = inspect.signature(inner)


@pytest.mark.parametrize(
    ("target", "args"),
    [
        (wrapper, (1,)),
        (wrapper, (1, 2, 3, 4)),
        (dispatched, (3,)),
        (Made, (1, 2)),
        (Callable(), (1, 2)),
        (signed, (1, 2, 3)),
        (functools.partial(inner, 1), (2, 3)),
        (functools.lru_cache(inner), (1, 2)),
        (max, (1, 2)),
        (dict, ([("a", 1)],)),
        (inner, (1, 2, 3, 4)),
        (inner, (1,)),
        ("operator.add", (1, 2)),
        (Part(5).__eq__, (3,)),
    ],
)
def test_positional_arguments_arrive_by_position(target, args):
    node = L(target)(*args)
    assert check(node) == []
    called = operator.add if isinstance(target, str) else target
    assert instantiate(node) == called(*args)


def test_classes_whose_init_is_decorated():
    assert instantiate(L(Decorated)(1, 2)).args == (1, 2)
    torch = pytest.importorskip("torch")
    doubled = torch.vmap(lambda x: x * 2)
    assert torch.equal(instantiate(L(doubled)(torch.ones(2))), torch.full((2,), 2.0))
    assert list(L(torch.nn.Linear)(2, 3).args()) == ["in_features", "out_features"]


def test_arguments_that_are_given_by_position_and_by_name():
    node = L(wrapper)(1)
    node.a = 2
    assert [p.path for p in check(node, raises=False)] == [("a",)]
    node = L("json.dumps")(1)
    before = dict(dict.items(node))
    assert get_path(node, "obj") == 1
    assert dict(dict.items(node)) == before, "reading changes nothing"
    LazyConfig.apply_overrides(node, ["obj=2"])
    assert instantiate(node) == "2"


# ---------------------------------------------------------------- literal types

F = typing.TypeVar("F")


class Indexed(typing.Generic[F]):
    def __getitem__(self, index: int) -> F: ...


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ((1024, 1024), tuple[int]),
        ([1.0, 2, 3], typing.Tuple[float]),  # noqa: UP006
        ([[1, 2, 3]], list[tuple[int]]),
        (2, typing.Optional[list[float]]),  # noqa: UP045
        ([1, 2], Indexed[int]),
        ({"a": 1}, Indexed),
        ([1, 2], set[int]),
        (2, float),
        ([1, 2], tuple[int, ...]),
    ],
)
def test_what_the_field_writes_is_taken(value, hint):
    assert fits(value, hint, object())


def test_what_torch_takes_is_taken():
    torch = pytest.importorskip("torch")
    import torch.nn.functional as functional

    cfg = [
        L(functional.interpolate)(input=torch.zeros(1, 1, 2, 2), scale_factor=2),
        L(torch.utils.data.DataLoader)([1, 2, 3], batch_size=2),
        L(functional.pad)(torch.zeros(2), pad=(1, 1)),
        L(torch.nn.functional.normalize)(input=torch.zeros(2, 2), p=2, dim=1),
    ]
    assert check(cfg) == []
    assert instantiate(cfg)[0].shape == (1, 1, 4, 4)


def long_one(*, first: "collections.abc.Sequence", second: collections.OrderedDict | None = None, **more):
    return more


def many(**kwargs): ...


many.__signature__ = inspect.Signature(
    [inspect.Parameter(f"name_{i}", 3, default=None, annotation=int | None) for i in range(40)]
)


def test_messages_are_short():
    text = str(check(L(long_one)(), raises=False)[0])
    assert text.endswith(
        "long_one needs the argument 'first: Sequence'\n"
        "  long_one(*, first: Sequence, second: OrderedDict | None = None, **more)"
    )
    error = CheckError(check(Node(a=L(many)(name_1="x", name_2=2.5, name_50=1)), raises=False))
    assert str(error).count("many(") == 1, "once for a node"
    assert max(map(len, str(error).splitlines())) < 220
    assert "expected int | None, got text 'x'" in str(error)
    assert "expected int | None, got float 2.5" in str(error)


def test_the_hint_for_a_part_of_the_config():
    def params(*, model, lr=1): ...

    cfg = Node(model=L(Part)(), optimizer=L(make)(params=L(params)()))
    (problem,) = check(cfg, raises=False)
    assert "'optimizer.params.model=${model}'" in str(problem)
    LazyConfig.apply_overrides(cfg, ["optimizer.params.model=${model}"])
    assert check(cfg) == []


# ---------------------------------------------------------------- attrs


class Attribute:
    def __init__(self, name, init=True, alias=None):
        self.name, self.init, self.alias = name, init, alias or name.lstrip("_")


class Box:
    """As attrs makes them: slots, and `__attrs_attrs__`."""

    __slots__ = ("_hidden", "part")
    __attrs_attrs__ = (Attribute("part"), Attribute("_hidden"))

    def __init__(self, part, hidden=0):
        object.__setattr__(self, "part", part)
        object.__setattr__(self, "_hidden", hidden)

    def __setattr__(self, name, value):
        raise AttributeError("frozen")

    def __getstate__(self):
        return (self.part, self._hidden)

    def __setstate__(self, state):
        self.__init__(*state)


def test_objects_of_attrs_classes_are_containers():
    box = Box(L(Part)(x="${n}"), ["${n}", "???"])
    cfg = Node(n=3, box=box)
    assert [(p.kind, p.path) for p in check(cfg, raises=False)] == [("required", ("box", "_hidden", 1))]
    box._hidden.pop()
    built = instantiate(cfg)["box"]
    assert type(built) is Box
    assert (built.part.x, built._hidden) == (3, [3])
    assert type(box.part) is Node
    assert get_path(cfg, "box.part.x") == 3
    wrong = check(L(make)(boxes=[Box(L(Part)(z=1))]), raises=False)
    assert [p.path for p in wrong] == [("boxes", 0, "part", "z")]
    node = dump_dataclass(Box(1, Box(2)))
    assert dict(dict.items(node)) == {"_target_": Box, "part": 1, "hidden": dump_dataclass(Box(2))}
    assert instantiate(node)._hidden.part == 2


# ---------------------------------------------------------------- handed on unbuilt


def test_nodes_are_handed_on_unbuilt():
    def later(part, parts, n, _target=None):
        return part, parts, n

    cfg = Node(n=3, x=L(later)(part=L(Part)(x="${n}"), parts=[L(Part)(x=1)], n="${n}", _recursive_=False))
    part, parts, n = instantiate(cfg)["x"]
    assert part is cfg.x.part
    assert (instantiate(part).x, instantiate(parts[0]).x, n) == (3, 1, 3)
    cfg.x._recursive_ = True
    assert instantiate(cfg)["x"][0].x == 3
    assert instantiate(cfg.x, _recursive_=False)[0] is cfg.x.part
    cfg.x.part.z = 1
    assert [p.path for p in check(cfg, raises=False)] == [("x", "part", "z")]


def test_lists_and_dicts_are_handed_on_with_their_texts_resolved():
    def later(steps, other):
        steps.append("more")
        return steps, other

    cfg = Node(n=3, steps=["${n}", {"k": "${n}"}])
    cfg.x = L(later)(steps="${steps}", other=["${n}"], _recursive_=False)
    steps, other = instantiate(cfg)["x"]
    assert (steps, type(steps), type(steps[1])) == ([3, {"k": 3}, "more"], list, dict)
    assert (other, type(other)) == ([3], list)
    assert cfg.steps == [3, {"k": 3}]


def test_keys_of_hydra_are_not_arguments():
    for how in ("all", "partial", "object", "ALL"):
        assert instantiate(L(make)(x=1, _convert_=how, _recursive_=True)) == {"x": 1}
    with pytest.raises(CheckError, match=r"L\(OmegaConf.create\)"):
        instantiate(L(make)(x=1, _convert_="none"))


def test_a_dict_config_or_an_object_with_attributes_can_be_handed_over():
    omegaconf = pytest.importorskip("omegaconf")
    cfg = L(make)(cfg=L(omegaconf.OmegaConf.create)(obj={"a": 1}), other=L(types.SimpleNamespace)(a=2))
    assert check(cfg) == []
    built = instantiate(cfg)
    assert type(built["cfg"]) is omegaconf.DictConfig
    assert built["cfg"].a + built["other"].a == 3
    live = omegaconf.OmegaConf.create({"a": 1})
    assert instantiate(L(make)(cfg=live))["cfg"] is live


# ---------------------------------------------------------------- OmegaConf


class Base:
    @classmethod
    def make(cls):
        return cls()


class Derived(Base):
    pass


def test_names_for_omegaconf_lead_back():
    theirs = to_omegaconf(L(make)(a=L(Derived.make)(), b=L(wrapper)(1)))
    assert theirs.a._target_ == f"{__name__}.Derived.make"
    assert type(instantiate(theirs)["a"]) is Derived
    with pytest.raises(ConfigError, match="no name leads to"):
        to_omegaconf(L(functools.wraps(inner)(lambda *a: a))(1))
    with pytest.raises(ConfigError, match="no name leads to"):
        to_omegaconf(L(Part().__eq__)(1))
    node = L(Part)()
    for _ in range(2000):
        node = L(Part)(x=node)
    with pytest.raises(ConfigError, match="too deep for OmegaConf"):
        to_omegaconf(node)


@dataclasses.dataclass
class Settings:
    a: int = 1
    b: typing.Any = None
    c: int = dataclasses.field(default=5, init=False)


def test_structured_configs_keep_their_class():
    omegaconf = pytest.importorskip("omegaconf").OmegaConf
    theirs = omegaconf.create({"n": 7, "s": omegaconf.structured(Settings(a=5)), "t": "${s.a}"})
    ours = from_omegaconf(theirs)
    assert instantiate(ours)["s"] == Settings(5)
    assert (ours.s.a, ours.t) == (5, 5)
    assert instantiate(omegaconf.structured(Settings(5))) == Settings(5)
    theirs.m = {"_target_": f"{__name__}.Part", "x": "${n}"}
    assert instantiate(theirs.m).x == 7
    assert check(theirs.m) == []
    assert instantiate([theirs.m])[0].x == 7


# ---------------------------------------------------------------- memory and time


def test_what_was_built_is_remembered_in_linear_time():
    node, kept = L(Part)(x=1), []
    for _ in range(3000):
        kept.append(instantiate(node))
    assert len(built._entries) >= 3000
    assert origin(kept[1500]).node is node
    before = len(built._entries)
    kept.clear()
    gc.collect()
    assert len(built._entries) <= before - 3000


RELOADS = """
import resource, sys
from lazycfg import LazyConfig, check, instantiate
def run(count):
    for _ in range(count):
        cfg = LazyConfig.load(sys.argv[1])
        check(cfg)
        instantiate(cfg.model)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
first = run(5)
print((run(25) - first) >> 10)
"""


def test_files_that_are_loaded_again_and_again_are_freed(tmp_path):
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\n"
        "table = bytearray(b'x') * 20_000_000\n"
        "class Net:\n    def __init__(self, x: int = 0, child: 'Net | None' = None): self.x = len(table)\n"
        "def part(a: int = 1): return a\n"
        "model = L(Net)(x=L(part)(2), child=L(Net)())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", RELOADS, str(tmp_path / "c.py")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60, "megabytes more after 25 further loads of 20 MB"


def test_signatures_are_those_of_the_target_that_is_there():
    namespace: dict = {}
    exec("def f(a): pass", namespace)
    node = L(namespace["f"])(1)
    assert node_signature(node).candidates() == ["a"]
    exec("def f(b): pass", namespace)
    assert node_signature(L(namespace["f"])()).candidates() == ["b"]
