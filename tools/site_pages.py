"""The pages of the site that are not in docs/: the README and its neighbours, projects, settings, commands,
the Python API.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from lazycfg import LazyConfig
from lazycfg.cli.parser import make_parser
from lazycfg.config import explain
from lazycfg.inspection.comments import comment_of

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Files of the repository, and their pages."""

GENERATED = {
    "lazycfg/model_zoo/common/train.py": "reference/train-settings.md",
    "lazycfg/cli/parser.py": "reference/commands.md",
}
"""Files that pages are made of: in the repository a link leads to the file, on the site to the page."""

PACKAGES = (
    "lazycfg",
    "lazycfg.engine",
    "lazycfg.data",
    "lazycfg.evaluation",
    "lazycfg.export",
    "lazycfg.modeling",
    "lazycfg.layers",
    "lazycfg.structures",
    "lazycfg.solver",
    "lazycfg.checkpoint",
    "lazycfg.tracking",
    "lazycfg.visualization",
    "lazycfg.utils",
    "lazycfg.model_zoo",
)

SEARCH_WORDS = re.compile(r"<!-- search: (.*?) -->\n?")
"""A comment in a page: other words, separated by commas, under which the search finds it first."""

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
        content = translate(text, source, pages | GENERATED)
        files.append(File.generated(config, page, content=content))
    for package in PACKAGES:
        text = f"# {package}\n\n::: {package}\n    options:\n      show_root_heading: false\n"
        files.append(File.generated(config, f"reference/{package}.md", content=text))
    files.append(File.generated(config, "reference/train-settings.md", content=settings_page()))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    files.append(File.generated(config, "llms.txt", content=llms_text(config.nav)))
    return files


def settings_page() -> str:
    """Return the page about what `cfg.train` may hold: the comments of the zoo's file of settings."""
    cfg = LazyConfig.load(ROOT / "lazycfg" / "model_zoo" / "common" / "train.py")
    lines = [
        "# Training settings",
        "",
        "Every key that `cfg.train` may hold, with its default. A run refuses any other key. Set one on the",
        "command line (`lazycfg train CONFIG train.max_iter=1000`) or in a config file",
        "(`train.max_iter = 1000`). `lazycfg doc train.max_iter` prints the same explanation.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    for key, value in cfg.train.items():
        meaning = comment_of(explain(cfg, f"train.{key}")).replace("|", "\\|")
        default = dict(value) if isinstance(value, dict) else value
        lines.append(f"| `{key}` | `{default!r}` | {meaning} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Return the page with the help of each command."""
    os.environ["COLUMNS"] = "80"
    parts = [
        "# Help of every command\n",
        "What `lazycfg COMMAND --help` prints. [The command line](../command-line.md) shows what each",
        "command is for.\n",
    ]
    for action in make_parser()._actions:
        for name, parser in (action.choices or {}).items() if isinstance(action.choices, dict) else ():
            parts.append(f"## lazycfg {name}\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)


def llms_text(nav: list[Any]) -> str:
    """Return the table of contents for language models (llmstxt.org): each page with its first paragraph.

    Args:
        nav: of mkdocs.yml, as `on_config` leaves it.
    """
    sources = {page: ROOT / source for source, page in (PAGES | _project_pages()).items()}
    lines = ["# lazycfg", "", f"> {_first_paragraph(ROOT / 'README.md')}", ""]

    def add(parts: list[Any], heading: str) -> None:
        for part in parts:
            ((title, target),) = part.items()
            if isinstance(target, list):
                if any(isinstance(page, str) for entry in target for page in entry.values()):
                    lines.extend(["", f"## {heading}{title}", ""])
                add(target, f"{heading}{title}: ")
                continue
            source = sources.get(target, ROOT / "docs" / target)
            about = f": {_first_paragraph(source)}" if source.is_file() else ""
            lines.append(f"- [{title}]({target.removesuffix('.md').removesuffix('index') or '.'}/){about}")

    add(nav, "")
    return "\n".join(lines) + "\n"


def _first_paragraph(path: Path) -> str:
    """Return the first paragraph of text below the title, on one line, without marks and links."""
    code_or_comment = r"<!--.*?-->|^```.*?^```"
    text = re.sub(code_or_comment, "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    paragraphs = [part.strip() for part in text.split("\n\n")]
    first = next((p for p in paragraphs if p and p[0] not in "#|!-"), "")
    return " ".join(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", first).replace("**", "").split())


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page of docs/ to pages of the site, and tell the search which pages come first."""
    source = f"docs/{page.file.src_uri}"
    if found := SEARCH_WORDS.search(markdown):
        page.meta["tags"] = [word.strip() for word in found[1].split(",")]
        markdown = SEARCH_WORDS.sub("", markdown)
    if page.file.src_uri.startswith(("reference/lazycfg", "changelog", "migration/names")):
        page.meta["search"] = {"boost": 0.01}  # names of functions would come before every explanation
    if not (ROOT / source).is_file():
        return markdown
    return translate(markdown, source, PAGES | GENERATED | _project_pages())


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
