import os
import signal
import subprocess
import sys

import pytest

from lazycfg.utils import atomic_write, closest, open_for_appending, remove_partial_files


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


def test_a_temporary_file_is_never_somebody_elses(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 16)
    (tmp_path / f".partial-{'0' * 16}-file.txt").symlink_to(victim)
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "file.txt") as partial:
        partial.write_text("secret")
    assert victim.read_text() == "mine"
    # A link of the target's own name is replaced, not followed
    monkeypatch.undo()
    (tmp_path / "link.txt").symlink_to(victim)
    with atomic_write(tmp_path / "link.txt") as partial:
        partial.write_text("new")
    assert (victim.read_text(), (tmp_path / "link.txt").read_text()) == ("mine", "new")
    assert not (tmp_path / "link.txt").is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_have_the_mode_of_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "file") as partial:
            partial.unlink()  # as a writer that renames a file of its own into place
            os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_only_our_own_leftovers_are_removed(tmp_path):
    ours = tmp_path / f".partial-{'a' * 16}-model.pth"
    others = [
        tmp_path / ".partial-1234-x",
        tmp_path / ".partial-",
        tmp_path / "x",
        tmp_path / ".config.yaml.ab",
    ]
    for path in [ours, *others]:
        path.write_text("left")
    (tmp_path / f".partial-{'b' * 16}-folder").mkdir()
    (tmp_path / f".partial-{'c' * 16}-link").symlink_to(others[0])
    with atomic_write(tmp_path / "live") as partial:
        partial.write_text("live")
        assert remove_partial_files(tmp_path) == [ours]
    assert (tmp_path / "live").read_text() == "live"
    assert all(path.exists() for path in others)
    assert remove_partial_files(tmp_path / "nowhere") == []


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes")
def test_nothing_is_appended_through_a_link_or_to_a_pipe(tmp_path):
    with open_for_appending(tmp_path / "log") as file:
        file.write("é")
    with open_for_appending(tmp_path / "log") as file:
        file.write("b")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "éb"
    (tmp_path / "link").symlink_to(tmp_path / "log")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=name):
            open_for_appending(tmp_path / name)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "éb"
