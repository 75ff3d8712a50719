"""Saving and loading back: Python, YAML and JSON give an equal tree, with what was shared still shared."""

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import math
import os
import re
import subprocess
import sys
import uuid
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazycfg.config.building.build import instantiate
from lazycfg.config.errors import CycleError
from lazycfg.config.formats.document import SaveError
from lazycfg.config.formats.yaml_io import to_yaml
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.lazy_call import LazyPartial, attr, method
from lazycfg.config.tree.node import Node, to_nodes
from lazycfg.config.tree.required import REQUIRED
from lazycfg.inspection.equality import equal_configs

SUFFIXES = ("py", "yaml", "json")


class Thing:
    """Equal to another one of equal arguments."""

    def __init__(self, **kwargs):
        self.kwargs = kwargs

    def __eq__(self, other):
        return type(other) is type(self) and other.kwargs == self.kwargs

    def __hash__(self):
        return 0

    @classmethod
    def make(cls, x):
        return cls(x=x)

    @staticmethod
    def double(x):
        return 2 * x


def rest(first, *others, last=0):
    return first, others, last


class Color(enum.Enum):
    RED = 1


class Flags(enum.Flag):
    A = 1
    B = 2
    C = 4


class Point(NamedTuple):
    x: int
    y: object = None


@dataclasses.dataclass
class Spec:
    channels: int
    extra: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Scaled:
    value: int

    def __post_init__(self):
        object.__setattr__(self, "value", self.value * 2)


def round_trip(cfg, folder, suffix):
    file = Path(folder) / f"saved.{suffix}"
    LazyConfig.save(cfg, file)
    return LazyConfig.load(file, trusted=True)


@pytest.fixture(params=SUFFIXES)
def again(request, tmp_path):
    """Save and load back in one of the formats, and check that the trees are equal."""

    def run(cfg):
        loaded = round_trip(cfg, tmp_path, request.param)
        assert equal_configs(cfg, loaded), (tmp_path / f"saved.{request.param}").read_text()
        return loaded

    return run


def test_calls(again):
    shared = L(Thing)(a=1)
    cfg = Node(
        model=L(Thing)(x=shared, y=[shared, (shared, {"k": shared})], z=L("collections.OrderedDict")(a=1)),
        part=LazyPartial(Thing)(q=2),
        star=L(rest)(1, 2, 3, last=4),
        bound=L(rest)(1, last=4),
        builtin=L(max)(1, 2),
        odd=L(Thing)(**{"not a name": 1, "class": 2}),
        attribute=attr(shared, "kwargs"),
        call=method(shared, "__eq__")(3),
        node_target=L(L(functools.partial)(Thing, b=1))(c=2),
        wanted=L(Thing)(x=REQUIRED, y="???"),
        interpolated=L(Thing)(x="${..model.x}", y="${model.y}"),
    )
    loaded = again(cfg)
    assert loaded.model.x is loaded.model.y[0] is loaded.model.y[1][0] is loaded.model.y[1][1].k
    assert loaded.attribute["_args_"][0] is loaded.model.x
    assert dict.get(loaded.wanted, "x") is REQUIRED
    del cfg.wanted, loaded.wanted, cfg.part, loaded.part
    first, second = instantiate(cfg), instantiate(loaded)
    assert first == second
    assert second["model"].kwargs["x"] is second["model"].kwargs["y"][0]


