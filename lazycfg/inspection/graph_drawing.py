"""Drawing the boxes of a config: as SVG, and as a page in which boxes open and close.

Both are pure functions of the config. The page needs nothing from outside; without scripts it shows all.
"""

from __future__ import annotations

import colorsys
import json
import re
from html import escape
from typing import Any
from zlib import crc32

from lazycfg.inspection.graph import (
    CHAR,
    GAP_X,
    GAP_Y,
    LINE,
    PAD,
    TITLE,
    Box,
    Graph,
    Line,
    boxes_of,
    place,
)
from lazycfg.inspection.graph_script import SCRIPT

_MARGIN = 16
_HUES = (210, 145, 28, 275, 190, 330, 60, 0)
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_LIGHT = {
    "bg": "#ffffff",
    "box": "#ffffff",
    "line": "#c9d1d9",
    "text": "#24292f",
    "dim": "#57606a",
    "key": "#0550ae",
    "bad": "#b3161f",
    "set": "#6639ba",
    "share": "#b35900",
    "edge": "#8c959f",
    "head": "#1f2328",
    "tint": 0.88,
}
_DARK = {
    "bg": "#0d1117",
    "box": "#161b22",
    "line": "#373e47",
    "text": "#d1d7e0",
    "dim": "#9198a1",
    "key": "#79c0ff",
    "bad": "#ff7b72",
    "set": "#d2a8ff",
    "share": "#ffa657",
    "edge": "#6e7681",
    "head": "#f0f6fc",
    "tint": 0.24,
}
# Boxes are as wide as their text in a font of this kind: a viewer has one of these
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,Liberation Mono,Courier New,monospace"


def _rules(colours: dict[str, Any]) -> str:
    """Return the colours as rules, written out: other programs than browsers know no variables and no `hsl()`
    in a style sheet.
    """
    plain = """
.lzg .b{fill:bg}
.lzg .f{fill:box;stroke:line}
.lzg text{fill:text}
.lzg .t{fill:head}
.lzg .k{fill:key}
.lzg .r{fill:bad}
.lzg .w{fill:set}
.lzg .s,.lzg .m,.lzg .q{fill:share}
.lzg .e{stroke:edge}
.lzg .h{stroke:share}
.lzg .p{fill:edge}
.lzg .c{fill:line}
.lzg .o rect{fill:box;stroke:edge}
.lzg .o text{fill:dim}
"""
    rules = re.sub(r"(?<=:)([a-z]+)(?=[;}])", lambda match: str(colours[match[1]]), plain)
    for hue in _HUES:
        red, green, blue = colorsys.hls_to_rgb(hue / 360, colours["tint"], 0.55)
        shown = "".join(f"{round(255 * part):02x}" for part in (red, green, blue))
        rules += f".lzg .c{hue}{{fill:#{shown}}}\n"
    return rules


_STYLE = f"""
.lzg{{font-size:12px;font-family:{_FONT}}}
.lzg .t,.lzg .r,.lzg .m{{font-weight:700}}
.lzg text{{white-space:pre}}
.lzg .w{{font-style:italic}}
.lzg .e{{fill:none;stroke-width:1.2}}
.lzg .h{{fill:none;stroke-width:1.4;stroke-dasharray:5 4;opacity:.75}}
.lzg .h:hover{{stroke-width:3;opacity:1}}
.lzg .o{{cursor:pointer}}
.lzg .o text{{text-anchor:middle;font-weight:700}}
{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}
"""
_PAGE_STYLE = """
html{color-scheme:light dark}
body{margin:0;background:#fff;color:#24292f;font:13px system-ui,sans-serif}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#d1d7e0}}
header{position:sticky;top:0;left:0;padding:8px 16px;background:inherit;border-bottom:1px solid #8886;
display:flex;gap:12px;align-items:baseline;flex-wrap:wrap;width:calc(100vw - 48px)}
h1{font-size:15px;margin:0}
button,input{font:inherit}
"""


def to_svg(cfg: Any, *, title: str = "config", max_depth: int | None = None) -> str:
    """Return a config as an SVG picture.

    Args:
        cfg: a node or a container of nodes.
        title: of the box of the config itself.
        max_depth: leave out boxes with more than so many boxes to their left.
    """
    graph = boxes_of(cfg, title=title, max_depth=max_depth)
    place(graph)
    return _svg(graph, closable=False)


def to_html(cfg: Any, *, title: str = "config", max_depth: int | None = None) -> str:
    """Return a config as a page; boxes beyond `max_depth` are there, but closed."""
    graph = boxes_of(cfg, title=title)
    place(graph)
    data = {
        "margin": _MARGIN,
        "gap": [GAP_X, GAP_Y],
        "depth": max_depth,
        "boxes": [_data(box) for box in graph.boxes],
    }
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    calls = sum(1 for box in graph.boxes if box.group)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f"<style>{_PAGE_STYLE}</style></head><body><header><h1>{_text(title)}</h1><span>{calls} calls</span>"
        '<span id="buttons"></span></header>'
        f"{_svg(graph, closable=True)}"
        f'<script id="data" type="application/json">{text}</script><script>{SCRIPT}</script></body></html>\n'
    )


def _data(box: Box) -> dict[str, Any]:
    """Return what the script needs to know of a box: its size, and where its lines lead."""
    lines = list(enumerate(box.lines))
    return {
        "w": box.width,
        "h": box.height,
        "d": box.depth,
        "c": [[line.child.index, _middle(row)] for row, line in lines if line.child is not None],
        "s": [[line.shared.index, _middle(row)] for row, line in lines if line.shared is not None],
    }


