"""Check that the construction core works where nothing else is installed.

Without arguments: build the wheel, install it with `--no-deps` into an empty environment, and use it there.
With `--here`: use the core of this interpreter, where every package that is neither the standard library nor
lazycfg is refused.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PARTS = '''
"""Parts of a config: classes of its own, and a call of each."""
from lazycfg import LazyCall as L


class Head:
    def __init__(self, width: int, depth: int = 2):
        self.width, self.depth = width, depth


class Net:
    def __init__(self, head: Head, name: str = "net"):
        self.head, self.name = head, name


head = L(Head)(width="${..width}")
'''
CONFIG = """
from fractions import Fraction

from lazycfg import LazyCall as L

from .parts import Net, head

model = L(Net)(head=head)
model.width = 8
del model["width"]
head.width = "${size.width}"
size = dict(width=8)
ratio = L(Fraction)(numerator="${size.width}", denominator=3)
train = dict(steps=[1, "${size.width}"], folder="${oc.env:LAZYCFG_NOWHERE,out}")
"""


class OnlyStandardLibrary(MetaPathFinder):
    """Refuses to import what is neither the standard library nor lazycfg."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Raise `ImportError` for a package that has to be installed."""
        top = fullname.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("lazycfg", "lazycfg_configs"):
            raise ModuleNotFoundError(f"No module named {fullname!r} (it is refused here)", name=fullname)


def refused(kind: type[Exception], expected: str, call: Callable[[], object]) -> None:
    """Check that a call ends in an error that says what is expected."""
    try:
        call()
    except kind as error:
        if expected not in str(error):
            raise AssertionError(f"expected {expected!r} in: {error}") from error
    else:
        raise AssertionError(f"no {kind.__name__} was raised")


def use(folder: Path) -> None:
    """Load, override, check, build, explain, save and load again, in every format of the standard library."""
    (folder / "parts.py").write_text(PARTS)
    (folder / "config.py").write_text(CONFIG)
    from lazycfg import LazyConfig, check, diff, explain, hash_of, instantiate, select, to_omegaconf
    from lazycfg.config import CheckError

    cfg = LazyConfig.load(folder / "config.py")
    LazyConfig.apply_overrides(cfg, ["size.width=16", "model.head.depth=3", "+train.lr=1e-3"])
    assert check(cfg) == []
    assert cfg.train.steps == [1, 16]
    assert "override 1 'size.width=16'" in str(explain(cfg, "size.width"))
    built = instantiate(cfg)
    assert (built["model"].head.width, built["model"].head.depth) == (16, 3)
    assert built["ratio"].numerator == 16
    assert built["train"]["folder"] == "out"
    assert "model.head" in select(cfg, "**.head").paths
    for suffix in (".py", ".json"):
        file = folder / f"saved{suffix}"
        LazyConfig.save(cfg, file)
        again = LazyConfig.load(file, trusted=True)
        assert not diff(cfg, again)
        assert hash_of(again) == hash_of(cfg)
        assert instantiate(again)["model"].head.width == 16
    LazyConfig.save(cfg, folder / "saved.yaml")
    refused(ImportError, "pip install pyyaml", lambda: LazyConfig.load(folder / "saved.yaml", trusted=True))
    refused(ImportError, "pip install omegaconf", lambda: to_omegaconf(cfg))
    cfg.model.head.widht = 1
    refused(CheckError, "did you mean 'width'", lambda: check(cfg))
    from lazycfg.cli.main import main as command

    file = str(folder / "config.py")
    for words in (["show", file], ["get", file, "model.head.width"], ["explain", file, "size.width"]):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            status = command(words)
        assert status in (0, None), words
        assert "8" in out.getvalue(), words


def here() -> None:
    """Use the core of this interpreter with nothing but the standard library."""
    sys.meta_path.insert(0, OnlyStandardLibrary())
    with tempfile.TemporaryDirectory() as folder:
        use(Path(folder))
    print("the core works with nothing but the standard library")


def main() -> None:
    """Install the wheel into an empty environment and use it there."""
    with tempfile.TemporaryDirectory() as folder:
        wheels = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, str(ROOT)]
        subprocess.run(wheels, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        bare = Path(folder, "bare")
        venv.create(bare, with_pip=False, clear=True)
        python = bare / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        install = [
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            str(wheel),
        ]
        subprocess.run([sys.executable, *install], check=True)
        subprocess.run([str(python), "-I", str(Path(__file__).resolve()), "--here"], check=True, cwd=folder)


if __name__ == "__main__":
    here() if "--here" in sys.argv[1:] else main()
