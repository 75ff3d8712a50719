"""A training with Mosaic and MixUp that end before it does, from a config file in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lazycfg import LazyConfig
from lazycfg.engine import PreflightError, train

HERE = Path(__file__).parent
CONFIG = """
from small_jobs import small_job
from lazycfg import LazyCall as L
from lazycfg.data import MixUp, Mosaic
from lazycfg.data import transforms as T
from lazycfg.engine import LateAugmentations

job = small_job("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py", steps={steps}, lr=6e-3)
model, dataloader, optimizer = job.model, job.dataloader, job.optimizer
lr_multiplier, train = job.lr_multiplier, job.train
dataloader.train.num_workers = {workers}
dataloader.train.mapper.augmentations = [
    L(Mosaic)(size=64, prob=0.5),
    L(T.RandomAffine)(scale=(0.8, 1.4), size=64),
    L(MixUp)(prob=0.2),
    L(T.RandomHSV)(),
    L(T.RandomFlip)(),
]
train.hooks = [L(LateAugmentations)(last=0.5)]
train.checkpointer.period = 3
del job
"""
KILL = """
from lazycfg.engine import CallbackHook
def kill(trainer):
    import os, signal
    if trainer.iter == 4:
        os.kill(os.getpid(), signal.SIGKILL)
train.hooks = [*train.hooks, L(CallbackHook)(after_step=kill)]
"""


def written(folder, steps, workers=0, more=""):
    path = folder / "config.py"
    path.write_text(CONFIG.format(steps=steps, workers=workers) + more)
    return path


def command(config, *arguments):
    script = HERE.parents[1] / "tools" / "train_net.py"
    return subprocess.run(
        [sys.executable, script, "--config-file", config, *arguments],
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_run_with_workers_resumes_to_the_bits_of_one_without(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    cfg = LazyConfig.load(written(tmp_path, 8))
    cfg.train.output_dir = str(whole)
    train(cfg)
    killed = command(written(tmp_path, 8, 2, KILL), f"train.output_dir={parts}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    cfg = LazyConfig.load(written(tmp_path, 8, 1))
    cfg.train.output_dir = str(parts)
    train(cfg, resume=True)
    first, second = (load_file(folder / "model_final.safetensors") for folder in (whole, parts))
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


def test_what_the_last_part_cannot_do_is_told_before_step_1(tmp_path):
    cfg = LazyConfig.load(written(tmp_path, 8))
    cfg.train.output_dir = str(tmp_path / "run")
    cfg.dataloader.train.mapper.augmentations = []
    with pytest.raises(PreflightError, match=r"train\.hooks\.0: .*nothing to leave out"):
        train(cfg)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_it_learns(tmp_path):
    done = command(written(tmp_path, 200), f"train.output_dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["bbox"]["AP50"] >= 18
    assert results["segm"]["AP50"] >= 8
