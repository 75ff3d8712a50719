"""The house itself: what is packaged, what importing costs, what stands on top."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def imports_of(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_the_folders_at_the_root_lead_into_the_package():
    for name in ("model_zoo", "projects"):
        assert (ROOT / name).resolve() == ROOT / "lazycfg" / name


def test_the_library_imports_neither_the_zoo_nor_the_projects():
    above = ("lazycfg.model_zoo", "lazycfg.projects")
    # These stand above everything, as the tools do.
    top = {"cli", "compat", "convert", "model_zoo", "projects"}
    files = [f for f in (ROOT / "lazycfg").rglob("*.py") if f.relative_to(ROOT).parts[1] not in top]
    assert len(files) > 100
    offenders = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in imports_of(file)
        if name.startswith(above)
    }
    # `Predictor.from_zoo` alone, when it is called.
    assert offenders == {"lazycfg/engine/predictor.py: lazycfg.model_zoo"}


def test_importing_lazycfg_imports_nothing_heavy():
    code = "import sys, json, lazycfg; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "omegaconf", "yaml", "numpy", "rich"} & set(json.loads(out))


def test_the_names_of_the_core_import_none_of_the_slow_parts_of_the_standard_library():
    code = (
        "import sys, json; before = set(sys.modules)\n"
        "from lazycfg import LazyCall, LazyConfig, check, instantiate\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"typing", "inspect", "dataclasses", "ast", "logging"} & set(json.loads(out))


def test_importing_the_library_has_no_side_effects():
    code = """
import logging, torch, warnings
before = (torch.get_num_threads(), list(logging.root.handlers), logging.root.level, torch.get_default_dtype())
import lazycfg.engine, lazycfg.modeling, lazycfg.data, lazycfg.evaluation
import lazycfg.checkpoint, lazycfg.visualization
after = (torch.get_num_threads(), list(logging.root.handlers), logging.root.level, torch.get_default_dtype())
assert before == after, (before, after)
assert not logging.getLogger("lazycfg").handlers
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# The lowest class needs some of what is built on it, when it is first used.
LAZY = {
    "tree.keys": {"signatures.binding"},
    "tree.lazy_call": {"signatures.binding"},
    "tree.node": {
        "tree.chains",
        "tree.merging",
        "tree.parents",
        "tree.reading",
        "tree.repr",
        "tree.traversal",
    },
}


def test_the_construction_core_has_no_import_circle():
    """Also counting imports inside functions; those for type checkers only are left out."""
    core = ROOT / "lazycfg" / "config"
    files = {".".join(f.relative_to(core).with_suffix("").parts): f for f in core.rglob("*.py")}
    imported = {}
    for name, file in files.items():
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
        found = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lazycfg.config"):
                module = node.module.removeprefix("lazycfg.config").lstrip(".")
                found |= {module, *(f"{module}.{alias.name}" for alias in node.names)} & files.keys()
        lazy = LAZY.get(name, set())
        assert lazy <= found, f"{name} no longer imports {lazy - found}: shorten the list"
        imported[name] = found - lazy
    assert len(imported) > 80
    while bottom := {name for name, found in imported.items() if not found & imported.keys()}:
        imported = {name: found for name, found in imported.items() if name not in bottom}
    circles = {name: sorted(found & imported.keys()) for name, found in imported.items()}
    assert not circles


def test_the_citation_names_the_version():
    from lazycfg import __version__

    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_actions_of_the_workflow_are_pinned():
    used = re.findall(r"uses: (.*)", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", each)] == []


def test_commands_that_texts_name_exist():
    from lazycfg.cli.parser import make_parser

    (commands,) = (a.choices for a in make_parser()._actions if isinstance(a.choices, dict))
    files = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "lazycfg").rglob("*.py")]
    named = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in re.findall(
            r"(?:`|^\$ |^)lazycfg ([a-z]+)\b", file.read_text(encoding="utf-8"), re.MULTILINE
        )
        if name not in commands
    }
    assert named == set()


def test_files_of_tests_have_names_of_their_own():
    """Pytest imports them by their names, so of two that share one only the first would run."""
    names = [
        file.name
        for file in (ROOT / "tests").rglob("*.py")
        if file.name not in ("conftest.py", "__init__.py")
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []
