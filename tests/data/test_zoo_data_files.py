"""The zoo's data files of VOC, ADE20K, variants of COCO, Objects365 and OpenImages, on small files."""

import json
import shutil
from pathlib import Path

import numpy as np
import panoptic_files
import pytest
from reader_files import image, mask, text, voc, voc_object, voc_xml

from lazycfg import LazyConfig, instantiate
from lazycfg.data import ADE20KSemSeg, AnnotationError, CocoDataset, ShapesDataset
from lazycfg.data.datasets import ADE20K_CLASSES
from lazycfg.evaluation import COCOEvaluator, evaluate_json

CONFIGS = Path(__file__).parents[2] / "model_zoo" / "common" / "data"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "datasets"))
    return tmp_path / "datasets"


def built(name):
    cfg = LazyConfig.load(CONFIGS / name) if isinstance(name, str) else name
    for part in (cfg.dataloader.train, cfg.dataloader.test):
        part.num_workers = 0
    cfg.dataloader.train.total_batch_size = 1
    result = instantiate(cfg)["dataloader"]
    next(iter(result["train"]))
    return result


def shapes(folder, json_file, images, **more):
    """Write generated images and their COCO file where they are looked for."""
    source, pictures = ShapesDataset(num_images=3, image_size=48, seed=0, **more).export_coco(
        folder.parent / "made"
    )
    images.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(pictures, images, dirs_exist_ok=True)
    json_file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, json_file)
    return json_file


def test_voc(root):
    for year, split, name in ((2007, "trainval", "cat"), (2012, "trainval", "dog"), (2007, "test", "sofa")):
        voc(root / f"VOC{year}", {f"{year}_{split}": voc_xml(voc_object(name))}, {split: f"{year}_{split}"})
    found = built("voc.py")
    train, test = found["train"].dataset.dataset.dataset, found["test"].dataset.dataset
    assert [record["image_id"] for record in train] == ["2007_trainval", "2012_trainval"]
    assert test.metadata.name == "voc_2007_test"
    assert test.metadata.extra == {"year": 2007}
    assert len(test.metadata.thing_classes) == 20
    assert type(found["evaluator"]).__name__ == "PascalVOCDetectionEvaluator"


def test_ade20k(root):
    folder = root / "ADEChallengeData2016"
    values = np.zeros((20, 40))
    values[:, 10:20], values[:, 20:] = 1, 150
    for split in ("training", "validation"):
        image(folder / "images" / split / f"ADE_{split}_1.jpg")
        mask(folder / "annotations" / split / f"ADE_{split}_1.png", values)
    found = built("ade20k_sem_seg.py")
    dataset = found["test"].dataset.dataset
    assert dataset.metadata.stuff_classes == ADE20K_CLASSES
    assert (len(ADE20K_CLASSES), ADE20K_CLASSES[0], ADE20K_CLASSES[149]) == (150, "wall", "flag")
    assert dataset.metadata.name == "ade20k_sem_seg_val"
    labels = dataset[0]["sem_seg"]
    assert [labels[0, x] for x in (0, 10, 20)] == [255, 0, 149]
    # The files that are made of them say the same
    mask(folder / "annotations_detectron2/validation/ADE_validation_1.png", (values - 1) % 256)
    prepared = ADE20KSemSeg(root=folder, split="val", verify=True)
    assert prepared[0]["sem_seg_file_name"].endswith("annotations_detectron2/validation/ADE_validation_1.png")
    values[0, 0] = 151
    mask(folder / "annotations/training/ADE_training_1.png", values)
    with pytest.raises(AnnotationError, match=r"has the labels \[151\]"):
        ADE20KSemSeg(root=folder, split="train", verify=True)
    with pytest.raises(ValueError, match=r'split must be "train" or "val", got \'test\''):
        ADE20KSemSeg(root=folder, split="test")


