"""The constructors that a data file may call for a plain value, and what these may cost.

A few characters of a file can ask for hours or for all memory: an exponent, the size of a type, keys that
have one hash. What a constructor is going to do is judged by its arguments, before it does it.
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.node import is_call
from lazycfg.config.tree.targets import find_name, public_name

_MAKERS_TEXT = """
    builtins.bytearray builtins.complex builtins.range builtins.slice collections.Counter
    collections.OrderedDict collections.defaultdict datetime.date datetime.datetime datetime.time
    datetime.timedelta datetime.timezone decimal.Decimal fractions.Fraction numpy.array numpy.bool
    numpy.complex128 numpy.complex64 numpy.dtype numpy.empty numpy.float16 numpy.float32
    numpy.float64 numpy.int16 numpy.int32 numpy.int64 numpy.int8 numpy.uint16 numpy.uint32
    numpy.uint64 numpy.uint8 re.compile torch.Size torch.device torch.tensor uuid.UUID
"""
_MAKERS = frozenset(_MAKERS_TEXT.split())
# These believe what an object says of itself, or may take forever: they get literals only.
_LITERALS_ONLY_TEXT = """
    builtins.bytearray builtins.frozenset builtins.range builtins.set decimal.Decimal
    fractions.Fraction numpy.array numpy.dtype numpy.empty re.compile torch.tensor uuid.UUID
