"""COCO's metrics on dataset objects."""

import json
import logging
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from lazycfg.evaluation import COCOEvaluator, coco_ground_truth, coco_scores, evaluate_json, to_json
from lazycfg.evaluation.predictions import encode_masks
from lazycfg.structures import Boxes, BoxMode, Instances, ROIMasks
from lazycfg.structures.rle import encode_mask

pytest.importorskip("faster_coco_eval")

SIZE = (60, 80)


class Data:
    """Records of squares; ids in files are 10, 20, ..."""

    def __init__(self, images, *, names=("cat", "dog"), **metadata):
        ids = {10 * (i + 1): i for i in range(len(names))}
        self.metadata = SimpleNamespace(
            thing_classes=names, thing_dataset_id_to_contiguous_id=ids, **metadata
        )
        self.num_classes = len(names)
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {
            "image_id": f"image {index}",
            "height": SIZE[0],
            "width": SIZE[1],
            "image": np.zeros((*SIZE, 3), np.uint8),
            "annotations": self.images[index],
        }


def annotation(box, label=0, *, polygon=True, **extra):
    x0, y0, x1, y1 = box
    result = {"bbox": list(box), "bbox_mode": BoxMode.XYXY_ABS, "category_id": label, "iscrowd": 0}
    if polygon:
        result["segmentation"] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
    return {**result, **extra}


def instances(boxes, labels=None, scores=None, **fields):
    n = len(boxes)
    return Instances(
        SIZE,
        pred_boxes=Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(n, 4)),
        pred_classes=torch.tensor(labels if labels is not None else [0] * n, dtype=torch.int64),
        scores=torch.tensor(scores if scores is not None else [0.9] * n),
        **fields,
    )


def masks_of(boxes, shift=0):
    out = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(out, boxes, strict=True):
        mask[y0 : y1 + shift, x0:x1] = True
    return out


def run(evaluator, outputs, start=0):
    evaluator.reset()
    for index, output in enumerate(outputs, start):
        evaluator.process([{"image_id": f"image {index}"}], [output])
    return evaluator.evaluate()


BOXES = [(5, 5, 25, 30), (40, 10, 70, 50)]
DATA = [[annotation(BOXES[0]), annotation(BOXES[1], 1)], [annotation(BOXES[1])]]


def perfect():
    return [
        {"instances": instances(BOXES, [0, 1], pred_masks=masks_of(BOXES))},
        {"instances": instances(BOXES[1:], [0], pred_masks=masks_of(BOXES[1:]))},
    ]


def test_perfect_predictions():
    results = run(COCOEvaluator(dataset=Data(DATA)), perfect())
    assert list(results) == ["bbox", "segm"]
    for metrics in results.values():
        assert list(metrics) == ["AP", "AP50", "AP75", "APs", "APm", "APl", "AP-cat", "AP-dog"]
        for name in ("AP", "AP50", "AP75", "APs", "APm", "AP-cat", "AP-dog"):
            assert metrics[name] == pytest.approx(100, abs=1e-6)
        assert math.isnan(metrics["APl"])


def test_the_engine_asked_for_compares(monkeypatch):
    with pytest.raises(ValueError, match=r"engine: 'hotcoko' is not one of .*did you mean 'hotcoco'"):
        COCOEvaluator(dataset=Data(DATA), engine="hotcoko")
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    other = run(COCOEvaluator(dataset=Data(DATA), engine="faster-coco-eval"), perfect())
    assert str(other) == str(run(COCOEvaluator(dataset=Data(DATA)), perfect()))  # NaN is not NaN
    with pytest.raises(ImportError, match="need hotcoco"):
        run(COCOEvaluator(dataset=Data(DATA), engine="hotcoco"), perfect())


