"""Single objects of ShapeNet: the renders of 3D-R2N2, and 25 epochs of 798,000 images.

The files are looked for in `$DETECTRON2_DATASETS/shapenet` (`datasets/shapenet` when unset): the folder
`ShapeNetV1processed` that the reference's tools/preprocess_shapenet.py writes, and
`pix2mesh_splits_val05.json`.
"""

from typing import Any

import torch

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import build_detection_test_loader, build_detection_train_loader
from lazycfg.model_zoo.common.train import train
from lazycfg.projects.meshrcnn import (
    MeshLoss,
    MeshRefinementHead,
    ResNetMaps,
    ShapeNetDataset,
    ShapeNetEvaluator,
    ShapeNetMapper,
)
from lazycfg.solver import ConstantParamScheduler, get_default_optimizer_params

_root = "${oc.env:DETECTRON2_DATASETS,datasets}/shapenet"


def split(name: str) -> Any:
    """Record the data set of one split of the file of splits."""
    return L(ShapeNetDataset)(
        name=f"shapenet_{name}",
        data_dir=f"{_root}/ShapeNetV1processed",
        splits_file=f"{_root}/pix2mesh_splits_val05.json",
        split=name,
    )


dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=split("train"),
        mapper=L(ShapeNetMapper)(is_train=True, num_samples=5000, voxel_size=48),
        total_batch_size=64,
        num_workers=8,
        aspect_ratio_grouping=False,
        check=False,  # there are no annotated boxes to look for
        seed=ref("oc.select:train.seed,0"),
    ),
    test=L(build_detection_test_loader)(
        dataset=split("test"), mapper=L(ShapeNetMapper)(is_train=False), batch_size=8, num_workers=4
    ),
    evaluator=L(ShapeNetEvaluator)(dataset=ref("..test.dataset")),
)


def parts(*, subdivide: bool = False) -> dict[str, Any]:
    """Return what the three models share."""
    return dict(
        # resnet50-0676ba61.pth of torchvision: model.backbone.weights=...
        backbone=L(ResNetMaps)(name="resnet50", weights=""),
        mesh_head=L(MeshRefinementHead)(
            input_channels=3840,
            num_stages=3,
            num_graph_convs=3,
            graph_conv_dim=128,
            graph_conv_init="normal",
            subdivide=subdivide,
        ),
        loss=L(MeshLoss)(chamfer_weight=1.0, normal_weight=0.0, edge_weight=0.2, voxel_weight=1.0),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )


optimizer: Any = L(torch.optim.Adam)(params=L(get_default_optimizer_params)(model=ref("model")), lr=1e-4)
lr_multiplier: Any = L(ConstantParamScheduler)(value=1.0)
train.update(max_iter=311875, eval_period=0, pictures=0)
train.checkpointer.period = 24949
