"""Classification by the same trainer: data, model, measure, and that it learns."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lazycfg import LazyCall as L
from lazycfg import model_zoo
from lazycfg.data.transforms import AugInput
from lazycfg.engine import train
from lazycfg.projects.classification import (
    CenterCrop,
    ClassificationAccuracy,
    ClassificationNet,
    ImageFolders,
    RandomResizedCrop,
)

MEAN_STD = {"pixel_mean": [127.5] * 3, "pixel_std": [127.5] * 3}


@pytest.fixture
def folder(tmp_path):
    """Two classes, dark and light images of several sizes."""
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 128)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(low, low + 128, (40 + i, 50 - i, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path / "images"


def test_folders_are_classes(folder):
    dataset = ImageFolders(root=folder)
    assert (len(dataset), dataset.num_classes, dataset.metadata.thing_classes) == (12, 2, ("dark", "light"))
    assert dataset[7]["image_id"] == "light/1.png"
    assert dataset[7]["label"] == 1


@pytest.mark.parametrize("break_it", ["no folder", "no image", "no class"])
def test_folders_that_cannot_be_right_are_named(folder, tmp_path, break_it):
    root = {"no folder": tmp_path / "nowhere", "no image": folder, "no class": folder / "dark"}[break_it]
    if break_it == "no image":
        (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=root.name):
        ImageFolders(root=root)


def test_crops_have_one_size_and_the_area_that_was_asked_for():
    rng = np.random.default_rng(0)
    image = np.zeros((60, 200, 3), dtype=np.uint8)
    crop = RandomResizedCrop(size=32, area=(0.1, 0.5), aspect_ratio=(0.5, 2.0))
    areas = []
    for _ in range(50):
        transform = crop.get_transform(AugInput(image), rng)
        assert transform.apply_image(image).shape == (32, 32, 3)
        cut = transform.transforms[0]
        areas.append(cut.w * cut.h / (60 * 200))
        assert 0.45 < cut.w / cut.h < 2.2
    assert 0.09 < min(areas) < max(areas) < 0.51
    whole = RandomResizedCrop(size=8, area=(1.0, 1.0)).get_transform(AugInput(image), rng).transforms[0]
    assert (whole.w, whole.h, whole.x0) == (80, 60, 60)
    middle = CenterCrop(size=20).get_transform(AugInput(image), rng)
    assert (middle.x0, middle.y0, middle.w, middle.h) == (90, 20, 20, 20)


def test_the_loss_is_of_the_labels():
    net = ClassificationNet(model=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), **MEAN_STD)
    image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    image[1] = 255  # scores (-1, 1, -1)
    batch = [{"image": image, "label": 1}, {"image": image, "label": 0}]
    expected = np.log(np.exp(1) + 2 * np.exp(-1)) + (-1 + 1) / 2
    assert float(net(batch)["loss_cls"]) == pytest.approx(expected, rel=1e-5)
    outputs = net.eval()(batch)
    assert outputs[0]["scores"].tolist() == [-1.0, 1.0, -1.0]
    measure = ClassificationAccuracy(dataset=None)
    measure.process(batch, outputs)
    assert measure.evaluate() == {"classification": {"accuracy": 50.0}}


@pytest.mark.slow
def test_the_zoo_entry_learns(folder, tmp_path):
    cfg = model_zoo.get_config("Misc/torchvision_imagenet_R_50")
    cfg.model.model = L(nn.Sequential)(L(nn.AdaptiveAvgPool2d)(1), L(nn.Flatten)(), L(nn.Linear)(3, 2))
    for loader in (cfg.dataloader.train, cfg.dataloader.test):
        loader.dataset.root = str(folder)
        loader.update(num_workers=0, batch_size=4)
    cfg.train.update(output_dir=str(tmp_path / "out"), device="cpu", max_iter=30, eval_period=0)
    assert train(cfg)["classification"]["accuracy"] == 100.0
