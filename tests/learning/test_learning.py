"""Every family of models learns: after some dozens of steps it finds what an untrained one cannot."""

from typing import NamedTuple

import pytest
import torch
from small_jobs import small_job

from lazycfg import instantiate
from lazycfg.engine import evaluate, train

MASKS = "COCO-InstanceSegmentation"


class Family(NamedTuple):
    entry: str
    steps: int
    metrics: dict[str, tuple[float, float]]
    """Without training each is below the first number, with it at least the second."""
    lr: float = 6e-3
    label_maps: str = "none"


FAMILIES = {
    "mask": Family(f"{MASKS}/mask_rcnn_R_50_FPN_1x.py", 100, {"bbox/AP50": (10, 18), "segm/AP50": (2, 8)}),
    "res5": Family(f"{MASKS}/mask_rcnn_R_50_C4_1x.py", 100, {"bbox/AP50": (8, 16), "segm/AP50": (2, 6)}),
    "cascade": Family(
        "Misc/cascade_mask_rcnn_R_50_FPN_1x.py", 100, {"bbox/AP50": (8, 18), "segm/AP50": (2, 8)}
    ),
    "keypoints": Family(
        "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.py", 110, {"bbox/AP50": (10, 20), "keypoints/AP50": (1, 5)}
    ),
    "retinanet": Family("COCO-Detection/retinanet_R_50_FPN_1x.py", 120, {"bbox/AP50": (5, 16)}, lr=3e-3),
    "fcos": Family("COCO-Detection/fcos_R_50_FPN_1x.py", 100, {"bbox/AP50": (5, 18)}),
    # Nothing but ground has a mean of 23, nothing but things an IoU of 31
    "semantic": Family(
        "Misc/semantic_R_50_FPN_1x.py", 120, {"sem_seg/mIoU": (25, 34)}, label_maps="semantic"
    ),
    "panoptic": Family(
        "COCO-PanopticSegmentation/panoptic_fpn_R_50_1x.py",
        100,
        {
            "bbox/AP50": (10, 18),
            "segm/AP50": (2, 8),
            "panoptic_seg/PQ_th": (2, 6),
            "sem_seg/IoU-things": (35, 50),
        },
        label_maps="panoptic",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_it_learns(name, tmp_path):
    family = FAMILIES[name]
    job = small_job(family.entry, steps=family.steps, lr=family.lr, label_maps=family.label_maps)
    job.train.output_dir = str(tmp_path)
    torch.manual_seed(0)
    before = evaluate(job, model=instantiate(job.model))
    after = train(job)
    for metric, (below, least) in family.metrics.items():
        task, key = metric.split("/")
        assert before[task][key] < below, (metric, before[task])
        assert after[task][key] >= least, (metric, after[task])
