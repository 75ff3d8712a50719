"""The quick way of `check` through trees of the usual kind, in which nothing is wrong.

Whether the arguments of a node are right is decided once for its target, their names and types; this is the
*form* of the node. Calls written in a loop have the same form, so that one lookup is left.
"""

from __future__ import annotations

from lazycfg.config.calls import Calls
from lazycfg.config.gathering import gather
from lazycfg.config.node import (
    _HOLDERS,
    Node,
    edit_count,
    raw_contains,
    raw_get,
    raw_items,
    raw_keys,
    raw_values,
)
from lazycfg.config.quick import DEEPEST, Doubt, ask, look_into, plain_value, resolved, signature_for
from lazycfg.config.traverse import ATOMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from lazycfg.config.paths import Key, Link

    Form: TypeAlias = "tuple[tuple[Key, Any], ...]"

__all__ = ["is_sound"]

# What a form says of an argument that must be looked at: a text that may have `${` in it, a node, another
# container, another object. For a literal of which the type does not yet say that it fits: a function that
# tells whether it does.
TEXT, NODE, HOLDER, OBJECT = range(4)
_ROLES: dict[type, int] = {str: TEXT, Node: NODE, list: HOLDER, tuple: HOLDER, dict: HOLDER}
_MOST_FORMS = 8192  # functions of config files are new at every load
_UNNAMED = ("_args_", -1)
# Stands for a form that depends on more: how many positional arguments there are.
_SPECIAL: Form = (_UNNAMED,)

_checked: dict[Any, Form] = {}  # forms that were found right, by (target, *names, *types)


def is_sound(root: Any, start: Link) -> bool:
    """Whether `check` would find nothing in what stands at `start`; False also when that takes a closer
    look."""
    if type(root) not in _HOLDERS:
        return False
    known = Calls.known(root, start)
    if known is not None and known.checked:
        return True
    before = edit_count()
    try:
        if type(root) is Node:
            _Sound(root).node(root)
        else:
            _Sound(root).holder(root)
    except (Doubt, RecursionError):
        return False
    calls = known or (gather(root, start) if Calls.are_due(root) else None)
    if calls is not None:
        calls.checked = edit_count() == before
    return True


class _Sound:
    """`check` without messages: returns when all is right, raises `Doubt` otherwise."""

    __slots__ = ("above", "done", "root")

    def __init__(self, root: Any) -> None:
        self.root = root
        self.above: list[Any] = []  # the containers entered
        self.done: dict[int, bool] = {}  # by id of a container: whether it has been left again

    def node(self, node: Node) -> None:
        """Look at a node and what is in it."""
        target = raw_get(node, "_target_")
        if type(target) is not type:
            target = resolved(target)
        form = _checked.get((target, *raw_keys(node), *map(type, raw_values(node))))
        if form is None:
            form = _new_form(node, target)
        if form:
            self.inside(node, target, form)

    def inside(self, node: Node, target: Any, form: Form) -> None:
        """Look at what the form of a node says."""
        done, mark = self.done, id(node)
        if mark in done or len(self.above) > DEEPEST:
            if not done.get(mark):  # inside itself, or too deep
                raise Doubt
            return
        done[mark] = False
        self.above.append(node)
        if form[0] is _UNNAMED:
            form = _special_form(node, target)
        for key, role in form:
            child: Any = raw_get(node, key)
            if role == NODE:
                # As in `node`: this saves a call for each node with plain arguments, which most are.
                of = raw_get(child, "_target_")
                if type(of) is not type:
                    of = resolved(of)
                inner = _checked.get((of, *raw_keys(child), *map(type, raw_values(child))))
                if inner:
                    self.inside(child, of, inner)
                elif inner is None:
                    self.node(child)
            elif role == TEXT:
                if "${" in child or child == "???":
                    self.text(child, target, key)
            elif role == HOLDER:
                self.holder(child)
            elif role == OBJECT:
                look_into(child)
            elif not role(child):
                raise Doubt
        self.above.pop()
        done[mark] = True

    def holder(self, value: Any) -> None:
        """Look at the elements of a list, tuple or dict."""
        elements = raw_values(value) if type(value) is dict else value
        if ATOMS.issuperset(map(type, elements)):
            return
        done, mark = self.done, id(value)
        if mark in done or len(self.above) > DEEPEST:
            if not done.get(mark):  # inside itself, or too deep
                raise Doubt
            return
        done[mark] = False
        self.above.append(value)
        for element in elements:
            kind = type(element)
            if kind is Node:
                self.node(element)
            elif kind in _HOLDERS:
                self.holder(element)
            elif kind is str:
                if "${" in element or element == "???":
                    self.text(element)
            elif kind not in ATOMS:
                look_into(element)
        self.above.pop()
        done[mark] = True

    def text(self, text: str, target: Any = None, key: Any = None) -> None:
        """Look at what an interpolation stands for: the argument `key` of a target, or an element."""
        value = plain_value(text, self.root, self.above)
        signature = signature_for(target)
        if signature is not None and key in signature.hints:
            from lazycfg.config.literals import fits

            if not fits(value, signature.hints[key], signature.parameters[key].default):
                raise Doubt


def _new_form(node: Node, target: Any) -> Form:
    """The form of a node, remembered; raises `Doubt` for a wrong one."""
    form = _SPECIAL if raw_contains(node, "_args_") or raw_contains(node, "_partial_") else None
    form = form or _special_form(node, target)
    if len(_checked) >= _MOST_FORMS:
        _checked.clear()
    _checked[(target, *raw_keys(node), *map(type, raw_values(node)))] = form
    return form


def _special_form(node: Node, target: Any) -> Form:
    """The form of a node, found out anew."""
    signature = signature_for(target)
    doubtful: dict[str, frozenset[type]] = {}
    if signature is not None:
        ask(signature, node)
        doubtful = signature.doubtful
    found: list[tuple[Key, Any]] = []
    for key, child in raw_items(node):
        if key == "_target_":
            continue
        kind = type(child)
        if kind in _ROLES:
            found.append((key, _ROLES[kind]))
        elif kind not in ATOMS:
            found.append((key, OBJECT))
        if signature is not None and kind in doubtful.get(key, ()):
            from lazycfg.config.literals import fitter

            found.append((key, fitter(signature.hints[key], signature.parameters[key].default)))
    found.sort(key=lambda entry: entry[1] != TEXT)  # a doubt is best found before the nodes below are entered
    return tuple(found)
