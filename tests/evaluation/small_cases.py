"""A few detections and pixels whose curves and confusion can be told by hand."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "data"))
from cityscapes_files import NAMES, write_cityscapes

from lazycfg.data import CityscapesInstances, CityscapesSemSeg
from lazycfg.evaluation import (
    CityscapesInstanceEvaluator,
    CityscapesSemSegEvaluator,
    PascalVOCDetectionEvaluator,
)
from lazycfg.structures import BitMasks, Boxes, BoxMode, Instances
from lazycfg.utils.cityscapes import INSTANCE_LABELS, TRAIN_LABELS

VOC_NAMES = ("aeroplane", "bicycle", "bird")
SIZE = (60, 80)


def thing(box, label, difficult=0):
    return {"bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": label, "difficult": difficult}


class Records:
    def __init__(self, images, names=VOC_NAMES):
        self.metadata = SimpleNamespace(thing_classes=names, extra={"year": 2012}, name="voc")
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image_id": index, "height": 60, "width": 80, "annotations": self.images[index]}


def boxes_found(rows):
    """Instances of rows (box, label, score)."""
    boxes, labels, scores = zip(*rows, strict=True)
    return Instances(
        SIZE,
        pred_boxes=Boxes(torch.tensor(boxes, dtype=torch.float32)),
        pred_classes=torch.tensor(labels),
        scores=torch.tensor(scores),
    )


def voc():
    """An evaluator that has evaluated two images, of four objects that count and one difficult one."""
    a, b, hard = [10, 10, 30, 30], [40, 10, 60, 30], [10, 40, 30, 58]
    d, e, nothing = [0, 0, 20, 20], [40, 30, 60, 50], [0, 40, 20, 55]
    truth = [[thing(a, 0), thing(b, 1), thing(hard, 0, difficult=1)], [thing(d, 2), thing(e, 0)]]
    evaluator = PascalVOCDetectionEvaluator(dataset=Records(truth))
    found = [(a, 0, 0.9), (a, 0, 0.8), (b, 0, 0.7), (hard, 0, 0.65), (b, 1, 0.95)]
    evaluator.process([{"image_id": 0}], [{"instances": boxes_found(found)}])
    found = [(d, 1, 0.92), (nothing, 2, 0.93), (e, 0, 0.6)]
    evaluator.process([{"image_id": 1}], [{"instances": boxes_found(found)}])
    evaluator.evaluate()
    return evaluator


def _write_truth(files, name, ids):
    """Write the truth of an image, where (H, W) ids of instances are given; else it is all road."""
    stem = files.gt_dir / name.split("_")[0] / f"{name}_gtFine"
    Image.fromarray(ids.astype(np.uint16)).save(f"{stem}_instanceIds.png")
    labels = np.where(ids >= 1000, ids // 1000, ids)
    Image.fromarray(labels.astype(np.uint8)).save(f"{stem}_labelIds.png")


def _cityscapes(folder, ids):
    files = write_cityscapes(folder, size=SIZE)
    for number, name in enumerate(NAMES):
        _write_truth(files, name, ids if number == 0 else np.full(SIZE, 7))
    return {"image_dir": files.image_dir, "gt_dir": files.gt_dir}


def cityscapes_instances(folder):
    """An evaluator that has evaluated three images, of a car and a person that count."""
    ids = np.full(SIZE, 7)
    car, person, group, void, small, road = (
        np.s_[0:20, 0:20], np.s_[0:20, 40:60], np.s_[30:50, 0:20], np.s_[30:50, 40:60], np.s_[55:60, 70:75],
        np.s_[22:28, 25:35],
    )  # fmt: skip
    ids[car], ids[person], ids[group], ids[void], ids[small] = 26001, 24001, 26, 0, 24002
    dataset = CityscapesInstances(**_cityscapes(folder, ids))
    rows = [
        (person, "rider", 0.95), (car, "car", 0.9), (np.s_[0:20, 1:21], "car", 0.8), (group, "car", 0.7),
        (small, "person", 0.65), (void, "person", 0.99), (road, "car", 0.5),
    ]  # fmt: skip
    masks = torch.zeros(len(rows), *SIZE, dtype=torch.bool)
    for mask, (where, _, _) in zip(masks, rows, strict=True):
        mask[where] = True
    names = [label.name for label in INSTANCE_LABELS]
    found = Instances(
        SIZE,
        pred_masks=masks,
        pred_boxes=BitMasks(masks).get_bounding_boxes(),
        pred_classes=torch.tensor([names.index(name) for _, name, _ in rows]),
        scores=torch.tensor([score for _, _, score in rows]),
    )
    evaluator = CityscapesInstanceEvaluator(dataset=dataset)
    evaluator.process([dataset[0]], [{"instances": found}])
    for index in (1, 2):
        record = {**dataset[index], "height": SIZE[0], "width": SIZE[1]}
        evaluator.process([record], [{}])
    evaluator.evaluate()
    return evaluator


def cityscapes_sem_seg(folder):
    """An evaluator that has evaluated three images, of road, a car half taken for a person, and void."""
    ids = np.full(SIZE, 7)
    ids[30:, :40], ids[30:, 40:] = 26001, 0
    dataset = CityscapesSemSeg(**_cityscapes(folder, ids))
    names = [label.name for label in TRAIN_LABELS]
    found = torch.full(SIZE, names.index("road"))
    found[30:, :20], found[30:, 20:] = names.index("car"), names.index("person")
    evaluator = CityscapesSemSegEvaluator(dataset=dataset)
    evaluator.process([dataset[0]], [{"sem_seg": found}])
    for index in (1, 2):
        evaluator.process([dataset[index]], [{"sem_seg": torch.full(SIZE, names.index("road"))}])
    evaluator.evaluate()
    return evaluator
