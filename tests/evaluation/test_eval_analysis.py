"""Confusion, curves, thresholds and kinds of mistakes, against versions that go object by object."""

import json
import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from analysis_plain import best_f1, confusion, errors, match
from coco_plain import random_data
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.evaluation import COCOEvaluator, analyse_detections, coco_scores, to_json
from lazycfg.evaluation.matching import match_detections
from lazycfg.structures import Boxes, BoxMode, Instances


def boxes(seed, **sizes):
    """Return random data without equal scores, nor boxes equal but for the class."""
    truth, detections = random_data(
        seed, "bbox", **{"images": 5, "objects": 6, "found": 12, "classes": 3, **sizes}
    )
    rng = np.random.default_rng(seed)
    for entry in (*truth["annotations"], *detections):
        entry["bbox"] = [max(0.5, value + float(rng.normal(0, 0.3))) for value in entry["bbox"]]
    for detection, score in zip(detections, rng.permutation(len(detections)).tolist(), strict=True):
        detection["score"] = (score + 1) / (len(detections) + 1)
    return truth, detections


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_matches_are_those_of_plain_loops(seed):
    truth, detections = boxes(seed)
    rows, things = match(truth, detections)
    found = match_detections(truth, detections)
    assert found.score.tolist() == [row["score"] for row in rows]
    assert found.ignored.tolist() == [row["ignored"] for row in rows]
    numbers = {id(thing): number for number, thing in enumerate(things)}
    assert found.found.tolist() == [-1 if row["found"] is None else numbers[id(row["found"])] for row in rows]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), iou=st.sampled_from([0.5, 0.75]), background=st.sampled_from([0.1, 0.3])
)
def test_kinds_of_mistakes_are_those_of_plain_loops(seed, iou, background):
    truth, detections = boxes(seed)
    if all(a["iscrowd"] for a in truth["annotations"]):
        return
    expected = errors(truth, detections, iou, background)
    analysis = analyse_detections(truth, detections, iou=iou, background_iou=background)
    assert analysis["errors"]["counts"] == expected["counts"]
    assert analysis["errors"]["AP50"] == pytest.approx(expected["AP50"], abs=1e-9)
    assert analysis["errors"]["dAP"] == pytest.approx(expected["dAP"], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_confusion_and_thresholds_are_those_of_plain_loops(seed):
    truth, detections = boxes(seed)
    analysis = analyse_detections(truth, detections, score_threshold=0.3)
    assert analysis["confusion"]["matrix"] == confusion(truth, detections, 0.3)
    for row, category in zip(analysis["per_class"], truth["categories"], strict=True):
        value, threshold = best_f1(truth, detections, category["id"])
        assert row["threshold"] == threshold
        if row["objects"]:
            assert row["F1"] == pytest.approx(value)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_agree_with_average_precision(kind, seed):
    truth, detections = random_data(seed, kind, images=5, objects=8, found=20, classes=3)
    analysis = analyse_detections(truth, detections, kind)
    scores = coco_scores(truth, detections, kind, max_dets=(100,))
    assert analysis["AP50"] == scores.metrics()["AP50"]
    assert analysis["errors"]["AP50"] == pytest.approx(analysis["AP50"], abs=1e-9)
    for index, row in enumerate(analysis["per_class"]):
        curve = scores.precision_recall(index)[1]
        if row["objects"]:
            np.testing.assert_allclose(row["curve_precision"], curve, atol=1e-12)
            expected = scores.score[0, :, index, 0, 0]
            got = [0.0 if score is None else score for score in row["curve_score"]]
            # At recall 0 COCO gives the score of the first detection, even of one that does not count.
            np.testing.assert_array_equal(got[1:], expected[1:])
        else:
            assert row["curve_precision"] == []
    for row in analysis["by_size"]:
        assert row["AP"] == pytest.approx(100 * scores.average_precision(area=row["size"]), nan_ok=True)
    assert sum(row["images"] for row in analysis["by_count"]) == len(truth["images"])
    assert sum(row["objects"] for row in analysis["by_count"]) == analysis["objects"]
    matrix = np.array(analysis["confusion"]["matrix"])
    assert matrix[:-1].sum() == analysis["objects"]
    assert matrix[-1, -1] == 0


def test_every_kind_by_hand():
    thing = {"image_id": 1, "iscrowd": 0, "area": 400.0}
    truth = {
        "images": [{"id": 1, "height": 200, "width": 200}],
        "categories": [{"id": 5, "name": "cat"}, {"id": 6, "name": "dog"}],
        "annotations": [
            {**thing, "id": 1, "category_id": 5, "bbox": [0, 0, 20, 20]},
            {**thing, "id": 2, "category_id": 5, "bbox": [50, 0, 20, 20]},
            {**thing, "id": 3, "category_id": 5, "bbox": [100, 0, 20, 20]},
            {**thing, "id": 4, "category_id": 6, "bbox": [0, 100, 20, 20]},
        ],
    }
    detections = [
        {"image_id": 1, "category_id": label, "bbox": [x, y, 20, 20], "score": score}
        for label, x, y, score in (
            (5, 0, 0, 0.9),  # right
            (5, 1, 0, 0.8),  # again
            (5, 60, 0, 0.7),  # a third of the overlap: wrong place
            (5, 0, 101, 0.6),  # a dog
            (6, 110, 0, 0.5),  # wrong in both
            (6, 150, 150, 0.4),  # nothing there
        )
    ]
    analysis = analyse_detections(truth, detections)
    counts = dict.fromkeys(("classification", "localization", "both", "duplicate", "background", "missed"), 1)
    assert analysis["errors"]["counts"] == counts
    assert analysis["confusion"]["classes"] == ["cat", "dog", "background"]
    # The best threshold over all is that of the one right detection
    assert analysis["score_threshold"] == 0.9
    assert (analysis["precision"], analysis["recall"], analysis["F1"]) == (1, 0.25, 0.4)
    assert analysis["confusion"]["matrix"] == [[1, 0, 2], [0, 0, 1], [0, 0, 0]]
    everything = analyse_detections(truth, detections, score_threshold=0)
    assert everything["confusion"]["matrix"] == [[1, 0, 2], [1, 0, 0], [2, 2, 0]]
    assert everything["by_count"][0]["wrong_per_image"] == 5
    cat, dog = analysis["per_class"]
    assert (cat["threshold"], cat["precision"], cat["recall"], cat["F1"]) == (0.9, 1, 1 / 3, 0.5)
    assert (dog["threshold"], dog["F1"]) == (None, 0)
    json.loads(to_json(analysis))


def test_more_detections_than_count():
    truth, detections = boxes(3, found=30)
    analysis = analyse_detections(truth, detections, max_dets=2)
    groups = {}
    for d in detections:
        groups[d["image_id"], d["category_id"]] = groups.get((d["image_id"], d["category_id"]), 0) + 1
    assert analysis["detections_left_out"] == sum(max(0, n - 2) for n in groups.values()) > 0
    assert analysis["AP50"] == pytest.approx(analysis["errors"]["AP50"], abs=1e-9)
    assert analysis["max_dets"] == 2


def test_nothing_there():
    truth, detections = boxes(3)
    for data in (({**truth, "annotations": []}, detections), (truth, []), ({**truth, "annotations": []}, [])):
        analysis = analyse_detections(*data)
        assert analysis["score_threshold"] is None
        assert math.isnan(analysis["precision"])
        assert set(analysis["errors"]["dAP"]) > set(analysis["errors"]["counts"])


def test_rotated_boxes():
    truth, detections = boxes(4)
    plain = analyse_detections(truth, detections)
    for entry in (*truth["annotations"], *detections):
        x, y, w, h = entry["bbox"]
        entry["bbox"] = [x + w / 2, y + h / 2, w, h, 0.0]
    turned = analyse_detections(truth, detections)
    assert turned["errors"]["counts"] == plain["errors"]["counts"]
    assert turned["AP50"] == pytest.approx(plain["AP50"], abs=1e-6)


def test_keypoints_are_not_analysed():
    with pytest.raises(ValueError, match="iou_type='keypoints': expected 'bbox' or 'segm'"):
        analyse_detections(*random_data(0, "keypoints"), "keypoints")


def found_in(image_id, boxes_, labels, scores):
    return [{"image_id": image_id}], [
        {
            "instances": Instances(
                (48, 64),
                pred_boxes=Boxes(torch.tensor(boxes_, dtype=torch.float32).reshape(-1, 4)),
                pred_classes=torch.tensor(labels, dtype=torch.int64),
                scores=torch.tensor(scores),
            )
        }
    ]


class Data:
    def __init__(self, images):
        self.metadata = SimpleNamespace(thing_classes=("cat", "dog"))
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        things = [
            {"bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0} for box in self.images[index]
        ]
        return {"image_id": index, "height": 48, "width": 64, "annotations": things}


def grid(count):
    return [[4 * (k % 16), 4 * (k // 16), 4 * (k % 16) + 3, 4 * (k // 16) + 3] for k in range(count)]


def test_an_evaluator_writes_the_analysis(tmp_path):
    evaluator = COCOEvaluator(dataset=Data([grid(3), grid(2)]), analysis=True, output_dir=tmp_path / "out")
    names = evaluator.try_out(*found_in(0, grid(2), [0, 1], [0.9, 0.8]))
    assert not (tmp_path / "out").exists()
    evaluator.process(*found_in(0, grid(2), [0, 1], [0.9, 0.8]))
    evaluator.process(*found_in(1, grid(2), [0, 0], [0.7, 0.6]))
    results = evaluator.evaluate()
    assert list(results) == list(names) == ["bbox", "bbox_analysis"]
    assert list(results["bbox_analysis"]) == list(names["bbox_analysis"])
    assert results["bbox_analysis"]["max_dets"] == 100
    assert results["bbox_analysis"]["dAP_classification"] > 0
    written = json.loads((tmp_path / "out/coco_analysis_bbox.json").read_text())
    assert written["errors"]["counts"]["classification"] == 1
    assert written["confusion"]["matrix"][0] == [3, 1, 1]
    assert written["AP50"] == pytest.approx(results["bbox"]["AP50"])
    assert json.loads((tmp_path / "out/coco_per_class_bbox.json").read_text())[0]["max_dets"] == 100
    # Only some images
    part = COCOEvaluator(dataset=Data([grid(3), grid(2)]), analysis=True)
    part.process(*found_in(1, grid(2), [0, 0], [0.7, 0.6]))
    assert part.evaluate(img_ids=[1])["bbox_analysis"]["recall"] == 1


def test_what_is_cut_off_is_warned_about(caplog):
    evaluator = COCOEvaluator(dataset=Data([grid(2), grid(8), grid(8)]), max_dets_per_image=5)
    evaluator.try_out(*found_in(0, grid(2), [0, 1], [0.9, 0.8]))
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "image 1 has 8 objects of one class, and only the best 5 detections" in record.getMessage()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for image in range(3):
            evaluator.process(*found_in(image, grid(7), [0] * 6 + [1], [0.5] * 7))
        evaluator.evaluate()
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warned) == 3
    assert (
        "no image has more than 7 detections, and 2 images with just so many have more objects" in warned[0]
    )
    assert "image 1 has 8 objects of one class" in warned[1]
    assert "3 of 21 detections do not count: only the best 5 of a class in an image do" in warned[2]
    assert "Evaluation results for bbox (max_dets 5)" in caplog.text
    assert evaluator.scores["bbox"].num_left_out == 3
    caplog.clear()
    evaluator = COCOEvaluator(dataset=Data([grid(2), grid(8), grid(8)]))
    evaluator.try_out(*found_in(0, grid(2), [0, 1], [0.9, 0.8]))
    assert not caplog.records
