"""DensePose-COCO with vertices: persons of COCO 2014 with points on a mesh.

In `$DETECTRON2_DATASETS` (`datasets` when unset) there are expected images in `coco/train2014` and
`coco/val2014`, annotations in `coco_cse/densepose_train2014_cse.json` and its like, and the symmetries of
vertices in `densepose/meshes/symmetry`.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import ConcatDataset, FilteredDataset
from lazycfg.evaluation import COCOEvaluator
from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.projects.densepose import DensePoseCocoDataset, DensePoseMapper, has_densepose
from lazycfg.projects.densepose.evaluation import DensePoseCOCOEvaluator

from .densepose_cse_fpn import mesh

_root = "${oc.env:DETECTRON2_DATASETS,datasets}"


def densepose_coco_cse(split: str, images: str) -> Any:
    """Record the data set of one split of DensePose-COCO with vertices."""
    return L(DensePoseCocoDataset)(
        name=f"densepose_coco_2014_{split}_cse",
        json_file=f"{_root}/coco_cse/densepose_{split}2014_cse.json",
        image_root=f"{_root}/coco/{images}",
        on_error="skip",  # some annotations of the official files have no area
    )


dataloader.train.dataset = L(FilteredDataset)(
    dataset=L(ConcatDataset)(
        datasets=[densepose_coco_cse("train", "train2014"), densepose_coco_cse("valminusminival", "val2014")]
    ),
    keep=has_densepose,
)
dataloader.train.mapper._target_ = DensePoseMapper
dataloader.train.mapper.update(
    use_instance_mask=False,
    use_charts=False,
    meshes=[mesh("smpl_27554")],
)
dataloader.test.dataset = densepose_coco_cse("minival", "val2014")
dataloader.evaluator = [
    L(COCOEvaluator)(dataset=ref("dataloader.test.dataset"), tasks=["bbox"]),
    L(DensePoseCOCOEvaluator)(
        dataset=ref("dataloader.test.dataset"),
        evaluator_type="cse",
        embedder=ref("model.roi_heads.embedder"),
        meshes={"smpl_27554": mesh("smpl_27554")},
    ),
]
