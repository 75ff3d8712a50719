"""What evaluators tell a report beside their results."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from coco_plain import random_data
from small_cases import Records as VocRecords
from small_cases import boxes_found, cityscapes_instances, cityscapes_sem_seg, thing, voc

from lazycfg.evaluation import (
    COCOEvaluator,
    COCOPanopticEvaluator,
    LVISEvaluator,
    PascalVOCDetectionEvaluator,
    SemSegEvaluator,
    analyse_detections,
    to_json,
)
from lazycfg.evaluation.details import confusion_details, detection_details
from lazycfg.evaluation.evaluator import DatasetEvaluator, DatasetEvaluators
from lazycfg.evaluation.matching import match_detections
from lazycfg.structures import Boxes, BoxMode, Instances


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_of_the_analysis(seed):
    truth, detections = random_data(seed, "bbox", images=5, objects=6, found=12, classes=3)
    names = [category["name"] for category in truth["categories"]]
    found, quality = detection_details(match_detections(truth, detections), names)
    whole = analyse_detections(truth, detections)
    assert found["threshold"] == whole["score_threshold"]
    assert found["confusion"]["matrix"] == whole["confusion"]["matrix"]
    assert found["confusion"]["names"] == whole["confusion"]["classes"]
    assert found["errors"] == whole["errors"]
    assert found["F1"] == whole["F1"]
    assert set(quality) <= {image["id"] for image in truth["images"]}
    assert all(0 <= value <= 1 for value in quality.values())


class Records:
    def __init__(self):
        self.metadata = SimpleNamespace(
            thing_classes=("cat", "dog"), stuff_classes=("sky", "road", "grass"), ignore_label=255
        )
        self.boxes = [[[0, 0, 9, 9], [20, 0, 29, 9]], [[0, 20, 9, 29]], []]

    def __len__(self):
        return 3

    def __getitem__(self, index):
        things = [{"bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0} for box in self.boxes[index]]
        maps = {"sem_seg": np.full((2, 2), index), "pan_seg": np.full((4, 4), 1)}
        info = [{"id": 1, "isthing": True, "category_id": 0}]
        return {
            "image_id": index,
            "height": 48,
            "width": 64,
            "annotations": things,
            "segments_info": info,
        } | maps


def predicted(boxes, scores):
    found = Instances((48, 64))
    found.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    found.pred_classes = torch.zeros(len(boxes), dtype=torch.int64)
    found.scores = torch.tensor(scores)
    return {"instances": found}


def test_boxes_by_image_and_class():
    evaluator = COCOEvaluator(dataset=Records())
    evaluator.reset()
    evaluator.process([{"image_id": 0}], [predicted([[0, 0, 9, 9]], [0.9])])
    evaluator.process([{"image_id": 1}], [predicted([[0, 20, 9, 29]], [0.8])])
    evaluator.process([{"image_id": 2}], [predicted([], [])])
    evaluator.evaluate()
    found, quality = evaluator.details()
    # Two of three objects found: that of image 0 has one hit of two objects; nothing is known of image 2
    assert quality == {0: pytest.approx(2 / 3), 1: 1.0}
    assert found["bbox"]["per_class"][0]["class"] == "cat"
    assert found["bbox"]["curves"]["classes"].keys() == {"cat"}
    assert len(found["bbox"]["curves"]["mean"]) == 101
    assert found["bbox"]["threshold"] == pytest.approx(0.8)
    # The predictions are let go of: a second time there is only what is small
    again, quality = evaluator.details()
    assert not quality
    assert "errors" not in again["bbox"]


def test_objects_that_nobody_looked_for_are_no_mistakes():
    assert not LVISEvaluator.explained


def test_pixels_by_class_and_image():
    evaluator = SemSegEvaluator(dataset=Records(), boundary_iou=False)
    for index, labels in enumerate(([[0, 0], [0, 1]], [[1, 1], [1, 1]], [[0, 0], [0, 0]])):
        evaluator.process([{"image_id": index}], [{"sem_seg": torch.tensor(labels)}])
    results = evaluator.evaluate()["sem_seg"]
    found, quality = evaluator.details()
    assert quality == {0: pytest.approx(0.75), 1: 1.0, 2: 0.0}
    assert found["sem_seg"]["confusion"]["matrix"] == [[3, 1, 0], [0, 4, 0], [4, 0, 0]]
    rows = found["sem_seg"]["per_class"]
    assert [row["class"] for row in rows] == ["sky", "road", "grass"]
    assert [row["IoU"] for row in rows] == [results[f"IoU-{name}"] for name in ("sky", "road", "grass")]
    assert sum(row["pixels %"] for row in rows) == pytest.approx(100)


def test_panoptic_quality_by_image():
    evaluator = COCOPanopticEvaluator(dataset=Records())
    info = [{"id": 1, "isthing": True, "category_id": 0}]
    right, wrong = torch.ones(4, 4, dtype=torch.int64), torch.zeros(4, 4, dtype=torch.int64)
    evaluator.process([{"image_id": 0}], [{"panoptic_seg": (right, info)}])
    evaluator.process([{"image_id": 1}], [{"panoptic_seg": (wrong, [])}])
    evaluator.evaluate()
    found, quality = evaluator.details()
    assert quality == {0: 1.0, 1: 0.0}
    (row,) = found["panoptic_seg"]["per_class"]
    assert row["class"] == "cat"
    assert row["missed"] == 1


def test_of_voc():
    evaluator = voc()
    found, quality = evaluator.details()
    (task,) = found.values()
    assert [(row["class"], row["objects"]) for row in task["per_class"]] == [
        ("aeroplane", 2), ("bicycle", 1), ("bird", 1),
    ]  # fmt: skip
    # Of the aeroplanes the first detection is right, the next two are not, the fourth finds the other one
    assert task["curves"] == {
        "iou": 0.5,
        "mean": [0.667] * 51 + [0.5] * 50,
        "classes": {"aeroplane": [1.0] * 51 + [0.5] * 50, "bicycle": [1.0] * 101, "bird": [0.0] * 101},
        "left_out": 0,
    }
    assert task["threshold"] == pytest.approx(0.6)
    assert task["precision"] == pytest.approx(3 / 7)
    assert task["recall"] == pytest.approx(3 / 4)
    assert task["confusion"] == {
        "unit": "detections",
        "classes": 4,
        "names": ["aeroplane", "bicycle", "bird", "background"],
        "matrix": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [2, 0, 1, 0]],
    }
    assert task["errors"]["counts"] == {
        "classification": 2, "localization": 0, "both": 0, "duplicate": 1, "background": 1, "missed": 0,
    }  # fmt: skip
    assert quality == {0: pytest.approx(2 / 3), 1: pytest.approx(2 / 5)}
    assert evaluator.details() == ({}, {})  # the detections are let go of


def test_of_cityscapes_instances(tmp_path):
    found, quality = cityscapes_instances(tmp_path).details()
    (task,) = found.values()
    rows = {row["class"]: row for row in task["per_class"]}
    assert len(rows) == 8
    assert rows["car"]["objects"] == rows["person"]["objects"] == 1
    assert rows["rider"]["objects"] == 0
    assert task["curves"]["classes"] == {"person": [0.0] * 101, "car": [1.0] * 101}
    assert task["curves"]["mean"] == [0.5] * 101
    assert task["threshold"] == pytest.approx(0.9)
    confusion = task["confusion"]
    names = confusion["names"]
    counts = {
        (names[row], names[column]): count
        for row, values in enumerate(confusion["matrix"])
        for column, count in enumerate(values)
        if count
    }
    assert counts == {("car", "car"): 1, ("person", "rider"): 1}
    # What lies on a group, on something small or where there is no truth is no mistake
    assert task["errors"]["counts"] == {
        "classification": 1, "localization": 0, "both": 0, "duplicate": 1, "background": 1, "missed": 0,
    }  # fmt: skip
    assert list(quality.values()) == [0.5]


def test_of_cityscapes_pixels(tmp_path):
    found, quality = cityscapes_sem_seg(tmp_path).details()
    (task,) = found.values()
    confusion = task["confusion"]
    assert confusion["unit"] == "pixels"
    names = confusion["names"]
    assert len(names) == 19
    matrix = np.array(confusion["matrix"])
    expected = np.zeros((19, 19), dtype=int)
    road, car, person = (names.index(name) for name in ("road", "car", "person"))
    expected[road, road], expected[car, car], expected[car, person] = 2400 + 2 * 4800, 600, 600
    assert np.array_equal(matrix, expected)
    rows = {(row["class"], row["kind"]): row for row in task["per_class"]}
    assert rows["car", "class"]["IoU"] == 50
    assert rows["person", "class"]["IoU"] == 0
    assert rows["sky", "class"].keys() == rows["sky", "category"].keys()
    assert rows["vehicle", "category"]["IoU"] == 50
    assert sorted(quality.values()) == [0.75, 1.0, 1.0]


@pytest.mark.parametrize("seed", range(6))
def test_confusion_counts_each_object_and_detection_once(seed):
    rng = np.random.default_rng(seed)

    def boxes(count):
        corner = rng.integers(0, 40, (count, 2))
        return np.concatenate([corner, corner + rng.integers(4, 30, (count, 2))], axis=1)

    def classes(count):
        return rng.integers(0, 3, count).tolist()

    truth = [[thing(*each) for each in zip(boxes(5).tolist(), classes(5), strict=True)] for _ in range(4)]
    evaluator = PascalVOCDetectionEvaluator(dataset=VocRecords(truth))
    scores = []
    for index, things in enumerate(truth):
        near = np.array([t["bbox"] for t in things] * 2) + rng.integers(-3, 4, (10, 4))
        rows = list(zip(near.tolist(), classes(10), rng.random(10).tolist(), strict=True))
        scores += [float(f"{score:.3f}") for _, _, score in rows]
        evaluator.process([{"image_id": index}], [{"instances": boxes_found(rows)}])
    evaluator.evaluate()
    task = evaluator.details()[0]["bbox"]
    matrix = np.array(task["confusion"]["matrix"])
    objects = [row["objects"] for row in task["per_class"]]
    assert matrix.sum(axis=1)[:3].tolist() == objects
    assert matrix[:, :3].sum() == sum(score >= task["threshold"] for score in scores)
    assert np.trace(matrix) == pytest.approx(task["recall"] * sum(objects))


def test_their_size_has_a_limit():
    names = [f"the class of number {i}" for i in range(600)]
    truth = [[thing([k % 50, 0, k % 50 + 20, 20], 25 * image + k) for k in range(25)] for image in range(24)]
    evaluator = PascalVOCDetectionEvaluator(dataset=VocRecords(truth, names))
    for index, things in enumerate(truth):
        rows = [(t["bbox"], (t["category_id"] * 7 + 1) % 600, 0.5) for t in things]
        evaluator.process([{"image_id": index}], [{"instances": boxes_found(rows)}])
    evaluator.evaluate()
    task = evaluator.details()[0]["bbox"]
    assert len(task["curves"]["classes"]) == 40
    assert task["curves"]["left_out"] == 560
    assert len(task["confusion"]["pairs"]) == 60
    rows = len(json.dumps(task.pop("per_class")))
    assert rows < 600 * 150
    assert len(to_json(task)) < 60_000


def test_of_many_classes_the_worst_pairs():
    matrix = np.eye(50, dtype=np.int64) * 7
    matrix[3, 4], matrix[9, 8] = 5, 6
    found = confusion_details(matrix, [f"c{i}" for i in range(50)], unit="detections")
    assert "matrix" not in found
    assert found["pairs"] == [
        {"true": "c9", "predicted": "c8", "count": 6},
        {"true": "c3", "predicted": "c4", "count": 5},
    ]


def test_several_evaluators():
    class One(DatasetEvaluator):
        def details(self):
            return {"a": {"x": 1}}, {1: 0.5}

    class Two(DatasetEvaluator):
        def details(self):
            return {"b": {}}, {1: 0.25}

    assert DatasetEvaluators([DatasetEvaluator(), One(), Two()]).details() == (
        {"a": {"x": 1}, "b": {}},
        {1: 0.5},
    )
