"""Reading annotation files of LVIS."""

import copy
import json

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg import LazyConfig, instantiate, model_zoo
from lazycfg.data import (
    AnnotationError,
    ConcatDataset,
    FederatedClassWeights,
    FilteredDataset,
    LVISDataset,
    RepeatFactorTrainingSampler,
    ShapesDataset,
    get_fed_loss_cls_weights,
)
from lazycfg.structures import BoxMode


def category(number, frequency, count, *synonyms):
    return {
        "id": number,
        "name": f"name_{number}",
        "synset": f"thing.n.{number:02}",
        "synonyms": list(synonyms),
        "def": "a thing",
        "frequency": frequency,
        "image_count": count,
        "instance_count": 2 * count,
    }


def annotation(number, image, label):
    x, y, w, h = 3.25 + number, 4.0, 10.5, 6.0
    return {
        "id": number,
        "image_id": image,
        "category_id": label,
        "bbox": [x, y, w, h],
        "area": 60.0,
        "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
    }


URL = "http://images.cocodataset.org/{}"
GOOD = {
    "info": {"version": "v1"},
    "licenses": [],
    "categories": [
        category(1, "c", 64, "aerosol_can", "spray_can"),
        category(3, "f", 1911, "airplane"),
        category(2, "r", 7, "air_conditioner"),
    ],
    "images": [
        {
            "id": 9,
            "coco_url": URL.format("val2017/000000000009.jpg"),
            "width": 40,
            "height": 30,
            "neg_category_ids": [2],
            "not_exhaustive_category_ids": [1],
        },
        {
            "id": 4,
            "coco_url": URL.format("train2017/000000000004.jpg"),
            "width": 40,
            "height": 30,
            "neg_category_ids": [],
            "not_exhaustive_category_ids": [],
        },
    ],
    "annotations": [annotation(1, 9, 1), annotation(2, 9, 1), annotation(3, 4, 3)],
}


def write(folder, data=GOOD, name="lvis_v1_val.json"):
    for split in ("train2017", "val2017"):
        (folder / "coco" / split).mkdir(parents=True, exist_ok=True)
    for image in data["images"]:
        path = image.get("coco_url", "").removeprefix(URL.format("")) or image.get("file_name")
        if path:
            Image.new("RGB", (40, 30)).save(folder / "coco" / path)
    (folder / "lvis").mkdir(exist_ok=True)
    file = folder / "lvis" / name
    file.write_text(json.dumps(data))
    return file


def read(folder, data=GOOD, **options):
    return LVISDataset(json_file=write(folder, data), image_root=folder / "coco", **options)


def changed(**edits):
    """The file with an edit of one entry: changed(images=(0, {...}))."""
    data = copy.deepcopy(GOOD)
    for key, (index, edit) in edits.items():
        data[key][index].update(edit)
    return data


def test_records(tmp_path):
    dataset = read(tmp_path)
    assert len(dataset) == 2
    first, second = dataset
    assert (first["image_id"], second["image_id"]) == (4, 9)  # by id
    assert first["file_name"] == str(tmp_path / "coco/train2017/000000000004.jpg")
    assert (second["height"], second["width"]) == (30, 40)
    assert second["neg_category_ids"] == [2]
    assert second["not_exhaustive_category_ids"] == [1]
    assert first["neg_category_ids"] == first["not_exhaustive_category_ids"] == []
    (only,) = first["annotations"]
    assert only == {
        "bbox": [6.25, 4.0, 10.5, 6.0],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": 2,
        "iscrowd": 0,
        "area": 60.0,
        "segmentation": GOOD["annotations"][2]["segmentation"],
    }


def test_metadata(tmp_path):
    dataset = read(tmp_path, name="mine")
    assert dataset.metadata.name == "mine"
    assert dataset.metadata.thing_classes == ("aerosol_can", "air_conditioner", "airplane")
    assert dataset.metadata.thing_dataset_id_to_contiguous_id == {1: 0, 2: 1, 3: 2}
    assert dataset.class_frequencies == ("c", "r", "f")
    assert dataset.class_image_counts == (64, 7, 1911)
    assert dataset.metadata.extra == {
        "class_frequencies": ("c", "r", "f"),
        "class_image_counts": (64, 7, 1911),
    }
    assert repr(dataset).startswith("LVISDataset(")


def test_cocofied(tmp_path):
    """Ids with gaps, names without synonyms, no numbers of images."""
    data = copy.deepcopy(GOOD)
    data["categories"] = [{"id": n, "name": name} for n, name in ((1, "person"), (3, "car"), (18, "dog"))]
    for image in data["images"]:
        image.update(neg_category_ids=[18])
    dataset = read(tmp_path, data)
    assert dataset.metadata.thing_classes == ("person", "car", "dog")
    assert dataset.metadata.thing_dataset_id_to_contiguous_id == {1: 0, 3: 1, 18: 2}
    assert dataset.class_image_counts == (1, 1, 0)  # counted
    assert dataset.class_frequencies == ()
    assert dataset[0]["neg_category_ids"] == [18]


