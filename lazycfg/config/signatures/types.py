"""Whether a literal is of the type that a parameter is annotated with.

Only literals are judged (None, numbers, text, and lists, tuples and dicts of such): a node or any other
object is taken. A false refusal is worse than a mistake that is found later, so it is lenient where the field
is: None for a default of None, an int for a float, a list for a tuple or a set, `Tuple[X]` of any length, a
number for a list of floats, 0 and 1 for a bool, text for a device or a path, a list for a class
that is indexed or iterated (a `Dataset`). What the annotation does not say clearly is allowed.
"""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing

from lazycfg.config.tree.repr import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    _Test: TypeAlias = "Callable[[Any, type], bool]"

_LITERALS = frozenset((type(None), bool, int, float, complex, str, bytes, list, tuple, dict))


def doubtful_types(fits: Callable[[Any], bool]) -> frozenset[type]:
    """Return the types of which some literals do not pass a test of `fitter`: of these the value matters."""
    probes = (
        (None,),
        (True, False),
        (2,),
        (2.5,),
        (2j,),
        ("text",),
        (b"",),
        ([0.5j],),
        ((0.5j,),),
        ({0.5j: 0.5j},),
    )
    return frozenset(type(p[0]) for p in probes if not all(map(fits, p)))


def misfit(value: Any, hint: Any, default: Any) -> str | None:
    """Return what is wrong with a literal, as text; None when it fits."""
    if fits(value, hint, default):
        return None
    return f"expected {type_text(hint)}, got {shown(value)}{_as_number(value, hint, default)}"


def _as_number(value: Any, hint: Any, default: Any) -> str:
    """Return how to write a number that YAML 1.1 reads as text: it wants a dot before the exponent."""
    number = re.fullmatch(r"([+-]?\d+)[eE]([+-]?)(\d+)", value) if type(value) is str else None
    if number is None or not fits(float(value), hint, default):
        return ""
    sign = number[2] or "+"
    return f"; in YAML write {number[1]}.0e{sign}{number[3]}"


def type_text(hint: Any) -> str:
    """Return an annotation as it would be written."""
    if isinstance(hint, type) and not hasattr(hint, "__origin__") and not getattr(hint, "__args__", None):
        return hint.__qualname__
    return _MODULES.sub("", str(hint))


_MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")


def fits(value: Any, hint: Any, default: Any = None) -> bool:
    """Return whether a parameter with this annotation and default takes `value`."""
    return fitter(hint, default)(value)


def fitter(hint: Any, default: Any = None) -> Callable[[Any], bool]:
    """Return `fits` for one annotation and default, to be asked often: the annotation is looked at once."""
    test = _test_of(hint)
    # A default that breaks the annotation shows that it is not to be trusted.
    trusted = () if type(default) in (type(None), dict) or _keeps(default, test) else (type(default),)

    def fits_parameter(value: Any) -> bool:
        kind = type(value)
        if kind not in _LITERALS or kind in trusted or (default is None and value is None):
            return True
        try:
            return test(value, kind) or _is_open(value, kind)
        except TypeError:  # a hint that isinstance refuses: a protocol, a subscripted class
            return True

    return fits_parameter


def _keeps(default: Any, test: _Test) -> bool:
    try:
        return test(default, type(default))
    except TypeError:
        return True


def asks_for_objects(hint: Any, cls: type) -> bool:
    """Return whether an annotation takes objects of a class, but surely not the class itself."""
    origin = typing.get_origin(hint)
    if origin in _UNIONS:
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        return all(asks_for_objects(member, cls) for member in members)
    wanted = hint if origin is None else origin
    if not isinstance(wanted, type):
        return False
    if getattr(wanted, "_is_protocol", False):
        # That a class can be called says nothing: it may be there to make objects. Its methods need one.
        methods = [name for name, value in vars(wanted).items() if type(value) is types.FunctionType]
        found = [inspect.getattr_static(cls, name, None) for name in methods if not name.startswith("_")]
        return bool(found) and all(type(value) is types.FunctionType for value in found)
    try:
        return issubclass(cls, wanted) and not isinstance(cls, wanted) and not issubclass(cls, enum.Enum)
    except TypeError:  # a class that does not answer
        return False


def _is_open(value: Any, kind: type) -> bool:
    """Return whether a value is no literal, or stands for something else."""
    return kind not in _LITERALS or (kind is str and (value == "???" or "${" in value))


