"""Two processes that were started with different configs, or of which one is asked to stop."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from test_engine_resume import command, same_weights, toy_config

from lazycfg import LazyConfig
from lazycfg.engine import SettingsError, train
from lazycfg.engine.distributed import check_same_config

CHANGES = {
    "optimizer.lr=0.2": "optimizer.lr: 0.1 in process 0, 0.2 in process 1",
    "train.seed=7": "train.seed: 42 in process 0, 7 in process 1",
    "dataloader.train.total_batch_size=2": "total_batch_size: 4 in process 0, 2 in process 1",
    "train.max_iter=9": "train.max_iter: 24 in process 0, 9 in process 1",
    "+other=[1, 2]": "other[0]: not there in process 0, 1 in process 1",
    "train.hooks=[]": "train.hooks[0]._target_: toy_job.KillAt in process 0, not there in process 1",
}


def _both(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    check_same_config(toy_config("out"), resume=True)
    for override, said in CHANGES.items():
        cfg = toy_config("out")
        if rank == 1:
            LazyConfig.apply_overrides(cfg, [override])
        with pytest.raises(SettingsError) as caught:
            check_same_config(cfg)
        assert said in str(caught.value)
    with pytest.raises(SettingsError, match="resume: True in process 0, False in process 1"):
        check_same_config(toy_config("out"), resume=rank == 0)

    # A run says so in every process, before it writes anything
    cfg = toy_config(Path(folder) / "out")
    if rank == 1:
        cfg.optimizer.lr = 0.2
    with pytest.raises(SettingsError, match=r"optimizer\.lr: 0\.1 in process 0, 0\.2 in process 1"):
        train(cfg)
    assert not (Path(folder) / "out").exists()
    dist.destroy_process_group()


@pytest.mark.slow
def test_configs_that_differ_are_refused_in_all_processes(tmp_path):
    torch.multiprocessing.start_processes(_both, args=(str(tmp_path),), nprocs=2, start_method="spawn")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_signal_to_one_of_two_processes_stops_both_with_a_checkpoint(tmp_path):
    whole = command(f"train.output_dir={tmp_path / 'whole'}", processes=2)
    assert whole.returncode == 0, whole.stderr
    stopped = command(
        f"train.output_dir={tmp_path / 'stopped'}",
        f"+train.hooks.0.signal_at=[8,{int(signal.SIGTERM)}]",
        "+train.hooks.0.rank=1",
        processes=2,
    )
    assert stopped.returncode != 0
    # At the next reading of the losses
    assert (tmp_path / "stopped" / "last_checkpoint").read_text() == "model_0000009.safetensors\n", (
        stopped.stderr
    )
    assert "stopped by SIGTERM after 10 of 24 iterations" in (tmp_path / "stopped" / "log.txt").read_text()
    resumed = command(f"train.output_dir={tmp_path / 'stopped'}", "--resume", processes=2)
    assert resumed.returncode == 0, resumed.stderr
    same_weights(tmp_path / "whole", tmp_path / "stopped")


def _threads_after_training(rank, folder):
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="localhost")
    os.environ["MASTER_PORT"] = (Path(folder) / "port").read_text()
    cfg = toy_config(Path(folder) / "out")
    cfg.train.max_iter = 2
    cfg.train.hooks = []
    train(cfg)
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    assert not [name for name in names if "gloo" in name]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_no_thread_of_the_process_group_is_left_to_abort_the_process_at_its_end(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        (tmp_path / "port").write_text(str(free.getsockname()[1]))
    torch.multiprocessing.start_processes(
        _threads_after_training, args=(str(tmp_path),), nprocs=2, start_method="spawn"
    )


def test_alone_nothing_is_compared():
    assert os.environ.get("WORLD_SIZE", "1") == "1"
    check_same_config({"a": object()})
