"""PASCAL VOC's metric against the published algorithm by plain loops."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from lazycfg.evaluation import PascalVOCDetectionEvaluator
from lazycfg.structures import Boxes, BoxMode, Instances, RotatedBoxes

NAMES = ("aeroplane", "bicycle", "bird")


class Data:
    def __init__(self, images, year=2007, names=NAMES):
        extra = {} if year is None else {"year": year}
        self.metadata = SimpleNamespace(thing_classes=names, extra=extra, name="voc")
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image_id": f"{index:06}", "height": 60, "width": 80, "annotations": self.images[index]}


def thing(box, label=0, difficult=0):
    return {"bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": label, "difficult": difficult}


def random_data(seed, images=5):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        corner = rng.integers(0, 40, (rng.integers(0, 6), 2))
        boxes = np.concatenate([corner, corner + rng.integers(1, 30, corner.shape)], axis=1)
        truth.append([thing(b, int(rng.integers(0, 2)), int(rng.random() < 0.3)) for b in boxes.tolist()])
        near = boxes[rng.integers(0, len(boxes), 8)] if len(boxes) else np.zeros((0, 4))
        moved = near + rng.normal(0, 2, near.shape) * (rng.random((len(near), 1)) < 0.7)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
        labels = rng.integers(0, 2, len(moved))
        found.append((moved, labels, rng.random(len(moved))))
    return truth, found


def instances(boxes, labels, scores):
    return Instances(
        (60, 80),
        pred_boxes=Boxes(torch.tensor(np.asarray(boxes), dtype=torch.float32).reshape(-1, 4)),
        pred_classes=torch.tensor(np.asarray(labels), dtype=torch.int64),
        scores=torch.tensor(np.asarray(scores), dtype=torch.float32),
    )


def run(evaluator, found, start=0, step=1):
    evaluator.reset()
    for index in range(start, len(found), step):
        evaluator.process([{"image_id": f"{index:06}"}], [{"instances": instances(*found[index])}])
    return evaluator.evaluate()


def plain_ap(truth, found, label, threshold, eleven):
    """As the development kit does it, object by object."""
    things = [[t for t in image if t["category_id"] == label] for image in truth]
    used = [[False] * len(image) for image in things]
    count = sum(not t["difficult"] for image in things for t in image)
    if count == 0:
        return math.nan
    detections = []
    for image, (boxes, labels, scores) in enumerate(found):
        for box, own, score in zip(boxes, labels, scores, strict=True):
            if own == label:
                box = np.float32(box) + np.float32([1, 1, 0, 0])
                detections.append(
                    (float(f"{np.float32(score):.3f}"), image, [float(f"{v:.1f}") for v in box])
                )
    detections.sort(key=lambda d: -d[0])
    hits, misses, points = 0, 0, []
    for _, image, (x0, y0, x1, y1) in detections:
        best, best_overlap = None, -1.0
        for index, t in enumerate(things[image]):
            a0, b0, a1, b1 = t["bbox"][0] + 1, t["bbox"][1] + 1, t["bbox"][2], t["bbox"][3]
            w, h = min(x1, a1) - max(x0, a0) + 1, min(y1, b1) - max(y0, b0) + 1
            both = max(w, 0) * max(h, 0)
            overlap = both / ((x1 - x0 + 1) * (y1 - y0 + 1) + (a1 - a0 + 1) * (b1 - b0 + 1) - both)
            if overlap > best_overlap:
                best, best_overlap = index, overlap
        if best_overlap > threshold:
            if things[image][best]["difficult"]:
                pass
            elif not used[image][best]:
                used[image][best] = True
                hits += 1
            else:
                misses += 1
        else:
            misses += 1
        points.append((hits / count, hits / max(hits + misses, np.finfo(np.float64).eps)))
    if eleven:
        return (
            sum(max([p for r, p in points if r >= level], default=0.0) for level in np.arange(0.0, 1.1, 0.1))
            / 11
        )
    area, last = 0.0, 0.0
    for index, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[index:])
        last = recall
    return area


@pytest.mark.parametrize("year", [2007, 2012])
@pytest.mark.parametrize("seed", range(12))
def test_equals_plain_loops(seed, year):
    truth, found = random_data(seed)
    result = run(PascalVOCDetectionEvaluator(dataset=Data(truth, year)), found)["bbox"]
    table = 100 * np.array(
        [
            [plain_ap(truth, found, label, t, year == 2007) for t in np.arange(50, 100, 5) / 100]
            for label in range(len(NAMES))
        ]
    )
    assert np.isnan(table[2]).all()  # no bird anywhere
    kept = table[~np.isnan(table[:, 0])]
    expected = {"AP": kept.mean(), "AP50": kept[:, 0].mean(), "AP75": kept[:, 5].mean()}
    assert list(result) == list(expected)
    assert result == pytest.approx(expected, abs=1e-9)


def test_difficult_objects_are_ignored_and_further_detections_are_wrong():
    truth = [[thing([10, 10, 30, 30]), thing([40, 10, 60, 30], difficult=1)]]
    boxes = [[40, 10, 60, 30], [40, 10, 60, 30], [10, 10, 30, 30], [10, 10, 30, 30]]
    found = [(boxes, [0] * 4, [0.9, 0.8, 0.7, 0.6])]
    data = Data(truth, 2012)
    assert run(PascalVOCDetectionEvaluator(dataset=data), found)["bbox"]["AP"] == pytest.approx(100)
    truth[0][1]["difficult"] = 0
    # Hits at ranks 1 and 3, the second and fourth are duplicates: 1/2 * 1 + 1/2 * 2/3
    assert run(PascalVOCDetectionEvaluator(dataset=data), found)["bbox"]["AP"] == pytest.approx(100 * 5 / 6)


def test_the_files_are_those_of_the_server(tmp_path):
    found = [([[9.04, 10, 30, 30.06]], [1], [0.98765]), ([], [], [])]
    evaluator = PascalVOCDetectionEvaluator(dataset=Data([[], []]), output_dir=tmp_path / "out")
    assert all(math.isnan(value) for value in run(evaluator, found)["bbox"].values())
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == [f"comp4_det_test_{name}.txt" for name in sorted(NAMES)]
    assert (tmp_path / "out/comp4_det_test_bicycle.txt").read_text() == "000000 0.988 10.0 11.0 30.0 30.1\n"
    assert (tmp_path / "out/comp4_det_test_bird.txt").read_text() == ""


def test_the_metric_is_that_of_the_year_or_given():
    for year, metric in ((2007, "11-point"), ("2007", "11-point"), (2012, "area")):
        assert PascalVOCDetectionEvaluator(dataset=Data([], year)).metric == metric
    assert PascalVOCDetectionEvaluator(dataset=Data([], None), metric="area").metric == "area"
    with pytest.raises(ValueError, match=r"has no 'year'.*give metric='11-point'"):
        PascalVOCDetectionEvaluator(dataset=Data([], None))
    with pytest.raises(ValueError, match=r"metric='aera': expected one of .*did you mean 'area'"):
        PascalVOCDetectionEvaluator(dataset=Data([]), metric="aera")


def test_what_does_not_belong_together_is_named():
    evaluator = PascalVOCDetectionEvaluator(dataset=Data([[]]))
    with pytest.raises(ValueError, match=r"predicts class 3 in image '000000'.*has 3 classes"):
        run(evaluator, [([[1, 2, 3, 4]], [3], [0.5])])
    with pytest.raises(ValueError, match="image_id '000001' is not one of the dataset's 1"):
        run(evaluator, [([], [], [])] * 2)
    with pytest.raises(ValueError, match=r"record 0 \(image_id '000000'\) has an object of category_id 7"):
        run(PascalVOCDetectionEvaluator(dataset=Data([[thing([1, 2, 3, 4], 7)]])), [([], [], [])])
    turned = instances([], [], [])
    turned.pred_boxes = RotatedBoxes(torch.zeros(0, 5))
    with pytest.raises(ValueError, match="RotatedCOCOEvaluator"):
        evaluator.process([{"image_id": "000000"}], [{"instances": turned}])


def test_a_trial_leaves_nothing_behind(tmp_path, caplog):
    truth, found = random_data(3)
    evaluator = PascalVOCDetectionEvaluator(dataset=Data(truth), output_dir=tmp_path / "out")
    names = evaluator.try_out([{"image_id": "000000"}], [{"instances": instances(*found[0])}])
    assert list(names["bbox"]) == ["AP", "AP50", "AP75"]
    assert not (tmp_path / "out").exists()
    assert "only 1 of 5 images were predicted" in caplog.text
    other = PascalVOCDetectionEvaluator(dataset=Data(truth))
    assert run(evaluator, found[1:] and found) == run(other, found)


def _evaluate_in_two(rank, folder, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", rank=rank, world_size=2, init_method=f"file://{folder}/rendezvous"
    )
    truth, found = random_data(0)
    results[rank] = run(PascalVOCDetectionEvaluator(dataset=Data(truth)), found, rank, 2)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path):
    truth, found = random_data(0)
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(_evaluate_in_two, args=(tmp_path, results), nprocs=2)
        assert results[0]["bbox"] == pytest.approx(
            run(PascalVOCDetectionEvaluator(dataset=Data(truth)), found)["bbox"], abs=1e-9
        )
        assert results[1] is None