def test_the_iou_decides():
    # Three quarters of the height: IoU 0.75 counts at 0.5, ..., 0.75, that is at 6 of 10 thresholds.
    data = Data([[annotation((10, 10, 30, 50))]], names=("cat",))
    box = (10, 10, 30, 40)
    metrics = run(COCOEvaluator(dataset=data), [{"instances": instances([box], pred_masks=masks_of([box]))}])
    assert metrics["bbox"]["AP"] == pytest.approx(60, abs=1e-6)
    assert metrics["segm"]["AP"] == pytest.approx(60, abs=1e-6)
    assert metrics["bbox"]["AP50"] == pytest.approx(100, abs=1e-6)
    assert "AP-cat" not in metrics["bbox"]  # one class: the same as AP


def test_crowds_neither_count_nor_punish():
    crowd = annotation((40, 10, 70, 50), iscrowd=1)
    crowd["segmentation"] = {"size": list(SIZE), "counts": [40 * 60 + 10, *([40, 20] * 30)[:-1], 610]}
    crowd["segmentation"]["counts"][-1] = SIZE[0] * SIZE[1] - sum(crowd["segmentation"]["counts"][:-1])
    data = Data([[annotation(BOXES[0]), crowd]], names=("cat",))
    boxes = [BOXES[0], (45, 15, 55, 25), (50, 20, 60, 30)]
    metrics = run(COCOEvaluator(dataset=data), [{"instances": instances(boxes, pred_masks=masks_of(boxes))}])
    assert metrics["bbox"]["AP"] == pytest.approx(100, abs=1e-6)
    assert metrics["segm"]["AP"] == pytest.approx(100, abs=1e-6)


def test_masks_in_boxes_are_as_good_as_whole_ones():
    evaluator = COCOEvaluator(dataset=Data(DATA))
    outputs = perfect()
    for output in outputs:
        count = len(output["instances"])
        output["instances"].pred_masks = ROIMasks(torch.ones(count, 28, 28))
    assert run(evaluator, outputs)["segm"]["AP"] == pytest.approx(100, abs=1e-6)
    for output in outputs:
        output["instances"].pred_masks = torch.ones(len(output["instances"]), 1, 28, 28)
    assert run(evaluator, outputs)["segm"]["AP"] == pytest.approx(100, abs=1e-6)


def test_masks_of_another_size_are_named():
    output = {"instances": instances([BOXES[0]], pred_masks=torch.ones(1, 10, 10, dtype=torch.bool))}
    with pytest.raises(ValueError, match=r"\(10, 10\) for an image of \(60, 80\)"):
        run(COCOEvaluator(dataset=Data(DATA)), [output])


def test_masks_that_leave_their_boxes_are_encoded_whole():
    masks = torch.rand(4, *SIZE) < 0.5
    boxes = torch.tensor([[5, 5, 25, 30], [-9, 70, 90, 10], [0, 0, 0, 0], [float("nan"), 1e9, 2, 3]])
    expected = [encode_mask(mask) for mask in masks.numpy()]
    assert encode_masks(masks, boxes, SIZE) == expected
    assert encode_masks(masks.float(), torch.zeros(4, 5), SIZE) == expected
    assert encode_masks(masks[:0], boxes[:0], SIZE) == []


def test_keypoints():
    points = [[10.5, 10.5, 2], [20.5, 12.5, 1], [0, 0, 0]]
    flat = [value for point in points for value in point]
    data = Data(
        [[annotation(BOXES[0], keypoints=flat), annotation(BOXES[1], 1)]],
        keypoint_oks_sigmas=(0.05, 0.05, 0.05),
    )
    predicted = torch.tensor([points, points], dtype=torch.float32)
    predicted[:, 2] = torch.tensor([50.0, 50.0, 0.1])  # not labelled: does not matter
    output = {"instances": instances([BOXES[0], BOXES[1]], [0, 0], [0.9, 0.1], pred_keypoints=predicted)}
    results = run(COCOEvaluator(dataset=data), [output])
    assert list(results) == ["bbox", "keypoints"]
    assert list(results["keypoints"])[:5] == ["AP", "AP50", "AP75", "APm", "APl"]
    assert results["keypoints"]["AP"] == pytest.approx(100, abs=1e-6)

    far = predicted.clone()
    far[:, :2, 0] += 8.0
    output["instances"].pred_keypoints = far
    assert run(COCOEvaluator(dataset=data), [output])["keypoints"]["AP"] == 0

    with pytest.raises(ValueError, match="3 keypoints and kpt_oks_sigmas has 17"):
        run(COCOEvaluator(dataset=Data(data.images)), [output])


