"""The configs of TensorMask: what the reference's say, sound; the README's commands."""

from pathlib import Path

import pytest
import torch
from project_readme import assert_commands_work
from small_tensormask import CONFIGS

from lazycfg import LazyConfig, check, instantiate

ALL = sorted(path.name for path in CONFIGS.glob("*.py"))
SCHEDULES = {"tensormask_R_50_FPN_1x.py": 90000, "tensormask_R_50_FPN_6x.py": 540000}


def test_all_of_the_reference_are_there() -> None:
    assert set(ALL) == {*SCHEDULES, "quickstart_tensormask_shapes.py"}


@pytest.mark.parametrize("name", ALL)
def test_config_is_sound(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    assert set(cfg) == {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
    check(cfg)
    LazyConfig.apply_overrides(cfg, ["model.num_classes=7"])  # said once
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert model.head.cls_score.out_channels == 2 * 7


@pytest.mark.parametrize("name", SCHEDULES)
def test_values_of_the_reference(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    steps = SCHEDULES[name]
    assert cfg.train.max_iter == steps
    drops = {90000: (60000, 80000), 540000: (480000, 520000)}[steps]
    multiplier = instantiate(cfg.lr_multiplier)
    for drop, before, after in zip(drops, (1.0, 0.1), (0.1, 0.01), strict=True):
        assert multiplier((drop - 1) / steps) == pytest.approx(before)
        assert multiplier((drop + 1) / steps) == pytest.approx(after)
    assert (cfg.optimizer.lr, cfg.dataloader.train.total_batch_size) == (0.02, 16)
    resize = cfg.dataloader.train.mapper.augmentations[0]
    sizes = {90000: ((800,), "choice"), 540000: ((640, 800), "range")}[steps]
    assert (resize.short_edge_length, resize.sample_style, resize.max_size) == (*sizes, 1333)
    assert cfg.dataloader.train.mapper.use_instance_mask is True


@pytest.mark.slow
def test_commands_of_the_readme(tmp_path: Path) -> None:
    assert_commands_work("tensormask", tmp_path)
