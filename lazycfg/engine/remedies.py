"""Remedies as they are typed: overrides on a command line, statements in Python."""

import re
from typing import Any

from lazycfg.config.editing.grammar import GrammarError, ShareRef, parse_override
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.paths import MISSING, format_path, parse_path

__all__ = ["at_source", "in_python"]

_KEY = r"(?:\+\+|\+)?[A-Za-z_]\w*(?:\.\w+)+"
_OVERRIDE = re.compile(
    rf"'(?P<quoted>{_KEY}=[^']*)'"  # as a shell wants it
    rf"|(?<![\w'./])(?P<plain>{_KEY}=(?:[^\s,;()]|,(?=\S))*)"
    rf"|(?<![\w'./])(?P<deleted>~{_KEY})"
)
_REFERENCE = re.compile(r"\$\{(\.*)([^${}:]+)\}")
_MOST_STEPS = 20
_NEIGHBOURS = re.compile(r"(?<=\0) (?=\0)")


def in_python(remedy: str) -> str:
    """Return a remedy with each override in it as a statement on a config that is called ``cfg``.

    ``train.max_iter=10 or ~train.hooks.0`` becomes ``cfg.train.max_iter = 10 or del cfg.train.hooks[0]``.
    Text that is no override stays as it is.
    """
    marked = _OVERRIDE.sub(lambda found: f"\0{_statement(found)}\0", remedy)
    return _NEIGHBOURS.sub("; ", marked).replace("\0", "")


def at_source(cfg: Any, remedy: str) -> str:
    """Return a remedy whose overrides name the keys that the values of a config come from.

    With ``on_error="${data.on_error}"`` in the config, ``dataloader.test.dataset.on_error=skip`` becomes
    ``data.on_error=skip``, which is what all that reads it obeys.
    """

    def moved(found: re.Match[str]) -> str:
        text = found["quoted"] or found["plain"]
        if text is None:
            return found[0]
        path, equals, value = text.partition("=")
        source = _source(cfg, path.lstrip("+"))
        return found[0] if source is None else found[0].replace(text, f"{source}{equals}{value}")

    return _OVERRIDE.sub(moved, remedy)


def _source(cfg: Any, path: str) -> str | None:
    """Return the path that an interpolation at or above a path leads to; None where there is none."""
    try:
        keys = parse_path(path)
    except ValueError:
        return None
    for step in range(_MOST_STEPS):
        value = cfg
        for depth, key in enumerate(keys):
            value = find_key(value, key)
            if value is MISSING:
                return format_path(keys) if step else None
            reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if reference is not None:
                dots, target = len(reference[1]), parse_path(reference[2])
                above = keys[: max(0, depth + 1 - dots)] if dots else ()
                keys = (*above, *target, *keys[depth + 1 :])
                break
        else:
            return format_path(keys) if step else None
    return None  # they go in a circle, which is told elsewhere


def _statement(found: re.Match[str]) -> str:
    text = found["quoted"] or found["plain"] or found["deleted"]
    try:
        override = parse_override(text)
        target = "cfg" + "".join(map(_step, parse_path(override.path)))
    except (GrammarError, ValueError):
        return found[0]
    if override.op == "delete":
        return f"del {target}"
    return f"{target} = {_value(override.value, override.raw)}"


def _step(key: Any) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def _value(value: Any, raw: str) -> str:
    if isinstance(value, ShareRef):
        return f"cfg.{raw.removeprefix('&')}"
    if raw.endswith("...") or "..." in raw:  # to be filled in
        return raw
    return repr(value) if not isinstance(value, str) else f'"{value}"'
