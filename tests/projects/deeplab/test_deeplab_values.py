"""What is built from the configs of DeepLab and Panoptic-DeepLab equals what the reference builds.

`reference_values.json` is in the form of that beside `tests/zoo/test_zoo_values.py`. The reference's Adam is
named in its settings only.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from lazycfg import LazyConfig, instantiate
from lazycfg.cli.main import main

PROJECTS = Path(__file__).parents[3] / "projects"
REFERENCE = json.loads((Path(__file__).parent / "reference_values.json").read_text())


def digest(lines):
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", REFERENCE)
def test_config_builds_what_the_reference_builds(name):
    cfg, expected = LazyConfig.load(PROJECTS / name), REFERENCE[name]
    with torch.device("meta"):
        model = instantiate(cfg.model)
    shapes = [f"{key} {list(value.shape)}" for key, value in model.state_dict().items()]
    assert digest(shapes) == expected["state"]
    assert digest(key for key, p in model.named_parameters() if p.requires_grad) == expected["trained"]
    cfg.optimizer.params.model = model
    optimizer = instantiate(cfg.optimizer)
    assert type(optimizer).__name__ == expected["optimizer"]
    decays = Counter()
    for group in optimizer.param_groups:
        decays[f"{group['weight_decay'] or 0:g}"] += len(group["params"])
        assert group["lr"] == cfg.optimizer.lr
    assert decays == expected["weight_decay"]
    assert cfg.dataloader.train.total_batch_size == expected["batch"]
    assert cfg.train.max_iter == expected["max_iter"]
    multiplier = instantiate(cfg.lr_multiplier)
    for iteration, lr in expected["lr"].items():
        now = cfg.optimizer.lr * multiplier(int(iteration) / cfg.train.max_iter)
        assert now == pytest.approx(lr, rel=1e-3), iteration


CONFIGS = sorted(
    path.relative_to(PROJECTS).as_posix()
    for name in ("deeplab", "panoptic_deeplab")
    for path in (PROJECTS / name / "configs").rglob("*.py")
    if path.parent.name != "common"
)


@pytest.mark.parametrize("name", CONFIGS)
def test_check_finds_nothing(name, capsys):
    assert main(["check", str(PROJECTS / name)]) == 0
    assert "no problems found" in capsys.readouterr().out


def test_coco_config():
    folder = PROJECTS / "panoptic_deeplab" / "configs" / "COCO-PanopticSegmentation"
    (file,) = folder.glob("*.py")
    cfg = LazyConfig.load(file)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert model.sem_seg_head.predictor.weight.shape == (133, 256, 1, 1)
    assert int(model.sem_seg_head.loss.top_k_percent_pixels) == 1
    for head in (model.sem_seg_head, model.ins_embed_head):
        assert head.decoder["res2"]["fuse_conv"].depthwise.kernel_size == (5, 5)
        assert head.decoder["res5"]["project_conv"].pool_kernel_size == (40, 40)
    assert (model.size_divisibility, model.nms_kernel, model.stuff_area) == (640, 41, 4096)
    assert (cfg.optimizer.lr, cfg.train.max_iter, cfg.dataloader.train.total_batch_size) == (5e-4, 200000, 64)
    mapper = cfg.dataloader.train.mapper
    assert mapper.augmentations[0].short_edge_length == tuple(int(x * 0.1 * 640) for x in range(5, 16))
    generator = mapper.panoptic_target_generator
    assert (generator.sigma, generator.ignore_label, len(generator.thing_ids)) == (8, 255, 80)
    assert instantiate(cfg.lr_multiplier)(1000 / 200000) == pytest.approx((1 - 1 / 200) ** 0.9)
