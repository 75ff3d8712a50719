"""What a class takes that hands its `**kwargs` on to a base: never refused by `check` what can be built."""

import importlib
import sys
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import ConfigError, LazyConfig, Node, check, explain
from lazycfg import LazyCall as L
from lazycfg.config.signatures.binding import with_defaults
from lazycfg.config.signatures.callables import signature_of
from lazycfg.inspection.docstrings import parameter_doc
from lazycfg.without_importing.source import source_signature

BASE = '''
class Base:
    """A base.

    Args:
        scale: how much larger.
    """

    def __init__(self, *, width: int, scale: float = 1.0):
        self.width, self.scale = width, scale

'''


MINE = f"""{BASE}
class Mine(Base):
    def __init__(self, *, extra=1, **kwargs):
        'Do it.'
        super().__init__(**kwargs)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that makes a module of a text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def make(text):
        names.append(f"handing_{len(names)}_{abs(hash(tmp_path)) % 10**8}")
        (tmp_path / f"{names[-1]}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module(names[-1])

    yield make
    for name in names:
        sys.modules.pop(name, None)


def messages(cfg):
    return [problem.message for problem in check(cfg, raises=False)]


def test_check_finds_a_misspelled_argument_that_a_class_hands_on(module):
    Mine = module(MINE).Mine
    assert check(L(Mine)(width=1, extra=2, scale=3)) == []
    assert messages(L(Mine)(width=1, scal=2.0)) == ["Mine takes no argument 'scal'; did you mean 'scale'?"]
    assert messages(L(Mine)()) == ["Mine needs the argument 'width: int'"]
    assert messages(L(Mine)(width=1, scale="wide")) == ["expected float, got text 'wide'"]
    assert signature_of(Mine).text == "Mine(*, extra=1, width: int, scale: float = 1.0)"
    with pytest.raises(ConfigError, match="did you mean 'scale'"):
        LazyConfig.apply_overrides(Node(head=L(Mine)(width=1)), ["head.scal=2"])
    assert with_defaults(Node(head=L(Mine)(width=1))).head == L(Mine)(width=1, extra=1)


def test_it_is_known_without_importing_too(module):
    name = module(MINE).__name__
    found = source_signature(f"{name}.Mine")
    assert found.text == "Mine(*, extra=1, width: int, scale: float = 1.0)"
    assert found.handed["scale"].line == 9
    assert found.surely_takes("width", 1)


def test_where_it_stands_and_what_it_means_is_told_of_the_base(module):
    made = module(MINE)
    cfg = Node(head=L(made.Mine)(width=1))
    (step,) = explain(cfg, "head.scale").steps
    assert (step.origin.file, step.origin.line) == (made.__file__, 9)
    assert "how much larger" in parameter_doc(cfg.head, "scale")


def test_annotations_are_those_of_the_module_of_the_base(module):
    base = module("from __future__ import annotations\nNumber = int\n"
                  "class Base:\n    def __init__(self, *, width: Number): ...\n").__name__  # fmt: skip
    Mine = module(f"from __future__ import annotations\nfrom {base} import Base\nNumber = str\n"
                  "class Mine(Base):\n    def __init__(self, *, name: Number = '', **kwargs):\n"
                  "        super().__init__(**kwargs)\n").Mine  # fmt: skip
    assert check(L(Mine)(width=1, name="x")) == []
    assert signature_of(Mine).hints == {"width": int, "name": str}


# Each of these takes `scal`, which its base does not have, or may do so for all that the text tells.
OPEN = {
    "it is taken out": "kwargs.pop('scal', None); super().__init__(**kwargs)",
    "it is taken out without a name": "locals()['kwargs'].pop('scal', None); super().__init__(**kwargs)",
    "it is taken out in the call": "super().__init__(width=kwargs.pop('scal', 1), **kwargs)",
    "it is taken out by what the call needs": "super().__init__(width=drop() or 1, **kwargs)",
    "it is taken out by what comes before": "drop(); super().__init__(**kwargs)",
    "the call is skipped": "while not kwargs: super().__init__(**kwargs)",
    "the error is caught": "with suppress(TypeError): super().__init__(**kwargs)",
    "it returns before": "return; super().__init__(**kwargs)",
    "another dict is given": "super().__init__(**{k: v for k, v in kwargs.items() if k != 'scal'})",
    "the call is another one": "super().keep(**kwargs)",
    "super is another function": "super().__init__(**kwargs)",
}
HELPERS = """
import sys
from contextlib import suppress

