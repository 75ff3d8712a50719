"""The quick way of `instantiate`: all calls that build a tree of the usual kind, in which nothing is wrong.

Whether the names of the arguments fit is decided once for each target and names.
"""

from __future__ import annotations

from functools import partial

from lazycfg.config.calls import Calls
from lazycfg.config.node import _HOLDERS, Node, _get_looked, edit_count, raw_get, raw_items
from lazycfg.config.quick import DEEPEST, Doubt, ask, look_into, plain_value, resolved, signature_for
from lazycfg.config.signature import arrange
from lazycfg.config.traverse import ATOMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from lazycfg.config.calls import Call
    from lazycfg.config.paths import Key, Link

__all__ = ["call_specially", "gather", "is_special"]

_MOST_NAMES = 8192  # functions of config files are new at every load
_callable: set[Any] = set()  # (target, *names) that fit


def gather(root: Any, start: Link) -> Calls | None:
    """All calls that build `root`, which stands at `start`, when nothing is wrong with it; None when that
    takes a closer look."""
    if type(root) not in _HOLDERS:
        return None
    known = Calls.known(root, start)
    if known is not None:
        return known
    before = edit_count()
    gatherer = _Gatherer(root, start)
    try:
        if type(root) is Node:
            gatherer.node(root, start, 0)
        else:
            gatherer.other(root, start, 0)
    except (Doubt, RecursionError):
        return None
    if gatherer.lasts and Calls.are_due(root):
        gatherer.calls.keep(before)
    return gatherer.calls


class _Gatherer:
    """One look at a tree. Nothing in it is changed, lists and dicts are copied."""

    __slots__ = ("calls", "done", "entries", "lasts", "root")

    def __init__(self, root: Any, start: Link):
        self.root = root
        self.lasts = True  # whether the next look must find the same, when nothing was changed
        self.calls = Calls(start)
        self.entries: list[Call] = self.calls.entries
        # By id of a container that was left again: its entry, -1 for one that is passed on as it is.
        self.done: dict[int, int] = {}

    def node(self, node: Node, link: Link, depth: int) -> int:
        """The entry of a node that is reached first at `link`."""
        if depth > DEEPEST:  # so deep, or inside itself
            raise Doubt
        try:
            arguments = _get_looked(node)
        except AttributeError:  # a slot that was never set
            arguments = None
        if type(arguments) is not dict:  # they were kept with the calls, or it was changed
            arguments = arguments[0] if type(arguments) is list else _arguments(node)
        make = target = raw_get(node, "_target_")
        if type(target) is not type:
            make = target = self.target(target, arguments)
        if (target, *arguments) not in _callable and not _remember(target, arguments):
            make = partial(call_specially, target)
        done = self.done
        inner: Any = ()
        texts = False
        for key, child in arguments.items():
            kind = type(child)
            if kind in ATOMS:
                continue
            if kind is str:
                if "${" in child or child == "???":
                    texts = True
                continue
            at = done.get(id(child))
            if at is None:
                if kind is Node:
                    at = self.node(child, (link, key), depth + 1)
                else:
                    at = self.other(child, (link, key), depth + 1)
            if at >= 0:
                if inner:
                    inner.append((key, at))
                else:
                    inner = [(key, at)]
        if texts:
            arguments = {key: self.text(child, link) for key, child in arguments.items()}
        done[id(node)] = at = len(self.entries)
        self.entries.append((make, arguments, inner, (node, link)))
        return at

    def other(self, value: Any, link: Link, depth: int) -> int:
        """The entry of a list, tuple or dict; -1 for other objects, and tuples with nothing to build in them,
        which stay themselves."""
        holds = type(value)
        if holds not in _HOLDERS:
            if look_into(value):
                self.lasts = False  # whoever sets a field tells nobody
            return -1
        if holds is tuple and ATOMS.issuperset(map(type, value)):
            return -1
        if depth > DEEPEST:
            raise Doubt
        contents: Any = list(value) if holds is tuple else value.copy()
        items: Iterable[tuple[Key, Any]] = value.items() if holds is dict else enumerate(value)
        inner: list[tuple[Key, int]] = []
        for key, child in items:  # as in `node`, once more: this saves a call for each
            kind = type(child)
            if kind in ATOMS:
                continue
            if kind is str:
                if "${" in child or child == "???":
                    contents[key] = self.text(child, link)
                continue
            at = self.done.get(id(child))
            if at is None:
                if kind is Node:
                    at = self.node(child, (link, key), depth + 1)
                else:
                    at = self.other(child, (link, key), depth + 1)
            if at >= 0:
                inner.append((key, at))
        if holds is not tuple:
            self.calls.holders.append((value, contents))
        elif not inner and contents == list(value):
            self.done[id(value)] = -1
            return -1
        self.done[id(value)] = at = len(self.entries)
        self.entries.append((tuple if holds is tuple else None, contents, inner, (None, link)))
        return at

    def target(self, target: Any, arguments: dict[Any, Any]) -> Any:
        """A target that is not a plain class."""
        found = resolved(target)
        if found is not target or type(arguments.get("_args_")) is list:
            self.lasts = False  # the name may come to mean something else, the list get longer
        return found

    def text(self, value: Any, link: Link) -> Any:
        """What a text in the container at `link` stands for: a plain value, or it is doubtful. Other values
        are themselves."""
        if type(value) is not str or not ("${" in value or value == "???"):
            return value
        self.lasts = False
        keys = []
        while link is not self.calls.start:
            assert link is not None
            link, key = link
            keys.append(key)
        above = [self.root]
        for key in reversed(keys):
            holder = above[-1]
            above.append(raw_get(holder, key) if isinstance(holder, dict) else holder[key])
        return plain_value(value, self.root, above)


def _arguments(node: Node) -> dict[Any, Any]:
    """The arguments of a node that was changed since it was recorded."""
    return {key: child for key, child in raw_items(node) if key != "_target_"}


def _remember(target: Any, arguments: dict[str, Any]) -> bool:
    """Remember that these arguments fit, raise `Doubt` when they do not. False for positional arguments and
    partial calls, where the names do not decide it."""
    signature = signature_for(target)
    if signature is not None and not signature.wrapped:
        ask(signature, arguments)
    if target is not None and is_special(arguments):
        return False
    if len(_callable) >= _MOST_NAMES:
        _callable.clear()
    _callable.add((target, *arguments))
    return True


def is_special(arguments: dict[str, Any]) -> bool:
    """Whether a call has unnamed arguments, or is a partial one."""
    return "_args_" in arguments or "_partial_" in arguments


def call_specially(target: Callable[..., Any], /, **arguments: Any) -> Any:
    """Call a target with arguments that are built, `_args_` and `_partial_` among them."""
    args = arguments.pop("_args_", ())
    if args:
        args, arguments = arrange(target, tuple(args), arguments)
    if arguments.pop("_partial_", False):
        return partial(target, *args, **arguments)
    return target(*args, **arguments)
