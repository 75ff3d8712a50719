"""check(): everything that is wrong, at once."""

import collections
import enum
import functools
import time
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from inspect import currentframe
from pathlib import Path

import pytest

from lazycfg import REQUIRED, CheckError, ConfigError, LazyConfig, LazyPartial, Node, check, instantiate
from lazycfg import LazyCall as L
from lazycfg.config.building.check import examine
from lazycfg.config.signatures.binding import node_signature, why_not
from lazycfg.config.signatures.types import fits
from lazycfg.config.tree.node import to_nodes


class Conv:
    def __init__(
        self,
        *,
        channels: int,
        kernel: "int | tuple[int, int]" = 3,
        bias: bool = True,
        norm: str = None,  # noqa: RUF013
    ):
        pass


class Net:
    def __init__(self, *, stem: Conv, stages: list[Conv], lr: float = 0.1):
        pass


def six_mistakes():
    global first_line
    first_line = currentframe().f_lineno + 1
    return to_nodes(
        {
            "model": L(Net)(
                stem=L(Conv)(chanels=3),
                stages=[
                    L(Conv)(channels="64"),
                    L(Conv)(channels=REQUIRED),
                    L("torch.nn.Conv9d")(),
                ],
                lr="${train.leraning_rate}",
            ),
            "train": {"learning_rate": 0.1, "output": "???"},
        }
    )


def test_six_mistakes_are_six_problems():
    problems = check(six_mistakes(), raises=False)
    line = first_line
    found = [(p.kind, ".".join(map(str, p.path)), getattr(p.origin, "line", None)) for p in problems]
    assert found == [
        ("unknown argument", "model.stem.chanels", line + 3),
        ("type", "model.stages.0.channels", line + 5),
        ("required", "model.stages.1.channels", line + 6),
        ("target", "model.stages.2._target_", line + 7),
        ("interpolation", "model.lr", line + 9),
        ("required", "train.output", None),
    ]
    assert all(p.origin.file == __file__ and p.origin.column for p in problems[:-1])


def test_the_error_carries_the_list_and_says_what_was_meant():
    with pytest.raises(CheckError) as caught:
        check(six_mistakes())
    error = caught.value
    assert isinstance(error, ConfigError)
    assert len(error.problems) == 6
    text = str(error)
    assert text.startswith("6 problems")
    assert "Conv takes no argument 'chanels'; did you mean 'channels', which is missing?" in text
    assert "did you mean 'learning_rate'" in text
    assert (
        "did you mean 'Conv2d'" in text or "did you mean 'Conv3d'" in text or "did you mean 'Conv1d'" in text
    )
    assert "Conv(*, channels: int" in text
    assert f"{__file__}:" in text
    assert "expected int, got text '64'" in text


def test_a_right_tree_has_no_problems():
    cfg = to_nodes(
        {
            "net": L(Net)(stem=L(Conv)(channels=3), stages=[L(Conv)(channels="${..0.channels}")], lr=1),
            "part": LazyPartial(Conv)(bias=False),
            "any": L(dict)(whatever=1),
            "fn": L(lambda *a, **k: 0)(1, 2, z=3),
        }
    )
    cfg.net.stages[0].channels = "${net.stem.channels}"
    assert check(cfg) == []
    assert check(L(Conv)(channels=3)) == []
    assert check([L(Conv)(channels=3)]) == []
    assert check(3) == []


def test_nothing_is_built_and_nothing_is_changed():
    def explode(**kwargs):
        raise AssertionError("was called")

    cfg = L(explode)(a=[L(explode)()])
    before = cfg.copy()
    check(cfg)
    assert cfg == before


def test_the_value_behind_an_interpolation_is_checked():
    cfg = Node(conv=L(Conv)(channels="${n}"), n="many")
    (problem,) = check(cfg, raises=False)
    assert problem.kind == "type"
    assert problem.path == ("conv", "channels")
    cfg.n = 3
    assert check(cfg) == []


def test_part_of_a_config_is_checked_in_its_place():
    cfg = Node(model=L(Net)(stem=L(Conv)(channels="${width}"), stages=[]), width=3)
    assert check(cfg.model) == []
    cfg.model.stem.channels = "${widht}"
    (problem,) = check(cfg.model.stem, raises=False)
    assert problem.path == ("model", "stem", "channels")


def test_a_partial_may_lack_arguments_but_not_invent_them():
    assert check(LazyPartial(Conv)()) == []
    (problem,) = check(LazyPartial(Conv)(bais=1), raises=False)
    assert problem.kind == "unknown argument"


