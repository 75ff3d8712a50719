"""What an override means where it is put: obeyed as written, or refused with the key and what to write."""

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazycfg.config.editing.grammar import parse_override
from lazycfg.config.editing.overrides import OverrideError, apply_overrides
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.inspection.override_text import format_value


class Colour(enum.Enum):
    RED = "r"
    BLUE = 2


class Part:
    def __init__(
        self,
        width: int = 1,
        rate: float = 0.1,
        name: str = "a",
        colour: Colour = Colour.RED,
        maybe: Colour | None = None,
        either: Colour | str = "x",
        flag: bool = False,
        both: int | str = 1,
        sizes: tuple[int, int] = (1, 2),
        free=3,
        free_text="x",
    ):
        self.given = locals()


def make():
    return Node(
        train=Node(
            max_iter=900, lr=0.1, amp=Node(enabled=False, dtype="float16"), out="x", steps=[1, 2], hooks=None,
            size=(512, 512), colour=Colour.BLUE, on=True,
        ),
        model=L(Part)(width=1, free=3, free_text="x"),
    )  # fmt: skip


def applied(*overrides):
    return apply_overrides(make(), list(overrides))


def refused(*overrides):
    cfg = make()
    with pytest.raises(OverrideError) as caught:
        apply_overrides(cfg, list(overrides))
    assert cfg == make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.max_iter*=2", "'*=' is not an operator; write the value, max_iter=..."),
        ("train.lr**=2", "'*=' is not an operator"),
        ("train.max_iter-=1", "'-=' is not an operator; write the value, max_iter=..."),
        ("train.max_iter//=2", "'//=' is not an operator"),
        ("train.out==x", "'==' is not an operator"),
        ("train.max_iter=1,000", "did you mean 1000?"),
        ("train.max_iter=ten", "'train.max_iter' is the int 900, and 'ten' is text (++train.max_iter=..."),
        ("train.max_iter=true", "True is a truth value"),
        ("train.lr=[0.1]", "'train.lr' is the float 0.1, and [0.1] is a sequence"),
        ("train.amp.enabled=1", "'train.amp.enabled' is the bool False, and 1 is a number"),
        ("train.amp.enabled=ture", "did you mean 'true'?"),
        ("train.amp.enabled=yes", "'yes' is text; write true (++"),
        ("train.amp.enabled=Off", "'Off' is text; write false (++"),
        ("train.amp=enabled:true", "quote braces for the shell: 'train.amp={...}'"),
        (
            "train.amp=true",
            "'train.amp' is a dict, and True is a truth value; write train.amp.KEY=true with one",
        ),
        ("train.steps=", "'train.steps' is a sequence, and '' is text"),
        ("train.steps.0=x", "'train.steps.0' is the int 1"),
        ("train.out=2024", "for text write 'train.out=\"2024\"'"),
        ("model=text", "'model' is a call, and 'text' is text"),
        ("model.width=true", "'model.width' takes a number, and True is a truth value"),
        ("model.rate=true", "takes a number"),
        ("model.both=true", "takes a number"),
        ("model.width=1.5", "expected int, got"),
        ("model.colour=GREEN", "'GREEN' is not a member of Colour; use one of RED, BLUE"),
        ("model.maybe=BLU", "did you mean 'BLUE'?"),
        ("train.colour=GREEN", "not a member of Colour"),
        ("model.free=abc", "'model.free' is the int 3, and 'abc' is text"),
        ("model.free_text=true", "for text write"),
        ("model=@torch.float16", "cannot be called"),
        ("model={width: 5}", "a dict in its place would drop the target; write model.KEY=..."),
        ("model.flag={a: 1}", "'model.flag': expected bool, got dict {'a': 1}"),
        (
            "model=@builtins.print",
            "(delete these before that: ~model.width ~model.free ~model.free_text model=@builtins.print)",
        ),
    ],
)
def test_slips_are_refused_with_a_remedy(text, message):
    said = refused(text)
    assert message in said
    assert said.startswith("the override is wrong:\n  override 1 ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train.max_iter=1e3", 1000),
        ("train.max_iter=1.5e3", 1500),
        ("train.max_iter=0.5", 0.5),
        ("train.lr=1e3", 1000.0),
        ("train.lr=1", 1),
        ("train.max_iter=null", None),
        ("train.max_iter=${train.lr}", "${train.lr}"),
        ("train.hooks=anything", "anything"),
        ("train.size=512", 512),
        ("train.size=[1,2]", [1, 2]),
        ("train.amp=null", None),
        ("train.colour=RED", Colour.RED),
        ("train.colour=r", Colour.RED),
        ('train.out="2024"', "2024"),
        ("++train.max_iter=ten", "ten"),
        ("++train.out=2024", 2024),
        ("train.*_iter=5", 5),
        ("model.width=1e3", 1000),
        ("model.rate=1e3", 1000.0),
        ("model.both=x", "x"),
        ("model.flag=true", True),
        ("model.flag=1", 1),
        ("model.colour=BLUE", Colour.BLUE),
        ("model.maybe=null", None),
        ("model.either=RED", Colour.RED),
        ("model.either=other", "other"),
    ],
)  # fmt: skip
def test_values_in_the_type_that_the_place_asks_for(text, value):
    cfg = applied(text)
    key = "train.max_iter" if "*" in text else text.lstrip("+").partition("=")[0]
    found = get_path(cfg, key, resolve=False)
    assert found == value
    assert type(found) is type(value)


