"""Every family of models learns: after some dozens of steps it finds what an untrained one cannot."""

from typing import NamedTuple

import pytest
from small_jobs import small_job

from lazycfg import instantiate
from lazycfg.engine import evaluate, train


class Family(NamedTuple):
    entry: str
    steps: int
    expected: dict[str, float]
    """What each metric must reach; half as much must be out of reach without training."""
    lr: float = 6e-3
    label_maps: str = "none"


FAMILIES = {
    "mask": Family(
        "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py", 100, {"bbox/AP50": 20, "segm/AP50": 8}
    ),
    "res5": Family(
        "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x.py", 100, {"bbox/AP50": 16, "segm/AP50": 6}
    ),
    "cascade": Family("Misc/cascade_mask_rcnn_R_50_FPN_1x.py", 100, {"bbox/AP50": 18, "segm/AP50": 8}),
    "keypoints": Family(
        "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.py", 110, {"bbox/AP50": 20, "keypoints/AP50": 6}
    ),
    "retinanet": Family("COCO-Detection/retinanet_R_50_FPN_1x.py", 120, {"bbox/AP50": 16}, lr=3e-3),
    "fcos": Family("COCO-Detection/fcos_R_50_FPN_1x.py", 100, {"bbox/AP50": 20}),
    "semantic": Family(
        "Misc/semantic_R_50_FPN_1x.py",
        60,
        {"sem_seg/mIoU": 30, "sem_seg/IoU-ground": 70},
        label_maps="semantic",
    ),
    "panoptic": Family(
        "COCO-PanopticSegmentation/panoptic_fpn_R_50_1x.py",
        100,
        {"bbox/AP50": 20, "segm/AP50": 8, "panoptic_seg/PQ_th": 10, "sem_seg/IoU-things": 50},
        label_maps="panoptic",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_it_learns(name, tmp_path):
    family = FAMILIES[name]
    job = small_job(family.entry, steps=family.steps, lr=family.lr, label_maps=family.label_maps)
    job.train.output_dir = str(tmp_path)
    before = evaluate(job, model=instantiate(job.model))
    after = train(job)
    for metric, least in family.expected.items():
        task, key = metric.split("/")
        assert after[task][key] >= least, (metric, after[task])
        assert before[task][key] < least / 2, (metric, before[task])
