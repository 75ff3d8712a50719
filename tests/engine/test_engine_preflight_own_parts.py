"""Parts and models of one's own before the first step, which changes nothing about the training."""

import math

import pytest
import torch
from odd_runs import HERE, OwnEvaluator, job, refused, trained, write_data
from toy_job import ToyModel

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.engine import train
from lazycfg.modeling import DataNeeds, StandardROIHeads


class Unlike(StandardROIHeads):
    """Heads whose number of classes has nothing to do with the data."""

    def data_needs(self):
        return DataNeeds()


def test_a_part_of_ones_own_says_what_it_needs(files, tmp_path):
    cfg = job(tmp_path, *files, num_classes=9)
    cfg.model.roi_heads._target_ = Unlike
    refused(cfg, "model.roi_heads.box_predictor.num_classes")
    cfg.train.extra_classes = True
    trained(cfg)


@pytest.mark.parametrize("fails", ["", "process"])
def test_an_evaluator_of_ones_own(files, tmp_path, fails):
    cfg = job(tmp_path, *files)
    cfg.dataloader.evaluator = L(OwnEvaluator)(fails=fails)
    if fails:
        refused(cfg, "dataloader.evaluator", "no_such_key")
    else:
        assert trained(cfg)["own"]["count"] > 0


class Restless(ToyModel):
    """Draws, counts and changes its buffers wherever it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, batch):
        self.calls += 1
        self.seen += 1
        losses = super().forward(batch)
        return {k: v * (1 + 0.01 * self.calls) for k, v in losses.items()} if self.training else losses


@pytest.mark.parametrize("loader", ["toy", "plain"])
def test_the_training_is_the_same_with_and_without(tmp_path, loader):
    from toy_job import plain_loader

    weights = []
    for name, preflight in (("with", True), ("without", False)):
        cfg = LazyConfig.load(HERE / "toy_config.py")
        cfg.model._target_ = Restless
        if loader == "plain":
            cfg.dataloader.train = L(plain_loader)()
        cfg.train.update(output_dir=str(tmp_path / name), max_iter=8, preflight=preflight)
        train(cfg)
        from safetensors.torch import load_file

        weights.append(load_file(tmp_path / name / "model_final.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


class Frozen(ToyModel):
    def forward(self, batch):
        with torch.no_grad():
            return super().forward(batch)


class Infinite(ToyModel):
    def forward(self, batch):
        result = super().forward(batch)
        return {"loss_fit": result["loss_fit"] * math.inf} if self.training else result


class Plain(ToyModel):
    def forward(self, batch):
        result = super().forward(batch)
        return {**result, "loss_plain": 1.5} if self.training else result


class Mute(ToyModel):
    def forward(self, batch):
        return None if self.training else super().forward(batch)


class Broken(ToyModel):
    def forward(self, batch):
        raise RuntimeError("shapes do not match")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Frozen, ["depend on no parameter"]),
        (Infinite, ["loss_fit", "inf"]),
        (Plain, ["the loss 'loss_plain' is a float", "expected a tensor"]),
        (Mute, ["dict of losses", "NoneType"]),
        (Broken, ["RuntimeError: shapes do not match"]),
    ],
)
def test_a_model_that_cannot_be_trained(tmp_path, kind, words):
    cfg = LazyConfig.load(HERE / "toy_config.py")
    cfg.model._target_ = kind
    cfg.train.output_dir = str(tmp_path / "out")
    refused(cfg, "model", *words)


class Detached(ToyModel):
    def forward(self, batch):
        result = super().forward(batch)
        return {**result, "loss_off": result["loss_fit"].detach()} if self.training else result


def test_a_loss_that_nothing_learns_from_is_remarked_on(tmp_path):
    cfg = LazyConfig.load(HERE / "toy_config.py")
    cfg.model._target_ = Detached
    cfg.train.update(output_dir=str(tmp_path / "out"), max_iter=1)
    train(cfg)
    assert "nothing learns from loss_off: detached" in (tmp_path / "out" / "log.txt").read_text()


def test_a_loader_that_can_be_gone_through_once_is_left_alone(tmp_path):
    from toy_job import toy_test_loader

    cfg = LazyConfig.load(HERE / "toy_config.py")
    batches = [batch for _ in range(3) for batch in toy_test_loader()]
    cfg.dataloader.train = iter(batches)
    cfg.train.update(output_dir=str(tmp_path / "out"), max_iter=9)
    del cfg.dataloader["evaluator"], cfg.dataloader["test"]
    assert train(cfg)["train"]["iterations"] == 9
    assert "can be gone through only once" in (tmp_path / "out" / "log.txt").read_text()


def test_more_objects_than_detections_count_are_remarked_on(files, tmp_path, caplog):
    def crowded(content):
        first = content["annotations"][0]
        content["annotations"] += [{**first, "id": 1000 + i} for i in range(120)]

    caplog.set_level("WARNING", "lazycfg")
    test = write_data(tmp_path, "val", edit=crowded)
    trained(job(tmp_path, files[0], test))
    assert "dataloader.evaluator.max_dets_per_image=122" in caplog.text
