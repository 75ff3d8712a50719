"""A config as a piece of HTML to open and close: what a notebook shows of a `Node`.

No script and nothing from outside: `details`, a style sheet of its own, colours for light and dark pages.
Every text goes through `html.escape`.
"""

from __future__ import annotations

import os
from html import escape
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.signatures.binding import known_signature
from lazycfg.config.signatures.callables import Signature
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.interpolation import limited_resolvers
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node, is_call, raw_get
from lazycfg.config.tree.position import Position, Write, position_of, writes_of
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.required import is_required
from lazycfg.config.tree.targets import is_deferred, target_name
from lazycfg.inspection.html_style import STYLE
from lazycfg.inspection.tree_view import Row, rows

_MOST_ROWS = 4000
_MOST_DOCUMENTED = 400
_OPEN_ROWS = 45
_LONGEST = 300


def html_tree(
    cfg: Any, *, prefix: str | None = None, docs: bool = True, open_depth: int | None = None
) -> str:
    """Return the tree of a config as HTML.

    Args:
        cfg: a node, or a container of nodes.
        prefix: what the ids in the page begin with; by default one that no other output has.
        docs: put in the types, defaults and texts of the arguments. Targets that stand for imports that have
            not happened are left alone.
        open_depth: how many levels are open; by default as many as fit on a screen.
    """
    if prefix is None:
        from uuid import uuid4

        prefix = f"lz{uuid4().hex[:8]}"
    return _View(cfg, prefix, docs, open_depth).text()