def test_an_object_of_a_module_is_spelt_with_an_at_sign():
    torch = pytest.importorskip("torch")
    cfg = applied("train.hooks=@torch.float16", f"+train.more=[@{__name__}.Colour.RED,@math.pi]")
    assert cfg.train.hooks is torch.float16
    assert cfg.train.more == [Colour.RED, pytest.approx(3.14159, abs=1e-4)]
    assert "no" in refused("train.hooks=@torch.float61")
    assert "is a module" in refused("train.hooks=@torch.nn")


@pytest.mark.parametrize(
    "texts",
    [
        ("train.lr=1", "train.lr=2"),
        ("train.amp.enabled=true", "train.amp={enabled:false,dtype:x}"),
        ("train.steps.0=5", "train.steps=[3]"),
        ("train.lr=1", "~train.lr"),
        ("train['lr']=1", "train.lr=2"),
    ],
)
def test_an_override_that_a_later_one_undoes_is_named(texts):
    said = refused(*texts)
    assert f"override 1 {texts[0]!r}: {texts[1]!r} sets it again; leave one of them out" in said
    assert said.startswith("1 of 2 overrides is wrong, so none was applied:")


def test_overrides_that_go_on_from_an_earlier_one_are_taken():
    assert applied("train.lr=1", "train.lr=1").train.lr == 1
    assert applied("~train.lr", "+train.lr=2").train.lr == 2
    assert applied("train.steps=[3]", "train.steps+=[4]").train.steps == [3, 4]
    assert applied("train.amp={enabled:true}", "+train.amp.x=1").train.amp == Node(enabled=True, x=1)
    assert applied("**.lr=1", "train.lr=2").train.lr == 2


def test_places_of_a_pattern_share_no_list():
    cfg = Node(a=L(dict)(x=[1]), b=L(dict)(x=[1]))
    apply_overrides(cfg, ["**.x=[2]"])
    cfg.a.x.append(3)
    assert cfg.b.x == [2]


KEYS = """
    train train.max_iter train.lr train.amp train.amp.enabled train.amp.dtype train.out train.steps
    train.steps.0 train.steps.-1 train.steps.7 train.hooks train.size train.size.1 train.colour train.on
    train.nothing train.max_iter* train.* **.lr model model.width model.rate model.name model.colour
    model.maybe model.either model.flag model.both model.sizes model.free model.free_text model.nothing
    model._target_ model._args_ model.width.x nowhere . [ a..b train[0] ''
"""
VALUES = """
    1 -1 1.5 1e3 1,000 true false null none x RED BLUE r 2 '' "" [1] [] {} {a:1} (1,2) (1,) [1,x]
    enabled:true ??? ${train.lr} ${nothing} ${ @math.pi @nothing.x @ &train.lr &nothing & =x * ~ 0x10
    007 1_000 [1 {a 'x "x - +1 inf nan 1j b'x' set() ...
"""
PREFIXES = st.sampled_from(["", "", "", "", "+", "++", "~"])
ENDS = st.sampled_from(["=", "=", "=", "=", "+=", "*=", "-=", "==", ""])


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    PREFIXES,
    st.sampled_from(KEYS.split()),
    ENDS,
    st.one_of(
        st.sampled_from(["", *VALUES.split()]),
        st.text(max_size=8),
        st.integers().map(str),
        st.floats().map(str),
    ),
)
def test_any_override_is_applied_as_written_or_refused(prefix, key, end, value):
    text = f"{prefix}{key}{end}{value}"
    cfg = make()
    refusal = None
    try:
        apply_overrides(cfg, [text])
    except OverrideError as error:
        refusal = error
    if refusal is not None:
        assert cfg == make()
        (problem,) = refusal.problems
        assert problem.text == text
        assert repr(text) in str(refusal)
        assert len(problem.message) > 15
        return
    override = parse_override(text)
    if override.op == "delete":
        assert cfg != make()
        return
    if override.op == "append" or "*" in override.path or "@" in value or "&" in value:
        return
    found = get_path(cfg, override.path, resolve=False)
    if isinstance(found, Colour):
        assert override.value in (found.name, found.value)
    elif type(override.value) is float and type(found) is int:
        assert override.raw.lower().count("e") == 1
        assert found == override.value
    elif type(found) is str and type(override.value) is not str:  # where only text is taken
        assert override.path.endswith(".name")
        assert found == override.raw.strip()
    else:
        assert repr(found) == repr(override.value)
        assert isinstance(found, dict) or type(found) is type(override.value)
    try:
        again = format_value(dict(found) if type(found) is Node else found)
    except TypeError:
        return
    twice = apply_overrides(make(), [f"++{override.path}={again}"])
    assert repr(get_path(twice, override.path, resolve=False)) == repr(found)


