"""`Registry`: names that stand for classes, as old programs use them. They live in the alias only."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from lazycfg.utils import closest

__all__ = ["Registry", "locate"]


class Registry:
    """Objects by name; ``@REGISTRY.register()`` above a class puts it in under its own name.

    Args:
        name: of the registry, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._objects: dict[str, Any] = {}
        self._builtin: dict[str, str] = {}

    def answer(self, names: dict[str, str]) -> None:
        """Say where what is there from the beginning is found: ``"module:name"``, looked up on first use."""
        self._builtin.update(names)

    def register(self, obj: Any = None, *, name: str | None = None) -> Any:
        """Put an object in under its name, or return a decorator that does.

        Raises:
            AssertionError: the name is taken.
        """
        if obj is None:

            def decorator(value: Any) -> Any:
                self._put(name or value.__name__, value)
                return value

            return decorator
        self._put(name or obj.__name__, obj)
        return obj

    def _put(self, name: str, obj: Any) -> None:
        if name in self:
            raise AssertionError(f"an object named {name!r} is already registered in {self._name!r}")
        self._objects[name] = obj

    def get(self, name: str) -> Any:
        """Return the object of a name.

        Raises:
            KeyError: there is none; the message names the nearest.
        """
        if name in self._builtin and name not in self._objects:
            module, _, attribute = self._builtin[name].partition(":")
            self._objects[name] = getattr(importlib.import_module(module), attribute)
        if name not in self._objects:
            raise KeyError(
                f"no object named {name!r} in the registry "
                f"{self._name!r}{closest(name, [n for n, _ in self])}; if "
                "it is a class of this program, the module that registers it has to be imported first"
            )
        return self._objects[name]

    def is_own(self, name: str) -> bool:
        """Return whether a name was registered by the program, and not from the beginning."""
        return name in self._objects and name not in self._builtin

    def __contains__(self, name: str) -> bool:
        return name in self._objects or name in self._builtin

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter([(name, self.get(name)) for name in {**self._builtin, **self._objects}])

    def __repr__(self) -> str:
        names = ", ".join({**self._builtin, **self._objects})
        return f"Registry {self._name}: {names}"


def locate(name: str) -> Any:
    """Return what a name such as ``"torch.nn.Linear"`` stands for.

    Raises:
        ImportError: nothing.
    """
    module, _, attribute = name.rpartition(".")
    while module:
        try:
            value: Any = importlib.import_module(module)
        except ModuleNotFoundError:
            above, _, last = module.rpartition(".")
            module, attribute = above, f"{last}.{attribute}"
            continue
        try:
            for part in attribute.split("."):
                value = getattr(value, part)
        except AttributeError:
            break
        return value
    raise ImportError(f"cannot find {name!r}")


def _convert_target_to_string(t: Any) -> str:
    """Return the name under which `locate` finds a class or function."""
    return f"{t.__module__}.{t.__qualname__}"


Decorator = Callable[[Any], Any]
