"""COCO 2017 with ten labelled points of each object in place of masks, for training.

The file is looked for beside COCO's own annotations; prepare_coco_point_annotations_without_masks.py makes it
of them. Tested on the masks of COCO.
"""

from lazycfg import LazyCall as L
from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.projects.point_sup import CocoPointsDataset, PointSupDatasetMapper

_coco = "${oc.env:DETECTRON2_DATASETS,datasets}/coco"

dataloader.train.dataset.dataset = L(CocoPointsDataset)(
    name="coco_2017_train_points_n10_v1_without_masks",
    json_file=f"{_coco}/annotations/instances_train2017_n10_v1_without_masks.json",
    image_root=f"{_coco}/train2017",
    on_error="skip",  # some boxes of the official file have no area
)
dataloader.train.mapper._target_ = PointSupDatasetMapper
dataloader.train.mapper.update(use_instance_mask=False, sample_points=0)
