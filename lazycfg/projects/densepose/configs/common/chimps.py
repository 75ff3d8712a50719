"""What the models for chimpanzees of arXiv:2003.00080 are trained on: persons and animals of COCO 2017 as one
class with masks, and DensePose-COCO; tested on DensePose-Chimps.

In `$DETECTRON2_DATASETS` there are expected, beside what `densepose_coco.py` names, COCO 2017 in `coco`, and
`densepose_chimps/densepose_chimps_densepose.json` with its images in `densepose_chimps/images`.
"""

from lazycfg import LazyCall as L
from lazycfg.projects.densepose import DensePoseCocoDataset, has_densepose_or_masks

from .densepose_coco import _root, dataloader, densepose_coco

_animals = range(16, 26)  # birds to giraffes

dataloader.train.dataset.keep = has_densepose_or_masks
dataloader.train.dataset.dataset.datasets = [
    L(DensePoseCocoDataset)(
        name="base_coco_2017_train",
        json_file=f"{_root}/coco/annotations/instances_train2017.json",
        image_root=f"{_root}/coco/train2017",
        category_ids=[1, *_animals],
        category_map=dict.fromkeys(_animals, 1),
        on_error="skip",
    ),
    densepose_coco("train", "train2014"),
]
dataloader.train.mapper.update(use_instance_mask=True, instance_mask_format="bitmask")
dataloader.test.dataset = L(DensePoseCocoDataset)(
    name="densepose_chimps",
    json_file=f"{_root}/densepose_chimps/densepose_chimps_densepose.json",
    image_root=f"{_root}/densepose_chimps/images",
    on_error="skip",
)
dataloader.evaluator.evaluators[1].min_iou_threshold = 0.2  # APex
