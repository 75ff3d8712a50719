"""Every page of docs/ runs in an empty folder: programs, commands and what they print; see `doc_pages.py`."""

import re
from pathlib import Path

import pytest
from doc_pages import read_blocks, run_page, runs_commands

DOCS = Path(__file__).parents[2] / "docs"
# The test of what this page is about runs it, too.
ELSEWHERE = {
    "extending-models.md": "tests/modeling/test_extending_docs.py",
}


PAGES = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if path.relative_to(DOCS).as_posix() not in ELSEWHERE and read_blocks(path.read_text(encoding="utf-8"))
]
# Pages with commands take long.
PARAMETERS = [
    pytest.param(
        path,
        id=path.relative_to(DOCS).as_posix(),
        marks=[pytest.mark.slow] if runs_commands(path.read_text(encoding="utf-8")) else [],
    )
    for path in PAGES
]


@pytest.mark.usefixtures("alias_afresh")
@pytest.mark.parametrize("page", PARAMETERS)
def test_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(encoding="utf-8"), page.relative_to(DOCS).as_posix(), tmp_path)


def test_pages_that_run_elsewhere_are_read_there():
    for page, test in ELSEWHERE.items():
        assert page in (DOCS.parent / test).read_text(encoding="utf-8")


def test_a_page_is_in_the_navigation_and_begins_with_what_it_is_for():
    navigation = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    for path in DOCS.rglob("*.md"):
        name = path.relative_to(DOCS).as_posix()
        assert navigation.count(f": {name}\n") == 1, name
        text = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL).strip()
        title, first = text.split("\n\n", 2)[:2]
        assert title.startswith("# "), name
        assert not first.startswith(("#", "|", "!", "-", "```")), name


def test_links_between_pages_lead_somewhere():
    for path in [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_architecture_page_names_files_that_exist():
    packages = [DOCS.parent / "lazycfg" / name for name in ("config", "inspection", "without_importing")]
    text = (DOCS / "design" / "architecture.md").read_text(encoding="utf-8")
    files = {path.relative_to(core).as_posix() for core in packages for path in core.rglob("*.py")}
    names = {name for file in files for name in (file, file.rpartition("/")[2])}
    tests = {path.name for path in (DOCS.parent / "tests").rglob("test_*.py")}
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", text))
    assert named <= names | tests
    assert len(named) > 40


def test_following_instantiate_takes_few_files():
    core = DOCS.parent / "lazycfg" / "config"
    text = (DOCS / "design" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("## Read these first")[2].partition("\n## ")[0]
    files = re.findall(r"`((?:\w+/)*\w+\.py)`", section)
    lines = sum(len((core / file).read_text(encoding="utf-8").splitlines()) for file in files)
    assert len(files) <= 12
    assert lines <= 3000
