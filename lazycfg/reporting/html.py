"""Pieces of HTML. Every text from outside goes through `text`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["card", "definitions", "duration", "number", "section", "table", "text"]


def text(value: Any) -> str:
    """Return a text for HTML: nothing in it is obeyed, and control characters are shown."""
    shown = "".join(c if c >= " " or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return escape(shown)


def number(value: Any, *, percent: bool = False) -> str:
    """Return a number for reading, ``-`` where there is none; of a percentage always two digits."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text(value)
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if percent:
        return f"{value:.2f}"
    if size and (size < 1e-3 or size >= 1e7):
        return f"{value:.3g}"
    return f"{value:.2f}" if size >= 1 or not size else f"{value:.4g}"


def duration(seconds: Any) -> str | None:
    """Return seconds as hours:minutes:seconds; None of what is no number."""
    if not isinstance(seconds, int | float):
        return None
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def section(key: str, title: str, *parts: str) -> str:
    """Return a section with a heading; "" if nothing is in it."""
    content = "\n".join(part for part in parts if part)
    return f'<section id="{text(key)}"><h2>{text(title)}</h2>\n{content}\n</section>' if content else ""


def card(title: str, *parts: str, wide: bool = False) -> str:
    """Return a box with a heading; "" if nothing is in it."""
    content = "\n".join(part for part in parts if part)
    kind = "card wide" if wide else "card"
    heading = f"<h3>{text(title)}</h3>" if title else ""
    return f'<div class="{kind}">{heading}{content}</div>' if content else ""


def table(rows: Sequence[Mapping[str, Any]], *, sortable: bool = True, order: str = "") -> str:
    """Return a table of dicts with the same keys; a click on a heading sorts it.

    Args:
        rows: one or more.
        sortable: whether it is.
        order: a class that its looks depend on.
    """
    if not rows:
        return ""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    numeric = {head for head in heads if all(isinstance(row.get(head), int | float | None) for row in rows)}
    top = "".join(
        f'<th scope="col"{_kind(head in numeric)}>'
        + (f'<button type="button">{text(head)}</button>' if sortable else text(head))
        + "</th>"
        for head in heads
    )
    lines = "".join(f"<tr>{''.join(_cell(row.get(h), h in numeric) for h in heads)}</tr>" for row in rows)
    marked = f"{'sortable ' if sortable else ''}{order}".strip()
    return (
        f'<div class="scroll"><table class="{marked}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _kind(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _cell(value: Any, numeric: bool) -> str:
    if not numeric:
        return f"<td>{text('-' if value is None else value)}</td>"
    known = value is not None and math.isfinite(value)
    return f'<td class="n" data-v="{value if known else ""}">{number(value, percent=True)}</td>'


def definitions(pairs: Iterable[tuple[str, Any]]) -> str:
    """Return names and values; values that are None or "" are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", [])]
    lines = "".join(f"<dt>{text(name)}</dt><dd>{number(value)}</dd>" for name, value in shown)
    return f"<dl>{lines}</dl>" if shown else ""