"""
_LITERALS_ONLY = frozenset(_LITERALS_ONLY_TEXT.split())
_MAPPINGS = frozenset(
    ("builtins.dict", "collections.Counter", "collections.OrderedDict", "collections.defaultdict")
)
_MADE = frozenset(("torch.dtype", "torch.Size", "decimal.Decimal", "fractions.Fraction"))
_ATOMS = (type(None), bool, int, float, complex, str, bytes)
_MOST_BYTES = 16_000_000
MOST_DIGITS = 4300  # as Python's own limit for the conversion of text
_MOST_RANGE = 1_000_000
_LARGEST_EXPONENT = 9999
_LONGEST_PATTERN = 500
MOST_LARGE = 1000
LARGEST_HASHED = 2**61 - 1  # integers from here on share their hashes with smaller ones
_FRACTION = re.compile(
    r"\s*[+-]?(\d{1,4300}(/\d{1,4300})?|\d{0,4300}\.?\d{0,4300}([eE][+-]?\d{1,3})?)\s*", re.ASCII
)


def maker_name(function: Any) -> str:
    """Return the public name of a function or class; empty when it has none."""
    name = find_name(function)
    return "" if name is None else str(public_name(name, function))


def is_value_maker(function: Any) -> bool:
    """Return whether a `!construct` may call this."""
    is_flag = isinstance(function, type) and issubclass(function, enum.Enum)
    return is_flag or maker_name(function) in _MAKERS


def takes_literals_only(function: Any) -> bool:
    """Return whether what may be given to this has to stand in the file."""
    return maker_name(function) in _LITERALS_ONLY


def why_costly(function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> str | None:
    """Return why a call may not be made or recorded with these arguments; None when it may (wrong arguments
    may: the constructor says what is wrong with them).
    """
    try:
        return _why_costly(function, args, keywords)
    except (TypeError, ValueError, ArithmeticError):
        return None


def _why_costly(function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> str | None:
    name = maker_name(function)
    given = [*args, *keywords.values()]
    if name in _MAPPINGS:
        for arg in args:
            pairs = arg if isinstance(arg, list | tuple) else ()
            if is_call(arg) or (type(arg) is str and "${" in arg) or not all(map(_is_pair, pairs)):
                return f"{name!r} takes keywords, or a mapping written in the file"
            reason = refuse_colliding(pair[0] if isinstance(pair, list | tuple) else pair for pair in pairs)
            if reason is not None:
                return reason
        return None
    if name not in _LITERALS_ONLY:
        return None
    if not all(is_literal(value) for value in given):
        return f"{name!r} takes nothing but plain values written in the file"
    module, _, short = name.partition(".")
    if module in ("numpy", "torch"):
        return _why_large(short, args, keywords)
    if short in ("set", "frozenset"):
        return next(
            (r for arg in args if isinstance(arg, list | tuple) and (r := refuse_colliding(arg))), None
        )
    if any(isinstance(value, str) and len(value) > MOST_DIGITS for value in given):
        return f"text of more than {MOST_DIGITS:,} characters for a {short}"
    if short == "Fraction" and any(isinstance(v, str) and not _FRACTION.fullmatch(v) for v in given):
        return "the text of a fraction is digits/digits, or a decimal number with an exponent below 1000"
    if short == "Decimal" and _exponent(function(*args, **keywords)) > _LARGEST_EXPONENT:
        return f"a decimal number with an exponent above {_LARGEST_EXPONENT:,}"
    if short == "range" and _length(args) > _MOST_RANGE:
        return f"a range of more than {_MOST_RANGE:,} numbers"
    if short == "compile" and not (
        type(args[0] if args else None) is str and len(args[0]) <= _LONGEST_PATTERN
    ):
        return f"a pattern is text of at most {_LONGEST_PATTERN} characters"
    if short == "bytearray" and not all(isinstance(value, bytes) for value in given):
        return "a bytearray is made of bytes"
    return None


def make_value(function: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
    """Call a constructor of a plain value.

    Raises:
        ConfigError: it would take too long, or too much memory.
    """
    reason = why_costly(function, tuple(args), keywords)
    if reason is not None:
        raise ConfigError(reason)
    made = function(*args, **keywords)
    if getattr(getattr(made, "dtype", None), "hasobject", False) or getattr(made, "hasobject", False):
        raise ConfigError("an array of objects")
    return made


def is_literal(value: Any) -> bool:
    """Return whether a value is a number, text or bytes, a type of numbers, or a list of such values."""
    work = [value]
    while work:
        element = work.pop()
        if type(element) in (list, tuple, set, frozenset):
            work.extend(element)
        elif not _is_atom(element):
            return False
    return True


def _is_atom(value: Any) -> bool:
    if type(value) is str:
        return "${" not in value
    if type(value) in _ATOMS or isinstance(value, enum.Flag):
        return True
    if isinstance(value, type):
        return value.__module__ == "numpy"
    module = type(value).__module__.partition(".")[0]
    return f"{module}.{type(value).__name__}" in _MADE or (
        module == "numpy" and type(value).__name__.endswith("DType") and not value.hasobject
    )


def refuse_colliding(keys: Iterable[Any]) -> str | None:
    """Return why keys may not stand in one mapping or set: too many of them have the same hash."""
    seen: set[int] = set()
    repeated = 0
    for key in keys:
        if type(key) is str:
            continue
        try:
            value = hash(key)
        except TypeError:
            continue
        repeated += value in seen
        seen.add(value)
        if repeated > MOST_LARGE:
            return f"more than {MOST_LARGE:,} keys with the hash of another one"
    return None


def _is_pair(value: Any) -> bool:
    """Return whether a mapping can be made of an element: a pair with a plain key, or a plain value."""
    return is_literal(value[0] if isinstance(value, list | tuple) and value else value)


def _why_large(short: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> str | None:
    if len(args) != 1 or not set(keywords) <= ({"dtype"} if short != "dtype" else set()):
        return f"{short} takes one value, and a dtype"
    dtype = args[0] if short == "dtype" else keywords.get("dtype")
    size = 16
    if "numpy" in sys.modules and dtype is not None and not str(type(dtype)).startswith("<class 'torch"):
        if (isinstance(dtype, str) and len(dtype) > 40) or (not isinstance(dtype, str) and is_call(dtype)):
            return "the name of a dtype of more than 40 characters"
        size = sys.modules["numpy"].dtype(dtype).itemsize
    count, longest = _extent(args[0]) if short != "empty" else (_product(args[0]), 0)
    if short == "dtype":
        count = 1
    elif not is_literal(args[0]) or isinstance(args[0], type):
        return f"{short} takes numbers"
    if count * max(size, 4 * longest) > _MOST_BYTES:
        return f"an array of more than {_MOST_BYTES:,} bytes"
    return None


def _extent(value: Any) -> tuple[int, int]:
    """Return how many values nested lists hold, and the length of the longest text."""
    count, longest, work = 0, 0, [value]
    while work:
        element = work.pop()
        if isinstance(element, list | tuple):
            work.extend(element)
        else:
            count += 1
            longest = max(longest, len(element) if isinstance(element, str | bytes) else 0)
    return count, longest


def _product(shape: Any) -> int:
    total = 1
    for size in shape if isinstance(shape, list | tuple) else [shape]:
        total *= size if isinstance(size, int) and size >= 0 else _MOST_BYTES + 1
    return total


def _exponent(made: Any) -> int:
    digits, exponent = made.as_tuple()[1:]
    return max(abs(made.adjusted()), abs(exponent), len(digits)) if isinstance(exponent, int) else 0


def _length(args: tuple[Any, ...]) -> int:
    made = range(*args)
    return abs((made.stop - made.start) // made.step)
