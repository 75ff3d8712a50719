"""`configurable`: arguments that may be given by a config, through ``from_config`` of the class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

__all__ = ["OfConfig", "configurable"]


def configurable(init_func: Any = None, *, from_config: Callable[..., dict[str, Any]] | None = None) -> Any:
    """Let a class or function be called with a config as well as with its arguments.

    Above ``__init__`` it takes the arguments from the class's ``from_config(cfg, *args, **kwargs)``; above a
    function from the one that is given. Arguments that ``from_config`` does not take go on to the function.

    Raises:
        TypeError: what it stands above is no such thing.
    """
    if init_func is not None:
        if not inspect.isfunction(init_func) or init_func.__name__ != "__init__" or from_config is not None:
            raise TypeError("@configurable without arguments stands above __init__; else give from_config=")

        @functools.wraps(init_func)
        def wrapped_init(self: Any, *args: Any, **kwargs: Any) -> None:
            make = getattr(type(self), "from_config", None)
            if not inspect.ismethod(make):
                raise TypeError(
                    f"{type(self).__name__} needs a classmethod from_config: @configurable asks it"
                )
            if is_called_with_config(*args, **kwargs):
                init_func(self, **arguments_from(make, *args, **kwargs))
            else:
                init_func(self, *args, **kwargs)

        return wrapped_init
    if from_config is None:
        return configurable

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if is_called_with_config(*args, **kwargs):
                return function(**arguments_from(from_config, *args, **kwargs))
            return function(*args, **kwargs)

        wrapped.from_config = from_config  # type: ignore[attr-defined]
        return wrapped

    return decorate


class OfConfig:
    """Base, before the class it stands for, of one whose keyword arguments a config may give: `from_config`.

    Attributes:
        changed: methods that take and give other things than detectron2's, and what they are now; a program
            that overrides one is refused.
    """

    changed: ClassVar[Mapping[str, str]] = {}

    @configurable
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _refuse_overrides(cls, cls.changed)


def _refuse_overrides(cls: type, changed: Mapping[str, str]) -> None:
    """Raise TypeError where a program's class overrides a method that takes and gives other things now."""
    if cls.__module__.startswith("lazycfg."):
        return
    for name, instead in changed.items():
        if name in vars(cls) and inspect.isfunction(vars(cls)[name]):
            raise TypeError(
                f"{cls.__name__}.{name} would be called with other arguments than detectron2's: "
                f"{instead}. See "
                "docs/extending-models.md, which has what each method takes and gives"
            )


def is_called_with_config(*args: Any, **kwargs: Any) -> bool:
    """Return whether the first argument, or ``cfg=``, is a config."""
    from .config import CfgNode

    first = args[0] if args else kwargs.get("cfg")
    return isinstance(first, CfgNode) or (isinstance(first, Mapping) and "MODEL" in first)


def arguments_from(from_config: Callable[..., dict[str, Any]], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the arguments that a ``from_config`` makes of a config, and those that it does not take.

    Raises:
        TypeError: its first parameter is not called ``cfg``.
    """
    parameters = inspect.signature(from_config).parameters
    first = next(iter(parameters), "")
    if first != "cfg":
        owner = getattr(from_config, "__self__", None)
        name = getattr(owner, "__name__", "") or from_config.__name__
        raise TypeError(f"{name}.from_config must take 'cfg' as its first argument, got {first!r}")
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters.values()):
        return dict(from_config(*args, **kwargs))
    extra = {name: kwargs.pop(name) for name in list(kwargs) if name not in parameters}
    return {**from_config(*args, **kwargs), **extra}
