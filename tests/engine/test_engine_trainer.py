import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from toy_job import ToyModel, ToyRecords, toy_mapper

from lazycfg.engine import BatchStream, CallbackHook, HookBase, PeriodicWriter, Trainer
from lazycfg.engine.writers import EventWriter
from lazycfg.solver import ClipGradNorm, ClipGradValue


def batches(size, count=8):
    import numpy as np

    records = ToyRecords(length=size * count)
    samples = [toy_mapper(records[i], rng=np.random.default_rng(i)) for i in range(len(records))]
    return [samples[i * size : (i + 1) * size] for i in range(count)]


def make(loader, *, max_iter=8, lr=0.1, noise=False, optimizer=torch.optim.SGD, **kwargs):
    torch.manual_seed(0)
    model = ToyModel(noise=noise)
    return Trainer(
        model=model,
        data=BatchStream(loader),
        optimizer=optimizer(model.parameters(), lr=lr),
        max_iter=max_iter,
        **kwargs,
    )


def losses(trainer, name="total_loss"):
    return [value for value, _ in trainer.storage.history(name).values()]


def test_it_learns_and_its_steps_are_those_of_plain_torch():
    data = batches(4)
    trainer = make(data)
    trainer.train()

    torch.manual_seed(0)
    model = ToyModel(noise=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = []
    for batch in data:
        loss = sum(model(batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses(trainer) == pytest.approx(expected)
    for a, b in zip(trainer.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert expected[-1] < expected[0]


def test_hooks_are_called_in_order():
    calls = []

    class Recorder(HookBase):
        def before_train(self):
            calls.append("before_train")

        def before_step(self):
            calls.append(f"before_step {self.trainer.iter}")

        def after_backward(self):
            assert all(p.grad is not None for p in self.trainer.model.parameters())
            calls.append("after_backward")

        def after_step(self):
            calls.append("after_step")

        def after_train(self):
            assert self.trainer.finished
            calls.append("after_train")

    make(batches(2), max_iter=2, hooks=[Recorder()]).train(start_iter=0)
    step = ["after_backward", "after_step"]
    assert calls == ["before_train", "before_step 0", *step, "before_step 1", *step, "after_train"]


def test_after_train_is_called_after_an_error_and_says_so():
    seen = []

    def fail(trainer):
        raise RuntimeError("a hook failed")

    hook = CallbackHook(after_step=fail, after_train=lambda trainer: seen.append(trainer.finished))
    with pytest.raises(RuntimeError, match="a hook failed"):
        make(batches(2), hooks=[hook]).train()
    assert seen == [False]


def test_a_hook_may_stop_the_training():
    def stop(trainer):
        trainer.should_stop = trainer.iter == 3

    trainer = make(batches(2), hooks=[CallbackHook(after_step=stop)])
    trainer.train()
    assert trainer.iter == 4
    assert trainer.finished


def test_accumulated_batches_make_the_step_of_one_large_batch():
    small = batches(2, count=8)
    large = [small[i] + small[i + 1] for i in range(0, 8, 2)]
    whole = make(large, max_iter=4)
    whole.train()
    parts = make(small, max_iter=4, accumulate=2)
    parts.train()
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("clip", [ClipGradNorm(0.01), ClipGradValue(0.001)])
def test_gradients_are_clipped_before_the_step(clip):
    trainer = make(batches(4), max_iter=1, lr=1.0, clip_grad=clip)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    moved = torch.cat([(a - b).flatten() for a, b in zip(before, trainer.model.parameters(), strict=True)])
    if isinstance(clip, ClipGradNorm):
        assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)
        assert losses(trainer, "grad_norm")[0] > 0.01
    else:
        assert moved.abs().max().item() == pytest.approx(0.001, rel=1e-3)


def test_bf16_autocast_computes_in_bf16_and_stays_near():
    dtypes = []
    exact = make(batches(4))
    exact.train()
    mixed = make(batches(4), amp_dtype=torch.bfloat16)
    mixed.model.fc1.register_forward_hook(lambda module, args, output: dtypes.append(output.dtype))
    mixed.train()
    assert set(dtypes) == {torch.bfloat16}
    assert not mixed.grad_scaler.is_enabled()
    assert mixed.model.fc1.weight.dtype == torch.float32
    assert losses(mixed) != losses(exact)
    assert losses(mixed) == pytest.approx(losses(exact), rel=0.1, abs=0.02)


class _Reads(TorchDispatchMode):
    """Counts ops whose result the host waits for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "is_nonzero", "nonzero", "equal"):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


class _NoWriter(EventWriter):
    def write(self, storage):
        storage.latest()


def test_no_step_reads_single_values_from_the_device():
    reads = _Reads()
    per_step = []

    def count(trainer):
        per_step.append(len(reads.names))
        reads.names.clear()

    model = nn.Linear(3, 1)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = model

        def forward(self, batch):
            return {"loss_a": self.fc(batch).square().mean(), "loss_b": self.fc(batch).abs().mean()}

    trainer = Trainer(
        model=Model(),
        data=iter([torch.randn(4, 3)] * 20),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, foreach=True),
        max_iter=20,
        log_period=10,
        clip_grad=ClipGradNorm(1.0),
        hooks=[PeriodicWriter([_NoWriter()]), CallbackHook(before_step=count, after_train=count)],
    )
    with reads:
        torch.ones(()).item()
        assert reads.names.pop() == "_local_scalar_dense"
        trainer.train()
    assert per_step == [0] * 21
    assert len(losses(trainer)) == 20


def test_the_first_loss_that_is_not_finite_is_named_with_its_images():
    data = batches(2)
    data[3][1]["target"] = math.inf
    saved = []
    hook = CallbackHook(after_train=lambda trainer: saved.append(trainer.finished))
    with pytest.raises(FloatingPointError) as caught:
        make(data, hooks=[hook], log_period=5).train()
    message = str(caught.value)
    assert "loss_fit became inf at iteration 3" in message
    assert "toy/6.png image_id=6" in message
    assert "toy/7.png image_id=7" in message
    assert "toy/8.png" not in message
    assert "loss_small=" in message
    assert saved == [False]


def test_what_is_no_dict_of_losses_is_refused():
    class Wrong(ToyModel):
        def forward(self, batch):
            return [{"instances": None}]

    model = Wrong()
    trainer = Trainer(
        model=model, data=iter(batches(2)), optimizer=torch.optim.SGD(model.parameters(), lr=1), max_iter=1
    )
    with pytest.raises(TypeError, match="must return a dict of losses, got list"):
        trainer.train()


@pytest.mark.parametrize("wrong", [{"accumulate": 0}, {"log_period": 0}])
def test_counts_below_one_are_refused(wrong):
    with pytest.raises(ValueError, match="expected at least 1"):
        make([], **wrong)


def test_an_empty_loader_is_an_error_not_an_endless_loop():
    with pytest.raises(ValueError, match="no batches"):
        make([]).train()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_fp16_scales_gradients_on_a_gpu():
    torch.manual_seed(0)
    model = ToyModel(noise=False).cuda()
    trainer = Trainer(
        model=model,
        data=BatchStream(batches(4)),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        max_iter=8,
        amp_dtype=torch.float16,
        clip_grad=ClipGradNorm(1.0),
    )
    trainer.train()
    assert trainer.grad_scaler.is_enabled()
    assert losses(trainer)[-1] < losses(trainer)[0]
