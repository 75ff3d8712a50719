"""Lists, tuples and dicts with `${...}` in them, as reading a config gives them.

`cfg.steps` of `steps = ["${n}", 2]` is a list of what the elements stand for. It is a `ReadList`: a list that
refuses to be changed, as the change would not reach the config. Dicts in lists and in calls become
`ReadDict`s, tuples are tuples. A container without `${...}` is handed out itself, and so is an object of a
dataclass or attrs class: its fields are what was written.
"""

from __future__ import annotations

from lazycfg.config.errors import InterpolationError, RequiredError
from lazycfg.config.tree.budget import Active
from lazycfg.config.tree.chains import as_parent, chain_above, extend, link
from lazycfg.config.tree.containers import LEAVES, ReadDict, ReadList, has_fields, inner_values, odd_children
from lazycfg.config.tree.interpolation import resolve
from lazycfg.config.tree.node import Node, is_frozen, raw_items
from lazycfg.config.tree.placed import adopt, parent_of, set_parent
from lazycfg.config.tree.required import is_required

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from lazycfg.config.tree.budget import Budget
    from lazycfg.config.tree.chains import Chain


def _readable(value: Any) -> Collection[Any] | None:
    """Return what is in a list, tuple or dict; None for a leaf, a node, and an object with fields."""
    kind = type(value)
    return None if kind in LEAVES or kind is Node or has_fields(value) else inner_values(value)


def has_interpolation(value: Any) -> bool:
    """Return whether a list, tuple or dict has a text with `${`, at any depth; nodes are not entered."""
    work, seen = [_readable(value) or ()], {id(value)}
    while work:
        for element in work.pop():
            kind = type(element)
            if kind is str:
                if "${" in element:
                    return True
            elif kind not in LEAVES and id(element) not in seen and (inner := _readable(element)):
                seen.add(id(element))
                work.append(inner)
    return False


def read_holder(value: Any, node: Node, budget: Budget | None = None) -> Any:
    """Return what reading a list, tuple or dict that stands in `node` gives."""
    if is_frozen(node):
        return _Reader(Active((), budget), frozen=True).holder(value, link(value, chain_above(node)))
    if not has_interpolation(value):
        return value
    return read_in_chain(value, link(value, chain_above(node)), Active((), budget))


def read_in_chain(value: Any, chain: Chain, active: Active | None = None) -> Any:
    """Return what reading a list, tuple or dict at the end of `chain` gives.

    A container that several interpolations lead to is read once.

    Raises `InterpolationError`.
    """
    frozen = in_frozen(chain)
    if not (frozen or has_interpolation(value)):
        return value
    try:
        return _Reader(active or Active(), frozen).holder(value, chain)
    except RecursionError:
        raise InterpolationError("lists or dicts with ${...} are nested too deep to be read") from None


def in_frozen(chain: Chain | None) -> bool:
    """Return whether the nearest node of a chain is frozen."""
    while chain is not None:
        if type(chain[0]) is Node:
            return is_frozen(chain[0])
        chain = chain[1]
    return False


class _Reader:
    """One reading of a container."""

    def __init__(self, active: Active, frozen: bool = False) -> None:
        self.active = active
        self.frozen = frozen  # the node that holds the container: then everything in it is read-only
        self.made: dict[int, Any] = {}

    def holder(self, value: Any, chain: Chain) -> Any:
        """Return a container with what it refers to put in; raises InterpolationError at a circle."""
        made = self.made.get(id(value))
        if made is self:
            raise InterpolationError("circular interpolation: a list that contains itself")
        if made is not None:
            return made
        if _readable(value) is None or not (self.frozen or has_interpolation(value)):
            return value
        self.made[id(value)] = self
        kind = type(value)
        result: Any
        if isinstance(value, dict):
            result = ReadDict((key, self.element(child, chain)) for key, child in raw_items(value))
        elif isinstance(value, list):
            result = ReadList(self.element(child, chain) for child in value)
        elif kind is tuple:
            result = tuple(self.element(child, chain) for child in value)
        else:
            result = kind(*(self.element(child, chain) for _, child in odd_children(value) or ()))
        self.made[id(value)] = result
        return result

    def element(self, child: Any, chain: Chain) -> Any:
        """Return an element of a container, resolved."""
        if type(child) is str and "${" in child:
            child, chain = resolve(child, chain, self.active.next())
        else:
            chain = extend(chain, child)
        return child if _readable(child) is None else self.holder(child, chain)


def resolve_read(node: Any, text: str, budget: Budget | None = None) -> Any:
    """Return what reading an item of `node` gives when the item is `text`. Raises `InterpolationError`, and
    `RequiredError` where it leads to something that must still be filled in.
    """
    active = Active((), budget).next()
    value, chain = resolve(text, chain_above(node), active)
    kind = type(value)
    if kind is Node:
        place = None if parent_of(value) is not None or chain[1] is None else as_parent(chain[1])
        if place is not None and place is not value:
            set_parent(value, place)
    elif kind not in LEAVES and inner_values(value) is not None:
        place = None if chain[1] is None else as_parent(chain[1])
        if place is not None:
            adopt(value, place)
        return read_in_chain(value, chain, active)
    elif is_required(value):
        raise RequiredError(text, node)
    return value
