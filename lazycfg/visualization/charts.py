"""Charts of an analysis of detections, drawn by Pillow."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lazycfg.utils import atomic_write
from lazycfg.visualization.colors import Color, colormap, ink_on
from lazycfg.visualization.fonts import font_for

__all__ = ["bar_chart", "confusion_chart", "curve_chart", "draw_analysis"]

_TEXT = 14  # pixels
_INK: Color = (40, 40, 40)
_GRID: Color = (225, 225, 225)
_BAR: Color = (50, 120, 230)
_LONGEST = 24  # characters of a name


def draw_analysis(analysis: Mapping[str, Any], folder: str | os.PathLike[str]) -> list[Path]:
    """Draw an error analysis: of `lazycfg.evaluation.analyse_detections`, or a ``coco_analysis_*.json`` file.

    Args:
        analysis: as returned there, or read from the file.
        folder: where the files are written; it is made.

    Returns:
        the PNG files: ``<iou_type>_errors.png``, ``..._confusion.png``, ``..._curves.png`` (precision over
        recall), ``..._sizes.png`` and ``..._counts.png`` (AP50 by the size and the number of objects).
    """
    kind, errors, confusion = analysis["iou_type"], analysis["errors"]["dAP"], analysis["confusion"]
    curves = {row["class"]: row["curve_precision"] for row in analysis["per_class"] if row["curve_precision"]}
    threshold = analysis["score_threshold"]
    at = f"IoU {analysis['iou']:g}"
    charts = {
        "errors": bar_chart(
            {name.replace("_", " "): value for name, value in errors.items()},
            title=f"{kind}: what mending each kind of mistake would add to AP ({at}), points",
        ),
        "confusion": confusion_chart(
            confusion["matrix"],
            confusion["classes"],
            title=f"{kind}: true (rows) and predicted classes, scores from {_short(threshold)}",
        ),
        "curves": curve_chart(curves, title=f"{kind}: precision over recall ({at})"),
        "sizes": bar_chart(
            {f"{row['size']} ({row['objects']})": row["AP50"] for row in analysis["by_size"]},
            title=f"{kind}: AP50 by the size of objects",
            highest=100,
        ),
        "counts": bar_chart(
            {f"{_span(row)} ({row['images']} images)": row["AP50"] for row in analysis["by_count"]},
            title=f"{kind}: AP50 by the number of objects in an image",
            highest=100,
        ),
    }
    paths = []
    for name, chart in charts.items():
        path = Path(folder) / f"{kind}_{name}.png"
        with atomic_write(path) as partial:
            chart.save(partial, format="PNG")
        paths.append(path)
    return paths


def bar_chart(values: Mapping[str, float | None], *, title: str, highest: float | None = None) -> Image.Image:
    """Return a chart of one bar for each value, with its number beside it.

    Args:
        values: by name; None and NaN have no bar.
        title: above them.
        highest: the value at the right border; None takes the largest.
    """
    numbers = {name: math.nan if value is None else float(value) for name, value in values.items()}
    top = highest or max([value for value in numbers.values() if not math.isnan(value)], default=0.0) or 1.0
    margin = max([_width(name) for name in numbers], default=0) + 20
    width, row = max(margin + 500, _width(title) + 40), 28
    chart, draw = _sheet(width, 60 + row * len(numbers), title)
    for index, (name, value) in enumerate(numbers.items()):
        y = 44 + index * row
        _write(draw, (margin - 8, y + row // 2 - 2), name, anchor="rm")
        length = 0 if math.isnan(value) else round((width - margin - 80) * max(0.0, min(1.0, value / top)))
        if not math.isnan(value):
            draw.rectangle((margin, y + 2, margin + length, y + row - 7), fill=_BAR)
        _write(draw, (margin + length + 6, y + row // 2 - 2), _short(value), anchor="lm")
    return chart


def confusion_chart(matrix: Sequence[Sequence[int]], names: Sequence[str], *, title: str) -> Image.Image:
    """Return a table whose cells are the darker the larger a number is within its row.

    Args:
        matrix: (K, K), rows the truth.
        names: of the K classes.
        title: above it.
    """
    table = np.asarray(matrix, dtype=np.float64).reshape(len(names), len(names))
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    cell = max(_TEXT + 4, min(48, 900 // max(len(names), 1)))
    labels = [name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..." for name in names]
    margin = max([_width(name) for name in labels], default=0) + 16
    side = margin + cell * len(names) + 20
    chart, draw = _sheet(max(side, _width(title) + 40), side + 40, title)
    for row, name in enumerate(labels):
        y = 40 + margin + row * cell
        _write(draw, (margin - 8, y + cell // 2), name, anchor="rm")
        _write_upwards(chart, (margin + row * cell + cell // 2, 40 + margin - 8), name)
        for column in range(len(names)):
            x, part = margin + column * cell, share[row, column]
            color = (round(255 - 215 * part), round(255 - 150 * part), 255)
            draw.rectangle((x, y, x + cell, y + cell), fill=color, outline=_GRID)
            text = str(int(table[row, column]))
            if table[row, column] and _width(text) <= cell - 2:
                _write(draw, (x + cell // 2, y + cell // 2), text, anchor="mm", color=ink_on(color))
    return chart


def curve_chart(curves: Mapping[str, Sequence[float]], *, title: str) -> Image.Image:
    """Return a chart of curves over [0, 1], and their mean as a thick one.

    Args:
        curves: by name, each the values in [0, 1] at equal steps.
        title: above them.
    """
    left, top, size = 60, 50, 480
    shown = list(curves)[:24]
    margin = max([_width(name) for name in (*shown, "mean of all")], default=0) + 60
    chart, draw = _sheet(max(left + size + 20 + margin, _width(title) + 40), top + size + 50, title)
    for step in range(11):
        x, y = left + size * step // 10, top + size * step // 10
        draw.line((left, y, left + size, y), fill=_GRID)
        draw.line((x, top, x, top + size), fill=_GRID)
        _write(draw, (left - 6, y), f"{1 - step / 10:.1f}", anchor="rm")
        _write(draw, (x, top + size + 6), f"{step / 10:.1f}", anchor="mt")

    def line(values: Sequence[float], color: Color, width: int) -> None:
        count = max(len(values) - 1, 1)
        places = [(left + size * i / count, top + size * (1 - v)) for i, v in enumerate(values)]
        draw.line(places, fill=color, width=width)

    entries: list[tuple[str, Color]] = list(zip(shown, colormap(len(shown)), strict=True))
    for name in list(curves)[len(shown) :]:
        line(curves[name], (200, 200, 200), 1)
    for name, color in entries:
        line(curves[name], color, 1)
    if curves:
        line(np.mean([list(values) for values in curves.values()], axis=0).tolist(), _INK, 3)
        entries.append(("mean of all", _INK))
    for index, (name, color) in enumerate(entries):
        y = top + 10 + index * (_TEXT + 5)
        draw.line((left + size + 16, y, left + size + 40, y), fill=color, width=3)
        _write(draw, (left + size + 46, y), name, anchor="lm")
    return chart


def _sheet(width: int, height: int, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    chart = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(chart)
    _write(draw, (20, 20), title, anchor="lm")
    return chart, draw


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, *, anchor: str, color: Color = _INK
) -> None:
    draw.text(place, text, fill=color, font=font_for(text, _TEXT), anchor=anchor)


def _write_upwards(chart: Image.Image, place: tuple[int, int], text: str) -> None:
    label = Image.new("RGB", (_width(text) + 2, _TEXT + 4), (255, 255, 255))
    _write(ImageDraw.Draw(label), (0, label.height // 2), text, anchor="lm")
    label = label.transpose(Image.Transpose.ROTATE_90)
    chart.paste(label, (place[0] - label.width // 2, place[1] - label.height))


def _width(text: str) -> int:
    return math.ceil(font_for(text, _TEXT).getlength(text))


def _short(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3g}"


def _span(row: Mapping[str, Any]) -> str:
    if row["to"] is None:
        return f"{row['from']} and more"
    return str(row["from"]) if row["from"] == row["to"] else f"{row['from']} to {row['to']}"
