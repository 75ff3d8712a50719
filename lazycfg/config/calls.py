"""The calls that build a tree, in their order, and how long they stay right."""

from __future__ import annotations

from operator import is_

from lazycfg.config.node import Node, _get_looked, _set_looked, edit_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from lazycfg.config.paths import Key, Link

    # What makes it; of which contents; which of these are what earlier entries made; its node; its link.
    # Without a node it is made of the contents as one argument; where nothing makes it, it is a copy of them.
    Call: TypeAlias = "tuple[Callable[..., Any] | None, Any, Sequence[tuple[Key, int]], Node | None, Link]"

__all__ = ["Calls"]


class Calls:
    """All calls that build a tree.

    Those of a node that is asked for again are kept: each node of the tree then remembers `[its arguments,
    the calls]`, and drops the calls when it is changed.

    Attributes:
        entries: one `Call` for each node and each container that is filled anew, children before parents,
            left before right. Empty once a node was changed.
        start: the link of the root.
        holders: the lists and dicts of the tree, which anybody may change without a word, each with what it
            held when it was looked at.
        checked: whether `check` has nothing against the tree.
    """

    __slots__ = ("checked", "entries", "holders", "start")

    def __init__(self, start: Link):
        self.entries: list[Call] = []
        self.holders: list[tuple[Any, Any]] = []
        self.start = start
        self.checked = False

    @classmethod
    def known(cls, root: Any, start: Link) -> Calls | None:
        """Those that were kept for `root`, if nothing has changed since."""
        looked = _looked(root) if type(root) is Node else None
        calls: Calls | None = looked[1] if type(looked) is list else None
        if calls is None or not calls.entries or calls.entries[-1][3] is not root or calls.start != start:
            return None
        for holder, before in calls.holders:
            if not _is_same(holder, before):
                return None
        return calls

    @staticmethod
    def are_wanted(root: Any, now: int) -> bool:
        """Whether `root` was asked for before, and no node has changed since. (That is noted in any case.)

        Args:
            now: how often nodes had been changed when the tree was looked at.
        """
        if type(root) is not Node:
            return False
        looked = _looked(root)
        if type(looked) is list and looked[1].entries:
            looked[1].drop()  # a list or dict has changed
        _set_looked(root, now)
        return type(looked) is int and looked == now

    def keep(self, before: int) -> None:
        """Have the nodes remember them.

        Args:
            before: how often nodes had been changed when the tree was looked at.
        """
        nodes = [(entry[3], entry[1]) for entry in self.entries if entry[3] is not None]
        for node, arguments in nodes:
            looked = _looked(node)
            if type(looked) is list:
                looked[1].drop()  # a node remembers but one tree that it stands in
            _set_looked(node, [arguments, self])
        if edit_count() != before:  # another thread changed a node: it may be one of these
            for node, _ in nodes:
                _set_looked(node, None)

    def drop(self) -> None:
        """Forget what they hold. (Whoever is building with them has the list.)"""
        self.entries = []
        self.holders = []


def _looked(node: Node) -> Any:
    try:
        return _get_looked(node)
    except AttributeError:  # a slot that was never set
        return None


def _is_same(holder: Any, before: Any) -> bool:
    if len(holder) != len(before):
        return False
    if type(holder) is list:
        return all(map(is_, holder, before))
    return all(map(is_, holder, before)) and all(map(is_, holder.values(), before.values()))
