"""The report of a run as one page that needs no network."""

from __future__ import annotations

import os
import time
from pathlib import Path

from lazycfg._atomic import atomic_write
from lazycfg._version import __version__
from lazycfg.reporting.html import text
from lazycfg.reporting.run_files import RunFiles
from lazycfg.reporting.sections import SECTIONS, state_of
from lazycfg.reporting.style import SCRIPT, STYLE

__all__ = ["report_html", "write_report"]

_ALLOWED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_report(folder: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of a run, also of one that is running or was killed.

    Args:
        folder: of the run.
        output: the file; None is ``report.html`` in the folder.

    Returns:
        the file.

    Raises:
        FileNotFoundError: the folder is not that of a run.
        OSError: the file cannot be written.
    """
    content = report_html(folder)
    path = Path(folder) / "report.html" if output is None else Path(output)
    try:
        with atomic_write(path) as partial:
            partial.write_text(content, encoding="utf-8")
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def report_html(folder: str | os.PathLike[str]) -> str:
    """Return the report of a run as HTML; parts that the run has no files of are left out.

    Raises:
        FileNotFoundError: the folder is not that of a run.
    """
    run = RunFiles.read(folder)
    name = Path(os.path.abspath(folder)).name
    bodies, links = [], []
    for short, write in SECTIONS:
        try:
            body = write(run)
        except Exception as error:  # a damaged file must not take the other parts with it
            told = f"This part could not be made: {type(error).__name__}: {error}"
            body = f'<section id="{short.lower()}"><h2>{text(short)}</h2><p>{text(told)}</p></section>'
        if body:
            bodies.append(body)
            key = body.split('id="', 1)[1].split('"', 1)[0]
            links.append(f'<li><a href="#{key}">{text(short)}</a></li>')
    made = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_ALLOWED}">
<link rel="icon" href="data:,">
<title>{text(name)}</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{text(name)}</h1><p>{text(state_of(run))}</p></header>
<nav aria-label="sections"><ul>{"".join(links)}</ul></nav>
<main>
{chr(10).join(bodies)}
</main>
<footer>Made {made} by lazycfg {text(__version__)}.</footer>
<script>{SCRIPT}</script>
</body>
</html>
"""
