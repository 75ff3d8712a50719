"""What mypy and pyright say of nested trees, with no plugin."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lazycfg

HEADER = """
from collections.abc import Callable

from lazycfg import LazyCall as L, LazyPartial, REQUIRED, instantiate, ref


class Inner:
    def __init__(self, *, x: int, name: str = "n") -> None: ...


class Outer:
    def __init__(
        self, *, inner: Inner, parts: list[Inner] | None = None, make: Callable[..., Inner] | None = None
    ) -> None: ...


def function(a: int, b: str = "") -> Inner: ...

"""

# Each line with whether a type checker must object to it.
LINES = [
    ("L(Outer)(inner=L(Inner)(x=1))", False),
    ("L(Outer)(inner=L(Inner)(x=1, name='a'), parts=[L(Inner)(x=2)])", False),
    ("L(Outer)(inner=L(function)(1, b='x'))", False),
    ("L(Outer)(inner=L(Inner)(x=1), make=LazyPartial(Inner)(name='a'))", False),
    ("L(Outer)(inner=L(Inner)(x=1), make=L.partial(Inner)())", False),
    ("L('pkg.mod.Name')(anything=1)", False),
    ("L(Inner)(x=REQUIRED)", False),
    ("L(function)(a=L.attr(L(Inner)(x=1), 'x'))", False),
    ("L(Inner)(x=ref('..width'))", False),
    ("instantiate(L(Inner)(x=1))", False),
    ("L(Outer)(inner=L(Inner)(y=1))", True),
    ("L(Outer)(inner=L(Inner)(x=1), part=[])", True),
    ("L(Outer)(inner=L(Inner)(x='1'))", True),
    ("L(Outer)(inner=L(Inner)())", True),
    ("L(Outer)(inner=3)", True),
    ("L(Outer)(inner=L(Inner)(x=1), parts=[L(Outer)(inner=L(Inner)(x=1))])", True),
    ("L(function)('a')", True),
    ("L(3)", True),
]


ROOT = str(Path(lazycfg.__file__).parent.parent)


@pytest.fixture(autouse=True)
def _mypy_finds_the_package(monkeypatch):
    monkeypatch.setenv("MYPYPATH", ROOT)


@pytest.fixture(autouse=True)
def _recursion_limit_as_before():
    """Take back the limit that mypy sets for the whole process."""
    limit = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(limit)


@pytest.fixture(scope="module")
def snippet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("typing")
    path = folder / "snippet.py"
    path.write_text(HEADER + "\n".join(line for line, _ in LINES) + "\n")
    return path


def verdicts(lines_with_errors):
    first = HEADER.count("\n") + 1
    return [(line, first + i in lines_with_errors) for i, (line, _) in enumerate(LINES)]


def test_mypy(snippet):
    api = pytest.importorskip("mypy.api")
    out, err, _ = api.run([str(snippet), "--cache-dir", str(snippet.parent / "cache"), "--no-error-summary"])
    assert not err
    wrong = {
        int(line.split(":")[1]) for line in out.splitlines() if ": error:" in line and snippet.name in line
    }
    assert verdicts(wrong) == LINES, out


def pyright_errors(target, folder):
    """Return what pyright finds in a file or folder, started in `folder`; skip where it cannot start."""
    program = shutil.which(
        "pyright", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if program is None:
        pytest.skip("pyright is not installed")
    command = [program, "--outputjson", "--pythonpath", sys.executable, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        pytest.skip(f"pyright cannot start here: {done.stderr[-200:]}")
    return [d for d in report["generalDiagnostics"] if d["severity"] == "error"]


@pytest.mark.slow
def test_the_files_of_the_zoo_have_no_type_errors():
    found = pyright_errors(Path(ROOT) / "model_zoo", ROOT)
    assert not found, json.dumps(found[:5], indent=1)


def test_pyright(snippet):
    # An editable install is a hook of the import system, which a static checker cannot follow.
    config = {"extraPaths": [ROOT], "pythonVersion": "3.11"}
    (snippet.parent / "pyrightconfig.json").write_text(json.dumps(config))
    found = pyright_errors(snippet, snippet.parent)
    wrong = {
        d["range"]["start"]["line"] + 1 for d in found if d["range"]["start"]["line"] >= HEADER.count("\n")
    }
    assert verdicts(wrong) == LINES, json.dumps(found, indent=1)


def test_the_public_names_have_types(tmp_path):
    api = pytest.importorskip("mypy.api")
    path = tmp_path / "names.py"
    path.write_text(
        "from lazycfg import LazyCall as L, check, instantiate, attr\n"
        "def f(*, x: int) -> str: return ''\n"
        "reveal_type(L(f)(x=1))\nreveal_type(L.partial(f)())\nreveal_type(check(L(f)(x=1)))\n"
    )
    out, _, _ = api.run([str(path), "--strict", "--cache-dir", str(tmp_path / "cache")])
    shown = [line for line in out.splitlines() if "Revealed type" in line]
    assert len(shown) == 3
    assert "str" in shown[0]
    assert "str" in shown[1]
    assert "list[lazycfg.config.building.problems.Problem]" in shown[2]
    assert "error:" not in out


@pytest.mark.slow
def test_an_editable_install_is_seen_from_another_folder(tmp_path, monkeypatch):
    """No search path is set: both checkers find the package where the install put it."""
    monkeypatch.delenv("MYPYPATH")
    path = tmp_path / "mine.py"
    path.write_text(
        "from lazycfg import LazyCall as L, model_zoo\n"
        "from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model\n"
        "from lazycfg.structures import Boxes\n"
        "model.backbone.bottom_up.freeze_at = 2\n"
        "wrong: int = L(Boxes)(tensor=3)\n"
        "reveal_type(model_zoo.get_config('x'))\n"
    )
    command = [sys.executable, "-m", "mypy", path.name, "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert "import-not-found" not in done.stdout
    assert "Node" in done.stdout
    assert {5} == {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}, done
    assert {d["range"]["start"]["line"] + 1 for d in pyright_errors(path, tmp_path)} == {5}
