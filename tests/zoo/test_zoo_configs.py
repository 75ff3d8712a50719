"""Every config of the zoo: it loads afresh, is free of mistakes, and its model builds on the meta device."""

import pytest
import torch

from lazycfg import LazyConfig, check, instantiate, model_zoo
from lazycfg.config import ConfigError

NEEDS_DATA = {"quickstart/mask_rcnn_coco_json.py"}
COMPLETE = [name for name in model_zoo.list_configs() if name not in NEEDS_DATA]


def test_the_zoo_is_found():
    assert "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py" in model_zoo.list_configs()
    assert set(model_zoo.list_configs()) > NEEDS_DATA


def test_a_wrong_name_proposes_the_right_one():
    with pytest.raises(FileNotFoundError, match=r"mask_rcnn_R_50_FPN_1x\.py"):
        model_zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R50_FPN_1x.py")


@pytest.mark.parametrize("name", COMPLETE)
def test_config_is_sound(name):
    cfg = model_zoo.get_config(name)
    assert {"model", "optimizer", "lr_multiplier", "dataloader", "train"} <= set(cfg)
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_every_load_is_fresh():
    name = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"
    model_zoo.get_config(name).model.roi_heads.num_classes = 3
    assert model_zoo.get_config(name).model.roi_heads.num_classes == 80


def test_own_data_needs_two_files():
    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    with pytest.raises(ConfigError, match=r"data\.train_json"):
        check(cfg)


def test_own_data_counts_its_classes(tmp_path):
    from lazycfg.data import ShapesDataset

    ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path)
    (annotations,) = tmp_path.rglob("*.json")
    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    LazyConfig.apply_overrides(cfg, [f"data.train_json={annotations}", f"data.test_json={annotations}"])
    built = instantiate(cfg.model)
    assert built.roi_heads.box_predictor.num_classes == 4


@pytest.mark.parametrize("masks", [True, False])
def test_own_data_is_read_with_masks_if_there_is_a_head_for_them(tmp_path, masks):
    from lazycfg.data import ShapesDataset

    ShapesDataset(num_images=2, image_size=64, seed=0).export_coco(tmp_path)
    (annotations,) = tmp_path.rglob("*.json")
    overrides = [f"data.train_json={annotations}", f"data.test_json={annotations}"]
    if not masks:
        overrides.append("model.roi_heads.mask_head=None")
    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    LazyConfig.apply_overrides(cfg, overrides)
    built = instantiate(cfg)
    batch = next(iter(built["dataloader"]["train"]))
    assert all(x["instances"].has("gt_masks") is masks for x in batch)
    assert built["model"].roi_heads.mask_on is masks