def test_values(again):
    values = [
        *(None, True, False, 0, -1, 10**40, 0.1, -0.0, 1e-5, 1e20, 5e-324, math.inf, -math.inf, math.nan),
        *(
            1 + 2j,
            complex(-0.0, math.inf),
            b"",
            b"x\xff",
            ...,
            "",
            "a",
            "true",
            "null",
            "~",
            "1",
            "1e3",
            "0x1",
            "[a",
        ),
        *(
            "yes",
            "2024-01-01",
            "a: b",
            "# c",
            "- d",
            "&x",
            "*x",
            "!x",
            "a\nb\n",
            "\n",
            " a ",
            "é",
            "\u2028",
            "\x00\x7f",
        ),
        *("'", '"', "\\", "\\n", "<<", "=", "???", "😀", "a\tb", "_source_"),
        *((), (1,), (1, (2, [3])), [], [[]], {}, {"a": {}}, set(), {1, 2}, frozenset(), frozenset("ab")),
        *({1: 2, None: 3, (1, 2): 4, False: 5}, {"!ref": 1}, {"!x": [1]}, {"<<": 1}, {"a b": 1, "": 2}),
        *(
            range(1, 5, 2),
            slice(1, None),
            Color.RED,
            Flags.A,
            Flags.A | Flags.B,
            Point(1, (2,)),
            Spec(3, [1]),
        ),
        *(
            Path("a/b"),
            PureWindowsPath("a\\b"),
            Fraction(1, 3),
            decimal.Decimal("1.10"),
            datetime.date(2024, 1, 2),
        ),
        *(datetime.timedelta(1, 2, 3), uuid.UUID(int=5), re.compile("a+", re.I), bytearray(b"x")),
        *(
            collections.OrderedDict(b=1, a=2),
            collections.Counter("aab"),
            collections.defaultdict(list, a=[1]),
        ),
        *(int, Thing, Thing.make, Thing.double, math.sqrt, math, str.upper, dict.fromkeys, functools.reduce),
        *(functools.partial(Thing, 1, a=[2]), functools.partial(Thing)),
    ]
    cfg = Node(values=to_nodes(values), each=Node({f"k{i}": v for i, v in enumerate(to_nodes(list(values)))}))
    loaded = again(cfg)
    for written, read in zip(cfg["values"], loaded["values"], strict=True):
        assert type(written) is type(read)
        assert repr(written) == repr(read)


def test_arrays_and_dtypes(again):
    numpy = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch")
    cfg = Node(
        a=numpy.array([[1.5, 2]], dtype="float32"),
        d=numpy.dtype("int16"),
        s=numpy.float64(1.5),
        t=torch.tensor([1.0, 2.5], dtype=torch.bfloat16),
        dt=torch.float16,
        dev=torch.device("cpu"),
        size=torch.Size([1, 2]),
        relu=torch.relu,
        f=torch.nn.functional.relu,
        cls=torch.nn.Conv2d,
    )
    file_loaded = again(cfg)
    assert file_loaded.a.dtype == numpy.float32
    assert file_loaded.a.tolist() == [[1.5, 2.0]]
    assert file_loaded.t.dtype == torch.bfloat16
    assert file_loaded.t.tolist() == [1.0, 2.5]
    assert (file_loaded.dt, file_loaded.dev, file_loaded.size) == (torch.float16, cfg.dev, torch.Size([1, 2]))
    assert file_loaded.relu is torch.relu
    assert file_loaded.cls is torch.nn.Conv2d


def test_roots_of_any_kind(again):
    shared = [1]
    assert again([shared, {"a": shared}])[0] == [1]
    assert again(L(Thing)(a=1)) == L(Thing)(a=1)
    assert again(Node({"not a name": 1, "_hidden": 2, "class": 3})) == {
        "not a name": 1,
        "_hidden": 2,
        "class": 3,
    }
    assert again(Node(L=1, REQUIRED=2, dict={"a": {"b": 1}}, model=L(Thing)(x=REQUIRED))).L == 1
    assert again(Node(fn=math.sin, cls=Thing, model=L(Thing)(f=math.sin))).fn is math.sin
    assert again(Node(_source_=1, _shared_=2, _config_=3)) == {"_source_": 1, "_shared_": 2, "_config_": 3}
    assert again(Node()) == {}


def test_shared_lists_dicts_and_objects(again):
    numbers, spec, pairs = [1, 2], Spec(1), {1: "x"}
    inner = Node(n=numbers)
    cfg = to_nodes(
        {"a": [numbers, numbers], "b": inner, "c": (inner, spec), "d": {"s": spec}, "p": [pairs, pairs]}
    )
    loaded = again(cfg)
    assert loaded.a[0] is loaded.a[1] is loaded.b.n
    assert loaded.b is loaded.c[0]
    assert loaded.c[1] is loaded.d.s
    assert loaded.p[0] is loaded.p[1]


