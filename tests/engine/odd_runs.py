"""Tiny runs on tiny data, each made odd in one way, for the tests of what is known before the first step."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.config import ConfigError
from lazycfg.data import CocoDataset, DatasetMapper, Metadata
from lazycfg.data import transforms as T
from lazycfg.engine import PreflightError, train
from lazycfg.evaluation import DatasetEvaluator

HERE = Path(__file__).parent
BOXES = {1: (8, 8, 20, 16), 2: (34, 24, 14, 24), 3: (20, 44, 24, 14)}


def write_data(folder, name="train", *, categories=("a", "b"), edit=None, count=4, keypoints=0):
    """Write a COCO file whose images lie beside it; returns its path.

    Args:
        categories: names; their ids count from 1, and each image has one object of each of the first two.
        edit: called with the content before it is written.
        keypoints: how many each object has.
    """
    content = {"images": [], "annotations": [], "categories": []}
    for i in range(count):
        pixels = np.full((64, 64, 3), 110, np.uint8)
        for x, y, w, h in BOXES.values():
            pixels[y : y + h, x : x + w] = (40 * x % 255, 200, 40)
        file = folder / f"{name}{i}.png"
        Image.fromarray(pixels).save(file)
        content["images"].append({"id": i + 1, "file_name": file.name, "width": 64, "height": 64})
        for category in range(1, min(len(categories), 2) + 1):
            x, y, w, h = BOXES[category]
            annotation = {
                "id": len(content["annotations"]) + 1,
                "image_id": i + 1,
                "category_id": category,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            }
            if keypoints:
                annotation["keypoints"] = [v for k in range(keypoints) for v in (x + k, y + k, 2)]
                annotation["num_keypoints"] = keypoints
            content["annotations"].append(annotation)
    for number, category in enumerate(categories):
        entry = {"id": number + 1, "name": category}
        if keypoints:
            entry["keypoints"] = [f"point{k}" for k in range(keypoints)]
        content["categories"].append(entry)
    if edit is not None:
        edit(content)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def job(folder, train_json, test_json, *, masks=False, keypoints=0, num_classes=2):
    """A run of two steps of a tiny Mask R-CNN on COCO files."""
    cfg = LazyConfig.load(HERE / "tiny_mask_rcnn.py")
    cfg.model.roi_heads.num_classes = num_classes
    cfg.model.roi_heads.box_predictor.test_score_thresh = 0.0
    cfg.model.roi_heads.box_predictor.test_topk_per_image = 5
    if not masks:
        cfg.model.roi_heads.mask_head = None
    loader = cfg.dataloader.train
    loader.update(dataset=L(CocoDataset)(json_file=str(train_json)), total_batch_size=2, num_workers=0)
    loader.mapper = L(DatasetMapper)(
        is_train=True, augmentations=[L(T.RandomFlip)()], image_format="BGR", use_instance_mask=masks
    )
    if keypoints:
        loader.mapper.update(use_keypoint=True, keypoint_hflip_indices=list(range(keypoints)))
        _add_keypoints(cfg, keypoints)
    test_set = L(CocoDataset)(json_file=str(test_json))
    cfg.dataloader.test.update(dataset=test_set, batch_size=1, num_workers=0)
    cfg.dataloader.test.mapper = L(DatasetMapper)(is_train=False, image_format="BGR")
    cfg.dataloader.evaluator.dataset = test_set
    cfg.train.update(max_iter=2, log_period=1, pictures=0, output_dir=str(folder / "out"))
    return cfg


def _add_keypoints(cfg, count):
    from lazycfg.layers import ShapeSpec
    from lazycfg.modeling import KRCNNConvDeconvUpsampleHead, ROIPooler

    cfg.model.roi_heads.update(
        keypoint_in_features=["p2", "p3", "p4", "p5"],
        keypoint_pooler=L(ROIPooler)(
            output_size=14, scales=(1 / 4, 1 / 8, 1 / 16, 1 / 32), sampling_ratio=0, pooler_type="ROIAlignV2"
        ),
        keypoint_head=L(KRCNNConvDeconvUpsampleHead)(
            input_shape=ShapeSpec(channels=32, width=14, height=14), num_keypoints=count, conv_dims=[16, 16]
        ),
    )


class OwnDataset:
    """A data set of one's own: records that `edit` has changed."""

    def __init__(self, *, json_file, edit=None, names=("a", "b"), split="train"):
        self._records = []
        source = CocoDataset(json_file=json_file)
        for index in range(len(source)):
            record = source[index]
            if edit is not None:
                edit(record)
            self._records.append(record)
        self.metadata = Metadata(name=f"own_{split}", thing_classes=names)

    def __len__(self):
        return len(self._records)

    def __getitem__(self, index):
        record = dict(self._records[index])
        record["annotations"] = [dict(a) for a in record.get("annotations", ())]
        return record


class OwnEvaluator(DatasetEvaluator):
    """Counts detections, and fails where it is told to."""

    def __init__(self, *, fails=""):
        self.fails = fails

    def reset(self):
        self.count = 0

    def process(self, inputs, outputs):
        if self.fails == "process":
            raise KeyError("no_such_key")
        self.count += sum(len(output["instances"]) for output in outputs)

    def evaluate(self):
        return {"own": {"count": self.count}}


def outcome(cfg, overrides=()):
    """("refused", message) of what was found before the first step, or ("trained", results).

    Anything else that a run may raise is raised; what is written by a refused run is an error too.
    """
    folder = Path(str(cfg.train.get("output_dir", "nowhere")))
    there = folder.exists()
    try:
        if overrides:
            LazyConfig.apply_overrides(cfg, list(overrides))
        results = train(cfg)
    except (PreflightError, ConfigError) as error:
        assert there or not folder.exists(), "a run that is refused writes nothing"
        return "refused", error.on_command_line() if isinstance(error, PreflightError) else str(error)
    return "trained", results


def refused(cfg, *words, overrides=()):
    how, message = outcome(cfg, overrides)
    assert how == "refused", message
    for word in words:
        assert word in message, message
    return message


def trained(cfg, overrides=()):
    how, results = outcome(cfg, overrides)
    assert how == "trained", results
    return results
