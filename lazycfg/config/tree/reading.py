"""Lists, tuples and dicts with `${...}` in them, as reading a config gives them.

`cfg.steps` of `steps = ["${n}", 2]` is a list of what the elements stand for. It is a `ReadList`: a list that
refuses to be changed, as the change would not reach the config. Dicts in lists and in calls become
`ReadDict`s, tuples are tuples. A container without `${...}` is handed out itself.
"""

from __future__ import annotations

from lazycfg.config.errors import ConfigError, InterpolationError
from lazycfg.config.tree.node import _HOLDERS, Node, raw_items, raw_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from lazycfg.config.tree.interpolation import Active, Chain

__all__ = ["ReadDict", "ReadList", "has_interpolation", "read_holder", "read_in_chain", "to_plain"]


class ReadOnlyError(ConfigError, TypeError):
    """A list or dict with `${...}` in it was to be changed where it was read."""


def _refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    kind = "list" if isinstance(self, list) else "dict"
    raise ReadOnlyError(
        f"this {kind} of the config has ${{...}} in it and cannot be changed in place: assign a new one, "
        f"as in cfg.values = {'[*cfg.values, 1]' if kind == 'list' else '{**cfg.values, key: 1}'}"
    )


class ReadList(list):  # type: ignore[type-arg]
    """A list as it was read, with `${...}` resolved; changing it raises `ReadOnlyError`."""

    __slots__ = ()
    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> Any:
        return list, (list(self),)


class ReadDict(dict):  # type: ignore[type-arg]
    """A dict as it was read, with `${...}` resolved; changing it raises `ReadOnlyError`."""

    __slots__ = ()
    update = pop = popitem = clear = setdefault = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def to_plain(value: Any) -> Any:
    """Return what was read as a plain list or dict again, all the way down; anything else is itself."""
    if type(value) is ReadList:
        return [to_plain(element) for element in value]
    if type(value) is ReadDict:
        return {key: to_plain(element) for key, element in value.items()}
    return tuple(map(to_plain, value)) if type(value) is tuple else value


def has_interpolation(value: Any) -> bool:
    """Whether a list, tuple or dict has a text with `${` in it, at any depth; nodes are not entered."""
    work, seen = [value], {id(value)}
    while work:
        holder = work.pop()
        for element in raw_values(holder) if type(holder) is dict else holder:
            kind = type(element)
            if kind is str:
                if "${" in element:
                    return True
            elif kind in _HOLDERS and kind is not Node and id(element) not in seen:
                seen.add(id(element))
                work.append(element)
    return False


def read_holder(value: Any, node: Node) -> Any:
    """Return what reading a list, tuple or dict that stands in `node` gives."""
    from lazycfg.config.tree.interpolation import chain_above, link

    return read_in_chain(value, link(value, chain_above(node))) if has_interpolation(value) else value


def read_in_chain(value: Any, chain: Chain, active: Active | None = None) -> Any:
    """Return what reading a list, tuple or dict at the end of `chain` gives.

    A container that several interpolations lead to is read once.
    """
    from lazycfg.config.tree.interpolation import Active

    if not has_interpolation(value):
        return value
    try:
        return _Reader(active or Active()).holder(value, chain)
    except RecursionError:
        raise InterpolationError("lists or dicts with ${...} are nested too deep to be read") from None


class _Reader:
    """One reading of a container."""

    def __init__(self, active: Active) -> None:
        self.active = active
        self.made: dict[int, Any] = {}

    def holder(self, value: Any, chain: Chain) -> Any:
        made = self.made.get(id(value))
        if made is self:
            raise InterpolationError("circular interpolation: a list that contains itself")
        if made is not None:
            return made
        if not has_interpolation(value):
            return value
        self.made[id(value)] = self
        items = raw_items(value) if type(value) is dict else enumerate(value)
        read = {key: self.element(child, chain) for key, child in items}
        kind = type(value)
        result: Any = ReadDict(read) if kind is dict else (ReadList if kind is list else tuple)(read.values())
        self.made[id(value)] = result
        return result

    def element(self, child: Any, chain: Chain) -> Any:
        from lazycfg.config.tree.interpolation import extend, resolve

        kind = type(child)
        if kind is str and "${" in child:
            child, chain = resolve(child, chain, self.active.next())
            kind = type(child)
        else:
            chain = extend(chain, child)
        return self.holder(child, chain) if kind in _HOLDERS and kind is not Node else child
