import os
import signal
import subprocess
import sys

import pytest

from lazycfg.utils import atomic_write, closest


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_write(target) as partial:
        partial.write_text("one")
        assert partial.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "one"
    assert os.listdir(target.parent) == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def write():
        with atomic_write(target) as partial:
            partial.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    code = (
        "import importlib.util, os, signal, sys\n"
        "spec = importlib.util.spec_from_file_location('atomic', sys.argv[2])\n"
        "atomic = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(atomic)\n"
        "with atomic.atomic_write(sys.argv[1]) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    module = sys.modules[atomic_write.__module__].__file__
    done = subprocess.run([sys.executable, "-c", code, str(target), module], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("recieve", ["receive", "other"], "; did you mean 'receive'?"),
        ("resnet", ["ResNet", "FPN"], "; did you mean 'ResNet'?"),
        ("zzz", ["receive"], ""),
        ("anything", [], ""),
    ],
)
def test_closest(name, candidates, expected):
    assert closest(name, candidates) == expected
