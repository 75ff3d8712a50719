"""The configs of Rethinking-BatchNorm: sound, equal to the reference's; what they build trains."""

import json
import runpy
from pathlib import Path

import pytest
import torch
from project_readme import ROOT, assert_commands_work
from tiny_families import family, make_inputs
from tiny_rcnn import make_batch, tiny_config
from torch import nn
from zoo_values import assert_builds

from lazycfg import LazyConfig, check, instantiate
from lazycfg.layers import CycleBatchNormList, ShapeSpec
from lazycfg.projects import rethinking_batchnorm
from lazycfg.projects.rethinking_batchnorm import (
    BatchNormBatchStat,
    RetinaNetHead_SharedTrainingBN,
    ShuffledBoxHead,
    ShuffledMaskHead,
)
from lazycfg.utils import SyncCounter
from lazycfg.utils.events import EventStorage

FOLDER = Path(rethinking_batchnorm.__file__).parent
CONFIGS = FOLDER / "configs"
REFERENCE = json.loads((Path(__file__).parent / "reference_values.json").read_text())
ALL = sorted(path.name for path in CONFIGS.glob("*.py"))
# Not among the files of values; the golden files hold their models
OTHERS = {"mask_rcnn_BNhead.py", "retinanet_SyncBNhead.py", "retinanet_SyncBNhead_SharedTraining.py"}


def load(name: str):
    return LazyConfig.load(CONFIGS / name)


def test_all_of_the_reference_are_there() -> None:
    assert set(ALL) == {*REFERENCE, *OTHERS, "quickstart_BNhead_shapes.py"}


@pytest.mark.parametrize("name", ALL)
def test_config_is_sound(name: str) -> None:
    cfg = load(name)
    assert set(cfg) == {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("name", REFERENCE)
def test_config_builds_what_the_reference_builds(name: str) -> None:
    assert_builds(load(name), REFERENCE[name])


def test_the_other_configs_differ_from_these_in_few_values() -> None:
    plain, shuffled = load("mask_rcnn_BNhead.py"), load("mask_rcnn_BNhead_shuffle.py")
    assert plain.train == shuffled.train
    for name in ("retinanet_SyncBNhead.py", "retinanet_SyncBNhead_SharedTraining.py"):
        cfg = load(name)
        assert (cfg.optimizer.lr, cfg.train.max_iter, cfg.dataloader.train.total_batch_size) == (
            0.01,
            270000,
            16,
        )
        with torch.device("meta"):
            head = instantiate(cfg.model).head
        norms = [m for m in head.modules() if isinstance(m, nn.SyncBatchNorm)]
        assert len(norms) == 8
        assert not any(isinstance(m, CycleBatchNormList) for m in head.modules())
        assert isinstance(head, RetinaNetHead_SharedTrainingBN) == ("Shared" in name)


def bn_model(kind: str) -> nn.Module:
    cfg = tiny_config()
    heads = cfg.roi_heads
    heads.box_head.update(conv_dims=[16], fc_dims=[32], conv_norm="BN")
    heads.mask_head.conv_norm = "BN"
    if kind == "shuffle":
        heads.box_head._target_, heads.mask_head._target_ = ShuffledBoxHead, ShuffledMaskHead
    elif kind == "batch_stats":
        heads.box_head.conv_norm = heads.mask_head.conv_norm = BatchNormBatchStat
    torch.manual_seed(0)
    model = instantiate(cfg)
    model.roi_heads.box_predictor.test_score_thresh = 0.0
    return model


@pytest.mark.parametrize("kind", ["BN", "shuffle", "batch_stats"])
def test_training_and_evaluation(kind: str) -> None:
    model = bn_model(kind).train()
    for empty in ((), (0,), (0, 1)):  # with nothing in the foreground the masks' statistics stay as they are
        with EventStorage(0):
            losses = model(make_batch(2, empty=empty))
        sum(losses.values()).backward()
        assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    with torch.no_grad():
        found = model.eval()(make_batch(2))
        assert all(len(x["instances"]) > 0 for x in found)
        model.roi_heads.box_predictor.test_score_thresh = 1.0
        assert [len(x["instances"]) for x in model(make_batch(2))] == [0, 0]


@pytest.mark.parametrize("kind", ["BN", "shuffle", "batch_stats"])
def test_waits_are_those_of_mask_rcnn(kind: str) -> None:
    model = bn_model(kind)
    for training, waits in ((True, 3), (False, 3)):
        model.train(training)
        counts = []
        for n in (1, 2, 8):
            batch = make_batch(3, "bitmasks")[:1] * n
            with torch.set_grad_enabled(training), EventStorage(0):
                model(batch)
                with SyncCounter() as counter:
                    model(batch)
            counts.append(counter)
        assert [c.num_syncs for c in counts] == [waits] * 3, [c.waits() for c in counts]
        ops = [c.num_ops for c in counts]
        assert max(ops) - min(ops) <= 40, ops


def test_retinanet_waits_for_nothing_in_training() -> None:
    model = family("retinanet")
    shape = [ShapeSpec(channels=16)] * 5
    model.head = RetinaNetHead_SharedTrainingBN(
        input_shape=shape, num_classes=80, num_anchors=9, conv_dims=[16, 16], norm=nn.BatchNorm2d
    )
    model.train()
    for dtype in (None, torch.bfloat16):
        with EventStorage(0), torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            batch = make_inputs(2, "retinanet")
            model(batch)
            with SyncCounter() as counter:
                losses = model(batch)
        sum(losses.values()).backward()
        assert counter.num_syncs == 0, counter.waits()
        assert all(torch.isfinite(loss) for loss in losses.values())


RECIPE = """
from torch import nn
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo import get_config

cfg = get_config("quickstart/mask_rcnn_shapes.py")
optimizer, lr_multiplier, dataloader, train = cfg.optimizer, cfg.lr_multiplier, cfg.dataloader, cfg.train
model = get_config("COCO-Detection/retinanet_R_50_FPN_1x.py").model
model.backbone.bottom_up = cfg.model.backbone.bottom_up
model.backbone.update(out_channels=16)
model.backbone.top_block.in_channels = 256
model.head.update(input_shape=[ShapeSpec(channels=16)] * 5, conv_dims=[16], norm=nn.BatchNorm2d)
model.num_classes = 4
dataloader.train.mapper.use_instance_mask = False
dataloader.test.dataset.num_images = 2
train.update(device="cpu", pictures=0, output_dir="./output")
"""


@pytest.mark.slow
def test_evaluation_with_statistics_of_each_level(tmp_path: Path, monkeypatch, capsys) -> None:
    from lazycfg.checkpoint import save_weights

    monkeypatch.chdir(tmp_path)
    Path("recipe.py").write_text(RECIPE)
    save_weights(instantiate(LazyConfig.load("recipe.py").model), "weights.safetensors")
    script = runpy.run_path(str(FOLDER / "retinanet-eval-domain-specific.py"))
    arguments = [
        "weights.safetensors",
        "--config-file",
        "recipe.py",
        "--num-batches",
        "2",
        "--batch-size",
        "2",
    ]
    assert script["main"](arguments) == 0
    assert list(Path("output").rglob("results.json"))
    assert script["main"]([*arguments, "model.head.norm="]) == 1
    assert "head.cls_subnet.1" in capsys.readouterr().err


@pytest.mark.slow
def test_commands_of_the_readme(tmp_path: Path) -> None:
    assert (ROOT / "projects" / "rethinking_batchnorm" / "README.md").is_file()
    assert_commands_work("rethinking_batchnorm", tmp_path)
