"""Checkpoints: complete, atomic, and exact on resuming."""

import logging
import os
import random

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch import nn

from lazycfg.checkpoint import Checkpointer, RandomState, load_weights, save_weights
from lazycfg.checkpoint.files import read_metadata


class Counter:
    def __init__(self, value=0):
        self.value = value

    def state_dict(self):
        return {
            "value": self.value,
            "nested": {"best": np.float64(0.5), "history": [(1, 2.0)], 3: np.arange(3)},
        }

    def load_state_dict(self, state):
        self.value = state["value"]


def run(steps, folder, *, stop_after=None, resume=False):
    """A few steps of training; returns the weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    states = {"optimizer": optimizer, "scheduler": scheduler, "random": RandomState()}
    checkpointer = Checkpointer(model, folder, **states)
    torch.manual_seed(1)
    start = checkpointer.resume_or_load(None, resume=resume).get("iteration", -1) + 1
    for step in range(start, steps):
        if step == stop_after:
            return None
        optimizer.zero_grad()
        model(torch.rand(3, 4)).sum().add(random.random() * float(np.random.rand())).backward()
        optimizer.step()
        scheduler.step()
        if step == 2:
            checkpointer.save("model_0000002", iteration=step)
    return model.state_dict()


def test_a_resumed_run_ends_bit_equal(tmp_path):
    whole = run(6, tmp_path / "a")
    assert run(6, tmp_path / "b", stop_after=4) is None
    random.seed(99)
    np.random.seed(99)
    resumed = run(6, tmp_path / "b", resume=True)
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key


def test_files_are_safe_and_have_plain_names(tmp_path):
    model = nn.DataParallel(torch.compile(nn.Linear(2, 2)))
    path = Checkpointer(model, tmp_path / "out", counter=Counter(3)).save("model_final", iteration=7)
    assert path == tmp_path / "out" / "model_final.safetensors"
    assert set(load_file(path)) == {"weight", "bias"}
    torch.load(tmp_path / "out" / "model_final.trainer.pt", weights_only=True)
    assert sorted(os.listdir(tmp_path / "out")) == [
        "last_checkpoint", "model_final.safetensors", "model_final.sha256", "model_final.trainer.pt",
    ]  # fmt: skip


def test_load_restores_states_and_extra(tmp_path):
    model, counter = nn.Linear(2, 2), Counter(3)
    checkpointer = Checkpointer(model, tmp_path, counter=counter)
    assert not checkpointer.has_checkpoint()
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        checkpointer.get_checkpoint_file()
    checkpointer.save("a", iteration=7, results={"AP": 0.5})
    saved = model.weight.clone()
    nn.init.zeros_(model.weight)
    counter.value = 0
    assert checkpointer.has_checkpoint()
    assert checkpointer.load(checkpointer.get_checkpoint_file()) == {"iteration": 7, "results": {"AP": 0.5}}
    assert torch.equal(model.weight, saved)
    assert counter.value == 3


def test_initial_weights_take_no_states(tmp_path):
    Checkpointer(nn.Linear(2, 2), tmp_path / "pre", counter=Counter(3)).save("model_final", iteration=7)
    counter = Counter(0)
    checkpointer = Checkpointer(nn.Linear(2, 2), tmp_path / "new", counter=counter)
    assert checkpointer.resume_or_load(tmp_path / "pre" / "model_final.safetensors", resume=True) == {}
    assert checkpointer.last_report.loaded == ("weight", "bias")
    assert counter.value == 0


def test_resume_comes_before_initial_weights_only_when_asked(tmp_path):
    model = nn.Linear(2, 2)
    save_weights(nn.Linear(2, 2), tmp_path / "init.safetensors")
    checkpointer = Checkpointer(model, tmp_path)
    checkpointer.save("model_0", iteration=0)
    own = model.weight.clone()
    assert checkpointer.resume_or_load(tmp_path / "init.safetensors", resume=False) == {}
    assert not torch.equal(model.weight, own)
    assert checkpointer.resume_or_load(tmp_path / "init.safetensors", resume=True) == {"iteration": 0}
    assert torch.equal(model.weight, own)


def test_shared_and_strided_tensors(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.b = nn.Linear(3, 3)
            self.b.weight = self.a.weight
            base = torch.arange(12.0)
            self.register_buffer("view", base[2:6])
            self.register_buffer("overlap", base[4:8])
            self.register_buffer("strided", torch.arange(6.0).reshape(2, 3).t())
            self.register_buffer("empty", torch.zeros(0))
            self.register_buffer("empty2", torch.zeros(0, 3))

    model, other = Tied(), Tied()
    nn.init.zeros_(other.a.weight)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    save_weights(model, tmp_path / "x.safetensors")
    assert "b.weight" not in load_file(tmp_path / "x.safetensors")
    load_weights(other, tmp_path / "x.safetensors")
    for key, value in other.state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_old_checkpoints_go(tmp_path):
    checkpointer = Checkpointer(nn.Linear(1, 1), tmp_path, max_to_keep=2)
    checkpointer.save("model_9999999")  # of an earlier, longer run
    checkpointer.save("model_best")
    for step in (1, 2, 3):
        checkpointer.save(f"model_000000{step}")
    checkpointer.save("model_final")
    names = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert names == [f"model_{n}.safetensors" for n in ("0000002", "0000003", "best", "final")]
    assert len(list(tmp_path.glob("*.trainer.pt"))) == 4
    with pytest.raises(ValueError, match="max_to_keep=0"):
        Checkpointer(nn.Linear(1, 1), tmp_path, max_to_keep=0)


def test_a_failed_save_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    model = nn.Linear(2, 2)
    checkpointer = Checkpointer(model, tmp_path)
    checkpointer.save("model_0", iteration=0)
    kept = model.weight.clone()

    def full(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr("lazycfg.checkpoint.checkpointer.save_file", full)
    with pytest.raises(OSError, match="no space"):
        checkpointer.save("model_1", iteration=1)
    nn.init.zeros_(model.weight)
    assert checkpointer.resume_or_load(None) == {"iteration": 0}
    assert torch.equal(model.weight, kept)
    assert not list(tmp_path.glob("*.partial*")) + list(tmp_path.glob(".partial*"))


def test_halves_of_different_saves_are_refused(tmp_path):
    checkpointer = Checkpointer(nn.Linear(2, 2), tmp_path)
    checkpointer.save("a")
    checkpointer.save("b")
    (tmp_path / "a.trainer.pt").replace(tmp_path / "b.trainer.pt")
    with pytest.raises(ValueError, match="not saved together"):
        checkpointer.resume_or_load(None)
    (tmp_path / "b.trainer.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"cannot resume.*b\.trainer\.pt"):
        checkpointer.resume_or_load(None)
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"names b\.safetensors, which is gone.*a\.safetensors"):
        checkpointer.resume_or_load(None)


def test_states_must_be_there(tmp_path, caplog):
    Checkpointer(nn.Linear(2, 2), tmp_path, counter=Counter(), old=Counter()).save("a")
    with pytest.raises(ValueError, match="no conter; did you mean 'counter'"):
        Checkpointer(nn.Linear(2, 2), tmp_path, conter=Counter()).resume_or_load(None)
    with caplog.at_level(logging.WARNING):
        Checkpointer(nn.Linear(2, 2), tmp_path, counter=Counter()).resume_or_load(None)
    assert "the state of old, which" in caplog.text


def test_states_that_would_need_code_are_refused(tmp_path):
    class Odd(Counter):
        def state_dict(self):
            return {"ok": 1, "items": [1, {"deep": Counter()}]}

    with pytest.raises(TypeError, match=r"hooks\['items'\]\[1\]\['deep'\] is a .*Counter"):
        Checkpointer(nn.Linear(1, 1), tmp_path, hooks=Odd()).save("a")
    with pytest.raises(TypeError, match="extra"):
        Checkpointer(nn.Linear(1, 1), tmp_path).save("a", thing=object())
    with pytest.raises(TypeError, match="hooks= is a int"):
        Checkpointer(nn.Linear(1, 1), tmp_path, hooks=3)
    assert not os.listdir(tmp_path)


def test_whatever_is_saved_can_be_read_back(tmp_path):
    class Long(Counter):
        def state_dict(self):
            nested = 1
            for _ in range(25):
                nested = [nested]
            history = [(float(n), n) for n in range(200_000)]
            odd = {2**59: "é\x00", "big": 2**100, 0.5: b"\xff", "none": None}
            return {"history": history, "nested": nested, "odd": odd}

        def load_state_dict(self, state):
            assert state == self.state_dict()
            self.value = "read"

    long = Long()
    Checkpointer(nn.Linear(1, 1), tmp_path, long=long).save("a")
    Checkpointer(nn.Linear(1, 1), tmp_path, long=long).resume_or_load(None)
    assert long.value == "read"
    deep = 1
    for _ in range(40):
        deep = [deep]
    for bad in ({2**70: 1}, {(1, 2): 3}, deep):
        long.state_dict = lambda bad=bad: {"bad": bad}
        with pytest.raises(TypeError, match=r"long\['bad'\]|long has the key|long\["):
            Checkpointer(nn.Linear(1, 1), tmp_path, long=long).save("b")


def test_a_torch_file_can_be_loaded_too(tmp_path):
    model = nn.Linear(2, 2)
    torch.save({"model": model.state_dict(), "iteration": 5}, tmp_path / "d2.pth")
    other = nn.Linear(2, 2)
    assert Checkpointer(other, tmp_path, counter=Counter(4)).load(tmp_path / "d2.pth") == {}
    assert torch.equal(model.weight, other.weight)


def _two_processes(rank, folder, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", rank=rank, world_size=2, init_method=f"file://{folder}/rendezvous"
    )
    torch.manual_seed(rank)
    model = nn.parallel.DistributedDataParallel(nn.Linear(2, 2))
    checkpointer = Checkpointer(model, folder / "out", random=RandomState(), counter=Counter(rank + 1))
    checkpointer.save("a", iteration=1)
    expected = torch.rand(3)
    torch.manual_seed(50)
    checkpointer.stateful["counter"].value = 0
    assert checkpointer.resume_or_load(None) == {"iteration": 1}
    assert torch.equal(torch.rand(3), expected)
    assert checkpointer.stateful["counter"].value == 1
    # A failure on the main process reaches the other.
    folder = folder / "file"
    if rank == 0:
        folder.write_text("in the way of a directory")
    torch.distributed.barrier()
    with pytest.raises((OSError, RuntimeError)):
        Checkpointer(model, folder / "x").save("b")
    results[rank] = expected.sum().item()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_every_process_keeps_its_own_generators(tmp_path):
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(_two_processes, args=(tmp_path, results), nprocs=2)
        assert results[0] != results[1]


def test_what_is_frozen_without_initial_weights_is_told(tmp_path, caplog):
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    Checkpointer(model, tmp_path).resume_or_load("")
    assert "frozen" not in caplog.text
    model[0].requires_grad_(False)
    Checkpointer(model, tmp_path).resume_or_load("")
    assert "8 parameters are frozen and keep their initial values, from 0.weight on" in caplog.text


def test_equal_weights_are_equal_files(tmp_path):
    texts = {name: f'"{name}" ä\n\x7f\x01' for name in "gfedcba"}
    for number in range(3):
        model = nn.Linear(2, 2)
        nn.init.ones_(model.weight)
        nn.init.zeros_(model.bias)
        save_weights(model, tmp_path / f"{number}.safetensors", metadata=texts)
    first, *others = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert all(other == first for other in others)
    assert read_metadata(tmp_path / "0.safetensors").items() >= texts.items()
    assert load_file(tmp_path / "0.safetensors")["weight"].tolist() == [[1.0, 1.0], [1.0, 1.0]]
