"""Items as Python expressions, broken into lines where they get long."""

from __future__ import annotations

import keyword
import math
import unicodedata
from collections.abc import Callable
from pathlib import PurePath

from lazycfg.config.formats.items import Encoded, Item
from lazycfg.config.formats.python_names import Names
from lazycfg.config.signatures.binding import arrange
from lazycfg.config.signatures.callables import signature_of
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.targets import ImportName, is_deferred, public_name

_WIDTH = 100


class Expressions:
    """Writes expressions; the names they need are imported as they come."""

    def __init__(self) -> None:
        self.names = Names()
        self._variables: dict[int, str] = {}  # id of an Item -> the variable that holds it
        self._outside: set[int] = set()  # items that exist only after the written code has run
        self._enclosed: set[int] = set()  # dicts inside objects, which the loader does not turn into nodes
        self._open: set[int] = set()  # dicts that it does turn into nodes: written as nodes if they are both
        self._problems: list[str] = []

    def expression(self, value: Encoded, column: int = 0, indent: int = 0) -> str:
        """Return the expression for a value that begins at ``column`` of a line indented by ``indent``."""
        if not isinstance(value, Item):
            return self._literal(value)
        known = self._variables.get(id(value))
        if known is not None:
            return known
        if id(value) in self._outside:
            self._problems.append(
                f"config path {value.path!r} is needed while a function or class of the config is "
                "defined; only a .py file can keep that"
            )
        is_node = type(value.obj) is Node or id(value) in self._open
        if value.kind in ("dict", "pairs") and id(value) in self._enclosed and is_node:
            return self._write_node(value, column, indent)
        return _WRITERS[value.kind](self, value, column, indent)

    def _literal(self, value: Encoded) -> str:
        if isinstance(value, str):
            return string_literal(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f'{self.names.imported(ImportName("builtins", "float"))}("{value}")'
        return repr(value)

    def _write_call(self, item: Item, column: int, indent: int) -> str:
        parts = dict(item.parts)
        written_so = parts.get("_partial_", True) is True
        target, partial = parts.pop("_target_"), "_partial_" in parts
        parts.pop("_partial_", None)
        args = self._positional(item, parts.pop("_args_", None), parts)
        if args is None or not written_so or not _can_be_called(target):
            return self._write_node(item, column, indent)
        opening = self._opening(target, partial, column, indent)
        if not partial and not parts and _is_getattr(item):
            opening = f"{self._lazy_call()}.attr("
        return self._arguments(opening, [*((None, value) for value in args), *parts.items()], column, indent)

    def _arguments(
        self, opening: str, parts: list[tuple[str | None, Encoded]], column: int, indent: int
    ) -> str:
        """Return a call: what is before its arguments, and these, by name or None."""
        first = next(
            (i for i, (key, _) in enumerate(parts) if key is not None and not is_name(key)), len(parts)
        )
        entries = [("" if key is None else f"{key}=", value) for key, value in parts[:first]]
        tail = ", ".join(  # what comes after the first odd key, too: the order is kept
            f"{string_literal(str(key))}: {self.expression(value, _WIDTH, indent)}"
            for key, value in parts[first:]
        )
        return self._broken(opening, entries, ")", column, indent, tail=f"**{{{tail}}}" if tail else "")

    def _write_node(self, item: Item, column: int, indent: int) -> str:
        """Return a node that no call of the loader or of `LazyCall` would make."""
        opening = f"{self.names.imported(ImportName('lazycfg', 'Node'))}({{"
        keys = [self.expression(key, _WIDTH, indent + 4) for key, _ in item.parts]
        entries = [(f"{key}: ", value) for key, (_, value) in zip(keys, item.parts, strict=True)]
        return self._broken(opening, entries, "})", column, indent)

    def _lazy_call(self) -> str:
        return self.names.imported(ImportName("lazycfg", "LazyCall"), "L")

    def _opening(self, target: Encoded, partial: bool, column: int, indent: int) -> str:
        """Return what is before the arguments of a call."""
        if partial:
            wrapper = self.names.imported(ImportName("lazycfg", "LazyPartial"))
        else:
            wrapper = self._lazy_call()
            if isinstance(target, Item) and _is_getattr(target) and id(target) not in self._variables:
                owner, name = dict(target.parts)["_args_"].parts
                return (
                    self._broken(f"{wrapper}.method(", [("", owner[1]), ("", name[1])], ")", column, indent)
                    + "("
                )
        return f"{wrapper}({self.expression(target, column + len(wrapper) + 1, indent)})("

    def _positional(self, item: Item, args: Encoded, named: dict[str, Encoded]) -> list[Encoded] | None:
        """Return the positional arguments, with those named ones in front that ``*args`` asks for (taken from
        ``named``).

        None when the call cannot be written so that recording it gives the same node.
        """
        if args is None:
            return []
        if not isinstance(args, Item) or args.kind not in ("list", "tuple") or not args.parts:
            return None
        values = [value for _, value in args.parts]
        target = dict.get(item.obj, "_target_")
        if not callable(target) or is_deferred(target):
            return values
        try:
            signature = signature_of(target)
            front, _ = arrange(target, tuple(values), dict(named))
        except Exception:  # what is before *args is missing: no call gives this node
            return None
        if signature is None or len(front) == len(values):
            return values
        only = signature.positional_only
        moved = signature.positional[only:]
        if len(values) <= only or any(name not in named for name in moved):
            return None
        for name in moved:
            del named[name]
        return list(front)

    def _write_dict(self, item: Item, column: int, indent: int) -> str:
        if item.parts and all(is_name(key) for key, _ in item.parts):
            opening = f"{self.names.imported(ImportName('builtins', 'dict'))}("
            return self._broken(
                opening, [(f"{key}=", value) for key, value in item.parts], ")", column, indent
            )
        entries = [(f"{string_literal(key)}: ", value) for key, value in item.parts]
        return self._broken("{", entries, "}", column, indent)

    def _write_pairs(self, item: Item, column: int, indent: int) -> str:
        entries = [(f"{self.expression(key, _WIDTH, indent + 4)}: ", value) for key, value in item.parts]
        return self._broken("{", entries, "}", column, indent)

    def _write_tuple(self, item: Item, column: int, indent: int) -> str:
        return self._broken("(", _values(item), ",)" if len(item.parts) == 1 else ")", column, indent)

    def _write_set(self, item: Item, column: int, indent: int) -> str:
        if not item.parts:
            return f"{self.names.imported(ImportName('builtins', 'set'))}()"
        return self._broken("{", _values(item), "}", column, indent)

    def _write_frozenset(self, item: Item, column: int, indent: int) -> str:
        opening = f"{self.names.imported(ImportName('builtins', 'frozenset'))}(["
        return self._broken(opening, _values(item), "])", column, indent)

    def _write_object(self, item: Item, column: int, indent: int) -> str:
        return self._arguments(f"{self.expression(item.value, column, indent)}(", item.parts, column, indent)

    def _write_partial(self, item: Item, column: int, indent: int) -> str:
        opening = f"{self.names.imported(ImportName('functools', 'partial'))}("
        return self._arguments(opening, [(None, item.value), *item.parts], column, indent)

    def _write_member(self, item: Item, column: int, indent: int) -> str:
        name = str(item.parts[0][1])
        owner = self.expression(item.value, column, indent)
        return f"{owner}.{name}" if is_name(name) else f"{owner}[{string_literal(name)}]"

    def _write_attribute(self, item: Item, column: int, indent: int) -> str:
        name = str(item.parts[0][1])
        if not is_name(name):
            self._problems.append(
                f"config path {item.path!r}: the attribute {name!r} is not a valid Python name"
            )
        return f"{self.expression(item.value, column, indent)}.{name}"

    def _write_path(self, item: Item, column: int, indent: int) -> str:
        value: PurePath = item.value
        name = type(value).__name__ if "Pure" in type(value).__name__ else "Path"
        return f"{self.names.imported(ImportName('pathlib', name))}({string_literal(str(value))})"

    def _write_complex(self, item: Item, column: int, indent: int) -> str:
        value: complex = item.value
        parts = f"{self._literal(value.real)}, {self._literal(value.imag)}"
        return f"{self.names.imported(ImportName('builtins', 'complex'))}({parts})"

    def _broken(
        self,
        opening: str,
        entries: list[tuple[str, Encoded]],
        closing: str,
        column: int,
        indent: int,
        tail: str = "",
    ) -> str:
        """Return an opening, entries and a closing: on one line when they fit, else one entry a line."""
        inner = indent + 4
        texts = [f"{prefix}{self.expression(value, inner + len(prefix), inner)}" for prefix, value in entries]
        if tail:
            texts.append(tail)
        if not any("\n" in text for text in texts):
            flat = f"{opening}{', '.join(texts)}{closing}"
            if column + len(flat) <= _WIDTH:
                return flat
        pad = " " * inner
        body = "".join(f"{pad}{text},\n" for text in texts)
        return f"{opening}\n{body}{' ' * indent}{closing.removeprefix(',')}"


_WRITERS: dict[str, Callable[[Expressions, Item, int, int], str]] = {
    "attribute": Expressions._write_attribute,
    "bytes": lambda writer, item, column, indent: repr(item.value),
    "call": Expressions._write_call,
    "complex": Expressions._write_complex,
    "construct": Expressions._write_object,
    "dict": Expressions._write_dict,
    "ellipsis": lambda writer, item, column, indent: "...",
    "frozenset": Expressions._write_frozenset,
    "list": lambda writer, item, column, indent: writer._broken("[", _values(item), "]", column, indent),
    "member": Expressions._write_member,
    "name": lambda writer, item, column, indent: writer.names.imported(public_name(item.value, item.obj)),
    "object": Expressions._write_object,
    "pairs": Expressions._write_pairs,
    "partial": Expressions._write_partial,
    "path": Expressions._write_path,
    "required": lambda writer, item, column, indent: writer.names.imported(ImportName("lazycfg", "REQUIRED")),
    "set": Expressions._write_set,
    "tuple": Expressions._write_tuple,
}  # by the kind of an item; definitions of functions and classes are written before what names them


def _is_getattr(item: Item) -> bool:
    """Return whether a call is the attribute of what another node builds."""
    parts = dict(item.parts)
    target, args = parts.get("_target_"), parts.get("_args_")
    if item.kind != "call" or len(parts) != 2 or not isinstance(target, Item) or not isinstance(args, Item):
        return False
    name = target.kind == "name" and str(target.value) == "builtins.getattr"
    return name and args.kind == "tuple" and len(args.parts) == 2 and isinstance(args.parts[1][1], str)


def _can_be_called(target: Encoded) -> bool:
    """Return whether `LazyCall` takes a target."""
    if isinstance(target, Item):
        return target.kind == "call" or callable(target.obj) or is_deferred(target.obj)
    return isinstance(target, str) and _is_dotted(target)


def _values(item: Item) -> list[tuple[str, Encoded]]:
    return [("", value) for _, value in item.parts]


def is_name(text: str) -> bool:
    """Return whether Python reads a text as this very name, in an assignment and before a ``=`` in a call."""
    if not text.isidentifier() or keyword.iskeyword(text) or text == "__debug__":
        return False
    return text.isascii() or unicodedata.normalize("NFKC", text) == text


def _is_dotted(text: str) -> bool:
    return "." in text and all(is_name(part) for part in text.split("."))


def string_literal(text: str) -> str:
    """Return a string literal in double quotes where that needs no escape."""
    literal = repr(text)
    return (
        f'"{literal[1:-1]}"'
        if literal.startswith("'") and '"' not in literal and "\\'" not in literal
        else literal
    )
