"""Started by torchrun: three trainings one after the other, the last of which kills its processes."""

import sys
from pathlib import Path

import torch

from lazycfg import LazyConfig
from lazycfg.engine import distributed_session, train

# No randomness in the model: its losses can be compared with those of one process
QUIET = ("model.noise=False", "train.log_period=1", "train.clip_grad=None", "train.eval_period=0")
RUNS = {"two": QUIET, "whole": (), "killed": ("train.hooks.0.iteration=18",)}


def main(folder: str) -> None:
    with distributed_session(torch.device("cpu")):
        for name, overrides in RUNS.items():
            cfg = LazyConfig.load(Path(__file__).with_name("toy_config.py"))
            LazyConfig.apply_overrides(cfg, [f"train.output_dir={folder}/{name}", *overrides])
            train(cfg)


if __name__ == "__main__":
    main(sys.argv[1])