def test_frequency_by_the_number_of_images(tmp_path):
    data = copy.deepcopy(GOOD)
    for entry, count in zip(data["categories"], (10, 101, 11), strict=True):
        del entry["frequency"]
        entry["image_count"] = count
    assert read(tmp_path, data).class_frequencies == ("r", "c", "f")


def test_version_05_and_file_names(tmp_path):
    """v0.5 has file names besides; own files have nothing else."""
    data = changed(images=(0, {"file_name": "000000000009.jpg"}))
    assert read(tmp_path, data)[1]["file_name"].endswith("val2017/000000000009.jpg")
    del data["images"][0]["coco_url"]
    data["images"][0]["file_name"] = "val2017/own.jpg"
    assert read(tmp_path, data)[1]["file_name"] == str(tmp_path / "coco/val2017/own.jpg")


def test_images_for_testing(tmp_path):
    data = {key: value for key, value in GOOD.items() if key != "annotations"}
    dataset = read(tmp_path, data)
    assert [record["annotations"] for record in dataset] == [[], []]


def test_ignored_categories_and_masks(tmp_path):
    dataset = read(tmp_path, ignore_categories=["aerosol_can"], ignore_keys=["segmentation"])
    assert dataset.metadata.thing_classes == ("air_conditioner", "airplane")
    assert dataset.class_image_counts == (7, 1911)
    assert dataset[1]["not_exhaustive_category_ids"] == []
    assert dataset[1]["annotations"] == []
    assert "segmentation" not in dataset[0]["annotations"][0]


WRONG = {
    "id of another annotation": ({"annotations": (1, {"id": 1})}, "annotation 1 .*another annotation has"),
    "no mask": ({"annotations": (1, {"segmentation": []})}, "annotation 2 .*it has no segmentation"),
    "odd polygon": ({"annotations": (0, {"segmentation": [[1, 2, 3]]})}, "annotation 1 .*polygon of 3 num"),
    "crowd": ({"annotations": (0, {"iscrowd": 1})}, "annotation 1 .*LVIS has none"),
    "text as id": ({"annotations": (0, {"id": "one"})}, "annotation one .*id must be a whole number"),
    "list": ({"images": (0, {"neg_category_ids": 2})}, "image 9 .*neg_category_ids must be a list of ids"),
    "unknown": (
        {"images": (0, {"not_exhaustive_category_ids": [1, 77]})},
        "image 9 .*not_exhaustive_category_ids has 77, which is not among",
    ),
    "no url": ({"images": (1, {"coco_url": None})}, "image 4: it has no 'file_name'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(tmp_path, name):
    edits, message = WRONG[name]
    data = changed(**edits)
    file = write(tmp_path, GOOD)
    file.write_text(json.dumps(data))
    with pytest.raises(AnnotationError, match=rf"lvis_v1_val\.json: {message}") as caught:
        LVISDataset(json_file=file, image_root=tmp_path / "coco")
    assert 'LVISDataset(on_error="skip")' in str(caught.value)
    dataset = LVISDataset(json_file=file, image_root=tmp_path / "coco", on_error="skip")
    assert sum(dataset.problems.values()) == 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"frequency": "often"}, r"categories\[0\] \(id 1\): frequency must be 'r', 'c' or 'f'"),
        ({"image_count": -1}, r"categories\[0\] \(id 1\): image_count must be a number of images"),
        ({"synonyms": "can"}, r"categories\[0\] \(id 1\): synonyms must be a list of names"),
        ({"id": "x"}, r"categories\[0\] has the id"),
    ],
)
def test_wrong_categories(tmp_path, edit, message):
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path, changed(categories=(0, edit)))


