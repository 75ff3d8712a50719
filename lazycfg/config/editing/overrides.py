"""Applying the overrides of a command line: all or nothing, with all mistakes reported together.

Overrides are applied in order, in place, with a journal; when one is wrong the others are still tried, so
that every mistake is found, and then the journal is undone. See `grammar` for the spelling.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from lazycfg.config.editing.grammar import (
    CallRef,
    FileRef,
    GrammarError,
    ImportRef,
    Override,
    ShareRef,
    find_equals,
    parse_override,
)
from lazycfg.config.editing.journal import Journal
from lazycfg.config.editing.matching import has_wildcard
from lazycfg.config.editing.writer import Writer, Wrong
from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.files import format_of, read_data_file
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.node import SPECIAL, Node, raw_get, refuse_frozen
from lazycfg.config.tree.paths import format_path, parse_path
from lazycfg.config.tree.position import CommandLine
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.targets import resolve_name, resolve_target
from lazycfg.config.trust import Policy


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
        if count == 1:
            head = "the override is wrong:"
        super().__init__("\n  ".join([head, *map(str, self.problems)]))


def apply_overrides(
    cfg: Node,
    overrides: Sequence[str],
    *,
    resolve_import: Callable[[str], Any] | None = None,
    load_file: Callable[[str], Any] | None = None,
    policy: Policy | None = None,
) -> Node:
    """Change ``cfg`` in place by ``key=value`` texts and return it.

    Args:
        cfg: the config.
        overrides: texts such as ``"model.backbone.depth=101"``.
        resolve_import: turns the name of ``@pkg.mod.fn`` into the object; by default by importing it.
        load_file: loads the config file of ``file:nets/big.py#net``; without it such a value is an error.
        policy: what the command line may name; by default anything, as it is typed by the one who runs the
            code. With a policy a ``.py`` file, which is code, is refused.

    Raises:
        OverrideError: at least one override is wrong. It names all that are; ``cfg`` is as before.
    """
    if isinstance(overrides, str):
        raise TypeError(f"overrides is a list of texts, not one text: [{overrides!r}]")
    if type(cfg) is Node:
        refuse_frozen(cfg)
    if policy is not None:
        resolve_import = policy.resolve_called
        if not policy.everything:
            load_file = functools.partial(_load_data_file, policy=policy)
    tools = resolve_import or _imported, load_file or _cannot_load
    journal = Journal()
    problems = []
    counted: list[tuple[str, int]] = []
    earlier: list[tuple[int, Override, tuple[Any, ...]]] = []
    for index, text in enumerate(overrides, start=1):
        try:
            override = parse_override(text)
            writer = Writer(cfg, override, CommandLine(text, index), journal, *tools)
            if policy is not None:
                _refuse_untrusted(override, policy)
                _refuse_ways_around(writer, override, policy)
            places = writer.apply()
            if writer.matches:
                counted.append((text, len(places)))
                for place in places:
                    problems += _without_effect(earlier, override, place.keys)
            else:
                problems += _without_effect(earlier, override, writer.keys)
                earlier.append((index, override, writer.keys))
        except (GrammarError, ConfigError, ImportError) as error:
            problems.append(OverrideProblem(index, text, f"{error}{_meant_pair(overrides[index - 1 :])}"))
        except BaseException:  # of somebody's setter, or from the keyboard: still all or nothing
            journal.undo()
            raise
    if problems:
        journal.undo()
        raise OverrideError(sorted(problems), len(overrides))
    for text, count in counted:
        logging.getLogger(__name__).info("override %r: %d place%s", text, count, "" if count == 1 else "s")
    return cfg


def _meant_pair(words: Sequence[str]) -> str:
    """Return the end of the message about the first word where it begins ``key value`` or ``key = value``."""
    pair = [word for word in words[:3] if word != "="][:2]
    if len(pair) < 2 or any(find_equals(word) >= 0 for word in pair):
        return ""
    key, value = pair
    return f"; write {key}={value} without blanks" if key.replace(".", "_").isidentifier() else ""


def _imported(name: str) -> Any:
    """Return what ``@name`` stands for: a callable, or an object such as `torch.float16`."""
    try:
        return resolve_target(name)
    except ConfigError:
        try:
            found = resolve_name(name)
        except ImportError:
            found = None
        if found is None or callable(found) or isinstance(found, ModuleType):
            raise
        return found


def _load_data_file(file: str, policy: Policy) -> Any:
    """Load what an override that is not trusted names; a .py file, which is code, is not run for it."""
    if format_of(file) == "py":
        raise Wrong("a .py file is code, which is not run for an override that is not trusted")
    return read_data_file(file, policy=policy)


def _cannot_load(file: str) -> Any:
    raise Wrong("no files are loaded here")


def _without_effect(
    earlier: Sequence[tuple[int, Override, tuple[Any, ...]]], later: Override, keys: tuple[Any, ...]
) -> list[OverrideProblem]:
    """Return the overrides that a later one undoes by setting the same place or one above it."""
    if later.op not in ("set", "delete") or has_wildcard(keys):
        return []
    if isinstance(later.value, ImportRef):  # another target, with the arguments that were given before
        calls = (CallRef, FileRef, ShareRef, dict)
        earlier = [each for each in earlier if each[2] == keys and not isinstance(each[1].value, calls)]
    return [
        OverrideProblem(index, override.text, f"{later.text!r} sets it again; leave one of them out")
        for index, override, place in earlier
        if place[: len(keys)] == keys and override.op != "delete" and override.text != later.text
    ]


def matched_paths(cfg: Node, text: str) -> list[str]:
    """Return the config paths that an override with wildcards would write to.

    Raises:
        GrammarError: the text is no override.
        ConfigError: it matches nothing.
    """
    override = parse_override(text)
    writer = Writer(cfg, override, CommandLine(text), Journal(), resolve_target, _cannot_load)
    return [format_path(place.keys) for place in writer.places()]


def _values_in(override: Override) -> Iterator[tuple[Any, Any]]:
    """Yield the value of an override and all that is in it, each with its key (None: it is an element)."""
    keys = parse_path(override.path)
    work: list[tuple[Any, Any]] = [(keys[-1] if keys else "", override.value)]
    while work:
        key, value = work.pop()
        yield key, value
        if isinstance(value, CallRef):
            work.append((None, value.arguments))
        elif isinstance(value, dict):
            work.extend(value.items())
        elif isinstance(value, list | tuple | set):
            work.extend((None, element) for element in value)


def _refuse_untrusted(override: Override, policy: Policy) -> None:
    """Refuse names in text that would be resolved later: targets and interpolation resolvers."""
    for key, value in _values_in(override):
        if isinstance(value, str):
            reason = policy.why_text_refused(value, is_target=key == "_target_" or "*" in str(key))
            if reason is not None:
                raise Wrong(reason)
        elif key == "_target_" and not isinstance(value, ImportRef):
            raise Wrong("a target is a name, package.module.Class")
        elif isinstance(value, dict):
            odd = [name for name in value if str(name).startswith("__")]
            if odd:
                raise Wrong(f"the argument {odd[0]!r}")


def _refuse_ways_around(writer: Writer, override: Override, policy: Policy) -> None:
    """Refuse what is no name itself but makes one of something else: a target that is the value of another
    place, a value of another place that is not allowed, another attribute of what a node builds.
    """
    if policy.everything:
        return
    for key, value in _values_in(override):
        if isinstance(value, ShareRef):
            if key in SPECIAL or "*" in str(key):
                raise Wrong(f"{key!r} cannot be the value of another place, {value.path!r}")
            shared = get_path(writer.root, parse_path(value.path), resolve=False)
            if isinstance(shared, str) or callable(shared):
                raise Wrong(f"{value.path!r} is {short_repr(shared)}; write it out")
    for chain in [place.chain for place in writer.places()] if writer.matches else [writer.passed()]:
        for holder in chain:
            if type(holder) is Node and raw_get(holder, "_target_") is getattr:
                raise Wrong(f"{override.path!r} is part of an attribute of what another node builds")
