"""The generated figures, and models made small for them.

The files are looked for in `$DETECTRON2_DATASETS/figures` (`datasets/figures` when unset), where

    python -m lazycfg.projects.densepose.make_figures --output datasets/figures

makes them.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import FilteredDataset, build_detection_test_loader, build_detection_train_loader
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import model as _small
from lazycfg.projects.densepose import DensePoseCocoDataset, DensePoseMapper, has_densepose
from lazycfg.projects.densepose.evaluation import ChartSurface, DensePoseCOCOEvaluator

root = "${oc.env:DETECTRON2_DATASETS,datasets}/figures"
mesh_names = ["figure"]


def _figures(name: str) -> Any:
    return L(DensePoseCocoDataset)(
        name=f"figures_{name}",
        json_file=f"{root}/figures_{name}.json",
        image_root=root,
        mesh_names=list(mesh_names),
    )


dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=L(FilteredDataset)(dataset=_figures("train"), keep=has_densepose),
        mapper=L(DensePoseMapper)(
            is_train=True,
            augmentations=[L(T.RandomFlip)()],
            image_format="BGR",
            symmetry_file=f"{root}/UV_symmetry_transforms.mat",
            mesh_names=list(mesh_names),
            use_vertices=False,
        ),
        total_batch_size=8,
        num_workers=0,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=_figures("test"),
        mapper=L(DensePoseMapper)(
            is_train=False, image_format=ref("...train.mapper.image_format"), mesh_names=list(mesh_names)
        ),
        batch_size=8,
        num_workers=0,
    ),
    evaluator=[
        L(COCOEvaluator)(dataset=ref("...test.dataset"), tasks=["bbox"]),
        L(DensePoseCOCOEvaluator)(dataset=ref("...test.dataset"), surface=L(ChartSurface)(folder=root)),
    ],
)


def make_small(model: Any) -> None:
    """The parts of the quickstart of Mask R-CNN, and a branch for DensePose with maps of 56 x 56."""
    model.backbone = _small.backbone
    model.proposal_generator = _small.proposal_generator
    heads = model.roi_heads
    heads.box_head = _small.roi_heads.box_head
    heads.box_predictor.input_shape = ShapeSpec(channels=256)
    heads.batch_size_per_image = 16
    heads.densepose_data_filter.iou_threshold = 0.6
    heads.decoder.update(
        input_shape={f"p{k}": ShapeSpec(channels=64, stride=2**k) for k in range(2, 6)},
        num_classes=64,
        conv_dims=64,
    )
    heads.densepose_pooler.output_size = 14
    heads.densepose_head.update(conv_head_dim=96, num_stacked_convs=4)
