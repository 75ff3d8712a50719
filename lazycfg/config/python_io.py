"""A config as executable Python: `to_py`.

Imports are sorted, nodes that are used more than once become variables, so do parts that are nested deeply;
functions and classes of config files are written out with what they refer to. Loading the text gives an
equal tree.
"""

from __future__ import annotations

import keyword
import math
import re
import textwrap
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from lazycfg.config.encode import Encoded, Item, SaveError, encode
from lazycfg.config.importable import ImportName, public_name
from lazycfg.config.node import Node
from lazycfg.config.python_names import Names, identity
from lazycfg.config.signature import arrange, is_deferred, signature_of
from lazycfg.config.source_capture import Captured

__all__ = ["PythonWriter", "post_order", "to_py"]

_WIDTH = 100
_MAX_HEIGHT = (
    20  # deeper parts become variables: Python's parser refuses 200 nested brackets, people refuse earlier
)
# kinds whose identity matters: reached twice, they are written once
SHARED = frozenset({"call", "dict", "pairs", "list", "object", "construct", "partial", "set", "attribute"})
_OPAQUE = frozenset({"object", "construct", "partial", "attribute"})
_DATA_KINDS = frozenset(
    {
        "call",
        "dict",
        "pairs",
        "list",
        "tuple",
        "set",
        "frozenset",
        "object",
        "bytes",
        "complex",
        "path",
        "member",
    }
    | {"required"}
)


def to_py(cfg: Any) -> str:
    """``cfg`` as Python source that loads to an equal tree.

    Raises:
        SaveError: something in it has no source and cannot be written; all such places are named.
        CycleError: the config contains itself.
    """
    return PythonWriter().module(encode(cfg))


