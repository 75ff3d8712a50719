"""What a folder of checkpoints says about itself: the last one, checksums, which are old, and why not."""

import errno
import os
import subprocess

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lazycfg.checkpoint import (
    Checkpointer,
    CheckpointError,
    MissingCheckpointError,
    RandomState,
    load_weights,
    read_weights,
    save_weights,
)


def checkpointer(folder, **options):
    return Checkpointer(nn.Linear(2, 2), folder, random=RandomState(), **options)


@pytest.fixture
def folder(tmp_path):
    for step in (6, 13):
        checkpointer(tmp_path).save(f"model_{step:07d}", iteration=step)
    return tmp_path


def spoil(pointer, how):
    pointer.unlink()
    if how == "folder":
        pointer.mkdir()
    elif how == "link":
        pointer.symlink_to("model_0000013.safetensors")
    elif how == "dangling":
        pointer.symlink_to("gone")
    elif how != "missing":
        pointer.write_bytes(how)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "is missing"),
        ("folder", "is no ordinary file"),
        ("link", "is no ordinary file"),
        ("dangling", "is no ordinary file"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe\x00\x80", "cannot be read"),
        (b"\x1b[2J", "is not the name of one file"),
        (b"../x.safetensors", "is not the name of one file"),
        (b"/etc/passwd", "is not the name of one file"),
        (b"a.safetensors\nb.safetensors", "is not the name of one file"),
        (b"model_0000099.safetensors", "names model_0000099.safetensors, which is gone"),
        (b"." * 5000, "not the name of one file"),
    ],
)
def test_a_lost_pointer_is_an_error_that_says_what_there_is(folder, how, said):
    spoil(folder / "last_checkpoint", how)
    before = sorted(os.listdir(folder))
    for look in (
        lambda: checkpointer(folder).resume_or_load(None),
        lambda: checkpointer(folder).has_checkpoint(),
        lambda: checkpointer(folder).get_checkpoint_file(),
    ):
        with pytest.raises(CheckpointError, match=said) as caught:
            look()
        text = str(caught.value)
        assert "model_0000006.safetensors, model_0000013.safetensors" in text
        assert f"echo model_0000013.safetensors > {folder / 'last_checkpoint'}" in text
        assert "train.output_dir=" in text
        assert text.isprintable()
    assert sorted(os.listdir(folder)) == before
    # The remedy works, where the pointer is a file
    if how == "missing" or isinstance(how, bytes):
        (folder / "last_checkpoint").write_text("model_0000006.safetensors\n")
        assert checkpointer(folder).resume_or_load(None) == {"iteration": 6}


def test_weights_without_training_states_are_not_nothing(folder):
    for file in folder.glob("*.trainer.pt"):
        file.unlink()
    (folder / "last_checkpoint").unlink()
    with pytest.raises(CheckpointError, match="without a training state model_0000006"):
        checkpointer(folder).resume_or_load(None)


def test_a_first_checkpoint_that_nothing_names_yet_is_the_last(tmp_path):
    checkpointer(tmp_path).save("model_0000006", iteration=6)
    save_weights(nn.Linear(2, 2), tmp_path / "model_best.safetensors")
    (tmp_path / "last_checkpoint").unlink()
    with pytest.raises(CheckpointError, match="is missing"):  # it was named once
        checkpointer(tmp_path).resume_or_load(None)
    (tmp_path / "model_0000006.sha256").unlink()
    assert checkpointer(tmp_path).resume_or_load(None) == {"iteration": 6}
    (tmp_path / "model_0000006.safetensors").unlink()
    assert checkpointer(tmp_path).resume_or_load(None) == {}


def test_an_empty_folder_has_nothing_to_resume(tmp_path):
    (tmp_path / "R-50.safetensors").write_bytes(b"")
    assert checkpointer(tmp_path).resume_or_load(None) == {}
    assert not checkpointer(tmp_path / "nowhere").has_checkpoint()


@pytest.mark.parametrize("suffix", [".safetensors", ".trainer.pt"])
def test_a_changed_byte_is_refused_wherever_it_is(folder, suffix):
    file = folder / f"model_0000013{suffix}"
    whole = file.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 40, 1)):
        changed = bytearray(whole)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(CheckpointError, match=rf"model_0000013{suffix}") as caught:
            checkpointer(folder).resume_or_load(None)
        assert str(folder) in str(caught.value)
    file.write_bytes(whole)
    assert checkpointer(folder).resume_or_load(None) == {"iteration": 13}


