"""Test-time augmentation as a config switches it on, through evaluation and prediction."""

import numpy as np
import pytest
import torch

from lazycfg import LazyConfig, check, instantiate
from lazycfg.checkpoint import save_weights
from lazycfg.engine import Predictor, evaluate
from lazycfg.modeling import GeneralizedRCNNWithTTA

RECIPE = """
from lazycfg.model_zoo import get_config
from lazycfg.model_zoo.common.tta import with_tta

cfg = get_config("quickstart/mask_rcnn_shapes.py")
model, dataloader, train = cfg.model, cfg.dataloader, cfg.train
dataloader.test.dataset.num_images = 3
model = with_tta(model, dataloader)
model.tta_mapper.min_sizes = (96, 128)
train.update(device="cpu", pictures=1)
"""


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tta")
    file = folder / "shapes_tta.py"
    file.write_text(RECIPE)
    cfg = LazyConfig.load(file)
    torch.manual_seed(0)
    plain = instantiate(cfg.model.model)
    plain.roi_heads.box_predictor.test_score_thresh = 0.1
    save_weights(plain, folder / "plain.safetensors")
    return file


def test_weights_of_the_plain_model_are_evaluated(config_file, tmp_path):
    cfg = LazyConfig.load(config_file)
    cfg.train.output_dir = str(tmp_path)
    results = evaluate(cfg, weights=config_file.parent / "plain.safetensors")
    assert set(results) >= {"bbox", "segm"}
    assert len(list((tmp_path / "evaluation" / "plain" / "pictures").glob("*.jpg"))) == 1


def test_predictor_takes_it_for_a_model(config_file):
    predictor = Predictor.from_config(
        config_file,
        weights=config_file.parent / "plain.safetensors",
        device="cpu",
        batch_size=2,
        channel_order="RGB",
    )
    assert isinstance(predictor.model, GeneralizedRCNNWithTTA)
    first, second = predictor([np.full((60, 80, 3), 99, np.uint8), np.zeros((70, 50, 3), np.uint8)])
    assert first.image_size == (60, 80)
    assert second.image_size == (70, 50)


@pytest.mark.parametrize(
    "name",
    [
        "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x.py",
        "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.py",
        "Misc/cascade_mask_rcnn_R_50_FPN_1x.py",
    ],
)
def test_zoo_models_take_it(tmp_path, name):
    file = tmp_path / "tta.py"
    file.write_text(
        f"from lazycfg.model_zoo import get_config\nfrom lazycfg.model_zoo.common.tta import with_tta\n"
        f"cfg = get_config({name!r})\nmodel = with_tta(cfg.model, cfg.dataloader)\n"
    )
    cfg = LazyConfig.load(file)
    assert check(cfg.model) == []
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert (model.keypoint_hflip_indices is not None) == ("Keypoints" in name)
    assert list(cfg.cfg.dataloader.test.mapper.augmentations) == []
