"""The configs of PointRend: whole, sound, and equal to the reference's of the same names."""

import json
from pathlib import Path

import numpy as np
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


def test_augmentations_of_the_semantic_config() -> None:
    cfg = LazyConfig.load(CONFIGS / "SemanticSegmentation/pointrend_semantic_R_101_FPN_1x_cityscapes.py")
    mapper = instantiate(cfg.dataloader.train.mapper)
    names = [type(a).__name__ for a in mapper.augmentations.augs]
    assert names == [
        "ResizeShortestEdge",
        "RandomCrop_CategoryAreaConstraint",
        "ColorAugSSDTransform",
        "RandomFlip",
    ]
    crop, colors = mapper.augmentations.augs[1:3]
    assert (crop.crop_aug.crop_type, crop.crop_aug.crop_size) == ("absolute", (512, 1024))
    assert (crop.single_category_max_area, crop.ignored_category) == (0.75, 255)
    assert colors.img_format == mapper.image_format == "BGR"
    labels = np.full((128, 256), 255, dtype=np.uint8)
    labels[:, 100:] = np.arange(128)[:, None] // 10
    image = np.random.default_rng(0).integers(0, 256, (128, 256, 3), dtype=np.uint8)
    record = {"image": image, "height": 128, "width": 256, "image_id": 1, "sem_seg": labels}
    out = mapper(record, np.random.default_rng(1))
    assert out["image"].shape[1:] == out["sem_seg"].shape == (512, 1024)


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("InstanceSegmentation")])
def test_masks_are_bit_masks(name: str) -> None:
    mapper = LazyConfig.load(CONFIGS / name).dataloader.train.mapper
    assert mapper.use_instance_mask
    assert mapper.instance_mask_format == "bitmask"