class PythonWriter:
    """Writes one module: ``blocks`` are its statements in order."""

    def __init__(self) -> None:
        self.names = Names()
        self.blocks: list[str] = []
        self._variables: dict[int, str] = {}  # id of an Item -> the variable that holds it
        self._factories: dict[int, set[str]] = {}  # id of a source Item -> names its factory must receive
        self.links: dict[str, Item] = {}
        self._outside: set[int] = set()
        self._enclosed: set[int] = set()  # dicts inside objects, which the loader does not turn into nodes
        self._defined: set[int] = set()
        self._defining: set[int] = set()
        self._top: dict[str, Encoded] = {}
        self._done: set[str] = set()  # names of captured values and top-level keys that are written
        self._hidden: list[str] = []  # names of captured values that are no config data
        self._problems: list[str] = []

    # ---------------------------------------------------------------- whole modules

    def module(self, root: Item) -> str:
        """The text of a config file."""
        if root.kind == "dict" and all(_is_data_name(key) for key, _ in root.parts):
            self._top = dict(root.parts)
        for key, value in self._top.items():
            self.names.reserve(key, ("item", id(value)) if isinstance(value, Item) else identity(value))
        order = post_order([root])
        self._enclosed = {id(item) for item in _reachable([item for item in order if item.kind in _OPAQUE])}
        self._define_all(order)
        heights: dict[int, int] = {}
        top = {id(value): key for key, value in self._top.items() if isinstance(value, Item)}
        for item in order:
            height = 1 + max((heights.get(id(c), 0) for c in _children(item)), default=0) if item.parts else 0
            heights[id(item)] = height
            if item is root or id(item) in self._variables:
                heights[id(item)] = 0
            elif _is_shared(item) or height >= _MAX_HEIGHT:
                heights[id(item)] = 0
                if id(item) in top:
                    self._assign_top(top[id(item)], item)
                else:
                    self._assign(item, self.names.free(_hint(item), ("item", id(item))))
        for key, value in self._top.items():
            self._assign_top(key, value)
        if not self._top:
            self.blocks.append(f"__config__ = {self.expression(root, 13)}\n")
        elif self._hidden or not all(_is_data(value) for value in self._top.values()):
            pairs = "".join(f"    {_string(key)}: {key},\n" for key in self._top)
            self.blocks.append(f"# what of these names is the config\n__config__ = {{\n{pairs}}}\n")
        return self._text()

    def definitions(self, sources: list[Item], tree: set[int]) -> str:
        """The text of a module that defines the given functions and classes, for the data formats.

        ``tree`` are the ids of items that the config itself holds: they come to exist later, so that what a
        function refers to by a global name is put into ``links``; any other use of them is refused.
        """
        self._outside = tree
        self._define_all(sources)
        return self._text()

    def variable(self, item: Item) -> str:
        """The name of a written definition."""
        return self._variables[id(item)]

    def _text(self) -> str:
        if self._problems:
            raise SaveError(self._problems)
        header = self.names.header()
        text, last = header, "import" if header else ""
        for block in self.blocks:
            kind = "definition" if block.startswith(("def ", "class ", "@", "async ")) else "value"
            kind = "long" if kind == "value" and block.count("\n") > 1 else kind
            if last:
                wide = "definition" in (kind, last)
                text += "\n\n" if wide else "" if kind == last == "value" else "\n"
            text, last = text + block, kind
        return text

    def _assign(self, item: Item, name: str) -> None:
        text = self.expression(item, len(name) + 3)
        self._variables[id(item)] = name
        self.blocks.append(f"{name} = {text}\n")

    def _assign_top(self, key: str, value: Encoded) -> None:
        if key in self._done:
            return
        self._done.add(key)
        known = self._variables.get(id(value)) if isinstance(value, Item) else None
        if known == key:
            return
        self.blocks.append(f"{key} = {self.expression(value, len(key) + 3)}\n")
        if isinstance(value, Item) and known is None and value.kind in SHARED | {"tuple"}:
            self._variables[id(value)] = key

    # ---------------------------------------------------------------- functions and classes

    def _define_all(self, order: list[Item]) -> None:
        """Write the definitions of all functions and classes, after their names are settled."""
        sources = _all_sources(order)
        for item in sources:
            captured: Captured = item.value
            if captured.is_lambda:
                self._variables[id(item)] = self.names.free(_hint(item), ("item", id(item)))
            elif self.names.reserve(captured.name, ("item", id(item))):
                self._variables[id(item)] = captured.name
                self._hide(captured.name, item)
        for item in sources:
            captured = item.value
            conflicts = set(captured.cells)
            for name, value in item.parts:
                if name not in captured.cells and not self._reserve_reference(name, value):
                    conflicts.add(name)
            if id(item) not in self._variables:
                self._variables[id(item)] = self.names.free(f"_{captured.name}", ("item", id(item)))
                conflicts.add("")
            if conflicts:
                self._factories[id(item)] = conflicts
        for item in sources:
            self._define(item)

    def _reserve_reference(self, name: str, value: Encoded) -> bool:
        owner = identity(value)
        if name in self._top and owner != ("item", id(self._top[name])):
            return owner == identity(self._top[name])
        return self.names.reserve(name, owner)

    def _define(self, item: Item) -> None:
        if id(item) in self._defined or id(item) in self._defining:
            return
        self._defining.add(id(item))
        captured: Captured = item.value
        inside = self._factories.get(id(item), set())
        eager = [(n, v) for n, v in item.parts if n in captured.eager and n not in inside]
        lazy = [(n, v) for n, v in item.parts if n not in captured.eager and n not in inside]
        given = [(n, v) for n, v in item.parts if n in inside]
        for name, value in eager:
            self._bind(name, value, captured, now=True)
        for _, value in given:
            self._define_below(value, captured)
        self.blocks.append(self._definition(item, given, bool(inside)))
        self._defined.add(id(item))
        self._defining.discard(id(item))
        for name, value in lazy:
            self._bind(name, value, captured, now=False)

    def _definition(self, item: Item, given: list[tuple[str, Encoded]], factory: bool) -> str:
        captured: Captured = item.value
        variable = self._variables[id(item)]
        if not factory:
            return f"{variable} = {captured.source}\n" if captured.is_lambda else f"{captured.source}\n"
        maker = self.names.free(f"_make_{variable.strip('_')}", ("factory", id(item)))
        body = (
            f"return {captured.source}"
            if captured.is_lambda
            else f"{captured.source}\n\nreturn {captured.name}"
        )
        head = f"def {maker}({', '.join(name for name, _ in given)}):\n"
        call = self._broken(f"{maker}(", [(f"{n}=", v) for n, v in given], ")", len(variable) + 3, 0)
        return f"{head}{textwrap.indent(body, '    ')}\n\n\n{variable} = {call}\n"

    def _define_below(self, value: Encoded, user: Captured) -> None:
        """Write the definitions that an expression is going to name."""
        if isinstance(value, Item):
            for item in _all_sources([*post_order([value]), value], follow=False):
                if id(item) in self._defining:
                    self._problems.append(
                        f"{user.name!r} and {item.value.name!r} need each other to be defined first"
                    )
                self._define(item)

    def _bind(self, name: str, value: Encoded, user: Captured, *, now: bool) -> None:
        """Make ``name`` stand for what a function refers to by it."""
        if name in self._done or (name in self._top and not now):
            return
        if isinstance(value, Item) and value.kind == "source":
            if now and id(value) in self._defining:
                self._problems.append(
                    f"{user.name!r} and {value.value.name!r} need each other to be defined first"
                )
            self._define(value)
            if self._variables[id(value)] != name:
                self.blocks.append(f"{name} = {self._variables[id(value)]}\n")
            self._done.add(name)
        elif isinstance(value, Item) and id(value) in self._outside and not now:
            self._done.add(name)
            self.links[name] = value
        elif isinstance(value, Item) and value.kind == "name":
            self._done.add(name)
            self.names.import_as(name, public_name(value.value, value.obj))
        else:
            self._define_below(value, user)
            if name in self._top:
                self._assign_top(name, value)
                return
            self._done.add(name)
            if isinstance(value, Item) and value.kind in SHARED and id(value) not in self._variables:
                self._assign(value, name)
            else:
                self.blocks.append(f"{name} = {self.expression(value, len(name) + 3)}\n")
            self._hide(name, value)

    def _hide(self, name: str, value: Encoded) -> None:
        is_function = isinstance(value, Item) and value.kind == "source"
        if not name.startswith("_") and name not in self._top and not is_function:
            self._hidden.append(name)

    # ---------------------------------------------------------------- expressions

    def expression(self, value: Encoded, column: int = 0, indent: int = 0) -> str:
        """The expression for a value that begins at ``column`` of a line that is indented by ``indent``."""
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
        text: str = getattr(self, f"_write_{value.kind}")(value, column, indent)
        return text

    def _literal(self, value: Encoded) -> str:
        if isinstance(value, str):
            return _string(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f'{self.names.imported(ImportName("builtins", "float"))}("{value}")'
        return repr(value)

    def _write_call(self, item: Item, column: int, indent: int) -> str:
        parts = dict(item.parts)
        target, partial = parts.pop("_target_"), parts.pop("_partial_", None)
        args = self._positional(item, parts.pop("_args_", None), parts)
        callee = isinstance(target, Item) or (isinstance(target, str) and _is_dotted(target))
        if args is None or partial not in (None, True) or not callee:
            return self._write_node(item, column, indent)
        opening = self._opening(target, bool(partial), column, indent)
        if not partial and not parts and _is_getattr(item):
            opening = f"{self._lazy_call()}.attr("
        entries = [("", value) for value in args]
        entries += [(f"{key}=", value) for key, value in parts.items() if _is_name(key)]
        odd = [(key, value) for key, value in parts.items() if not _is_name(key)]
        tail = ", ".join(f"{_string(key)}: {self.expression(value, _WIDTH, indent)}" for key, value in odd)
        return self._broken(opening, entries, ")", column, indent, tail=f"**{{{tail}}}" if tail else "")

    def _write_node(self, item: Item, column: int, indent: int) -> str:
        """A node that no call of the loader or of `LazyCall` would make."""
        opening = f"{self.names.imported(ImportName('lazycfg', 'Node'))}({{"
        keys = [self.expression(key, _WIDTH, indent + 4) for key, _ in item.parts]
        entries = [(f"{key}: ", value) for key, (_, value) in zip(keys, item.parts, strict=True)]
        return self._broken(opening, entries, "})", column, indent)

    def _lazy_call(self) -> str:
        return self.names.imported(ImportName("lazycfg", "LazyCall"), "L")

    def _opening(self, target: Encoded, partial: bool, column: int, indent: int) -> str:
        """What stands before the arguments of a call."""
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
        """The positional arguments, with those named ones in front that ``*args`` asks for (taken from
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
        except Exception:  # what stands before *args is missing: no call gives this node
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
        if id(item) in self._enclosed and type(item.obj) is Node:
            return self._write_node(item, column, indent)
        if item.parts and all(_is_name(key) for key, _ in item.parts):
            opening = f"{self.names.imported(ImportName('builtins', 'dict'))}("
            return self._broken(
                opening, [(f"{key}=", value) for key, value in item.parts], ")", column, indent
            )
        entries = [(f"{_string(key)}: ", value) for key, value in item.parts]
        return self._broken("{", entries, "}", column, indent)

    def _write_pairs(self, item: Item, column: int, indent: int) -> str:
        if id(item) in self._enclosed and type(item.obj) is Node:
            return self._write_node(item, column, indent)
        entries = [(f"{self.expression(key, _WIDTH, indent + 4)}: ", value) for key, value in item.parts]
        return self._broken("{", entries, "}", column, indent)

    def _write_list(self, item: Item, column: int, indent: int) -> str:
        return self._broken("[", _values(item), "]", column, indent)

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
        opening = f"{self.expression(item.value, column, indent)}("
        return self._broken(opening, [(f"{key}=", value) for key, value in item.parts], ")", column, indent)

    def _write_construct(self, item: Item, column: int, indent: int) -> str:
        opening = f"{self.expression(item.value, column, indent)}("
        return self._broken(opening, _entries(item), ")", column, indent)

    def _write_partial(self, item: Item, column: int, indent: int) -> str:
        opening = f"{self.names.imported(ImportName('functools', 'partial'))}("
        return self._broken(opening, [("", item.value), *_entries(item)], ")", column, indent)

    def _write_member(self, item: Item, column: int, indent: int) -> str:
        return f"{self.expression(item.value, column, indent)}.{item.parts[0][1]}"

    _write_attribute = _write_member

    def _write_name(self, item: Item, column: int, indent: int) -> str:
        return self.names.imported(public_name(item.value, item.obj))

    def _write_source(self, item: Item, column: int, indent: int) -> str:
        raise AssertionError("definitions are written before the expressions that name them")

    def _write_path(self, item: Item, column: int, indent: int) -> str:
        value: PurePath = item.value
        name = type(value).__name__ if "Pure" in type(value).__name__ else "Path"
        return f"{self.names.imported(ImportName('pathlib', name))}({_string(str(value))})"

    def _write_required(self, item: Item, column: int, indent: int) -> str:
        return self.names.imported(ImportName("lazycfg", "REQUIRED"))

    def _write_bytes(self, item: Item, column: int, indent: int) -> str:
        return repr(item.value)

    def _write_complex(self, item: Item, column: int, indent: int) -> str:
        value: complex = item.value
        parts = f"{self._literal(value.real)}, {self._literal(value.imag)}"
        return f"{self.names.imported(ImportName('builtins', 'complex'))}({parts})"

    def _write_ellipsis(self, item: Item, column: int, indent: int) -> str:
        return "..."

    def _broken(
        self,
        opening: str,
        entries: list[tuple[str, Encoded]],
        closing: str,
        column: int,
        indent: int,
        tail: str = "",
    ) -> str:
        """An opening, entries and a closing: on one line when they fit, else one entry a line."""
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


def post_order(roots: Iterable[Item]) -> list[Item]:
    """All items of a tree, children before parents, each once; ``uses`` counts how often each is reached.

    What functions refer to is not part of the tree.
    """
    order: list[Item] = []
    seen: set[int] = set()
    stack: list[tuple[Item, bool]] = [(root, False) for root in roots]
    while stack:
        item, left = stack.pop()
        if left:
            order.append(item)
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        item.uses = 0
        stack.append((item, True))
        stack.extend((child, False) for child in reversed(_children(item)))
    for item in order:
        for child in _children(item):
            child.uses += 1
    return order


def _children(item: Item) -> list[Item]:
    if item.kind == "source":
        return []
    found = [key for key, _ in item.parts if isinstance(key, Item)]
    found += [value for _, value in item.parts if isinstance(value, Item)]
    if isinstance(item.value, Item):
        found.append(item.value)
    return found


def _all_sources(order: Iterable[Item], follow: bool = True) -> list[Item]:
    """The functions and classes among items and, with ``follow``, among all that they refer to."""
    found: dict[int, Item] = {}
    work = [item for item in order if item.kind == "source"]
    while work:
        item = work.pop(0)
        if id(item) in found:
            continue
        found[id(item)] = item
        if follow:
            references = [value for _, value in item.parts if isinstance(value, Item)]
            work += [below for below in _reachable(references) if below.kind == "source"]
    return list(found.values())


def _reachable(roots: list[Item]) -> list[Item]:
    seen: dict[int, Item] = {}
    work = list(roots)
    while work:
        item = work.pop()
        if id(item) not in seen:
            seen[id(item)] = item
            work.extend(_children(item))
    return list(seen.values())


def _is_shared(item: Item) -> bool:
    if item.uses < 2:
        return False
    return item.kind in SHARED or (item.kind == "tuple" and any(isinstance(v, Item) for _, v in item.parts))


def _is_getattr(item: Item) -> bool:
    """Whether a call is the attribute of what another node builds."""
    parts = dict(item.parts)
    target, args = parts.get("_target_"), parts.get("_args_")
    if item.kind != "call" or len(parts) != 2 or not isinstance(target, Item) or not isinstance(args, Item):
        return False
    name = target.kind == "name" and str(target.value) == "builtins.getattr"
    return name and args.kind == "tuple" and len(args.parts) == 2 and isinstance(args.parts[1][1], str)


def _hint(item: Item) -> str:
    words = [word for word in re.findall(r"\w+", item.path) if not word.isdigit()]
    return "_" + "_".join(words[-2:]).strip("_") if words else "_shared"


def _values(item: Item) -> list[tuple[str, Encoded]]:
    return [("", value) for _, value in item.parts]


def _entries(item: Item) -> list[tuple[str, Encoded]]:
    return [("" if key is None else f"{key}=", value) for key, value in item.parts]


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _is_data_name(text: str) -> bool:
    """Whether a top-level variable of that name is config data when the file is loaded."""
    return _is_name(text) and not text.startswith("_") and text != "REQUIRED"


def _is_data(value: Encoded) -> bool:
    """Whether the loader takes a top-level value for config data (classes and functions it does not)."""
    return not isinstance(value, Item) or value.kind in _DATA_KINDS


def _is_dotted(text: str) -> bool:
    return "." in text and all(part.isidentifier() for part in text.split("."))


def _string(text: str) -> str:
    """A string literal in double quotes where that needs no escape."""
    literal = repr(text)
    return (
        f'"{literal[1:-1]}"'
        if literal.startswith("'") and '"' not in literal and "\\'" not in literal
        else literal
    )