def test_an_image_without_detections_does_not_end_the_evaluation_of_keypoints():
    flat = [10.5, 10.5, 2, 20.5, 12.5, 1]
    data = Data([[annotation(BOXES[0], keypoints=flat)], []], keypoint_oks_sigmas=(0.05, 0.05))
    found = instances([BOXES[0]], pred_keypoints=torch.tensor(flat).reshape(1, 2, 3))
    empty = instances([], pred_keypoints=torch.zeros(0, 2, 3))
    results = run(COCOEvaluator(dataset=data), [{"instances": found}, {"instances": empty}])
    assert results["keypoints"]["AP"] == pytest.approx(100, abs=1e-6)
    results = run(COCOEvaluator(dataset=data), [{"instances": empty}, {"instances": empty}])
    assert results["keypoints"]["AP"] == 0


def test_a_detection_with_keypoints_is_small_or_large_by_its_box():
    """As COCO reads result files: what has no match counts only in the range of sizes of its own box."""
    flat = [10.5, 10.5, 2, 20.5, 12.5, 1]
    images = [[annotation((0, 0, 50, 50), keypoints=flat, area=2500.0)]]
    data = Data(images, names=("person",), keypoint_oks_sigmas=(0.05, 0.05))
    right = torch.tensor(flat).reshape(1, 2, 3)
    # Wrong points that span 70 x 50 pixels, with a higher score: medium by their extent, small by their box
    wrong = torch.tensor([[[5.0, 5, 1], [75, 55, 1]]])
    for box, ap in (((60, 40, 70, 50), 100), ((5, 5, 75, 55), 50)):
        found = instances([box, (0, 0, 50, 50)], None, [0.9, 0.8], pred_keypoints=torch.cat([wrong, right]))
        results = run(COCOEvaluator(dataset=data), [{"instances": found}])
        assert results["keypoints"]["APm"] == pytest.approx(ap, abs=1e-4)


def test_classes_that_do_not_exist_are_refused():
    data = Data(DATA)
    with pytest.raises(ValueError, match=r"record 0.*category_id -1, expected 0 to 1"):
        coco_ground_truth(Data([[annotation(BOXES[0], -1)]]))
    for label in (2, -1):
        with pytest.raises(ValueError, match=rf"predicts class {label} in image 'image 0'.*has 2 classes"):
            run(COCOEvaluator(dataset=data), [{"instances": instances(BOXES[:1], [label])}, *perfect()[1:]])


def test_two_records_of_one_image_id_are_refused():
    class Same(Data):
        def __getitem__(self, index):
            return {**super().__getitem__(index), "image_id": 5}

    with pytest.raises(ValueError, match=r"record 1.*has the image_id 5 of record 0"):
        coco_ground_truth(Same(DATA))


def test_classes_of_one_name_have_results_of_their_own():
    data = Data(DATA, names=("cat", "cat"))
    outputs = perfect()
    outputs[0]["instances"] = outputs[0]["instances"][:1]  # the only one of the second class is missed
    result = run(COCOEvaluator(dataset=data), outputs)["bbox"]
    assert result["AP-cat (class 0)"] == pytest.approx(100)
    assert result["AP-cat (class 1)"] == 0


def test_more_objects_than_detections_that_count_is_said(caplog):
    boxes = [(4 * x, 4 * y, 4 * x + 3, 4 * y + 3) for y in range(15) for x in range(20)]
    data = Data([[annotation(box) for box in boxes]])
    with caplog.at_level(logging.INFO):
        result = run(COCOEvaluator(dataset=data), [{"instances": instances(boxes)}])["bbox"]
    assert result["AP-cat"] < 35
    assert "image 'image 0' has 300 objects of one class" in caplog.text
    assert "max_dets_per_image=300" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        result = run(COCOEvaluator(dataset=data, max_dets_per_image=300), [{"instances": instances(boxes)}])
    assert result["bbox"]["AP-cat"] == pytest.approx(100)
    assert "objects of one class" not in caplog.text


