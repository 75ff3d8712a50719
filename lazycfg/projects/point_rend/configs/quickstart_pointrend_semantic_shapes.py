"""PointRend for pixels on generated images of shapes.  A CPU, some minutes.

python tools/train_net.py --config-file projects/point_rend/configs/quickstart_pointrend_semantic_shapes.py
"""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.evaluation import SemSegEvaluator
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, optimizer, train
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import model as _mask_rcnn

from .common.pointrend_semantic_fpn import model

model.backbone = _mask_rcnn.backbone.copy()  # a small ResNet, and a pyramid of 64 channels

head = model.sem_seg_head
head.coarse_sem_seg_head.update(
    input_shape={
        name: ShapeSpec(channels=64, stride=stride)
        for name, stride in [("p2", 4), ("p3", 8), ("p4", 16), ("p5", 32)]
    },
    num_classes=5,  # the ground, and four shapes
    conv_dims=64,
)
head.point_head.update(input_shape=ShapeSpec(channels=64), fc_dims=[64, 64])
head.update(train_num_points=256, subdivision_num_points=1024)
del head

for part in (dataloader.train, dataloader.test):
    part.dataset.label_maps = "semantic"
dataloader.train.mapper.use_instance_mask = False
dataloader.evaluator = L(SemSegEvaluator)(dataset=ref("..test.dataset"))
del part

train.update(output_dir="./output/quickstart_pointrend_semantic", max_iter=300)
