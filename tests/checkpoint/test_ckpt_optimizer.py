"""Resuming with another optimizer, other groups or other options: obeyed or refused, never ignored."""

import logging

import pytest
import torch
from torch import nn

from lazycfg.checkpoint import Checkpointer, CheckpointError
from lazycfg.engine.hooks import LRScheduler
from lazycfg.solver import LRMultiplier

SGD = {"lr": 0.1, "momentum": 0.9}


def model_of(width=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, width), nn.Linear(width, 1))


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(4, 2)).square().sum().backward()
    optimizer.step()


def groups_of(model, sizes):
    parameters = list(model.parameters())
    return [{"params": [parameters.pop(0) for _ in range(size)]} for size in sizes]


def run(folder, make, *, save=False, model=None, **states):
    """One step, saved; or resumed."""
    model = model or model_of()
    optimizer = make(model)
    checkpointer = Checkpointer(
        model, folder, optimizer=optimizer, **{k: v(optimizer) for k, v in states.items()}
    )
    if save:
        step(model, optimizer)
        checkpointer.save("model_0")
    else:
        checkpointer.resume_or_load(None)
    step(model, optimizer)
    return optimizer


MAKERS = {
    "SGD": lambda model: torch.optim.SGD(model.parameters(), **SGD),
    "AdamW": lambda model: torch.optim.AdamW(model.parameters(), lr=0.1),
    "Adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.1),
    "Adagrad": lambda model: torch.optim.Adagrad(model.parameters(), lr=0.1),
    "RMSprop": lambda model: torch.optim.RMSprop(model.parameters(), lr=0.1),
}


@pytest.mark.parametrize("old", MAKERS)
@pytest.mark.parametrize("new", MAKERS)
def test_another_optimizer_is_refused_at_loading(tmp_path, old, new):
    run(tmp_path, MAKERS[old], save=True)
    if old == new:
        run(tmp_path, MAKERS[new])
        return
    with pytest.raises(
        CheckpointError, match=f"optimizer does not fit.*state of {old}, the config has {new}"
    ) as error:
        run(tmp_path, MAKERS[new])
    assert f"train.init_checkpoint={tmp_path / 'model_0.safetensors'}" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ((4,), (2, 2), r"1 group of 4 parameters, this run's has 2 groups of 4 parameters together \(2, 2\)"),
        ((2, 2), (1, 3), r"\(2, 2\), this run's has .*\(1, 3\)"),
        ((1, 1, 1, 1), (4,), "4 groups"),
    ],
)
def test_other_groups_are_refused(tmp_path, old, new, said):
    run(tmp_path, lambda model: torch.optim.SGD(groups_of(model, old), **SGD), save=True)
    with pytest.raises(CheckpointError, match=said):
        run(tmp_path, lambda model: torch.optim.SGD(groups_of(model, new), **SGD))


def test_parameters_in_another_order_are_refused_though_all_shapes_agree(tmp_path):
    def job(order, **options):
        model = model_of(width=2)
        model[1] = nn.Linear(2, 2)
        run(
            tmp_path,
            lambda model: torch.optim.SGD([model[index].weight for index in order], **SGD),
            model=model,
            **options,
        )

    job((0, 1), save=True)
    job((0, 1))
    with pytest.raises(CheckpointError, match=r"group 0 had 0\.weight where this run has 1\.weight"):
        job((1, 0))


def resaved(folder, change):
    """The checkpoint with another training state, as if an older version had written it."""
    file = folder / "model_0.trainer.pt"
    content = torch.load(file, weights_only=True)
    change(content["state"]["optimizer"])
    torch.save(content, file)
    (folder / "model_0.sha256").unlink()


def test_a_state_of_another_shape_is_refused(tmp_path):
    run(tmp_path, MAKERS["SGD"], save=True)
    resaved(tmp_path, lambda state: state["state"][2].update(momentum_buffer=torch.ones(7)))
    with pytest.raises(
        CheckpointError, match=r"momentum_buffer of 1\.weight has the shape \[7\], the parameter"
    ):
        run(tmp_path, MAKERS["SGD"])


