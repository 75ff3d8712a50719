"""The names of a written Python module: which are taken, by what, and the import statements."""

from __future__ import annotations

import builtins
import keyword
import unicodedata
from typing import Any

from lazycfg.config.formats.items import Encoded, Item
from lazycfg.config.tree.targets import ImportName, public_name

_BUILTINS = frozenset(dir(builtins))
_WIDTH = 100


def identity(value: Encoded) -> tuple[Any, ...]:
    """Return what a name stands for: two values with equal identity may have the same name."""
    if not isinstance(value, Item):
        return ("literal", type(value), repr(value))
    if value.kind == "name":
        return ("import", *public_name(value.value, value.obj))
    return ("item", id(value))


class Names:
    """Names of one module. A name is bound to one identity (see `identity`) and stays so."""

    def __init__(self) -> None:
        self._bound: dict[str, tuple[Any, ...]] = {}
        self._imports: dict[str, ImportName] = {}

    def reserve(self, name: str, owner: tuple[Any, ...]) -> bool:
        """Keep ``name`` for ``owner``; False when it belongs to something else."""
        return self._bound.setdefault(name, owner) == owner

    def free(self, hint: str, owner: tuple[Any, ...]) -> str:
        """Return a name like ``hint`` that nothing has yet."""
        hint = unicodedata.normalize("NFKC", hint)
        hint = hint if hint.isidentifier() else "_value"
        name, number = hint, 1
        while name in self._bound or name in _BUILTINS or keyword.iskeyword(name):
            number += 1
            name = f"{hint}_{number}"
        self._bound[name] = owner
        return name

    def import_as(self, name: str, target: ImportName) -> None:
        """Import ``target`` under a name that has been reserved for it."""
        self._imports[name] = target

    def imported(self, target: ImportName, preferred: str | None = None) -> str:
        """Return the expression for an importable object, importing it when no name stands for it yet."""
        first, _, rest = target.qualname.partition(".")
        if target.module == "builtins" and first not in self._bound:
            return target.qualname
        top = ImportName(target.module, first)
        local = next((local for local, known in self._imports.items() if known == top), None)
        if local is None:
            owner = ("import", *top)
            local = (
                preferred
                or first
                or (target.module if "." not in target.module else target.module.replace(".", "_"))
            )
            if not self.reserve(local, owner):
                local = self.free(local, owner)
            self._imports[local] = top
        return f"{local}.{rest}" if rest else local

    def header(self) -> str:
        """Return the import statements, sorted."""
        plain: list[str] = []
        grouped: dict[str, list[str]] = {}
        for local, (module, name) in self._imports.items():
            if name:
                grouped.setdefault(module, []).append(name if local == name else f"{name} as {local}")
            elif local == module:
                plain.append(f"import {module}\n")
            else:
                plain.append(f"import {module} as {local}\n")
        lines = sorted(plain)
        for module, names in sorted(grouped.items()):
            names.sort()
            line = f"from {module} import {', '.join(names)}\n"
            if len(line) > _WIDTH:
                line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"
            lines.append(line)
        return "".join(lines)