def drop():
    sys._getframe(1).f_locals["kwargs"].pop("scal", None)

class Anything:
    def __init__(self, **kwargs): ...
"""


@pytest.mark.parametrize("case", OPEN)
def test_what_is_not_certain_is_not_refused(case, module):
    shadow = "def super():\n    return Anything()\n" if case.startswith("super") else ""
    keep = "    def keep(self, **kwargs): ...\n"
    mine = f"class Mine(Base):\n    def __init__(self, *, width=1, **kwargs):\n        {OPEN[case]}\n"
    made = module(f"{BASE}{keep}{HELPERS}{shadow}{mine}")
    assert check(L(made.Mine)(scal=1)) == []
    assert source_signature(f"{made.__name__}.Mine").any_name


def test_other_ways_to_be_called_are_not_refused(module):
    made = module(BASE + '''
import functools
class Meta(type):
    def __call__(cls, **kwargs):
        kwargs.pop("scal", None)
        return super().__call__(**kwargs)
class Called(Base, metaclass=Meta):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
class Made(Base):
    def __new__(cls, **kwargs):
        return object()
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
def lenient(function):
    @functools.wraps(function)
    def inner(self, **kwargs):
        kwargs.pop("scal", None)
        function(self, **kwargs)
    return inner
class Decorated(Base):
    @lenient
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
class Above(Base):
    @lenient
    def __init__(self, *, width, scale=1.0): ...
class Below(Above):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
class Mixin:
    def __init__(self, *, scal=0, **kwargs):
        super().__init__(**kwargs)
class First(Base):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
class Mixed(First, Mixin): ...
class Swapped(Mixin, Base): ...
''')  # fmt: skip
    for name in ("Called", "Made", "Decorated", "Below", "Swapped"):
        getattr(made, name)(width=1, scal=1)
        assert check(L(getattr(made, name))(width=1, scal=1)) == [], name
    assert messages(L(made.Swapped)(width=1, scall=1)) == [
        "Swapped takes no argument 'scall'; did you mean 'scal'?"
    ]


@pytest.mark.parametrize("source", [None, MINE])
def test_a_source_that_changed_or_is_not_there_proves_nothing(source, tmp_path):
    text = MINE.replace("        'Do it.'\n", f"        kwargs.pop('scal', {source is None})\n")
    file = tmp_path / "edited.py"
    if source is not None:
        file.write_text(source)
    made = {"__name__": "edited"}
    exec(compile(text, str(file), "exec"), made)
    assert check(L(made["Mine"])(width=1, scal=1)) == []


def test_what_is_given_by_position_on_the_way_is_counted(module):
    made = module("""
class Base:
    def __init__(self, width, height, depth=1): ...
class Fixed(Base):
    def __init__(self, width, **kwargs):
        super().__init__(width, **kwargs)
class Square(Base):
    def __init__(self, **kwargs):
        super().__init__(4, height=4, **kwargs)
class Any(Base):
    def __init__(self, *args, extra=1, **kwargs):
        super().__init__(*args, **kwargs)
""")
    assert signature_of(made.Fixed).text == "Fixed(width, *, height, depth=1)"
    assert signature_of(made.Square).text == "Square(*, depth=1)"
    assert messages(L(made.Square)(width=1)) == ["Square takes no argument 'width'; did you mean 'depth'?"]
    assert check(L(made.Any)(1, 2, depth=3)) == check(L(made.Any)(width=1, height=2)) == []
    assert messages(L(made.Any)(1, 2, dept=3)) == ["Any takes no argument 'dept'; did you mean 'depth'?"]


def test_what_the_base_needs_is_missing_where_nothing_is_given_by_position(module):
    made = module("""
