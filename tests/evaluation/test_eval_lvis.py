"""LVIS's metrics against plain loops, and on dataset objects."""

import json
import logging
import math

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from lvis_plain import plain_metrics, random_case

from lazycfg.data import DatasetFromList, FilteredDataset, Metadata
from lazycfg.evaluation import LVISEvaluator, lvis_scores
from lazycfg.structures import Boxes, BoxMode, Instances
from lazycfg.structures.rle import decode_rle

pytest.importorskip("faster_coco_eval")

NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf"]


def dataset_of(truth):
    """The truth as a dataset: records with classes from 0, boxes XYWH, and the lists of the images."""
    classes = {category["id"]: index for index, category in enumerate(truth["categories"])}
    records = [
        {
            "image_id": image["id"],
            "height": image["height"],
            "width": image["width"],
            "neg_category_ids": image["neg_category_ids"],
            "not_exhaustive_category_ids": image["not_exhaustive_category_ids"],
            "annotations": [
                {
                    "bbox": a["bbox"],
                    "bbox_mode": BoxMode.XYWH_ABS,
                    "category_id": classes[a["category_id"]],
                    "iscrowd": 0,
                    "area": a["area"],
                    "segmentation": a["segmentation"],
                }
                for a in truth["annotations"]
                if a["image_id"] == image["id"]
            ],
        }
        for image in truth["images"]
    ]
    metadata = Metadata(
        name="lvis",
        thing_classes=tuple(category["name"] for category in truth["categories"]),
        thing_dataset_id_to_contiguous_id=classes,
        extra={"class_frequencies": tuple(category["frequency"] for category in truth["categories"])},
    )
    return DatasetFromList(records, metadata=metadata)