@pytest.mark.parametrize(
    ("name", "kind"), [("coco_2014", "instances"), ("coco_keypoint_2014", "person_keypoints")]
)
def test_coco_2014(root, name, kind):
    for split in ("train", "minival", "valminusminival"):
        images = root / "coco" / ("train2014" if split == "train" else "val2014")
        file = root / "coco/annotations" / f"{kind}_{split}2014.json"
        shapes(root, file, images, keypoints=True)
    name = "coco_2014.py" if kind == "instances" else "coco_keypoint_2014.py"
    cfg = LazyConfig.load(CONFIGS / name)
    for part in (*cfg.dataloader.train.dataset.dataset.datasets, cfg.dataloader.test.dataset):
        assert ("keypoint_oks_sigmas" in part) == (kind != "instances")
        part.keypoint_oks_sigmas = ()  # the shapes have other keypoints
    cfg.dataloader.train.mapper.update(use_keypoint=False)
    found = built(cfg)
    assert len(found["train"].dataset.dataset.dataset) == 6
    assert found["test"].dataset.dataset.metadata.name.endswith("coco_2014_minival")


def test_coco_panoptic(root):
    for split in ("train", "val"):
        panoptic_files.write_panoptic(root / "coco", split)
    metadata = built("coco_panoptic.py")["test"].dataset.dataset.metadata
    assert metadata.name == "coco_2017_val_panoptic"
    assert metadata.stuff_classes == ("ball", "grass", "cat", "sky")  # all classes, in the order of their ids


def test_coco_test_dev_has_no_annotations(root):
    annotations = root / "coco/annotations"
    shapes(root, annotations / "instances_train2017.json", root / "coco/train2017")
    file = shapes(root, annotations / "image_info_test-dev2017.json", root / "coco/test2017")
    content = json.loads(file.read_text())
    del content["annotations"]
    file.write_text(json.dumps(content))
    dataset = built("coco_test_dev.py")["test"].dataset.dataset
    assert [record["annotations"] for record in dataset] == [[], [], []]
    with pytest.raises(AnnotationError, match="needs a list 'annotations'"):
        CocoDataset(json_file=file, image_root=root / "coco/test2017")


def test_coco_val_100(root):
    for file, folder in (("train2017", "train2017"), ("val2017_100", "val2017")):
        shapes(root, root / "coco/annotations" / f"instances_{file}.json", root / "coco" / folder)
    assert built("coco_val_100.py")["test"].dataset.dataset.metadata.name == "coco_2017_val_100"


def test_objects365(root):
    for split in ("train", "val"):
        file = root / "objects365" / f"zhiyuan_objv2_{split}.json"
        shapes(root, file, root / "objects365" / split / "patch0")
        content = json.loads(file.read_text())
        for entry in content["images"]:
            entry["file_name"] = f"images/v1/patch0/{entry['file_name']}"
        file.write_text(json.dumps(content))
    dataset = built("objects365.py")["test"].dataset.dataset
    assert all(Path(record["file_name"]).is_file() for record in dataset)
    assert "file names are of another machine" in dataset.warnings[0]


def test_openimages(root):
    folder = root / "openimages"
    text(folder / "class-descriptions-boxable.csv", "/m/01,Cat\n/m/02,Dog\n")
    for split in ("train", "validation"):
        image(folder / split / "0a1.jpg")
        head = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n"
        text(folder / f"{split}-annotations-bbox.csv", head + "0a1,/m/02,0.1,0.5,0.1,0.5,0\n")
    dataset = built("openimages.py")["test"].dataset.dataset
    assert dataset.metadata.thing_classes == ("Cat", "Dog")
    assert dataset[0]["annotations"][0]["category_id"] == 1


def test_a_coco_file_without_its_images_is_scored(tmp_path):
    source, images = ShapesDataset(num_images=3, image_size=48, seed=0).export_coco(tmp_path)
    content = json.loads(source.read_text())
    shutil.rmtree(images)
    with pytest.raises(FileNotFoundError):
        CocoDataset(json_file=source)
    with pytest.raises(FileNotFoundError):
        CocoDataset(json_file=source, image_root=images)
    for given in (None, images):
        dataset = CocoDataset(json_file=source, image_root=given, verify_images=False)
        assert len(dataset) == 3
    assert COCOEvaluator(dataset=dataset).evaluate() is not None
    detections = [
        {k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 1.0}
        for a in content["annotations"]
    ]
    file = text(tmp_path / "detections.json", json.dumps(detections))
    assert evaluate_json(source, file).metrics()["AP"] == 100