def test_a_shared_mistake_is_reported_once():
    shared = L(Conv)()
    problems = check(L(Net)(stem=shared, stages=[shared]), raises=False)
    assert len(problems) == 1


def test_a_circle_is_a_problem():
    node = L(dict)()
    node.me = [node]
    (problem,) = check(node, raises=False)
    assert problem.kind == "cycle"


def test_star_args_count_as_given():
    def f(a, b, *rest):
        pass

    def g(a, /, b):
        pass

    assert check(L(f)(1, 2, 3)) == []
    assert check(L(g)(1, 2)) == []
    assert [p.path for p in check(L(g)(1), raises=False)] == [("b",)]


def test_arguments_that_only_a_position_can_give():
    def f(a, b=2, /, *, c):
        raise AssertionError("must not be called")

    for _ in range(2):  # what is remembered of the first must not hide the second
        assert check(L(f)(1, c=3)) == []
        assert check(LazyPartial(f)()) == []
        problem = check(L(f)(c=3), raises=False)[0]
        assert (problem.kind, problem.path) == ("missing argument", ("a",))
        assert "f needs the argument 'a', which is given by position" in str(problem)
        assert [p.path for p in check(L(f)(), raises=False)] == [("a",), ("c",)]
    with pytest.raises(CheckError, match="'a'"):
        instantiate([L(f)(c=3)])


class Color(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [1, True], ["1", 1.5, None, [1]]),
        (float, [1, 1.5], ["x", [1.0]]),
        (bool, [True, 0, 1], ["yes", 2]),
        (str, ["a", "???", "${x}"], [1, None, ["a"]]),
        (int | None, [1, None], ["a"]),
        (typing.Optional[float], [1, None, 2.0], ["a"]),  # noqa: UP045
        (list[int], [[1], (1, 2), []], [["a"], 1, "ab"]),
        (tuple[int, int], [(1, 2), [1, 2]], [(1,), (1, "a"), 3]),
        (tuple[int, ...], [(), (1, 2, 3)], [("a",), 1]),
        (int | tuple[int, int], [3, (3, 3)], ["3", (3, 3, 3)]),
        (Sequence[str], [["a"], ("a",)], ["a", [1]]),
        (Mapping[str, int], [{"a": 1}], [{"a": "b"}, {1: 1}, [1]]),
        (dict[str, list[float]], [{"a": [1]}], [{"a": ["x"]}]),
        (typing.Literal["a", "b"], ["a"], ["c", 1]),
        (Callable[[int], int], [len, print], ["len", 3]),
        (type[int], [int], ["int", 3]),
        (typing.Any, [1, "a", None], []),
        (object, [1, None], []),
        (Conv, [L(Conv)(), object()], [3, "conv"]),
        (Path, ["a/b", Path("a")], [3]),
        (Color, [Color.RED, "RED"], []),
        (typing.Annotated[int, "x"], [1], ["a"]),
        (typing.NewType("N", int), [1], ["a"]),
        ("unresolved", [1, "a"], []),
        (typing.Iterable[int], [[1], {1: 2}], [3]),
    ],
)
def test_literals_against_annotations(hint, good, bad):
    empty = object()
    assert [v for v in good if not fits(v, hint, empty)] == []
    assert [v for v in bad if fits(v, hint, empty)] == []


def test_lenient_where_the_signature_is():
    assert fits(None, int, None), "implicit Optional"
    assert fits("auto", int, "auto"), "a default that breaks its own annotation"


def test_lenient_where_pytorch_is():
    nn = pytest.importorskip("torch").nn
    import torch

    good = [
        L(nn.Conv2d)(3, 64, kernel_size=[3, 3], stride=(2, 2), padding="same", bias=False),
        L(nn.Linear)(3, 4, device="cuda", dtype=torch.float16),
        L(nn.BatchNorm2d)(3, eps=1, momentum=None),
        L(nn.Dropout)(p=0),
        L(torch.optim.SGD)(params=[], lr=1, momentum=0, weight_decay=0),
        L(torch.optim.AdamW)(params=[], betas=[0.9, 0.99], fused=None),
        L(nn.CrossEntropyLoss)(reduction="sum", label_smoothing=0),
    ]
    assert check(good) == []
    bad = [L(nn.Conv2d)(3, "64", 3), L(nn.Linear)(3, 4, bias="no"), L(nn.Conv2d)(3, 64)]
    assert [p.kind for p in check(bad, raises=False)] == ["type", "type", "missing argument"]


