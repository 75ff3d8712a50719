"""Applying the overrides of a command line: all or nothing, with all mistakes reported together.

Overrides are applied in order, in place, with a journal; when one is wrong the others are still tried, so
that every mistake is found, and then the journal is undone. See `grammar` for the spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from lazycfg.config.brief import short_repr, target_name
from lazycfg.config.editing.grammar import GrammarError, ImportRef, Override, ShareRef, parse_override
from lazycfg.config.editing.journal import Journal
from lazycfg.config.editing.matching import find_holders, has_wildcard, key_matches, keys_below
from lazycfg.config.errors import ConfigError, PathError
from lazycfg.config.interpolation import resolve_in
from lazycfg.config.node import (
    SPECIAL,
    Node,
    is_call,
    is_required,
    raw_contains,
    raw_get,
    raw_items,
    raw_keys,
    raw_pop,
    raw_set,
    to_nodes,
)
from lazycfg.config.paths import MISSING, Quoted, find_key, format_path, get_path, lookup, parse_path
from lazycfg.config.provenance.position import CommandLine, Write, record_write
from lazycfg.config.signature import is_deferred, node_signature, resolve_target, why_not
from lazycfg.config.suggest import closest, closest_name
from lazycfg.config.traverse import children, has_fields, plan, rebuild, same_leaf
from lazycfg.config.trust import Policy

__all__ = ["OverrideError", "OverrideProblem", "apply_overrides", "matched_paths"]

_MISSING: Any = object()


class OverrideProblem(NamedTuple):
    """What is wrong with one override: its place on the command line (from 1), its text, and why."""

    place: int
    text: str
    message: str

    def __str__(self) -> str:
        return f"override {self.place} {self.text!r}: {self.message}"


class OverrideError(ConfigError, ValueError):
    """All wrong overrides of a command line; none of the command line was applied.

    Attributes:
        problems: one `OverrideProblem` for each.
    """

    def __init__(self, problems: Iterable[OverrideProblem], count: int):
        self.problems = list(problems)
        wrong = len(self.problems)
        head = f"{wrong} of {count} overrides {'is' if wrong == 1 else 'are'} wrong, so none was applied:"
        super().__init__("\n  ".join([head, *map(str, self.problems)]))


class _Wrong(ConfigError):
    """One override cannot be applied."""


class _Place(NamedTuple):
    """Where an override writes: ``chain`` are the containers from the root down to the holder."""

    chain: list[Any]
    keys: tuple[Any, ...]

    @property
    def holder(self) -> Any:
        return self.chain[-1]

    @property
    def key(self) -> Any:
        return self.keys[-1]


def apply_overrides(
    cfg: Node,
    overrides: Sequence[str],
    *,
    resolve_import: Callable[[str], Any] = resolve_target,
    policy: Policy | None = None,
) -> Node:
    """Change ``cfg`` in place by ``key=value`` texts and return it.

    Args:
        cfg: the config.
        overrides: texts such as ``"model.backbone.depth=101"``.
        resolve_import: turns the name of ``@pkg.mod.fn`` into the callable.
        policy: what the command line may name; by default anything, as it is typed by the one who runs the
        code.

    Raises:
        OverrideError: at least one override is wrong. It names all that are; ``cfg`` is as before.
    """
    if isinstance(overrides, str):
        raise TypeError(f"overrides is a list of texts, not one text: [{overrides!r}]")
    if policy is not None:
        resolve_import = policy.resolve_called
    journal = Journal()
    problems = []
    for index, text in enumerate(overrides, start=1):
        try:
            override = parse_override(text)
            writer = _Writer(cfg, override, CommandLine(text, index), journal, resolve_import)
            if policy is not None:
                _refuse_untrusted(override, policy)
                _refuse_ways_around(writer, override, policy)
            writer.apply()
        except (GrammarError, ConfigError, ImportError) as error:
            problems.append(OverrideProblem(index, text, str(error)))
        except BaseException:  # of somebody's setter, or from the keyboard: still all or nothing
            journal.undo()
            raise
    if problems:
        journal.undo()
        raise OverrideError(problems, len(overrides))
    return cfg


def matched_paths(cfg: Node, text: str) -> list[str]:
    """The config paths that an override with wildcards would write to.

    Raises:
        GrammarError: the text is no override.
        ConfigError: it matches nothing.
    """
    override = parse_override(text)
    writer = _Writer(cfg, override, CommandLine(text), Journal(), resolve_target)
    return [format_path(place.keys) for place in writer.places()]


class _Writer:
    """One override at work."""

    def __init__(
        self,
        root: Node,
        override: Override,
        origin: CommandLine,
        journal: Journal,
        resolve_import: Callable[[str], Any],
    ) -> None:
        self.root = root
        self.override = override
        self.origin = origin
        self.journal = journal
        self.resolve_import = resolve_import
        self.keys = parse_path(override.path)
        self.matches = has_wildcard(self.keys)
        if not self.matches:
            self.keys = tuple(str(key) if isinstance(key, Quoted) else key for key in self.keys)
        if not self.keys:
            raise _Wrong("there is no key before '='")

    def apply(self) -> None:
        value = self._value(self.override.value)
        places = self.places()
        for place in places:
            getattr(self, f"_{self.override.op}")(place, value)

    # ---------------------------------------------------------------- where

    def places(self) -> list[_Place]:
        """The places that the path of the override means."""
        if self.matches:
            return self._matching_places()
        op = self.override.op
        return [self._walk(self.keys, create=op in ("add", "force"))]

    def passed(self) -> list[Any]:
        """The containers that the path leads through, as far as they are there."""
        chain: list[Any] = [self.root]
        for key in self.keys[:-1]:
            value = find_key(chain[-1], key)
            if type(value) is str and "${" in value:
                value = resolve_in(value, chain)
            if value is MISSING:
                break
            chain.append(value)
        return chain

    def _walk(self, keys: tuple[Any, ...], *, create: bool) -> _Place:
        chain: list[Any] = [self.root]
        for depth, key in enumerate(keys[:-1]):
            holder = chain[-1]
            try:
                value = lookup(holder, key)
            except LookupError:
                if not create or not self._can_hold(holder, key):
                    self._no_such_path(keys, depth)
                value = Node()
                self._write(_Place(chain, keys[: depth + 1]), value)
            if type(value) is str and "${" in value:
                value = resolve_in(value, chain)
            if children(value) is None:
                where = format_path(keys[: depth + 1])
                raise _Wrong(f"{where!r} is {short_repr(value)}, which has no parts to set")
            chain.append(value)
        args = raw_get(chain[-1], "_args_") if type(chain[-1]) is Node else None
        if args is not None and isinstance(keys[-1], int) and not raw_contains(chain[-1], str(keys[-1])):
            return _Place([*chain, args], (*keys[:-1], "_args_", keys[-1]))
        return _Place(chain, keys)

    def _can_hold(self, holder: Any, key: Any) -> bool:
        if not isinstance(holder, dict) or isinstance(key, int):
            return False
        return type(holder) is not Node or why_not(holder, key) is None

    def _no_such_path(self, keys: tuple[Any, ...], depth: int) -> None:
        try:
            get_path(self.root, keys[: depth + 1])
        except PathError as error:
            message, hint = str(error), ""
            if depth == 0 and "did you mean" not in message:
                hint = self._elsewhere(keys[depth:])
            raise _Wrong(f"{message.partition('; there is ')[0]}{hint}" if hint else message) from None
        raise _Wrong(f"{format_path(keys[: depth + 1])!r} leads nowhere")

    def _elsewhere(self, wanted: Sequence[Any]) -> str:
        """Where a path that was given only in part (``depth=101``) is found, if in few places."""
        found = [
            format_path((*path, wanted[-1]))
            for path, holder, _ in find_holders(self.root, ("**", *wanted[:-1]))
            if isinstance(holder, dict) and raw_contains(holder, wanted[-1])
        ]
        return f"; did you mean {' or '.join(map(repr, found))}?" if 0 < len(found) <= 3 else ""

    def _matching_places(self) -> list[_Place]:
        last, op = self.keys[-1], self.override.op
        places = []
        for path, holder, by_class in find_holders(self.root, self.keys[:-1]):
            if last == "**" and type(last) is str:
                raise _Wrong("a path cannot end with '**'")
            present = [key for key, _ in keys_below(holder) if key_matches(key, last, holder)]
            if op == "add":
                wanted = [] if present else self._acceptable(holder, last)
            elif op == "force" or (by_class and op == "set"):
                wanted = present or self._acceptable(holder, last)
            else:
                wanted = present
            places += [self._walk((*path, key), create=False) for key in wanted]
        if not places:
            names = {str(key) for value, kids, _ in plan(self.root) for key, _ in keys_below(value)}
            raise _Wrong(f"{self.override.path!r} matches nothing{closest(str(last), names, 0.75)}")
        return places

    def _acceptable(self, holder: Any, key: Any) -> list[Any]:
        """``[key]`` when a call node has a parameter of that name, else nothing."""
        if not is_call(holder) or has_wildcard((key,)):
            return []
        signature = node_signature(holder)
        return [key] if signature is not None and key in signature.names else []

    # ---------------------------------------------------------------- what

    def _value(self, value: Any) -> Any:
        """The value with references replaced: callables imported, shared values looked up, dicts as nodes."""
        if isinstance(value, ImportRef):
            try:
                return self.resolve_import(value.name)
            except ConfigError:
                raise
            except ImportError as error:
                raise _Wrong(str(error)) from None
        if isinstance(value, ShareRef):
            return get_path(self.root, parse_path(value.path), resolve=False)
        if type(value) is list:
            return [self._value(element) for element in value]
        if type(value) is tuple:
            return tuple(self._value(element) for element in value)
        if type(value) is dict:
            return to_nodes({key: self._value(element) for key, element in value.items()})
        if type(value) is set and any(isinstance(element, ImportRef | ShareRef) for element in value):
            return {self._value(element) for element in value}
        return value

    # ---------------------------------------------------------------- the operations

    def _set(self, place: _Place, value: Any) -> None:
        old = self._current(place)
        if old is _MISSING:
            self._refuse_new_key(place)
        target = _callable_for(old, self.override.value, value)
        if target is not None:
            self._retarget(place, old, target)
            return
        self._checked_write(place, value)
        if old is not _MISSING:
            _refuse_other_kind(place, old, value)

    def _add(self, place: _Place, value: Any) -> None:
        if self._current(place) is not _MISSING:
            raise _Wrong(f"{format_path(place.keys)!r} is there already; leave out the '+' to change it")
        self._refuse_index(place)
        self._checked_write(place, value)

    def _force(self, place: _Place, value: Any) -> None:
        if self._current(place) is _MISSING:
            self._refuse_index(place)
        self._write(place, value)

    def _append(self, place: _Place, value: Any) -> None:
        old = self._current(place)
        if old is _MISSING:
            self._refuse_new_key(place)
            old = []
        if type(old) is str and "${" in old:
            old = resolve_in(old, place.chain)
        fixed = isinstance(old, tuple) and type(old) is not tuple  # a named tuple has as many as it has
        if isinstance(old, list | tuple) and isinstance(value, list | tuple) and not fixed:
            before = self._argument_problem(place)
            if isinstance(old, list) and self._current(place) is old:
                self.journal.note(old)
                old.extend(value)
                self._record(place, old)
            else:
                self._write(place, type(old)([*old, *value]))
            self._report(before, self._argument_problem(place))
        elif isinstance(old, dict) and isinstance(value, dict):
            for key, element in raw_items(value):
                self._checked_write(_Place([*place.chain, old], (*place.keys, key)), element)
        else:
            kind = type(old).__name__
            raise _Wrong(
                f"'+=' appends a list to a list or a dict to a dict, but {format_path(place.keys)!r} is a "
                f"{kind} and the value a {type(value).__name__}"
            )

    def _delete(self, place: _Place, value: Any) -> None:
        old = self._current(place)
        if old is _MISSING:
            self._no_such_path(place.keys, len(place.keys) - 1)
        if self.override.has_value and not same_leaf(old, value):
            raise _Wrong(
                f"{format_path(place.keys)!r} is {short_repr(old)}, not {short_repr(value)}: not deleted"
            )
        if place.key == "_target_":
            raise _Wrong("'_target_' cannot be deleted; set it, or replace the whole node")
        holder = place.holder
        if isinstance(holder, dict):
            self.journal.note(holder)
            del_key = place.key if raw_contains(holder, place.key) else str(place.key)
            raw_pop(holder, del_key)
            self._record(place, Write.DELETED)
        elif isinstance(holder, list):
            self.journal.note(holder)
            del holder[place.key]
            self._record(place, Write.DELETED)
        elif type(holder) is tuple:
            index = range(len(holder))[place.key]
            self._write(_Place(place.chain[:-1], place.keys[:-1]), holder[:index] + holder[index + 1 :])
        else:
            raise _Wrong(f"a field of a {type(holder).__name__} cannot be deleted")

    # ---------------------------------------------------------------- checks

    def _current(self, place: _Place) -> Any:
        try:
            return lookup(place.holder, place.key)
        except LookupError:
            return _MISSING

    def _refuse_new_key(self, place: _Place) -> None:
        """A key that is not there can be set only when the signature of the target has it."""
        holder, key = place.holder, place.key
        self._refuse_index(place)
        if key == "_partial_" and is_call(holder):
            return
        signature = node_signature(holder) if is_call(holder) else None
        if signature is not None and key in signature.names:
            return
        where = format_path(place.keys[:-1])
        names = [str(k) for k in raw_keys(holder) if k not in SPECIAL] if isinstance(holder, dict) else []
        if signature is not None and (key == "_args_" or not signature.any_name):
            named = f"the arguments of {target_name(signature.target)} have names; set these"
            raise _Wrong(f"{where or 'the root'!r}: {named if key == '_args_' else why_not(holder, key)}")
        owner = repr(where) if where else "the config"
        if is_call(holder):
            owner += f" ({target_name(raw_get(holder, '_target_'))})"
        hint = closest(str(key), names)
        if not where and "did you mean" not in hint:
            hint = self._elsewhere((key,)) or hint
        added = f"a new key is added by +{format_path(place.keys)}=..."
        raise _Wrong(f"there is no {key!r} in {owner}{hint} ({added})")

    def _refuse_index(self, place: _Place) -> None:
        holder = place.holder
        if isinstance(holder, list | tuple):
            hint = "; to append write +=[...]" if isinstance(place.key, int) else ""
            raise _Wrong(
                f"{format_path(place.keys[:-1])!r} is a {type(holder).__name__} of length {len(holder)}"
                f" without {place.key!r}{hint}"
            )
        if not isinstance(holder, dict):
            names = [str(key) for key, _ in keys_below(holder)]
            raise _Wrong(
                f"a {type(holder).__name__} has no field {place.key!r}{closest(str(place.key), names)}"
            )

    def _checked_write(self, place: _Place, value: Any) -> None:
        # a whole argument is judged anew; of a part of it only what was not wrong before is blamed on the
        # override
        is_argument = is_call(place.holder)
        before = None if is_argument else self._argument_problem(place)
        self._write(place, value)
        self._report(before, self._argument_problem(place))

    def _report(self, before: str | None, after: str | None) -> None:
        if after is not None and before is None:
            raise _Wrong(after)

    def _argument_problem(self, place: _Place) -> str | None:
        """What the nearest call above says against the argument that the place belongs to."""
        for depth in range(len(place.chain) - 1, -1, -1):
            holder, key = place.chain[depth], place.keys[depth]
            if type(holder) is Node:
                if not is_call(holder) or not raw_contains(holder, key):
                    return None
                if is_deferred(raw_get(holder, "_target_")):
                    return None  # a command that only reads does not import for it
                reason = why_not(holder, key, raw_get(holder, key))
                return None if reason is None else f"{format_path(place.keys[: depth + 1])!r}: {reason}"
        return None

    def _retarget(self, place: _Place, node: Node, target: Any) -> None:
        """Another target for a call, with the arguments it has."""
        self.journal.note(node)
        raw_set(node, "_target_", target)
        record_write(node, "_target_", target, self.origin)
        if is_deferred(target):
            return
        reasons = [why_not(node, key, value) for key, value in raw_items(node) if key not in SPECIAL]
        wrong = [reason for reason in reasons if reason is not None]
        if wrong:
            raise _Wrong(f"{format_path(place.keys)!r} keeps its arguments, but {'; '.join(wrong)}")

    # ---------------------------------------------------------------- writing

    def _write(self, place: _Place, value: Any) -> None:
        """Put a value into its holder; what cannot be changed (tuples, frozen dataclasses) is made anew
        above.
        """
        self._refuse_cycle(place, value)
        chain, keys = list(place.chain), list(place.keys)
        new = value
        while True:
            holder, key = chain.pop(), keys.pop()
            if isinstance(holder, dict):
                self.journal.note(holder)
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
            if has_fields(holder) and not type(holder).__dataclass_params__.frozen:
                self.journal.note(holder)
                setattr(holder, key, new)
                break
            if not chain:
                raise _Wrong(f"a {type(holder).__name__} as the config itself cannot be changed")
            if isinstance(holder, tuple) and isinstance(key, int):
                key = range(len(holder))[key]
                key = holder._fields[key] if hasattr(holder, "_fields") else key
            new = rebuild(holder, {key: new})
        self._record(place, value)

    def _record(self, place: _Place, value: Any) -> None:
        """Remember the write at the nearest node above."""
        for depth in range(len(place.chain) - 1, -1, -1):
            node = place.chain[depth]
            if type(node) is Node:
                self.journal.note(node)
                record_write(node, format_path(place.keys[depth:]), value, self.origin)
                return

    def _refuse_cycle(self, place: _Place, value: Any) -> None:
        if children(value) is None:
            return
        below = {id(container) for container, _, _ in plan(value)}
        if any(id(holder) in below for holder in place.chain):
            raise _Wrong(f"{format_path(place.keys)!r} would contain itself")


def _refuse_untrusted(override: Override, policy: Policy) -> None:
    """Names in text that would be resolved later: targets and interpolation resolvers."""
    keys = parse_path(override.path)
    work: list[tuple[Any, Any]] = [(keys[-1] if keys else "", override.value)]
    while work:
        key, value = work.pop()
        if isinstance(value, str):
            reason = policy.why_text_refused(value, is_target=key == "_target_" or "*" in str(key))
            if reason is not None:
                raise _Wrong(reason)
        elif key == "_target_" and not isinstance(value, ImportRef):
            raise _Wrong("a target is a name, package.module.Class")
        elif isinstance(value, dict):
            odd = [name for name in value if str(name).startswith("__")]
            if odd:
                raise _Wrong(f"the argument {odd[0]!r}")
            work.extend(value.items())
        elif isinstance(value, list | tuple | set):
            work.extend((None, element) for element in value)


def _refuse_ways_around(writer: _Writer, override: Override, policy: Policy) -> None:
    """What is no name itself, but makes one of something else: a target that is what stands elsewhere, what
    stands elsewhere and is not allowed, another attribute of what a node builds."""
    if policy.everything:
        return
    keys = parse_path(override.path)
    work: list[tuple[Any, Any]] = [(keys[-1] if keys else "", override.value)]
    while work:
        key, value = work.pop()
        if isinstance(value, ShareRef):
            if key in SPECIAL or "*" in str(key):
                raise _Wrong(f"{key!r} cannot be what stands elsewhere, {value.path!r}")
            shared = get_path(writer.root, parse_path(value.path), resolve=False)
            if isinstance(shared, str) or callable(shared):
                raise _Wrong(f"{value.path!r} is {short_repr(shared)}; write it out")
        elif isinstance(value, dict):
            work.extend(value.items())
        elif isinstance(value, list | tuple | set):
            work.extend((None, element) for element in value)
    for chain in [place.chain for place in writer.places()] if writer.matches else [writer.passed()]:
        for holder in chain:
            if type(holder) is Node and raw_get(holder, "_target_") is getattr:
                raise _Wrong(f"{override.path!r} is part of an attribute of what another node builds")


def _callable_for(old: Any, written: Any, value: Any) -> Any:
    """The new target when a callable is given to a key that holds a call."""
    if is_call(old) and isinstance(written, ImportRef):
        return value
    return None


def _refuse_other_kind(place: _Place, old: Any, value: Any) -> None:
    """Text for a number or a truth value of a plain dict is mostly a slip: ``train.amp.enabled=ture``."""
    if type(place.holder) is not Node or is_call(place.holder):
        return
    if (
        type(old) in (bool, int, float)
        and type(value) is str
        and "${" not in value
        and not is_required(value)
    ):
        kind = type(old).__name__
        hint = closest_name(value, ("true", "false", "null")) if type(old) is bool else None
        meant = f"; did you mean {hint!r}?" if hint else ""
        raise _Wrong(
            f"{format_path(place.keys)!r} is the {kind} {old!r}, and {value!r} is text{meant} "
            f"(++{format_path(place.keys)}=... sets it all the same)"
        )
