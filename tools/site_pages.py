"""The pages of the site that are not in docs/: the README and its neighbours, projects, the Python API."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Files of the repository, and their pages."""

PACKAGES = (
    "lazycfg",
    "lazycfg.engine",
    "lazycfg.data",
    "lazycfg.evaluation",
    "lazycfg.modeling",
    "lazycfg.layers",
    "lazycfg.structures",
    "lazycfg.solver",
    "lazycfg.checkpoint",
    "lazycfg.visualization",
    "lazycfg.model_zoo",
)

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """List the projects and the packages in the navigation."""
    projects = [{_title(ROOT / source): page} for source, page in _project_pages().items()]
    reference = [{package: f"reference/{package}.md"} for package in PACKAGES]
    for section in config.nav:
        for part in section.get("Reference", ()) if isinstance(section, dict) else ():
            if "Projects" in part:
                part["Projects"] = projects
            if "Python API" in part:
                part["Python API"] = reference
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages; what they hold is written for the repository, see `translate`."""
    pages = PAGES | _project_pages()
    for source, page in pages.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=translate(text, source, pages)))
    for package in PACKAGES:
        text = f"# {package}\n\n::: {package}\n    options:\n      show_root_heading: false\n"
        files.append(File.generated(config, f"reference/{package}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page of docs/ to pages of the site."""
    source = f"docs/{page.file.src_uri}"
    return translate(markdown, source, PAGES | _project_pages()) if (ROOT / source).is_file() else markdown


def translate(text: str, source: str, pages: dict[str, str]) -> str:
    """Return a text whose links lead to pages of the site; one to a file that has no page is plain text.

    Args:
        text: Markdown, whose links are relative to `source`.
        source: a file of the repository.
        pages: the pages of other files.
    """
    here = posixpath.dirname(pages.get(source, source.removeprefix("docs/")))

    def turn(match: re.Match[str]) -> str:
        image, words, target, anchor = match.groups()
        if "://" in target or not target:
            return match.group()
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        page = pages.get(file) or pages.get(f"{file}/README.md")
        if page is None and file.startswith("docs/"):
            page = file.removeprefix("docs/")
        if page is None:
            return words
        return f"{image}[{words}]({posixpath.relpath(page, here or '.')}{anchor or ''})"

    # what stands in blocks of code is no link
    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(turn, part) for part in parts)


def _project_pages() -> dict[str, str]:
    projects = sorted((ROOT / "lazycfg" / "projects").glob("*/README.md"))
    return {str(p.relative_to(ROOT)): f"projects/{p.parent.name}.md" for p in projects}


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
