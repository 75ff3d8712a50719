"""The Python blocks of every page of docs/ run, one after the other, in an empty folder."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
# These pages start from a trained model or from other files; the test that makes them runs the page.
ELSEWHERE = {
    "run-folder.md": "tests/test_readme.py",
    "your-data.md": "tests/data/test_data_docs.py",
    "extending-models.md": "tests/modeling/test_extending_docs.py",
}


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


PAGES = sorted(
    str(path.relative_to(DOCS))
    for path in DOCS.rglob("*.md")
    if python_blocks(path) and path.name not in ELSEWHERE
)


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for number, block in enumerate(python_blocks(DOCS / page)):
        exec(compile(block, f"{page}[{number}]", "exec"), namespace)


def test_pages_that_run_elsewhere_are_read_there():
    for page, test in ELSEWHERE.items():
        assert page in (DOCS.parent / test).read_text(encoding="utf-8")


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