def outputs_of(truth, detections, *, masks=True):
    """What a model gives for each image, and its inputs."""
    classes = {category["id"]: index for index, category in enumerate(truth["categories"])}
    inputs, outputs = [], []
    for image in truth["images"]:
        size = image["height"], image["width"]
        own = [d for d in detections if d["image_id"] == image["id"]]
        boxes = torch.tensor([d["bbox"] for d in own], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        found = Instances(
            size,
            pred_boxes=Boxes(boxes),
            scores=torch.tensor([d["score"] for d in own], dtype=torch.float32),
            pred_classes=torch.tensor([classes[d["category_id"]] for d in own], dtype=torch.int64),
        )
        if masks:
            stacked = [decode_rle(d["segmentation"]) for d in own]
            found.pred_masks = torch.from_numpy(np.stack(stacked) if own else np.zeros((0, *size), bool))
        inputs.append({"image_id": image["id"]})
        outputs.append({"instances": found})
    return inputs, outputs


def evaluate(evaluator, truth, detections, **options):
    evaluator.reset()
    evaluator.process(*outputs_of(truth, detections, **options))
    return evaluator.evaluate()


def same(one, other):
    assert list(one) == list(other)
    for name in one:
        assert one[name] == pytest.approx(other[name], abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(20))
def test_equal_to_plain_loops(kind, seed):
    rng = np.random.default_rng(seed)
    truth, detections = random_case(rng)
    limit = int(rng.choice([3, 8, 300]))
    scores = lvis_scores(truth, detections, kind, max_dets=limit)
    metrics = scores.metrics()
    frequencies = [category["frequency"] for category in truth["categories"]]
    for letter in "rcf":
        members = [index for index, each in enumerate(frequencies) if each == letter]
        metrics[f"AP{letter}"] = 100 * scores.average_precision(class_index=members)
    same(metrics, plain_metrics(truth, detections, kind, limit))


def case(seed=3):
    truth, detections = random_case(np.random.default_rng(seed))
    for detection in detections:  # as exact in float32
        detection["bbox"] = np.round(np.array(detection["bbox"]) * 4).tolist()
        detection["bbox"] = [value / 4 for value in detection["bbox"]]
        detection["score"] = round(detection["score"] * 64) / 64
    return truth, detections


def test_evaluator(tmp_path):
    truth, detections = case()
    results = evaluate(LVISEvaluator(dataset=dataset_of(truth), output_dir=tmp_path), truth, detections)
    assert list(results) == ["bbox", "segm"]
    for kind, metrics in results.items():
        assert list(metrics) == NAMES
        same(metrics, plain_metrics(truth, detections, kind, 300))
    assert results["bbox"]["AP"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lvis_instances_results.json",
        "lvis_per_class_bbox.json",
        "lvis_per_class_segm.json",
    ]
    written = json.loads((tmp_path / "lvis_instances_results.json").read_text())
    assert len(written) == len(detections)
    assert all(set(d) == {"image_id", "category_id", "bbox", "score", "segmentation"} for d in written)
    assert {d["category_id"] for d in written} == {d["category_id"] for d in detections}
    rows = json.loads((tmp_path / "lvis_per_class_bbox.json").read_text())
    assert [row["class"] for row in rows] == [category["name"] for category in truth["categories"]]


def test_the_file_has_what_counts(tmp_path):
    truth, detections = case()
    evaluator = LVISEvaluator(dataset=dataset_of(truth), output_dir=tmp_path, max_dets_per_image=2)
    results = evaluate(evaluator, truth, detections, masks=False)
    assert list(results) == ["bbox"]
    same(results["bbox"], plain_metrics(truth, detections, "bbox", 2))
    written = json.loads((tmp_path / "lvis_instances_results.json").read_text())
    for image in truth["images"]:
        scores = sorted(d["score"] for d in detections if d["image_id"] == image["id"])
        assert sorted(d["score"] for d in written if d["image_id"] == image["id"]) == scores[-2:]


def square(label, *, image=1, score=0.9, at=0):
    box = [10.0 + at, 10.0, 20.0, 20.0]
    return {"image_id": image, "category_id": label, "bbox": box, "score": score, "area": 400.0}


def federated(**lists):
    """One image with an object of class 1; classes 2 and 3 have none."""
    return {
        "images": [
            {
                "id": 1,
                "height": 50,
                "width": 60,
                "neg_category_ids": lists.get("neg", []),
                "not_exhaustive_category_ids": lists.get("partly", []),
            },
            {
                "id": 2,
                "height": 50,
                "width": 60,
                "neg_category_ids": [],
                "not_exhaustive_category_ids": [],
            },
        ],
        "annotations": [{**square(1), "id": 1, "iscrowd": 0}, {**square(2, image=2), "id": 2, "iscrowd": 0}],
        "categories": [{"id": n, "name": f"c{n}", "frequency": f} for n, f in ((1, "r"), (2, "f"), (3, "c"))],
    }


def ap(truth, detections):
    return lvis_scores(truth, detections, "bbox").metrics()["AP"]


def test_the_three_rules():
    right = [square(1, score=0.5), square(2, image=2, score=0.5)]
    other = square(2, score=0.9)  # class 2 in image 1, better than the right one in image 2
    assert ap(federated(), right) == pytest.approx(100)
    assert ap(federated(), [*right, other]) == pytest.approx(100)  # nobody looked for it
    assert ap(federated(neg=[2]), [*right, other]) == pytest.approx(75)
    assert ap(federated(neg=[2], partly=[2]), [*right, other]) == pytest.approx(100)
    twice = [square(1, score=0.9, at=25), *right]
    assert ap(federated(), twice) == pytest.approx(75)
    assert ap(federated(partly=[1]), twice) == pytest.approx(100)
    # the best of an image, over all classes
    crowded = [square(3, score=0.9) for _ in range(300)]
    assert ap(federated(), [*right, *crowded]) == pytest.approx(50)
    assert ap(federated(), [*right, *crowded[1:]]) == pytest.approx(100)


def test_frequencies_that_nobody_tells(caplog):
    truth = federated()
    dataset = dataset_of({**truth, "annotations": [dict(a, segmentation=[]) for a in truth["annotations"]]})
    dataset.metadata = dataset.metadata.replace(extra={})
    with caplog.at_level(logging.INFO):
        results = evaluate(LVISEvaluator(dataset=dataset), truth, [square(1)], masks=False)
    assert results["bbox"]["AP"] == pytest.approx(50)
    assert all(math.isnan(results["bbox"][name]) for name in ("APr", "APc", "APf"))
    assert "no class is said to be rare, so APr is NaN" in caplog.text


def test_test_images_are_written_and_not_evaluated(tmp_path, caplog):
    truth = {**federated(), "annotations": []}
    evaluator = LVISEvaluator(dataset=dataset_of(truth), output_dir=tmp_path)
    with caplog.at_level(logging.INFO):
        assert evaluate(evaluator, truth, [square(1)], masks=False) == {}
    assert "no objects to compare with" in caplog.text
    assert len(json.loads((tmp_path / "lvis_instances_results.json").read_text())) == 1


def test_through_a_filter_and_on_some_images():
    truth, detections = case(11)
    dataset = FilteredDataset(dataset=dataset_of(truth), filter_empty=False)
    evaluator = LVISEvaluator(dataset=dataset)
    inputs, outputs = outputs_of(truth, detections)
    assert evaluator.try_out(inputs[:1], outputs[:1]) is not None
    same(evaluate(evaluator, truth, detections)["segm"], plain_metrics(truth, detections, "segm", 300))


def test_what_is_refused():
    truth, _ = case()
    dataset = dataset_of(truth)
    with pytest.raises(ValueError, match=r"'keypoints' is not one of \['bbox', 'segm', 'box_proposals'\]"):
        LVISEvaluator(dataset=dataset, tasks=["keypoints"])
    with pytest.raises(ValueError, match="max_dets_per_image must be at least 1"):
        LVISEvaluator(dataset=dataset, max_dets_per_image=0)
    for wrong in ({"category_id": 99}, {"image_id": 99}):
        with pytest.raises(ValueError, match=r"detection 0 is o[fn] .* 99"):
            lvis_scores(federated(), [{**square(1), **wrong}], "bbox")
    image = truth["images"][0]
    unknown = {**truth, "images": [{**image, "neg_category_ids": [999]}, *truth["images"][1:]]}
    with pytest.raises(ValueError, match=rf"image {image['id']}: neg_category_ids has 999"):
        evaluate(LVISEvaluator(dataset=dataset_of(unknown)), unknown, [])
    crowd = DatasetFromList(
        [
            {
                "image_id": 5,
                "height": 9,
                "width": 9,
                "annotations": [
                    {"bbox": [1, 1, 4, 4], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0, "iscrowd": 1}
                ],
            }
        ],
        metadata=Metadata(thing_classes=("a",)),
    )
    with pytest.raises(ValueError, match=r"image 5 has a crowd region .* COCOEvaluator evaluates"):
        LVISEvaluator(dataset=crowd).ground_truth()


def _evaluate_in_two(rank, folder, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", rank=rank, world_size=2, init_method=f"file://{folder}/rendezvous"
    )
    truth, detections = case()
    evaluator = LVISEvaluator(dataset=dataset_of(truth), output_dir=folder / "out")
    evaluator.reset()
    inputs, outputs = outputs_of(truth, detections)
    evaluator.process(inputs[rank::2], outputs[rank::2])
    results[rank] = evaluator.evaluate()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(_evaluate_in_two, args=(tmp_path, results), nprocs=2)
        together = dict(results)
    assert together[1] is None
    truth, detections = case()
    alone = evaluate(LVISEvaluator(dataset=dataset_of(truth)), truth, detections)
    for kind in ("bbox", "segm"):
        same(together[0][kind], alone[kind])
