"""What a parameter of a call means: its type, its default, and its part of the docstring."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

from lazycfg.config.signatures.binding import node_signature
from lazycfg.config.signatures.callables import Signature
from lazycfg.config.suggest import closest
from lazycfg.config.tree.node import Node, raw_contains, raw_get
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.targets import resolve_target, target_name

_ENTRY = re.compile(
    r"^(?P<indent>\s*)\*{0,2}(?P<names>\w+(?:\s*,\s*\w+)*)\s*(?:\((?P<type>[^)]*)\))?\s*:\s*(?P<text>.*)$"
)
_REST = re.compile(r"^\s*:param\s+(?:[\w\[\], ]+\s)?(\w+):\s*(.*)$")


def parameter_doc(node: Node, name: str) -> str:
    """Return the documentation of one argument of a call, with its value in the config."""
    signature = node_signature(node)
    owner = target_name(raw_get(node, "_target_"), full=True)
    if signature is None:
        return f"{owner} has no signature"
    parameter = signature.parameters.get(name)
    if parameter is None:
        return f"{owner} has no parameter {name!r}{closest(name, signature.candidates())}"
    lines = [
        f"{name}: {_type_text(parameter.annotation)}" if parameter.annotation is not parameter.empty else name
    ]
    lines.append(f"  of       {owner}")
    required = parameter.default is parameter.empty
    lines.append(f"  default  {'none, it is required' if required else short_repr(parameter.default)}")
    if raw_contains(node, name):
        lines.append(f"  value    {short_repr(raw_get(node, name))}")
    text = _documented(node, signature).get(name)
    if text:
        lines += ["", textwrap.indent(textwrap.fill(text, 90), "  ")]
    return "\n".join(lines)


def target_doc(node: Node) -> str:
    """Return signature and docstring of what a node calls."""
    signature = node_signature(node)
    head = signature.text if signature is not None else target_name(raw_get(node, "_target_"))
    definition = getattr(signature, "definition", None)
    if definition is not None:
        import ast

        body = ast.get_docstring(definition.node) or ""
    else:
        body = inspect.getdoc(resolve_target(raw_get(node, "_target_"))) or ""
    return f"{head}\n\n{textwrap.indent(body, '  ')}" if body else head


def _documented(node: Node, signature: Signature) -> dict[str, str]:
    """Return the texts of the parameters of a node, from the source where the target is not imported."""
    definition = getattr(signature, "definition", None)
    if definition is None:
        return documented_parameters(resolve_target(raw_get(node, "_target_")))
    return {name: entry for text in reversed(definition.docs) for name, entry in _entries(text)}


def documented_parameters(target: Any) -> dict[str, str]:
    """Return the texts of a docstring's parameters by name, in Google's style or in that of Sphinx.

    For a class the docstrings of ``__init__`` and of the class itself, and of its bases, are read in this
    order.
    """
    found: dict[str, str] = {}
    for text in _docstrings(target):
        for name, entry in _entries(text):
            found.setdefault(name, entry)
    return found


def _docstrings(target: Any) -> list[str]:
    if isinstance(target, type):
        texts = []
        for cls in target.__mro__[:-1]:
            texts += [vars(cls).get("__init__").__doc__ if "__init__" in vars(cls) else None, cls.__doc__]
        return [inspect.cleandoc(text) for text in texts if text]
    return [inspect.cleandoc(target.__doc__)] if getattr(target, "__doc__", None) else []


def _entries(text: str) -> list[tuple[str, str]]:
    entries: list[tuple[list[str], int, list[str]]] = []
    for line in text.splitlines():
        rest = _REST.match(line)
        match = _ENTRY.match(line)
        indent = len(line) - len(line.lstrip())
        if rest:
            entries.append(([rest[1]], indent, [rest[2]]))
        elif entries and line.strip() and indent > entries[-1][1]:
            entries[-1][2].append(line.strip())
        elif match and indent:
            names = [name.strip() for name in match["names"].split(",")]
            entries.append((names, indent, [match["text"]]))
        elif line.strip() and not indent and entries:
            entries.append(([], 0, []))
    return [(name, " ".join(words).strip()) for names, _, words in entries for name in names]


def _type_text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