class _View:
    def __init__(self, cfg: Any, prefix: str, docs: bool, open_depth: int | None) -> None:
        self.cfg = cfg
        self.prefix = prefix
        self.rows = list(rows(cfg))
        self.cut = max(0, len(self.rows) - _MOST_ROWS)
        del self.rows[_MOST_ROWS:]
        self.docs = docs and sum(is_call(row.value) for row in self.rows) <= _MOST_DOCUMENTED
        self.open_depth = self._open_depth() if open_depth is None else open_depth
        self._texts: dict[Any, dict[str, str]] = {}

    def _open_depth(self) -> int:
        """Return the most levels of which the rows fit on a screen."""
        counts: dict[int, int] = {}
        for row in self.rows:
            counts[row.depth] = counts.get(row.depth, 0) + 1
        shown = depth = 0
        for depth in sorted(counts):
            shown += counts[depth]
            if shown > _OPEN_ROWS:
                return max(depth, 1)
        return depth + 1

    def text(self) -> str:
        """Return the page."""
        parts = [f'<div class="lazycfg"><style>{STYLE}</style>']
        titled = bool(self.rows) and not self.rows[0].path  # the first row is the config itself
        if not titled:
            parts.append(f'<div class="lz-head">{self._head()}</div>')
        open_rows: list[Row] = []
        for row in self.rows:
            while open_rows and open_rows[-1].depth >= row.depth:
                parts.append(self._end(open_rows.pop()))
            parts.append(self._row(row))
            if _opens(row):
                open_rows.append(row)
        parts += [self._end(row) for row in reversed(open_rows)]
        if self.cut:
            parts.append(f'<div class="lz-dim">... and {self.cut:,} more rows: show a part of it</div>')
        if is_call(self.cfg) and not titled:
            parts.append(self._parameters(self.cfg))
        parts.append("</div>")
        return "\n".join(part for part in parts if part)

    def _head(self) -> str:
        calls = sum(is_call(row.value) and row.repeated is None for row in self.rows)
        if not is_call(self.cfg):
            return _dim(f"config, {calls} calls")
        return self._target(self.cfg) + self._origin(self.cfg)

    def _row(self, row: Row) -> str:
        label = self._key(row)
        if row.repeated is not None:
            link = f'<a class="lz-mark" href="#{self.prefix}-{row.mark}">*{row.mark}</a>'
            return f'<div class="lz-row">{label} {link} {_dim(row.repeated)}</div>'
        mark = ""
        if row.mark:
            mark = f' <span class="lz-mark" title="it is at several places">&amp;{row.mark}</span>'
        anchor = f' id="{self.prefix}-{row.mark}"' if row.mark else ""
        who = self._who(row)
        if not _opens(row):
            return f'<div class="lz-row"{anchor}>{label} {self._value(row)}{mark}{who}</div>'
        opened = " open" if row.depth < self.open_depth - 1 else ""
        title = (
            self._target(row.value)
            if is_call(row.value)
            else f'<span class="lz-dim">{escape(row.text)}</span>'
        )
        origin = who or self._origin(row.value)
        return f"<details{opened}{anchor}><summary>{label} {title}{mark}{origin}</summary>"

    def _end(self, row: Row) -> str:
        return f"{self._parameters(row.value) if is_call(row.value) else ''}</details>"

    def _key(self, row: Row) -> str:
        if row.key is None:
            return ""
        key = row.key if isinstance(row.key, str) else f"[{row.key}]"
        hint = self._hint(row)
        return f'<span class="lz-key"{_title(hint)}>{escape(str(key))}</span>:'

    def _hint(self, row: Row) -> str:
        """Return what the argument means: its type, default and text."""
        holder = self._holder(row)
        signature = self._signature(holder) if is_call(holder) else None
        if signature is None or row.key not in signature.names:
            return ""
        name = str(row.key)
        lines = [
            f"{name}{_type(signature, name)}, of {target_name(signature.target)}",
            _default(signature, name),
        ]
        text = self._documented(signature).get(name)
        return "\n".join([*lines, *([text] if text else [])])

    def _holder(self, row: Row) -> Any:
        value = self.cfg
        for key in row.path[:-1]:
            value = find_key(value, key)
        return value

    def _value(self, row: Row) -> str:
        value = row.value
        if is_required(value):
            return '<span class="lz-required">REQUIRED</span>'
        if is_call(value):
            return self._target(value) + self._origin(value)
        text = row.text
        title = "" if len(text) <= _LONGEST else _title(text[:4000])
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        return f'<span class="lz-value"{title}>{escape(shown)}</span>{self._resolved(row)}'

    def _resolved(self, row: Row) -> str:
        """Return what a `${path}` stands for, when that is short; resolvers are not run for it."""
        if type(row.value) is not str or "${" not in row.value or ":" in row.value:
            return ""
        try:
            with limited_resolvers():
                value = get_path(self.cfg, row.path)
        except (ConfigError, RecursionError):
            return ""
        text = f"{target_name(raw_get(value, '_target_'))}(...)" if is_call(value) else short_repr(value)
        return f" {_dim('= ' + (text if len(text) < 80 else text[:77] + '...'))}"

    def _target(self, node: Any) -> str:
        target = raw_get(node, "_target_")
        name = target_name(target)
        partial = ' <span class="lz-dim">partial</span>' if raw_get(node, "_partial_") else ""
        title = target_name(target, full=True)
        signature = self._signature(node)
        if signature is not None and (doc := getattr(signature.target, "__doc__", None)):
            title += "\n" + str(doc).strip().partition("\n\n")[0]
        return f'<span class="lz-target"{_title(title)}>{escape(name)}</span>{partial}'

    def _origin(self, node: Any) -> str:
        place = position_of(node)
        if place is None:
            return ""
        return f'<span class="lz-origin"{_title(str(place))}>{escape(origin_text(place))}</span>'

    def _who(self, row: Row) -> str:
        """Return who set a value after it was first written."""
        write = written_by(self._holder(row), row.key) if row.path else None
        if write is None:
            return ""
        place = write.origin
        text = origin_text(place)
        return f'<span class="lz-set"{_title(f"set at {place}")}>set: {escape(text)}</span>'

    # ---------------------------------------------------------------- signatures

    def _signature(self, node: Any) -> Signature | None:
        target = raw_get(node, "_target_")
        if not self.docs or is_deferred(target) or type(target) is str:
            return None
        return known_signature(node)

    def _documented(self, signature: Signature) -> dict[str, str]:
        target = signature.target
        try:
            known = self._texts.get(target)
        except TypeError:  # not hashable
            return {}
        if known is None:
            from lazycfg.inspection.docstrings import documented_parameters

            known = self._texts[target] = documented_parameters(target)
        return known

    def _parameters(self, node: Any) -> str:
        """Return all that the target takes, closed."""
        signature = self._signature(node)
        if signature is None or not signature.names:
            return ""
        texts = self._documented(signature)
        lines = []
        for name in signature.candidates():
            given = ' class="lz-given"' if dict.__contains__(node, name) else ""
            lines.append(
                f"<tr{given}><td>{escape(name)}</td><td>{escape(_type(signature, name)[2:])}</td>"
                f"<td>{escape(_default(signature, name))}</td><td>{escape(texts.get(name, ''))}</td></tr>"
            )
        left = len([name for name in signature.names if not dict.__contains__(node, name)])
        more = f", {left} not given" if left else ""
        name = escape(target_name(signature.target))
        return (
            f'<details class="lz-takes"><summary>{name} takes {len(signature.names)} arguments{more}'
            f"</summary><table>{''.join(lines)}</table></details>"
        )


def _opens(row: Row) -> bool:
    return row.kind == "parts" and row.repeated is None


def _dim(text: str) -> str:
    return f'<span class="lz-dim">{escape(text)}</span>'


def _title(text: str) -> str:
    return f' title="{escape(text)}"' if text else ""


def _type(signature: Signature, name: str) -> str:
    from lazycfg.inspection.docstrings import _type_text

    annotation = signature.parameters[name].annotation
    return "" if annotation is signature.parameters[name].empty else f": {_type_text(annotation)}"


def _default(signature: Signature, name: str) -> str:
    if name in signature.required:
        return "required"
    text = short_repr(signature.parameters[name].default)
    return f"default {text if len(text) < 100 else text[:97] + '...'}"


def origin_text(place: Any) -> str:
    """Return a place, its file without folders."""
    if place.file is None:
        return str(place)
    return ":".join(str(part) for part in (os.path.basename(place.file), place.line) if part is not None)


def written_by(holder: Any, key: Any) -> Write | None:
    """Return the last write to `key` of a node, or below it, that changed what its call said; None when there
    was none.
    """
    if type(holder) is not Node:
        return None
    made = position_of(holder)
    found = [write for write in writes_of(holder, str(key)) if write.value is not Write.DELETED]
    return next((w for w in reversed(found) if not (isinstance(made, Position) and w.origin == made)), None)
