"""Where something is now that cannot be imported by the name that a saved config gives it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from lazycfg.config.signatures.modules import locate_module
from lazycfg.config.suggest import closest_name
from lazycfg.config.tree.targets import find_name, public_name
from lazycfg.config.trust import Policy

_MOST_FILES = 6000
_DEFINITION = re.compile(rb"^(?:class|def|async def)\s+([A-Za-z]\w*)", re.MULTILINE)


def where_now(written: str, policy: Policy) -> str:
    """Return the end of a message about a name that leads nowhere: where in the same package it is now, or
    what of the package has a name like it; empty when there is neither.

    The files of the package are searched, and only the modules that define such a name are imported, of these
    those that the policy allows.
    """
    parts = written.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        return ""
    file = locate_module(parts[0])
    if not file or not file.endswith("__init__.py"):
        return ""
    defined = _definitions(os.path.dirname(file), parts[0])

    def allowed(name: str) -> list[str]:
        return [module for module in defined.get(name, ()) if policy.may_import(module)]

    # of "package.module.Class.method" the class is looked for, too
    for size in (1, 2) if len(parts) > 2 else (1,):
        owner, *rest = parts[-size:]
        names = [name for name in _importable(allowed(owner), owner, rest) if name != written]
        if names:
            near = min(names, key=lambda name: (-_common(name, written), name.count("."), name))
            return f"; it is {near!r} now"
    similar = closest_name(parts[-1], defined, 0.8)
    names = _importable(allowed(similar), similar, []) if similar else []
    return f"; did you mean {min(names, key=lambda name: (name.count('.'), name))!r}?" if names else ""


def _common(name: str, written: str) -> int:
    """Return how many leading parts two names share."""
    pairs = zip(name.split("."), written.split("."), strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), 99)


@lru_cache(maxsize=8)
def _definitions(folder: str, package: str) -> dict[str, tuple[str, ...]]:
    """Return the modules of a package that define each name, as their sources tell."""
    found: dict[str, list[str]] = {}
    for index, path in enumerate(sorted(Path(folder).rglob("*.py"))):
        if index >= _MOST_FILES:
            break
        relative = path.relative_to(folder).with_suffix("").parts
        module = ".".join((package, *(relative[:-1] if relative[-1] == "__init__" else relative)))
        try:
            source = path.read_bytes()
        except OSError:
            continue
        for match in _DEFINITION.finditer(source):
            found.setdefault(match[1].decode(), []).append(module)
    return {name: tuple(modules) for name, modules in found.items()}


def _importable(modules: Iterable[str], owner: str, rest: list[str]) -> list[str]:
    """Return the public names of what is called `owner` in some modules, those that can be imported."""
    names = []
    for module in list(modules)[:8]:
        try:
            found: Any = getattr(import_module(module), owner)
            name = find_name(found)
            value = found
            for part in rest:
                value = getattr(value, part)
        except Exception:  # a module that cannot be imported here, or another thing of that name
            continue
        if name is not None:
            names.append(".".join((str(public_name(name, found)), *rest)))
    return list(dict.fromkeys(names))
