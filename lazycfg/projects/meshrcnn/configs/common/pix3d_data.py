"""Pix3D: images with a mask, voxels, a mesh and a camera for the object in them.

The files are looked for in `$DETECTRON2_DATASETS/pix3d` (`datasets/pix3d` when unset): `img/`, `mask/`,
`model/` as Pix3D has them, and `pix3d_s1_train.json`, `pix3d_s1_test.json`, `pix3d_s2_train.json` and
`pix3d_s2_test.json`, which Mesh R-CNN's authors publish. In split 1 no image is in both sets, in split 2 no
model of an object is.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import FilteredDataset, build_detection_test_loader, build_detection_train_loader
from lazycfg.data import transforms as T
from lazycfg.projects.meshrcnn import Pix3DDataset, Pix3DEvaluator, Pix3DMapper

_root = "${oc.env:DETECTRON2_DATASETS,datasets}/pix3d"

dataloader: Any = dict(
    train=L(build_detection_train_loader)(
        dataset=L(FilteredDataset)(
            dataset=L(Pix3DDataset)(
                name="pix3d_s1_train", json_file=f"{_root}/pix3d_s1_train.json", image_root=_root
            )
        ),
        mapper=L(Pix3DMapper)(
            is_train=True,
            augmentations=[
                L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333),
                L(T.RandomFlip)(),
            ],
            image_format="BGR",
        ),
        total_batch_size=16,
        num_workers=4,
        aspect_ratio_grouping=False,
        seed=ref("oc.select:train.seed,0"),  # the data may be loaded without a `train`
    ),
    test=L(build_detection_test_loader)(
        dataset=L(Pix3DDataset)(
            name="pix3d_s1_test", json_file=f"{_root}/pix3d_s1_test.json", image_root=_root
        ),
        mapper=L(Pix3DMapper)(
            is_train=False,
            augmentations=[L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333)],
            image_format=ref("...train.mapper.image_format"),
        ),
        num_workers=4,
    ),
    evaluator=L(Pix3DEvaluator)(dataset=ref("..test.dataset")),
)