def _test_of(hint: Any) -> _Test:
    """Return whether a literal, given with its type, is what the annotation says."""
    if hint is None or hint is type(None):
        return lambda value, kind: value is None
    if hint is typing.Any or hint is object or isinstance(hint, (str, typing.TypeVar, typing.ForwardRef)):
        return _anything
    origin = typing.get_origin(hint)
    if origin is None:
        supertype = getattr(hint, "__supertype__", None)  # NewType
        if supertype is not None:
            return _test_of(supertype)
        if not isinstance(hint, type):
            return _anything
        return lambda value, kind: kind is hint or _is_instance(value, kind, hint)
    args = typing.get_args(hint)
    if origin in _UNIONS:
        tests = [_test_of(arg) for arg in args]
        return lambda value, kind: any(test(value, kind) for test in tests)
    if origin is typing.Literal:
        return lambda value, kind: any(value == arg and kind is type(arg) for arg in args)
    if origin in (typing.Annotated, typing.Final, typing.ClassVar):
        return _test_of(args[0])
    if origin is type:
        return lambda value, kind: False  # no literal is a class
    if not isinstance(origin, type):
        return _anything
    inside = _test_of_elements(origin, args)
    numbers = _takes_a_number(origin, args)
    return lambda value, kind: (
        ((kind is origin or _is_instance(value, kind, origin)) and inside(value, kind))
        or (kind in _NUMBERS and any(test(value, kind) for test in numbers))
    )


def _takes_a_number(origin: type, args: tuple[Any, ...]) -> list[_Test]:
    """Return the tests of a number in place of a list of floats: torch repeats it (`scale_factor=2`)."""
    if not issubclass(origin, list) and origin.__name__ not in _LISTS:
        return []
    return [_test_of(arg) for arg in args if arg is float]


def _anything(value: Any, kind: type) -> bool:
    return True


def _test_of_elements(origin: type, args: tuple[Any, ...]) -> _Test:
    """Return the test of what is in a list, tuple or dict that is annotated as `origin[args]`."""
    if not args:
        return _anything
    one, of_one = args[0], _test_of(args[0])
    each = [_test_of(arg) for arg in args]
    fixed = issubclass(origin, tuple) and len(args) > 1 and args[1] is not ...

    def test(value: Any, kind: type) -> bool:
        if kind is dict:
            if len(args) != 2:
                return True
            return all(_element_fits(k, each[0]) and _element_fits(v, each[1]) for k, v in value.items())
        if kind is not list and kind is not tuple:
            return True
        if fixed:
            return len(value) == len(each) and all(map(_element_fits, value, each))
        return all(type(element) is one or _element_fits(element, of_one) for element in value)

    return test


def _element_fits(value: Any, test: _Test) -> bool:
    kind = type(value)
    return kind not in _LITERALS or test(value, kind) or _is_open(value, kind)


def _is_instance(value: Any, kind: type, hint: type) -> bool:
    if isinstance(value, hint):
        # Text is a sequence of texts, but was not meant where a list of something is asked for.
        return not (
            kind is str and hint.__module__ in ("collections.abc", "typing") and hint.__name__ in _LISTS
        )
    if kind is bool or kind is int:
        if hint in (float, complex):
            return True
        if hint is bool:
            return value in (0, 1)
    if kind is float and hint is complex:
        return True
    if kind is list and issubclass(tuple, hint):
        return True
    if kind is tuple and issubclass(list, hint):
        return True
    if kind in (list, tuple) and issubclass(hint, (set, frozenset)):
        return True
    if hint.__module__ not in _PLAIN_MODULES and not issubclass(hint, (str, bytes)):
        if kind in (list, tuple, dict) and (hasattr(hint, "__getitem__") or hasattr(hint, "__iter__")):
            return True
        if kind in _NUMBERS and hasattr(hint, "__float__"):
            return True
    name = hint.__name__.lower()
    if kind is str and ("path" in name or name == "device"):
        return True
    if kind is int and name == "device":
        return True
    # An enum is written as its value or name by many; a protocol says nothing of literals.
    return issubclass(hint, enum.Enum) or bool(getattr(hint, "_is_protocol", False))


_UNIONS = (typing.Union, types.UnionType)
_NUMBERS = (int, float)
_PLAIN_MODULES = ("builtins", "collections", "collections.abc", "typing", "abc")
_LISTS = ("Sequence", "MutableSequence", "Collection")
