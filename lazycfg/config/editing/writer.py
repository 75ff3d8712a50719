"""One override at work: where it writes, and whether that place can take the value."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from lazycfg.config.editing.grammar import CallRef, FileRef, ImportRef, Override, Reference, ShareRef
from lazycfg.config.editing.journal import Journal
from lazycfg.config.editing.matching import find_holders, has_wildcard, key_matches, keys_below
from lazycfg.config.editing.meaning import NO_HINT, as_meant, can_judge, hint_at, why_other_kind
from lazycfg.config.errors import ConfigError, PathError, TargetError, with_article
from lazycfg.config.signatures.binding import bind_positional, node_signature, why_not
from lazycfg.config.suggest import closest
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.containers import children, has_fields
from lazycfg.config.tree.interpolation import resolve_in
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import (
    SPECIAL,
    Node,
    is_call,
    raw_contains,
    raw_get,
    raw_items,
    raw_keys,
    raw_pop,
    raw_set,
    to_nodes,
)
from lazycfg.config.tree.paths import MISSING, NO_OPERATORS, Quoted, format_path, parse_path
from lazycfg.config.tree.position import CommandLine, Write, record_write, set_position
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.targets import is_deferred, resolve_target, target_name
from lazycfg.config.tree.traversal import plan, rebuild, same_leaf


class Wrong(ConfigError):
    """One override cannot be applied."""


def _name_arguments(holder: Any) -> None:
    """Give arguments that were recorded by position their names, so that one can be set by its name."""
    if type(holder) is Node and raw_contains(holder, "_args_"):
        with suppress(ConfigError, TypeError):  # told by whoever checks or builds
            bind_positional(holder, importing=True)


class Place(NamedTuple):
    """Where an override writes: ``chain`` are the containers from the root down to the holder."""

    chain: list[Any]
    keys: tuple[Any, ...]

    @property
    def holder(self) -> Any:
        """Return what the value is in."""
        return self.chain[-1]

    @property
    def key(self) -> Any:
        """Return the key or index of the value in its holder."""
        return self.keys[-1]


class Writer:
    """One override at work."""

    def __init__(
        self,
        root: Node,
        override: Override,
        origin: CommandLine,
        journal: Journal,
        resolve_import: Callable[[str], Any],
        load_file: Callable[[str], Any],
    ) -> None:
        self.root = root
        self.override = override
        self.origin = origin
        self.journal = journal
        self.resolve_import = resolve_import
        self.load_file = load_file
        self.keys = parse_path(override.path)
        self.matches = has_wildcard(self.keys)
        if not self.matches:
            self.keys = tuple(str(key) if isinstance(key, Quoted) else key for key in self.keys)
        if not self.keys:
            raise Wrong("missing key before '='")

    def apply(self) -> list[Place]:
        """Apply the override and return the places where it did something."""
        places = self.places()
        for place in places:  # each with a value of its own: a list must not be shared by several places
            _OPERATIONS[self.override.op](self, place, self._value(self.override.value))
        return places

    # ---------------------------------------------------------------- where

    def places(self) -> list[Place]:
        """Return the places that the path of the override means."""
        if self.matches:
            return self._matching_places()
        op = self.override.op
        return [self._walk(self.keys, create=op in ("add", "force"))]

    def passed(self) -> list[Any]:
        """Return the containers that the path leads through, as far as they are there."""
        chain: list[Any] = [self.root]
        for key in self.keys[:-1]:
            value = find_key(chain[-1], key)
            if type(value) is str and "${" in value:
                value = resolve_in(value, chain)
            if value is MISSING:
                break
            chain.append(value)
        return chain

    def _walk(self, keys: tuple[Any, ...], *, create: bool) -> Place:
        chain: list[Any] = [self.root]
        for depth, key in enumerate(keys[:-1]):
            holder = chain[-1]
            value = find_key(holder, key)
            if value is MISSING:
                may_add = self._can_hold(holder, key)
                if not create or not may_add:
                    self._no_such_path(keys, depth, may_add=may_add)
                value = Node()
                self._write(Place(chain, keys[: depth + 1]), value)
            if type(value) is str and "${" in value:
                value = resolve_in(value, chain)
            if children(value) is None:
                where = format_path(keys[: depth + 1])
                raise Wrong(f"{where!r} is {short_repr(value)}, which is not a container")
            chain.append(value)
        args = raw_get(chain[-1], "_args_") if type(chain[-1]) is Node else None
        if args is not None and isinstance(keys[-1], int) and not raw_contains(chain[-1], str(keys[-1])):
            return Place([*chain, args], (*keys[:-1], "_args_", keys[-1]))
        return Place(chain, keys)

    def _can_hold(self, holder: Any, key: Any) -> bool:
        if not isinstance(holder, dict) or isinstance(key, int):
            return False
        return type(holder) is not Node or why_not(holder, key) is None

    def _no_such_path(self, keys: tuple[Any, ...], depth: int, *, may_add: bool = False) -> None:
        try:
            get_path(self.root, keys[: depth + 1])
        except PathError as error:
            message, hint = str(error), ""
            if depth == 0 and "did you mean" not in message:
                hint = self._elsewhere(keys[depth:])
            if hint or "did you mean" in message:
                raise Wrong(f"{message.partition('; available: ')[0]}{hint}") from None
            if may_add and self.override.op == "set":
                message += f" (a new key is added by +{format_path(keys)}=...)"
            raise Wrong(message) from None
        raise Wrong(f"{format_path(keys[: depth + 1])!r} does not exist")

    def _elsewhere(self, wanted: Sequence[Any]) -> str:
        """Return where a path that was given only in part (``depth=101``) is found, if in few places."""
        found = [
            format_path((*path, wanted[-1]))
            for path, holder, _ in find_holders(self.root, ("**", *wanted[:-1]))
            if isinstance(holder, dict) and raw_contains(holder, wanted[-1])
        ]
        return f"; did you mean {' or '.join(map(repr, found))}?" if 0 < len(found) <= 3 else ""

    def _matching_places(self) -> list[Place]:
        last, op = self.keys[-1], self.override.op
        places = []
        for path, holder, by_class in find_holders(self.root, self.keys[:-1]):
            if last == "**" and type(last) is str:
                raise Wrong("a path cannot end with '**'")
            present = [key for key, _ in keys_below(holder) if key_matches(key, last, holder)]
            _refuse_operator(last, present)
            if op == "add":
                wanted = [] if present else self._acceptable(holder, last)
            elif op == "force" or (by_class and op == "set"):
                wanted = present or self._acceptable(holder, last)
            else:
                wanted = present
            places += [self._walk((*path, key), create=False) for key in wanted]
        if not places:
            found = (key for value, _, _ in plan(self.root) for key, _ in keys_below(value))
            names = {key for key in found if isinstance(key, str)}
            raise Wrong(f"{self.override.path!r} matches nothing{closest(str(last), names, 0.75)}")
        return places

    def _acceptable(self, holder: Any, key: Any) -> list[Any]:
        """Return ``[key]`` when a call node has a parameter of that name, else nothing."""
        if not is_call(holder) or has_wildcard((key,)):
            return []
        signature = node_signature(holder)
        return [key] if signature is not None and key in signature.names else []

    # ---------------------------------------------------------------- what

    def _value(self, value: Any) -> Any:
        """Return the value with references replaced: callables imported, values looked up, dicts as nodes."""
        if isinstance(value, ImportRef):
            try:
                return self.resolve_import(value.name)
            except ConfigError:
                raise
            except ImportError as error:
                raise Wrong(str(error)) from None
        if isinstance(value, ShareRef):
            return get_path(self.root, parse_path(value.path), resolve=False)
        if isinstance(value, FileRef):
            return self._part_of_file(value)
        if isinstance(value, CallRef):
            node = Node(_target_=self._value(value.target))
            set_position(node, self.origin)
            for key, element in value.arguments.items():
                meant = self._value(element)
                if not isinstance(element, Reference | FileRef):
                    meant = as_meant(MISSING, meant, value.raws.get(key, ""), hint_at(node, key))
                raw_set(node, key, meant)
            reasons = [why_not(node, key, element) for key, element in raw_items(node)]
            if any(reasons):
                raise Wrong("; ".join(reason for reason in reasons if reason is not None))
            return node
        if type(value) is list:
            return [self._value(element) for element in value]
        if type(value) is tuple:
            return tuple(self._value(element) for element in value)
        if type(value) is dict:
            return to_nodes({key: self._value(element) for key, element in value.items()})
        if type(value) is set and any(
            isinstance(element, ImportRef | ShareRef | FileRef) for element in value
        ):
            return {self._value(element) for element in value}
        return value

    def _part_of_file(self, part: FileRef) -> Any:
        """Return what another config file has at a path."""
        try:
            cfg = self.load_file(part.file)
            found = get_path(cfg, parse_path(part.path), resolve=False) if part.path else cfg
            return copy.deepcopy(found)  # its interpolations are of this config now
        except (ConfigError, OSError) as error:
            raise Wrong(f"{part.file}: {error}") from None

    # ---------------------------------------------------------------- the operations
    # Each is given a place, and a value made for it alone in which references are looked up. It may raise
    # `Wrong` at any time: what was changed by then is undone. So an operation that changes a container itself
    # calls `journal.note` before and `_record` after, as `_append` does. `_write` does both; `_checked_write`
    # also lets the call above judge the argument; `_write_as_meant` first finds out what the value means.

    def _set(self, place: Place, value: Any) -> None:
        old = find_key(place.holder, place.key)
        if old is MISSING:
            self._refuse_new_key(place)
        if is_call(old) and isinstance(self.override.value, ImportRef):
            self._retarget(place, old, value)
            return
        self._write_as_meant(place, old, value)

    def _add(self, place: Place, value: Any) -> None:
        if find_key(place.holder, place.key) is not MISSING:
            raise Wrong(f"{format_path(place.keys)!r} is there already; leave out the '+' to change it")
        self._refuse_index(place)
        self._write_as_meant(place, MISSING, value)

    def _force(self, place: Place, value: Any) -> None:
        if find_key(place.holder, place.key) is MISSING:
            self._refuse_index(place)
        self._write(place, value)

    def _append(self, place: Place, value: Any) -> None:
        old = find_key(place.holder, place.key)
        if old is MISSING:
            self._refuse_new_key(place)
            old = []
        if type(old) is str and "${" in old:
            old = resolve_in(old, place.chain)
        if type(value) in (list, tuple):
            value = as_meant(old, value, "", hint_at(place.holder, place.key))
        fixed = isinstance(old, tuple) and type(old) is not tuple  # a named tuple has as many as it has
        if isinstance(old, list | tuple) and isinstance(value, list | tuple) and not fixed:
            before = self._argument_problem(place)
            if isinstance(old, list) and find_key(place.holder, place.key) is old:
                self.journal.note(old)
                old.extend(value)
                self._record(place, old)
            else:
                self._write(place, type(old)([*old, *value]))
            self._report(before, self._argument_problem(place))
        elif isinstance(old, dict) and isinstance(value, dict):
            for key, element in raw_items(value):
                self._checked_write(Place([*place.chain, old], (*place.keys, key)), element)
        else:
            raise Wrong(
                "'+=' appends a list to a list or a dict to a dict, but the type of "
                f"{format_path(place.keys)!r} is {type(old).__name__} and that of the value "
                f"{type(value).__name__}"
            )

    def _delete(self, place: Place, value: Any) -> None:
        old = find_key(place.holder, place.key)
        if old is MISSING:
            self._no_such_path(place.keys, len(place.keys) - 1)
        if self.override.has_value and not same_leaf(old, value):
            raise Wrong(
                f"{format_path(place.keys)!r} is {short_repr(old)}, not {short_repr(value)}: not deleted"
            )
        if place.key == "_target_":
            raise Wrong("'_target_' cannot be deleted; set it, or replace the whole node")
        holder = place.holder
        if isinstance(holder, dict):
            self.journal.note(holder)
            _name_arguments(holder)
            del_key = place.key if raw_contains(holder, place.key) else str(place.key)
            raw_pop(holder, del_key)
            self._record(place, Write.DELETED)
        elif isinstance(holder, list):
            self.journal.note(holder)
            del holder[place.key]
            self._record(place, Write.DELETED)
        elif type(holder) is tuple:
            index = range(len(holder))[place.key]
            self._write(Place(place.chain[:-1], place.keys[:-1]), holder[:index] + holder[index + 1 :])
        else:
            raise Wrong(f"a field of {with_article(type(holder).__name__)} cannot be deleted")

    # ---------------------------------------------------------------- checks

    def _refuse_new_key(self, place: Place) -> None:
        """Refuse a key that is not there and that the signature of the target does not have."""
        holder, key = place.holder, place.key
        self._refuse_index(place)
        if key == "_partial_" and is_call(holder):
            return
        signature = node_signature(holder) if is_call(holder) else None
        if signature is not None and key in signature.names:
            return
        where = format_path(place.keys[:-1])
        plain = str(key).rstrip(NO_OPERATORS)
        if plain and plain != str(key) and find_key(holder, plain) is not MISSING:
            raise Wrong(f"'{str(key)[len(plain) :]}=' is not an operator; write the value, {plain}=...")
        names = [str(k) for k in raw_keys(holder) if k not in SPECIAL] if isinstance(holder, dict) else []
        if signature is not None and (key == "_args_" or not signature.any_name):
            named = f"the arguments of {target_name(signature.target)} have names; set these"
            raise Wrong(f"{where or 'the root'!r}: {named if key == '_args_' else why_not(holder, key)}")
        owner = repr(where) if where else "the config"
        if is_call(holder):
            owner += f" ({target_name(raw_get(holder, '_target_'))})"
        hint = closest(str(key), names)
        if not where and "did you mean" not in hint:
            hint = self._elsewhere((key,)) or hint
        added = f"a new key is added by +{format_path(place.keys)}=..."
        raise Wrong(f"there is no {key!r} in {owner}{hint} ({added})")

    def _refuse_index(self, place: Place) -> None:
        holder = place.holder
        if isinstance(holder, list | tuple):
            hint = "; to append write +=[...]" if isinstance(place.key, int) else ""
            kind = with_article(type(holder).__name__)
            raise Wrong(
                f"{format_path(place.keys[:-1])!r} is {kind} of length {len(holder)} without "
                f"{place.key!r}{hint}"
            )
        if not isinstance(holder, dict):
            names = [str(key) for key, _ in keys_below(holder)]
            kind = with_article(type(holder).__name__)
            raise Wrong(f"{kind} has no field {place.key!r}{closest(str(place.key), names)}")

    def _checked_write(self, place: Place, value: Any) -> None:
        """Write the value and let the nearest call above judge its argument."""
        # a whole argument is judged anew; of a part of it only what was not wrong before is blamed on the
        # override
        is_argument = is_call(place.holder)
        before = None if is_argument else self._argument_problem(place)
        self._write(place, value)
        self._report(before, self._argument_problem(place))

    def _report(self, before: str | None, after: str | None) -> None:
        """Raise what `_argument_problem` says after a write, if it said nothing before."""
        if after is not None and before is None:
            raise Wrong(after)

    def _argument_problem(self, place: Place) -> str | None:
        """Return what the nearest call above says against the argument that the place belongs to."""
        for depth in range(len(place.chain) - 1, -1, -1):
            holder, key = place.chain[depth], place.keys[depth]
            if type(holder) is Node:
                if not is_call(holder) or not raw_contains(holder, key):
                    return None
                if not can_judge(raw_get(holder, "_target_"), key, raw_get(holder, key)):
                    return None
                reason = why_not(holder, key, raw_get(holder, key))
                return None if reason is None else f"{format_path(place.keys[: depth + 1])!r}: {reason}"
        return None

    def _write_as_meant(self, place: Place, old: Any, value: Any) -> None:
        """Write the value in the type that the place asks for."""
        if isinstance(self.override.value, Reference | FileRef):
            self._checked_write(place, value)
            return
        path, raw, hint = format_path(place.keys), self.override.raw, hint_at(place.holder, place.key)
        meant = as_meant(old, value, raw, hint)
        self._checked_write(place, meant)
        if hint is NO_HINT and is_call(place.holder) and is_deferred(raw_get(place.holder, "_target_")):
            return  # the annotation may allow what the old value does not tell
        reason = why_other_kind(path, old, meant, raw, hint)
        if reason is not None:
            raise Wrong(reason)

    def _retarget(self, place: Place, node: Node, target: Any) -> None:
        """Set another target of a call, with the arguments it has."""
        if not callable(target):
            raise Wrong(f"{format_path(place.keys)!r} is a call, and {short_repr(target)} cannot be called")
        self.journal.note(node)
        raw_set(node, "_target_", target)
        record_write(node, "_target_", target, self.origin)
        if is_deferred(target) and type(target).__lazycfg_signature__(target) is None:
            try:
                resolve_target(target)
            except (TargetError, ImportError) as error:
                raise Wrong(str(error)) from None
        reasons = {key: why_not(node, key, value) for key, value in raw_items(node) if key not in SPECIAL}
        wrong = {key: reason for key, reason in reasons.items() if reason is not None}
        if wrong:
            path = format_path(place.keys)
            deleted = " ".join(f"~{format_path((*place.keys, key))}" for key in wrong)
            raise Wrong(
                f"{path!r} keeps its arguments, but {'; '.join(wrong.values())} (delete these before that: "
                f"{deleted} {self.override.text})"
            )

    # ---------------------------------------------------------------- writing

    def _write(self, place: Place, value: Any) -> None:
        """Put a value into its holder; what cannot be changed (tuples, ...) is made anew above."""
        self._refuse_cycle(place, value)
        chain, keys = list(place.chain), list(place.keys)
        new = value
        while True:
            holder, key = chain.pop(), keys.pop()
            if isinstance(holder, dict):
                self.journal.note(holder)
                _name_arguments(holder)
                raw_set(
                    holder,
                    key if raw_contains(holder, key) or not raw_contains(holder, str(key)) else str(key),
                    new,
                )
                break
            if isinstance(holder, list):
                self.journal.note(holder)
                holder[key] = new
                break
            if has_fields(holder):
                self.journal.note(holder)
                try:
                    setattr(holder, key, new)
                    break
                except AttributeError:  # frozen
                    pass
            if not chain:
                raise Wrong(f"{with_article(type(holder).__name__)} as the config itself cannot be changed")
            if isinstance(holder, tuple) and isinstance(key, int):
                key = range(len(holder))[key]
                key = holder._fields[key] if hasattr(holder, "_fields") else key
            new = rebuild(holder, {key: new})
        self._record(place, value)

    def _record(self, place: Place, value: Any) -> None:
        """Remember the write at the nearest node above."""
        for depth in range(len(place.chain) - 1, -1, -1):
            node = place.chain[depth]
            if type(node) is Node:
                self.journal.note(node)
                record_write(node, format_path(place.keys[depth:]), value, self.origin)
                return

    def _refuse_cycle(self, place: Place, value: Any) -> None:
        if children(value) is None:
            return
        below = {id(container) for container, _, _ in plan(value)}
        if any(id(holder) in below for holder in place.chain):
            raise Wrong(f"{format_path(place.keys)!r} would contain itself")


# By `Override.op`; the signs are read in `grammar.parse_override`.
_OPERATIONS: dict[str, Callable[[Writer, Place, Any], None]] = {
    "set": Writer._set,
    "add": Writer._add,
    "force": Writer._force,
    "append": Writer._append,
    "delete": Writer._delete,
}


def _refuse_operator(last: Any, present: Sequence[Any]) -> None:
    """Refuse ``train.max_iter*=2``, which reads as a pattern but means an operator that does not exist."""
    if type(last) is str and last.endswith("*") and (stem := last.rstrip("*")) and stem in map(str, present):
        raise Wrong(
            f"'*=' is not an operator; write the value, {stem}=... (for longer names write {stem}?*=...)"
        )