def test_keypoints_are_half_a_pixel_off_in_files():
    points = [10.5, 10.5, 2, 0, 0, 0]
    truth = coco_ground_truth(Data([[annotation(BOXES[0], keypoints=points)]]))
    assert truth["annotations"][0]["keypoints"] == [10, 10, 2, 0, 0, 0]
    assert truth["annotations"][0]["num_keypoints"] == 1


def test_ground_truth_of_records():
    truth = coco_ground_truth(Data([[], [annotation((2, 3, 12, 23), 1), annotation((0, 0, 4, 5), area=7.0)]]))
    assert truth["images"] == [{"id": f"image {i}", "height": 60, "width": 80} for i in range(2)]
    assert truth["categories"] == [{"id": 10, "name": "cat"}, {"id": 20, "name": "dog"}]
    first, second = truth["annotations"]
    assert first["bbox"] == [2, 3, 10, 20]
    assert first["area"] == 200
    assert (first["id"], first["category_id"], first["image_id"]) == (1, 20, "image 1")
    assert (second["id"], second["area"]) == (2, 7.0)


def test_a_bad_record_is_named():
    with pytest.raises(ValueError, match=r"record 0.*category_id 7, expected 0 to 1"):
        coco_ground_truth(Data([[annotation(BOXES[0], 7)]]))


def test_boxes_only_data_leaves_masks_out(caplog):
    data = Data([[annotation(BOXES[0], polygon=False)], []])
    with caplog.at_level(logging.WARNING):
        results = run(COCOEvaluator(dataset=data), perfect())
    assert list(results) == ["bbox"]
    assert "has no segmentation" in caplog.text
    with pytest.raises(ValueError, match="1 of 1 annotations have no 'segmentation'"):
        run(COCOEvaluator(dataset=data, tasks=["segm"]), perfect())


def test_no_detections_is_zero_and_nothing_to_find_is_nan(caplog):
    empty = [{"instances": instances([], pred_masks=masks_of([]))}] * 2
    with caplog.at_level(logging.INFO):
        results = run(COCOEvaluator(dataset=Data(DATA)), empty)
        assert results["bbox"]["AP"] == 0
        assert "no detections at all" in caplog.text
        caplog.clear()
        results = run(COCOEvaluator(dataset=Data([[], []])), empty)
        assert math.isnan(results["bbox"]["AP"])
        assert "no objects to be found" in caplog.text
        caplog.clear()
        results = run(COCOEvaluator(dataset=Data(DATA[1:] * 2)), perfect())
        assert math.isnan(results["bbox"]["AP-dog"])
        assert "1 of 2 classes have no objects: NaN, left out of means (dog)" in caplog.text
        assert "no large objects (from 96 x 96 pixels): APl is NaN" in caplog.text


def test_nothing_predicted_at_all(caplog):
    assert run(COCOEvaluator(dataset=Data(DATA)), []) == {}
    assert "no predictions" in caplog.text
    run(COCOEvaluator(dataset=Data(DATA)), perfect()[:1])
    assert "only 1 of 2 images" in caplog.text


def test_limit_of_detections():
    data = Data([[annotation(BOXES[0]), annotation(BOXES[1])]], names=("cat",))
    output = {"instances": instances(BOXES, scores=[0.9, 0.8])}
    assert run(COCOEvaluator(dataset=data, max_dets_per_image=1), [output])["bbox"]["AP"] < 51
    assert run(COCOEvaluator(dataset=data, max_dets_per_image=300), [output])["bbox"]["AP"] > 99


