"""Which config files share a run in one load, and which need a run of their own.

A file is run once in a load, and all files that import from it get the same objects. There is one exception:
when a file edits what it imported (a variant that sets ``model.backbone.norm``), and the edited file is also
imported by a way that does not lead through the editor (the plain model, beside the variant). Then the editor
has runs of its own of the file that it edits and of those through which it reaches it, so that both are what
their files say, in whatever order they are imported.

That is known only after the files have run. So a `Ledger` takes down who imports whom, and compares what each
file made with what is there after each importer has run; `Ledger.conflicts` names the editors, and the load
begins anew with `Runs` that keep theirs apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import is_
from types import ModuleType
from typing import Any

from lazycfg.config.tree.node import Node, raw_keys, raw_values

Own = dict[str, frozenset[str]]
"""By file that edits what it imported: the files of which it has runs of its own."""


class Runs:
    """The modules that have run, by file; below a file that needs runs of its own there is another level."""

    def __init__(self, above: Runs | None = None, files: frozenset[str] = frozenset()) -> None:
        self.modules: dict[str, ModuleType] = {}
        self._above = above
        self._files = files

    def holding(self, file: str) -> Runs:
        """Return the level that a file is run in."""
        level = self
        while level._above is not None and file not in level._files:
            level = level._above
        return level


class Ledger:
    """Who imports whom in a load, and who edits what it imported."""

    def __init__(self) -> None:
        self._imported: dict[ModuleType, set[ModuleType]] = {}
        self._made: dict[ModuleType, list[tuple[Any, tuple[Any, ...], tuple[Any, ...]]]] = {}
        self._owned: set[int] = set()  # ids of the containers in `_made`, which keeps them alive
        self._edits: list[tuple[ModuleType, ModuleType]] = []

    def note_import(self, importer: ModuleType, imported: ModuleType) -> None:
        """Note that one module imports from another."""
        self._imported.setdefault(importer, set()).add(imported)

    def note_end(self, module: ModuleType) -> None:
        """Note what a module holds that has just run, and what it edited of others meanwhile."""
        for other in self._below(module):
            made = self._made.get(other, ())
            if any(not _is_as_before(*entry) for entry in made):
                self._edits.append((module, other))
                self._made[other] = [_content(container) for container, _, _ in made]
        fresh = [c for c in _containers(vars(module)) if id(c) not in self._owned]
        self._owned.update(map(id, fresh))
        self._made[module] = [_content(container) for container in fresh]

    def conflicts(self, root: ModuleType) -> Own:
        """Return editors of files that others import too, as far as ``root`` has imported them; with these
        files and those through which the editor reaches them.
        """
        found: dict[str, set[str]] = {}
        for editor, edited in self._edits:
            if editor is root or edited not in self._below(root, without=editor):
                continue
            between = [m for m in self._below(editor) if m is edited or edited in self._below(m)]
            found.setdefault(_key(editor), set()).update(map(_key, between))
        return {editor: frozenset(files) for editor, files in found.items()}

    def _below(self, module: ModuleType, without: ModuleType | None = None) -> set[ModuleType]:
        """Return the modules that a module reaches by imports; not through ``without``, if that is given."""
        seen: set[ModuleType] = set()
        work = [module]
        while work:
            for imported in self._imported.get(work.pop(), ()):
                if imported not in seen and imported is not without:
                    seen.add(imported)
                    work.append(imported)
        seen.discard(module)
        return seen


def _key(module: ModuleType) -> str:
    return str(vars(module)["_lazycfg_key"])


def _containers(namespace: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the containers below the public values of a module that can be edited in place."""
    seen: set[int] = set()
    work = [value for name, value in namespace.items() if not name.startswith("__")]
    while work:
        value = work.pop()
        kind = type(value)
        if kind not in (Node, dict, list, tuple) or id(value) in seen:
            continue
        seen.add(id(value))
        if kind is not tuple:
            yield value
        work.extend(raw_values(value) if isinstance(value, dict) else value)


def _content(container: Any) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    if isinstance(container, dict):
        return container, tuple(raw_keys(container)), tuple(raw_values(container))
    return container, (), tuple(container)


def _is_as_before(container: Any, keys: tuple[Any, ...], values: tuple[Any, ...]) -> bool:
    _, keys_now, values_now = _content(container)
    return len(values) == len(values_now) and keys == keys_now and all(map(is_, values, values_now))
