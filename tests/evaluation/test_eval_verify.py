"""Results held against what they should be."""

import json

import pytest
import torch

from lazycfg.evaluation import instances_to_coco_json, verify_results
from lazycfg.structures import Boxes, Instances

RESULTS = {"bbox": {"AP": 38.4, "AP50": 60.0, "APl": float("nan")}}


def test_results_as_expected():
    expected = [["bbox", "AP", 38.5, 0.2], ("bbox", "AP50", 60, 0)]
    assert verify_results(RESULTS, expected) is RESULTS
    assert verify_results(RESULTS, []) is RESULTS


def test_all_that_is_wrong_is_listed():
    expected = [
        ["bbox", "AP", 38.5, 0.05], ["bbox", "APl", 1.0, 100], ["bbox", "AP5", 1, 1], ["boxes", "AP", 1, 1],
        ["bbox", "AP50", 60, 1],
    ]  # fmt: skip
    with pytest.raises(AssertionError) as error:
        verify_results(RESULTS, expected)
    first, *lines = str(error.value).splitlines()
    assert first == "results are not as expected:"
    assert [line.strip().partition(":")[0] for line in lines] == ["bbox AP", "bbox APl", "bbox AP5", "boxes"]
    assert lines[0] == "  bbox AP: 38.4000, expected 38.5 +- 0.05"
    assert "AP50" in lines[2]
    with pytest.raises(ValueError, match="expected \\(task, metric, value, tolerance\\)"):
        verify_results(RESULTS, [["bbox", "AP", 1]])


def test_detections_as_in_a_file_of_results():
    found = Instances((10, 12), pred_boxes=Boxes(torch.tensor([[1.0, 2, 5, 8], [0, 0, 2, 2]])))
    found.scores, found.pred_classes = torch.tensor([0.5, 0.25]), torch.tensor([1, 0])
    found.pred_masks = torch.ones(2, 10, 12, dtype=torch.bool)
    found.pred_keypoints = torch.ones(2, 3, 3)
    first, second = instances_to_coco_json(found, 7)
    assert (first["image_id"], first["category_id"], second["category_id"]) == (7, 1, 0)
    assert (first["bbox"], first["score"]) == ([1, 2, 4, 6], 0.5)
    assert first["keypoints"] == [0.5, 0.5, 1.0] * 3
    assert first["segmentation"]["size"] == [10, 12]
    assert json.loads(json.dumps(first)) == first
    assert instances_to_coco_json(found, 7, category_ids=[3, 90])[0]["category_id"] == 90
    assert instances_to_coco_json(found[:0], 7) == []
    with pytest.raises(ValueError, match="the model predicts class 1"):
        instances_to_coco_json(found, 7, category_ids=[3])