def test_missing_images(tmp_path):
    file = write(tmp_path)
    (tmp_path / "coco/val2017/000000000009.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"val2017/000000000009\.jpg.*LVISDataset\(on_error"):
        LVISDataset(json_file=file, image_root=tmp_path / "coco")


def test_weights_of_classes(tmp_path):
    file = write(tmp_path)
    dataset = LVISDataset(json_file=file, image_root=tmp_path / "coco")
    expected = torch.tensor([64.0, 7.0, 1911.0]).sqrt()
    for weights in (
        FederatedClassWeights(json_file=file, freq_weight_power=0.5)(),
        get_fed_loss_cls_weights(dataset, 0.5),
        get_fed_loss_cls_weights(FilteredDataset(dataset=ConcatDataset(datasets=[dataset])), 0.5),
    ):
        torch.testing.assert_close(weights, expected)
    assert get_fed_loss_cls_weights(dataset).tolist() == [64, 7, 1911]
    with pytest.raises(ValueError, match="no 'class_image_counts'"):
        get_fed_loss_cls_weights(ShapesDataset(num_images=1))
    data = copy.deepcopy(GOOD)
    del data["categories"][1]["image_count"]
    with pytest.raises(AnnotationError, match="its categories have no 'image_count'"):
        FederatedClassWeights(json_file=write(tmp_path, data))()
    with pytest.raises(FileNotFoundError, match="no annotation file"):
        FederatedClassWeights(json_file=tmp_path / "none.json")()


def test_repeat_factors(tmp_path):
    dataset = read(tmp_path)
    factors = RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(dataset, repeat_thresh=2.0)
    assert factors.tolist() == [2.0, 2.0]  # each class is in one of two images: sqrt(2 / 0.5)


@pytest.mark.parametrize("seed", [None, -1])
def test_repeating_without_a_seed(seed):
    def order():
        sampler = RepeatFactorTrainingSampler(repeat_factors=np.full(50, 1.5), seed=seed)
        return sampler.epoch_indices(0).tolist()

    assert order() != order()


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Generated images where the configs look for LVIS."""
    for split, seed in (("train", 1), ("val", 2)):
        shapes = ShapesDataset(num_images=4, image_size=48, seed=seed)
        json_file, images = shapes.export_coco(tmp_path / split)
        (tmp_path / "coco").mkdir(exist_ok=True)
        images.rename(tmp_path / "coco" / f"{split}2017")
        data = json.loads(json_file.read_text())
        for number, entry in enumerate(data["categories"]):
            entry.update(synonyms=[entry["name"]], frequency="rcfc"[number], image_count=10 * number + 1)
        for image in data["images"]:
            image["coco_url"] = URL.format(f"{split}2017/{image.pop('file_name')}")
            image.update(neg_category_ids=[], not_exhaustive_category_ids=[])
        (tmp_path / "lvis").mkdir(exist_ok=True)
        for version in ("v1", "v0.5"):
            (tmp_path / "lvis" / f"lvis_{version}_{split}.json").write_text(json.dumps(data))
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))


@pytest.mark.parametrize("name", ["lvis_v1", "lvis_v05", "lvis_v1_lsj"])
def test_zoo_data(layout, name):
    cfg = LazyConfig.load(model_zoo.get_config_file(f"common/data/{name}.py"))
    cfg.dataloader.train.update(num_workers=0, total_batch_size=2)
    cfg.dataloader.test.num_workers = 0
    loaders = instantiate(cfg)["dataloader"]
    batch = next(iter(loaders["train"]))
    assert all(item["instances"].has("gt_masks") for item in batch)
    assert isinstance(loaders["train"].batches.sampler, RepeatFactorTrainingSampler)
    assert loaders["train"].metadata.name.startswith("lvis_v0.5" if name == "lvis_v05" else "lvis_v1")
    evaluator = loaders["evaluator"]
    assert evaluator.dataset is loaders["test"].dataset.dataset
    assert evaluator.max_dets_per_image == 300
    for items in loaders["test"]:
        evaluator.process(items, [{"instances": _nothing(item)} for item in items])
    assert evaluator.evaluate()["bbox"]["AP"] == 0


def _nothing(item):
    from lazycfg.structures import Boxes, Instances

    return Instances(
        (item["height"], item["width"]),
        pred_boxes=Boxes(torch.zeros(0, 4)),
        scores=torch.zeros(0),
        pred_classes=torch.zeros(0, dtype=torch.int64),
    )


def test_federated_loss_of_a_zoo_model(layout):
    """The weights come from the training file at the first loss, whatever a checkpoint had."""
    cfg = model_zoo.get_config("ViTDet/LVIS/cascade_mask_rcnn_vitdet_b_100ep.py")
    cfg.model.roi_heads.num_classes = 4
    with torch.device("meta"):
        heads = instantiate(cfg.model.roi_heads)
    predictors = [predictor.to_empty(device="cpu") for predictor in heads.box_predictor]
    assert len({id(predictor.get_fed_loss_cls_weights) for predictor in predictors}) == 1  # one reading
    for predictor in predictors:
        assert "fed_loss_cls_weights" in predictor.state_dict()
        predictor.fed_loss_cls_weights.fill_(99.0)
        predictor.sigmoid_cross_entropy_loss(torch.zeros(3, 5), torch.tensor([0, 4, 2]))
        torch.testing.assert_close(
            predictor.fed_loss_cls_weights, torch.tensor([1.0, 11.0, 21.0, 31.0]).sqrt()
        )
    assert predictors[0].fed_loss_num_classes == 50
