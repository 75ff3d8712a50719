"""Names of a config that a run would pass over: misspelt parts, parts that are not there."""

import difflib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lazycfg.config.tree.containers import children
from lazycfg.config.tree.node import Node, is_call
from lazycfg.config.tree.paths import format_path

from ..problems import Problem

__all__ = ["name_problems", "name_remarks", "repeated_calls"]

JOB = ("model", "dataloader", "optimizer", "lr_multiplier", "train")
LOADERS = ("train", "test", "evaluator")
_NEAR = 0.7
_VERY_NEAR = 0.8  # where the right name is there as well


def name_problems(cfg: Node) -> list[Problem]:
    """Return the names that are not read, are used by nothing in the config, and are nearly one that is read.

    Names of one's own are welcome: values that others refer to, and whatever is spelt unlike the parts of a
    run.
    """
    problems = []
    used = _used(cfg)
    for path, holder, known in _places(cfg):
        for key in holder:
            meant = _meant(str(key), known, holder)
            if key in known or meant is None or (path, key) in used:
                continue
            full, right = (f"{path}.{key}", f"{path}.{meant}") if path else (str(key), meant)
            problems.append(
                Problem(
                    full,
                    f"nothing reads it; did you mean {meant!r}? (A run reads {', '.join(known)}; a value of "
                    "your own needs a name less alike.)",
                    f"write {right} where {full} is written, or leave it out: ~{full}",
                )
            )
    return problems


def name_remarks(cfg: Node) -> list[str]:
    """Return remarks on names at the top of a config that nothing in it refers to."""
    used = _used(cfg)
    idle = [
        f"{path}.{key}" if path else str(key)
        for path, holder, known in _places(cfg)
        for key in holder
        if key not in known and (path, key) not in used and _meant(str(key), known, holder) is None
    ]
    return [f"not used by the run: {', '.join(idle)}"] if idle else []


def repeated_calls(cfg: Node) -> list[str]:
    """Return remarks on lists that hold the same call more than once: one object is built for all of them."""
    remarks = []
    work: list[tuple[tuple[Any, ...], Any]] = [((), cfg)]
    seen: set[int] = set()
    while work:
        path, value = work.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        items = list(children(value) or ())
        if isinstance(value, list | tuple):
            counts = Counter(id(child) for _, child in items if is_call(child))
            for count in counts.values():
                if count > 1:
                    remarks.append(
                        f"{format_path(path)} holds the same call {count} times, and one object is built for "
                        "all of them; for an object each: [node.copy() for _ in range(n)]"
                    )
        work += [((*path, key), child) for key, child in items if children(child) is not None]
    return remarks


def _places(cfg: Node) -> Iterator[tuple[str, dict[Any, Any], tuple[str, ...]]]:
    yield "", cfg, JOB
    loaders = dict.get(cfg, "dataloader")
    if isinstance(loaders, dict) and "_target_" not in loaders:
        yield "dataloader", loaders, LOADERS


def _meant(name: str, known: tuple[str, ...], holder: dict[Any, Any]) -> str | None:
    """Return the known name that is nearly this one, None if there is none."""
    for right in known:
        there = dict.get(holder, right) is not None  # as stored: an interpolation is left alone
        # model_ema, train2: names with something added on purpose
        rest = name.removeprefix(right)
        if rest != name and (rest.startswith("_") or rest.isdigit() or there):
            continue
        if difflib.SequenceMatcher(None, name.lower(), right).ratio() >= (_VERY_NEAR if there else _NEAR):
            return right
    return None


def _used(cfg: Node) -> set[tuple[str, Any]]:
    """Return (path, key) of what something else in the config refers to, by ``${...}`` or by sharing it."""
    texts: list[str] = []
    holders: dict[int, int] = {}
    work: list[Any] = [cfg]
    seen: set[int] = set()
    while work:
        value = work.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        for _, child in children(value) or ():
            if isinstance(child, str):
                if "${" in child:
                    texts.append(child)
            elif children(child) is not None:
                holders[id(child)] = holders.get(id(child), 0) + 1
                work.append(child)
    found = set()
    for path, holder, known in _places(cfg):
        for key, value in dict.items(holder):
            if key in known:
                continue
            full = f"{path}.{key}" if path else str(key)
            shared = isinstance(value, Node | list | dict) and holders.get(id(value), 0) > 1
            if shared or any(full in text or f".{key}" in text for text in texts):
                found.add((path, key))
    return found
