"""What two processes say to each other."""

import math
import os

import numpy as np
import pytest
import torch
import torch.distributed as dist
from toy_job import ToyModel, ToyRecords, toy_mapper

from lazycfg.engine import Trainer
from lazycfg.evaluation import EvaluationInterrupted, inference_on_dataset
from lazycfg.utils import (
    all_gather,
    broadcast_object,
    gather,
    get_rank,
    get_world_size,
    is_main_process,
    reduce_dict,
    shared_random_seed,
    synchronize,
)


def test_alone_everything_is_what_one_process_has():
    assert (get_rank(), get_world_size(), is_main_process()) == (0, 1, True)
    assert all_gather("a") == gather("a") == ["a"]
    assert broadcast_object({"a": 1}) == {"a": 1}
    values = {"loss": torch.tensor(2.0, requires_grad=True)}
    assert reduce_dict(values)["loss"].item() == 2.0
    assert not reduce_dict(values)["loss"].requires_grad
    assert shared_random_seed() != shared_random_seed()
    synchronize()


def _both(rank, folder):
    os.environ["LOCAL_RANK"] = str(rank)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    assert (get_rank(), get_world_size(), is_main_process()) == (rank, 2, rank == 0)
    assert all_gather({"rank": rank}) == [{"rank": 0}, {"rank": 1}]
    assert gather(rank) == ([0, 1] if rank == 0 else [])
    assert broadcast_object(f"from {rank}", src=1) == "from 1"
    values = {"b": torch.tensor(float(rank)), "a": torch.tensor([2.0 + rank])}
    assert {name: value.item() for name, value in reduce_dict(values).items()} == {"a": 2.5, "b": 0.5}
    assert reduce_dict(values, average=False)["a"].item() == 5.0
    assert len(set(all_gather(shared_random_seed()))) == 1

    # Losses are logged as means, times of data as the slowest; a bad loss of one stops both
    records = ToyRecords(length=8)
    batch = [toy_mapper(records[i], rng=np.random.default_rng(i)) for i in range(4 * rank, 4 * rank + 4)]
    model = ToyModel(noise=False)
    model.load_state_dict(broadcast_object(model.state_dict()))
    mine = model(batch)["loss_fit"].item()
    trainer = Trainer(
        model=model,
        data=iter([batch] * 2 + [[{**batch[0], "target": math.nan if rank else 0.0}]]),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.0),
        max_iter=3,
        log_period=2,
    )
    try:
        trainer.train()
    except FloatingPointError as error:
        message = str(error)
    assert "process 1: loss_fit became nan at iteration 2" in message
    assert "toy/4.png" in message
    logged = trainer.storage.history("loss_fit").values()[0][0]
    assert math.isclose(logged, sum(all_gather(mine)) / 2, rel_tol=1e-5)
    assert len(set(all_gather(mine))) == 2
    # An evaluation that one process is asked to stop ends in both
    with pytest.raises(EvaluationInterrupted) as interrupted:
        inference_on_dataset(model, [batch] * 3, None, should_stop=lambda: 15 * rank)
    assert interrupted.value.reason == 15
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path):
    torch.multiprocessing.start_processes(_both, args=(str(tmp_path),), nprocs=2, start_method="spawn")
