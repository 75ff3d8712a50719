"""Whether a trust policy allows what a data file has given: calls, values and interpolations.

Names are resolved under the policy as they are decoded. What they may be used for shows only when the config
is complete: `Judge` goes through it and collects all refusals, each with the line of the file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from lazycfg.config.formats.file_positions import DataPosition
from lazycfg.config.plain_values import maker_name, takes_literals_only, why_costly
from lazycfg.config.tree.containers import field_names
from lazycfg.config.tree.node import Node, is_call, raw_contains, raw_get, raw_items
from lazycfg.config.tree.position import position_of
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.targets import is_deferred, target_name
from lazycfg.config.trust import Policy, UntrustedError

_LONGEST_REASON = 400
_PLAIN = (int, float, bool, complex, bytes, type(None))


class Judge:
    """Collects what a policy refuses.

    Attributes:
        policy: the policy.
        resolve: returns what a name stands for; raises `UntrustedError` or ImportError.
        refused: the refusals, each with its line; 0 where that is not known.
    """

    def __init__(self, policy: Policy, resolve: Callable[[str], Any]) -> None:
        self.policy = policy
        self.resolve = resolve
        self.refused: list[tuple[int, str]] = []

    def refuse(self, value: Any, *reasons: str, key: Any = None) -> None:
        """Note why a value, or what is at a key of a node, is not allowed."""
        origin = position_of(value) if type(value) is Node else getattr(value, "place", None)
        if isinstance(origin, DataPosition):
            line = origin.line_of(key)
        else:
            line = None if origin is None else origin.line
        self.refused += [(line or 0, reason) for reason in reasons]

    def judge(self, config: Any) -> None:
        """Note everything in a finished config that the policy does not allow."""
        if self.policy.everything:
            return
        nodes, values = _nodes_and_values(config)
        for node in nodes:
            reason = self._why_no_call(node) if raw_contains(node, "_target_") else None
            if reason is not None:
                self.refuse(node, reason, key="_target_")
        for value, holder, key in values:
            reason = self._why_no_value(value)
            if reason is not None:
                self.refuse(holder, reason, key=key)

    def _why_no_value(self, value: Any) -> str | None:
        """Return why something may not be in the config, but as a target; None if it may."""
        if type(value) is str:
            return self.policy.why_text_refused(value, is_target=False)
        if isinstance(value, dict):
            is_call_like = dict.__contains__(value, "_target_")
            return "a mapping with '_target_' that is not a call" if is_call_like else None
        if value is getattr:
            return "'builtins.getattr', which only makes an attribute of what another node builds"
        if not callable(value) or isinstance(value, functools.partial) or is_deferred(value):
            return None
        reason = self.policy.why_refused(value)
        if reason is None and takes_literals_only(value):
            reason = f"{maker_name(value)!r} as a value: it may only be called, with plain values"
        return reason

    def _why_no_call(self, node: Node) -> str | None:
        target: Any = raw_get(node, "_target_")
        args: Any = raw_get(node, "_args_", ())
        odd = [key for key in dict.keys(node) if type(key) is not str or key.startswith("__")]
        if odd:
            return f"the argument {odd[0]!r}"
        if type(args) is not tuple or type(raw_get(node, "_partial_", False)) is not bool:
            return "'_args_' that is not a list, or '_partial_' that is not true or false"
        if target is getattr:
            if self._is_plain_attribute(node):
                return None
            return f"the attribute {args[1:]!r} of {call_text(args[:1])}"
        if type(target) is str:
            if "${" in target:
                return f"a target that is an interpolation, {short_repr(target)}"
            if "." not in target:
                return None  # building says so, with a suggestion
            try:
                target = self.resolve(target)
            except UntrustedError as error:
                return error.refused[0]
            except ImportError as error:
                return str(error)[:_LONGEST_REASON]
        if type(target) is Node:
            is_method = raw_get(target, "_target_") is getattr and not raw_contains(target, "_partial_")
            return None if is_method else "a call of what another call gives"
        if isinstance(target, functools.partial):
            return None  # what it wraps is judged among the values
        if is_deferred(target):
            return None
        if not callable(target):  # None, where a name was refused
            return None if self.refused else f"the target {call_text(target)}, which cannot be called"
        reason = self.policy.why_refused(target)
        if reason is None:
            keywords = {k: v for k, v in raw_items(node) if k not in ("_target_", "_args_", "_partial_")}
            reason = why_costly(target, args, keywords)
        if reason is None and raw_get(node, "_partial_", False) and takes_literals_only(target):
            reason = f"{maker_name(target)!r} that is called later"
        return reason

    def _is_plain_attribute(self, node: Node) -> bool:
        args: Any = raw_get(node, "_args_", ())
        only_args = len(dict.keys(node)) == 2 and len(args) == 2
        if not only_args or not is_call(args[0]) or raw_get(args[0], "_partial_"):
            return False
        owner: Any = raw_get(args[0], "_target_")
        if type(owner) is str:
            try:
                owner = self.resolve(owner)
            except (UntrustedError, ImportError):
                return False
        return self.policy.allows_attribute(owner, args[1])


def call_text(value: Any) -> str:
    """Return a callable by its name, any other value as it is shown."""
    return target_name(value, full=True) if callable(value) and type(value) is not Node else short_repr(value)


def _nodes_and_values(root: Any) -> tuple[list[Node], list[tuple[Any, Any, Any]]]:
    """Return the nodes of a finished config, those inside sets, objects and partials included; and everything
    else in it that is not the target of a node (of texts those with an interpolation), with the node that
    holds it and the key there.
    """
    nodes: list[Node] = []
    values: list[tuple[Any, Any, Any]] = []
    seen: set[int] = set()
    work: list[tuple[Any, Any, Any]] = [(root, root, None)]
    while work:
        value, holder, key = work.pop()
        if type(value) is Node:
            if id(value) in seen:
                continue
            seen.add(id(value))
            nodes.append(value)
            work.extend((name, value, name) for name in dict.keys(value))
            work.extend(
                (child, value, name) for name, child in raw_items(value) if not _is_target(name, child)
            )
            continue
        if type(value) in _PLAIN or (type(value) is str and "${" not in value):
            continue
        values.append((value, holder, key))
        if id(value) not in seen:
            seen.add(id(value))
            work.extend((part, holder, key) for part in _parts_of(value))
    return nodes[::-1], values


def _is_target(key: Any, value: Any) -> bool:
    """Return whether a child of a node is its target, which is judged with what it is called with."""
    return key == "_target_" and type(value) is not Node and not isinstance(value, functools.partial)


def _parts_of(value: Any) -> Iterable[Any]:
    """Return what an object of a data file is made of."""
    if isinstance(value, dict):
        return [*dict.keys(value), *dict.values(value), getattr(value, "default_factory", None)]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    names = None if isinstance(value, type) else field_names(type(value))
    if names is not None:
        return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in names)]
    return ()
