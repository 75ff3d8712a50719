"""The style sheet and the script of the report."""

STYLE = """
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#1c2330;--dim:#5b6675;--line:#dde1e7;
--grid:#e8ebf0;
--accent:#2563c9;--good:#11703a;--bad:#b3261e;--cell:37,99,201;
--c0:#2563c9;--c1:#c2410c;--c2:#0f7b4f;--c3:#9333b8;--c4:#a16207;--c5:#0e7490;--c6:#be185d;--c7:#57606e}
@media (prefers-color-scheme:dark){:root{--bg:#10141a;--card:#1a2029;--ink:#e4e8ee;--dim:#9ca8b8;
--line:#303947;--grid:#29313d;--accent:#78aaff;--good:#6fd39a;--bad:#ff9088;--cell:96,150,255;
--c0:#78aaff;--c1:#ff9d5c;--c2:#5fd09a;--c3:#d59bff;--c4:#e6c04d;--c5:#5ecbe0;--c6:#ff8fc0;--c7:#aab4c2}}
*{box-sizing:border-box}
html{scroll-padding-top:3.5rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans",sans-serif}
header,main{max-width:1240px;margin:0 auto;padding:0 16px}
header{padding-top:20px}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2rem 0 .7rem}
h3{font-size:1rem;margin:0 0 .6rem;overflow-wrap:anywhere}
p{margin:.2rem 0 .6rem;color:var(--dim)}
nav{position:sticky;top:0;z-index:1;background:var(--bg);border-bottom:1px solid var(--line)}
nav ul{display:flex;gap:1.1rem;overflow-x:auto;list-style:none;max-width:1240px;margin:0 auto;
padding:.6rem 16px;scrollbar-width:none}
nav a{color:var(--accent);text-decoration:none;white-space:nowrap}
nav a:hover{text-decoration:underline}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));gap:14px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px;min-width:0}
.card.wide{margin-bottom:14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(86px,1fr));gap:10px}
.tiles div{display:flex;flex-direction:column}
.tiles b{font-size:1.35rem;font-weight:600;font-variant-numeric:tabular-nums}
.tiles span{color:var(--dim);font-size:.85rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto;max-height:32rem;overflow-y:auto}
.scroll:has(.matrix){max-height:none}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;text-align:left;border-bottom:1px solid var(--line)}
td:first-child{max-width:22rem;overflow-wrap:break-word}
.n{text-align:right}
thead th{position:sticky;top:0;background:var(--card);white-space:nowrap}
.classes{width:100%}
th button{all:unset;cursor:pointer;font-weight:600;padding:2px 0}
th button:focus-visible{outline:2px solid var(--accent);border-radius:3px}
th button::after{content:" \\2195";color:var(--dim);font-weight:400}
th[aria-sort=ascending] button::after{content:" \\2191";color:var(--accent)}
th[aria-sort=descending] button::after{content:" \\2193";color:var(--accent)}
.matrix th,.matrix td{padding:3px 6px;border:1px solid var(--line);text-align:center}
.matrix tbody th{text-align:right;font-weight:500;max-width:11rem;overflow-wrap:break-word;position:sticky;
left:0;background:var(--card)}
.matrix thead th{position:static;vertical-align:bottom;font-weight:500}
.matrix thead th span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:9rem;overflow:hidden;
text-overflow:ellipsis}
.matrix tbody td{background:color-mix(in srgb,rgb(var(--cell)) var(--p),transparent);min-width:2.4rem}
.matrix .strong{color:#fff}
@media (prefers-color-scheme:dark){.matrix .strong{color:#0b1018}}
.bar{display:grid;grid-template-columns:7.5rem 1fr 3.2rem;gap:2px 10px;align-items:center;margin-bottom:6px}
.bar i{height:12px;background:var(--grid);border-radius:6px;overflow:hidden}
.bar b{display:block;height:100%;background:var(--accent)}
.bar span:last-of-type{text-align:right;font-variant-numeric:tabular-nums}
.bar small{grid-column:2/4;color:var(--dim);line-height:1.2}
.bar small:empty{display:none}
figure{margin:0}
.chart figcaption{font-weight:600;margin-bottom:.3rem}
.chart svg{width:100%;height:auto;display:block;touch-action:pan-y}
.chart text{fill:var(--dim);font-size:12px}
.chart .g{stroke:var(--grid)}
.chart .l,.chart .f{fill:none;stroke-width:1.8;stroke-linejoin:round}
.chart .f{stroke:var(--dim);stroke-width:.7;opacity:.45}
.chart .at{stroke:var(--dim);stroke-dasharray:3 3;visibility:hidden}
.chart .x{min-height:1.4em;margin:0;font-size:.85rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;margin:0;padding:0;font-size:.85rem}
.legend li{overflow-wrap:anywhere}
.legend i{display:inline-block;width:12px;height:3px;vertical-align:middle;margin-right:4px;border-radius:2px}
.legend b{font-weight:600;font-variant-numeric:tabular-nums}
.images{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:12px}
.image img{max-width:100%;height:auto;display:block;border-radius:6px;background:var(--grid)}
.image figcaption{color:var(--dim);font-size:.85rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:fit-content(45%) minmax(0,1fr);gap:3px 14px;margin:0;font-size:.9rem}
dt{color:var(--dim);overflow-wrap:anywhere}
dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
pre{margin:.4rem 0 0;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:36rem;overflow-y:auto}
pre .added{color:var(--good)}
pre .removed{color:var(--bad)}
summary{cursor:pointer;color:var(--accent)}
footer{max-width:1240px;margin:0 auto;padding:24px 16px;color:var(--dim);font-size:.85rem}
section>details{margin-top:14px}
section>details>summary{margin-bottom:10px}
@media (max-width:520px){.chart text{font-size:16px}dl{grid-template-columns:minmax(0,1fr);gap:0}
dd{margin-bottom:6px}.bar{grid-template-columns:6rem 1fr 3rem}
.card{padding:11px}}
@media print{nav{display:none}.scroll,pre{max-height:none}}
""".strip()

