"""The quick way through trees of the usual kind, for `check` and `instantiate`.

Most trees are nodes, lists, tuples and dicts of plain values in which nothing is wrong. For these a short
recursion is enough, which keeps no chains and writes no messages. Whatever it has doubts about (an
interpolation, "???", a dataclass object with nodes in it, a wrong argument, a circle, a tree that is very
deep) it leaves to `survey` and `Finder`, which look at the whole tree again and know how to say what is
wrong. Nothing is built or changed before the last doubt is ruled out.

Whether the arguments of a node fit is decided once for its target and their names, for `check` and their
types; this is the *form* of the node. Calls written in a loop have the same form, so that one lookup is left.
"""

from __future__ import annotations

from functools import partial

from lazycfg.config.errors import TargetError
from lazycfg.config.node import (
    _HOLDERS,
    REQUIRED,
    Node,
    raw_contains,
    raw_get,
    raw_items,
    raw_keys,
    raw_values,
)
from lazycfg.config.signature import accepts, arrange, resolve_target, signature_of
from lazycfg.config.traverse import ATOMS, children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from lazycfg.config.paths import Key, Link
    from lazycfg.config.signature import Signature

    # (what makes the object, its arguments, the container of the result, link, the container in the config).
    # Nothing makes a tuple or another container: it is filled anew.
    Call: TypeAlias = "tuple[Callable[..., Any] | None, Any, Any, Link, Any]"
    Form: TypeAlias = "tuple[tuple[Key, Any], ...]"

__all__ = ["Calls", "Gatherer", "call_specially", "gather", "is_sound"]

# What a form says of an argument that must be looked at: a text that may have `${` in it, a node, another
# container, another object. For a literal of which the type does not yet say that it fits: a function that
# tells whether it does.
TEXT, NODE, HOLDER, OBJECT = range(4)
_ROLES: dict[type, int] = {str: TEXT, Node: NODE, list: HOLDER, tuple: HOLDER, dict: HOLDER}
_DEEPEST = 120  # levels of recursion; Python allows 1,000 frames, and some are taken already
_MOST_FORMS = 8192  # functions of config files are new at every load
_UNNAMED = ("_args_", -1)
_SPECIAL: Form = (
    _UNNAMED,
)  # stands for a form that depends on more: how many positional arguments there are

_checked: dict[Any, Form] = {}  # forms that `check` found right, by (target, *names, *types)
_callable: set[Any] = set()  # (target, *names) that fit, for `instantiate`


class Doubt(Exception):
    """The tree is not one for the quick way."""


def is_sound(root: Any) -> bool:
    """Whether `check` would find nothing; False also when that takes a closer look."""
    if type(root) not in _HOLDERS:
        return False
    try:
        if type(root) is Node:
            _Sound().node(root, 0)
        else:
            _Sound().holder(root, 0)
    except (Doubt, RecursionError):
        return False
    return True


def gather(root: Any, link: Link) -> Calls | None:
    """All calls that build `root`, when nothing is wrong with it; None when that takes a closer look."""
    if type(root) not in _HOLDERS:
        return None
    gatherer = Gatherer()
    try:
        if type(root) is Node:
            gatherer.node(root, link, None, 0)
        else:
            gatherer.other(root, link, None, 0)
    except (Doubt, RecursionError):
        return None
    return None if gatherer.root is None and not gatherer.calls else gatherer


class Calls:
    """What has to be called to build a tree.

    Attributes:
        calls: one entry for each call, children before parents, left before right.
        shared: by id of a container, the further places where what it becomes has to be put: (container,
            key).
        root: the result, when it is a container that the calls fill in; else the result is that of the last
            call.
    """

    __slots__ = ("calls", "root", "shared")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.shared: dict[int, list[tuple[Any, Key]]] = {}
        self.root: Any = None