class Base:
    def __init__(self, width, height): ...
class Mine(Base):
    def __init__(self, *args, extra=1, **kwargs):
        super().__init__(*args, **kwargs)
""")
    (message,) = messages(L(made.Mine)(width=1))
    assert "needs the argument 'height'" in message
    assert check(L(made.Mine)(1, height=2)) == check(L(made.Mine)(1, 2)) == []


names = st.sampled_from(["a", "b", "c", "d"])
inits = st.fixed_dictionaries(
    {
        "own": st.lists(
            st.tuples(names, st.sampled_from(["", "=1"])), max_size=3, unique_by=lambda one: one[0]
        ),
        "by_name": st.booleans(),  # whether its own parameters are keyword-only
        "args": st.booleans(),
        "kwargs": st.booleans(),
        "body": st.sampled_from(["super", "super", "super", "pop", "late", "nothing"]),
        "gives": st.lists(names, max_size=2, unique=True),
        "gives_first": st.lists(names, max_size=1),
    }
)


def written(name, bases, init):
    """Return the text of a class of the property test."""
    head = f"class {name}({', '.join(bases)}):\n"
    if init is None:
        return f"{head}    pass\n"
    own = sorted((n + default for n, default in init["own"]), key=lambda word: "=" in word)
    if init["args"]:
        words = [*own, "*args"] if not init["by_name"] else ["*args", *own]
    else:
        words = ["*", *own] if init["by_name"] and own else own
    rest = ["**kwargs"] if init["kwargs"] else []
    mine = [n for n, _ in init["own"]]
    first = [*(n for n in init["gives_first"] if n in mine), *(["*args"] if init["args"] else [])]
    given = [f"{n}={n if n in mine else 5}" for n in init["gives"] if n not in first]
    call = f"super().__init__({', '.join([*first, *given, *rest])})"
    body = {
        "super": call,
        "pop": f"{'kwargs.pop(chr(97), None); ' if rest else ''}{call}",
        "late": f"self.x = 1\n        {call}",
        "nothing": "pass",
    }[init["body"]]
    return f"{head}    def __init__({', '.join(['self', *words, *rest])}):\n        {body}\n"


def can_be_built(target, args, kwargs):
    try:
        target(*args, **kwargs)
    except TypeError:
        return False
    return True


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.none() | inits, st.integers(0, 3), st.booleans()), min_size=1, max_size=5),
    st.dictionaries(names, st.just(1)),
    st.lists(st.just(2), max_size=2),
)
def test_what_a_class_can_be_built_with_is_never_refused(tmp_path_factory, classes, kwargs, args):
    text = ""
    for at, (init, above, two) in enumerate(classes):
        bases = dict.fromkeys(
            f"C{at - 1 - n}" for n in ((above, above + 1) if two else (above,)) if at - 1 - n >= 0
        )
        text += written(f"C{at}", list(bases) or ["object"], init)
    file = tmp_path_factory.mktemp("handed") / "made.py"
    file.write_text(text)
    made = {"__name__": "made"}
    try:
        exec(compile(text, str(file), "exec"), made)
    except TypeError:  # no order of bases
        return
    target = made[f"C{len(classes) - 1}"]
    built = can_be_built(target, args, kwargs)
    node = Node({"_target_": target, **({"_args_": args} if args else {}), **kwargs})
    problems = [problem for problem in check(node, raises=False) if problem.kind != "type"]
    assert not (built and problems), f"{text}\n{args} {kwargs}"
    if args or signature_of(target).any_name or not signature_of(target).handed:
        return
    if any(
        can_be_built(target, (), dict.fromkeys(some, 1)) for n in range(5) for some in combinations("abcd", n)
    ):
        assert built == (not problems), f"{text}\n{args} {kwargs}"