class DType:
    """Stands for `torch.dtype`: objects in a module, which the text names."""


DType.__name__ = "dtype"
float16 = DType()


def typed(
    name: str = "a",
    maybe: str | None = None,
    folder: Path = Path("."),
    either: Path | str = "x",
    mode: Literal["fast", "12"] = "fast",
    kind: DType = float16,
    number: int | str = 1,
): ...


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name=123", "123"),
        ("name=1e3", "1e3"),
        ("name=true", "true"),
        ("name=1,000", "1,000"),
        ("name='1'", "1"),
        ("maybe=12", "12"),
        ("maybe=null", None),
        ("folder=out/x", Path("out/x")),
        ("folder=3", Path("3")),
        ("folder=${root}", "${root}"),
        ("either=out", "out"),
        ("mode=12", "12"),
        ("number=12", 12),
        ("number=ten", "ten"),
        ("kind=float16", float16),
        (f"kind={__name__}.float16", float16),
    ],
)
def test_text_is_taken_as_what_the_parameter_says(text, expected):
    cfg = apply_overrides(Node(m=L(typed)()), [f"m.{text}"])
    found = dict.get(cfg.m, text.partition("=")[0])
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name=[1]", "expected str, got list"),
        ("mode=slow", "expected Literal"),
        ("kind=float61", "is not a dtype of .*did you mean 'float16'"),
        ("name=null", "expected str, got None"),
    ],
)
def test_what_is_no_such_text_is_refused(text, message):
    with pytest.raises(OverrideError, match=message):
        apply_overrides(Node(m=L(typed)()), [f"m.{text}"])


class Level(enum.IntEnum):
    none = 0
    LOW = 1


class Typed:
    def __init__(
        self,
        level: Level = Level.LOW,
        norm: Literal["none", "BN"] = "BN",
        levels: Sequence[Level] = (),
        files: list[Path] | None = None,
        pair: tuple[Path, Level] | None = None,
        sizes: list[int] | None = None,
    ):
        self.given = locals()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("level=0", Level.none),
        ("level=none", Level.none),
        ("level=1", Level.LOW),
        ("norm=none", "none"),
        ("levels=[LOW, none]", [Level.LOW, None]),
        ("levels+=[LOW]", [Level.LOW]),
        ("files=[a, b/c]", [Path("a"), Path("b/c")]),
        ("pair=(a, LOW)", (Path("a"), Level.LOW)),
        ("sizes=[1e3, 2, -2e1]", [1000, 2, -20]),
    ],
)
def test_a_literal_may_be_a_member_and_elements_mean_what_their_annotation_says(text, expected):
    cfg = apply_overrides(Node(t=L(Typed)()), [f"t.{text}"])
    value = cfg.t[text.partition("=")[0].rstrip("+")]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("text", ["level=5", "level=true", "level=1.5"])
def test_a_literal_that_is_no_member_is_refused(text):
    with pytest.raises(OverrideError, match="is not a member of Level; "):
        apply_overrides(Node(t=L(Typed)()), [f"t.{text}"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("model.width=2", "**.width=3"),
        ("model.width=2", "model.w*=3"),
        ("train.hooks=x", "train.hooks=@fractions.Fraction"),
    ],
)
def test_a_pattern_or_an_import_that_undoes_an_override_is_refused(first, second):
    assert f"override 1 {first!r}: {second!r} sets it again" in refused(first, second)


def test_a_pattern_may_come_before_what_differs():
    assert applied("**.width=3", "model.width=2").model.width == 2


def test_a_member_is_not_replaced_by_a_number_that_is_none():
    assert applied("train.colour=2").train.colour is Colour.BLUE
    assert "'7' is not a member of Colour" in refused("train.colour=7")


class Number:
    """Stands for a tensor: annotated beside float, and something that a sequence could be turned into."""

    def __getitem__(self, index): ...


def step(lr: float | Number = 0.1, size: int | list[int] = 8, pair: int | Sequence[int] = 2): ...


def test_a_sequence_for_a_number_is_refused_unless_one_is_declared():
    cfg = Node(call=L(step)(lr=0.1, size=8, pair=2))
    with pytest.raises(
        OverrideError, match=r"'call.lr' takes a number, and \(0.01,\) is a sequence; did you"
    ):
        apply_overrides(cfg, ["call.lr=1e-2,"])
    with pytest.raises(OverrideError, match=r"\[0.01\] is a sequence \(\+\+call.lr=... sets it anyway\)"):
        apply_overrides(cfg, ["call.lr=[1e-2]"])
    assert apply_overrides(cfg, ["call.size=[8,9]", "call.pair=[1,2]"]).call.size == [8, 9]
    assert apply_overrides(cfg, ["++call.lr=[1e-2]"]).call.lr == [0.01]
