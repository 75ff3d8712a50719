"""A config file of your own on a folder of YOLO's and one of VOC's: trained and evaluated for a few steps."""

import json
import math

import pytest
from PIL import Image
from reader_files import text, voc_object, voc_xml

from lazycfg import LazyConfig, instantiate
from lazycfg.data import ShapesDataset
from lazycfg.engine import PreflightError, train
from lazycfg.structures import BoxMode

CONFIG = """
from lazycfg.model_zoo.common.data.own_folder import data, use_own_folder
from lazycfg.model_zoo.quickstart.mask_rcnn_coco_json import (
    dataloader, image, lr_multiplier, model, optimizer, train,
)

use_own_folder(dataloader)
model.roi_heads.mask_head = None
"""


def boxes(record):
    for annotation in record["annotations"]:
        corners = BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYXY_ABS)
        yield annotation["category_id"], corners


def write_yolo(folder, names):
    for split, seed in (("train", 1), ("val", 2)):
        for record in ShapesDataset(num_images=3, image_size=64, seed=seed):
            stem = f"{record['image_id']:04}"
            (folder / "images" / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(record["image"]).save(folder / "images" / split / f"{stem}.png")
            lines = [
                f"{c} {(x0 + x1) / 128} {(y0 + y1) / 128} {(x1 - x0) / 64} {(y1 - y0) / 64}"
                for c, (x0, y0, x1, y1) in boxes(record)
            ]
            text(folder / "labels" / split / f"{stem}.txt", "\n".join(lines))
    text(folder / "data.yaml", f"train: images/train\nval: images/val\nnames: {json.dumps(names)}\n")


def write_voc(folder, names):
    for split, seed in (("train", 1), ("val", 2)):
        stems = []
        for record in ShapesDataset(num_images=3, image_size=64, seed=seed):
            stems.append(f"{split}{record['image_id']:04}")
            (folder / "JPEGImages").mkdir(parents=True, exist_ok=True)
            Image.fromarray(record["image"]).save(folder / "JPEGImages" / f"{stems[-1]}.png")
            objects = [
                voc_object(names[c], (x0 + 1, y0 + 1, x1, y1)) for c, (x0, y0, x1, y1) in boxes(record)
            ]
            text(folder / "Annotations" / f"{stems[-1]}.xml", voc_xml(*objects, size=(64, 64)))
        text(folder / "ImageSets/Main" / f"{split}.txt", "\n".join(stems))


@pytest.mark.parametrize("write", [write_yolo, pytest.param(write_voc, marks=pytest.mark.slow)])
def test_a_training_from_a_config_file(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    names = ShapesDataset(num_images=1, seed=0).metadata.thing_classes
    write(tmp_path / "own", list(names))
    cfg = LazyConfig.load(text(tmp_path / "config.py", CONFIG))
    overrides = [
        "data.path=own",
        "image.size=64",
        "train.max_iter=2",
        "train.eval_period=2",
        "train.init_checkpoint=''",
        "train.channels_last=false",
        "dataloader.train.total_batch_size=1",
        "model.backbone.bottom_up.freeze_at=0",
    ]
    LazyConfig.apply_overrides(cfg, overrides)
    train(cfg)
    metrics = (tmp_path / "output/coco_json/metrics.json").read_text()
    lines = [json.loads(line) for line in metrics.splitlines()]
    losses = [line["total_loss"] for line in lines if "total_loss" in line]
    assert losses
    assert all(map(math.isfinite, losses))
    scores = {key for line in lines for key in line if key.startswith("bbox/")}
    assert {f"bbox/AP-{name}" for name in names} <= scores


def test_a_saved_config_reads_the_folder_without_more_trust(tmp_path):
    write_yolo(tmp_path / "own", list("abcd"))
    cfg = LazyConfig.load(text(tmp_path / "config.py", CONFIG))
    cfg.data.path = str(tmp_path / "own")
    LazyConfig.save(cfg, tmp_path / "saved.yaml")
    saved = LazyConfig.load(tmp_path / "saved.yaml")
    assert len(instantiate(saved.dataloader.test.dataset)) == 3
    saved.data.test = "tets"
    with pytest.raises(ValueError, match=r"has no part 'tets'.*; it has train, val"):
        instantiate(saved.dataloader.test.dataset)


def test_the_remedy_is_the_key_of_the_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_yolo(tmp_path / "own", list("abcd"))
    (labels,) = sorted((tmp_path / "own/labels/train").iterdir())[:1]
    text(labels, "7 0.5 0.5 0.1 0.1\n")
    cfg = LazyConfig.load(text(tmp_path / "config.py", CONFIG))
    LazyConfig.apply_overrides(cfg, ["data.path=own", "train.init_checkpoint=''"])
    with pytest.raises(PreflightError) as caught:
        train(cfg)
    told = caught.value.on_command_line()
    assert "class 7 is none of the 4" in told
    assert "remedy: data.on_error=skip" in told
    assert "YoloDataset(" not in told  # which cannot be typed after a command
    assert "remedy: cfg.data.on_error = " in str(caught.value)


def test_the_remedy_of_images_that_are_not_there(tmp_path, monkeypatch):
    from lazycfg import model_zoo
    from lazycfg.data import export_coco

    monkeypatch.chdir(tmp_path)
    json_file, images = export_coco(ShapesDataset(num_images=2, image_size=64), "coco")
    images.rename("moved")
    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    cfg.data.update(train_json=str(json_file), test_json=str(json_file))
    with pytest.raises(PreflightError) as caught:
        train(cfg)
    told = caught.value.on_command_line()
    assert "were not found" in told
    assert "image_root" not in told
    assert "remedy: data.train_images=FOLDER" in told
    cfg.data.train_images = "moved"
    with pytest.raises(PreflightError, match=r"remedy: cfg\.data\.test_images = "):
        train(cfg)