def test_checksums_are_what_sha256sum_reads(folder, caplog):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "model_0000013.sha256"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("OK") == 2
    (folder / "model_0000013.sha256").unlink()
    assert checkpointer(folder).resume_or_load(None) == {"iteration": 13}
    assert "has no checksums" in caplog.text


@pytest.mark.parametrize(
    "content",
    [[1, 2], {"a": 1}, torch.ones(2), {"save_id": 3, "state": {}, "by_rank": [], "extra": {}}, 7],
)
def test_a_foreign_training_state_is_named(folder, content):
    torch.save(content, folder / "model_0000013.trainer.pt")
    with pytest.raises(CheckpointError, match=r"model_0000013\.trainer\.pt is not the training state"):
        checkpointer(folder).resume_or_load(None)


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_a_cut_off_training_state_is_named(folder, size):
    file = folder / "model_0000013.trainer.pt"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"model_0000013\.trainer\.pt"):
        checkpointer(folder).resume_or_load(None)


def test_old_checkpoints_go_by_iteration_not_by_clock(tmp_path):
    writer = checkpointer(tmp_path, max_to_keep=2)
    save_weights(nn.Linear(1, 1), tmp_path / "R_50.safetensors")  # the user's own
    for step in (6, 13, 20):
        path = writer.save(f"model_{step:07d}")
        os.utime(path, (4e9 - step, 4e9 - step))  # the clock was put back: the newest looks oldest
    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == [
        "R_50", "model_0000013", "model_0000020",
    ]  # fmt: skip
    # Gone back to 13: what lies after it is of another run
    writer.save("model_0000014")
    names = sorted(path.name for path in tmp_path.glob("model*"))
    assert names == [
        f"model_{n}.{s}" for n in ("0000013", "0000014") for s in ("safetensors", "sha256", "trainer.pt")
    ]


def test_weights_are_written_as_the_suffix_says(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    for name in ("x.pth", "x.pt"):
        save_weights(model, tmp_path / name, metadata={"classes": "a, b"})
        content = torch.load(tmp_path / name, weights_only=True)
        assert list(content["model"]) == list(model.state_dict())
        assert content["model"]["1.weight"].data_ptr() == content["model"]["0.weight"].data_ptr()
        assert read_weights(tmp_path / name).metadata == {"classes": "a, b"}
        assert (
            load_weights(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), tmp_path / name).problems is False
        )
    save_weights(model, tmp_path / "x.safetensors", metadata={"classes": "a, b"})
    assert "0.weight" in load_file(tmp_path / "x.safetensors")
    assert read_weights(tmp_path / "x.safetensors").metadata["classes"] == "a, b"
    before = sorted(os.listdir(tmp_path))
    for name in ("x.pkl", "x.bin", "x", "x.safetensor", "x.PTH"):
        with pytest.raises(CheckpointError, match="cannot write weights as"):
            save_weights(model, tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == before


def test_files_can_be_read_by_whom_the_umask_lets(folder):
    save_weights(nn.Linear(1, 1), folder / "x.pth")
    save_weights(nn.Linear(1, 1), folder / "x.safetensors")
    umask = os.umask(0)
    os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~umask}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left in"),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 6720 vs 6640"),
            "cannot write .*only a part of it",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot write .*Permission denied"),
    ],
)
def test_why_a_checkpoint_could_not_be_written_is_said_in_one_line(folder, monkeypatch, error, said):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match=said) as caught:
        checkpointer(folder).save("model_0000020")
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    monkeypatch.undo()
    assert checkpointer(folder).resume_or_load(None) == {"iteration": 13}
    assert not list(folder.glob(".partial*"))


def test_what_torch_makes_of_a_full_disk_is_said_as_one(folder, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 6720 vs 6640")

    monkeypatch.setattr(torch, "save", fail)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(OSError, match=f"no space left in {folder}.*--resume"):
        checkpointer(folder).save("model_0000020")


def test_a_folder_that_vanished_is_made_again_and_said(tmp_path, caplog):
    writer = checkpointer(tmp_path / "out")
    writer.save("model_0000006")
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    writer.save("model_0000013")
    assert "was gone" in caplog.text
    assert checkpointer(tmp_path / "out").has_checkpoint()


def test_a_missing_file_is_both_kinds_of_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        checkpointer(tmp_path).get_checkpoint_file()
    with pytest.raises(MissingCheckpointError):
        checkpointer(tmp_path).get_checkpoint_file()
