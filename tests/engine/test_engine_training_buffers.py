"""What a model keeps up in training beside its weights survives a restart."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, instantiate
from lazycfg.engine import CallbackHook, train
from lazycfg.engine.batch_stream import RankBuffers
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo import get_config_file

TINY = Path(__file__).parent / "tiny_mask_rcnn.py"


class Stop(Exception):
    pass


def stop(trainer):
    if trainer.iter == 3:
        raise Stop


def job(folder, architecture, hooks=()):
    cfg = LazyConfig.load(TINY)
    backbone = cfg.model.backbone.bottom_up
    model = LazyConfig.load(get_config_file(f"common/models/{architecture}.py")).model
    model.backbone.bottom_up = backbone
    model.backbone.bottom_up.out_features = ["res3", "res4", "res5"]
    model.backbone.out_channels = 32
    model.backbone.top_block.in_channels = 32 if architecture == "fcos" else 96
    model.head.update(input_shape=[ShapeSpec(channels=32)] * 5, conv_dims=[32])
    model.num_classes = 2
    cfg.model = model
    cfg.dataloader.train.mapper.use_instance_mask = False
    cfg.dataloader.train.total_batch_size = 2
    del cfg.dataloader["evaluator"]
    cfg.train.update(output_dir=str(folder), max_iter=6, hooks=list(hooks))
    cfg.train.checkpointer.period = 3
    return cfg


@pytest.mark.parametrize("architecture", ["retinanet", "fcos"])
def test_a_stopped_dense_detector_resumes_to_the_same_bits(tmp_path, architecture):
    train(job(tmp_path / "whole", architecture))
    with pytest.raises(Stop):
        train(job(tmp_path / "stopped", architecture, [L(CallbackHook)(after_step=stop)]))
    train(job(tmp_path / "stopped", architecture), resume=True)
    whole, resumed = (load_file(tmp_path / name / "model_final.safetensors") for name in ("whole", "stopped"))
    assert whole.keys() == resumed.keys()
    assert not any("normalizer" in name for name in whole)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_normalizer_is_part_of_the_training_state(tmp_path):
    model = instantiate(job(tmp_path, "retinanet").model)
    model.loss_normalizer.fill_(17.0)
    state = RankBuffers(model).state_dict()
    # BatchNorm's own statistics are with the weights of this process, the main one
    assert list(state) == ["loss_normalizer"]
    other = instantiate(job(tmp_path, "retinanet").model)
    RankBuffers(other).load_state_dict(state)
    assert other.loss_normalizer == 17.0
    RankBuffers(other).load_state_dict({})  # a checkpoint from before
    assert other.loss_normalizer == 17.0
