"""DensePose-COCO: persons of COCO 2014 with points on charts.

In `$DETECTRON2_DATASETS` (`datasets` when unset) there are expected images in `coco/train2014` and
`coco/val2014`, annotations in `coco/annotations/densepose_train2014.json` and its like, and the files of the
surface in `densepose`: UV_symmetry_transforms.mat, SMPL_subdiv.mat, SMPL_SUBDIV_TRANSFORM.mat and
Pdist_matrix.pkl.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import ConcatDataset, FilteredDataset
from lazycfg.evaluation import COCOEvaluator, DatasetEvaluators
from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.projects.densepose import DensePoseCocoDataset, DensePoseMapper, has_densepose
from lazycfg.projects.densepose.evaluation import ChartSurface, DensePoseCOCOEvaluator

_root = "${oc.env:DETECTRON2_DATASETS,datasets}"


def densepose_coco(split: str, images: str) -> Any:
    """Record the data set of one split of DensePose-COCO."""
    return L(DensePoseCocoDataset)(
        name=f"densepose_coco_2014_{split}",
        json_file=f"{_root}/coco/annotations/densepose_{split}2014.json",
        image_root=f"{_root}/coco/{images}",
        on_error="skip",  # some annotations of the official files have no area
    )


dataloader.train.dataset = L(FilteredDataset)(
    dataset=L(ConcatDataset)(
        datasets=[densepose_coco("train", "train2014"), densepose_coco("valminusminival", "val2014")]
    ),
    keep=has_densepose,
)
dataloader.train.mapper._target_ = DensePoseMapper
dataloader.train.mapper.use_instance_mask = False
dataloader.train.mapper.symmetry_file = f"{_root}/densepose/UV_symmetry_transforms.mat"
dataloader.test.dataset = densepose_coco("minival", "val2014")
dataloader.evaluator = L(DatasetEvaluators)(
    evaluators=[
        L(COCOEvaluator)(dataset=ref("dataloader.test.dataset"), tasks=["bbox"]),
        L(DensePoseCOCOEvaluator)(
            dataset=ref("dataloader.test.dataset"),
            evaluator_type="iuv",
            surface=L(ChartSurface)(folder=f"{_root}/densepose"),
            min_iou_threshold=0.5,
        ),
    ]
)