def test_files_and_scores(tmp_path):
    evaluator = COCOEvaluator(dataset=Data(DATA), output_dir=tmp_path / "out")
    results = run(evaluator, perfect())
    written = json.loads((tmp_path / "out" / "coco_instances_results.json").read_text())
    assert written[1]["category_id"] == 20
    assert written[1]["bbox"] == [40, 10, 30, 40]
    rows = json.loads((tmp_path / "out" / "coco_per_class_segm.json").read_text())
    assert [row["class"] for row in rows] == ["cat", "dog"]
    assert (rows[0]["objects"], rows[0]["AP50"], len(rows[0]["precision50"])) == (2, pytest.approx(100), 101)
    recalls, precisions = evaluator.scores["bbox"].precision_recall(0)
    assert recalls[-1] == 1
    assert precisions.min() == pytest.approx(1)

    # The file evaluates to the same against the annotations as a file.
    truth = coco_ground_truth(Data(DATA))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    scores = evaluate_json(tmp_path / "truth.json", tmp_path / "out" / "coco_instances_results.json", "segm")
    assert scores.metrics()["AP"] == results["segm"]["AP"]


def test_classes_in_any_order_of_ids():
    truth = coco_ground_truth(Data(DATA))
    truth["categories"].reverse()
    detections = [{"image_id": "image 0", "category_id": 20, "bbox": [40, 10, 30, 40], "score": 0.5}]
    rows = coco_scores(truth, detections, "bbox").per_class()
    assert [(row["class"], round(row["AP"])) for row in rows] == [("dog", 100), ("cat", 0)]


def test_sides_that_do_not_belong_together_are_named(tmp_path):
    truth = coco_ground_truth(Data(DATA))
    good = {"image_id": "image 0", "category_id": 20, "bbox": [40, 10, 30, 40], "score": 0.5}
    for change, message in (
        ({"image_id": 5}, "detection 1 is on image 5"),
        ({"category_id": 3}, "detection 1 is of category 3; the annotations have 2 categories from 10 to 20"),
    ):
        with pytest.raises(ValueError, match=message):
            coco_scores(truth, [good, {**good, **change}], "bbox")
    with pytest.raises(ValueError, match="no 'segmentation', needed for 'segm'"):
        coco_scores(truth, [good], "segm")
    with pytest.raises(ValueError, match="iou_type='mask'"):
        coco_scores(truth, [good], "mask")
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("[")
    with pytest.raises(ValueError, match=r"a\.json is no COCO annotation file"):
        evaluate_json(tmp_path / "a.json", tmp_path / "b.json")
    (tmp_path / "a.json").write_text(json.dumps(truth))
    with pytest.raises(ValueError, match=r"b\.json is not JSON"):
        evaluate_json(tmp_path / "a.json", tmp_path / "b.json")


@pytest.mark.parametrize(
    ("change", "task", "message"),
    [
        (
            {"score": None},
            "bbox",
            r"b\.json: detection 1 \(on image 'image 0'\) has no 'score'; it has image_id",
        ),
        ({"score": "0.5"}, "bbox", r"b\.json: detection 1 .*: score is '0\.5'; expected a finite number"),
        ({"score": float("nan")}, "bbox", "score is nan; expected a finite number"),
        ({"bbox": [1, 2, 3]}, "bbox", r"bbox is \[1, 2, 3\]; expected 4 finite numbers"),
        ({"bbox": "1,2,3,4"}, "bbox", "bbox is '1,2,3,4'"),
        ({"image_id": [5]}, "bbox", r"image_id is \[5\]; expected a whole number or a text"),
        ({"category_id": None}, "bbox", "has no 'category_id'"),
        (
            {"segmentation": [[1, 2, 3, 4, 5, 6]]},
            "segm",
            "segmentation is .*; expected a run-length encoding",
        ),
        ({"segmentation": {"size": [60], "counts": "x"}}, "segm", "expected a run-length encoding"),
        ({"keypoints": [1, 2]}, "keypoints", r"keypoints is \[1, 2\]; expected finite numbers, three"),
    ],
)
def test_a_detection_that_cannot_be_right_is_named(tmp_path, change, task, message):
    good = {"image_id": "image 0", "category_id": 20, "bbox": [40, 10, 30, 40], "score": 0.5}
    good |= {"segmentation": {"size": [60, 80], "counts": [4800]}, "keypoints": [1, 2, 3]}
    wrong = {key: value for key, value in {**good, **change}.items() if value is not None}
    (tmp_path / "a.json").write_text(json.dumps(coco_ground_truth(Data(DATA))))
    (tmp_path / "b.json").write_text(json.dumps([good, wrong]))
    with pytest.raises(ValueError, match=message):
        evaluate_json(tmp_path / "a.json", tmp_path / "b.json", task)


