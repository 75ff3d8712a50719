"""What is above a value: its chain.

A *chain* is a container, the chain above it, and the topmost container. A node is looked at along its own
parents, wherever it was reached.
"""

from __future__ import annotations

from itertools import islice, pairwise

from lazycfg.config.tree.containers import LEAVES, children, inner_values
from lazycfg.config.tree.node import Node, _get_notes
from lazycfg.config.tree.paths import unlink
from lazycfg.config.tree.placed import parent_of, stands_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    from lazycfg.config.tree.paths import Link, Path
    from lazycfg.config.tree.placed import Standing

    # A container, the chain above it, the topmost container.
    Chain: TypeAlias = "tuple[Any, Any, Any]"

_MOST_LOOKED = 64  # containers that are looked into for a node; they may lead in a circle


def link(container: Any, above: Chain | None) -> Chain:
    """Return the chain of a container, given the one above it."""
    return (container, above, container if above is None else above[2])


def linked(containers: Iterable[Any]) -> Chain | None:
    """Return the chain of containers that are given from the topmost one down; None when there are none."""
    chain: Chain | None = None
    for container in containers:
        chain = link(container, chain)
    return chain


def chain_above(node: Any) -> Chain:
    """Return the chain of a node, along its parents."""
    chain = linked(chain_of(node))
    assert chain is not None
    return chain


def extend(chain: Chain, child: Any, standing: Standing | None = None) -> Chain:
    """Return the chain of a child: of a node that stands elsewhere, that of its own place.

    `standing`: see `stands_in`.
    """
    if type(child) is Node:
        parent = parent_of(child)
        elsewhere = parent is not chain[0] and parent is not None and not is_above(parent, chain)
        if elsewhere and stands_in(child, parent, standing):
            return chain_above(child)
    return (child, chain, chain[2])


def is_above(parent: Any, chain: Chain | None) -> bool:
    """Return whether `parent`, what a node stands in, is the end of a chain."""
    while type(parent) is tuple:
        if chain is None or parent[0] is not chain[0]:
            return False
        parent, chain = parent[1], chain[1]
    return chain is not None and (parent is chain[0] or parent is _overlaid(chain[0]))


def _overlaid(container: Any) -> Any:
    """Return the node that `container` takes the place of (see `places.overlay`), else None."""
    try:
        return _get_notes(container).get("overlay")
    except (AttributeError, TypeError):  # a slot that was never set, no node
        return None


def as_parent(chain: Chain) -> Any:
    """Return the end of a chain as what a node in it stands in; None when no node is above."""
    if type(chain[0]) is Node:
        return chain[0]
    above = None if chain[1] is None or inner_values(chain[0]) is None else as_parent(chain[1])
    return None if above is None else (chain[0], above)


def chain_of(value: Any) -> list[Any]:
    """Return the containers above a node, topmost first, and the node itself; of a list, tuple or dict those
    that the nodes in it know of, and itself.
    """
    chain = [value]
    seen = {id(value)}
    parent = parent_of(value) if type(value) is Node else _above(value)
    while parent is not None:
        if type(parent) is tuple:  # a list, tuple or dict, and what holds it
            chain.append(parent[0])
            parent = parent[1]
            continue
        if id(parent) in seen:
            return [value]  # a node inside itself
        seen.add(id(parent))
        chain.append(parent)
        parent = parent_of(parent)
    chain.reverse()
    return chain


def _above(value: Any) -> Any:
    """Return what a list, tuple or dict stands in, as the first node in it knows; else None."""
    work = [value]
    for _ in range(_MOST_LOOKED):
        inner = work.pop()
        if type(inner) is Node:
            above = parent_of(inner)
            while type(above) is tuple and above[0] is not value:
                above = above[1]
            return above[1] if type(above) is tuple else None
        elements = list(islice(inner_values(inner) or (), _MOST_LOOKED))
        work += reversed([element for element in elements if type(element) not in LEAVES])
        if not work:
            break
    return None


def prefix_link(root: Any) -> Link:
    """Return the way from the topmost container above `root` to it, as far as that is known."""
    link: Link = None
    chain = chain_of(root)
    for parent, child in pairwise(chain):
        for key, value in children(parent) or ():
            if value is child:
                link = (link, key)
                break
        else:
            return None  # it is no longer there, or is a copy
    return link


def path_to(node: Any) -> Path:
    """Return the path of a node from the topmost container above it, as far as that is known."""
    return unlink(prefix_link(node))


def top_of(value: Any) -> Any:
    """Return the topmost container above `value`, as far as it was read through one; else `value` itself."""
    return chain_of(value)[0]
