"""The data configs of the zoo, and the command that shows what they feed."""

import json
import shutil
from pathlib import Path

import numpy as np
import panoptic_files
import pytest
from PIL import Image

from lazycfg import LazyConfig, instantiate
from lazycfg.cli import main
from lazycfg.data import ShapesDataset

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "model_zoo" / "common" / "data"


@pytest.fixture
def coco_layout(tmp_path, monkeypatch):
    """Generated pictures where the COCO configs look for COCO."""
    coco = tmp_path / "datasets" / "coco"
    for split, seed in (("train", 1), ("val", 2)):
        dataset = ShapesDataset(num_images=4, image_size=48, seed=seed, keypoints=True)
        json_file, images = dataset.export_coco(tmp_path / split)
        shutil.move(images, coco / f"{split}2017")
        (coco / "annotations").mkdir(exist_ok=True)
        for kind in ("instances", "person_keypoints"):
            shutil.copy(json_file, coco / "annotations" / f"{kind}_{split}2017.json")
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "datasets"))
    return coco


def test_shapes():
    cfg = LazyConfig.load(CONFIGS / "shapes.py")
    cfg.dataloader.test.dataset.num_images = 3
    built = instantiate(cfg)["dataloader"]
    batch = next(iter(built["train"]))
    assert len(batch) == 8
    assert batch[0]["instances"].has("gt_masks")
    assert [len(b) for b in built["test"]] == [3]
    assert built["evaluator"].dataset is built["test"].dataset.dataset


def test_coco(coco_layout):
    cfg = LazyConfig.load(CONFIGS / "coco.py")
    for part in (cfg.dataloader.train, cfg.dataloader.test):
        part.num_workers = 0
    built = instantiate(cfg)["dataloader"]
    batch = next(iter(built["train"]))
    assert len(batch) == 16
    assert min(min(s["image"].shape[1:]) for s in batch) >= 640
    assert [s["image_id"] for b in built["test"] for s in b] == [1, 2, 3, 4]
    assert built["evaluator"].dataset is built["test"].dataset.dataset
    assert built["train"].metadata.image_root == str(coco_layout / "train2017")


def test_coco_keypoints_are_a_config_of_their_own(coco_layout):
    cfg = LazyConfig.load(CONFIGS / "coco_keypoint.py")
    assert "person_keypoints" in cfg.dataloader.train.dataset.dataset.json_file
    assert cfg.dataloader.evaluator.dataset is cfg.dataloader.test.dataset
    assert "person_keypoints" not in LazyConfig.load(CONFIGS / "coco.py").dataloader.test.dataset.json_file


@pytest.fixture
def panoptic_layout(tmp_path, monkeypatch):
    """Small panoptic files where the COCO configs look for COCO."""
    for split in ("train", "val"):
        panoptic_files.write_panoptic(tmp_path / "datasets" / "coco", split)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "datasets"))


def built_from(name):
    cfg = LazyConfig.load(CONFIGS / name)
    for part in (cfg.dataloader.train, cfg.dataloader.test):
        part.num_workers = 0
    return instantiate(cfg)["dataloader"]


@pytest.mark.usefixtures("panoptic_layout")
def test_coco_panoptic():
    built = built_from("coco_panoptic_separated.py")
    batch = next(iter(built["train"]))
    assert all(s["instances"].has("gt_masks") and s["sem_seg"].shape == s["image"].shape[1:] for s in batch)
    (test,) = {id(evaluator._records.dataset) for evaluator in built["evaluator"][1:]}
    assert test == id(built["test"].dataset.dataset) == id(built["evaluator"][0].dataset)
    assert built["test"].dataset.dataset.metadata.name == "coco_2017_val_panoptic_separated"


@pytest.mark.usefixtures("panoptic_layout")
def test_coco_stuff_only():
    built = built_from("coco_panoptic_stuffonly.py")
    batch = next(iter(built["train"]))
    assert all("instances" not in s and set(s["sem_seg"].unique().tolist()) <= {0, 1, 2, 255} for s in batch)
    assert built["evaluator"].class_names == ["things", "grass", "sky"]


def test_own_data(tmp_path):
    json_file, _ = ShapesDataset(num_images=3, image_size=48).export_coco(tmp_path)
    cfg = LazyConfig.load(CONFIGS / "coco_json.py")
    LazyConfig.apply_overrides(
        cfg,
        [
            f"data.train_json={json_file}",
            f"data.test_json={json_file}",
            "dataloader.train.num_workers=0",
            "dataloader.test.num_workers=0",
        ],
    )
    built = instantiate(cfg)["dataloader"]
    assert len(next(iter(built["train"]))) == 2
    assert built["train"].dataset.dataset.num_classes == 4
    assert len(built["test"]) == 3


@pytest.mark.parametrize("source", ["loader", "dataset"])
def test_pictures_of_what_is_fed(tmp_path, capsys, source):
    out = tmp_path / "seen"
    arguments = ["visualize", str(CONFIGS / "shapes.py"), "--output-dir", str(out), "--number", "3"]
    assert main([*arguments, "--source", source, "--scale", "1", "dataloader.train.total_batch_size=2"]) == 0
    files = sorted(out.iterdir())
    assert len(files) == 3
    assert "3 images in" in capsys.readouterr().out
    assert np.asarray(Image.open(files[0])).shape == (128, 128, 3)
    if source == "dataset":
        plain = ShapesDataset(num_images=100_000, image_size=128, seed=1)[0]["image"]
        drawn = np.asarray(Image.open(files[0]))
        assert 0.05 < (drawn != plain).any(axis=2).mean() < 0.95


@pytest.mark.parametrize("order", ["L", "raw"])
def test_pictures_of_other_channels(tmp_path, order):
    change = f"dataloader.train.mapper.image_format={order}"
    arguments = [
        "visualize",
        str(CONFIGS / "shapes.py"),
        "-o",
        str(tmp_path / "seen"),
        "--number",
        "1",
        change,
    ]
    assert main([*arguments, "--scale", "1", change]) == 0
    (file,) = (tmp_path / "seen").iterdir()
    assert np.asarray(Image.open(file)).shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--number", "0"), "--number 0 must be at least 1"),
        (("--scale", "0"), "--scale 0 must be a number above 0"),
        (("--scale", "nan"), "--scale nan must be a number above 0"),
        (("-o", "{file}"), "is no folder: choose another with -o DIR"),
    ],
)
def test_options_of_visualize_that_make_no_sense(tmp_path, capsys, words, said):
    (tmp_path / "file").write_text("mine")
    words = [word.format(file=tmp_path / "file") for word in words]
    assert main(["visualize", str(CONFIGS / "shapes.py"), "-o", str(tmp_path / "new"), *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert not (tmp_path / "new").exists()


def test_mistakes_are_said_without_a_traceback(tmp_path, capsys):
    arguments = ["visualize", str(CONFIGS / "coco_json.py"), "--output-dir", str(tmp_path)]
    assert main([*arguments, "--split", "test", "data.test_json=none.json"]) == 2
    assert "no annotation file 'none.json'" in capsys.readouterr().err
    assert main([*arguments, "--split", "test", f"data.test_json={tmp_path}"]) == 2
    assert "is a folder: give an annotation file (in it: none)" in capsys.readouterr().err
    (tmp_path / "empty.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    assert main([*arguments, "--split", "test", f"data.test_json={tmp_path / 'empty.json'}"]) == 2
    assert "list of categories is empty" in capsys.readouterr().err