def test_annotations_in_text_are_resolved_one_by_one():
    namespace = {}
    exec(
        "from __future__ import annotations\ndef f(*, a: NoSuchName, b: int): pass",
        namespace,
    )
    (problem,) = check(L(namespace["f"])(a=1, b="x"), raises=False)
    assert problem.path == ("b",)


def test_why_not():
    node = L(Conv)(channels=1)
    assert why_not(node, "bias") is None
    assert why_not(node, "bias", False) is None
    assert "did you mean 'bias'" in why_not(node, "bais")
    assert "expected bool" in why_not(node, "bias", "x")
    assert why_not(Node(a=1), "anything", 3) is None
    assert why_not(L("no.such.module")(), "anything") is None
    assert why_not(L(dict)(), "anything") is None
    assert node_signature(node).candidates() == ["channels", "kernel", "bias", "norm"]


def test_decorated_functions_are_checked_by_what_they_wrap():
    def inner(*, a: int):
        pass

    @functools.wraps(inner)
    def outer(**kwargs):
        return inner(**kwargs)

    assert [p.kind for p in check(L(outer)(b=1), raises=False)] == ["missing argument", "unknown argument"]


def test_a_target_whose_module_fails_to_import(tmp_path, monkeypatch):
    (tmp_path / "broken_for_check.py").write_text("import no_such_module_at_all\n")
    (tmp_path / "crashes_for_check.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = [L("broken_for_check.X")(), L("crashes_for_check.X")(), L("os.path")(), L("os.pth.join")()]
    texts = [p.message for p in check(cfg, raises=False)]
    assert "needs 'no_such_module_at_all'" in texts[0]
    assert "fails with ZeroDivisionError" in texts[1]
    assert "module, which cannot be called" in texts[2]
    assert "did you mean 'path'" in texts[3]


def test_a_tree_deep_and_wide():
    node = L(dict)(x=1)
    for _ in range(3000):
        node = L(dict)(child=[node])
    assert check(node) == []
    wide = L(dict)(items_=[L(Conv)(channels=i) for i in range(20_000)] + [L(Conv)(channels="x")])
    (problem,) = check(wide, raises=False)
    assert problem.path == ("items_", 20_000, "channels")


def with_defaults(
    mode: typing.Literal["zeros", "reflect"] = "zeros",
    numbers: list[int] = [1],  # noqa: B006
    pair: tuple[int, int] = (1, 2),
    broken: int = 0.5,  # type: ignore[assignment]
):
    return mode


def test_a_default_of_the_same_type_vouches_for_nothing():
    right = L(with_defaults)(mode="reflect", numbers=[2, 3], pair=(3, 4), broken=0.7)
    assert check(right) == []
    wrong = L(with_defaults)(mode="zeroes", numbers=["a"], pair=(1, 2, 3), broken="x")
    assert [p.path for p in check(wrong, raises=False)] == [("mode",), ("numbers",), ("pair",), ("broken",)]


MARKED = """\
from lazycfg import LazyCall as L
from collections import Counter
é = "é"; one = L(dict)(é="ü", §lr="???")
train = dict(
\tsteps=[1, ("é", §"???")],
    texts=["a", (1, [§"${nope}"])],
    nested=[{"a": {§"b": "???"}}],
)
def part(a, b, *args): return args
unnamed = L(part)(1, §"???", 3,
  *[])
@lambda f: L(part)(f, §b="???")
def decorated(): pass
loops = [L(dict)(x=[L(dict)(§y="???") for _ in "a"]) for _ in "a"]
text = f"{1} é", L(dict)(a=f"é{2:>{3}}", §b="???")
ü = "ü"; missing = §L(part)(a=1)
star = L(part)(1, 2, §"???", *[4])
hidden = §L(part)(*[1, "???"])
if (walrus := L(dict)(§a="???")): pass
first, second = 1, §"???"
chained = (
    L
    (dict)
    (§a="???")
)
train["late"] = §"???"
if é == "a":
    train["late"] = compute()
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_every_problem_is_told_with_its_line_and_column(tmp_path, newline, encoding):
    lines = MARKED.splitlines()
    if encoding == "latin-1":
        lines.insert(0, "# coding: latin-1")
    marks = {(at, line.index("§") + 1) for at, line in enumerate(lines, 1) if "§" in line}
    source = newline.join(lines).replace("§", "")
    (tmp_path / "c.py").write_bytes(source.encode(encoding))
    problems = check(LazyConfig.load(str(tmp_path / "c.py")), raises=False)
    assert sorted((p.origin.line, p.origin.column) for p in problems) == sorted(marks)


def test_many_repeated_calls_are_noted_in_little_time():
    calls = [L(dict)(x=index) for index in range(6000)]
    cfg = Node(one=calls[:1] * 6000, pairs=[call for call in calls for _ in range(2)])
    start = time.process_time()
    with pytest.warns(UserWarning, match="holds one call of dict"):
        check(cfg)
    assert time.process_time() - start < 2


def test_literals_of_another_type_can_be_warnings():
    def part(width: int, depth: int = 1):
        return width, depth

    cfg = Node(a=L(part)(width="8"), b=L(part)(width=1))
    with pytest.raises(CheckError, match="expected int, got text '8'"):
        check(cfg)
    with pytest.warns(UserWarning, match="a.width .*expected int, got text '8'"):
        (problem,) = check(cfg, strict=False)
    assert problem.severity == "warning"
    cfg.b.dept = 3
    with pytest.raises(CheckError) as caught:
        check(cfg, strict=False)
    assert [p.severity for p in caught.value.problems] == ["warning", "error"]


def test_problems_of_a_deep_tree_are_put_in_order_in_linear_time():
    node = L(dict)(a="${nowhere}")
    for _ in range(3000):
        node = L(dict)(a=node)
    cfg = Node(z="${nowhere}", deep=node, last="${nowhere}")
    problems = check(cfg, raises=False)
    assert [len(problem.path) for problem in problems] == [1, 3002, 1]
    assert [problem.path[0] for problem in problems] == ["z", "deep", "last"]


def test_a_number_that_yaml_reads_as_text(tmp_path):
    (tmp_path / "c.yaml").write_text("x:\n  _target_: torch.nn.Dropout\n  p: 1e-3\n")
    (problem,) = check(LazyConfig.load(tmp_path / "c.yaml"), raises=False)
    assert "in YAML write 1.0e-3" in str(problem)


class Several(list):
    pass


@pytest.mark.parametrize(
    ("hold", "kind"),
    [
        (Several, "a Several"),
        (collections.deque, "a deque"),
        (lambda nodes: types.SimpleNamespace(first=nodes[0]), "a SimpleNamespace"),
    ],
)
def test_nodes_that_nobody_would_build_are_told(hold, kind):
    cfg = Node(model=L(dict)(parts=hold([L(Conv)(channels=3)])), free=hold([5]))
    (problem,) = check(cfg, raises=False)
    assert str(problem).startswith("model.parts (")
    assert f"nodes in {kind} are not built: put them into a list or a dict" in str(problem)
    with pytest.raises(CheckError, match="are not built"):
        instantiate(cfg)


class Caller(typing.Protocol):
    def __call__(self, x: int) -> int: ...


class Loser(Caller, typing.Protocol):
    def loss(self) -> float: ...


class Head:
    def __call__(self, x: int) -> int:
        return x

    def loss(self) -> float:
        return 0.0


class Maker:
    @classmethod
    def loss(cls) -> float:
        return 0.0


class Flavour(enum.Enum):
    SWEET = 1


@pytest.mark.parametrize(
    ("hint", "given", "is_noted"),
    [
        (Conv, Conv, True),
        (Conv | None, Conv, True),
        (typing.Optional[Loser], Head, True),  # noqa: UP045
        (Sequence[int], collections.UserList, True),
        (Conv, Head, False),  # of another kind: nothing is certain
        (Caller, Head, False),  # what is called may make objects
        (Loser, Maker, False),
        (type[Conv], Conv, False),
        (Conv | type[Conv], Conv, False),
        (Callable[..., Conv], Conv, False),
        (typing.Any, Conv, False),
        (object, Conv, False),
        (Flavour, Flavour, False),
    ],
)
def test_a_class_where_an_object_of_it_is_expected_is_noted(hint, given, is_noted):
    def build(part, other: Conv = Conv):
        pass

    build.__annotations__["part"] = hint
    cfg = Node(model=L(build)(part=given, other=Conv))
    assert why_not(cfg.model, "part", given) is None  # nor is it refused anywhere
    notes = examine(cfg).notes
    assert len(notes) == is_noted
    if is_noted:
        assert notes[0].startswith("model.part: expected ")
        assert (
            f"got the class {given.__qualname__} itself: write L({given.__qualname__})(...) (set by "
            in notes[0]
        )
        with pytest.warns(UserWarning, match=r"write L\(\w+\)\(\.\.\.\) \(set by .*test_check\.py:\d+"):
            assert check(cfg) == []