def test_what_was_read_from_a_config_is_saved_where_it_was_put(again):
    cfg = Node(n=3, steps=["${n}", {"k": "${n}"}], plain=[])
    cfg.plain.append(cfg.steps)
    cfg.inside = [cfg.steps]
    cfg.node = Node(steps=cfg.steps)
    loaded = again(cfg)
    loaded.n = 4
    assert loaded.plain[0] == loaded.inside[0] == loaded.node.steps == [3, {"k": 3}]
    loaded.inside[0].append(1)  # a list like any other


def test_equal_but_separate_stays_separate(again):
    loaded = again(Node(a=Node(x=1), b=Node(x=1), c=[[1], [1]]))
    assert loaded.a is not loaded.b
    assert loaded.c[0] is not loaded.c[1]


def test_deep_and_wide_trees(again):
    node = L(Thing)(leaf=1)
    for _ in range(1000):
        node = L(Thing)(x=[node])
    again(Node(model=node))
    again(Node(many=[L(Thing)(i=i, x=L(Thing)(y=(i,))) for i in range(2000)]))


def test_long_python_is_broken_into_lines():
    cfg = Node(model=L(Thing)(**{f"argument_{i}": list(range(i)) for i in range(30)}))
    text = LazyConfig.to_py(cfg)
    assert max(map(len, text.splitlines())) <= 100
    compile(text, "x", "exec")


def test_python_is_readable():
    shared = L(Thing)(a=1)
    cfg = Node(
        model=L(Fraction)(numerator=shared), optimizer=L(Thing)(model=shared, lr=0.1), train=Node(out="x")
    )
    assert LazyConfig.to_py(cfg) == (
        "from fractions import Fraction\n"
        "from lazycfg import LazyCall as L\n"
        f"from {Thing.__module__} import Thing\n"
        "\n"
        "_model_numerator = L(Thing)(a=1)\n"
        "model = L(Fraction)(numerator=_model_numerator)\n"
        "optimizer = L(Thing)(model=_model_numerator, lr=0.1)\n"
        'train = dict(out="x")\n'
    )


def test_yaml_has_anchors(tmp_path):
    shared = L(Fraction)(numerator=1)
    LazyConfig.save(Node(a=shared, b=[shared]), tmp_path / "x.yaml")
    assert (tmp_path / "x.yaml").read_text() == (
        "a: &a_1\n  _target_: !name fractions.Fraction\n  numerator: 1\nb: [*a_1]\n"
    )


def test_other_processes_read_the_files(tmp_path):
    cfg = Node(model=L(Fraction)(numerator=3, denominator=4), s=[1, (2,)])
    for suffix in SUFFIXES:
        file = tmp_path / f"x.{suffix}"
        LazyConfig.save(cfg, file)
        code = f"from lazycfg import *; c = LazyConfig.load({str(file)!r}); print(instantiate(c.model), c.s)"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout == "3/4 [1, (2,)]\n"


def test_hand_written_yaml(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "base: &base {lr: 0.1, wd: 1}\nother:\n  <<: *base\n  lr: 0.2\n"
        "model:\n  _target_: fractions.Fraction\n"
        "  _args_: [3, 4]\nwhen: 2024-01-02\n"
    )
    cfg = LazyConfig.load(tmp_path / "x.yaml")
    assert cfg.other == {"lr": 0.2, "wd": 1}
    assert instantiate(cfg.model) == Fraction(3, 4)
    assert cfg.when == datetime.date(2024, 1, 2)
    assert LazyConfig.load(tmp_path / "x.yaml", "base").lr == 0.1


# ------------------------------------------------------------------------------- refusals


def test_what_cannot_be_kept_is_named(tmp_path):
    class Local:
        def __init__(self):
            self.state = 1

    cfg = Node(a=Node(b=[Local()]), c=open, d=(x for x in ()), ok=1, s=Scaled(3))
    for suffix in SUFFIXES:
        with pytest.raises(SaveError) as caught:
            LazyConfig.save(cfg, tmp_path / f"x.{suffix}")
        assert len(caught.value.problems) == 3
        assert "'a.b.0'" in caught.value.problems[0]
        assert "Local" in caught.value.problems[0]
        assert not (tmp_path / f"x.{suffix}").exists()
    assert os.listdir(tmp_path) == []


def test_a_circle_is_refused(tmp_path):
    cfg = Node(a=Node())
    cfg.a.b = [cfg.a]
    with pytest.raises(CycleError):
        LazyConfig.to_py(cfg)


