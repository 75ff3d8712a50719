"""Undoing changes to a config: what containers held before they were first changed, and their logs of
writes.
"""

from __future__ import annotations

from typing import Any

from lazycfg.config.tree.containers import field_names
from lazycfg.config.tree.node import Node, raw_items, raw_replace
from lazycfg.config.tree.paths import MISSING
from lazycfg.config.tree.position import notes_of


class Journal:
    """What was there before: contents of containers and their logs of writes."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[Any, Any, Any]] = {}

    def note(self, container: Any) -> None:
        """Remember a container before its first change."""
        if id(container) in self._before:
            return
        content: Any
        if isinstance(container, dict):
            content = dict(raw_items(container) if type(container) is Node else container)
        elif isinstance(container, list):
            content = list(container)
        else:
            names = field_names(type(container)) or ()
            content = {name: getattr(container, name, MISSING) for name in names}
        log = list(notes_of(container).get("writes", ())) if type(container) is Node else None
        self._before[id(container)] = (container, content, log)

    def undo(self) -> None:
        """Put everything back."""
        for container, content, log in self._before.values():
            if type(container) is Node:
                raw_replace(container, content)
            elif isinstance(container, dict):
                container.clear()
                container.update(content)
            elif isinstance(container, list):
                container[:] = content
            else:
                for name, value in content.items():
                    if value is not MISSING:
                        object.__setattr__(container, name, value)
            if log is not None:
                notes_of(container)["writes"] = log
        self._before.clear()
