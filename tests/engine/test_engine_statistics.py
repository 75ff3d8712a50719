import numpy as np
import pytest
import torch
from torch import nn
from toy_job import ToyModel, ToyRecords, toy_mapper

from lazycfg.engine import BatchStream, EvalHook, PreciseBN, Trainer, ValidationLoss, seed_all
from lazycfg.engine.hooks import update_bn_stats, validation_losses
from lazycfg.utils import get_event_storage, has_event_storage


def batches(count, size=4, seed=0):
    records = ToyRecords(length=count * size, seed=seed)
    samples = [toy_mapper(records[i], rng=np.random.default_rng(i)) for i in range(len(records))]
    return [samples[i * size : (i + 1) * size] for i in range(count)]


def test_statistics_become_the_means_over_batches():
    torch.manual_seed(0)
    layer = nn.BatchNorm1d(3)
    data = [torch.randn(8, 3) * 2 + 1 for _ in range(5)]
    layer(torch.full((4, 3), 100.0))  # what is there before does not matter
    assert update_bn_stats(layer, data) == 1
    torch.testing.assert_close(layer.running_mean, torch.stack([x.mean(0) for x in data]).mean(0))
    torch.testing.assert_close(layer.running_var, torch.stack([x.var(0) for x in data]).mean(0))
    assert layer.momentum == 0.1


def test_layers_in_evaluation_mode_are_left_alone():
    layer = nn.BatchNorm1d(3).eval()
    assert update_bn_stats(layer, [torch.randn(8, 3)]) == 0
    assert torch.equal(layer.running_mean, torch.zeros(3))


@pytest.fixture
def trainer():
    torch.manual_seed(0)
    model = ToyModel()
    return Trainer(
        model=model,
        data=BatchStream(batches(4)),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
        max_iter=4,
        log_period=2,
    )


def test_neither_changes_what_is_trained(trainer):
    seed_all(1)
    trainer.train()
    plain = [p.detach().clone() for p in trainer.model.parameters()]

    torch.manual_seed(0)
    model = ToyModel()
    hooks = [PreciseBN(2, batches(3, seed=1), num_iter=2), ValidationLoss(2, batches(2, seed=2))]
    other = Trainer(
        model=model,
        data=BatchStream(batches(4)),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
        max_iter=4,
        hooks=hooks,
    )
    seed_all(1)
    other.train()
    for a, b in zip(plain, other.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [iteration for _, iteration in other.storage.history("val/loss_fit").values()] == [1, 3]
    assert other.results["val"]["total_loss"] > 0


def test_what_a_model_records_of_validation_data_is_no_number_of_the_training():
    class Telling(ToyModel):
        def forward(self, batch):
            if self.training and has_event_storage():
                get_event_storage().put_scalar("seen", float(len(batch)))
            return super().forward(batch)

    model = Telling()
    told = lambda: get_event_storage().put_scalar("own", 1.0) or {}  # noqa: E731
    trainer = Trainer(
        model=model,
        data=BatchStream(batches(4)),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
        max_iter=4,
        hooks=[ValidationLoss(2, batches(2, seed=2)), EvalHook(2, told)],
    )
    trainer.train()
    history = trainer.storage.histories()
    assert [iteration for _, iteration in history["seen"].values()] == [0, 1, 2, 3]
    assert [iteration for _, iteration in history["val/loss_fit"].values()] == [1, 3]
    assert [iteration for _, iteration in history["own"].values()] == [1, 3]


def test_validation_losses_use_running_statistics_and_leave_no_trace():
    torch.manual_seed(0)
    linear, norm = nn.Linear(2, 2), nn.BatchNorm1d(2)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm, self.dropout = linear, norm, nn.Dropout(0.5)

        def forward(self, x):
            assert self.training
            return {"loss": self.dropout(self.norm(self.linear(x))).square().mean()}

    model = Model()
    norm.running_mean.fill_(0.3)
    norm.eval()
    data = [torch.randn(4, 2) for _ in range(3)]
    found = validation_losses(model, data)
    with torch.no_grad():
        expected = np.mean([float(norm(linear(x)).square().mean()) for x in data])
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["total_loss"] == found["loss"]
    assert torch.equal(norm.running_mean, torch.full((2,), 0.3))
    assert model.training
    assert not norm.training
    assert validation_losses(model, data, max_batches=1) != found
