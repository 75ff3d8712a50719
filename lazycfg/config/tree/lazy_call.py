"""`LazyCall`: record a call instead of making it.

    L(Conv2d)(in_channels=3, out_channels=64, kernel_size=L(pick)(size=3))

gives a `Node`. For a type checker it gives a `Conv2d`, so that mypy and pyright check the keyword arguments
of a whole nested tree with no plugin.
"""

from __future__ import annotations

from sys import _getframe
from types import MethodType

from lazycfg.config.tree.containers import LEAVES, to_plain
from lazycfg.config.tree.node import (
    _RESERVED,
    Node,
    _blank,
    _set_code,
    _set_lasti,
    raw_items,
    raw_set,
    warn_reserved,
)
from lazycfg.config.tree.placed import adopt, parent_of, set_parent
from lazycfg.config.tree.targets import target_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

    P = ParamSpec("P")
    T = TypeVar("T")
    T_co = TypeVar("T_co", covariant=True)

_set_item, _update = dict.__setitem__, dict.update


def _record(target: Any, /, *args: Any, _target_: Any = None, **kwargs: Any) -> Any:
    """Record the call; `L(target)` is this function bound to the target, the cheapest callable there is.

    The `_target_` that comes with the arguments of another call, `L(target)(**node)`, is not this one's.

    Raises:
        TypeError: a `_target_` is given as text, which names no call whose arguments these are.
    """
    node = _blank(Node)
    _set_item(node, "_target_", target)
    _update(node, kwargs)
    set_parent(node, None)
    for value in kwargs.values():
        kind = type(value)
        if kind in LEAVES:
            continue
        if kind is Node and parent_of(value) is None:
            set_parent(value, node)
        elif (kind is not tuple and kind is not list) or not LEAVES.issuperset(map(type, value)):
            _place(node)
            break
    if type(target) is Node:
        adopt(target, node)
    if args:
        _bind(node, args)
    if isinstance(_target_, str):
        raise TypeError(
            f"L({target_name(target)})(...) got an argument '_target_', which is the name of the target"
        )
    frame = _getframe(1)
    _set_code(node, frame.f_code)
    _set_lasti(node, frame.f_lasti)
    if not _RESERVED.isdisjoint(kwargs):
        warn_reserved([name for name in kwargs if name in _RESERVED], 2)
    return node


def _place(node: Node) -> None:
    """Tell what stands in a new node that it does."""
    for key, value in raw_items(node):
        if type(value) not in LEAVES:
            plain = value if type(value) is Node else to_plain(value)
            if plain is not value:
                _set_item(node, key, plain)
            adopt(plain, node)


def _record_partial(target: Any, /, *args: Any, **kwargs: Any) -> Any:
    node = _record(target, *args, **kwargs)
    raw_set(node, "_partial_", True)
    return _at_caller(node)


def lacks_its_call(value: Any) -> bool:
    """Return whether `value` is an `L(target)` without the second pair of parentheses."""
    return type(value) is MethodType and value.__func__ in (_record, _record_partial)


def _bind(node: Node, args: tuple[Any, ...]) -> None:
    """Give positional arguments their names; those without one stay in `_args_`."""
    from lazycfg.config.signatures.binding import bind_positional

    raw_set(node, "_args_", args)
    bind_positional(node)


def _check_target(target: Any) -> Any:
    if lacks_its_call(target):
        raise TypeError(f"L(...) of an L(...): write L({target_name(target.__self__)})() for the inner call")
    if callable(target) or type(target) is Node:
        return target
    if isinstance(target, str):
        if all(part.isidentifier() for part in target.split(".")) and "." in target:
            return target
        raise TypeError(f'a string target must look like "package.module.name", not {target!r}')
    raise TypeError(f"a target is a callable, a string or a node, not {type(target).__name__}: {target!r}")


