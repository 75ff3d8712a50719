"""The calls that build a tree, in their order, and how long they stay right."""

from __future__ import annotations

from operator import is_

from lazycfg.config.node import Node, _get_looked, _set_looked, edit_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from lazycfg.config.paths import Key, Link

    # What makes it; of which contents; which of these are what earlier entries made; its node and link.
    # Without a node it is made of the contents as one argument; where nothing makes it, it is a copy of them.
    Place: TypeAlias = "tuple[Node | None, Link]"
    Call: TypeAlias = "tuple[Callable[..., Any] | None, Any, Sequence[tuple[Key, int]], Place]"

__all__ = ["Calls"]

# How often a tree is looked at before its calls are kept: `check` and `instantiate` often come in a pair.
_PATIENCE, _MOST_PATIENCE = 3, 96


class Calls:
    """All calls that build a tree, from one look at it.

    When a tree is asked for again they are kept, so that the next time nothing is looked for: each of its
    nodes then remembers `[its arguments, the calls]`, and drops the calls when it is changed. Of a tree that
    changes again and again before it was any use they are kept more and more rarely.

    Attributes:
        entries: one `Call` for each node and each container that is filled anew, children before parents,
            left before right. Empty once a node was changed.
        start: the link of the root.
        holders: the lists and dicts of the tree, which anybody may change without a word, each with what it
            held.
        checked: whether `check` has nothing against the tree.
    """

    __slots__ = ("_patience", "_used", "checked", "entries", "holders", "start")

    def __init__(self, start: Link):
        self.entries: list[Call] = []
        self.holders: list[tuple[Any, Any]] = []
        self.start = start
        self.checked = False
        self._patience = _PATIENCE
        self._used = False

    @classmethod
    def known(cls, root: Any, start: Link) -> Calls | None:
        """Those that were kept for `root`, if nothing has changed since."""
        looked = _looked(root)
        calls: Calls | None = looked[1] if type(looked) is list else None
        if calls is None or not calls.entries or calls.entries[-1][3][0] is not root or calls.start != start:
            return None
        for holder, before in calls.holders:
            if not _is_same(holder, before):
                return None
        calls._used = True
        return calls

    @staticmethod
    def are_due(root: Any) -> bool:
        """Whether `root` was asked for often enough for its calls to be kept; if not, this time counts."""
        if type(root) is not Node:
            return False
        looked = _looked(root)
        if type(looked) is list:
            old: Calls = looked[1]
            old.drop()
            patience = _PATIENCE if old._used else min(2 * old._patience, _MOST_PATIENCE)
            looked = (patience, patience)
        elif type(looked) is not tuple:
            looked = (_PATIENCE, _PATIENCE)
        left, patience = looked
        _set_looked(root, (max(left - 1, 0), patience))
        return bool(left <= 1)

    def keep(self, before: int) -> None:
        """Have the nodes of the tree remember them.

        Args:
            before: how often nodes had been changed when the tree was looked at.
        """
        looked = _looked(self.entries[-1][3][0])
        if type(looked) is tuple:
            self._patience = looked[1]
        nodes = [(place[0], contents) for _, contents, _, place in self.entries if place[0] is not None]
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


def _looked(node: Any) -> Any:
    """What a node remembers: the arguments that it was recorded with (a dict), `[arguments, calls]`, (how
    often it must be asked for until calls are kept, how often it had to be), or None."""
    try:
        return _get_looked(node)
    except (AttributeError, TypeError):  # a slot that was never set, no node
        return None


def _is_same(holder: Any, before: Any) -> bool:
    if len(holder) != len(before):
        return False
    if type(holder) is list:
        return all(map(is_, holder, before))
    return all(map(is_, holder, before)) and all(map(is_, holder.values(), before.values()))
