"""Any zoo entry behind tiles: weights of the model itself, evaluation, a config that is saved and loaded."""

import pytest
import torch

from lazycfg import LazyConfig, instantiate, model_zoo
from lazycfg.checkpoint import save_weights
from lazycfg.engine import evaluate
from lazycfg.model_zoo.common.tiles import with_tiles


@pytest.fixture
def job():
    cfg = model_zoo.get_config("quickstart/mask_rcnn_shapes.py")
    cfg.dataloader.test.dataset.update(num_images=2, image_size=160)
    cfg.dataloader.test.update(batch_size=2)
    cfg.model.backbone.bottom_up.stem.out_channels = 32
    cfg.train.update(device="cpu", pictures=0)
    return cfg


def test_it_is_evaluated_with_the_weights_of_the_model(job, tmp_path):
    torch.manual_seed(0)
    save_weights(instantiate(job.model), tmp_path / "plain.safetensors")
    job.model = with_tiles(job.model, job.dataloader, slice_size=128, overlap=0.25, batch_size=2)
    job.train.output_dir = str(tmp_path)
    LazyConfig.save(job, tmp_path / "config.yaml")
    read = LazyConfig.load(tmp_path / "config.yaml")
    results = evaluate(read, weights=tmp_path / "plain.safetensors")
    assert set(results) == {"bbox", "segm"}


def test_resizing_goes_to_the_tiles():
    cfg = model_zoo.get_config("COCO-Detection/retinanet_R_50_FPN_1x.py")
    before = list(cfg.dataloader.test.mapper.augmentations)
    tiled = with_tiles(cfg.model, cfg.dataloader, slice_size=640)
    assert list(cfg.dataloader.test.mapper.augmentations) == []
    resize = instantiate(tiled.resize)
    image = torch.zeros(3, 100, 200, dtype=torch.uint8)
    assert resize.get_transform(image).apply_image(image).shape == (3, 667, 1333)
    assert len(resize.augs) == len(before)
