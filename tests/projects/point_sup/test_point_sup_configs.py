"""The configs of PointSup: whole, sound, and equal to the reference's of the same names."""

import json
from pathlib import Path

import pytest
import torch
from zoo_values import assert_builds

from lazycfg import LazyConfig, check, instantiate
from lazycfg.engine import train
from lazycfg.projects import point_sup

CONFIGS = Path(point_sup.__file__).parent / "configs"
REFERENCE = json.loads((Path(__file__).parent / "reference_values.json").read_text())
QUICKSTART = "quickstart_mask_rcnn_point_sup_shapes.py"
ALL = sorted(p.name for p in CONFIGS.glob("*.py"))
# A run of two small steps
SHORT = [
    "train.max_iter=2",
    "train.log_period=1",
    "train.pictures=1",
    "dataloader.train.total_batch_size=2",
    "dataloader.test.dataset.num_images=2",
]


def test_all_of_the_reference_are_there() -> None:
    assert set(ALL) == {*REFERENCE, QUICKSTART}
    assert len(REFERENCE) == 3


@pytest.mark.parametrize("name", ALL)
def test_config_is_sound(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    assert set(cfg) == {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert not cfg.dataloader.train.mapper.use_instance_mask


@pytest.mark.parametrize("name", REFERENCE)
def test_config_builds_what_the_reference_builds(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    assert_builds(cfg, REFERENCE[name])
    assert cfg.dataloader.train.mapper.sample_points == (5 if "point_aug" in name else 0)


def test_quickstart_trains(tmp_path: Path) -> None:
    cfg = LazyConfig.load(CONFIGS / QUICKSTART)
    LazyConfig.apply_overrides(cfg, [*SHORT, f"train.output_dir={tmp_path / 'out'}"])
    results = train(cfg)
    assert "AP" in results["segm"]
