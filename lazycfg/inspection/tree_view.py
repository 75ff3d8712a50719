"""A config as a tree of lines, with its depth, targets and sharing: what `lazycfg show` prints.

model: GeneralizedRCNN
  backbone: FPN &1
    bottom_up: ResNet
ema: &1 model.backbone (shared)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from lazycfg.config.signatures.callables import signature_of
from lazycfg.config.tree.containers import children, has_fields
from lazycfg.config.tree.node import Node, is_call, raw_get
from lazycfg.config.tree.paths import format_path
from lazycfg.config.tree.repr import printable, short_repr
from lazycfg.config.tree.targets import is_deferred, target_name
from lazycfg.config.tree.traversal import plan, same_leaf

_SPECIAL = ("_target_", "_partial_")
_COLOURS = {"key": "36", "target": "1;32", "mark": "33", "value": "", "dim": "2"}
_WIDTH = 110


class Row:
    """One line of the view: a key with a value, or with a container whose rows follow."""

    __slots__ = ("depth", "key", "kind", "mark", "path", "repeated", "text", "value")

    def __init__(self, depth: int, key: Any, path: tuple[Any, ...], value: Any, text: str, kind: str):
        self.depth = depth
        self.key = key
        self.path = path
        self.value = value
        self.text = text
        self.kind = kind
        self.mark = 0  # the number of a value that is at several places, else 0
        self.repeated: str | None = None  # the path where it is first


def rows(cfg: Any, max_depth: int | None = None) -> Iterator[Row]:
    """Yield the rows of a tree, parents before children; a shared container is opened once."""
    counts: dict[int, int] = {}
    for container, _, _ in plan(cfg):  # refuses a config that contains itself
        for _, child in children(container) or ():
            if children(child) is not None:
                counts[id(child)] = counts.get(id(child), 0) + 1
    marks: dict[int, int] = {}
    first: dict[int, tuple[Any, ...]] = {}
    stack: list[tuple[int, Any, tuple[Any, ...], Any]] = [(0, None, (), cfg)]
    while stack:
        depth, key, path, value = stack.pop()
        inner = _inner(value)
        flat = inner is None or not _has_parts(inner) or (has_fields(value) and not _holds_node(value))
        row = Row(
            depth, key, path, value, _flat(value) if flat else _title(value), "value" if flat else "parts"
        )
        if counts.get(id(value), 0) > 1 and (not flat or is_call(value)):
            row.mark = marks.setdefault(id(value), len(marks) + 1)
            if id(value) in first:
                row.repeated = format_path(first[id(value)])
            first.setdefault(id(value), path)
        shown = path or flat or is_call(value)  # the top of a whole config has nothing to say
        if shown:
            yield row
        below = not flat and row.repeated is None and (max_depth is None or depth < max_depth)
        if below and inner is not None:
            step = depth + 1 if shown else depth
            stack += [(step, k, (*path, k), child) for k, child in reversed(inner)]


def tree_text(cfg: Any, *, max_depth: int | None = None, colour: bool = False) -> str:
    """Return the tree as text; ``colour`` adds ANSI colours."""
    lines = []
    for row in rows(cfg, max_depth):
        indent = "  " * row.depth
        key = (
            ""
            if row.key is None
            else _paint(f"{row.key if isinstance(row.key, str) else f'[{row.key}]'}: ", "key", colour)
        )
        if row.repeated is not None:
            lines.append(f"{indent}{key}{_paint(f'*{row.mark} {row.repeated}', 'mark', colour)}")
            continue
        kind = "target" if is_call(row.value) else "value"
        text = row.text
        room = max(20, _WIDTH - len(indent) - len(str(row.key)))
        text = text if len(text) <= room else f"{text[: room - 3]}..."
        mark = _paint(f" &{row.mark}", "mark", colour) if row.mark else ""
        lines.append(f"{indent}{key}{_paint(text, kind, colour)}{mark}".rstrip())
    return "\n".join(lines)


def _inner(value: Any) -> list[tuple[Any, Any]] | None:
    items = children(value)
    if items is None:
        return None
    if type(value) is not Node:
        return list(items)
    found = [(key, child) for key, child in items if key not in _SPECIAL]
    target = raw_get(value, "_target_")
    return [("_target_", target), *found] if type(target) is Node else found


def _has_parts(inner: list[tuple[Any, Any]]) -> bool:
    """Return whether a container takes lines of its own: it holds a node, or a container of containers."""
    for _, child in inner:
        items = children(child)
        if items is not None and (isinstance(child, dict) or any(children(c) is not None for _, c in items)):
            return True
    return any(isinstance(key, str) for key, _ in inner) and bool(inner)


def _holds_node(value: Any) -> bool:
    return any(type(container) is Node for container, _, _ in plan(value))


def _title(value: Any) -> str:
    if is_call(value):
        name = target_name(raw_get(value, "_target_"))
        name = name if len(name) < 60 else f"{name[:57]}..."
        return f"{name} (partial)" if raw_get(value, "_partial_") else name
    if isinstance(value, dict):
        return ""
    if has_fields(value) or isinstance(value, tuple):
        return "" if type(value) is tuple else type(value).__name__
    return ""


def _flat(value: Any) -> str:
    if is_call(value):
        return f"{_title(value)}()"
    if type(value) in (list, tuple) and not _holds_node(value):
        texts = [_flat(element) for element in value]
        close = ("[", "]") if type(value) is list else ("(", ",)" if len(texts) == 1 else ")")
        return f"{close[0]}{', '.join(texts)}{close[1]}"
    call = _call_of(value)
    if call is None:
        return short_repr(value)
    name, args, keywords = call
    shown = [*map(_flat, args), *(f"{key}={_flat(given)}" for key, given in keywords.items())]
    return f"{name}({', '.join(shown)})"


def _call_of(value: Any) -> tuple[str, Sequence[Any], dict[str, Any]] | None:
    """Return the name and the arguments of the call that makes an object, as short as it can be written: the
    same for an object of a dataclass and for the call of it in a config that is only read.
    """
    if type(value) is partial:
        return "partial", [value.func, *value.args], value.keywords
    read = getattr(type(value), "__lazycfg_call__", None)
    if read is not None:
        if read(value) is None:
            return None
        target, args, keywords = read(value)
        signature = type(target).__lazycfg_signature__(target) if is_deferred(target) else None
        name = target_name(target).rpartition(".")[2]
    elif has_fields(value):
        name, args, keywords = type(value).__name__, (), dict(children(value) or ())
        signature = signature_of(type(value))
    else:
        return None
    if signature is not None and len(args) <= len(signature.positional):
        keywords = {**dict(zip(signature.positional, args, strict=False)), **keywords}
        args = ()
        parameters = signature.parameters
        defaults = {key: parameters[key].default for key in parameters if key in keywords}
        keywords = {
            k: keywords[k] for k, default in defaults.items() if not same_leaf(keywords[k], default)
        } | {k: v for k, v in keywords.items() if k not in defaults}
    return name, args, keywords


def _paint(text: str, kind: str, colour: bool) -> str:
    code, text = _COLOURS[kind], printable(text)
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code and text else text
