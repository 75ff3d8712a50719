"""The script of the page of a graph: opens and closes boxes, and places the open ones as `graph.place`."""

SCRIPT = r"""
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const boxes = data.boxes, closed = new Set(), TITLE = 24;
const by = id => document.getElementById(id);
function columns(shown) {
  const widths = [], left = [];
  for (const i of shown) widths[boxes[i].d] = Math.max(widths[boxes[i].d] || 0, boxes[i].w);
  widths.reduce((x, w, d) => (left[d] = x, x + w + data.gap[0]), 0);
  return left;
}
function visible(i, out) {
  out.push(i);
  if (!closed.has(i)) for (const [c] of boxes[i].c) visible(c, out);
  return out;
}
function place(i, top, left, free) {
  const b = boxes[i];
  let y = Math.max(top, free[b.d] || 0);
  if (!closed.has(i)) b.c.forEach(([c], n) => {
    place(c, y, left, free);
    if (n === 0) y = Math.max(y, boxes[c].y);
  });
  b.x = left[b.d]; b.y = y;
  free[b.d] = y + b.h + data.gap[1];
}
function curve(x1, y1, k1, x2, y2, k2) {
  return `M${x1} ${y1}C${x1 + k1} ${y1} ${x2 + k2} ${y2} ${x2} ${y2}`;
}
function draw() {
  const shown = visible(0, []), seen = new Set(shown);
  place(0, 0, columns(shown), []);
  let width = 0, height = 0;
  boxes.forEach((b, i) => {
    const g = by("b" + i), on = seen.has(i);
    g.style.display = on ? "" : "none";
    if (on) {
      g.setAttribute("transform", `translate(${b.x} ${b.y})`);
      width = Math.max(width, b.x + b.w); height = Math.max(height, b.y + b.h);
    }
    const sign = g.querySelector(".o text");
    if (sign) sign.textContent = closed.has(i) ? "+" : "-";
    for (const [c, m] of b.c) {
      const e = by("e" + c), k = boxes[c];
      e.style.display = seen.has(c) ? "" : "none";
      if (seen.has(c)) {
        const x1 = b.x + b.w, bend = (k.x - x1) / 2;
        e.setAttribute("d", curve(x1, b.y + m, bend, k.x, k.y + TITLE / 2, -bend));
      }
    }
  });
  boxes.forEach((b, i) => {
    for (const [t, m] of b.s) {
      const h = by(`s${i}-${Math.round((m - TITLE - 11.5) / 17)}`), o = boxes[t];
      const on = seen.has(i) && seen.has(t);
      h.style.display = on ? "" : "none";
      if (!on) continue;
      const y1 = b.y + m, y2 = o.y + TITLE / 2;
      if (o.x >= b.x + b.w) h.setAttribute("d", curve(b.x + b.w, y1, 60, o.x, y2, -60));
      else if (o.x + o.w <= b.x) h.setAttribute("d", curve(b.x, y1, -60, o.x + o.w, y2, 60));
      else h.setAttribute("d", curve(b.x, y1, -45, o.x, y2, -45));
    }
  });
  const svg = document.querySelector("svg.lzg"), w = width + 2 * data.margin, h = height + 2 * data.margin;
  for (const e of [svg, svg.querySelector(".b")]) { e.setAttribute("width", w); e.setAttribute("height", h); }
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
}
function toDepth(n) {
  closed.clear();
  boxes.forEach((b, i) => { if (n !== null && b.d >= n && b.c.length) closed.add(i); });
  draw();
}
for (const o of document.querySelectorAll(".o")) o.addEventListener("click", () => {
  const i = Number(o.dataset.i);
  closed.has(i) ? closed.delete(i) : closed.add(i);
  draw();
});
const deepest = Math.max(...boxes.map(b => b.d)), bar = by("buttons");
for (let n = 1; n < deepest; n++) button(`depth ${n}`, n);
button("open all", null);
function button(text, n) {
  const b = document.createElement("button");
  b.textContent = text; b.onclick = () => toDepth(n);
  bar.append(b, " ");
}
toDepth(data.depth);
"""
