"""Saved configs of projects are loaded by another process, in another folder, under the default policy."""

import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg import LazyConfig

PROJECTS = Path(__file__).resolve().parents[2] / "lazycfg" / "projects"
FILES = sorted(
    path
    for path in PROJECTS.glob("*/configs/**/*.py")
    if "common" not in path.parts and path.name != "__init__.py"
)
# Functions, which a policy allows one by one; the project's README names them.
FUNCTIONS = {
    "densepose": ["has_densepose", "has_densepose_or_masks"],
    "tridentnet": ["is_trident_fast", "make_trident_resnet_stages", "make_trident_stage"],
}
READ = """
import sys
from lazycfg import LazyConfig
from lazycfg.config import DEFAULT_ALLOW
from lazycfg.inspection.equality import equal_configs

allow = (*DEFAULT_ALLOW, *sys.argv[1].split())
for saved, original in zip(sys.argv[2::2], sys.argv[3::2]):
    assert equal_configs(LazyConfig.load(saved, allow=allow), LazyConfig.load(original)), original
print(len(sys.argv[2::2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("project", sorted({path.relative_to(PROJECTS).parts[0] for path in FILES}))
def test_every_config_loads_in_another_process(tmp_path: Path, project: str) -> None:
    arguments = []
    for number, path in enumerate(path for path in FILES if path.relative_to(PROJECTS).parts[0] == project):
        for suffix in ("yaml", "json", "py"):
            saved = tmp_path / f"{number}_{path.stem}.{suffix}"
            LazyConfig.save(LazyConfig.load(path), saved)
            arguments += [str(saved), str(path)]
    allowed = " ".join(f"lazycfg.projects.{project}.{name}" for name in FUNCTIONS.get(project, ()))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", READ, allowed, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere)
    assert done.stdout == f"{len(arguments) // 2}\n", done.stderr


def test_what_must_be_allowed_is_in_the_readmes() -> None:
    for project, names in FUNCTIONS.items():
        text = (PROJECTS / project / "README.md").read_text(encoding="utf-8")
        assert all(f"lazycfg.projects.{project}.{name}" in text for name in names)