SCRIPT = r"""
document.querySelectorAll("table.sortable th button").forEach(button=>button.addEventListener("click",()=>{
  const head=button.closest("th"),table=head.closest("table"),body=table.tBodies[0];
  const column=[...head.parentNode.children].indexOf(head),numeric=head.classList.contains("n");
  const falling=head.getAttribute("aria-sort")?head.getAttribute("aria-sort")==="ascending":numeric;
  table.querySelectorAll("th").forEach(other=>other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort",falling?"descending":"ascending");
  const value=row=>{const cell=row.cells[column];
    return numeric?(cell.dataset.v===""?null:Number(cell.dataset.v)):cell.textContent};
  const rows=[...body.rows].sort((a,b)=>{const x=value(a),y=value(b);
    if(x===null||y===null)return (x===null)-(y===null);
    const order=numeric?x-y:x.localeCompare(y,undefined,{numeric:true});
    return falling?-order:order});
  body.append(...rows)}));
document.querySelectorAll("figure.chart").forEach(figure=>{
  const {x:[low,high],s:series}=JSON.parse(figure.dataset.points),svg=figure.querySelector("svg");
  const left=+figure.dataset.left,right=+figure.dataset.right,line=svg.querySelector(".at");
  const place=figure.querySelector(".x"),values=[...figure.querySelectorAll(".legend b")];
  const last=values.map(value=>value.textContent),width=svg.viewBox.baseVal.width;
  const shown=y=>y!==0&&Math.abs(y)<1e-3?y.toExponential(2):String(+y.toPrecision(4));
  svg.addEventListener("pointermove",event=>{
    const box=svg.getBoundingClientRect(),share=((event.clientX-box.left)/box.width-left)/(right-left);
    const at=low+Math.min(1,Math.max(0,share))*(high-low);
    const near=series.map(points=>points.reduce((a,b)=>Math.abs(b[0]-at)<Math.abs(a[0]-at)?b:a));
    const x=near.reduce((a,b)=>Math.abs(b[0]-at)<Math.abs(a[0]-at)?b:a)[0];
    near.forEach((point,i)=>{values[i].textContent=shown(point[1])});
    const shift=width*(left+(high>low?(x-low)/(high-low):.5)*(right-left));
    line.setAttribute("x1",shift);line.setAttribute("x2",shift);line.style.visibility="visible";
    place.textContent="at "+shown(x)});
  svg.addEventListener("pointerleave",()=>{line.style.visibility="hidden";place.textContent="";
    values.forEach((value,i)=>{value.textContent=last[i]})})});
""".strip()
