"""Quickstart: voxels and a mesh from an image of one solid.  A CPU, some minutes, nothing to download.

python -m lazycfg.projects.meshrcnn.make_views --output datasets/solid_views
python tools/train_net.py --config-file projects/meshrcnn/configs/quickstart_voxmesh_solids.py
"""

from lazycfg.layers import ShapeSpec

from .shapenet.voxmesh_R50 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.name = "resnet18"
model.voxel_size = 16
model.voxel_head.update(input_shape=ShapeSpec(channels=512), num_conv=2, conv_dim=64, num_depth=16)
model.mesh_head.update(input_channels=960, num_stages=2, num_graph_convs=2, graph_conv_dim=64)
model.loss.pred_num_samples = 500

_root = "${oc.env:DETECTRON2_DATASETS,datasets}/solid_views"
for _loader in (dataloader.train, dataloader.test):
    _loader.dataset.update(name="solid_views", data_dir=_root, splits_file=f"{_root}/splits.json")
    _loader.num_workers = 0
dataloader.train.update(total_batch_size=8)
dataloader.train.mapper.update(num_samples=500, voxel_size=16)
dataloader.evaluator.num_samples = 2000
optimizer.lr = 5e-4
train.update(output_dir="./output/quickstart_voxmesh", max_iter=400)
