"""A config as executable Python: `to_py`.

Imports are sorted, nodes that are used more than once become variables, so do parts that are nested deeply;
functions and classes of config files are written out with what they refer to. Loading the text gives an
equal tree.
"""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Any

from lazycfg.config.formats.document import SaveError
from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.items import (
    SHARED,
    Encoded,
    Item,
    all_sources,
    children_of,
    is_shared,
    post_order,
    reachable,
)
from lazycfg.config.formats.python_expressions import Expressions, is_name, string_literal
from lazycfg.config.formats.python_names import identity
from lazycfg.config.formats.source_capture import Captured
from lazycfg.config.isolation.bindings import bindings_of
from lazycfg.config.tree.targets import public_name

_WIDTH = 100
# deeper parts become variables: Python's parser refuses 200 nested brackets, people refuse earlier
_MAX_HEIGHT = 20
_OPAQUE = frozenset({"object", "construct", "partial", "attribute"})
_DATA_KINDS = {"call", "dict", "pairs", "list", "tuple", "set", "frozenset", "object", "bytes", "complex"}
_DATA_KINDS |= {"path", "member", "required"}


def to_py(cfg: Any) -> str:
    """Return ``cfg`` as Python source that loads to an equal tree.

    Raises:
        SaveError: something in it has no source and cannot be written; all such places are named.
        CycleError: the config contains itself.
    """
    return PythonWriter().module(encode(cfg))


class PythonWriter(Expressions):
    """Writes one module: ``blocks`` are its statements in order."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[str] = []
        self._factories: dict[int, set[str]] = {}  # id of a source Item -> names its factory must receive
        self.links: dict[str, Item] = {}
        self._defined: set[int] = set()
        self._defining: set[int] = set()
        self._top: dict[str, Encoded] = {}
        self._order: list[str] = []  # of the top-level keys, as they are assigned
        self._done: set[str] = set()  # names of captured values and top-level keys that are written

    # ---------------------------------------------------------------- whole modules

    def module(self, root: Item) -> str:
        """Return the text of a config file."""
        if root.kind == "dict" and all(_is_data_name(key) for key, _ in root.parts):
            self._top = dict(root.parts)
        for key, value in self._top.items():
            self.names.reserve(key, ("item", id(value)) if isinstance(value, Item) else identity(value))
        order = post_order([root])
        self._enclosed = {id(item) for item in reachable([item for item in order if item.kind in _OPAQUE])}
        self._open = {id(item) for item in reachable([root], but_through=_OPAQUE)}
        self._define_all(order)
        heights: dict[int, int] = {}
        top = {id(value): key for key, value in self._top.items() if isinstance(value, Item)}
        for item in order:
            height = (
                1 + max((heights.get(id(c), 0) for c in children_of(item)), default=0) if item.parts else 0
            )
            heights[id(item)] = height
            if item is root or id(item) in self._variables:
                heights[id(item)] = 0
            elif is_shared(item) or height >= _MAX_HEIGHT:
                heights[id(item)] = 0
                if id(item) in top:
                    self._assign_top(top[id(item)], item)
                else:
                    self._assign(item, self.names.free(_hint(item), ("item", id(item))))
        for key, value in self._top.items():
            self._assign_top(key, value)
        if not self._top:
            self.blocks.append(f"__config__ = {self.expression(root, 13)}\n")
        elif self._needs_root():
            pairs = "".join(f"    {string_literal(key)}: {key},\n" for key in self._top)
            self.blocks.append(f"# what of these names is the config\n__config__ = {{\n{pairs}}}\n")
        return self._text()

    def definitions(self, sources: list[Item], tree: set[int]) -> str:
        """Return the text of a module that defines the given functions and classes, for the data formats.

        ``tree`` are the ids of items that the config itself holds: they come to exist later, so that what a
        function refers to by a global name is put into ``links``; any other use of them is refused.
        """
        self._outside = tree
        self._define_all(sources)
        return self._text()

    def variable(self, item: Item) -> str:
        """Return the name of a written definition."""
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
        self._order.append(key)
        known = self._variables.get(id(value)) if isinstance(value, Item) else None
        if known == key:
            return
        self.blocks.append(f"{key} = {self.expression(value, len(key) + 3)}\n")
        if isinstance(value, Item) and known is None and value.kind in SHARED | {"tuple"}:
            self._variables[id(value)] = key

    # ---------------------------------------------------------------- functions and classes

    def _define_all(self, order: list[Item]) -> None:
        """Write the definitions of all functions and classes, after their names are settled."""
        sources = all_sources(order)
        for item in sources:
            captured: Captured = item.value
            if captured.is_lambda:
                self._variables[id(item)] = self.names.free(_hint(item), ("item", id(item)))
            elif self.names.reserve(captured.name, ("item", id(item))):
                self._variables[id(item)] = captured.name
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

    def _define(self, item: Item, user: Captured | None = None) -> None:
        """Write a definition; `user` is what needs it to be written first."""
        if id(item) in self._defining and user is not None:
            both = f"{user.name!r} and {item.value.name!r}"
            self._problems.append(f"{both} need each other to be defined first")
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
            for item in all_sources([*post_order([value]), value], follow=False):
                self._define(item, user)

    def _bind(self, name: str, value: Encoded, user: Captured, *, now: bool) -> None:
        """Make ``name`` stand for what a function refers to by it."""
        if name in self._done or (name in self._top and not now):
            return
        if isinstance(value, Item) and value.kind == "source":
            self._define(value, user if now else None)
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

    def _needs_root(self) -> bool:
        """Return whether the file must say what its config is: the loader would take other names for it, or
        take them in another order.
        """
        if self._order != list(self._top) or not all(map(_is_data, self._top.values())):
            return True
        kinds = bindings_of(ast.parse("".join(self.blocks))).kinds
        return any(
            kind == "assigned" and not name.startswith("_") and name not in self._top
            for name, kind in kinds.items()
        )


def _hint(item: Item) -> str:
    words = [word for word in re.findall(r"\w+", item.path) if not word.isdigit()]
    return "_" + "_".join(words[-2:]).strip("_") if words else "_shared"


def _is_data_name(text: str) -> bool:
    """Return whether a top-level variable of that name is config data when the file is loaded."""
    return is_name(text) and not text.startswith("_") and text != "REQUIRED"


def _is_data(value: Encoded) -> bool:
    """Return whether the loader takes a top-level value for config data (not so classes and functions)."""
    return not isinstance(value, Item) or value.kind in _DATA_KINDS
