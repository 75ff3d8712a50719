"""Charts as inline SVG, whose colours are those of the page, and bars and matrices as HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.reporting.html import number, text

__all__ = ["bars", "line_chart", "matrix"]

_WIDTH, _HEIGHT = 480, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 10, 40
_MOST_POINTS = 400
_COLORS = 8

Points = Sequence[tuple[float, float]]


def line_chart(
    title: str,
    series: Mapping[str, Points],
    *,
    x_name: str = "iteration",
    faint: Mapping[str, Points] | None = None,
    bounds: tuple[float, float] | None = None,
    logarithmic: bool = False,
    with_last: bool = True,
) -> str:
    """Return a chart of lines with a legend that tells the values below the pointer.

    Args:
        title: above it.
        series: by name, each (x, y) with x increasing; of more points than can be seen some are left out.
        x_name: what x is.
        faint: more lines, without a name in the legend.
        bounds: of y; by default those of the values.
        logarithmic: whether y is drawn as its logarithm; values that have none are left out.
        with_last: whether the legend has the last values.
    """
    kept = {name: _thinned(points, logarithmic) for name, points in series.items()}
    kept = {name: points for name, points in kept.items() if points}
    if not kept:
        return ""
    others = [thin for points in (faint or {}).values() if (thin := _thinned(points, logarithmic))]
    everything = [point for points in [*kept.values(), *others] for point in points]
    xs, ys = [x for x, _ in everything], [y for _, y in everything]
    low, high = bounds or _span(ys, logarithmic)
    scale = _Scale(min(xs), max(xs), low, high, logarithmic)
    drawn = [f'<path class="f" d="{scale.path(points)}"/>' for points in others]
    drawn += [
        f'<path class="l" style="stroke:var(--c{index % _COLORS})" d="{scale.path(points)}"/>'
        + (scale.dot(points[0], index % _COLORS) if len(points) == 1 else "")
        for index, points in enumerate(kept.values())
    ]
    legend = "".join(
        f'<li><i style="background:var(--c{index % _COLORS})"></i>{text(name)} '
        f"<b>{number(float(points[-1][1])) if with_last else ''}</b></li>"
        for index, (name, points) in enumerate(kept.items())
    )
    data = {"x": [scale.low_x, scale.high_x], "s": [[[x, y] for x, y in p] for p in kept.values()]}
    plot = f'data-left="{_LEFT / _WIDTH:.4f}" data-right="{1 - _RIGHT / _WIDTH:.4f}"'
    return (
        f'<figure class="chart" {plot} data-points="{text(json.dumps(data, separators=(",", ":")))}">'
        f"<figcaption>{text(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(title)}">'
        f"{scale.grid(x_name)}{''.join(drawn)}"
        f'<line class="at" x1="0" x2="0" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/></svg>'
        f'<p class="x"></p><ul class="legend">{legend}</ul></figure>'
    )


class _Scale:
    """From values to places in a chart."""

    def __init__(self, low_x: float, high_x: float, low: float, high: float, logarithmic: bool) -> None:
        self.low_x, self.high_x = low_x, high_x
        self._low, self._high, self._logarithmic = low, high, logarithmic

    def x(self, value: float) -> float:
        share = (value - self.low_x) / (self.high_x - self.low_x) if self.high_x > self.low_x else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self._low, self._high
        if self._logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def path(self, points: Points) -> str:
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)

    def dot(self, point: tuple[float, float], color: int) -> str:
        return (
            f'<circle cx="{self.x(point[0]):.1f}" cy="{self.y(point[1]):.1f}" r="3" '
            f'style="fill:var(--c{color})"/>'
        )

    def grid(self, x_name: str) -> str:
        parts = []
        ticks = _powers(self._low, self._high) if self._logarithmic else _ticks(self._low, self._high, 5)
        for value in ticks:
            y = self.y(value)
            parts.append(f'<line class="g" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
        for value in _ticks(self.low_x, self.high_x, 5):
            x = self.x(value)
            anchor = "end" if x > _WIDTH - 30 else "middle"
            y = _HEIGHT - _BOTTOM + 17
            parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{_short(value)}</text>')
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(f'<text x="{middle:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">{text(x_name)}</text>')
        return "".join(parts)


def _thinned(points: Points, logarithmic: bool) -> list[tuple[float, float]]:
    good = [(x, y) for x, y in points if y is not None and math.isfinite(y) and (y > 0 or not logarithmic)]
    step = math.ceil(len(good) / _MOST_POINTS)
    return good if step <= 1 else [*good[:-1:step], good[-1]]


def _span(values: Sequence[float], logarithmic: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if logarithmic:
        return low / 1.1, high * 1.1
    # From zero where that leaves the curve readable
    low = 0.0 if 0 <= low < 0.6 * high else low
    room = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    return (low if low == 0 else low - room), high + room


def _ticks(low: float, high: float, count: int) -> list[float]:
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= rough), rough)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, first + 2 * count + 2) if i * step <= high + 1e-9 * step]


def _powers(low: float, high: float) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1,), (1, 3), (1, 2, 5)):
        values = [m * 10.0**e for e in exponents for m in parts if low <= m * 10.0**e <= high]
        if len(values) >= 3:
            step = math.ceil(len(values) / 8)
            return values[::step]
    return _ticks(low, high, 4)


def _short(value: float) -> str:
    if value and abs(value) >= 10_000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    if value and abs(value) < 0.001:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.3g}"


def bars(rows: Sequence[tuple[str, float | None, str]], *, highest: float | None = None) -> str:
    """Return horizontal bars.

    Args:
        rows: name, value, and a remark for each.
        highest: the value of a full bar; None takes the largest.
    """
    known = [value for _, value, _ in rows if value is not None and math.isfinite(value)]
    top = highest or max(known, default=0.0) or 1.0
    lines = []
    for name, value, remark in rows:
        length = 0.0 if value is None or not math.isfinite(value) else 100 * min(max(value / top, 0.0), 1.0)
        lines.append(
            f'<div class="bar"><span>{text(name)}</span><i><b style="width:{length:.1f}%"></b></i>'
            f"<span>{number(value, percent=True)}</span><small>{text(remark)}</small></div>"
        )
    return f'<div class="bars">{"".join(lines)}</div>' if lines else ""


def matrix(values: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    """Return a table of counts, rows the truth, each cell the stronger the larger its share of the row."""
    head = "".join(f'<th scope="col"><span>{text(name)}</span></th>' for name in names)
    lines = []
    for name, row in zip(names, values, strict=True):
        whole = sum(row) or 1
        cells = []
        for other, value in zip(names, row, strict=True):
            share = value / whole
            shown = "" if not value else number(value) if value < 1e6 else f"{value:.2g}"
            told = f"{name} taken for {other}: {number(value)}, {100 * share:.1f} %"
            strong = ' class="strong"' if share > 0.8 else ""
            cells.append(f'<td{strong} style="--p:{100 * share:.0f}%" title="{text(told)}">{shown}</td>')
        lines.append(f'<tr><th scope="row">{text(name)}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="matrix"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def as_points(lines: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Return what a scalar was at each iteration, of the lines of ``metrics.json``."""
    found = [(line["iteration"], line[name]) for line in lines if isinstance(line.get(name), int | float)]
    return sorted((float(x), float(y)) for x, y in found)
