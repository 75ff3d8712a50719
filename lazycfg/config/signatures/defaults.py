"""`with_defaults(cfg)`: the defaults of what is called, written into a config."""

from __future__ import annotations

from lazycfg.config.errors import TargetError
from lazycfg.config.signatures.binding import given_by_position, node_signature
from lazycfg.config.tree.node import Node, raw_contains, raw_get, raw_set
from lazycfg.config.tree.traversal import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def with_defaults(cfg: Node) -> Node:
    """Return a copy of a config in which every call has all arguments that its target has defaults for.

    So `${model.head.dropout}` leads to the default where the file leaves `dropout` out, and `merge` lets it
    count as in tools that keep defaults in the tree. Parameters that are positional-only, and all of a
    `_partial_` call, are left out, as are texts that mean something else in a config ("???", `${...}`).
    Lists, dicts and sets are copied, so that a change stays in the config; any other default is that of the
    signature itself. What cannot be imported stays as it is.
    """
    result: Node = cfg.copy()
    for node, _, _ in plan(result):
        if type(node) is not Node or raw_get(node, "_partial_"):
            continue
        try:
            signature = node_signature(node)
        except TargetError:  # told by `check`
            continue
        if signature is None:
            continue
        given = signature.positional[: len(given_by_position(node))]
        for name in signature.candidates():
            default: Any = signature.parameters[name].default
            if default is signature.parameters[name].empty or name in given or raw_contains(node, name):
                continue
            if type(default) is str and ("${" in default or default == "???"):
                continue
            raw_set(node, name, _own(default))
    return result


def _own(default: Any) -> Any:
    """Return a default with containers of its own: what is written to them must not reach the signature."""
    kind = type(default)
    if kind is dict:
        return {key: _own(value) for key, value in default.items()}
    return kind(map(_own, default)) if kind in (list, tuple, set) else default