def _middle(row: int) -> float:
    """Return the height of the middle of a line below the top of its box."""
    return TITLE + LINE * row + 3 + LINE / 2


def _svg(graph: Graph, *, closable: bool) -> str:
    width, height = graph.size
    total = width + 2 * _MARGIN, height + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lzg" width="{total[0]}" height="{total[1]}" '
        f'viewBox="0 0 {total[0]} {total[1]}"><style>{_STYLE}</style>',
        f'<rect class="b" width="{total[0]}" height="{total[1]}"/>',
        f'<g transform="translate({_MARGIN} {_MARGIN})">',
    ]
    for box in graph.boxes:
        for row, line in enumerate(box.lines):
            if line.child is not None:
                parts.append(_edge(box, row, line.child))
    parts += [_box(box, closable) for box in graph.boxes]
    for box in graph.boxes:
        for row, line in enumerate(box.lines):
            if line.shared is not None:
                parts.append(_share(box, row, line))
    return "\n".join([*parts, "</g></svg>\n"])


def _edge(box: Box, row: int, child: Box) -> str:
    x1, y1 = box.x + box.width, box.y + _middle(row)
    x2, y2 = child.x, child.y + TITLE / 2
    bend = (x2 - x1) / 2
    way = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    return f'<path class="e" id="e{child.index}" d="{way}"/>'


def _share(box: Box, row: int, line: Line) -> str:
    other = line.shared
    assert other is not None
    hint = f"{'.'.join(map(str, box.path))}.{line.key}".lstrip(".")
    return (
        f'<path class="h" id="s{box.index}-{row}" d="{_curve(box, row, other)}">'
        f"<title>{_text(hint)} is box {other.mark}: {_text(other.title)}</title></path>"
    )


def _curve(box: Box, row: int, other: Box) -> str:
    """Return a way from a line to a box elsewhere: between the sides that face each other, in one column
    around the left.
    """
    y1, y2 = box.y + _middle(row), other.y + TITLE / 2
    if other.x >= box.x + box.width:
        x1, x2, bend1, bend2 = box.x + box.width, other.x, 60, -60
    elif other.x + other.width <= box.x:
        x1, x2, bend1, bend2 = box.x, other.x + other.width, -60, 60
    else:
        x1, x2, bend1, bend2 = box.x, other.x, -45, -45
    return f"M{x1:g} {y1:g}C{x1 + bend1:g} {y1:g} {x2 + bend2:g} {y2:g} {x2:g} {y2:g}"


def _box(box: Box, closable: bool) -> str:
    width, height = box.width, box.height
    tint = f"c{_hue(box.group)}" if box.group else "c"
    round_top = f"M0 {TITLE}V6a6 6 0 0 1 6-6H{width - 6:g}a6 6 0 0 1 6 6V{TITLE}Z"
    parts = [
        f'<g class="x" id="b{box.index}" transform="translate({box.x:g} {box.y:g})">',
        f'<rect class="f" width="{width:g}" height="{height:g}" rx="6"/>',
        f'<path class="{tint}" d="{round_top}"/>' if box.lines else
        f'<rect width="{width:g}" height="{height:g}" rx="6" class="{tint}"/>',
        f'<text class="t" x="{PAD}" y="16">{_text(box.title)}<title>{_text(box.hint)}</title></text>',
    ]  # fmt: skip
    if box.mark:
        parts.append(f'<text class="m" x="{width - PAD - 3 * CHAR:g}" y="16">&amp;{box.mark}</text>')
    for row, line in enumerate(box.lines):
        parts.append(_line(box, row, line))
    if closable and box.children():
        parts.append(
            f'<g class="o" data-i="{box.index}" transform="translate({width:g} {TITLE / 2:g})">'
            '<rect x="-8" y="-8" width="16" height="16" rx="4"/><text y="4">-</text></g>'
        )
    return "".join([*parts, "</g>"])


def _line(box: Box, row: int, line: Line) -> str:
    y = TITLE + LINE * row + 15
    hints = [line.full] if line.full else []
    hints += [f"set by {line.who}"] if line.who else []
    hint = f"<title>{_text(chr(10).join(hints))}</title>" if hints else ""
    kinds = {"required": "r", "shared": "s", "child": "s"}
    kind = "w" if line.who and line.kind == "value" else kinds.get(line.kind, "v")
    value = f': <tspan class="{kind}">{_text(line.text)}</tspan>' if line.text else ""
    text = f'<text x="{PAD}" y="{y}"><tspan class="k">{_text(line.key)}</tspan>{value}{hint}</text>'
    middle = _middle(row)
    if line.child is not None:
        text += f'<circle class="p" cx="{box.width:g}" cy="{middle:g}" r="3"/>'
    if line.shared is not None:
        x = box.width - PAD - 3 * CHAR
        text += f'<text class="m" x="{x:g}" y="{y}">*{line.shared.mark}</text>'
    return text


def _hue(group: str) -> int:
    known = {"lazycfg.modeling": 210, "lazycfg.data": 145, "lazycfg.solver": 28, "torch.optim": 28}
    return known.get(group) or _HUES[crc32(group.encode("utf-8", "replace")) % len(_HUES)]


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
