"""The grammar of overrides: text to records, and values back to text."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazycfg.config.editing.grammar import GrammarError, ImportRef, ShareRef, parse_override, parse_value
from lazycfg.inspection.override_text import format_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("1_000", 1000),
        ("0x1f", 31),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("-inf", -math.inf),
        (".inf", math.inf),
        ("1+2j", 1 + 2j),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("None", None),
        ("~", None),
        ("...", ...),
        ("", ""),
        ("BN", "BN"),
        ("007", "007"),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("yes", "yes"),
        ("it's", "it's"),
        ("x=y=z", "x=y=z"),
        ('"x=y"', "x=y"),
        ("'a\\n'", "a\n"),
        (r"r'\d'", r"\d"),
        (r"'\d'", r"\d"),
        ("b'\\xff'", b"\xff"),
        ("'''a'b'''", "a'b"),
        ("http://h:80/p?q=1", "http://h:80/p?q=1"),
        ("${a.b}", "${a.b}"),
        ("1,2", (1, 2)),
        ("1,", (1,)),
        ("a,b", "a,b"),
        ("1,b", "1,b"),
        ("[]", []),
        ("[a, b]", ["a", "b"]),
        ("[1,[2,{x:3}]]", [1, [2, {"x": 3}]]),
        ("{x:1,y:2}", {"x": 1, "y": 2}),
        ("{1:a}", {1: "a"}),
        ("{a,1}", {"a", 1}),
        ("{}", {}),
        ("set()", set()),
        ("(1)", 1),
        ("(1,)", (1,)),
        ("()", ()),
        ("{u:http://h:80/}", {"u": "http://h:80/"}),
        ("@torch.nn.ReLU", ImportRef("torch.nn.ReLU")),
        ("&a.b.0", ShareRef("a.b.0")),
        ("[@m.f,&a]", [ImportRef("m.f"), ShareRef("a")]),
    ],
)
def test_values(text, value):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_nan_is_a_float():
    assert math.isnan(parse_value("nan"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1", "']'"),
        ("[1 2]x", "the end"),
        ("{x:1", "'}'"),
        ("{x:1,y}", "':'"),
        ("{[1]:2}", "hashable"),
        ("{x:1,x:2}", "already"),
        ("'abc", "unclosed quote"),
        ("'a'b", "the end"),
        ("@", "dotted name"),
        ("@a b", "dotted name"),
        ("&", "a path"),
        ("[" * 200 + "]" * 200, "deeper"),
    ],
)
def test_broken_values_say_what_was_expected(text, expected):
    with pytest.raises(GrammarError, match=expected):
        parse_value(text)


@pytest.mark.parametrize(
    ("text", "op", "path", "value"),
    [
        ("a.b=1", "set", "a.b", 1),
        (" a.b = x ", "set", "a.b", "x"),
        ("+a=1", "add", "a", 1),
        ("++a=1", "force", "a", 1),
        ("a+=[1]", "append", "a", [1]),
        ("a.0=1", "set", "a.0", 1),
        ("~a.b=1", "delete", "a.b", 1),
        ('a["x=y"].b=1', "set", 'a["x=y"].b', 1),
        ("**.norm=BN", "set", "**.norm", "BN"),
        ("a=", "set", "a", ""),
    ],
)
def test_operations(text, op, path, value):
    parsed = parse_override(text)
    assert (parsed.op, parsed.path, parsed.value, parsed.text) == (op, path, value, text)


def test_delete_needs_no_value():
    parsed = parse_override("~a.b")
    assert (parsed.op, parsed.path, parsed.has_value) == ("delete", "a.b", False)


@pytest.mark.parametrize("text", ["", "a", "+", "~", "=1", "+=1", "+a+=[1]", "--lr=3", "-a=1"])
def test_what_is_no_override(text):
    with pytest.raises(GrammarError):
        parse_override(text)


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.sampled_from(["true", "null", "1", "inf", "a,b", "@x", "&x", "[", "it's", ".5", "~", "..."])
)
_HASHABLE = st.none() | st.booleans() | st.integers() | st.text()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.sets(_HASHABLE)
        | st.dictionaries(_HASHABLE, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal, where NaN is itself, and a set is in no order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b if isinstance(a, set) else repr(a) == repr(b)


@given(_VALUES)
def test_format_value_is_read_back(value):
    assert same(parse_value(format_value(value)), value)


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    try:
        parsed = parse_override(text)
    except GrammarError:
        return
    assert parsed.path


@given(st.text(alphabet="[]{}(),:'\"\\@&=ab1 .-"))
def test_any_value_is_parsed_or_refused(text):
    with contextlib.suppress(GrammarError):
        parse_value(text)


def test_what_has_no_spelling_is_refused():
    with pytest.raises(TypeError, match="object"):
        format_value([object()])