@pytest.mark.parametrize(
    ("kind", "record", "message"),
    [
        (
            "annotations",
            {"image_id": 77, "category_id": 10},
            r"annotations\[0\] is on image 77, which the file",
        ),
        ("annotations", {"category_id": 10}, r"a\.json: annotations\[0\] has no 'image_id'"),
        ("images", {"file_name": "x.jpg"}, r"images\[0\] has no 'id'; it has file_name"),
        ("categories", "cat", r"categories\[0\] is 'cat'; expected a dict"),
        ("annotations", None, "annotations is a NoneType; expected a list"),
    ],
)
def test_an_annotation_file_that_cannot_be_right_is_named(tmp_path, kind, record, message):
    truth = coco_ground_truth(Data(DATA))
    truth[kind] = None if record is None else [record]
    (tmp_path / "a.json").write_text(json.dumps(truth))
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(ValueError, match=message):
        evaluate_json(tmp_path / "a.json", tmp_path / "b.json")


def test_results_are_strict_json(tmp_path):
    content = {"AP": math.nan, 3: [math.inf, np.float32(0.5), (1, True)], "t": torch.tensor([1.0, math.nan])}
    text = to_json({**content, "other": Path("x"), "none": None, "text": "NaN"})
    assert json.loads(text, parse_constant=pytest.fail) == {
        "AP": None, "3": [None, 0.5, [1, True]], "t": [1.0, None], "other": "x", "none": None, "text": "NaN",
    }  # fmt: skip
    run(COCOEvaluator(dataset=Data(DATA), output_dir=tmp_path), perfect())
    for file in tmp_path.glob("*.json"):
        json.loads(file.read_text(), parse_constant=pytest.fail)
    assert (tmp_path / "coco_per_class_bbox.json").is_file()


def test_unknown_task():
    with pytest.raises(ValueError, match="'segmentation' is not one of"):
        COCOEvaluator(dataset=Data(DATA), tasks=["segmentation"])


def test_proposals():
    boxes = torch.tensor([[0.0, 0, 5, 5], [5, 5, 25, 30], [40, 10, 70, 40]])
    proposals = Instances(SIZE, proposal_boxes=Boxes(boxes), objectness_logits=torch.tensor([0.0, 2.0, 1.0]))
    data = Data([[annotation(BOXES[0]), annotation(BOXES[1]), annotation((0, 0, 5, 5), iscrowd=1)]])
    results = run(COCOEvaluator(dataset=data), [{"proposals": proposals}])
    # One object is hit exactly, the other with IoU 0.75, which 6 of 10 thresholds accept.
    assert results["box_proposals"]["AR@100"] == pytest.approx(80)
    assert results["box_proposals"]["ARm@1000"] == pytest.approx(60)
    assert results["box_proposals"]["ARs@100"] == pytest.approx(100)
    assert math.isnan(results["box_proposals"]["ARl@100"])


def test_missing_package_is_named(monkeypatch):
    for module in ("faster_coco_eval", "hotcoco"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'lazycfg\[eval\]'"):
        run(COCOEvaluator(dataset=Data(DATA)), perfect())


def _evaluate_in_two(rank, folder, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", rank=rank, world_size=2, init_method=f"file://{folder}/rendezvous"
    )
    evaluator = COCOEvaluator(dataset=Data(DATA), output_dir=folder)
    results[rank] = run(evaluator, perfect()[rank : rank + 1], start=rank)
    torch.distributed.destroy_process_group()


def test_two_processes(tmp_path):
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(_evaluate_in_two, args=(tmp_path, results), nprocs=2)
        assert results[0]["segm"]["AP"] == pytest.approx(100, abs=1e-6)
        assert results[1] is None
    assert len(json.loads((tmp_path / "coco_instances_results.json").read_text())) == 3
