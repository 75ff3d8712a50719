"""PointSup on generated images of shapes: masks learned from ten points of each object.  A CPU, some minutes.

    python tools/train_net.py \\
        --config-file projects/point_sup/configs/quickstart_mask_rcnn_point_sup_shapes.py
"""

from lazycfg import LazyCall as L
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, model, optimizer, train
from lazycfg.projects.point_sup import (
    MaskRCNNConvUpsamplePointSupHead,
    PointsFromMasks,
    PointSupDatasetMapper,
)

model.roi_heads.mask_head._target_ = MaskRCNNConvUpsamplePointSupHead

# Ten points of each shape, of which five are drawn each time; tested on masks.
dataloader.train.dataset = L(PointsFromMasks)(dataset=dataloader.train.dataset, num_points=10)
dataloader.train.mapper._target_ = PointSupDatasetMapper
dataloader.train.mapper.update(use_instance_mask=False, sample_points=5)

train.update(output_dir="./output/quickstart_point_sup", max_iter=600)
