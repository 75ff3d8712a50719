"""The style sheet of `html_view`: light and dark, by what the page around it says."""

_LIGHT = "--lz-key:#0550ae;--lz-target:#116329;--lz-mark:#8a3c00;--lz-bad:#b3161f;--lz-set:#6639ba"
_DARK = "--lz-key:#79c0ff;--lz-target:#7ee787;--lz-mark:#ffa657;--lz-bad:#ff7b72;--lz-set:#d2a8ff"

# JupyterLab, VS Code, Colab and pages made by Sphinx say what they are; else the browser does.
_DARK_PAGES = (
    'body[data-jp-theme-light="false"] .lazycfg',
    "body.vscode-dark .lazycfg",
    "body.vscode-high-contrast .lazycfg",
    'html[theme="dark"] .lazycfg',
    'html[data-theme="dark"] .lazycfg',
)
_UNKNOWN = (
    "html:not([theme]):not([data-theme]) "
    "body:not([data-jp-theme-light]):not(.vscode-light):not(.vscode-dark) .lazycfg"
)

STYLE = f"""
.lazycfg{{{_LIGHT};font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
color:inherit;overflow-wrap:anywhere;text-align:left}}
{",".join(_DARK_PAGES)}{{{_DARK}}}
@media (prefers-color-scheme:dark){{{_UNKNOWN}{{{_DARK}}}}}
.lazycfg details,.lazycfg .lz-row{{margin-left:1.1em}}
.lazycfg>details,.lazycfg>.lz-row{{margin-left:0}}
.lazycfg .lz-row{{padding-left:1em;text-indent:-1em;margin-left:2.1em}}
.lazycfg>.lz-row{{margin-left:1em}}
.lazycfg details>details,.lazycfg details>.lz-row{{box-shadow:-1px 0 0 rgba(128,128,128,.3)}}
.lazycfg details>.lz-row{{margin-left:1.1em;padding-left:2em}}
.lazycfg summary{{cursor:pointer;padding-left:.3em;border-radius:3px}}
.lazycfg summary:hover,.lazycfg .lz-row:hover{{background:rgba(128,128,128,.14)}}
.lazycfg .lz-head{{margin-bottom:.3em}}
.lazycfg .lz-key{{color:var(--lz-key)}}
.lazycfg .lz-key[title],.lazycfg .lz-target[title]{{text-decoration:underline dotted rgba(128,128,128,.6);
text-underline-offset:3px;cursor:help}}
.lazycfg .lz-target{{color:var(--lz-target);font-weight:600}}
.lazycfg .lz-mark{{color:var(--lz-mark);font-weight:600;text-decoration:none;border:1px solid;
border-radius:3px;padding:0 3px;font-size:11px}}
.lazycfg a.lz-mark:hover{{text-decoration:underline}}
.lazycfg :target{{background:rgba(255,166,87,.25)}}
.lazycfg .lz-required{{color:var(--lz-bad);font-weight:700;border:1px solid;border-radius:3px;padding:0 4px}}
.lazycfg .lz-set{{color:var(--lz-set);margin-left:1em;font-style:italic}}
.lazycfg .lz-dim{{opacity:.7}}
.lazycfg .lz-origin{{opacity:.6;margin-left:1em;font-size:11px}}
.lazycfg .lz-takes{{opacity:.8;font-size:11px}}
.lazycfg .lz-takes table{{border-collapse:collapse;margin:.2em 0 .4em 1.2em;font-size:11px;
background:transparent;color:inherit}}
.lazycfg .lz-takes td{{text-align:left;vertical-align:top;padding:1px 8px 1px 0;border:0;
border-top:1px solid rgba(128,128,128,.25);background:transparent;max-width:36em}}
.lazycfg .lz-takes td:first-child{{white-space:nowrap}}
.lazycfg .lz-takes td:last-child{{min-width:16em}}
.lazycfg .lz-takes .lz-given td:first-child{{font-weight:700}}
""".replace("\n", "")