def test_unknown_suffix(tmp_path):
    with pytest.raises(ValueError, match=r"\.yaml"):
        LazyConfig.save(Node(), tmp_path / "x.toml")


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "x.yaml"
    file.write_text("old: 1\n")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        LazyConfig.save(Node(a=1), file)
    assert file.read_text() == "old: 1\n"
    assert os.listdir(tmp_path) == ["x.yaml"]


# ------------------------------------------------------------------------------- random trees

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(max_size=5)
    | st.sampled_from([REQUIRED, Thing, math.sin, Color.RED, Fraction(1, 2), ...])
)
_NAMES = st.text("abcxyz_", min_size=1, max_size=6).filter(lambda name: not name.startswith("_"))


@st.composite
def trees(draw):
    """A tree with shared parts: containers are drawn from those made before."""
    pool = [draw(_LEAVES) for _ in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(1, 10))):
        picks = draw(st.lists(st.sampled_from(range(len(pool))), max_size=3))
        parts = [pool[i] for i in picks]
        names = draw(st.lists(_NAMES, min_size=len(parts), max_size=len(parts), unique=True))
        named = dict(zip(names, parts, strict=True))
        kind = draw(
            st.sampled_from(["call", "partial", "args", "dict", "pairs", "list", "tuple", "spec", "point"])
        )
        match kind:
            case "call":
                pool.append(L(Thing)(**named))
            case "partial":
                pool.append(LazyPartial(Thing)(**named))
            case "args":
                pool.append(L(rest)(0, *parts, last=1))
            case "dict":
                pool.append(Node(named))
            case "pairs":
                pool.append(Node(dict(enumerate(parts)) | {None: 1}))
            case "list":
                pool.append(list(parts))
            case "tuple":
                pool.append(tuple(parts))
            case "spec":
                pool.append(Spec(1, list(parts)))
            case "point":
                pool.append(Point(1, tuple(parts)))
    return Node(zip("abcdefghijklmno", pool, strict=False))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=trees())
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_trees_come_back(tree, suffix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("random", numbered=True)
    loaded = round_trip(tree, folder, suffix)
    assert equal_configs(tree, loaded)
    text = (folder / f"saved.{suffix}").read_text()
    LazyConfig.save(loaded, folder / f"saved.{suffix}")
    assert equal_configs(loaded, round_trip(loaded, folder, suffix)), text


def test_python_keeps_the_order_of_the_keys(tmp_path):
    shared = L(Thing)(x=1)
    cfg = Node(b=L(Thing)(inner=shared), a=shared, f=3)
    LazyConfig.save(cfg, tmp_path / "c.py")
    again = LazyConfig.load(tmp_path / "c.py")
    assert list(again) == ["b", "a", "f"]
    assert again.b.inner is again.a


def test_saving_makes_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*new"):
        LazyConfig.save(Node(a=1), tmp_path / "new" / "c.py")
    assert not (tmp_path / "new").exists()


def test_yaml_for_a_logger_never_refuses(tmp_path):
    shared = [1]
    cfg = Node(a=object(), f=lambda x: x, m=L(Thing)(x=shared, y=shared), t="lone \ud800", k=3)
    text = LazyConfig.to_log_yaml(cfg)
    assert text.startswith("# for reading only: 2 of the values cannot be kept")
    assert 'f: !unkept "' in text
    assert "k: 3" in text
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match="written for reading, without a value that could not be kept"):
        LazyConfig.load(tmp_path / "c.yaml", trusted=True)
    plain = Node(a=1, m=L(Thing)(x=[2]))
    assert LazyConfig.to_log_yaml(plain) == to_yaml(plain)


@dataclasses.dataclass
class Seeded:
    width: int = 1
    seed: dataclasses.InitVar[int] = 0

    def __post_init__(self, seed):
        self.state = seed * 2


def test_what_a_class_keeps_beside_its_fields_is_not_lost(tmp_path):
    assert round_trip(Node(a=Seeded(3)), tmp_path, "py").a.state == 0
    for suffix in ("py", "yaml", "json"):
        with pytest.raises(SaveError, match="makes another object from the same fields"):
            round_trip(Node(a=Seeded(3, seed=5)), tmp_path, suffix)