class Gatherer(Calls):
    """Copies lists, dicts and the arguments of nodes, and lists the calls that fill the copies."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        super().__init__()
        # By id of a container that was left again: its copy, or True for what a call will give.
        self.done: dict[int, Any] = {}

    def node(self, node: Node, link: Link, above: Any, depth: int) -> None:
        """Note the calls of a node that is reached first from `above`."""
        if depth > _DEEPEST:  # so deep, or inside itself
            raise Doubt
        arguments = dict(raw_items(node))  # dict(node) would resolve, and ask `Node` for each item
        make = target = arguments.pop("_target_", None)
        if type(target) is not type:
            make = target = _resolved(target)
        if (target, *arguments) not in _callable and not _remember_names(target, arguments):
            make = partial(call_specially, target)
        done = self.done
        for key, child in arguments.items():
            kind = type(child)
            if kind in ATOMS:
                continue
            if kind is str:
                if "${" in child or child == "???":
                    raise Doubt
            elif id(child) in done:
                self.again(child, key, arguments)
            elif kind is Node:
                self.node(child, (link, key), arguments, depth + 1)
            else:
                self.other(child, (link, key), arguments, depth + 1)
        if target is None:
            self.put(node, arguments, link, above)
        else:
            done[id(node)] = True
            self.calls.append((make, arguments, above, link, node))

    def other(self, value: Any, link: Link, above: Any, depth: int) -> None:
        """The same for a list, tuple or dict. Other objects, and tuples of numbers, stay themselves."""
        holds = type(value)
        if holds not in _HOLDERS:
            _look_into(value)
            return
        if holds is tuple and ATOMS.issuperset(map(type, value)):
            return
        if depth > _DEEPEST:
            raise Doubt
        copy: Any = dict(enumerate(value)) if holds is tuple else value.copy()
        done = self.done
        items: Iterable[tuple[Key, Any]] = value.items() if holds is dict else enumerate(value)
        for key, child in items:  # as in `node`, once more: this saves a call for each node
            kind = type(child)
            if kind in ATOMS:
                continue
            if kind is str:
                if "${" in child or child == "???":
                    raise Doubt
            elif id(child) in done:
                self.again(child, key, copy)
            elif kind is Node:
                self.node(child, (link, key), copy, depth + 1)
            else:
                self.other(child, (link, key), copy, depth + 1)
        if holds is tuple:
            done[id(value)] = True
            self.calls.append((None, copy, above, link, value))
        else:
            self.put(value, copy, link, above)

    def again(self, child: Any, key: Key, above: Any) -> None:
        """A container that was reached before."""
        state = self.done[id(child)]
        if state is True:
            self.shared.setdefault(id(child), []).append((above, key))
        else:
            above[key] = state

    def put(self, value: Any, copy: Any, link: Link, above: Any) -> None:
        """Put the copy of a container in its place right away: the calls will fill it."""
        self.done[id(value)] = copy
        if above is None or link is None:
            self.root = copy
        else:
            above[link[1]] = copy


class _Sound:
    """`check` without messages: returns when all is right, raises `Doubt` otherwise."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done: dict[int, bool] = {}  # by id of a container: whether it has been left again

    def node(self, node: Node, depth: int) -> None:
        """Look at a node and what is in it."""
        target = raw_get(node, "_target_")
        if type(target) is not type:
            target = _resolved(target)
        form = _checked.get((target, *raw_keys(node), *map(type, raw_values(node))))
        if form is None:
            form = _new_form(node, target)
        if form:
            self.inside(node, target, form, depth)

    def inside(self, node: Node, target: Any, form: Form, depth: int) -> None:
        """Look at what the form of a node says."""
        done, mark = self.done, id(node)
        if mark in done or depth > _DEEPEST:
            if not done.get(mark):  # inside itself, or too deep
                raise Doubt
            return
        done[mark] = False
        if form[0] is _UNNAMED:
            form = _special_form(node, target)
        for key, role in form:
            child: Any = raw_get(node, key)
            if role == NODE:
                # As in `node`: this saves a call for each node with plain arguments, which most are.
                of = raw_get(child, "_target_")
                if type(of) is not type:
                    of = _resolved(of)
                inner = _checked.get((of, *raw_keys(child), *map(type, raw_values(child))))
                if inner:
                    self.inside(child, of, inner, depth + 1)
                elif inner is None:
                    self.node(child, depth + 1)
            elif role == TEXT:
                if "${" in child or child == "???":
                    raise Doubt
            elif role == HOLDER:
                self.holder(child, depth + 1)
            elif role == OBJECT:
                _look_into(child)
            elif not role(child):
                raise Doubt
        done[mark] = True

    def holder(self, value: Any, depth: int) -> None:
        """Look at the elements of a list, tuple or dict."""
        elements = raw_values(value) if type(value) is dict else value
        if ATOMS.issuperset(map(type, elements)):
            return
        done, mark = self.done, id(value)
        if mark in done or depth > _DEEPEST:
            if not done.get(mark):  # inside itself, or too deep
                raise Doubt
            return
        done[mark] = False
        for element in elements:
            kind = type(element)
            if kind is Node:
                self.node(element, depth + 1)
            elif kind in _HOLDERS:
                self.holder(element, depth + 1)
            elif kind is str:
                if "${" in element or element == "???":
                    raise Doubt
            elif kind not in ATOMS:
                _look_into(element)
        done[mark] = True


def call_specially(target: Any, /, **arguments: Any) -> Any:
    """Call a target with arguments that are built, `_args_` and `_partial_` among them."""
    args = arguments.pop("_args_", ())
    if args:
        args, arguments = arrange(target, tuple(args), arguments)
    if arguments.pop("_partial_", False):
        return partial(target, *args, **arguments)
    return target(*args, **arguments)


# Forms.


def _resolved(target: Any) -> Any:
    """A target that is not a plain class: imported where it was only named, and of a kind that can be
    remembered."""
    try:
        target = resolve_target(target)
        hash(target)
    except (TargetError, TypeError):
        raise Doubt from None
    return target


def _look_into(value: Any) -> None:
    """An object is passed on as it is; one with fields only when there is nothing in them to build."""
    if value is REQUIRED or isinstance(value, dict):
        raise Doubt
    for _, child in children(value) or ():
        kind = type(child)
        if kind is str:
            if "${" in child or child == "???":
                raise Doubt
        elif kind not in ATOMS and not (kind is tuple and ATOMS.issuperset(map(type, child))):
            raise Doubt


def _remember_names(target: Any, arguments: dict[str, Any]) -> bool:
    """Remember that these arguments fit, raise `Doubt` when they do not. False for positional arguments and
    partial calls, where the names do not decide it."""
    signature = _signature(target)
    if signature is not None and not signature.wrapped:
        _ask(signature, arguments)
    if target is not None and ("_args_" in arguments or "_partial_" in arguments):
        return False
    if len(_callable) >= _MOST_FORMS:
        _callable.clear()
    _callable.add((target, *arguments))
    return True


def _ask(signature: Signature, items: dict[str, Any]) -> None:
    given = len(raw_get(items, "_args_") or ())
    if not accepts(signature, raw_keys(items), given, bool(raw_get(items, "_partial_"))):
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
    signature = _signature(target)
    doubtful: dict[str, frozenset[type]] = {}
    if signature is not None:
        _ask(signature, node)
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


def _signature(target: Any) -> Signature | None:
    return None if target is None else signature_of(target)
