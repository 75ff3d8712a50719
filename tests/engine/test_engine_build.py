"""From a config to the parts of a job."""

import pytest
import torch
from torch import nn

from lazycfg import CheckError
from lazycfg import LazyCall as L
from lazycfg.engine import SettingsError
from lazycfg.engine.build import as_config, build_at, build_parts
from lazycfg.solver import get_default_optimizer_params


class Data:
    built = 0

    def __init__(self, *, classes: int = 3) -> None:
        Data.built += 1
        self.num_classes = classes


class Model(nn.Module):
    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(2, classes)


class Holder:
    def __init__(self, *, dataset: Data, size: int = 1) -> None:
        self.dataset = dataset
        self.size = size


def job(**optimizer):
    data = L(Data)()
    return as_config(
        {
            "model": L(Model)(classes=L.attr(data, "num_classes")),
            "dataloader": {
                "train": L(Holder)(dataset=data, size="${batch}"),
                "test": L(Holder)(dataset=data, size="${..train.size}"),
                "evaluator": L(Holder)(dataset=data),
            },
            "optimizer": L(torch.optim.SGD)(lr=0.1, **optimizer),
            "train": {},
            "batch": 4,
        }
    )


def test_what_the_parts_share_is_built_once():
    before = Data.built
    parts = build_parts(job(), training=True)
    assert Data.built == before + 1
    assert parts.train_loader.dataset is parts.test_loader.dataset is parts.evaluator.dataset
    assert parts.model.fc.out_features == 3
    assert (parts.train_loader.size, parts.test_loader.size) == (4, 4)


@pytest.mark.parametrize(
    "optimizer",
    [
        {},
        {"params": L(get_default_optimizer_params)()},
        {"params": L(get_default_optimizer_params)(model="${model}")},
        {"params": L(get_default_optimizer_params)(base_lr="${..lr}", weight_decay_norm=0.0)},
    ],
)
def test_the_optimizer_is_over_the_parameters_of_the_model(optimizer):
    cfg = job(**optimizer)
    before = cfg.copy()
    parts = build_parts(cfg, training=True)
    (group,) = parts.optimizer.param_groups
    assert {id(p) for p in group["params"]} == {id(p) for p in parts.model.parameters()}
    assert group["lr"] == 0.1
    assert cfg == before


def test_the_optimizer_may_take_the_parameters_of_the_shared_node():
    cfg = job()
    cfg.optimizer.params = L.method(cfg.model, "parameters")()
    parts = build_parts(cfg, training=True)
    assert parts.optimizer.param_groups[0]["params"][0] is parts.model.fc.weight


def test_a_given_model_takes_the_place_of_the_one_in_the_config():
    model = Model(classes=7)
    for optimizer in ({}, {"params": L(get_default_optimizer_params)(model="${model}")}):
        parts = build_parts(job(**optimizer), training=True, model=model)
        assert parts.model is model
        assert parts.optimizer.param_groups[0]["params"][0] is model.fc.weight


def test_evaluation_builds_nothing_of_the_training():
    cfg = job()
    del cfg["optimizer"], cfg.dataloader["train"]
    cfg.dataloader.test.size = 2
    parts = build_parts(cfg, training=False)
    assert parts.train_loader is None
    assert parts.test_loader.size == 2


def test_all_that_is_wrong_is_told_before_anything_is_built():
    cfg = job(momentun=0.9)
    cfg.model.clases = 3
    cfg.dataloader.train.sise = 2
    before = Data.built
    with pytest.raises(CheckError) as caught:
        build_parts(cfg, training=True)
    assert Data.built == before
    message = str(caught.value)
    for part in ("model.clases", "dataloader.train.sise", "optimizer.momentun"):
        assert part in message


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (["model"], "no model; it has dataloader"),
        (["dataloader", "train"], "no dataloader.train; dataloader has test, evaluator"),
        (["optimizer"], "no optimizer"),
    ],
)
def test_a_missing_part_is_named(gone, message):
    cfg = job()
    holder = cfg
    for key in gone[:-1]:
        holder = holder[key]
    del holder[gone[-1]]
    with pytest.raises(SettingsError, match=message):
        build_parts(cfg, training=True)


def test_single_paths():
    built = build_at(job(), ["dataloader.test", "batch"])
    assert built["batch"] == 4
    assert built["dataloader.test"].size == 4
