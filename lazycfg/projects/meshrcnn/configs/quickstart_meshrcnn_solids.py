"""Quickstart: a small Mesh R-CNN on generated images of solids.  A CPU, some minutes, nothing to download.

    python -m lazycfg.projects.meshrcnn.make_solids --output datasets/solids
    python tools/train_net.py --config-file projects/meshrcnn/configs/quickstart_meshrcnn_solids.py

The detector is that of the quickstart of Mask R-CNN, the heads for shapes are the project's made smaller.
"""

from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.optim import AdamW as optimizer
from lazycfg.model_zoo.common.schedules import warmup_cosine
from lazycfg.model_zoo.common.train import train
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import model as small

from .common.meshrcnn_fpn import model, pooler
from .common.pix3d_data import dataloader

model.backbone = small.backbone
model.proposal_generator = small.proposal_generator

heads = model.roi_heads
heads.update(num_classes=4, batch_size_per_image=8)
heads.box_head = small.roi_heads.box_head
heads.box_predictor.input_shape = ShapeSpec(channels=256)
heads.mask_head.update(input_shape=ShapeSpec(channels=64, height=14, width=14), conv_dims=[64, 64, 64])
heads.z_head.update(input_shape=ShapeSpec(channels=64, height=7, width=7), fc_dim=256)
heads.voxel_pooler = pooler(8)
heads.voxel_head.update(
    input_shape=ShapeSpec(channels=64, height=8, width=8), num_conv=2, conv_dim=64, num_depth=16
)
heads.mesh_head.update(
    input_channels=64,
    num_stages=2,
    num_graph_convs=2,
    graph_conv_dim=64,
    gt_num_samples=400,
    pred_num_samples=400,
)
del heads, small

_root = "${oc.env:DETECTRON2_DATASETS,datasets}/solids"
for _loader, _set in (
    (dataloader.train, dataloader.train.dataset.dataset),
    (dataloader.test, dataloader.test.dataset),
):
    _name = "solids_train" if _loader is dataloader.train else "solids_test"
    _set.update(name=_name, json_file=f"{_root}/{_name}.json", image_root=_root)
    _loader.num_workers = 0
dataloader.train.mapper.augmentations = dataloader.train.mapper.augmentations[1:]  # as large as they are
dataloader.test.mapper.augmentations = []
dataloader.train.total_batch_size = 8
dataloader.test.batch_size = 8
dataloader.evaluator.num_samples = 2000

optimizer.update(lr=2e-3, weight_decay=0.05)
lr_multiplier = warmup_cosine(warmup_length=0.1)

train.update(output_dir="./output/quickstart_meshrcnn", max_iter=800, eval_period=0)
