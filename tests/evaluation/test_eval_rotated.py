"""COCO's metrics of rotated boxes."""

from types import SimpleNamespace

import pytest
import torch

from lazycfg.evaluation import COCOEvaluator, RotatedCOCOEvaluator, coco_scores
from lazycfg.structures import Boxes, BoxMode, Instances, RotatedBoxes

pytest.importorskip("faster_coco_eval")

SIZE = (100, 120)


class Data:
    """Records whose boxes are rotated; two classes with the ids 10 and 20."""

    def __init__(self, images, mode=BoxMode.XYWHA_ABS, **extra):
        ids = {10: 0, 20: 1}
        self.metadata = SimpleNamespace(thing_classes=("a", "b"), thing_dataset_id_to_contiguous_id=ids)
        self.num_classes = 2
        self.records = [
            {
                "image_id": i,
                "height": SIZE[0],
                "width": SIZE[1],
                "annotations": [
                    {"bbox": box, "bbox_mode": mode, "category_id": k % 2, **extra}
                    for k, box in enumerate(boxes)
                ],
            }
            for i, boxes in enumerate(images)
        ]

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]


def found(boxes, scores=None):
    n = len(boxes)
    return Instances(
        SIZE,
        pred_boxes=RotatedBoxes(torch.tensor(boxes).reshape(n, 5)),
        pred_classes=torch.arange(n) % 2,
        scores=torch.linspace(0.9, 0.5, n) if scores is None else torch.tensor(scores),
    )


def evaluate(evaluator, predictions):
    evaluator.reset()
    for i, instances in enumerate(predictions):
        evaluator.process([{"image_id": i}], [{"instances": instances}])
    return evaluator.evaluate()["bbox"]


def random_boxes(n, seed, angles=360.0):
    g = torch.Generator().manual_seed(seed)
    scale = torch.tensor([100.0, 80, 60, 40, angles])
    return (torch.rand(n, 5, generator=g) * scale + torch.tensor([10, 10, 8, 8, -angles / 2])).tolist()


def test_what_is_right_counts_whatever_its_name() -> None:
    images = [random_boxes(4, 0), [], random_boxes(3, 1)]
    evaluator = RotatedCOCOEvaluator(dataset=Data(images))
    assert evaluate(evaluator, [found(boxes) for boxes in images])["AP"] == pytest.approx(100)
    same = [[(x, y, h, w, a + 90 - 360) for x, y, w, h, a in boxes] for boxes in images]
    results = evaluate(evaluator, [found(boxes) for boxes in same])
    assert results["AP"] == pytest.approx(100)
    assert results["AP-a"] == pytest.approx(100)


def test_the_angle_counts() -> None:
    images = [[[60.0, 50, 60, 10, 30]]]
    evaluator = RotatedCOCOEvaluator(dataset=Data(images))
    # in the same upright hull, but across
    assert evaluate(evaluator, [found([[60.0, 50, 60, 10, -30]])])["AP"] == 0
    # An overlap of 2 / 3 is enough for the thresholds 0.5, 0.55, 0.6 and 0.65.
    assert evaluate(evaluator, [found([[60.0, 50, 40, 10, 30]])])["AP"] == pytest.approx(40)


@pytest.mark.parametrize("seed", [0, 1])
def test_upright_boxes_score_as_in_coco(seed) -> None:
    """Boxes of angle 0 against the evaluation of upright boxes: also where only one side says so."""
    truth = [random_boxes(5, seed * 100 + i, angles=0.0) for i in range(6)]
    g = torch.Generator().manual_seed(seed)
    guesses = [(torch.tensor(boxes) + torch.randn(5, 5, generator=g)) for boxes in truth]
    for boxes in guesses:
        boxes[:, 4] = 0
    rotated = [found(boxes.tolist()) for boxes in guesses]
    upright = [
        Instances(SIZE, **{**x.get_fields(), "pred_boxes": Boxes(hull(x.pred_boxes.tensor))}) for x in rotated
    ]
    expected = evaluate(COCOEvaluator(dataset=Data(truth)), upright)
    assert 5 < expected["AP"] < 95
    for data in (Data(truth), Data([hull(torch.tensor(b)).tolist() for b in truth], BoxMode.XYXY_ABS)):
        for predictions in (rotated, upright):
            results = evaluate(RotatedCOCOEvaluator(dataset=data), predictions)
            assert results == pytest.approx(expected, nan_ok=True)


def hull(boxes):
    return torch.cat((boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2), dim=1)


def test_a_detection_inside_a_crowd_is_no_mistake() -> None:
    truth = {
        "images": [{"id": 1, "height": 100, "width": 100}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "bbox": [20, 20, 10, 10, 30],
                "area": 100,
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 1,
                "category_id": 1,
                "bbox": [70, 70, 50, 50, 20],
                "area": 2500,
                "iscrowd": 1,
            },
        ],
    }
    guess = {"image_id": 1, "category_id": 1}
    detections = [
        {**guess, "bbox": [70, 70, 10, 10, 45], "score": 0.9},
        {**guess, "bbox": [20, 20, 10, 10, 30], "score": 0.8},
    ]
    assert coco_scores(truth, detections, "bbox").metrics()["AP"] == pytest.approx(100)
    truth["annotations"].pop()
    assert coco_scores(truth, detections, "bbox").metrics()["AP"] == pytest.approx(50, abs=1)


def test_no_detections() -> None:
    assert evaluate(RotatedCOCOEvaluator(dataset=Data([random_boxes(3, 0)])), [found([])])["AP"] == 0


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="only task"):
        RotatedCOCOEvaluator(dataset=Data([]), tasks=("bbox", "segm"))
    with pytest.raises(ValueError, match="RotatedCOCOEvaluator"):
        evaluate(COCOEvaluator(dataset=Data([random_boxes(3, 0)])), [found(random_boxes(3, 0))])