@pytest.mark.parametrize("new", ["SGD", "AdamW"])
def test_checkpoints_of_an_older_version(tmp_path, new, caplog):
    run(tmp_path, MAKERS["SGD"], save=True)
    resaved(tmp_path, lambda state: state.pop("about"))
    if new == "SGD":
        optimizer = run(tmp_path, lambda model: torch.optim.SGD(model.parameters(), **SGD | {"lr": 0.5}))
        assert optimizer.param_groups[0]["lr"] == 0.5
        return
    with pytest.raises(CheckpointError, match="of another optimizer than AdamW: it has dampening, momentum"):
        run(tmp_path, MAKERS[new])


def test_changed_options_are_obeyed_and_said(tmp_path, caplog):
    run(tmp_path, MAKERS["SGD"], save=True)
    changed = {"lr": 0.5, "momentum": 0.8, "weight_decay": 0.01, "nesterov": True, "dampening": 0}
    with caplog.at_level(logging.WARNING):
        optimizer = run(tmp_path, lambda model: torch.optim.SGD(model.parameters(), **changed))
    assert {key: optimizer.param_groups[0][key] for key in changed} == changed
    for option in ("lr", "momentum", "weight_decay", "nesterov"):
        assert f"another {option}, as the config says: {changed[option]} instead of" in caplog.text
    assert "dampening" not in caplog.text
    assert optimizer.state[optimizer.param_groups[0]["params"][0]]["momentum_buffer"].abs().sum() > 0


def test_what_the_training_itself_has_changed_comes_back(tmp_path, caplog):
    model = model_of()
    optimizer = MAKERS["SGD"](model)
    checkpointer = Checkpointer(model, tmp_path, optimizer=optimizer)
    optimizer.param_groups[0].update(momentum=0.5, lr=0.025)
    checkpointer.save("model_0")
    back = run(tmp_path, MAKERS["SGD"]).param_groups[0]
    assert (back["momentum"], back["lr"]) == (0.5, 0.025)
    assert "instead of" not in caplog.text
    # A new rate keeps what the training made of the old one
    back = run(tmp_path, lambda model: torch.optim.SGD(model.parameters(), **SGD | {"lr": 0.2})).param_groups[
        0
    ]
    assert back["lr"] == pytest.approx(0.05)


def test_what_would_need_a_state_is_refused(tmp_path):
    run(tmp_path, MAKERS["AdamW"], save=True)
    with pytest.raises(CheckpointError, match=r"amsgrad=True .*needs a state"):
        run(tmp_path, lambda model: torch.optim.AdamW(model.parameters(), lr=0.1, amsgrad=True))


@pytest.mark.parametrize("kind", ["multiplier", "step"])
@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_schedules_go_on_from_the_rate_of_the_config(tmp_path, kind, rate):
    def hook(optimizer):
        if kind == "multiplier":
            return LRScheduler(LRMultiplier(optimizer, lambda where: 1 - where, 8))
        return LRScheduler(torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5))

    def rates(optimizer, scheduler, steps):
        seen = []
        for _ in range(steps):
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.scheduler.step()
        return seen

    def job(rate):
        model = model_of()
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        return Checkpointer(model, tmp_path, optimizer=optimizer, hook=(it := hook(optimizer))), optimizer, it

    _, optimizer, scheduler = job(rate)
    expected = rates(optimizer, scheduler, 8)
    checkpointer, optimizer, scheduler = job(0.1)
    rates(optimizer, scheduler, 4)
    checkpointer.save("model_0")
    checkpointer, optimizer, scheduler = job(rate)
    checkpointer.resume_or_load(None)
    seen = rates(optimizer, scheduler, 4)
    assert seen == (expected[4:] if rate == 0.1 else pytest.approx(expected[4:]))
