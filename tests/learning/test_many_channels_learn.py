"""Images of five channels and 12 bits: what tells objects apart is in channels that no colour image has."""

import json

import numpy as np
import pytest
from small_jobs import small_job

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.config.tree.node import Node
from lazycfg.data import CocoDataset
from lazycfg.engine import Predictor, PreflightError, train

MEAN, SIZE = 500.0, 64
STEM = "model.backbone.bottom_up.stem.in_channels"


def write(folder, name, count, seed):
    """Squares of two classes that differ in one channel each, on noise, as .npy files of a COCO file."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        pixels = rng.normal(MEAN, 60, (SIZE, SIZE, 5))
        side, category = int(rng.integers(20, 40)), int(rng.integers(2))
        x, y = (int(v) for v in rng.integers(0, SIZE - side, 2))
        pixels[y : y + side, x : x + side, 3 + category] += 2500
        file_name = f"{name}{number}.npy"
        np.save(folder / file_name, pixels.clip(0, 4095).astype(np.uint16))
        images.append({"id": number, "file_name": file_name, "height": SIZE, "width": SIZE})
        box = {"id": number + 1, "image_id": number, "category_id": category + 1, "iscrowd": 0}
        annotations.append({**box, "bbox": [x, y, side, side], "area": side * side})
    categories = [{"id": 1, "name": "near infrared"}, {"id": 2, "name": "far infrared"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / f"{name}.json").write_text(json.dumps(content))
    return L(CocoDataset)(json_file=str(folder / f"{name}.json"), image_root=str(folder))


def job(folder, *, steps, count=60, tests=10) -> Node:
    cfg = small_job("COCO-Detection/faster_rcnn_R_50_FPN_1x.py", steps=steps, lr=4e-3)
    loaders, model = cfg.dataloader, cfg.model
    loaders.train.dataset = write(folder / "data", "train", count, 0)
    loaders.test.dataset = write(folder / "data", "test", tests, 1)
    for evaluator in loaders.evaluator:
        evaluator.dataset = loaders.test.dataset
    loaders.train.mapper.image_format = loaders.test.mapper.image_format = "raw"
    model.update(input_format="raw", pixel_mean=[MEAN] * 5, pixel_std=[500.0] * 5)
    model.backbone.bottom_up.stem.in_channels = 5
    cfg.train.output_dir = str(folder / "run")
    return cfg


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["dataloader.train.mapper.image_format=BGR"], ["dataloader.train.mapper.image_format=raw"]),
        ([f"{STEM}=3"], ["images have 5 channels", f"{STEM}=5"]),
        (["model.pixel_mean=[1.0,1.0,1.0]", "model.pixel_std=[1.0,1.0,1.0]"], ["model.pixel_mean=[...]"]),
    ],
)
def test_channels_are_compared_before_step_1(tmp_path, overrides, words):
    cfg = job(tmp_path, steps=2, count=4, tests=2)
    LazyConfig.apply_overrides(cfg, overrides)
    with pytest.raises(PreflightError) as caught:
        train(cfg)
    message = caught.value.on_command_line()
    assert all(word in message for word in words), message
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_it_learns_and_its_run_folder_predicts(tmp_path):
    results = train(job(tmp_path, steps=80))
    assert results["bbox"]["AP50"] >= 70
    predictor = Predictor.from_config(
        tmp_path / "run/config.yaml", weights=tmp_path / "run/model_final.safetensors", trusted=True
    )
    file = tmp_path / "data/test0.npy"
    from_file, from_array = predictor(file), predictor(np.load(file))
    assert from_file.scores.tolist() == from_array.scores.tolist() != []
    assert predictor.draw(file, from_file, scale=1).shape == (SIZE, SIZE, 3)
