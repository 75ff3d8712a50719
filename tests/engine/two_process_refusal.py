"""Started by torchrun: a run in which only the second process meets what is wrong."""

import sys

import pytest
import torch
from toy_job import ToyRecords, toy_mapper

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.engine import PreflightError, distributed_session, train
from lazycfg.utils import get_rank


def broken_on_one(record, *, rng):
    if get_rank() == 1:
        raise ValueError("the disk of the second machine is gone")
    return toy_mapper(record, rng=rng)


def main(config: str, folder: str) -> None:
    from lazycfg.data import build_detection_train_loader

    with distributed_session(torch.device("cpu")):
        cfg = LazyConfig.load(config)
        cfg.train.output_dir = folder
        cfg.dataloader.train = L(build_detection_train_loader)(
            dataset=L(ToyRecords)(),
            mapper=broken_on_one,
            total_batch_size=4,
            aspect_ratio_grouping=False,
            check=False,
        )
        with pytest.raises(PreflightError, match="the disk of the second machine is gone"):
            train(cfg)
        print(f"process {get_rank()} refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