if TYPE_CHECKING:

    class _Method(Protocol):
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    class LazyCall(Generic[P, T]):
        """`LazyCall(target)(*args, **kwargs)` records the call `target(*args, **kwargs)` as a `Node`."""

        @overload
        def __init__(self, target: Callable[P, T], /) -> None: ...
        @overload
        def __init__(self: LazyCall[..., Any], target: str | Node, /) -> None: ...
        def __init__(self, target: Any, /) -> None: ...
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T: ...
        @overload
        @staticmethod
        def partial(target: Callable[..., T], /) -> LazyPartial[T]: ...
        @overload
        @staticmethod
        def partial(target: str | Node, /) -> LazyPartial[Any]: ...
        @staticmethod
        def partial(target: Any, /) -> Any: ...
        @staticmethod
        def attr(node: Any, name: str, /) -> Any: ...
        @staticmethod
        def method(node: Any, name: str, /) -> _Method: ...

    class LazyPartial(Generic[T_co]):
        """`LazyPartial(target)(**kwargs)` records `functools.partial(target, **kwargs)` as a `Node`."""

        @overload
        def __init__(self, target: Callable[..., T_co], /) -> None: ...
        @overload
        def __init__(self: LazyPartial[Any], target: str | Node, /) -> None: ...
        def __init__(self, target: Any, /) -> None: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Callable[..., T_co]: ...

else:

    class LazyCall:
        """`LazyCall(target)(*args, **kwargs)` records the call `target(*args, **kwargs)` as a `Node`.

        The target is any callable, a `"package.module.name"` string, or another node (what that node builds
        is called). Positional arguments get their names from the target's signature, so that they can be
        edited by name.
        Raises `TypeError` for anything else.
        """

        __slots__ = ()

        def __new__(cls, target, /):
            if type(target) is not type:
                target = _check_target(target)
            return MethodType(_record, target)

        @staticmethod
        def partial(target, /):
            """Record a partial: `L.partial(f)(**kwargs)` is `LazyPartial(f)(**kwargs)`."""
            return LazyPartial(target)

        @staticmethod
        def attr(node, name, /):
            """Return an attribute as a node: `L.attr(node, "name")` is `attr(node, "name")`."""
            return attr(node, name)

        @staticmethod
        def method(node, name, /):
            """Record a method call: `L.method(node, "name")(...)` is `method(node, "name")(...)`."""
            return method(node, name)

    class LazyPartial:
        """`LazyPartial(target)(**kwargs)` records `functools.partial(target, **kwargs)` as a `Node`.

        Building it gives a callable that takes the arguments still missing.
        """

        __slots__ = ()

        def __new__(cls, target, /):
            return MethodType(_record_partial, _check_target(target))


def attr(node: Any, name: str, /) -> Any:
    """Return an attribute of what `node` builds, as a node: `num_classes=attr(dataset, "num_classes")`."""
    return _at_caller(_record(getattr, node, name))


def method(node: Any, name: str, /) -> Callable[..., Any]:
    """Return a method of what `node` builds: `params=method(model, "parameters")()` records the call."""
    return MethodType(_record, _at_caller(_record(getattr, node, name)))


def ref(path: str, /) -> Any:
    """Return the text `"${path}"`, typed as any value: `num_classes=ref("..num_classes")`.

    The tree holds the plain text; only a type checker sees a difference, since it would refuse a text where
    the parameter is a number.

    Raises:
        ValueError: `path` is no text, is empty, or holds `${`, `}`: write it without the braces.
    """
    if type(path) is not str or not path or "{" in path or "}" in path:
        raise ValueError(f'ref takes a path without braces, ref("..num_classes"), not {path!r}')
    return f"${{{path}}}"


def _at_caller(node: Any) -> Any:
    """Give `node` the position of the first frame outside this file."""
    frame: Any = _getframe(2)
    while frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    _set_code(node, frame.f_code)
    _set_lasti(node, frame.f_lasti)
    return node
