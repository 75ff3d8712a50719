"""The configs of PointRend: whole, sound, and equal to the reference's of the same names."""

import json
from pathlib import Path

import pytest
import torch
from small_point_rend import CONFIGS
from zoo_values import assert_builds

from lazycfg import LazyConfig, check, instantiate
from lazycfg.engine import train

REFERENCE = json.loads((Path(__file__).parent / "reference_values.json").read_text())
ALL = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.rglob("*.py") if p.parent.name != "common")
# A run of two small steps
SHORT = [
    "train.max_iter=2",
    "train.log_period=1",
    "train.pictures=1",
    "dataloader.train.total_batch_size=2",
    "dataloader.test.dataset.num_images=2",
]


def test_all_of_the_reference_are_there() -> None:
    others = {"InstanceSegmentation/implicit_pointrend_R_50_FPN_3x_coco.py"}
    quick = {name for name in ALL if name.startswith("quickstart_")}
    assert set(ALL) == set(REFERENCE) | others | quick
    assert len(ALL) - len(quick) == 8


@pytest.mark.parametrize("name", ALL)
def test_config_is_sound(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    assert set(cfg) == {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())
    formats = {loader.mapper.image_format for loader in (cfg.dataloader.train, cfg.dataloader.test)}
    assert formats == {cfg.model.input_format}


@pytest.mark.parametrize("name", REFERENCE)
def test_config_builds_what_the_reference_builds(name: str) -> None:
    assert_builds(LazyConfig.load(CONFIGS / name), REFERENCE[name])


@pytest.mark.parametrize("name", ALL)
def test_the_number_of_classes_is_said_once(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    if "roi_heads" in cfg.model:
        cfg.model.roi_heads.num_classes = 7
    else:
        cfg.model.sem_seg_head.coarse_sem_seg_head.num_classes = 7
    with torch.device("meta"):
        model = instantiate(cfg.model)
    head = model.roi_heads.mask_head if "roi_heads" in cfg.model else model.sem_seg_head
    assert head.point_head.num_classes == 7
    if hasattr(head, "coarse_head"):
        assert head.coarse_head.output_shape == (7, 7, 7)


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("quickstart_")])
def test_quickstart_trains(name: str, tmp_path: Path) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    LazyConfig.apply_overrides(cfg, [*SHORT, f"train.output_dir={tmp_path / 'out'}"])
    results = train(cfg)
    assert "mIoU" in results["sem_seg"] if "semantic" in name else "AP" in results["segm"]
